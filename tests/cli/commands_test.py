"""The commands around `run`, and its newer options, as users meet them:
commands_test.py PATH_OF_PROGRESS_TRACKER [unittest options]."""

import base64
import csv
import io
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import threading

import tool_support
from tool_support import DEADLINE_S, ToolTest

# A file name with everything in it that a terminal, a shell, CSV and JSON stumble over.
HOSTILE_NAME = b"\x1b[2J\xe2\x80\xae\xff,\"'\\\t\n.png"

# Waits for `go`, but only with these images.
HOLD = 'case $1 in *hold*) echo x >> held; while [ ! -e go ]; do sleep 0.01; done;; esac'

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? '
                    r'(-?[0-9][0-9.e+-]*)')


def samples(text):
    """What a metrics file says, by name and labels. ValueError: it is not whole or not valid."""
    found = {}
    head = None
    if not text.endswith("\n"):
        raise ValueError("cut off")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            head = line.split()[2]
        elif not line.startswith("# HELP "):
            sample = SAMPLE.fullmatch(line)
            if not sample or sample.group(1) != head:
                raise ValueError(line)
            found[line.rpartition(" ")[0]] = float(sample.group(3))
    return found


class CommandsTest(ToolTest):
    # ---- Verbs -----------------------------------------------------------------------------

    def type(self, line):
        """What this line of the tool's shows, typed into a shell."""
        return subprocess.run(["bash", "-c", line], cwd=self.home, env=self.environment, check=True,
                              capture_output=True, timeout=DEADLINE_S).stdout

    def make_hostile(self, name=HOSTILE_NAME):
        os.makedirs(self.path("d"), exist_ok=True)
        with open(self.path(b"d/" + name), "wb"):
            pass

    def document(self, *words, **options):
        text = self.tool(*words, **options).decode()
        self.assertEqual(text.count("\n"), 1, text)
        document = json.loads(text)
        self.assertEqual(document["schema_version"], 1)
        return document

    def events(self):
        """The lines of --progress json, of which there is nothing else."""
        return [json.loads(line) for line in self.err.splitlines()]

    def fail_by_name(self, options=(), expect=1):
        """Runs a job `j` in which an image fails if its name says so."""
        return self.run_images("sh", "-c", 'case $1 in *bad*) echo "why $1" >&2; exit 3;; esac',
                               "sh", options=options, expect=expect)

    def start_holding_run(self, *options, jobs=2, **more):
        """A run that is done with all images but those whose name says that they hold."""
        process = self.start("run", "--job", "j", "--images", "d", "-j", str(jobs), *options, "--",
                             "sh", "-c", HOLD, "sh", **more)
        holding = sum("hold" in name for _, _, names in os.walk(os.path.join(self.home, "d"))
                      for name in names)
        self.eventually(lambda: len(self.lines("held")) == min(holding, jobs), "the last images")
        return process

    def die(self):
        """A run that is killed with two images in work."""
        process = self.start_waiting_run()
        process.kill()
        process.wait()
        self.eventually(lambda: not any(map(self.is_running, self.lines("runs"))), "their end")

    def wait_for_looks(self, process, count=10):
        """Waits until a watch has slept that often."""
        def sleeps():
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", file.read()).group(1))

        before = sleeps()
        self.eventually(lambda: sleeps() >= before + count, "a look")

    def everything(self):
        """All files here, with their content."""
        found = {}
        for directory, _, names in os.walk(os.fsencode(self.home)):
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    found[os.path.join(directory, name)] = file.read()
        return found


class StatusTest(CommandsTest):
    def make_half_done(self):
        self.make(*(f"d/{i}.png" for i in range(8)), "d/hold1.png", "d/hold2.png")

    def test_tells_speed_and_time_left_during_a_run(self):
        self.make_half_done()
        process = self.start_holding_run()
        self.eventually(lambda: self.counts() == (0, 2, 8, 0), "the rest")
        self.assertRegex(self.tool("status", "j").decode(),
                         r"\nspeed: [0-9.]+/(s|min) lately, (~[0-9:]+|[0-9:]+-[0-9:]+) left\n\Z")
        document = self.document("status", "j", "--json")
        self.assertGreater(document["images_per_s"], 0)
        self.assertGreater(document["eta_s"], 0)
        self.make("go")
        self.finish(process, expect=0)
        document = self.document("status", "j", "--json")
        self.assertEqual((document["images_per_s"], document["eta_s"]), (None, None))
        self.assertNotIn(b"speed", self.tool("status", "j"))

    def test_says_when_too_little_is_finished_to_tell(self):
        process = self.start_waiting_run()
        self.assertIn(b"\nspeed: too little finished lately to tell\n", self.tool("status", "j"))
        process.kill()

    def test_a_dead_worker_has_no_speed(self):
        self.make_half_done()
        process = self.start_holding_run()
        self.eventually(lambda: self.counts() == (0, 2, 8, 0), "the rest")
        process.kill()
        process.wait()
        self.assertIn(b"\n2 images in work when the worker died: the next run takes them back\n",
                      self.tool("status", "j"))
        document = self.document("status", "j", "--json")
        self.assertEqual((document["images_per_s"], document["eta_s"]), (None, None))
        self.assertNotIn(b"per_second", self.tool("status", "j", "--format", "prometheus"))

    def test_what_it_says_to_type_can_be_typed(self):
        self.make("d/bad.png")
        self.fail_by_name(options=("--db", "other 1.db"))
        text = self.tool("status", "j", "--db", "other 1.db").decode()
        line = re.search("\nwhat failed: (.*)\n", text).group(1)
        shown = self.type(line)
        self.assertTrue(shown.startswith(b"job j: 1 of 1 image in error\n"), shown)

    def test_watch_tells_a_pipe_only_what_changed_and_ends_when_all_is_done(self):
        process = self.start_waiting_run(images=3, jobs=1)
        watch = self.start("status", "j", "--watch", "--interval", "0.01")
        first = watch.stdout.readline()
        self.wait_for_looks(watch)
        self.make("go")
        self.finish(process, expect=0)
        lines = (first + self.finish(watch, expect=0)).decode().splitlines()
        self.assertGreaterEqual(len(lines), 2)
        seen = [re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\d)/3 (\d+)% 0 errors "
                             r".*elapsed 0:\d\d .*?(\d) running", line).groups() for line in lines]
        self.assertEqual(seen[0][0], "0")
        self.assertEqual(seen[-1], ("3", "100", "0"))
        self.assertEqual(len(seen), len(set(seen)), lines)

    def test_watch_of_all_jobs_tells_a_pipe_only_what_changed(self):
        process = self.start_waiting_run(images=2, jobs=2)
        watch = self.start("status", "--watch", "--interval", "0.01")
        first = [watch.stdout.readline() for _ in range(4)]
        self.wait_for_looks(watch)
        self.make("go")
        self.finish(process, expect=0)
        text = b"".join(first) + self.finish(watch, expect=0)
        tables = text.split(b"job ")[1:]
        self.assertEqual(len(tables), len(set(tables)), text)
        self.assertRegex(tables[-1], rb"\nj +0 +0 +2 +0 +2\n")

    def test_watch_in_json_is_a_document_a_line(self):
        process = self.start_waiting_run(images=3, jobs=1)
        watch = self.start("status", "j", "--watch", "--json", "--interval", "0.01")
        first = [watch.stdout.readline() for _ in range(3)]
        self.make("go")
        self.finish(process, expect=0)
        documents = [json.loads(line) for line in
                     first + self.finish(watch, expect=0).splitlines(keepends=True)]
        self.assertEqual({document["schema_version"] for document in documents}, {1})
        self.assertEqual(documents[0]["completed"], 0)
        self.assertEqual(documents[-1]["completed"], 3)

    def test_watch_of_what_is_done_is_one_look(self):
        self.make("d/a.png")
        self.run_images("true")
        self.assertEqual(self.tool("status", "j", "--watch").count(b"\n"), 1)
        self.document("status", "j", "--watch", "--json")
        self.document("status", "--watch", "--json")

    def test_watch_of_a_chained_job_waits_for_what_feeds_it(self):
        process = self.start_waiting_run(images=2, jobs=1)
        self.tool("chain", "next", "--after", "j")
        watch = self.start("status", "next", "--watch", "--json", "--interval", "0.01")
        documents = [json.loads(watch.stdout.readline()) for _ in range(3)]
        self.assertEqual({document["total_images"] for document in documents}, {0})
        self.assertIsNone(watch.poll())
        self.make("go")
        self.finish(process, expect=0)
        self.tool("run", "--job", "next", "--", "true")
        last = json.loads(self.finish(watch, expect=0).splitlines()[-1])
        self.assertEqual((last["total_images"], last["completed"]), (2, 2))

    def test_watch_of_a_job_that_is_removed_says_so(self):
        process = self.start_waiting_run(images=1, jobs=1)
        self.tool("chain", "next", "--after", "j")
        watch = self.start("status", "next", "--watch", "--json", "--interval", "0.01")
        for _ in range(2):  # it has no images yet, and goes on
            watch.stdout.readline()
        self.tool("remove", "next")
        self.finish(watch, expect=3)
        self.assertIn("no job called next", self.err)
        process.kill()

    def test_watch_ends_when_nobody_reads_it(self):
        process = self.start_waiting_run()
        watch = self.start("status", "j", "--watch", "--json", "--interval", "0.01")
        watch.stdout.readline()
        watch.stdout.close()
        watch.stdout = None
        self.eventually(lambda: watch.poll() is not None, "its end")
        process.kill()

    def test_prometheus(self):
        self.make("d/train/a.png", "d/train/bad.png", "d/c.png")
        self.fail_by_name()
        self.tool("run", "--job", 'a\\"b', "--images", "d", "--", "true")
        one = samples(self.tool("status", "j", "--format", "prometheus").decode())
        self.assertEqual(one['progress_tracker_images{job="j",split="train",status="error"}'], 1)
        self.assertEqual(one['progress_tracker_images{job="j",split="",status="completed"}'], 1)
        self.assertEqual(one["progress_tracker_live_workers"], 0)
        both = samples(self.tool("status", "--format=prometheus").decode())
        self.assertEqual(both['progress_tracker_images{job="a\\\\\\"b",split="train",'
                              'status="completed"}'], 2)
        self.assertTrue(one.items() <= both.items())

    def test_colour_only_where_it_is_asked_for(self):
        self.make("d/a.png", "d/bad.png")
        self.fail_by_name()
        plain = self.tool("status", "j")
        painted = self.tool("status", "j", "--color", "always", drawn=True)
        self.assertIn(b"\x1b[31m1\x1b[0m", painted)
        self.assertEqual(re.sub(rb"\x1b\[\d*m", b"", painted), plain)
        self.environment["FORCE_COLOR"] = "1"
        self.assertEqual(self.tool("status", "j", drawn=True), painted)
        self.environment["NO_COLOR"] = "1"
        self.assertEqual(self.tool("status", "j"), plain)
        self.tool("status", "j", "--color", "red", expect=2)


class JobsTest(CommandsTest):
    def test_lists_them_with_what_feeds_them(self):
        self.make("d/a.png", "d/bad.png")
        self.fail_by_name()
        self.tool("chain", "später", "--after", "j")
        time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        self.assertRegex(self.tool("jobs").decode(),
                         r"\Ajob +images +completed +error +left +after +created +last checkpoint\n"
                         rf"j +2 +1 +1 +0 +{time}  {time}\n"
                         rf"später +1 +0 +0 +1  j +{time}  {time}\n\Z")
        document = self.document("jobs", "--json")
        self.assertEqual([job["job"] for job in document["jobs"]], ["j", "später"])
        self.assertEqual(document["jobs"][0]["error"], 1)

    def test_names_that_reorder_the_text_around_them_are_shown_safely(self):
        name = "a\u202eb\u2028"
        self.make("d/a.png")
        self.tool("run", "--job", name, "--images", "d", "--", "true")
        for words in (("jobs",), ("jobs", "--json"), ("status",), ("status", name),
                      ("status", name, "--json"), ("errors", name), ("explain", name, "d/a.png"),
                      ("chain", "x", "--after", name), ("retry", name), ("reset", name),
                      ("batches", name), ("export", name, "--csv", "-"), ("remove", "x"),
                      ("remove", name)):
            self.tool(*words)


class ErrorsTest(CommandsTest):
    def fail_with(self, messages):
        """A job `j` with an image in error for each message, and one that is completed."""
        self.make("fine.png", *(f"m/{i}" for i in range(len(messages))))
        for i, message in enumerate(messages):
            with open(self.path(f"m/{i}"), "wb") as file:
                file.write(message)
        self.make("list", text="".join(f"{i}\n" for i in range(len(messages))) + "fine.png\n")
        self.tool("run", "--job", "j", "--from", "list", "-j1", "--", "sh", "-c",
                  '[ "$1" = fine.png ] || { cat "m/$1" >&2; exit 1; }', "sh", expect=1)

    def test_groups_them_with_three_examples(self):
        self.fail_with([b"rare"] + [b"often"] * 5 + [b"some"] * 3)
        self.assertEqual(self.tool("errors", "j").decode(), f"""\
job j: 9 of 10 images in error

  5  exit status 1: often
     - 1
     - 2
     - 3
     - and 2 more

  3  exit status 1: some
     - 6
     - 7
     - 8

  1  exit status 1: rare
     - 0

all of them, a line each: {tool_support.TOOL} errors j --list
to make them pending again: {tool_support.TOOL} retry j
""")
        document = self.document("errors", "j", "--json")
        self.assertEqual((document["error"], document["completed"]), (9, 1))
        self.assertEqual(document["groups"][0],
                         {"message": "exit status 1: often", "count": 5,
                          "examples": [{"path": "1"}, {"path": "2"}, {"path": "3"}]})
        self.assertEqual([group["count"] for group in document["groups"]], [5, 3, 1])

    def test_lists_each(self):
        self.fail_with([b"a", b"b"])
        self.assertEqual(self.tool("errors", "j", "--list"),
                         b"0: exit status 1: a\n1: exit status 1: b\n")
        document = self.document("errors", "j", "--list", "--json")
        self.assertEqual(document["error"], 2)
        self.assertEqual([(each["path"], each["error_message"], each["attempts"], each["deaths"])
                          for each in document["errors"]],
                         [("0", "exit status 1: a", 1, 0), ("1", "exit status 1: b", 1, 0)])
        for each in document["errors"]:
            self.assertRegex(each["finished_at"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")

    def test_more_messages_than_it_shows(self):
        self.fail_with([b"%d" % i for i in range(23)])
        text = self.tool("errors", "j").decode()
        self.assertEqual(text.count("exit status 1: "), 20)
        self.assertIn("\nand 3 images with other messages\n", text)
        self.assertEqual(self.tool("errors", "j", "--list").count(b"\n"), 23)

    def test_shows_hostile_and_long_messages_safely(self):
        hostile = b"\x1b]0;title\x07\x1b[31m \xe2\x80\xae \xff \x00 \xc2\x9b2J line\nbreak\r"
        self.fail_with([hostile, b"x" * 65_536, "ä".encode() * 40_000])
        text = self.tool("errors", "j").decode()
        self.assertIn("exit status 1: \\x1B]0;title\\x07\\x1B[31m \\u{202E} ", text)
        self.assertLess(max(map(len, text.splitlines())), 420)
        self.assertEqual(self.tool("errors", "j", "--list").count(b"\n"), 3)
        stored = dict(self.rows("SELECT path, error_message FROM images"))
        for each in self.document("errors", "j", "--list", "--json")["errors"]:
            self.assertEqual(each["error_message"], stored[each["path"]])
        self.document("errors", "j", "--json")
        self.tool("explain", "j", "0")
        self.document("explain", "j", "1", "--json")

    def test_shows_hostile_paths_safely(self):
        self.make_hostile()
        os.mkdir(self.path(b"d/\x1b[2J\xff"))  # a split
        self.make_hostile(b"\x1b[2J\xff/" + HOSTILE_NAME)
        self.run_images("false", expect=1)
        for words in (("errors", "j"), ("errors", "j", "--list"), ("status", "j"),
                      ("status", "j", "--watch"), ("status", "j", "--format", "prometheus"),
                      ("export", "j", "--csv", "-"), ("export", "j", "--json", "-")):
            self.tool(*words)
        for words in (("errors", "j", "--json"), ("errors", "j", "--list", "--json"),
                      ("status", "j", "--json")):
            self.document(*words)
        each = self.document("errors", "j", "--list", "--json")["errors"][1]
        self.assertEqual(base64.b64decode(each["path_base64"]),
                         b"d/\x1b[2J\xff/" + HOSTILE_NAME)
        self.assertEqual(each["split"], "\\x1B[2J\\xFF")

    def test_none(self):
        self.make("d/a.png")
        self.run_images("true")
        self.assertEqual(self.tool("errors", "j"), b"job j: 0 of 1 image in error\n")
        self.assertEqual(self.tool("errors", "j", "--list"), b"")
        self.assertEqual(self.document("errors", "j", "--json")["groups"], [])
        self.assertEqual(self.document("errors", "j", "--list", "--json")["errors"], [])


class ExplainTest(CommandsTest):
    def explain(self, path, *words, expect=0):
        """What it says, by label."""
        text = self.tool("explain", *(words or ("j",)), path, expect=expect).decode()
        return dict((line[:10].strip(), line[10:]) for line in text.splitlines())

    def document_of(self, path):
        return self.document("explain", "j", path, "--json")

    def test_pending_never_started(self):
        self.make("d/train/a.png", "d/train/b.png")
        self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
        story = self.explain("d/train/b.png")
        self.assertEqual(story, {
            "image": "d/train/b.png", "job": "j", "split": "train", "status": "pending",
            "attempts": "0", "file": "there",
            "run": "will work on it: no work on it has been started yet"})
        document = self.document_of("d/train/b.png")
        self.assertEqual(document, {
            "schema_version": 1, "job": "j", "path": "d/train/b.png", "split": "train",
            "status": "pending", "attempts": 0, "deaths": 0, "error_message": "",
            "started_at": None, "finished_at": None, "file_exists": True, "will_run": True,
            "why": "no work on it has been started yet"})

    def test_completed(self):
        self.make("d/a.png")
        self.run_images("true")
        os.remove(self.path("d/a.png"))
        story = self.explain("d/a.png")
        self.assertEqual(story["split"], "(none)")
        self.assertEqual(story["run"], "will not work on it: it is completed, which is final")
        self.assertEqual(story["file"], "not found from here")
        self.assertRegex(story["finished"], r"UTC, after \d+:\d\d\Z")
        self.assertFalse(self.document_of("d/a.png")["will_run"])
        self.assertFalse(self.document_of("d/a.png")["file_exists"])

    def test_in_error_and_made_pending_again(self):
        self.make("d/bad.png")
        self.fail_by_name()
        story = self.explain("d/bad.png")
        self.assertEqual(story["message"], "exit status 3: why d/bad.png")
        reason, _, line = story["run"].rpartition(": ")
        self.assertEqual(reason, "will not work on it: it is in error, and stays so until it is "
                                 "made pending")
        self.type(line)
        story = self.explain("d/bad.png")
        self.assertEqual((story["status"], story["attempts"]), ("pending", "1"))
        self.assertEqual(story["run"],
                         "will work on it: it was given back, or made pending again after an error")

    def test_in_work_and_left_by_the_dead(self):
        process = self.start_waiting_run(images=2)
        story = self.explain("d/0.png")
        self.assertEqual(story["run"], "will not work on it: it is in work")
        process.kill()
        process.wait()
        story = self.explain("d/0.png")
        self.assertEqual(story["status"], "processing")
        self.assertEqual(story["run"], "will work on it: it was in work when its worker died: the "
                                       "next run takes it back")
        self.tool("reset", "j")
        story = self.explain("d/0.png")
        self.assertEqual(story["attempts"], "1, its worker died in 1 of them")
        self.assertEqual(story["run"], "will work on it: a worker died while it was in work, so it "
                                       "comes after all others, and alone")

    def test_suggests_other_ways_to_write_a_path(self):
        self.make("d/a.png")
        self.make("list", text=f"./x/b.png\n{self.home}/c.png\n")
        self.run_images("true")
        self.tool("run", "--job", "j", "--from", "list", "--", "true")
        here = os.path.realpath(self.home)
        for given, meant in (("./d/a.png", "d/a.png"), ("d//a.png", "d/a.png"),
                             ("d/../d/a.png", "d/a.png"), (f"{here}/d/a.png", "d/a.png"),
                             ("x/b.png", "./x/b.png"), (f"{here}/x/b.png", "./x/b.png"),
                             ("c.png", f"{here}/c.png"), ("./c.png", f"{here}/c.png")):
            self.explain(given, expect=3)
            self.assertEqual(self.err, f"progress-tracker: explain: job j has no image {given}: "
                                       f"did you mean {meant}?\n")
            self.explain(meant)
        self.explain("a.png", expect=3)
        self.assertEqual(self.err, "progress-tracker: explain: job j has no image a.png\n")
        self.tool("explain", "j", "", expect=2)

    def test_an_image_that_is_still_to_come(self):
        self.make("d/a.png", "d/bad.png")
        self.fail_by_name()
        self.tool("chain", "next", "--after", "j")
        self.explain("d/bad.png", "next", expect=3)
        self.assertEqual(self.err, "progress-tracker: explain: job next has no image d/bad.png "
                                   "yet: it comes once it is completed in the job that feeds this "
                                   "one, where it is error\n")
        self.explain("d/none.png", "next", expect=3)
        self.assertEqual(self.err, "progress-tracker: explain: job next has no image d/none.png\n")
        self.assertEqual(self.explain("d/a.png", "next")["status"], "pending")

    def test_hostile_paths(self):
        self.make_hostile()
        self.run_images("true")
        path = b"d/" + HOSTILE_NAME
        self.assertEqual(self.explain(path)["image"],
                         r"""d/\x1B[2J\u{202E}\xFF,"'\\t\n.png""")
        document = self.document_of(path)
        self.assertEqual(base64.b64decode(document["path_base64"]), path)
        self.explain(path + b"\x1b", expect=3)


class ChangeTest(CommandsTest):
    def test_retry_all(self):
        self.make("d/a.png", "d/bad1.png", "d/bad2.png")
        self.fail_by_name()
        self.assertEqual(self.tool("retry", "j"), b"2 images are pending again\n")
        self.assertEqual(self.counts(), (2, 0, 1, 0))
        self.assertEqual(self.document("retry", "j", "--json"),
                         {"schema_version": 1, "job": "j", "images": 0})
        self.run_images("true")

    def test_retry_by_message(self):
        self.make("d/a.png", "d/bad1.png", "d/bad2.png")
        self.fail_by_name()
        self.assertEqual(self.tool("retry", "j", "--message", "exit status 3: why d/bad1.png"),
                         b"1 image is pending again\n")
        self.assertEqual(self.counts(), (1, 0, 1, 1))
        self.assertEqual(self.tool("retry", "j", "--message=*bad*"), b"1 image is pending again\n")
        self.assertEqual(self.counts(), (2, 0, 1, 0))
        self.assertEqual(self.tool("retry", "j", "--message", "*"), b"0 images are pending again\n")
        self.assertIn("no image in error has this message: ", self.err)

    def test_retry_takes_any_message_as_errors_shows_it(self):
        self.make("d/bad.png")
        self.run_images("sh", "-c",
                        '{ printf "\\033[1m"; head -c 2000 /dev/zero | tr "\\0" y; } >&2; exit 1',
                        expect=1)
        shown = self.tool("errors", "j").decode().splitlines()[2].split(maxsplit=1)[1]
        self.assertTrue(shown.endswith("y…"), shown)
        self.assertEqual(self.tool("retry", "j", "--message", shown), b"1 image is pending again\n")

    def test_reset_takes_from_the_dead(self):
        self.die()
        self.assertEqual(self.tool("reset", "j"), b"2 images are pending again\n")
        self.assertEqual(self.counts(), (4, 0, 0, 0))
        self.assertEqual(self.document("reset", "j", "--json")["images"], 0)

    def test_reset_takes_nothing_from_the_living(self):
        process = self.start_waiting_run()
        self.assertEqual(self.tool("reset", "j"), b"0 images are pending again\n")
        self.assertEqual(self.counts(), (2, 2, 0, 0))
        self.make("go")
        self.finish(process, expect=0)
        self.assertEqual(len(self.lines("ended")), 4)

    def test_remove(self):
        self.make("d/a.png")
        self.run_images("true")
        self.assertEqual(self.tool("remove", "j"),
                         b"job j is removed from the record, with 1 image\n")
        self.tool("status", "j", expect=3)
        self.assertTrue(os.path.exists(self.path("d/a.png")))
        self.run_images("true")
        self.assertEqual(self.document("remove", "j", "--json"),
                         {"schema_version": 1, "job": "j", "images": 1})

    def test_remove_is_refused_while_the_job_is_used(self):
        process = self.start_waiting_run()
        self.assertEqual(self.tool("remove", "j", expect=2), b"")
        self.assertIn("job j: a run is at work on it", self.err)
        self.make("go")
        self.finish(process, expect=0)
        self.tool("chain", "next", "--after", "j")
        self.assertEqual(self.tool("remove", "j", "--json", expect=2), b"")
        self.assertIn("job j: job next is fed by it: remove that one first\n", self.err)
        self.tool("remove", "next")
        self.tool("remove", "j")


class ChainTest(CommandsTest):
    def test_a_run_without_a_source_works_on_what_the_job_got(self):
        self.make("d/train/a.png", "d/bad.png")
        self.fail_by_name()
        self.assertEqual(self.tool("chain", "next", "--after", "j"),
                         b"job next gets what is completed in j: 1 image so far\n")
        self.assertEqual(self.document("chain", "next", "--after", "j", "--json"),
                         {"schema_version": 1, "job": "next", "images": 1})
        self.tool("run", "--job", "next", "--", "sh", "-c", 'echo "$1" >> seen', "sh")
        self.assertEqual(self.lines("seen"), [b"d/train/a.png"])
        self.assertEqual(list(self.document("status", "next", "--json")["splits"]), ["train"])

    def test_wait_goes_on_until_what_feeds_it_is_done(self):
        first = self.start_waiting_run(images=3, jobs=1)
        self.tool("chain", "next", "--after", "j")
        # Without it there is nothing to do, and no reason to stay.
        self.tool("run", "--job", "next", "--", "true")
        second = self.start("run", "--job", "next", "--wait", "--", "sh", "-c",
                            'echo "$1" >> seen', "sh")
        self.eventually(lambda: self.document("status", "--json")["live_workers"] == 2
                        or second.poll() is not None, "the second run")
        self.assertIsNone(second.poll())
        self.make("go")
        self.finish(first, expect=0)
        self.finish(second, expect=0)
        self.assertEqual(sorted(self.lines("seen")), [b"d/0.png", b"d/1.png", b"d/2.png"])

    def test_what_cannot_be_chained(self):
        self.make("d/a.png")
        self.run_images("true")
        self.tool("run", "--job", "k", "--images", "d", "--", "true")
        self.tool("chain", "k", "--after", "j", expect=2)
        self.tool("chain", "j", "--after", "j", expect=2)
        self.tool("chain", "new", "--after", "absent", expect=3)
        self.tool("chain", "bad\nname", "--after", "j", expect=2)
        self.tool("chain", "new", expect=2)
        self.tool("chain", "new", "--after", "j")
        for more in ((), ("--dry-run",)):
            self.tool("run", "--job", "new", "--images", "d", *more, "--", "true", expect=2)


class ExportTest(CommandsTest):
    QUERY = ("SELECT path, split, status, attempts, deaths, started_at, processed_at, error_message"
             " FROM images ORDER BY id")

    def make_job(self):
        self.make("d/a,b/1.png", 'd/a,b/"2".png', "d/val/bad 3.png", "d/größe.png", "d/z.png")
        self.make_hostile()
        self.make_hostile(b"bad" + HOSTILE_NAME)
        self.fail_by_name(options=("--limit", "6", "-j1"), expect=4)

    def test_csv_has_what_the_database_has(self):
        self.make_job()
        self.tool("export", "j", "--csv", "out.csv")
        text = self.read("out.csv")
        self.assertIsNone(tool_support.fault_of(text))
        self.assertEqual(self.tool("export", "j", "--csv", "-"), text)
        rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
        stored = self.rows(self.QUERY)
        self.assertEqual(len(rows), 7)
        for row, (path, split, status, attempts, deaths, started, finished, _) in zip(rows, stored):
            path = path if isinstance(path, bytes) else path.encode()
            exact = base64.b64decode(row["path_base64"]) or row["path"].encode()
            self.assertEqual(exact, path)
            self.assertEqual((row["split"], row["status"], row["attempts"], row["deaths"]),
                             (split, status, str(attempts), str(deaths)))
            self.assertEqual((row["started_at"], row["finished_at"]),
                             (started or "", finished or ""))
        messages = [row["error_message"] for row in rows if row["error_message"]]
        self.assertIn("exit status 3: why d/val/bad 3.png", messages)
        self.assertEqual(len(messages), 2)

    def test_json_has_what_the_database_has(self):
        self.make_job()
        self.tool("export", "j", "--json", "out.json")
        text = self.read("out.json")
        self.assertEqual(self.tool("export", "j", "--json", "-"), text)
        document = json.loads(text)
        self.assertEqual((document["schema_version"], document["job"], document["total_images"],
                          document["pending"], document["error"]), (1, "j", 7, 1, 2))
        stored = self.rows(self.QUERY)
        self.assertEqual(len(document["images"]), len(stored))
        for image, (path, split, status, attempts, deaths, started, finished, message) in zip(
                document["images"], stored):
            path = path if isinstance(path, bytes) else path.encode()
            exact = base64.b64decode(image.get("path_base64", "")) or image["path"].encode()
            self.assertEqual(exact, path)
            self.assertEqual((image["split"], image["status"], image["attempts"], image["deaths"],
                              image["error_message"]),
                             (split, status, attempts, deaths, message or ""))
            self.assertEqual((image["started_at"] or "", image["finished_at"] or ""),
                             (started or "", finished or ""))

    def test_a_job_without_images(self):
        os.mkdir(self.path("d"))
        self.run_images("true")
        self.assertEqual(self.tool("export", "j", "--csv", "-").count(b"\n"), 1)
        self.assertEqual(json.loads(self.tool("export", "j", "--json", "-"))["images"], [])

    def test_a_file_is_replaced_only_by_a_whole_one(self):
        self.make("list", text="".join(f"{i:0100}\n" for i in range(2000)))
        self.tool("run", "--job", "j", "--from", "list", "--limit", "1", "--", "true", expect=4)
        self.make("out.csv", text="old")
        os.mkdir(self.path("d"))
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        self.tool("status", "j")  # which makes what a reader needs

        names = sorted(os.listdir(self.home))
        for form in ("--csv", "--json"):
            self.tool("export", "j", form, "out.csv", preexec_fn=limit, expect=2)
            self.assertIn(f"progress-tracker: {form} out.csv: File too large\n", self.err)
            self.tool("export", "absent", form, "out.csv", expect=3)
        self.assertEqual(self.read("out.csv"), b"old")
        self.assertEqual(sorted(os.listdir(self.home)), names)
        self.tool("export", "j", "--csv", "absent/out.csv", expect=2)
        self.tool("export", "j", "--csv", "d", expect=2)

    def test_standard_output_is_appended_to_by_either_name(self):
        self.make("d/a.png")
        self.run_images("true")
        expected = b"".join(self.tool("export", "j", "--csv", "-") for _ in range(2))
        for name in ("-", "/dev/stdout"):
            with open(self.path("both"), "ab") as both:
                for _ in range(2):
                    self.tool("export", "j", "--csv", name, stdout=both)
            self.assertEqual(self.read("both"), expected)
            os.remove(self.path("both"))
        with open("/dev/full", "wb") as full:
            self.tool("export", "j", "--json", "-", stdout=full, expect=2)

    def test_a_snapshot_is_a_database_of_its_own(self):
        process = self.start_waiting_run()
        self.tool("export", "--snapshot", "copy.db")
        document = self.document("status", "j", "--json", "--db", "copy.db")
        self.assertEqual((document["pending"], document["processing"]), (2, 2))
        connection = sqlite3.connect(f"file:{self.home}/copy.db?immutable=1", uri=True)
        self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("delete",))
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        connection.close()
        process.kill()

    def test_a_snapshot_replaces_nothing(self):
        self.make("d/a.png")
        self.run_images("true")
        self.make("copy.db", text="old")
        self.tool("export", "--snapshot", "copy.db", expect=2)
        self.assertIn("copy.db", self.err)
        self.tool("export", "--snapshot", "progress.db", expect=2)
        self.tool("export", "--snapshot", "-", expect=2)
        self.tool("export", "j", "--snapshot", "other.db", expect=2)
        self.assertEqual(self.read("copy.db"), b"old")
        self.assertEqual(self.counts(), (0, 0, 1, 0))

    def test_one_form_is_needed(self):
        for words in ((), ("j",), ("--csv", "x"), ("j", "--csv", "x", "--json", "y"),
                      ("j", "--csv")):
            self.tool("export", *words, expect=2)
        self.assertEqual(os.listdir(self.home), [])


class ConfigTest(CommandsTest):
    def settings(self, *words):
        return self.document("config", "show", "--json", *words)["settings"]

    def test_shows_every_setting_and_its_origin(self):
        self.assertEqual(self.tool("config", "show").decode(), """\
setting                       value        from
progress.db_path              progress.db  default
progress.checkpoint_interval  (none)       default
progress.log_file             (none)       default
progress.log_level            warn         default
--progress                    auto         default
--color                       auto         default
""")
        self.assertEqual(os.listdir(self.home), [])
        self.make("c\x1b.yaml", text="progress:\n  db_path: file.db\n  log_level: INFO\n"
                                     "  checkpoint_interval: 5\n")
        self.environment["PROGRESS_TRACKER_DB"] = "env\u202e.db"
        found = self.settings("--config", "c\x1b.yaml", "--log-level", "debug")
        self.assertEqual(found["progress.db_path"],
                         {"value": "env\u202e.db", "origin": "PROGRESS_TRACKER_DB"})
        self.assertEqual(found["progress.log_level"], {"value": "debug", "origin": "--log-level"})
        self.assertEqual(found["progress.checkpoint_interval"],
                         {"value": "5", "origin": "c\\x1B.yaml:4"})
        self.tool("config", "show", "--config", "c\x1b.yaml")

    def test_a_misspelt_key_is_an_error_that_names_it(self):
        self.make("d/a.png")
        for text, named in (("progress:\n  db_paht: x.db\n", "c.yaml:2: progress.db_paht: no "),
                            ("progress.db_path: x.db\n", "c.yaml:1: write progress.db_path as "),
                            ("progress:\n  log_levle\x07: x\n", "c.yaml: ")):
            self.make("c.yaml", text=text)
            for words in (("config", "show"), ("jobs",),
                          ("run", "--job", "j", "--images", "d", "--", "true")):
                self.tool("--config", "c.yaml", *words, expect=2)
                self.assertIn("progress-tracker: " + named, self.err)
        self.assertEqual(sorted(os.listdir(self.home)), ["c.yaml", "d"])

    def test_the_file_is_what_it_goes_by(self):
        self.make("d/a.png")
        self.make("c.yaml", text="progress:\n  db_path: deep/er/file.db\n")
        self.run_images("true", options=("--config", "c.yaml"))
        self.assertTrue(os.path.exists(self.path("deep/er/file.db")))
        self.tool("status", "j", "--config", "c.yaml")
        self.tool("status", "j", "--config", "absent.yaml", expect=2)
        self.tool("status", "j", "--config", "d", expect=2)
        self.assertIn("--config d: Is a directory", self.err)

    def test_there_is_only_show(self):
        self.tool("config", expect=2)
        self.tool("config", "set", expect=2)


class LogFileTest(CommandsTest):
    LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) .*")

    def check_log(self, name):
        lines = self.lines(name)
        self.assertTrue(lines)
        for line in lines:
            self.assertTrue(self.LINE.fullmatch(line), line)
        self.assertIsNone(tool_support.fault_of(self.read(name)))
        return lines

    def test_gets_what_is_logged_and_makes_its_directories(self):
        self.make("d/a.png")
        self.make_hostile()
        log = ("--log-file", "deep/er/tool.log", "--log-level", "debug")
        self.run_images("true", options=log)
        first = self.check_log("deep/er/tool.log")
        self.assertNotIn("log: ", self.err)
        self.assertEqual(self.err.count("\n"), 2)
        self.tool("status", *log)
        self.assertEqual(self.check_log("deep/er/tool.log")[:len(first)], first)

    def test_warnings_are_also_for_the_user(self):
        self.make("d/a.png")
        self.make("progress.db-wal", text="what a database that was moved away left")
        self.run_images("true", options=("--log-file", "tool.log"))
        self.assertEqual(self.err.count("progress-tracker: warning: "), 1, self.err)
        self.assertEqual(len(self.check_log("tool.log")), 1)

    def test_concurrent_runs_share_it(self):
        self.make(*(f"d/{i}.png" for i in range(30)))
        processes = [self.start("run", "--job", "j", "--images", "d", "-j4", "--log-file",
                                "tool.log", "--log-level", "debug", "--", "true") for _ in range(3)]
        for process in processes:
            self.finish(process, expect=0)
        self.check_log("tool.log")

    def test_one_that_cannot_be_written_is_a_usage_error(self):
        self.make("d/a.png", "file")
        for name in ("d", "file/tool.log"):
            self.run_images("touch", "made", options=("--log-file", name), expect=2)
            self.assertRegex(self.err, r"progress-tracker: log file .* \(--log-file\): ")
        self.environment["PROGRESS_TRACKER_LOG_FILE"] = "d"
        self.tool("jobs", expect=2)
        self.assertIn("(PROGRESS_TRACKER_LOG_FILE)", self.err)
        self.assertEqual(sorted(os.listdir(self.home)), ["d", "file"])
        self.environment["PROGRESS_TRACKER_LOG_FILE"] = "/dev/full"
        self.run_images("true", options=("--log-level", "debug"))


class DryRunTest(CommandsTest):
    SEEN = ("sh", "-c", 'echo "$1" >> seen', "sh")

    def dry(self, *options, expect=0):
        """What a dry run lists: reason and path of each image."""
        document = self.document("run", "--job", "j", *options, "--dry-run", "--json", "--",
                                 *self.SEEN, expect=expect)
        return [(image["reason"], image["path"]) for image in document["images"]]

    def test_makes_nothing(self):
        self.make("d/a.png")
        before = self.everything()
        text = self.tool("run", "--job", "j", "--images", "d", "--dry-run", "--metrics-file", "m",
                         "--", "touch", "made").decode()
        self.assertEqual(text, "new      touch made d/a.png\n")
        self.assertIn("dry run: 1 command would be run; ", self.err)
        self.assertEqual(self.everything(), before)

    def test_changes_nothing(self):
        self.make("d/a.png", "d/bad.png", "d/c.png")
        self.fail_by_name(options=("--limit", "2", "-j1"), expect=4)
        self.make("d/new.png")
        before = self.everything()
        self.assertEqual(self.dry("--images", "d"), [("pending", "d/c.png"), ("new", "d/new.png")])
        after = self.everything()
        # A reader makes these two, and is not to remove them.
        self.assertEqual(after.pop(self.path("progress.db-wal"), b""), b"")
        after.pop(self.path("progress.db-shm"), b"")
        self.assertTrue(after == before, after.keys() ^ before.keys())

    def test_tells_what_a_run_then_does_in_its_order(self):
        self.make("list", text="".join(f"{i}\n" for i in range(8)))
        source = ("--from", "list")
        # Two that a dead worker held, and that were given back; then two more that are still held.
        for go in (False, True):
            process = self.start("run", "--job", "j", *source, "-j2", "--", "sh", "-c",
                                 'echo "$1" >> held; exec sleep 1000', "sh")
            self.eventually(lambda: len(self.lines("held")) == 2, "the commands")
            process.kill()
            process.wait()
            os.remove(self.path("held"))
            if not go:
                self.tool("reset", "j")
                # Those come last: what is held next are others, with higher ids.
        with open(self.path("list"), "a", encoding="utf-8") as file:
            file.write("8\n9\n")
        expected = self.dry(*source)
        self.assertEqual({reason for reason, _ in expected}, {"pending", "new", "died"})
        for options in (("--limit", "5"), ("--limit", "9"), ()):
            planned = self.dry(*source, *options)
            if os.path.exists(self.path("seen")):
                os.remove(self.path("seen"))
            self.tool("run", "--job", "j", *source, *options, "-j1", "--", *self.SEEN,
                      expect=4 if options and len(planned) == int(options[1]) else 0)
            self.assertEqual([line.decode() for line in self.lines("seen")],
                             [path for _, path in planned])

    def test_the_dead_of_two_runs_come_in_the_order_of_the_job(self):
        self.make("list", text="0\n1\n2\n3\n")
        held = ("--", "sh", "-c", 'echo "$1" >> held; exec sleep 1000', "sh")
        def hold(count):
            process = self.start("run", "--job", "j", "--from", "list", "-j", str(count), *held)
            self.eventually(lambda: len(self.lines("held")) == count, "the commands")
            return process

        def kill(process):
            process.kill()
            process.wait()
            os.remove(self.path("held"))

        kill(hold(4))  # all have died once
        self.tool("reset", "j")
        kill(hold(1))  # 0 is held alone; 1, 2 and 3 wait for their turn
        planned = self.dry()
        self.assertEqual(sorted(path for _, path in planned), ["0", "1", "2", "3"])
        self.tool("run", "--job", "j", "-j1", "--", *self.SEEN)
        self.assertEqual([path for _, path in planned],
                         [line.decode() for line in self.lines("seen")])

    def test_a_file_that_is_gone_counts_towards_the_limit(self):
        self.make("d/a.png", "d/b.png", "d/c.png")
        self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
        os.remove(self.path("d/b.png"))
        source = ("--images", "d", "--limit", "1")
        self.assertEqual(self.dry(*source), [("gone", "d/b.png")])
        self.tool("run", "--job", "j", *source, "--", *self.SEEN, expect=4)
        self.assertEqual(self.lines("seen"), [])
        self.assertEqual(self.dry("--images", "d"), [("pending", "d/c.png")])

    def test_is_refused_as_the_run_is(self):
        self.make("d/a.png")
        for words, code in ((("--", "absent-command"), 127), (("--images", "x", "--", "true"), 2),
                            (("--", "true"), 2), (("--job", "", "--images", "d", "--", "true"), 2)):
            self.tool("run", *(() if "--job" in words else ("--job", "j")), "--dry-run", *words,
                      expect=code)
        self.make("text.db", text="no database\n" * 500)
        self.run_images("true", options=("--dry-run", "--db", "text.db"), expect=6)
        self.assertEqual(sorted(os.listdir(self.home)), ["d", "text.db"])

    def test_lines_can_be_typed(self):
        self.make_hostile()
        line = self.tool("run", "--job", "j", "--images", "d", "--dry-run", "--", "touch",
                         b"{}.\xfe made", "{/}").decode().removeprefix("new ")
        self.type(line)
        self.assertTrue(os.path.exists(self.path(b"d/" + HOSTILE_NAME + b".\xfe made")))
        self.assertTrue(os.path.exists(self.path(HOSTILE_NAME)))


class RunOptionsTest(CommandsTest):
    def test_split_pattern(self):
        self.make("d/2024/train_1.png", "d/2024/val_2.png", "d/other.png")
        self.run_images("true", options=("--split-pattern", "/([a-z]+)_[0-9]"))
        self.assertEqual(self.rows("SELECT path, split FROM images ORDER BY 1"),
                         [("d/2024/train_1.png", "train"), ("d/2024/val_2.png", "val"),
                          ("d/other.png", "")])
        self.make("list", text="a-1\nb-2\n\x1b\u202e-3\n")
        self.tool("run", "--job", "k", "--from", "list", "--split-pattern", "^[^-]+", "--", "true")
        self.assertEqual(sorted(self.document("status", "k", "--json")["splits"]),
                         ["\\x1B\\u{202E}", "a", "b"])
        self.tool("status", "k")
        self.tool("run", "--job", "l", "--images", "d", "--split-pattern", "(", "--", "true",
                  expect=2)

    def test_a_path_that_is_too_much_for_a_pattern_is_refused(self):
        self.make("list", text="a\n" + "b" * 1_000_000 + "\n")
        for more in ((), ("--dry-run",)):
            self.tool("run", "--job", "j", "--from", "list", "--split-pattern", "(.)*c", *more,
                      "--", "true", expect=2)
            self.assertIn("--split-pattern: ", self.err)
            self.assertLess(len(self.err), 1000)

    def start_waiting_for_another(self):
        """A run that has two images in work, and a second with --wait that has nothing to do."""
        first = self.start_waiting_run(images=2, jobs=2)
        words = ("run", "--job", "j", "--images", "d", "--json")
        command = ("--", "sh", "-c", 'echo "$1" >> seen', "sh")
        second = self.start(*words, "--wait", *command)
        self.eventually(lambda: self.document("status", "--json")["live_workers"] == 2
                        or second.poll() is not None, "the second run")
        # Without --wait it would have ended as these do.
        for _ in range(2):
            self.assertEqual(self.document(*words, *command)["processing"], 2)
        self.assertIsNone(second.poll())
        return first, second

    def test_wait_goes_on_until_other_runs_are_done(self):
        first, second = self.start_waiting_for_another()
        self.make("go")
        document = json.loads(self.finish(second, expect=0))
        self.assertEqual((document["processing"], document["completed"]), (0, 2))
        self.finish(first, expect=0)
        self.assertEqual(self.lines("seen"), [])

    def test_wait_takes_over_what_another_run_dies_with(self):
        first, second = self.start_waiting_for_another()
        first.kill()
        document = json.loads(self.finish(second, expect=0))
        self.assertEqual((document["processing"], document["completed"]), (0, 2))
        self.assertEqual(sorted(self.lines("seen")), [b"d/0.png", b"d/1.png"])

    def test_json_is_one_document_whatever_the_commands_write(self):
        self.make("d/a.png", "d/bad.png")
        words = ("run", "--job", "j", "--images", "d", "--json", "--", "sh", "-c",
                 'printf "[]\\n\\033[2J\\377"; case $1 in *bad*) exit 1; esac', "sh")
        document = self.document(*words, expect=1, foreign=("err",))
        self.assertEqual((document["job"], document["exit_code"], document["completed"],
                          document["error"]), ("j", 1, 1, 1))
        self.assertEqual(document["run"], {"completed": 1, "error": 1, "released": 0})
        self.assertEqual(self.err.count("[]"), 2)

    def test_json_after_a_signal_has_the_line_to_type(self):
        self.make("d/hold.png")
        process = self.start_holding_run("--json")
        process.send_signal(signal.SIGINT)
        document = json.loads(self.finish(process, expect=130))
        self.assertEqual(document["exit_code"], 130)
        self.assertTrue(document["stopped"])
        self.make("go")
        self.type(document["resume"])
        self.assertEqual(self.counts(), (0, 0, 1, 0))

    def test_checkpoint_interval(self):
        # Each command looks at what other readers are told, as it begins.
        self.make(*(f"d/{i:02}.png" for i in range(30)))
        self.make("look.py", text="import sqlite3\n"
                                  "c = sqlite3.connect('file:progress.db?mode=ro', uri=True)\n"
                                  "print(*c.execute('SELECT updated_at FROM jobs').fetchone())\n")
        out = self.run_images("python3", "-S", "look.py", options=("-j1", "--checkpoint-interval",
                                                                    "1"))
        times = out.split()
        # By time alone there are five a second.
        self.assertGreaterEqual(len(set(times)), 25, times)

    def test_the_file_may_say_the_interval(self):
        self.make("c.yaml", text="progress:\n  checkpoint_interval: 0\n")
        self.make("d/a.png")
        self.run_images("true", options=("--config", "c.yaml"), expect=2)
        self.assertIn("c.yaml:2: '0' is not a whole number from 1\n", self.err)
        self.run_images("true", options=("--config", "c.yaml", "--checkpoint-interval", "9"))


class MetricsFileTest(CommandsTest):
    LAST_SUCCESS = 'progress_tracker_last_success_timestamp_seconds{job="j"}'
    METRICS = ("--metrics-file", "m.prom")

    def metrics(self):
        return samples(self.read("m.prom").decode())

    def test_is_valid_whenever_it_is_read(self):
        self.make(*(f"d/{i}.png" for i in range(20)))
        faults = []
        ended = threading.Event()

        def read_on():
            while not ended.is_set():
                text = self.read("m.prom").decode()
                try:
                    if text:
                        samples(text)
                except ValueError as error:
                    faults.append(error)

        reader = threading.Thread(target=read_on)
        reader.start()
        try:
            for _ in range(8):
                self.run_images("true", options=(*self.METRICS, "-j4"))
                self.assertEqual(self.metrics()['progress_tracker_run_active{job="j"}'], 0)
        finally:
            ended.set()
            reader.join()
        self.assertEqual(faults, [])
        self.assertEqual([name for name in os.listdir(self.home) if "prom" in name], ["m.prom"])

    def test_tells_of_a_run_that_goes_on(self):
        self.make("d/hold1.png", "d/hold2.png", "d/rest.png")
        process = self.start_holding_run(*self.METRICS)
        self.eventually(lambda: self.metrics().get('progress_tracker_run_commands{job="j"}') == 2,
                        "the commands")
        found = self.metrics()
        self.assertEqual(found['progress_tracker_run_active{job="j"}'], 1)
        self.assertEqual(found["progress_tracker_live_workers"], 1)
        self.assertNotIn(self.LAST_SUCCESS, found)
        self.make("go")
        self.finish(process, expect=0)
        found = self.metrics()
        self.assertEqual(found['progress_tracker_images{job="j",split="",status="completed"}'], 3)
        self.assertIn(self.LAST_SUCCESS, found)

    def test_the_last_success_survives(self):
        self.make("d/a.png")
        self.run_images("true", options=self.METRICS)
        before = self.metrics()[self.LAST_SUCCESS]
        self.make("d/bad.png")
        self.fail_by_name(options=self.METRICS)
        self.assertEqual(self.metrics()[self.LAST_SUCCESS], before)
        self.make("d/hold.png")
        process = self.start_holding_run(*self.METRICS)
        process.send_signal(signal.SIGTERM)
        self.finish(process, expect=143)
        self.assertEqual(self.metrics()[self.LAST_SUCCESS], before)

    def test_one_that_cannot_be_written_is_refused_before_any_command(self):
        self.make("d/a.png", "file")
        os.mkfifo(self.path("pipe"))
        for name in ("absent/m.prom", "d", "file/m.prom", "pipe"):
            self.run_images("touch", "made", options=("--metrics-file", name), expect=2)
            self.assertIn(f"progress-tracker: --metrics-file {name}: ", self.err)
        self.assertFalse(os.path.exists(self.path("made")))

    def test_one_that_cannot_be_written_later_stops_nothing(self):
        self.make("d/hold.png", "m/x")
        process = self.start_holding_run("--metrics-file", "m/m.prom")
        os.rename(self.path("m"), self.path("away"))
        self.make("go")
        self.finish(process, expect=0)
        # Once while it went on, if it was due then.
        self.assertLessEqual(self.err.count("m/m.prom: No such file or directory\n"), 1)
        self.assertIn("--metrics-file m/m.prom: No such file or directory: it does not have the "
                      "last figures\n", self.err)


class OutputFilesTest(CommandsTest):
    def test_are_never_the_database(self):
        self.make("d/a.png")
        self.run_images("true")
        os.symlink("progress.db", self.path("link"))
        before = self.read("progress.db")
        for name in ("progress.db", "./progress.db", "link", "progress.db-workers",
                     "progress.db-wal"):
            for words in (("export", "j", "--csv", name), ("export", "j", "--json", name),
                          ("report", "j", "-o", name), ("jobs", "--log-file", name),
                          ("run", "--job", "j", "--images", "d", "--metrics-file", name, "--",
                           "true")):
                self.tool(*words, expect=2)
                self.assertIn(": this is the database progress.db", self.err, words)
        self.assertEqual(self.read("progress.db"), before)
        self.tool("jobs", "--db", "new.db", "--log-file", "new.db", expect=2)
        self.assertFalse(os.path.exists(self.path("new.db")))

    def test_by_the_name_of_a_descriptor_are_written_behind_what_is_there(self):
        self.make("d/a.png")
        self.run_images("true")
        for name in ("/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"):
            self.make("log", text="before\n")
            with open(self.path("log"), "ab") as log:
                self.tool("export", "j", "--csv", name, stderr=log)
            lines = self.lines("log")
            self.assertEqual((lines[0], lines[2][:8]), (b"before", b"d/a.png,"), name)


class WhatIsNextTest(CommandsTest):
    def test_is_said_at_the_end_of_a_run(self):
        self.make("d/a.png", "d/b.png")
        self.run_images("false", options=("--limit", "1"), expect=4)
        self.assertIn(f"to go on: {tool_support.TOOL} run --job j --images d --limit 1 -- false\n",
                      self.err)
        self.assertIn(f"what failed: {tool_support.TOOL} errors j\n", self.err)
        self.run_images("true", expect=1)
        self.assertNotIn("to go on", self.err)
        self.assertIn("what failed: ", self.err)

    def test_can_be_typed_for_a_job_that_looks_like_an_option(self):
        self.make("list", text="a\n")
        self.tool("run", "--job=-x", "--from", "list", "--", "false", expect=1)
        line = self.err.split("what failed: ")[1]
        out = subprocess.run(["bash", "-c", line], cwd=self.home, env=self.environment,
                             capture_output=True, check=True, timeout=DEADLINE_S).stdout.decode()
        self.assertIn("job -x: 1 of 1 image in error\n", out)
        for word in ("all of them, a line each: ", "to make them pending again: "):
            subprocess.run(["bash", "-c", out.split(word)[1].splitlines()[0]], cwd=self.home,
                           env=self.environment, capture_output=True, check=True,
                           timeout=DEADLINE_S)
        self.assertEqual(self.rows("SELECT status FROM images"), [("pending",)])


class OfACommandTest(CommandsTest):
    def test_it_has_no_descriptor_of_the_list(self):
        self.make("list", text="a\n")
        out = self.tool("run", "--job", "j", "--from", "list", "--", "sh", "-c",
                        "ls -l /proc/self/fd | cat")
        self.assertNotIn(b"/list", out)

    def test_it_can_be_interrupted_also_where_a_shell_has_that_ignored(self):
        self.make("list", text="a\n")
        out = self.tool("run", "--job", "j", "--from", "list", "--", "sh", "-c",
                        "grep SigIgn /proc/self/status",
                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        ignored = int(out.split()[1], 16)
        self.assertEqual(ignored & 1 << (signal.SIGINT - 1), 0)

    def test_its_output_is_an_event_where_everything_else_is_json(self):
        self.make("list", text="a\nb\n")
        out = self.tool("run", "--job", "j", "--from", "list", "--json", "--progress", "json",
                        "--", "echo", "hi")
        self.assertEqual(json.loads(out)["completed"], 2)
        events = [json.loads(line) for line in self.err.splitlines()]
        self.assertEqual(sorted(event["text"] for event in events if event["event"] == "output"),
                         ["hi a\n", "hi b\n"])

    def test_checkpoints_take_no_descriptors_from_it(self):
        self.make("list", text="".join(f"{i}\n" for i in range(40)))

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

        self.tool("run", "--job", "j", "--from", "list", "-j40", "--checkpoint-interval", "1", "--",
                  "true", preexec_fn=limit)
        self.assertEqual(self.counts(), (0, 0, 40, 0))

    def test_its_failure_shows_though_the_document_cannot_be_written(self):
        self.make("list", text="a\n")
        with open("/dev/full", "wb") as full:
            self.tool("run", "--job", "j", "--from", "list", "--json", "--", "false", stdout=full,
                      expect=1)
        self.assertIn("standard output: cannot be written\n", self.err)


class StuckReaderTest(CommandsTest):
    """Nobody reads standard error any more, and its pipe is full."""

    def setUp(self):
        super().setUp()
        reader, self.writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, self.writer)

    def fill(self):
        # By a description of its own: to the tool the pipe stays one that blocks.
        writer = os.open(f"/proc/self/fd/{self.writer}", os.O_WRONLY | os.O_NONBLOCK)
        for size in (4096, 1):
            try:
                while True:
                    os.write(writer, b"x" * size)
            except BlockingIOError:
                pass
        os.close(writer)

    def test_the_third_signal_ends_the_tool(self):
        process = self.start_waiting_run(stderr=self.writer)
        self.fill()
        process.send_signal(signal.SIGTERM)
        self.eventually(lambda: not any(map(self.is_running, self.lines("runs"))),
                        "the commands' end")
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            self.eventually(lambda: not self.is_signal_pending(process), "taking the signal")
        self.assertEqual(process.wait(timeout=DEADLINE_S), 143)

    def test_the_first_ends_it_before_any_image_is_started(self):
        self.make("d/a.png")
        self.fill()
        process = self.start("run", "--job", "j", "--images", "d", "--", "true",
                             stderr=self.writer)
        # The thread that takes signals and the one that speaks are there, and it waits for its reader.
        self.eventually(lambda: self.status_bits(process, "Threads") >= 3, "taking signals")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=DEADLINE_S), 130)

    def status_bits(self, process, name):
        try:
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return next((int(line.split()[1], 16) for line in lines if line.startswith(name + ":")), 0)

    def is_signal_pending(self, process):
        return self.status_bits(process, "ShdPnd") & 1 << (signal.SIGTERM - 1) != 0


class ProgressInJsonTest(CommandsTest):
    """Every line is JSON, however the run ends."""

    def ended(self, *words, expect, **options):
        self.tool("run", "--progress", "json", *words, expect=expect, **options)
        events = self.events()
        self.assertTrue(events)
        last = [event for event in events if event["event"] != "note"][-1]
        self.assertEqual(last.get("exit_code"), expect, events)
        return last

    def test_refusals(self):
        self.make("d/a.png", "data", "c.yaml", text="progress:\n  db_paht: x\n")
        self.make("text.db", text="no database\n" * 500)
        source = ("--job", "j", "--images", "d")
        for words, code in (
                (("--job", "j", "--images", "absent\x1b", "--", "true"), 2),
                (("--job", "j", "--", "true"), 2),
                ((*source, "--config", "c.yaml", "--", "true"), 2),
                ((*source, "--config", "absent", "--", "true"), 2),
                ((*source, "--log-file", "d", "--", "true"), 2),
                ((*source, "--log-level", "loud", "--", "true"), 2),
                ((*source, "--metrics-file", "d", "--", "true"), 2),
                ((*source, "--dry-run", "--db", "text.db", "--", "true"), 6),
                ((*source, "--db", "text.db", "--", "true"), 6),
                ((*source, "--", "no-such-command\x1b"), 127),
                ((*source, "--", "./data"), 126)):
            self.assertEqual(self.ended(*words, expect=code)["event"], "failed")

    def test_the_environment_asks_for_it_too(self):
        self.make("d/a.png", "c.yaml", text="- x\n")
        self.environment["PROGRESS_TRACKER_PROGRESS"] = "json"
        self.run_images("true", options=("--config", "c.yaml"), expect=2)
        self.assertEqual([event["event"] for event in self.events()], ["failed"])

    def test_what_the_library_logs_before_there_is_a_run(self):
        self.make("d/a.png")
        self.run_images("true")
        self.ended("--job", "j", "--log-level", "debug", "--", "true", expect=0)
        self.tool("run", "--job", "j", "--images", "d", "--dry-run", "--progress", "json",
                  "--log-level", "debug", "--", "true")
        self.assertEqual({event["event"] for event in self.events()}, {"note"})

    def test_a_dry_run(self):
        self.make("d/a.png")
        os.mkdir(self.path("empty"))
        for source in ("d", "empty"):
            self.tool("run", "--job", "j", "--images", source, "--dry-run", "--progress", "json",
                      "--", "true")
            self.assertEqual({event["event"] for event in self.events()}, {"note"})

    def test_a_signal(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 4)):
            self.make("d/hold.png", "d/more.png")
            process = self.start_holding_run("--progress", "json", jobs=1)
            process.send_signal(number)
            if number == signal.SIGHUP:
                process.send_signal(signal.SIGUSR1)
                while json.loads(process.stderr.readline())["event"] != "progress":
                    pass
                self.make("go")
            self.finish(process, expect=code)
            end = self.events()[-1]
            self.assertEqual((end["event"], end["exit_code"]), ("end", code))
            self.assertIn("resume", end)
            for name in ("held", "go", "progress.db", "progress.db-workers"):
                if os.path.exists(self.path(name)):
                    os.remove(self.path(name))

    def test_the_limit_on_open_files(self):
        self.make("d/a.png")
        def limit(number):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

        words = ("--job", "j", "--images", "d", "-j9", "--", "true")
        self.assertEqual(self.ended(*words, expect=126, preexec_fn=limit(4))["event"], "failed")
        self.assertEqual(self.ended(*words, expect=0, preexec_fn=limit(70))["event"], "end")

    def test_errors_with_hostile_names(self):
        self.make_hostile()
        self.ended("--job", "j", "--images", "d", "--", "false", expect=1)
        error = [event for event in self.events() if event["event"] == "error"]
        self.assertEqual(base64.b64decode(error[0]["path_base64"]), b"d/" + HOSTILE_NAME)


class ExitCodeTest(CommandsTest):
    """The rows of the table of exit codes, for each command that they can come from."""

    # Each as it is typed for a job `j`.
    OF_A_JOB = (("status", "j"), ("status", "j", "--json"), ("status", "j", "--watch"),
                ("errors", "j"), ("explain", "j", "d/a.png"), ("retry", "j"),
                ("retry", "j", "--message", "*"), ("reset", "j"), ("batches", "j"),
                ("report", "j", "-o", "page.html"),
                ("export", "j", "--csv", "-"), ("export", "j", "--json", "-"),
                ("chain", "next", "--after", "j"), ("remove", "next"), ("remove", "j"))
    OF_ALL = (("status",), ("jobs",), ("export", "--snapshot", "copy.db"), ("doctor",))

    def test_0_where_it_did_what_was_asked(self):
        self.make("d/a.png")
        self.run_images("true")
        for words in self.OF_ALL + self.OF_A_JOB:
            self.tool(*words)
        self.tool("config", "show")

    def test_1_only_from_a_run_with_errors(self):
        self.make("d/a.png", "d/bad.png")
        self.fail_by_name(expect=1)
        self.tool("run", "--job", "j", "--", "true", expect=1)
        for words in self.OF_ALL + self.OF_A_JOB[:6]:
            self.tool(*words)
        self.run_images("true")

    def test_2_for_words_that_are_wrong(self):
        self.make("d/a.png")
        self.run_images("true")
        for words in self.OF_ALL + self.OF_A_JOB + (("config", "show"),):
            for wrong in (("--nonsense",), ("--db",), ("one", "word too many"),
                          ("--color", "red"), ("--log-level", "loud"), ("--config", "absent"),
                          ("--log-file", "/"), ("--progress", "none")):
                self.assertEqual(self.tool(*words, *wrong, expect=2), b"", (words, wrong))
                self.assertTrue(self.err.startswith("progress-tracker: "), self.err)
        for words in (("errors",), ("explain", "j"), ("retry",), ("reset",), ("remove",),
                      ("batches",), ("chain",), ("status", "--interval", "1"),
                      ("status", "--watch", "--interval", "0"), ("status", "--format", "x"),
                      ("status", "--format", "json", "--json"), ("export", "j"),
                      ("jobs", "\x1b[2J\xff")):
            self.tool(*words, expect=2)
        self.assertEqual(self.counts(), (0, 0, 1, 0))

    def test_2_for_a_page_that_cannot_be_written(self):
        self.make("d/a.png")
        self.run_images("true")
        for place in ("absent/page.html", "d", "d/a.png/page.html"):
            self.assertEqual(self.tool("report", "j", "-o", place, expect=2), b"", place)
            self.assertIn(place, self.err)
        self.assertEqual(self.read("d/a.png"), b"")
        self.tool("report", "j", expect=2)

    def test_3_for_what_is_not_there(self):
        for words in self.OF_ALL + self.OF_A_JOB:
            self.assertEqual(self.tool(*words, expect=3), b"")
            self.assertIn("check --db and PROGRESS_TRACKER_DB", self.err)
        self.assertEqual(os.listdir(self.home), [])
        self.make("d/a.png")
        self.tool("run", "--job", "other", "--images", "d", "--", "true")
        for words in self.OF_A_JOB:
            self.assertEqual(self.tool(*words, expect=3), b"", words)
        self.tool("explain", "other", "d/b.png", expect=3)

    def test_4_for_a_run_that_stopped_early(self):
        self.make("d/a.png", "d/b.png")
        self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
        self.run_images("false", options=("--max-errors", "1", "-j1"), expect=1)
        self.tool("retry", "j")
        self.run_images("true")

    def test_6_for_databases_that_cannot_be_used(self):
        self.make("d/a.png")
        self.make("text.db", text="this is no database, and long enough to be sure of that\n" * 50)
        os.mkdir(self.path("dir.db"))
        for database in ("text.db", "dir.db"):
            for words in self.OF_ALL + self.OF_A_JOB:
                self.assertEqual(self.tool(*words, "--db", database, expect=6), b"", words)
            self.run_images("true", options=("--db", database), expect=6)
        self.assertEqual(sorted(os.listdir(self.home)), ["d", "dir.db", "text.db"])

    def test_126_and_127_for_commands_that_are_none(self):
        self.make("d/a.png", "data")
        for more in ((), ("--json",), ("--progress", "json"), ("--dry-run",)):
            self.run_images("./data", options=more, expect=126)
            self.run_images("absent-command", options=more, expect=127)
        self.assertEqual(sorted(os.listdir(self.home)), ["d", "data"])

    def test_130_and_143_for_a_run_that_a_signal_stopped(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            self.make("d/hold.png")
            process = self.start_holding_run()
            process.send_signal(number)
            self.finish(process, expect=code)
            os.remove(self.path("held"))


class ImportTest(CommandsTest):
    # As the original publishes them.
    TABLES = """
        CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL,
            status TEXT DEFAULT 'running', created_at TIMESTAMP, updated_at TIMESTAMP,
            total_images INTEGER DEFAULT 0, processed_count INTEGER DEFAULT 0,
            error_count INTEGER DEFAULT 0);
        CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT,
            job_id INTEGER NOT NULL REFERENCES jobs(id), path TEXT NOT NULL,
            status TEXT DEFAULT 'pending', split TEXT, processed_at TIMESTAMP, error_message TEXT,
            UNIQUE(job_id, path));
        CREATE TABLE batches (id INTEGER PRIMARY KEY AUTOINCREMENT,
            job_id INTEGER NOT NULL REFERENCES jobs(id), batch_num INTEGER NOT NULL,
            status TEXT DEFAULT 'pending', image_count INTEGER DEFAULT 0, created_at TIMESTAMP,
            uploaded_at TIMESTAMP, upload_error TEXT);"""
    ROWS = """
        INSERT INTO jobs (name, total_images) VALUES ('j', 3), ('k', 0);
        INSERT INTO images (job_id, path, status, split, error_message) VALUES
            (1, 'd/a.png', 'completed', 'train', NULL), (1, 'd/b.png', 'error', 'train', 'broken'),
            (1, 'd/c.png', 'pending', NULL, NULL);
        INSERT INTO batches (job_id, batch_num, status, image_count) VALUES
            (1, 0, 'uploaded', 1);"""

    def make_old(self, rows=ROWS, tables=TABLES):
        connection = sqlite3.connect(os.path.join(self.home, "old.db"))
        try:
            connection.executescript(tables + rows)
        finally:
            connection.close()

    def refuses(self, *words, expect):
        """Says why, and changes nothing; above all, it makes no database."""
        before = self.everything()
        self.assertEqual(self.tool("import", *words, expect=expect), b"")
        self.assertTrue(self.err.startswith("progress-tracker: "), self.err)
        self.assertEqual(self.everything(), before)

    def test_brings_a_file_over(self):
        self.make_old()
        before = self.read("old.db")
        self.assertEqual(self.tool("import", "old.db"),
                         b"brought over: 2 jobs, 3 images (1 completed, 1 in error), 1 batch\n")
        self.assertEqual(self.err, "")
        self.assertEqual(self.counts(), (1, 0, 1, 1))
        self.assertIn(b"broken", self.tool("errors", "j"))
        self.assertEqual(self.read("old.db"), before)

    def test_in_json(self):
        self.make_old()
        numbers = {"schema_version": 1, "jobs": 2, "images": 3, "completed": 1, "error": 1,
                   "batches": 1, "already_there": 0, "listed_twice": 0, "images_left_out": 0,
                   "batches_left_out": 0, "notes": []}
        self.assertEqual(self.document("import", "old.db", "--json"), numbers)
        self.assertEqual(self.err, "")

    def test_again_does_no_harm(self):
        self.make_old(self.ROWS + "INSERT INTO images (job_id, path) VALUES (1, x'642f612e706e67')")
        self.assertEqual(self.tool("import", "old.db").splitlines()[1:],
                         [b"listed twice: 1 image"])
        before = self.tool("export", "j", "--json", "-"), self.tool("batches", "j")
        self.assertEqual(self.tool("import", "old.db").splitlines(),
                         [b"brought over: 0 jobs, 0 images (0 completed, 0 in error), 0 batches",
                          b"there before: 3 images", b"listed twice: 1 image"])
        self.assertEqual((self.tool("export", "j", "--json", "-"), self.tool("batches", "j")),
                         before)
        document = self.document("import", "old.db", "--json")
        self.assertEqual((document["already_there"], document["listed_twice"]), (3, 1))

    def test_the_next_run_goes_on(self):
        self.make("d/a.png", "d/b.png", "d/c.png")
        self.make_old()
        self.tool("import", "old.db")
        self.tool("run", "--job", "j", "--", "sh", "-c", 'echo "$1" >> seen', "sh", expect=1)
        self.assertEqual(self.lines("seen"), [b"d/c.png"])

    def test_notes_go_to_standard_error_and_names_in_them_are_safe(self):
        name = "\x1b[2J\u202e\n"
        self.make_old(f"""
            INSERT INTO jobs (name, total_images) VALUES ('{name}', 2);
            INSERT INTO images (job_id, path, status, split) VALUES
                (1, x'{HOSTILE_NAME.hex()}', '{name}', '{name}'), (1, '2', 'processing', NULL);
            INSERT INTO images (job_id, path) VALUES (7, '{name}');""")
        out = self.tool("import", "old.db")
        self.assertEqual(out.splitlines()[1:], [b"left out: 1 image, 0 batches"])
        notes = self.err.splitlines()
        self.assertTrue(all(note.startswith("progress-tracker: ") for note in notes), notes)
        for words in ("is called", "in work, pending now", "in a status that is unknown",
                      "of a split with control characters", "of jobs that are not there"):
            self.assertEqual(sum(words in note for note in notes), 1, (words, notes))
        # Nor are they lost in JSON, where they are all that is said of it.
        document = self.document("import", "old.db", "--db", "other.db", "--json")
        self.assertEqual([f"progress-tracker: {note}" for note in document["notes"]], notes)
        self.assertEqual(self.err, "")

    def test_2_without_a_path(self):
        self.refuses(expect=2)
        self.refuses("", expect=2)
        self.make_old()
        self.refuses("old.db", "another.db", expect=2)

    def test_2_for_a_job_that_another_feeds(self):
        self.make("d/a.png")
        self.run_images("true")
        self.tool("chain", "k", "--after", "j")
        self.make_old()
        self.assertEqual(self.tool("import", "old.db", expect=2), b"")
        self.assertIn('job "k"', self.err)
        self.assertEqual(self.counts(), (0, 0, 1, 0))

    def test_3_for_a_file_that_is_not_there(self):
        for more in ((), ("--json",)):
            self.refuses("absent\x1b.db", *more, expect=3)
        self.assertIn("no such file", self.err)

    def test_6_for_what_is_not_the_originals(self):
        self.make("text.db", text="this is no database, and long enough to be sure of that\n" * 50)
        self.make("empty.db")
        self.make_old("CREATE TABLE other (x)", tables="")
        for name, why in (("text.db", "not an SQLite file"), ("empty.db", "is empty"),
                          ("old.db", "it has no table jobs")):
            for more in ((), ("--json",)):
                self.refuses(name, *more, expect=6)
                self.assertIn(why, self.err)

    def test_6_for_one_of_this_tool(self):
        self.make("d/a.png")
        self.run_images("true")
        self.refuses("progress.db", "--db", "new.db", expect=6)
        self.assertIn("is a database of progress_tracker already", self.err)


if __name__ == "__main__":
    tool_support.main()
