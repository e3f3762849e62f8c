"""The tool as its users meet it: tool_test.py PATH_OF_PROGRESS_TRACKER [unittest options]."""

import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOOL = ""
DEADLINE_S = 60  # for what should take no time at all

# Says that it runs, then waits until it may end.
UNTIL_GO = 'echo $$ >> runs; while [ ! -e go ]; do sleep 0.01; done; echo "$1" >> ended'


class ToolTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="progress-tracker-")
        self.addCleanup(directory.cleanup)
        self.home = directory.name
        self.environment = dict(os.environ)
        for name in ("PROGRESS_TRACKER_DB", "PROGRESS_TRACKER_PROGRESS", "CI"):
            self.environment.pop(name, None)

    # ---- Verbs -----------------------------------------------------------------------------

    def path(self, name):
        return os.path.join(os.fsencode(self.home), os.fsencode(name))

    def make(self, *names, text=""):
        for name in names:
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)

    def make_program(self, name, script):
        self.make(name, text=script)
        os.chmod(self.path(name), 0o755)

    def read(self, name):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def lines(self, name):
        return self.read(name).splitlines()

    def start(self, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   "cwd": self.home, "env": self.environment, **options}
        process = subprocess.Popen([TOOL, *words], **options)

        def end():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()

        self.addCleanup(end)
        return process

    def tool(self, *words, expect=0, text=b"", **options):
        process = self.start(*words, stdin=subprocess.PIPE, **options)
        out, err = process.communicate(text, timeout=DEADLINE_S)
        self.err = (err or b"").decode(errors="backslashreplace")
        self.assertEqual(process.returncode, expect, self.err)
        return out or b""

    def run_images(self, *command, expect=0, options=()):
        return self.tool("run", "--job", "j", "--images", "d", *options, "--", *command,
                         expect=expect)

    def finish(self, process, expect):
        out, err = process.communicate(timeout=DEADLINE_S)
        self.err = (err or b"").decode(errors="backslashreplace")
        self.assertEqual(process.returncode, expect, self.err)
        return out

    def counts(self, job="j"):
        document = json.loads(self.tool("status", job, "--json"))
        return tuple(document[name] for name in ("pending", "processing", "completed", "error"))

    def rows(self, query):
        connection = sqlite3.connect(os.path.join(self.home, "progress.db"))
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def eventually(self, condition, what="it"):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what} never came")
            time.sleep(0.005)

    def is_running(self, process):
        try:
            with open(f"/proc/{int(process)}/stat", encoding="utf-8", errors="replace") as file:
                return file.read().rpartition(") ")[2][0] not in "ZX"
        except FileNotFoundError:
            return False

    def start_waiting_run(self, images=4, jobs=2, script=UNTIL_GO, **options):
        """A run whose commands wait for the file `go`."""
        self.make(*(f"d/{i}.png" for i in range(images)))
        process = self.start("run", "--job", "j", "--images", "d", "-j", str(jobs), "--", "sh", "-c",
                             script, "sh", **options)
        self.eventually(lambda: len(self.lines("runs")) >= jobs, "the commands")
        return process


    def start_logged_run(self, **options):
        """The same, with its standard error in the file `log`."""
        with open(self.path("log"), "wb") as log:
            return self.start_waiting_run(stderr=log, **options)

    def wait_for_log(self, text):
        self.eventually(lambda: text.encode() in self.read("log"), text)


class RunTest(ToolTest):
    def test_runs_the_command_once_for_each_image(self):
        self.make("d/train/a.jpg", "d/train/b.PNG", "d/val/c.gif", "d/e.webp", "d/notes.txt")
        self.run_images("sh", "-c", 'echo "$1" >> seen', "sh")
        self.assertEqual(sorted(self.lines("seen")),
                         [b"d/e.webp", b"d/train/a.jpg", b"d/train/b.PNG", b"d/val/c.gif"])
        self.assertEqual(self.rows("SELECT split, completed FROM progress ORDER BY split"),
                         [("", 1), ("train", 2), ("val", 1)])

    def test_goes_on_with_exactly_what_is_missing(self):
        self.make("list", text="a\nb\nc\n")
        record = ("--", "sh", "-c", 'echo "$1" >> seen; [ "$1" != c ]', "sh")
        self.tool("run", "--job", "j", "--from", "list", *record, expect=1)
        self.make("list", text="new\nc\nb\n")  # one new, one gone, another order
        self.tool("run", "--job", "j", "--from", "list", *record, expect=1)
        self.assertEqual(sorted(self.lines("seen")), [b"a", b"b", b"c", b"new"])
        self.assertEqual(self.counts(), (0, 0, 3, 1))

    def test_passes_arguments_byte_for_byte(self):
        self.make("d/x.png")
        words = [b"[a,b]", b"", b"x y", b"-j", b"9", b"--", b"--job=k", b"\xff\n", b"{}", b"{/.}",
                 b"{foo}"]
        self.make_program("show", '#!/bin/sh\nfor word; do printf "%s\\0" "$word" >> words; done\n')
        self.run_images("./show", *words)
        words[8:10] = [b"d/x.png", b"x"]
        self.assertEqual(self.read("words").split(b"\0")[:-1], words)

    def test_a_script_that_does_not_say_who_reads_it_is_for_the_shell(self):
        self.make("d/x.png")
        self.make_program("show", 'echo "$0 $# $1 $2"\n')
        self.assertEqual(self.run_images("./show", "{/}", "a b"), b"./show 2 x.png a b\n")

    def test_options_of_every_command_may_come_first(self):
        self.make("d/a.png")
        self.tool("--db", "x.db", "--log-level=error", "run", "--job", "j", "--images", "d", "--",
                  "true")
        self.assertIn(b"1 of 1 ", self.tool("--db=x.db", "status", "j"))
        self.assertFalse(os.path.exists(self.path("progress.db")))
        self.tool("--db", "run", expect=2)
        self.tool("--db", "x.db", "bogus", expect=2)
        self.assertIn("no such command: bogus", self.err)

    def test_more_commands_than_the_limit_on_open_files_leaves_room_for(self):
        self.make(*(f"d/{i}.png" for i in range(40)))
        def limit(soft, hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        for soft, hard, expected in ((100, 500, None), (100, 100, "room for 12 commands")):
            for name in ("runs", "go", "limits", "progress.db", "progress.db-workers"):
                if os.path.exists(self.path(name)):
                    os.remove(self.path(name))
            jobs = 40 if expected is None else 12
            process = self.start("run", "--job", "j", "--images", "d", "-j40", "--", "sh", "-c",
                                 "ulimit -Sn >> limits; " + UNTIL_GO, "sh",
                                 preexec_fn=limit(soft, hard))
            self.eventually(lambda: len(self.lines("runs")) == jobs, "all at work")
            self.make("go")
            self.finish(process, expect=0)
            self.assertEqual(set(self.lines("limits")), {b"100"})
            self.assertIn(expected or "", self.err)
            self.assertEqual("open files" in self.err, expected is not None, self.err)

    def test_reads_a_list_from_standard_input(self):
        paths = [b"a b", b"line\nbreak", b"\xff\xfe.png", b"-n"]
        out = self.tool("run", "--job", "j", "--from", "-", "-0", "-j1", "--", "printf", "<%s>",
                        text=b"\0".join(paths) + b"\0")
        self.assertEqual(out, b"".join(b"<%s>" % path for path in paths))
        self.assertEqual(self.rows("SELECT DISTINCT split FROM images"), [("",)])

    def test_resumes_over_names_that_are_not_utf8(self):
        os.makedirs(self.path(b"d/\xfe"))
        with open(self.path(b"d/\xfe/\xff.png"), "wb"):
            pass
        self.run_images("false", expect=1)
        self.assertIn("d/\\xFE/\\xFF.png: exit status 1", self.err)
        self.run_images("true", expect=1)
        document = json.loads(self.tool("status", "j", "--json"))
        self.assertEqual(document["total_images"], 1)
        self.assertEqual(list(document["splits"]), ["\\xFE"])

    def test_records_why_an_image_failed(self):
        self.make("d/a.png", "d/b.png", "d/c.png")
        self.run_images("sh", "-c", 'case $1 in *a*) echo why >&2; exit 3;; *b*) kill -9 $$;; esac',
                        "sh", expect=1)
        self.assertEqual(self.rows("SELECT path, status, error_message FROM images ORDER BY path"),
                         [("d/a.png", "error", "exit status 3: why"),
                          ("d/b.png", "error", "killed by signal 9"),
                          ("d/c.png", "completed", None)])
        self.assertIn("error: d/a.png: exit status 3: why\n", self.err)

    def test_an_image_whose_file_is_gone_is_in_error_without_a_command(self):
        self.make("d/a.png", "d/b.png", "d/c.png")
        self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
        os.remove(self.path("d/b.png"))
        self.run_images("sh", "-c", "echo x >> seen", expect=1)
        self.assertEqual(self.rows("SELECT error_message FROM images WHERE path = 'd/b.png'"),
                         [("no such file",)])
        self.assertEqual(len(self.lines("seen")), 1)

    def test_tries_again_as_often_as_it_is_told(self):
        self.make("d/a.png", "d/b.png")
        self.run_images("sh", "-c", 'echo x >> "$1.tries"; [ $(wc -l < "$1.tries") = 3 ]', "sh",
                        options=("--retries", "2"))
        self.assertEqual(len(self.lines("d/a.png.tries")), 3)
        self.make("e/c.png")
        self.tool("run", "--job", "k", "--images", "e", "--retries", "1", "--", "sh", "-c",
                  "echo x >> tries; exit 9", expect=1)
        self.assertEqual(len(self.lines("tries")), 2)
        self.assertEqual(self.err.count("exit status 9"), 1)

    def test_ends_commands_that_take_too_long(self):
        self.make("d/a.png")
        self.run_images("sh", "-c", "sleep 1000", options=("--timeout", "0.1"), expect=1)
        self.assertEqual(self.rows("SELECT error_message FROM images"),
                         [("timed out after 0.1 s",)])

    def test_stops_at_limits_with_images_left(self):
        self.make(*(f"d/{i}.png" for i in range(10)))
        self.run_images("true", options=("--limit", "4"), expect=4)
        self.assertEqual(self.counts(), (6, 0, 4, 0))
        self.run_images("false", options=("--max-errors", "2", "-j1"), expect=4)
        self.assertEqual(self.counts()[3], 2)
        self.run_images("true", options=("--limit", "100"), expect=1)
        self.assertEqual(self.counts(), (0, 0, 8, 2))

    def test_passes_the_commands_output_on_and_keeps_its_own_off(self):
        self.make("d/a.png")
        self.assertEqual(self.run_images("echo", "out {/}"), b"out a.png\n")

    def test_two_runs_share_the_work(self):
        self.make(*(f"d/{i}.png" for i in range(60)))
        words = ("run", "--job", "j", "--images", "d", "-j2", "--", "sh", "-c",
                 'echo $PPID >> runs; while [ ! -e go ]; do sleep 0.01; done; echo "$1" >> seen',
                 "sh")
        processes = [self.start(*words) for _ in range(3)]
        self.eventually(lambda: len(set(self.lines("runs"))) == 3, "all three at work")
        self.make("go")
        for process in processes:
            self.finish(process, expect=0)
        self.assertEqual(sorted(set(map(int, self.lines("runs")))),
                         sorted(process.pid for process in processes))
        self.assertEqual(len(self.lines("seen")), 60)
        self.assertEqual(self.counts(), (0, 0, 60, 0))

    def test_takes_the_database_from_flag_or_environment(self):
        self.make("d/a.png")
        self.environment["PROGRESS_TRACKER_DB"] = "env.db"
        self.run_images("true")
        self.run_images("true", options=("--db", "deep/er/flag.db"))
        self.assertTrue(os.path.exists(self.path("env.db")))
        self.assertTrue(os.path.exists(self.path("deep/er/flag.db")))
        self.assertFalse(os.path.exists(self.path("progress.db")))

    def test_says_so_when_there_is_no_image(self):
        os.mkdir(self.path("d"))
        self.run_images("true")
        self.assertIn("no image found in d", self.err)

    def test_works_with_standard_streams_closed(self):
        self.make(*(f"d/{i}.png" for i in range(20)))
        for command, status in (("false", 1), ("echo", 0)):
            result = subprocess.run(
                ["sh", "-c", f'exec "{TOOL}" run --job {command} --images d -- {command} <&- >&- 2>&-'],
                cwd=self.home, env=self.environment, timeout=DEADLINE_S, check=False)
            self.assertEqual(result.returncode, status)
        self.assertEqual(self.counts("false"), (0, 0, 0, 20))
        self.assertEqual(self.counts("echo"), (0, 0, 20, 0))
        for name in os.listdir(self.home):
            if not os.path.isdir(self.path(name)):
                self.assertNotIn(b"progress-tracker: ", self.read(name), name)

    def test_works_on_though_nobody_reads_its_progress(self):
        self.make(*(f"d/{i}.png" for i in range(20)))
        reader, writer = os.pipe()
        os.close(reader)
        self.tool("run", "--job", "j", "--images", "d", "--", "false", stderr=writer, expect=1)
        os.close(writer)
        self.assertEqual(self.counts(), (0, 0, 0, 20))


class ExitCodeTest(ToolTest):
    def test_2_for_usage(self):
        self.make("d/a.png")
        for words in ([], ["run"], ["run", "--job", "j", "--images", "d"], ["status", "--nonsense"],
                      ["bogus"], ["bogus", "--help"], ["run", "--job", "", "--images", "d", "--", "true"],
                      ["run", "--job", "j", "--images", "absent", "--", "true"],
                      ["run", "--job", "j", "--from", "absent", "--", "true"],
                      ["run", "--job", "j", "--from", "d", "--", "true"],
                      ["run", "--job", "bad\nname", "--images", "d", "--", "true"],
                      ["run", "--job", "j", "--images", "d", "--db", ":memory:", "--", "true"]):
            self.tool(*words, expect=2)
            self.assertIn("progress-tracker: ", self.err, words)
        self.assertEqual(os.listdir(self.home), ["d"])
        self.tool("bogus", expect=2)
        self.assertIn("no such command: bogus", self.err)
        self.tool("run", "--job", "j", "--from", "-", "--", "true", text=b"a\0b\0", expect=2)
        self.assertIn("-0", self.err)

    def test_3_for_what_is_not_there_and_nothing_is_made(self):
        self.tool("status", "j", expect=3)
        self.tool("status", "j", "--db", "deep/er.db", expect=3)
        self.assertEqual(os.listdir(self.home), [])
        self.make("d/a.png")
        self.run_images("true")
        self.tool("status", "other", expect=3)
        self.assertIn("no job called other", self.err)
        self.assertEqual(len(self.rows("SELECT * FROM jobs")), 1)

    def test_6_for_databases_that_cannot_be_used(self):
        self.make("d/a.png")
        self.make("text.db", text="this is no database, and long enough to be sure of that\n" * 50)
        before = self.read("text.db")
        connection = sqlite3.connect(self.path("foreign.db"))
        connection.execute("CREATE TABLE t(x)")
        connection.close()
        for database in ("text.db", "foreign.db", "d"):
            self.run_images("true", options=("--db", database), expect=6)
            self.tool("status", "--db", database, expect=6)
        self.assertEqual(self.read("text.db"), before)

    def test_126_and_127_before_anything_is_claimed(self):
        self.make("d/a.png", "data")
        self.run_images("no-such-command-anywhere", expect=127)
        self.run_images("./absent", expect=127)
        self.run_images("./data", expect=126)
        self.run_images("./d", expect=126)
        self.assertFalse(os.path.exists(self.path("progress.db")))

    def test_126_for_a_script_without_its_interpreter_before_anything_is_claimed(self):
        self.make("d/a.png")
        for line in ("#!{}", "#! {} -x", "#!{} -x y"):
            for interpreter in ("/does/not/exist", self.home):
                self.make_program("script", line.format(interpreter) + "\n")
                self.run_images("./script", expect=126)
                self.assertIn(f"its interpreter {interpreter}: ", self.err)
        self.assertFalse(os.path.exists(self.path("progress.db")))

    def test_126_when_the_command_turns_out_not_to_run(self):
        self.make(*(f"d/{i}.png" for i in range(9)))
        self.make_program("no-program", "\x7fELF, and nothing else")
        self.run_images("./no-program", expect=126)
        self.assertEqual(self.counts(), (9, 0, 0, 0))

    def test_1_also_for_errors_of_an_earlier_run(self):
        self.make("d/a.png")
        self.run_images("false", expect=1)
        self.run_images("true", expect=1)


class StopTest(ToolTest):
    def test_kill_9_leaves_no_child_and_the_next_run_goes_on(self):
        process = self.start_waiting_run(script="sleep 1000 & echo $! >> runs; " + UNTIL_GO)
        self.eventually(lambda: len(self.lines("runs")) == 4)
        children = self.lines("runs")
        process.kill()
        process.wait()
        self.eventually(lambda: not any(map(self.is_running, children)), "the children's end")
        self.assertEqual(self.counts(), (2, 2, 0, 0))

        self.make("go")
        self.run_images("sh", "-c", UNTIL_GO, "sh")
        self.assertEqual(self.counts(), (0, 0, 4, 0))
        self.assertEqual(self.rows("SELECT attempts, deaths, count(*) FROM images GROUP BY 1, 2"),
                         [(1, 0, 2), (2, 1, 2)])

    def test_a_signal_stops_in_order_and_shows_how_to_go_on(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code=code):
                process = self.start_waiting_run()
                process.send_signal(number)
                self.finish(process, expect=code)
                line = re.search("to go on: (.*)\n", self.err).group(1)
                self.assertFalse(any(map(self.is_running, self.lines("runs"))))
                self.assertEqual(self.counts(), (4, 0, 0, 0))
                self.assertEqual(self.rows("SELECT sum(deaths) FROM images"), [(0,)])
                os.remove(self.path("runs"))

        self.make("go")
        subprocess.run(["bash", "-c", line], cwd=self.home, env=self.environment, check=True,
                       stderr=subprocess.DEVNULL, timeout=DEADLINE_S)
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_a_command_may_finish_when_it_is_told_to_stop(self):
        process = self.start_waiting_run(
            script="trap 'exit 0' INT; echo $$ >> runs; while :; do sleep 0.01; done")
        process.send_signal(signal.SIGINT)
        self.finish(process, expect=130)
        self.assertEqual(self.counts(), (2, 0, 2, 0))

    def test_the_second_signal_kills(self):
        process = self.start_logged_run(
            script="trap '' INT TERM; echo $$ >> runs; while :; do sleep 0.01; done")
        process.send_signal(signal.SIGTERM)
        self.wait_for_log("SIGTERM: ")
        self.assertTrue(all(map(self.is_running, self.lines("runs"))))
        process.send_signal(signal.SIGINT)
        self.finish(process, expect=143)
        self.assertFalse(any(map(self.is_running, self.lines("runs"))))
        self.assertEqual(self.counts(), (4, 0, 0, 0))

    def test_hang_up_drains(self):
        process = self.start_logged_run()
        process.send_signal(signal.SIGHUP)
        self.wait_for_log("SIGHUP: ")
        self.assertTrue(all(map(self.is_running, self.lines("runs"))))
        self.make("go")
        self.finish(process, expect=4)
        self.assertEqual(self.counts(), (2, 0, 2, 0))

    def test_a_stop_pauses_the_commands_too(self):
        # No loop of short commands: a shell that is starting one when it is stopped shows as "D".
        process = self.start_waiting_run(script="echo $$ >> runs; exec sleep 1000")
        children = self.lines("runs")

        def state(child):
            with open(f"/proc/{int(child)}/stat", encoding="utf-8") as file:
                return file.read().rpartition(") ")[2][0]

        process.send_signal(signal.SIGTSTP)
        self.eventually(lambda: all(state(child) == "T" for child in children), "the stop")
        self.eventually(lambda: state(process.pid) == "T", "the stop")
        process.send_signal(signal.SIGCONT)
        self.eventually(lambda: all(state(child) == "S" for child in children), "the end of it")
        process.send_signal(signal.SIGTERM)
        self.finish(process, expect=143)

    def test_an_interrupt_is_taken_also_where_a_script_has_it_ignored(self):
        process = self.start_waiting_run(
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.send_signal(signal.SIGINT)
        self.finish(process, expect=130)

    def test_nohup_is_respected(self):
        process = self.start_logged_run(
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)  # seen by the same thread, which shows that in the log
        self.wait_for_log("2 running")
        self.make("go")
        self.finish(process, expect=0)

    def test_a_signal_while_the_list_is_read_ends_at_once(self):
        process = self.start("run", "--job", "j", "--from", "-", "--", "true",
                             stdin=subprocess.PIPE)
        self.eventually(lambda: os.path.exists(self.path("progress.db")), "the database")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=DEADLINE_S), 130)

    def test_no_image_is_worked_on_twice_over_many_kills(self):
        self.make(*(f"d/{i}.png" for i in range(60)))
        words = ("run", "--job", "j", "--images", "d", "-j3", "--progress", "none", "--", "sh", "-c",
                 'sleep 0.02; echo "$1" >> seen', "sh")
        kills = 0
        while True:
            process = self.start(*words)
            try:
                self.assertEqual(process.wait(timeout=0.25), 0)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                self.assertLess(kills, 100)
        self.assertGreater(kills, 0)
        self.assertEqual(self.counts(), (0, 0, 60, 0))
        # An image in work at a kill may have been written just before it, never one marked before.
        started_again = self.rows("SELECT coalesce(sum(attempts - 1), 0) FROM images")[0][0]
        self.assertLessEqual(len(self.lines("seen")), 60 + started_again)
        self.assertEqual(len(set(self.lines("seen"))), 60)


class ProgressTest(ToolTest):
    def test_a_log_gets_whole_lines_and_few(self):
        self.make(*(f"d/{i}.png" for i in range(200)))
        self.run_images("true", options=("-j4",))
        self.assertNotIn("\r", self.err)
        self.assertNotIn("\x1b", self.err)
        self.assertEqual(self.err.count("\n"), 2, self.err)

    def test_json_is_one_object_a_line(self):
        self.make("d/a.png", "d/b.png")
        self.run_images("sh", "-c", "case $1 in *a*) exit 1; esac", "sh",
                        options=("--progress", "json"), expect=1)
        events = [json.loads(line) for line in self.err.splitlines()]
        self.assertEqual(events[0]["event"], "start")
        self.assertEqual(events[0]["total_images"], 2)
        self.assertIn({"event": "error", "path": "d/a.png", "message": "exit status 1"}, events)
        self.assertEqual(events[-1]["event"], "end")
        self.assertEqual(events[-1]["exit_code"], 1)
        self.assertEqual(events[-1]["run"], {"completed": 1, "error": 1, "released": 0})

    def test_none_is_silent(self):
        self.make("d/a.png")
        self.run_images("false", options=("--progress", "none"), expect=1)
        self.assertEqual(self.err, "")

    def test_sigusr1_shows_a_line(self):
        process = self.start_waiting_run()
        process.send_signal(signal.SIGUSR1)
        self.assertIn(b"4 images", process.stderr.readline())
        self.assertIn(b"0/4 0% 0 errors", process.stderr.readline())
        self.make("go")
        self.finish(process, expect=0)

    def on_terminal(self, columns, **environment):
        """What a run writes to a terminal of that width."""
        self.environment.update(environment)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start_waiting_run(images=6, stderr=theirs)
        os.close(theirs)
        written = b""
        start = time.monotonic()
        while True:
            if time.monotonic() - start > 1:
                self.make("go")
            try:
                if select.select([ours], [], [], 0.1)[0]:
                    written += os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
        os.close(ours)
        self.finish(process, expect=0)
        return written.decode()

    def test_the_bar_fits_the_terminal(self):
        for columns in (40, 120):
            with self.subTest(columns=columns):
                written = self.on_terminal(columns, TERM="xterm")
                bars = [part.replace("\x1b[K", "") for part in re.split("\r\n|\r", written)
                        if "%" in part]
                self.assertTrue(bars)
                for bar in bars:
                    self.assertLess(len(bar), columns, bar)
                    self.assertRegex(bar, r"\d/6 \d+% 0 errors")
                self.assertLessEqual(written.count("\r"), 40)
                for name in ("progress.db", "progress.db-workers", "go", "runs"):
                    os.remove(self.path(name))

    def test_no_bar_on_a_dumb_terminal(self):
        self.assertNotIn("\x1b", self.on_terminal(80, TERM="dumb"))


class StatusTest(ToolTest):
    def test_json_is_one_document_with_the_promised_fields(self):
        self.make("d/train/a.png", "d/val/b.png", "d/c.png")
        self.run_images("sh", "-c", "case $1 in *b*) exit 1; esac", "sh", expect=1)
        document = json.loads(self.tool("status", "j", "--json"))
        completed = {"pending": 0, "processing": 0, "completed": 1, "error": 0}
        self.assertEqual(document, {
            "schema_version": 1, "job": "j", "total_images": 3, "pending": 0, "processing": 0,
            "completed": 2, "error": 1, "live_workers": 0,
            "splits": {"": completed, "train": completed,
                       "val": {"pending": 0, "processing": 0, "completed": 0, "error": 1}}})
        everything = json.loads(self.tool("status", "--json"))
        self.assertEqual([job["job"] for job in everything["jobs"]], ["j"])

    def test_shows_a_table_by_split(self):
        self.make("d/train/a.png", "d/c.png")
        self.run_images("true")
        table = self.tool("status", "j").decode()
        self.assertRegex(table, r"job j: 2 of 2 images completed")
        self.assertRegex(table, r"(?m)^train +0 +0 +1 +0 +1$")
        self.assertRegex(table, r"(?m)^\(none\) +0 +0 +1 +0 +1$")
        self.assertRegex(table, r"(?m)^all +0 +0 +2 +0 +2$")

    def test_works_during_a_run_and_counts_its_worker(self):
        process = self.start_waiting_run()
        document = json.loads(self.tool("status", "j", "--json"))
        self.assertEqual(document["processing"], 2)
        self.assertEqual(document["live_workers"], 1)
        self.make("go")
        self.finish(process, expect=0)

    def test_shows_foreign_names_safely(self):
        self.make("d/\x1b[31m/a.png")
        self.run_images("true")
        self.assertNotIn(b"\x1b", self.tool("status", "j"))
        self.tool("status", "\x1b[2J", expect=3)
        self.assertNotIn("\x1b", self.err)

    def test_notices_that_its_output_cannot_be_written(self):
        self.make("d/a.png")
        self.run_images("true")
        with open("/dev/full", "wb") as full:
            self.tool("status", "j", stdout=full, expect=2)
        result = subprocess.run(["sh", "-c", f'exec "{TOOL}" status j >&-'], cwd=self.home,
                                env=self.environment, timeout=DEADLINE_S, check=False,
                                stderr=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
