"""What the tool is for, proved from outside: checks_test.py PATH_OF_PROGRESS_TRACKER."""

import collections
import json
import os
import random
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import tool_support
from tool_support import DEADLINE_S, UNTIL_GO, ToolTest


class ResumeTest(ToolTest):
    SCRIPT = 'echo "$1" >> "$SEEN"'

    def seen(self, name):
        lines = sorted(line.decode() for line in self.lines(name))
        if os.path.exists(self.path(name)):
            os.remove(self.path(name))
        return lines

    def go_through(self, *images):
        """What the tool runs of this list, going on with its record."""
        self.make("list", text="".join(image + "\n" for image in images))
        self.environment["SEEN"] = "ours"
        self.tool("run", "--job", "j", "--from", "list", "--", "sh", "-c", self.SCRIPT, "sh")
        return self.seen("ours")

    def go_through_with_parallel(self, *images):
        """The same of GNU parallel."""
        self.make("list", text="".join(image + "\n" for image in images))
        self.environment["SEEN"] = "theirs"
        subprocess.run(["parallel", "--joblog", "joblog", "--resume", "-a", "list", "sh", "-c",
                        shlex.quote(self.SCRIPT), "sh"], cwd=self.home, env=self.environment,
                       check=True, capture_output=True, timeout=DEADLINE_S)
        return self.seen("theirs")

    def has_gnu_parallel(self):
        """Not the program of that name in moreutils."""
        if not shutil.which("parallel", path=self.environment.get("PATH")):
            return False
        return b"GNU parallel" in subprocess.run(
            ["parallel", "--version"], cwd=self.home, env=self.environment, check=False,
            capture_output=True, timeout=DEADLINE_S).stdout

    def test_a_changed_list_runs_exactly_what_is_missing(self):
        first = ["a", "b", "c", "d"]
        self.assertEqual(self.go_through(*first), first)
        # c is gone, and another order.
        self.assertEqual(self.go_through("new 1", "d", "b", "new 2", "a"), ["new 1", "new 2"])
        self.assertEqual(self.go_through("new 2", "c", "new 3"), ["new 3"])
        self.assertEqual(self.counts(), (0, 0, 7, 0))

    def test_parallel_goes_by_the_number_of_the_line(self):
        if not self.has_gnu_parallel():
            self.skipTest("there is no GNU parallel here")
        for images, ours, theirs in ((("a", "b"), ["a", "b"], ["a", "b"]),
                                     (("NEW", "a", "b"), ["NEW"], ["b"])):  # again; NEW never
            self.assertEqual(self.go_through(*images), ours)
            self.assertEqual(self.go_through_with_parallel(*images), theirs)

    def test_changed_files_run_exactly_what_is_missing(self):
        self.make("d/train/a.png", "d/b.png", "d/c.png")
        record = ("sh", "-c", 'echo "$1" >> seen', "sh")
        self.run_images(*record)
        self.assertEqual(self.seen("seen"), ["d/b.png", "d/c.png", "d/train/a.png"])
        os.remove(self.path("d/b.png"))
        self.make("d/0.png", "d/train/z.png")
        self.run_images(*record)
        self.assertEqual(self.seen("seen"), ["d/0.png", "d/train/z.png"])
        self.run_images(*record)
        self.assertEqual(self.seen("seen"), [])


class LogTest(ToolTest):
    def test_a_log_has_a_line_for_each_error_and_few_others(self):
        self.make(*(f"d/{i}.png" for i in range(200)), *(f"d/bad{i}.png" for i in range(40)))
        with open(self.path("log"), "wb") as log:
            self.finish(self.start("run", "--job", "j", "--images", "d", "-j4", "--", "sh", "-c",
                                   'case "$1" in *bad*) exit 1; esac', "sh", stderr=log), expect=1)
        text = self.read("log")
        self.assertNotRegex(text, rb"[\r\x1b]")
        self.assertTrue(text.endswith(b"\n"))
        lines = self.lines("log")
        errors = [line for line in lines if line.startswith(b"progress-tracker: error: ")]
        self.assertEqual(len(errors), 40)
        # And a line each 5 % of the job at the most, whatever the time.
        self.assertLessEqual(len(lines) - len(errors), 2 + 20)


class ArgumentTest(ToolTest):
    def test_the_words_that_a_parser_likes_best_reach_the_command(self):
        self.make("d/x.png")
        self.make_program("show", '#!/bin/sh\nprintf "%s\\0" "$@" > words\n')
        self.run_images("./show", "[a,b]", "", "x y", "-j", "9", "--")
        self.assertEqual(self.read("words").split(b"\0")[:-1],
                         [b"[a,b]", b"", b"x y", b"-j", b"9", b"--", b"d/x.png"])


class DeathTest(ToolTest):
    def members(self, session):
        """The processes of a session that have not ended."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(") ")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(name))
        return found

    def cut_the_power(self, session):
        """Kills all of a session, the watchdog too, until nothing of it is left."""
        while members := self.members(session):
            for member in members:
                try:
                    os.kill(member, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def watchdog_of(self, process):
        for member in self.members(process.pid):
            with open(f"/proc/{member}/comm", encoding="utf-8") as file:
                if file.read() == "progress-watch\n":
                    return member
        return self.fail("there is no watchdog")

    def test_after_power_cuts_the_same_command_ends_the_job(self):
        self.make(*(f"d/{i}.png" for i in range(60)))
        words = ("run", "--job", "j", "--images", "d", "-j3", "--progress", "none", "--",
                 "sh", "-c", 'sleep 0.02; echo "$1" >> seen', "sh")
        moment = random.Random(1)
        cuts = 0
        while True:
            process = self.start(*words, start_new_session=True)
            try:
                # Later each time, so that it comes to an end on a slow machine too.
                process.wait(timeout=moment.uniform(0, 0.3) + 0.02 * cuts)
                self.finish(process, expect=0)
                break
            except subprocess.TimeoutExpired:
                self.cut_the_power(process.pid)
                process.wait()
                self.assertEqual(self.members(process.pid), [])
                cuts += 1
        self.assertGreater(cuts, 0)
        self.assertEqual(self.counts(), (0, 0, 60, 0))
        seen = collections.Counter(self.lines("seen"))
        attempts = dict(self.rows("SELECT path, attempts FROM images"))
        self.assertEqual(len(seen), 60)
        for path, times in seen.items():
            self.assertLessEqual(times, attempts[path.decode()], path)
        self.tool("doctor")

    def test_no_command_outlives_the_tool_even_where_the_watchdog_died_first(self):
        process = self.start_waiting_run(script="echo $$ >> runs; exec sleep 1000",
                                         start_new_session=True)
        os.kill(self.watchdog_of(process), signal.SIGKILL)
        process.kill()
        process.wait()
        self.eventually(lambda: self.members(process.pid) == [], "their end")
        self.make("go")
        self.run_images("true")
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_nothing_is_left_of_the_session_after_any_end(self):
        trap = "trap '' INT TERM; echo $$ >> runs; while :; do sleep 0.01; done"
        for signals, script, code in (((signal.SIGINT,), UNTIL_GO, 130),
                                      ((signal.SIGINT, signal.SIGINT), trap, 130),
                                      ((signal.SIGKILL,), trap, -signal.SIGKILL),
                                      ((signal.SIGABRT,), trap, -signal.SIGABRT)):
            with self.subTest(signals=signals):
                with open(self.path("log"), "wb") as log:
                    process = self.start_waiting_run(script=script, start_new_session=True,
                                                     stderr=log)
                process.send_signal(signals[0])
                for again in signals[1:]:
                    self.wait_for_log("SIGINT: ")
                    process.send_signal(again)
                self.assertEqual(process.wait(timeout=DEADLINE_S), code)
                self.eventually(lambda p=process: self.members(p.pid) == [], "their end")
                os.remove(self.path("runs"))
        self.run_images("true")
        self.assertEqual(self.counts(), (0, 0, 4, 0))


class ReaderTest(ToolTest):
    WAL_LIMIT = 16 << 20  # bytes; SQLite's own checkpoints aim at 4 MiB

    def start_many(self, job, images):
        self.make("list", text="".join(f"{i}.png\n" for i in range(images)))
        return self.start("run", "--job", job, "--from", "list", "-j2", "--", "/bin/true")

    def test_a_watch_sees_a_run_move_and_keeps_its_log_small(self):
        fewer, images = 5_000, 20_000
        begun = time.monotonic()
        self.start_many("alone", fewer).communicate(timeout=10 * DEADLINE_S)
        alone = (time.monotonic() - begun) / fewer

        begun = time.monotonic()
        process = self.start_many("j", images)
        self.eventually(lambda: subprocess.run(
            [tool_support.TOOL, "status", "j"], cwd=self.home, env=self.environment, check=False,
            capture_output=True, timeout=DEADLINE_S).returncode == 0, "the job")
        watch = self.start("status", "j", "--watch", "--json", "--interval", "0.2")
        largest = readings = 0
        seen = set()
        while True:
            line = watch.stdout.readline()
            if not line:
                break
            readings += 1
            seen.add(json.loads(line)["completed"])
            try:
                largest = max(largest, os.path.getsize(self.path("progress.db-wal")))
            except FileNotFoundError:
                pass
        self.finish(watch, expect=0)
        self.finish(process, expect=0)
        watched = (time.monotonic() - begun) / images
        # For a person to judge: a test of times would fail where others have the machine.
        print(f"/bin/true: {1e3 * alone:.2f} ms an image alone, {1e3 * watched:.2f} ms watched; "
              f"{readings} readings in {watched * images:.1f} s; largest -wal "
              f"{largest / (1 << 20):.1f} MiB", file=sys.stderr)
        self.assertEqual(max(seen), images)
        self.assertGreater(len(seen), 2)  # the figures are those of the moment
        self.assertGreater(largest, 0)
        self.assertLess(largest, self.WAL_LIMIT)

    def test_the_standard_library_of_python_reads_the_live_file(self):
        process = self.start_waiting_run()
        for _ in range(3):
            connection = sqlite3.connect(f"file:{self.home}/progress.db?mode=ro", uri=True)
            try:
                self.assertEqual(connection.execute(
                    "SELECT status, count(*) FROM images GROUP BY 1 ORDER BY 1").fetchall(),
                                 [("pending", 2), ("processing", 2)])
                self.assertEqual(connection.execute(
                    "SELECT split, pending + processing FROM progress").fetchall(), [("", 4)])
            finally:
                connection.close()
        self.make("go")
        self.finish(process, expect=0)

    def become_nobody(self):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    def as_nobody(self, *words):
        """What the tool says to a user who may read everything here and write nothing."""
        return subprocess.run([tool_support.TOOL, *words], cwd=self.home, env=self.environment,
                              check=False, capture_output=True, timeout=DEADLINE_S,
                              preexec_fn=self.become_nobody)

    def python_as_nobody(self, name):
        """What such a user's Python says; in a child, lest its file be out of that user's reach."""
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self.become_nobody()
                connection = sqlite3.connect(f"file:{self.home}/{name}?mode=ro", uri=True)
                answer = connection.execute("SELECT count(*) FROM images").fetchone()[0]
            except sqlite3.Error as error:
                answer = error
            os.write(theirs, str(answer).encode())
            os._exit(0)
        os.close(theirs)
        with open(ours, encoding="utf-8") as answer:
            text = answer.read()
        os.waitpid(child, 0)
        return text

    def test_who_may_only_read_gets_an_answer_and_a_snapshot(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        os.chmod(self.home, 0o755)
        try:
            self.as_nobody("--version")
        except PermissionError:
            self.skipTest("nobody else can run the tool where it is")
        self.make("d/a.png", "d/b.png")
        self.run_images("true")

        refused = self.as_nobody("status", "j")
        self.assertEqual((refused.returncode, refused.stdout), (6, b""), refused.stderr)
        self.assertIn(b"`progress-tracker export --snapshot FILE`", refused.stderr)

        self.assertRegex(self.python_as_nobody("progress.db"),
                         "unable to open database file|readonly database")
        self.tool("export", "--snapshot", "copy.db")
        self.assertEqual(self.python_as_nobody("copy.db"), "2")
        ours = self.as_nobody("status", "j", "--db", "copy.db")
        self.assertIn(b"2 of 2 images completed", ours.stdout, ours.stderr)


if __name__ == "__main__":
    tool_support.main()
