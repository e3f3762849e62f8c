"""What the tests of the tool share: ToolTest, whose verbs run it, and main(), which runs the tests.

Each program of tests is called as PROGRAM PATH_OF_PROGRESS_TRACKER [unittest options].
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = ""
DEADLINE_S = 60  # for what should take no time at all

# Says that it runs, then waits until it may end.
UNTIL_GO = 'echo $$ >> runs; while [ ! -e go ]; do sleep 0.01; done; echo "$1" >> ended'


# Variables of the caller's that the tool, or a program beside it, looks at.
NOT_TAKEN_OVER = ("CI", "LANGUAGE", "NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR")

# What moves the cursor of a bar or a frame, clears behind it, or colours a text.
DRAWING = re.compile(rb"\r|\x1b\[(?:K|J|[0-9]+A|[0-9;]*m)")

# All controls but the line break, and what starts a new line or reorders the text around it.
HOSTILE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def fault_of(text, drawn=False):
    """What no terminal should be given in these bytes, with what stands around it; or None."""
    if drawn:
        text = DRAWING.sub(b"", text)
    try:
        found = HOSTILE.search(text.decode())
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error}"
    return found and repr(found.string[max(0, found.start() - 40):found.end() + 40])


def is_output_of_commands(words):
    """Whether what comes on standard output is written by the commands of a run."""
    own = words[:words.index("--")] if "--" in words else words
    return "run" in own and "--json" not in own and "--dry-run" not in own


class ToolTest(unittest.TestCase):
    # Every byte that the tool writes is looked at: see check_output().

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="progress-tracker-")
        self.addCleanup(directory.cleanup)
        self.home = directory.name
        self.environment = dict(os.environ)
        for name in list(self.environment):
            if name.startswith("PROGRESS_TRACKER_") or name in NOT_TAKEN_OVER:
                del self.environment[name]
        self.environment["LC_ALL"] = "C.UTF-8"  # so that a shell's own words are in English

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

    def check_output(self, process, out, err, drawn=False, foreign=()):
        """Fails for what no terminal should be given.

        `drawn`: a bar, a frame or colour is expected. `foreign`: "out" or "err", where commands
        write what they like.
        """
        words = process.args[1:]
        if out and "out" not in foreign and not is_output_of_commands(words):
            self.assertIsNone(fault_of(out, drawn), f"standard output of {words}")
        if err and "err" not in foreign:
            self.assertIsNone(fault_of(err, drawn), f"standard error of {words}")

    def tool(self, *words, expect=0, text=b"", drawn=False, foreign=(), **options):
        process = self.start(*words, stdin=subprocess.PIPE, **options)
        return self.finish(process, expect, text, drawn, foreign) or b""

    def run_images(self, *command, expect=0, options=()):
        return self.tool("run", "--job", "j", "--images", "d", *options, "--", *command,
                         expect=expect)

    def finish(self, process, expect, text=None, drawn=False, foreign=()):
        out, err = process.communicate(text, timeout=DEADLINE_S)
        self.err = (err or b"").decode(errors="backslashreplace")
        self.assertEqual(process.returncode, expect, self.err)
        self.check_output(process, out, err, drawn, foreign)
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

    def state(self, process):
        """As /proc has it; X: there is no such process."""
        try:
            with open(f"/proc/{int(process)}/stat", encoding="utf-8", errors="replace") as file:
                return file.read().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):  # or gone once it was opened
            return "X"

    def is_running(self, process):
        return self.state(process) not in "ZX"

    def start_waiting_run(self, images=4, jobs=2, script=UNTIL_GO, **options):
        """A run whose commands wait for the file `go`."""
        self.make(*(f"d/{i}.png" for i in range(images)))
        process = self.start("run", "--job", "j", "--images", "d", "-j", str(jobs), "--", "sh", "-c",
                             script, "sh", **options)
        self.eventually(lambda: len(self.lines("runs")) >= jobs, "the commands")
        return process

    def start_logged_run(self, **options):
        """The same, with its standard error in the file `log`."""
        self.addCleanup(lambda: self.assertIsNone(fault_of(self.read("log")), "the log"))
        with open(self.path("log"), "wb") as log:
            return self.start_waiting_run(stderr=log, **options)

    def wait_for_log(self, text):
        self.eventually(lambda: text.encode() in self.read("log"), text)


def main():
    global TOOL  # pylint: disable=global-statement
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
