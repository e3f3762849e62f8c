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
import termios
import time

import tool_support
from tool_support import DEADLINE_S, UNTIL_GO, ToolTest


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

        for soft, hard, jobs, expected in ((100, 500, 40, None),
                                           (100, 100, 12, "room for 12 commands at a time"),
                                           (67, 67, 1, "room for 1 command at a time")):
            for name in ("runs", "go", "limits", "progress.db", "progress.db-workers"):
                if os.path.exists(self.path(name)):
                    os.remove(self.path(name))
            process = self.start("run", "--job", "j", "--images", "d", "-j40", "--", "sh", "-c",
                                 "ulimit -Sn >> limits; " + UNTIL_GO, "sh",
                                 preexec_fn=limit(soft, hard))
            self.eventually(lambda: len(self.lines("runs")) == jobs, "all at work")
            self.make("go")
            self.finish(process, expect=0)
            self.assertEqual(set(self.lines("limits")), {str(soft).encode()})
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
        self.make("d/a.png", "d/b.png", "d/c.png", "d/sub/e.png")
        self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
        os.remove(self.path("d/b.png"))
        os.remove(self.path("d/sub/e.png"))
        os.rmdir(self.path("d/sub"))
        self.make("d/sub")  # a file where its directory was
        self.run_images("sh", "-c", "echo x >> seen", expect=1)
        self.assertEqual(
            self.rows("SELECT path, error_message FROM images WHERE status = 'error' ORDER BY 1"),
            [("d/b.png", "no such file"), ("d/sub/e.png", "no such file")])
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

    def test_a_list_is_one_job_however_long_it_is(self):
        # Longer than what is loaded at a time; the first path comes again when it is loaded.
        paths = [f"{i}.png" for i in range(20_001)]
        self.make("list", text="\n".join(paths + paths[:1]))
        self.tool("run", "--job", "j", "--from", "list", "--limit", "1", "-j1", "--", "true",
                  expect=4)
        self.assertEqual(self.counts(), (20_000, 0, 1, 0))

    def test_a_directory_that_cannot_be_read_is_told_and_left_out(self):
        self.make("d/a.png")
        # Its path is longer than the system takes, which is so for root too.
        deep = os.open(self.path("d"), os.O_DIRECTORY)
        for _ in range(17):
            os.mkdir("x" * 250, dir_fd=deep)
            below = os.open("x" * 250, os.O_DIRECTORY, dir_fd=deep)
            os.close(deep)
            deep = below
        os.close(deep)
        self.run_images("true")
        self.assertIn("x: cannot be read and is left out: File name too long\n", self.err)
        self.assertIn(": 1 directory left out: ", self.err)
        self.assertEqual(self.counts(), (0, 0, 1, 0))

    def test_words_too_long_for_the_system_are_that_images_fault(self):
        long = "/".join(["y" * 250] * 15)
        self.make("list", text=f"{long}\nshort\n")
        self.tool("run", "--job", "j", "--from", "list", "--", "sh", "-c", "echo >> seen",
                  "{}" * 40, expect=1)  # one word of 150 kB, of which Linux takes 128 KiB
        self.assertEqual(self.rows("SELECT error_message FROM images WHERE status = 'error'"),
                         [("the command cannot be started: Argument list too long",)])
        self.assertEqual(len(self.lines("seen")), 1)
        self.assertEqual(self.counts(), (0, 0, 1, 1))

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
        self.assertIn("no image found in d: going on with those the job has\n", self.err)
        self.tool("run", "--job", "j", "--from", "-", "--", "true", text=b"\n\n")
        self.assertIn("no image found in -: going on with those the job has\n", self.err)

    def test_works_with_standard_streams_closed(self):
        self.make(*(f"d/{i}.png" for i in range(20)))
        for command, status in (("false", 1), ("echo", 0)):
            result = subprocess.run(
                ["sh", "-c", 'exec "$0" run --job "$1" --images d -- "$1" <&- >&- 2>&-',
                 tool_support.TOOL, command],
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

    def test_2_for_a_list_that_cannot_be_read_to_its_end(self):
        # A file that can be opened, and whose first byte is an I/O error.
        self.tool("run", "--job", "j", "--from", "/proc/self/mem", "--", "true", expect=2)
        self.assertIn("progress-tracker: --from /proc/self/mem: cannot be read\n", self.err)
        self.tool("status", "j", expect=3)

    def test_126_where_not_even_the_watchdog_can_be_started(self):
        self.make("d/a.png")
        # Room for one descriptor, with which files are looked into; the watchdog's pipe takes two.
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))

        self.tool("run", "--job", "j", "--images", "d", "--", "touch", "made", preexec_fn=limit,
                  expect=126)
        self.assertIn("progress-tracker: starting the watchdog process: Too many open files\n",
                      self.err)
        self.assertEqual(os.listdir(self.home), ["d"])

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


class AdviceTest(ToolTest):
    """What the tool says to do next, and that doing it helps."""

    OLD_SCHEMA = """
        CREATE TABLE kept AS SELECT * FROM image;
        DROP TABLE image;
        DROP TABLE path;
        CREATE TABLE image (
          id INTEGER PRIMARY KEY,
          directory INTEGER NOT NULL REFERENCES directory (id),
          name ANY NOT NULL CHECK (name >= ''),
          split INTEGER NOT NULL,
          UNIQUE (directory, name)
        ) STRICT;
        INSERT INTO image SELECT * FROM kept;
        DROP TABLE kept;
        PRAGMA user_version = 1;"""  # as make_version_1_of() in tests/support.h

    def change(self, sql):
        connection = sqlite3.connect(self.path("progress.db"))
        connection.executescript(sql)
        connection.close()

    def on_a_disk_of_its_own(self, script):
        """Runs a shell script with a disk of 16 MiB, for itself only, on the directory `disk`."""
        own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount",
                                                                "--map-root-user"]
        mount = "mount -t tmpfs -o size=16m none disk"
        os.mkdir(self.path("disk"))
        try:
            can = subprocess.run([*own, "sh", "-c", mount], cwd=self.home, check=False,
                                 capture_output=True, timeout=DEADLINE_S).returncode == 0
        except FileNotFoundError:
            can = False
        if not can:
            self.skipTest("nothing can be mounted here")
        result = subprocess.run([*own, "sh", "-ec", mount + "\n" + script, "sh",
                                 tool_support.TOOL],
                                cwd=self.home, env=self.environment, check=False,
                                capture_output=True, timeout=DEADLINE_S)
        self.err = result.stderr.decode(errors="backslashreplace")
        self.assertEqual(result.returncode, 0, self.err)
        for stream in (result.stdout, result.stderr):
            self.assertIsNone(tool_support.fault_of(stream))
        return result.stdout.decode()

    def test_a_newer_schema_needs_the_newer_tool(self):
        self.make("d/a.png")
        self.run_images("true")
        self.change("PRAGMA user_version = 99")
        before = self.read("progress.db")
        for words in (("status",), ("doctor",), ("doctor", "--repair"),
                      ("run", "--job", "j", "--images", "d", "--", "true")):
            self.assertEqual(self.tool(*words, expect=6), b"")
            self.assertIn("progress.db: written by a newer version", self.err)
            self.assertIn("use the newer progress-tracker that wrote it\n", self.err)
        self.assertEqual(self.read("progress.db"), before)

    def test_an_older_schema_is_brought_up_to_date_by_what_is_named(self):
        self.make("d/a.png", "d/b.png")
        for words, counts in ((("doctor", "--repair"), (1, 0, 1, 0)),
                              (("run", "--job", "j", "--images", "d", "--", "true"), (0, 0, 2, 0))):
            self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
            self.change(self.OLD_SCHEMA)
            before = self.read("progress.db")
            for reading in (("status", "j"), ("doctor",)):
                self.assertEqual(self.tool(*reading, expect=6), b"")
                self.assertIn("progress.db: written by an earlier version", self.err)
                self.assertIn("`run` or `doctor --repair` brings it up to date\n", self.err)
            self.assertEqual(self.read("progress.db"), before)
            self.tool(*words)
            self.assertEqual(self.counts(), counts)
            self.tool("doctor")
            os.remove(self.path("progress.db"))

    def test_an_older_schema_waits_for_who_still_works_with_it(self):
        process = self.start_waiting_run()
        self.change(self.OLD_SCHEMA)
        for words in (("run", "--job", "k", "--images", "d", "--", "true"), ("doctor", "--repair")):
            self.tool(*words, expect=6)
            self.assertIn(f"process {process.pid} still works with it", self.err)
            self.assertIn("run the same command again once no other process holds the database\n",
                          self.err)
        self.assertEqual(self.rows("PRAGMA user_version"), [(1,)])
        process.kill()
        process.wait()
        self.tool("run", "--job", "k", "--images", "d", "--", "true")
        self.assertEqual(self.counts("k"), (0, 0, 4, 0))

    def test_a_database_that_was_moved_is_put_back(self):
        process = self.start_waiting_run()
        os.rename(self.path("progress.db"), self.path("away.db"))
        self.make("go")
        self.finish(process, expect=6)
        self.assertRegex(self.err, r"(?m)^progress-tracker: error: run_job: .*: completed images "
                                   r"could not be marked: .*progress\.db: the file was deleted, ")
        self.assertRegex(self.err, r"(?m)^progress-tracker: warning: close: ")
        self.assertIn("put it back before you run the same command again", self.err)
        self.assertFalse(os.path.exists(self.path("progress.db")))
        os.rename(self.path("away.db"), self.path("progress.db"))
        self.run_images("true")
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_room_on_a_full_disk_is_enough_to_go_on(self):
        self.make("few", text="a\nb\n")
        self.make("many", text="".join(f"many/{i}.png\n" for i in range(20_000)))
        out = self.on_a_disk_of_its_own("""
            add() { "$1" run --db disk/p.db --job j --from "$2" --limit 1 -j1 -- true || echo $?; }
            head -c 16000000 /dev/zero > disk/filler
            add "$1" few
            add "$1" many
            rm disk/filler
            "$1" status j --json --db disk/p.db
            add "$1" many
            "$1" status j --json --db disk/p.db
            """).splitlines()
        self.assertEqual([out[0], out[1], out[3]], ["4", "6", "4"], self.err)
        self.assertIn("disk/p.db: database or disk is full", self.err)
        self.assertIn("make room, then run the same command again\n", self.err)
        counts = [(document["pending"], document["completed"])
                  for document in (json.loads(out[2]), json.loads(out[4]))]
        self.assertEqual(counts, [(1, 1), (20_000, 2)])

    def test_what_cannot_be_written_is_made_writable(self):
        self.make("list", text="a\nb\n")
        out = self.on_a_disk_of_its_own("""
            add() { "$1" run --db disk/p.db --job j --from list --limit 1 -j1 -- true || echo $?; }
            add "$1"
            mount -o remount,bind,ro disk
            add "$1"
            mount -o remount,bind,rw disk
            add "$1"
            "$1" status j --json --db disk/p.db
            """).splitlines()
        self.assertEqual(out[:2], ["4", "6"], self.err)
        self.assertIn("disk/p.db: cannot write to its directory: Read-only file system", self.err)
        self.assertIn("make the database and its directory writable, or give another with --db\n",
                      self.err)
        self.assertEqual(json.loads(out[2])["completed"], 2)

    def test_after_a_refused_write_the_same_command_goes_on(self):
        self.make("few", text="a\nb\n")
        self.make("many", text="".join(f"many/{i:0100}.png\n" for i in range(20_000)))
        words = ("run", "--job", "j", "--limit", "1", "-j1", "--from")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        self.tool(*words, "few", "--", "true", expect=4)
        self.tool(*words, "many", "--", "true", preexec_fn=limit, expect=6)
        self.assertRegex(self.err, r"progress\.db: .*disk I/O error")
        self.assertIn("run the same command again once the cause is gone; nothing recorded is "
                      "lost\n", self.err)
        self.assertEqual(self.counts(), (1, 0, 1, 0))
        self.tool(*words, "many", "--", "true", expect=4)
        self.assertEqual(self.counts(), (20_000, 0, 2, 0))


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
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)  # seen by the same thread after it
        self.wait_for_log("2 running")
        self.assertEqual(self.read("log").count(b"SIGHUP: "), 1)
        self.assertTrue(all(map(self.is_running, self.lines("runs"))))
        self.make("go")
        self.finish(process, expect=4)
        self.assertEqual(self.counts(), (2, 0, 2, 0))

    def test_a_stop_pauses_the_commands_too(self):
        # No loop of short commands: a shell that is starting one when it is stopped shows as "D".
        process = self.start_waiting_run(script="echo $$ >> runs; exec sleep 1000")
        children = self.lines("runs")

        process.send_signal(signal.SIGTSTP)
        self.eventually(lambda: all(self.state(child) == "T" for child in children), "the stop")
        self.eventually(lambda: self.state(process.pid) == "T", "the stop")
        process.send_signal(signal.SIGCONT)
        self.eventually(lambda: all(self.state(child) == "S" for child in children), "its end")
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

    def is_pending(self, number, process):
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
            pending = re.search(r"\nShdPnd:\s+(\w+)", file.read()).group(1)
        return int(pending, 16) >> (number - 1) & 1 == 1

    def test_an_ignored_stop_is_respected(self):
        process = self.start_logged_run(
            preexec_fn=lambda: signal.signal(signal.SIGTSTP, signal.SIG_IGN))
        process.send_signal(signal.SIGTSTP)
        self.eventually(lambda: not self.is_pending(signal.SIGTSTP, process), "its end")
        process.send_signal(signal.SIGUSR1)  # answered by the thread that would have stopped it
        self.wait_for_log("2 running")
        self.assertNotIn("T", map(self.state, [process.pid, *self.lines("runs")]))
        self.make("go")
        self.finish(process, expect=0)

    def start_run_of_a_list(self, paths):
        """A run that has loaded the list's first 20,000 paths and waits for the rest."""
        process = self.start("run", "--job", "j", "--from", "-", "--limit", "1", "-j1", "--",
                             "true", stdin=subprocess.PIPE)
        process.stdin.write("".join(path + "\n" for path in paths).encode())
        process.stdin.flush()

        status = [tool_support.TOOL, "status", "j"]
        self.eventually(lambda: subprocess.run(
            status, cwd=self.home, env=self.environment, check=False, capture_output=True,
            timeout=DEADLINE_S).returncode == 0, "the job")
        return process

    def test_a_signal_while_the_list_is_read_ends_at_once(self):
        paths = [f"{i}.png" for i in range(20_001)]
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 4)):
            with self.subTest(code=code):
                process = self.start_run_of_a_list(paths)
                process.send_signal(number)
                process.wait(timeout=DEADLINE_S)  # while the list is still open
                self.finish(process, expect=code)
                self.assertEqual(self.err, f"progress-tracker: {number.name} before any image was "
                                           "started: run the same command again\n")
                self.tool("run", "--job", "j", "--from", "-", "--limit", "1", "-j1", "--", "true",
                          text="\n".join(paths).encode(), expect=4)
                self.assertEqual(self.counts(), (20_000, 0, 1, 0))
                self.assertEqual(self.rows("SELECT sum(attempts), sum(deaths) FROM images"),
                                 [(1, 0)])
                os.remove(self.path("progress.db"))

    def test_a_stop_while_the_list_is_read_loses_nothing_of_it(self):
        process = self.start_run_of_a_list(f"{i}.png" for i in range(20_000))
        process.send_signal(signal.SIGUSR1)  # there is nothing to show yet, and nothing ends
        process.send_signal(signal.SIGTSTP)
        self.eventually(lambda: self.state(process.pid) == "T", "the stop")
        process.send_signal(signal.SIGCONT)
        self.assertEqual(self.finish(process, expect=4, text=b"last.png\n"), b"")
        self.assertEqual(self.counts(), (20_000, 0, 1, 0))

    def test_the_third_signal_does_not_wait_for_the_database(self):
        # Nor for its threads, which ThreadSanitizer would call a leak.
        options = self.environment.get("TSAN_OPTIONS", "")
        self.environment["TSAN_OPTIONS"] = options + ":report_thread_leaks=0"
        process = self.start_logged_run(
            script="trap '' TERM; echo $$ >> runs; while :; do sleep 0.01; done")
        other = sqlite3.connect(self.path("progress.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # for minutes, as far as the tool can know
        process.send_signal(signal.SIGTERM)
        self.wait_for_log("SIGTERM: ")
        process.send_signal(signal.SIGTERM)
        self.eventually(lambda: not any(map(self.is_running, self.lines("runs"))), "their end")
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.finish(process, expect=143)
        other.execute("ROLLBACK")
        other.close()
        self.assertEqual(self.counts(), (2, 2, 0, 0))
        self.run_images("true")  # which takes over what was in work
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_no_image_is_worked_on_twice_over_many_kills(self):
        self.make(*(f"d/{i}.png" for i in range(60)))
        words = ("run", "--job", "j", "--images", "d", "-j3", "--progress", "none", "--", "sh", "-c",
                 'sleep 0.02; echo "$1" >> seen', "sh")
        kills = 0
        while True:
            process = self.start(*words)
            try:
                # Later each time, so that it comes to an end on a slow machine too.
                self.assertEqual(process.wait(timeout=0.25 + 0.02 * kills), 0)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        self.assertGreater(kills, 0)
        self.assertEqual(self.counts(), (0, 0, 60, 0))
        # An image in work at a kill may have been written just before it, never one marked before.
        started_again = self.rows("SELECT coalesce(sum(attempts - 1), 0) FROM images")[0][0]
        self.assertLessEqual(len(self.lines("seen")), 60 + started_again)
        self.assertEqual(len(set(self.lines("seen"))), 60)


class ProgressTest(ToolTest):
    def test_a_log_gets_whole_lines_and_few(self):
        self.make(*(f"d/{i}.png" for i in range(200)))
        begun = time.monotonic()
        self.run_images("true", options=("-j4",))
        seconds = time.monotonic() - begun
        self.assertNotIn("\r", self.err)
        self.assertNotIn("\x1b", self.err)
        self.assertTrue(self.err.endswith("\n"), self.err)
        # The first and the last, and one each 30 s between them.
        self.assertGreaterEqual(self.err.count("\n"), 2, self.err)
        self.assertLessEqual(self.err.count("\n"), 2 + seconds // 30, self.err)

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

    def test_json_is_all_there_is_also_where_the_library_logs(self):
        self.make("d/a.png")
        self.make("progress.db-wal", text="what a database that was moved away left")
        self.run_images("true", options=("--progress", "json", "--log-level", "debug"))
        notes = [event["message"] for event in map(json.loads, self.err.splitlines())
                 if event["event"] == "note"]
        self.assertTrue(any(note.startswith("log: ") and "create_job" in note for note in notes))
        warnings = [note for note in notes if note.startswith("warning: ")]
        self.assertEqual(len(warnings), 1, warnings)
        self.assertTrue(warnings[0].endswith("/progress.db-wal-lost-1"), warnings)
        self.assertEqual(self.read("progress.db-wal-lost-1"),
                         b"what a database that was moved away left")

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

    def on_terminal(self, columns, term, is_enough, signals=()):
        """What a run writes to such a terminal, and in how many seconds.

        It gets `signals` when it works, and may end when `is_enough` says so of what it has written.
        """
        self.environment["TERM"] = term
        begun = time.monotonic()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start_waiting_run(images=6, stderr=theirs)
        os.close(theirs)
        for number in signals:
            process.send_signal(number)
        written = b""
        while True:
            if is_enough(written):
                self.make("go")
            self.assertLess(time.monotonic() - begun, 2 * DEADLINE_S, written)
            try:
                if select.select([ours], [], [], 0.1)[0]:
                    written += os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
        os.close(ours)
        self.finish(process, expect=0)
        self.assertIsNone(tool_support.fault_of(written, drawn=True))
        return written.decode(), time.monotonic() - begun

    def test_the_bar_fits_the_terminal(self):
        for told in (40, 120, 0):
            columns = told or 80  # some terminals do not tell
            with self.subTest(columns=told):
                written, seconds = self.on_terminal(
                    told, "xterm", lambda written: written.count(b"%") >= 3)
                bars = [part.replace("\x1b[K", "") for part in re.split("\r\n|\r", written)
                        if "%" in part]
                self.assertTrue(bars)
                for bar in bars:
                    self.assertLess(len(bar), columns, bar)
                    self.assertRegex(bar, r"\d/6 \d+% 0 errors")
                self.assertLessEqual(written.count("\r"), 10 + 10 * seconds)
                for name in ("progress.db", "progress.db-workers", "go", "runs"):
                    os.remove(self.path(name))

    def test_no_bar_on_a_dumb_terminal(self):
        written, _ = self.on_terminal(80, "dumb", lambda written: b"running" in written,
                                      signals=(signal.SIGUSR1,))
        self.assertNotIn("\x1b", written)


class StatusTest(ToolTest):
    def test_json_is_one_document_with_the_promised_fields(self):
        self.make("d/train/a.png", "d/val/b.png", "d/c.png")
        self.run_images("sh", "-c", "case $1 in *b*) exit 1; esac", "sh", expect=1)
        document = json.loads(self.tool("status", "j", "--json"))
        completed = {"pending": 0, "processing": 0, "completed": 1, "error": 0}
        self.assertEqual(document, {
            "schema_version": 1, "job": "j", "total_images": 3, "pending": 0, "processing": 0,
            "completed": 2, "error": 1, "live_workers": 0, "images_per_s": None, "eta_s": None,
            "eta_low_s": None, "eta_high_s": None,
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

    def test_shows_a_table_of_all_jobs(self):
        self.make("d/a.png")
        for job, command, code in (("first", "true", 0), ("größere", "false", 1)):
            self.tool("run", "--job", job, "--images", "d", "--", command, expect=code)
        self.assertEqual(self.tool("status").decode(), """\
job      pending  processing  completed  error  total
first          0           0          1      0      1
größere        0           0          0      1      1

live workers of this database: 0
""")

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
        result = subprocess.run(["sh", "-c", 'exec "$0" status j >&-', tool_support.TOOL],
                                cwd=self.home, env=self.environment, timeout=DEADLINE_S, check=False,
                                stderr=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    tool_support.main()
