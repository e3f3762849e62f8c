"""The tool in a terminal, as a person sees it: terminal_test.py PATH_OF_PROGRESS_TRACKER."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import tool_support
from screen import Terminal
from tool_support import DEADLINE_S, UNTIL_GO, ToolTest

WIDTHS = (40, 80, 200)
BAR = re.compile(r"\d+/\d+ \d+% \d+ errors?")

# The images whose names begin with "now" are done at once; the others wait for the file `go`.
NOW_OR_UNTIL_GO = f'case "$1" in */now*) exit;; esac; {UNTIL_GO}'


class TerminalTest(ToolTest):
    def setUp(self):
        super().setUp()
        for name in ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR"):
            self.environment.pop(name, None)
        self.environment["TERM"] = "xterm"

    # ---- Verbs -----------------------------------------------------------------------------

    def open(self, *words, **options):
        """The tool in a terminal of its own."""
        return self.open_program([tool_support.TOOL, *words], **options)

    def open_program(self, words, **options):
        terminal = Terminal(words, cwd=self.home, env=self.environment, **options)

        def end():
            terminal.close()
            terminal.process.kill()
            terminal.process.wait()

        self.addCleanup(end)
        return terminal

    def until(self, terminal, condition, what="it"):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > end or not terminal.pump(0.02):
                terminal.pump()
                self.assertTrue(condition(), f"{what} never came:\n{terminal.screen.text()}")

    def end(self, terminal, expect=0):
        """Everything has been written, and the process has ended."""
        end = time.monotonic() + DEADLINE_S
        while terminal.pump(0.1):
            self.assertLess(time.monotonic(), end, terminal.screen.text())
        self.assertEqual(terminal.process.wait(timeout=DEADLINE_S), expect, terminal.screen.text())

    def start_run(self, *options, images=(), waiting=4, script=UNTIL_GO, jobs=2, **terminal):
        """A run in a terminal whose commands wait for the file `go`."""
        self.make(*images, *(f"d/{i}.png" for i in range(waiting)))
        run = self.open("run", "--job", "j", "--images", "d", f"-j{jobs}", *options, "--", "sh",
                        "-c", script, "sh", **terminal)
        self.until(run, lambda: len(self.lines("runs")) >= min(jobs, waiting), "the commands")
        return run

    def bars(self, terminal):
        return [line for line in terminal.screen.all()
                if BAR.search(line) and not line.startswith("progress-tracker: ")]

    def forget(self, *names):
        for name in ("progress.db", "progress.db-workers", "runs", "go", "ended", *names):
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))

    def are_running(self):
        return [self.is_running(child) for child in self.lines("runs")]


class BarTest(TerminalTest):
    def test_shows_what_fits(self):
        range_or_guess = r"(~\d+:\d\d|\d+:\d\d-\d+:\d\d)"
        everything = (r"\[=+> *\] 10/12 83% 0 errors [\d.]+/\w+ \d+:\d\d eta "
                      + range_or_guess + " 2 running")
        for columns, bar in ((40, rf"10/12 83% 0 errors eta {range_or_guess}"),
                             (80, everything), (200, everything)):
            with self.subTest(columns=columns):
                run = self.start_run("--progress", "auto", columns=columns, waiting=2, jobs=3,
                                     script=NOW_OR_UNTIL_GO,
                                     images=[f"d/now{i}.png" for i in range(10)])
                self.until(run, lambda: re.fullmatch(bar, run.screen.seen()[-1]), bar)
                self.assertEqual(run.screen.seen(), self.bars(run))
                self.assertEqual(run.screen.wraps, 0)
                self.make("go")
                self.end(run)
                self.assertEqual(self.bars(run), [])
                self.assertIn("12 of 12 images completed", "".join(run.screen.all()))
                self.forget()

    def test_what_commands_write_stands_in_whole_lines_above_it(self):
        script = 'echo $$ >> runs; printf "begin %s, " "$1"; echo end; printf "no end"; ' + UNTIL_GO
        for options in ((), ("--json",)):
            with self.subTest(options=options):
                run = self.start_run(*options, script=script)
                self.until(run, lambda: len(self.bars(run)) == 1 and
                           sum("end" in line for line in run.screen.seen()) == 2)
                self.make("go")
                self.end(run)
                lines = run.screen.all()
                for i in range(4):
                    self.assertEqual(lines.count(f"begin d/{i}.png, end"), 1, lines)
                self.assertEqual(lines.count("no end"), 4)
                self.assertEqual(self.bars(run), [])
                self.forget()

    def test_without_a_bar_commands_have_the_terminal_themselves(self):
        self.make("d/0.png")
        run = self.open("run", "--job", "j", "--images", "d", "--progress", "plain", "--", "sh",
                        "-c", "test -t 1 && echo a terminal")
        self.end(run)
        self.assertIn("a terminal", run.screen.all())

    def test_is_one_line_at_each_width_and_after_each_change_of_it(self):
        run = self.start_run(columns=200)
        for columns in (80, 40, 20, 6, 40, 200, 80):
            run.resize(24, columns)
            before = len(run.written)
            self.until(run, lambda: len(run.written) > before, "a redraw")
            self.until(run, lambda: len(run.screen.lines) == 1)
            self.assertLess(len(run.screen.seen()[0]), columns)
            self.assertEqual(run.screen.wraps, 0)
        self.until(run, lambda: re.search(r"0/4 0% 0 errors", run.screen.seen()[0]))
        self.assertEqual(run.screen.above, [])
        self.make("go")
        self.end(run)

    def test_is_drawn_at_most_ten_times_a_second(self):
        self.make(*(f"d/{i}.png" for i in range(500)))
        run = self.open("run", "--job", "j", "--images", "d", "-j2", "--", "true")
        self.end(run)
        drawn = len(BAR.findall(run.written))
        self.assertGreater(drawn, 1)
        self.assertLessEqual(drawn, 2 + 10 * (time.monotonic() - run.began))

    def test_lines_appear_whole_above_it(self):
        for columns in WIDTHS:
            with self.subTest(columns=columns):
                why = "why " * 30
                run = self.start_run(
                    "--log-level", "debug", columns=columns, waiting=2, jobs=3,
                    images=[f"d/bad{i}.png" for i in range(3)],
                    script=f'case "$1" in *bad*) echo {why} >&2; exit 3;; esac; {UNTIL_GO}')
                text = lambda: "".join(line.ljust(columns) for line in run.screen.all())
                for i in range(3):
                    line = f"progress-tracker: error: d/bad{i}.png: exit status 3: {why.strip()}"
                    self.until(run, lambda line=line: line in text(), line)
                self.until(run, lambda: "3/5 60% 3 errors" in run.screen.seen()[-1], "the bar")
                run.process.send_signal(signal.SIGUSR1)
                self.until(run, lambda: "progress-tracker: 3/5 60% 3 errors" in text(), "a note")
                self.until(run, lambda: BAR.search(run.screen.seen()[-1]), "the bar")
                self.assertRegex(text(), "progress-tracker: log: . ProgressTracker.create_job "
                                         "enter +progress-tracker: ")
                self.assertEqual(len(self.bars(run)), 1, run.screen.text())
                self.make("go")
                self.end(run, expect=1)
                self.assertEqual(self.bars(run), [], run.screen.text())
                self.forget()

    def test_a_hostile_name_moves_nothing(self):
        name = b"d/\x1b[2J\x1b[H\r\n\x9b3A\xe2\x80\xae\x1b]0;t\x07.png"
        os.makedirs(self.path("d"))
        with open(self.path(name), "wb"):
            pass
        run = self.start_run(columns=200, waiting=2, jobs=3,
                             script="case $1 in *t*.png) printf '\\033[5A\\rx' >&2; exit 1;; esac; "
                                    + UNTIL_GO)
        shown = r"d/\x1B[2J\x1B[H\x0D\n\x9B3A\u{202E}\x1B]0;t\x07.png: exit status 1: \x1B[5A\x0Dx"
        self.until(run, lambda: f"progress-tracker: error: {shown}" in run.screen.seen(), shown)
        self.make("go")
        self.end(run, expect=1)
        self.assertNotIn("\u202e", run.written)

    def test_says_how_far_the_list_has_been_read(self):
        words = ("run", "--job", "j", "--from", "-", "--limit", "1", "-j1", "--", "true")
        for columns in WIDTHS:
            with self.subTest(columns=columns):
                run = self.open(*words, streams="12", stdin=subprocess.PIPE, columns=columns)
                for found in (0, 20_000, 40_000):
                    self.until(run, lambda n=found: run.screen.seen() == [f"scanning… {n} found"],
                               f"{found} found")
                    if found < 40_000:
                        paths = "".join(f"{found + i}.png\n" for i in range(20_000))
                        run.process.stdin.write(paths.encode())
                        run.process.stdin.flush()
                run.process.stdin.close()
                self.end(run, expect=4)
                self.assertNotIn("scanning", run.screen.text())
                self.forget()

    def test_each_stream_is_looked_at_for_itself(self):
        run = self.start_run(streams="02", stdout=subprocess.DEVNULL)
        self.until(run, lambda: self.bars(run), "the bar")
        self.make("go")
        self.end(run)
        self.forget()

        with open(self.path("log"), "wb") as log:
            run = self.start_run(streams="01", stderr=log)
        self.make("go")
        self.end(run)
        self.assertEqual(run.written, "")
        self.assertNotRegex(self.read("log"), rb"[\r\x1b]")
        self.assertEqual(len(self.lines("log")), 2)

    def test_none_where_it_would_be_no_use(self):
        for variables in ({"CI": "true"}, {"TERM": "dumb"}):
            with self.subTest(**variables):
                before = dict(self.environment)
                self.environment.update(variables)
                run = self.start_run(columns=200)
                self.until(run, lambda: "4 images" in run.written, "the first line")
                self.make("go")
                self.end(run)
                self.assertNotIn("\x1b", run.written)
                self.assertNotIn("\r", run.written.replace("\r\n", ""))
                self.assertEqual(len(run.written.splitlines()), 2, run.written)
                self.environment = before
                self.forget()

    def test_can_be_asked_for_where_it_would_not_be_chosen(self):
        self.environment["CI"] = "true"
        run = self.start_run("--progress", "bar")
        self.until(run, lambda: self.bars(run), "the bar")
        self.make("go")
        self.end(run)


class ColorTest(TerminalTest):
    CASES = (  # words, variables, on a terminal, in a pipe
        ((), {}, True, False),
        ((), {"TERM": "dumb"}, False, False),
        ((), {"NO_COLOR": "1"}, False, False),
        ((), {"NO_COLOR": ""}, True, False),
        ((), {"CLICOLOR_FORCE": "1"}, True, True),
        ((), {"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ((), {"FORCE_COLOR": "0"}, True, False),
        ((), {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True, True),
        (("--color", "never"), {"CLICOLOR_FORCE": "1"}, False, False),
        (("--color", "auto"), {}, True, False),
    )

    def setUp(self):
        super().setUp()
        self.make("d/a.png", "d/b.png")
        self.run_images("sh", "-c", "case $1 in *a*) exit 1; esac", "sh", expect=1)

    def test_follows_flag_environment_and_stream_in_this_order(self):
        plain = self.tool("status", "j").decode()
        for words, variables, on_terminal, in_pipe in self.CASES:
            with self.subTest(words=words, **variables):
                before = dict(self.environment)
                self.environment.update(variables)
                piped = self.tool("status", "j", *words, drawn=True).decode()
                self.assertEqual("\x1b" in piped, in_pipe)
                self.assertEqual(re.sub("\x1b\\[[0-9;]*m", "", piped), plain)
                status = self.open("status", "j", *words)
                self.end(status)
                self.assertEqual(status.screen.painted != [], on_terminal)
                self.assertEqual(status.screen.color, "")  # the prompt has none
                self.assertEqual(status.screen.seen()[:-1], plain.splitlines())
                self.environment = before

    def test_paints_what_is_done_green_and_what_failed_red(self):
        status = self.open("status", "j")
        self.end(status)
        self.assertEqual({color for color, _ in status.screen.painted}, {"31", "32"})

    def test_looks_at_standard_output_also_where_standard_error_is_a_terminal(self):
        status = self.open("status", "j", streams="02", stdout=subprocess.PIPE)
        out = status.process.stdout.read()
        status.process.stdout.close()
        self.end(status)
        self.assertIn(b"1 of 2 images completed", out)
        self.assertNotIn(b"\x1b", out)


class WatchTest(TerminalTest):
    def frames(self, watch):
        return watch.written.count("\x1b[J")

    def until_frames(self, watch, more=3):
        """So many that were begun after now are on the screen."""
        watch.pump()
        wanted = self.frames(watch) + 1 + more
        self.until(watch, lambda: self.frames(watch) >= wanted, "a frame")

    def start_waiting_job(self, job, *names):
        self.make(*names)
        process = self.start("run", "--job", job, "--images", os.path.dirname(names[0]), "-j1",
                             "--", "sh", "-c", UNTIL_GO, "sh")
        begun = len(self.lines("runs"))
        self.eventually(lambda: len(self.lines("runs")) > begun, "the command")
        return process

    def tables(self, watch):
        return [line for line in watch.screen.all()
                if re.match(r"(split|job) +(pending|…)", line)]

    def test_redraws_one_table_and_leaves_the_final_figures(self):
        for columns in WIDTHS:
            with self.subTest(columns=columns):
                run = self.start_waiting_run()
                watch = self.open("status", "j", "--watch", "--interval", "0.02", columns=columns)
                self.until_frames(watch, more=5)
                self.assertEqual(len(self.tables(watch)), 1, watch.screen.text())
                self.assertEqual(watch.screen.seen()[0], "job j: 0 of 4 images completed")
                self.make("go")
                self.finish(run, expect=0)
                self.end(watch)
                self.assertEqual(len(self.tables(watch)), 1, watch.screen.text())
                self.assertEqual(watch.screen.seen()[0], "job j: 4 of 4 images completed")
                self.assertEqual(watch.screen.wraps, 0)
                self.assertEqual(watch.screen.row, len(watch.screen.lines) - 1)  # below the table
                self.assertEqual(watch.screen.column, 0)
                self.forget()

    def test_cuts_names_that_are_longer_than_the_terminal(self):
        for name in ("n" * 250, "画" * 80, "e\u0301" * 80, "\U0001f600" * 60):
            self.make("d/a.png")
            self.tool("run", "--job", name, "--images", "d", "--", "true")
        run = self.start_waiting_job("j", "e/a.png")
        for columns in WIDTHS:
            with self.subTest(columns=columns):
                watch = self.open("status", "--watch", "--interval", "0.02", columns=columns)
                self.until_frames(watch)
                self.assertEqual(watch.screen.wraps, 0, watch.screen.text())
                self.assertEqual(len(self.tables(watch)), 1, watch.screen.text())
                self.assertEqual(sum(line.endswith("…") for line in watch.screen.seen()), 6,
                                 watch.screen.text())
        self.make("go")
        self.finish(run, expect=0)

    def test_shows_as_much_as_there_are_rows_and_all_of_it_at_the_end(self):
        for i in range(20):
            self.make("d/a.png")
            self.tool("run", "--job", f"job{i:02}", "--images", "d", "--", "true")
        run = self.start_waiting_job("waits", "e/a.png")
        watch = self.open("status", "--watch", "--interval", "0.02", rows=10)
        self.until_frames(watch)
        self.assertEqual(watch.screen.above, [])
        self.assertEqual(len(self.tables(watch)), 1)
        self.assertRegex(watch.screen.seen()[7], r"^job06 ")
        self.assertEqual(watch.screen.seen()[8:], ["… 16 more lines", ""])
        self.make("go")
        self.finish(run, expect=0)
        self.end(watch)
        self.assertEqual(len(self.tables(watch)), 1)
        jobs = [line for line in watch.screen.all() if re.match("(job[01]|waits)", line)]
        self.assertEqual(len(jobs), 21, watch.screen.text())
        self.assertRegex(watch.screen.seen()[-2], "^live workers of this database: [01]$")

    def test_follows_the_size_of_the_terminal(self):
        run = self.start_waiting_run(images=30)
        watch = self.open("status", "j", "--watch", "--interval", "0.02")
        self.until_frames(watch)
        for rows, columns in ((24, 40), (4, 40), (24, 200), (6, 20), (24, 80), (1, 1), (24, 80)):
            watch.resize(rows, columns)
            self.until_frames(watch)
            self.assertEqual(watch.screen.wraps, 0, f"{rows} {columns}")
            self.assertLessEqual(len(watch.screen.lines), rows)
            visible = [line for line in watch.screen.seen() if line.startswith("split")]
            self.assertLessEqual(len(visible), 1, watch.screen.text())
        self.assertEqual(watch.screen.seen()[0], "job j: 0 of 30 images completed")
        self.make("go")
        self.finish(run, expect=0)
        self.end(watch)
        self.assertEqual(watch.screen.seen()[0], "job j: 30 of 30 images completed")

    def test_ends_with_the_interrupt_key(self):
        run = self.start_waiting_run()
        watch = self.open("status", "j", "--watch", "--interval", "0.02")
        self.until_frames(watch)
        watch.type(b"\x03")
        self.end(watch, expect=-signal.SIGINT)
        self.assertEqual(len(self.tables(watch)), 1)
        self.assertIsNone(run.poll())
        self.make("go")
        self.finish(run, expect=0)


class KeyTest(TerminalTest):
    IGNORES = "trap '' INT TERM; echo $$ >> runs; while :; do sleep 0.01; done"

    def test_the_interrupt_key_stops_in_order(self):
        for columns in WIDTHS:
            with self.subTest(columns=columns):
                run = self.start_run(columns=columns)
                self.until(run, lambda: self.bars(run), "the bar")
                run.type(b"\x03")
                self.end(run, expect=130)
                text = "".join(line.ljust(columns) for line in run.screen.all())
                self.assertIn("progress-tracker: SIGINT: stopping; once more to kill what runs",
                              text)
                self.assertIn("progress-tracker: to go on: ", text)
                self.assertEqual(self.bars(run), [], run.screen.text())
                self.assertEqual(self.are_running(), [False, False])
                self.assertEqual(self.counts(), (4, 0, 0, 0))
                self.forget()

    def test_the_interrupt_key_twice_kills(self):
        run = self.start_run(script=self.IGNORES)
        run.type(b"\x03")
        self.until(run, lambda: "SIGINT: " in run.written, "the first")
        self.assertEqual(self.are_running(), [True, True])
        run.type(b"\x03")
        self.end(run, expect=130)
        self.assertEqual(self.are_running(), [False, False])
        self.assertEqual(self.counts(), (4, 0, 0, 0))

    def test_the_quit_key_leaves_no_child(self):
        run = self.start_run(script=self.IGNORES)
        run.type(b"\x1c")
        self.assertEqual(run.process.wait(timeout=DEADLINE_S), -signal.SIGQUIT)
        self.eventually(lambda: not any(self.are_running()), "the children's end")
        self.make("go")
        self.run_images("true")
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_a_closed_terminal_drains(self):
        run = self.start_run()
        run.close()
        self.eventually(lambda: self.has_taken_hang_up(run.process.pid), "the signal")
        self.assertEqual(self.are_running(), [True, True])
        self.make("go")
        self.assertEqual(run.process.wait(timeout=DEADLINE_S), 4)
        self.assertEqual(self.counts(), (2, 0, 2, 0))
        self.assertEqual(len(self.lines("runs")), 2)

    def has_taken_hang_up(self, process):
        """The signal is pending nowhere, and no thread has anything to do."""
        for _ in range(3):
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/status", encoding="utf-8") as file:
                    fields = dict(line.split(":", 1) for line in file)
                pending = int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)
                if pending >> (signal.SIGHUP - 1) & 1 or fields["State"].split()[0] != "S":
                    return False
        return True

    def shell(self, **options):
        """An interactive shell, which has jobs as a person's has."""
        self.environment["PS1"] = "ready> "
        shell = self.open_program(["bash", "--norc", "--noprofile", "--noediting", "-i"], **options)
        self.until(shell, lambda: shell.screen.seen()[-1].startswith("ready>"), "the prompt")
        return shell

    def test_the_stop_key_pauses_and_fg_goes_on(self):
        self.make(*(f"d/{i}.png" for i in range(4)))
        shell = self.shell(columns=200)
        script = f"echo $$ >> runs; exec {shlex.quote(sys.executable)} wait.py"
        self.make("wait.py",
                  text="import os, time\nwhile not os.path.exists('go'): time.sleep(.01)\n")
        line = shlex.join([tool_support.TOOL, "run", "--job", "j", "--images", "d", "-j2", "--json",
                           "--", "sh", "-c", script])
        before = time.monotonic()
        shell.type(f"{line} > out; echo code $?\n".encode())
        self.until(shell, lambda: self.bars(shell), "the bar")
        self.until(shell, lambda: len(self.lines("runs")) == 2, "the commands")
        children = self.lines("runs")

        shell.type(b"\x1a")
        self.until(shell, lambda: "Stopped" in shell.screen.text(), "the stop")
        stopped = time.monotonic()
        self.until(shell, lambda: shell.screen.seen()[-1].startswith("ready>"), "the prompt")
        self.eventually(lambda: [self.state(child) for child in children] == ["T", "T"])
        self.make("go")  # which nobody sees yet
        # Not a wait for something to happen: the time that must not be counted.
        self.until(shell, lambda: time.monotonic() > stopped + 1.5)
        self.assertEqual([self.state(child) for child in children], ["T", "T"])
        self.assertEqual(self.lines("out"), [])
        shell.type(b"fg\n")
        paused = time.monotonic() - stopped
        self.eventually(lambda: self.lines("out"), "the end")
        whole = time.monotonic() - before
        document = json.loads(self.read("out"))
        self.assertEqual(document["completed"], 4)
        self.assertLessEqual(document["elapsed_s"], whole - paused + 0.1)
        self.until(shell, lambda: shell.screen.seen()[-1].startswith("ready>"), "the prompt")
        self.assertEqual(len(self.bars(shell)), 1, shell.screen.text())  # that of the stop

        shell.type(b"exit\n")
        self.end(shell)

    def test_the_interrupt_key_gives_the_shell_its_prompt_back(self):
        self.make(*(f"d/{i}.png" for i in range(4)))
        shell = self.shell(columns=200)
        shell.type(shlex.join([tool_support.TOOL, "run", "--job", "j", "--images", "d", "-j2", "--",
                               "sh", "-c", UNTIL_GO, "sh"]).encode() + b"\n")
        self.until(shell, lambda: self.bars(shell), "the bar")
        self.until(shell, lambda: len(self.lines("runs")) == 2, "the commands")
        shell.type(b"\x03")
        self.until(shell, lambda: shell.screen.seen()[-1].startswith("ready>"), "the prompt")
        shell.type(b"echo code $?\n")
        self.until(shell, lambda: "code 130" in shell.screen.seen(), "the code")
        self.assertEqual(self.are_running(), [False, False])
        self.assertEqual(self.bars(shell), [])

    def test_a_closed_terminal_drains_under_a_shell_too(self):
        self.make(*(f"d/{i}.png" for i in range(4)))
        shell = self.shell()
        shell.type(shlex.join([tool_support.TOOL, "run", "--job", "j", "--images", "d", "-j2", "--",
                               "sh", "-c", UNTIL_GO, "sh"]).encode() + b"\n")
        self.until(shell, lambda: len(self.lines("runs")) == 2, "the commands")
        with open(f"/proc/{int(self.lines('runs')[0])}/status", encoding="utf-8") as file:
            tool = int(re.search(r"PPid:\s*(\d+)", file.read()).group(1))
        shell.close()
        shell.process.wait(timeout=DEADLINE_S)
        self.eventually(lambda: self.has_taken_hang_up(tool), "the signal")
        self.assertEqual(self.are_running(), [True, True])
        self.make("go")
        self.eventually(lambda: json.loads(self.tool("status", "j", "--json"))["live_workers"] == 0,
                        "the end")
        self.assertEqual(self.counts(), (2, 0, 2, 0))


if __name__ == "__main__":
    tool_support.main()
