"""`doctor` as its users meet it: doctor_test.py PATH_OF_PROGRESS_TRACKER [unittest options]."""

import json
import os
import re
import signal
import sqlite3
import subprocess

import tool_support

PAGE = 4096
WORKER_QUERY = "SELECT count(*) FROM worker"


class DoctorTest(tool_support.ToolTest):
    # ---- Verbs -----------------------------------------------------------------------------

    def make_job(self, images=4):
        self.make(*(f"d/train/{i}.png" for i in range(images)))
        self.run_images("true", options=("-j1",))

    def falsify(self, *statements):
        """What a program could do that knows nothing of us."""
        connection = sqlite3.connect(self.path("progress.db"), isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    def doctor(self, *words, expect=0, **options):
        text = self.tool("doctor", *words, expect=expect, **options)
        self.assertNotRegex(text, rb"[\x00-\x09\x0b-\x1f\x7f]", "control bytes")
        return text.decode()

    def examined(self, *words, expect=0):
        text = self.doctor("--json", *words, expect=expect)
        self.assertEqual(text.count("\n"), 1)
        return json.loads(text)

    def kill_a_run(self):
        """A run with two images in work and two pending, killed; returns its process id."""
        process = self.start_waiting_run()
        process.kill()
        process.wait()
        self.eventually(lambda: not any(map(self.is_running, self.lines("runs"))), "their end")
        return process.pid

    def damage(self, name):
        """Overwrites the first page of a table or an index."""
        self.overwrite(self.first_page_of(name))

    def first_page_of(self, name):
        return self.rows(f"SELECT rootpage FROM sqlite_schema WHERE name = '{name}'")[0][0]

    def overwrite(self, page):
        with open(self.path("progress.db"), "r+b") as file:
            file.seek((page - 1) * PAGE)
            file.write(b"\x55" * PAGE)

    def grow_log(self):
        """Leaves a write-ahead log above 64 MiB, if somebody has the file open meanwhile."""
        self.falsify("PRAGMA wal_autocheckpoint = 0", "CREATE TABLE big (x)",
                     f"INSERT INTO big VALUES (zeroblob({70 << 20}))")
        self.assertGreater(self.log_bytes(), 64 << 20)

    def open_reader(self):
        """A reader in a transaction, which leaves the log as it is when it closes."""
        reader = sqlite3.connect(f"file:{self.home}/progress.db?mode=ro", uri=True,
                                 isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM job").fetchall()
        return reader

    def log_bytes(self):
        return os.path.getsize(self.path("progress.db-wal"))

    def call_unfinished(self, job):
        """An index that lists a finished job among the unfinished ones."""
        self.falsify("DROP INDEX job_unfinished",
                     f"CREATE INDEX job_unfinished ON job (ready) WHERE id = {job}",
                     "PRAGMA writable_schema = ON",
                     "UPDATE sqlite_schema SET sql = 'CREATE INDEX job_unfinished ON job (ready) "
                     "WHERE name IS NULL OR loader IS NOT NULL' WHERE name = 'job_unfinished'")

    def last_line(self, text):
        return text.splitlines()[-1]

    def on_one_line(self, text):
        return " ".join(text.split())


class HealthyTest(DoctorTest):
    def test_a_healthy_database_is_told_from_its_last_line(self):
        self.make_job()
        text = self.doctor()
        self.assertEqual(self.last_line(text), "ALL IS WELL")
        for fact in (rf"database +{re.escape(os.path.realpath(self.home))}/progress\.db",
                     r"file system +\w+", r"size +[\d.]+ KiB; write-ahead log empty",
                     r"identity +.*0x5054726b", r"SQLite +3\.\d+\.\d+, ", r"quick check +ok",
                     r"counts +agree with a recount of 4 images in 1 job", r"references +ok",
                     r"leftovers +none", r"workers +0 alive, 1 gone"):
            self.assertRegex(text, rf"(?m)^{fact}")
        self.assertIn("journal_mode=wal", text)

    def test_json_has_all_of_it(self):
        self.make_job()
        document = self.examined()
        self.assertEqual(
            list(document),
            ["schema_version", "path", "healthy", "problems", "repairable_problems", "notes",
             "sqlite_version", "has_wal_reset_fix", "filesystem", "pragmas", "application_id",
             "database_schema_version", "database_bytes", "wal_bytes", "damage", "jobs",
             "total_images", "count_differences", "dangling_references", "workers", "leftovers"])
        self.assertEqual(document["schema_version"], 1)
        self.assertEqual(document["path"], os.path.realpath(self.path("progress.db")).decode())
        self.assertIs(document["healthy"], True)
        self.assertEqual(document["problems"], [])
        self.assertEqual(document["application_id"], 0x5054726B)
        self.assertEqual(document["pragmas"]["journal_mode"], "wal")
        self.assertEqual(document["database_bytes"], os.path.getsize(self.path("progress.db")))
        self.assertEqual((document["jobs"], document["total_images"]), (1, 4))

    def test_changes_nothing_and_neither_does_a_repair_of_what_is_healthy(self):
        self.make_job()
        self.falsify("DELETE FROM worker")
        before = self.read("progress.db")
        self.doctor()
        self.assertEqual(self.read("progress.db"), before)
        self.assertIn("there was nothing to repair", self.doctor("--repair"))
        self.assertEqual(self.read("progress.db"), before)

    def test_works_beside_a_run_and_takes_nothing_from_it(self):
        process = self.start_waiting_run()
        workers = self.examined()["workers"]
        self.assertEqual([(worker["pid"], worker["alive"], worker["processing"])
                          for worker in workers], [(process.pid, True, 2)])
        self.assertRegex(workers[0]["started_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertRegex(self.doctor("--repair"), rf"(?m)^ +\d+  alive +2 +{process.pid}  20")
        self.assertEqual(self.counts(), (2, 2, 0, 0))
        self.make("go")
        self.finish(process, expect=0)
        self.assertEqual(self.rows("SELECT DISTINCT attempts, deaths FROM images"), [(1, 0)])


class UnhealthyTest(DoctorTest):
    def test_a_wrong_count_is_found_and_mended(self):
        self.make_job()
        self.falsify("UPDATE split SET completed = completed - 3")
        text = self.doctor(expect=6)
        self.assertRegex(text, r"(?m)^counts +WRONG in 1 split")
        self.assertIn('job 1 "j", split "train"', text)
        self.assertIn("\nNOT WELL: 1 problem, which a repair mends\n", text)
        self.assertEqual(self.counts(), (3, 0, 1, 0))

        # What is to be typed next is the line that mends it.
        line = self.last_line(text)
        self.assertTrue(line.startswith(f"next: {tool_support.TOOL} doctor --db /"), line)
        repaired = self.doctor(*line.split()[3:])
        self.assertIn("repaired just now\n  - job 1 \"j\", split \"train\": the counts", repaired)
        self.assertEqual(self.last_line(repaired), "ALL IS WELL")
        self.assertEqual(self.counts(), (0, 0, 4, 0))
        self.doctor()

    def test_json_tells_counts_before_and_after(self):
        self.make_job()
        self.falsify("UPDATE split SET completed = completed - 3")
        document = self.examined(expect=6)
        self.assertEqual(document["count_differences"], [
            {"job_id": 1, "job": "j", "split": "train",
             "stored": {"pending": 3, "processing": 0, "completed": 1, "error": 0},
             "counted": {"pending": 0, "processing": 0, "completed": 4, "error": 0}}])
        self.assertIs(document["healthy"], False)
        self.assertEqual(document["repairable_problems"], 1)
        self.assertNotIn("repair", document)
        document = self.examined("--repair")
        self.assertEqual(document["count_differences"], [])
        self.assertEqual(document["repair"]["counts_corrected"], 1)
        self.assertEqual(document["repair"]["workers_forgotten"], 1)
        self.assertEqual(len(document["repair"]["done"]), 2)

    def test_what_a_dead_worker_holds_is_no_problem_and_a_repair_gives_it_back(self):
        pid = self.kill_a_run()
        text = self.doctor()
        self.assertRegex(text, rf"(?m)^ +\d+  gone +2 +{pid}  ")
        self.assertIn("\nALL IS WELL; workers that are gone hold 2 images\n", text)
        self.assertTrue(text.endswith(" --repair\n"), text)
        self.assertEqual(self.counts(), (2, 2, 0, 0))

        repaired = self.doctor("--repair")
        self.assertIn('job 1 "j": 2 images that workers that are gone held are pending again',
                      self.on_one_line(repaired))
        self.assertIn("forgot 1 worker that is gone", repaired)
        self.assertEqual(self.last_line(repaired), "ALL IS WELL")
        self.assertEqual(self.counts(), (4, 0, 0, 0))
        self.assertEqual(self.rows("SELECT sum(deaths) FROM images"), [(2,)])
        self.assertEqual(self.rows(WORKER_QUERY), [(0,)])

    def test_counts_and_dead_workers_are_mended_together(self):
        self.kill_a_run()
        self.falsify("UPDATE split SET processing = 0",
                     "UPDATE job SET started = published")
        self.assertEqual(self.examined(expect=6)["repairable_problems"], 2)
        document = self.examined("--repair")
        self.assertEqual((document["repair"]["counts_corrected"],
                          document["repair"]["images_given_back"],
                          document["repair"]["workers_forgotten"]), (1, 2, 1))
        self.make("go")
        self.run_images("true")
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_what_a_repair_cannot_mend_stays_a_problem(self):
        self.make_job()
        self.falsify("DELETE FROM path WHERE image_id = (SELECT min(id) FROM image)")
        text = self.doctor(expect=6)
        self.assertRegex(text, r"(?m)^references +WRONG: 1 ")
        self.assertIn("NOT WELL: 1 problem, which a repair does not mend", text)
        self.assertNotIn("--repair", text)
        self.doctor("--repair", expect=6)

    def test_leftovers_are_cleared(self):
        self.make_job()
        self.falsify("UPDATE split SET total = total - 1, completed = completed - 1",
                     "UPDATE job SET processed_count = 0",
                     "UPDATE job SET published = published - 1, started = started - 1, loader = 0")
        self.assertRegex(self.doctor(), r"(?m)^leftovers +1 image of 1 load or removal cut off")
        self.assertEqual(self.examined()["leftovers"], [{"job_id": 1, "images": 1}])
        self.assertEqual(self.examined("--repair")["repair"]["leftovers_cleared"], 1)
        self.assertRegex(self.doctor(), r"(?m)^leftovers +none")


class RefusedTest(DoctorTest):
    def test_why_a_repair_is_refused_is_told_and_not_called_well(self):
        self.make_job()
        self.falsify("DELETE FROM worker", "UPDATE job SET created_at = 9000000000000000")
        self.assertEqual(self.last_line(self.doctor()), "ALL IS WELL")
        self.tool("status", expect=6)
        before = self.read("progress.db")

        text = self.doctor("--repair", expect=6)
        self.assertRegex(text, r"repaired just now\n  - nothing: \w+: .*progress\.db")
        self.assertIn("a time is out of range", self.on_one_line(text))
        self.assertIn("\nNOT WELL: ", text)
        self.assertIn("the repair stopped", text)
        for untrue in ("ALL IS WELL", "damaged file", "backup"):
            self.assertNotIn(untrue, text)
        self.assertIn("progress.db-wal", self.last_line(text))
        document = self.examined("--repair", expect=6)
        self.assertIs(document["repair"]["refused"], True)
        self.assertIn("a time is out of range", document["repair"]["refusal"])
        self.assertEqual(self.read("progress.db"), before)

    def test_what_was_done_before_a_repair_stopped_is_told(self):
        self.make_job()
        self.call_unfinished(1)
        for show in (lambda: self.doctor("--repair", expect=6),
                     lambda: self.examined("--repair", expect=6)):
            self.falsify("UPDATE split SET completed = completed - 3")
            shown = show()
            self.assertEqual(self.counts(), (0, 0, 4, 0))
            if isinstance(shown, str):
                self.assertIn('  - job 1 "j", split "train": the counts said', shown)
                self.assertIn("  - then stopped: ", shown)
                self.assertIn("job 1 is not unfinished", self.on_one_line(shown))
                self.assertNotIn("nothing", shown)
                self.assertNotIn("ALL IS WELL", shown)
            else:
                self.assertEqual(shown["repair"]["counts_corrected"], 1)
                self.assertEqual(len(shown["repair"]["done"]), 1)
                self.assertIn("is not unfinished", shown["repair"]["refusal"])

    def test_json_of_a_repair_that_was_not_refused_says_so(self):
        self.make_job()
        repair = self.examined("--repair")["repair"]
        self.assertIs(repair["refused"], False)
        self.assertIsNone(repair["refusal"])

    def test_what_was_done_is_told_also_where_the_examination_fails(self):
        self.make_job()
        self.falsify("UPDATE split SET completed = completed - 3",
                     "UPDATE worker SET started_at = 9000000000000000")
        self.assertEqual(self.doctor("--repair", expect=6), "")
        self.assertIn('progress-tracker: repaired: job 1 "j", split "train": the counts', self.err)
        self.assertIn("progress-tracker: the repair stopped: repair: ", self.err)
        self.assertIn("progress-tracker: examine: ", self.err)
        self.assertEqual(self.rows("SELECT total, completed FROM split"), [(4, 4)])


class LargeLogTest(DoctorTest):
    def test_a_log_that_a_reader_made_grow_is_emptied_once_it_is_gone(self):
        self.make_job()
        reader = self.open_reader()
        self.grow_log()

        text = self.doctor(expect=6)
        said = self.on_one_line(text)
        self.assertIn("in a transaction that does not end, or had it open, and nobody has", said)
        self.assertIn("a repair empties it once no program has the file open", said)
        self.assertIn("\nNOT WELL: 1 problem, which a repair mends\n", text)
        self.assertRegex(self.last_line(text), r"^next: .* --repair$")
        self.assertNotIn("backup", text)

        text = self.doctor("--repair", expect=6)
        self.assertIn("\nNOT WELL: 1 problem, which the repair did not mend\n", text)
        self.assertEqual(self.last_line(text), "next: see what each problem says")
        self.assertNotIn("backup", text)

        reader.close()
        self.assertGreater(self.log_bytes(), 64 << 20)
        self.assertEqual(self.examined(expect=6)["repairable_problems"], 1)
        text = self.doctor("--repair")
        self.assertRegex(self.on_one_line(text), r"- the write-ahead log had \d+ MiB and is empty")
        self.assertEqual(self.last_line(text), "ALL IS WELL")
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_a_large_log_of_processes_that_were_killed_is_emptied(self):
        self.make_job()
        writer = os.fork()
        if writer == 0:
            try:
                keep = sqlite3.connect(self.path("progress.db"))
                keep.execute("SELECT * FROM job").fetchall()
                self.grow_log()
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(writer, 0)
        self.assertGreater(self.log_bytes(), 64 << 20)

        self.assertRegex(self.last_line(self.doctor(expect=6)), r"^next: .* --repair$")
        self.assertEqual(self.last_line(self.doctor("--repair")), "ALL IS WELL")
        self.assertEqual(self.counts(), (0, 0, 4, 0))

    def test_nobody_is_told_to_repair_a_damaged_file_for_its_log(self):
        self.make_job()
        page = self.first_page_of("state_error")
        reader = self.open_reader()
        self.grow_log()
        reader.close()
        self.overwrite(page)
        for words in ((), ("--repair",)):
            document = self.examined(*words, expect=6)
            self.assertTrue(document["damage"])
            self.assertEqual(document["repairable_problems"], 0)
            self.assertEqual(len(document["problems"]), 1)
        self.assertGreater(self.log_bytes(), 64 << 20)


class DamagedTest(DoctorTest):
    def test_a_damaged_page_is_found_and_the_file_left_as_it_is(self):
        self.make_job()
        self.damage("state_error")
        before = self.read("progress.db")
        for words in ((), ("--repair",)):
            text = self.doctor(*words, expect=6)
            self.assertRegex(text, r"(?m)^quick check +DAMAGED")
            self.assertIn("\nDAMAGED: the file is not sound\n", text)
            self.assertIn("progress.db-wal", self.last_line(text))
        self.assertIn("nothing: a damaged file is left as it is: repair: ", self.on_one_line(text))
        document = self.examined("--repair", expect=6)
        self.assertIs(document["repair"]["refused"], True)
        self.assertTrue(document["damage"])
        self.assertIsNone(document["workers"])
        self.assertIsNone(document["count_differences"])
        self.assertEqual(self.read("progress.db"), before)

    def test_a_file_too_damaged_to_be_read_says_so(self):
        self.make_job()
        self.damage("state")
        before = self.read("progress.db")
        for words in ((), ("--repair",), ("--json",)):
            self.assertEqual(self.doctor(*words, expect=6), "")
            self.assertIn("restore a backup", self.err)
        self.assertEqual(self.read("progress.db"), before)

    def test_files_that_are_not_ours_keep_their_own_error(self):
        self.make("text.db", text="this is no database, and long enough to be sure of that\n" * 50)
        connection = sqlite3.connect(self.path("foreign.db"))
        connection.execute("CREATE TABLE t(x)")
        connection.close()
        for name in ("text.db", "foreign.db"):
            before = self.read(name)
            for words in ((), ("--repair",), ("--json",)):
                self.assertEqual(self.doctor("--db", name, *words, expect=6), "")
                self.assertIn("give another place with --db", self.err)
            self.assertEqual(self.read(name), before)

    def test_3_where_there_is_no_database_and_none_is_made(self):
        for words in ((), ("--repair",), ("--json",)):
            self.assertEqual(self.doctor(*words, expect=3), "")
        self.assertEqual(os.listdir(self.home), [])


class HostileTextTest(DoctorTest):
    BAD = "\x1b[2J\r\u202e"

    def test_text_from_the_file_is_escaped(self):
        self.kill_a_run()
        self.falsify(f"UPDATE worker SET host = 'h{self.BAD}'",
                     f"UPDATE split SET name = 's{self.BAD}', total = total + 1",
                     f"UPDATE job SET name = 'n{self.BAD}'",
                     f"CREATE TABLE \"t{self.BAD}\" (id REFERENCES image (id))",
                     f"INSERT INTO \"t{self.BAD}\" VALUES (1)")
        for words in ((), ("--json",), ("--repair",)):
            text = self.doctor(*words, expect=6)
            self.assertTrue(words == ("--json",) or "\u202e" not in text)
            for name in ("h", "s", "n", "t"):
                if name != "h" or words != ("--repair",):
                    self.assertRegex(text, name + r"\\+(x1B|u001b)\[2J")
        self.assertIn("are pending again", self.on_one_line(text))

    def test_a_path_that_is_not_utf8_can_be_typed_again(self):
        self.make_job()
        name = b"odd \xff'\x1b.db"
        for suffix in (b"", b"-workers"):
            os.rename(self.path(b"progress.db" + suffix), self.path(name + suffix))
        document = json.loads(self.doctor("--db", name, "--json"))
        self.assertTrue(document["path"].endswith("odd \\xFF'\\x1B.db"), document["path"])
        self.assertIn("path_base64", document)
        connection = sqlite3.connect(self.path(name), isolation_level=None)
        connection.execute("UPDATE split SET completed = 0")
        connection.close()
        line = self.last_line(self.doctor("--db", name, expect=6)).removeprefix("next: ")
        text = subprocess.run(["bash", "-c", line], cwd="/", env=self.environment,
                              check=True, capture_output=True,
                              timeout=tool_support.DEADLINE_S).stdout
        self.assertTrue(text.endswith(b"\nALL IS WELL\n"), text)

    def test_notices_that_its_output_cannot_be_written(self):
        self.make_job()
        with open("/dev/full", "wb") as full:
            self.tool("doctor", stdout=full, expect=2)


if __name__ == "__main__":
    tool_support.main()
