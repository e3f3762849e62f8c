"""Runs the reliability tests at the size of a release and prints what was tried as one table.

    soak.py BUILD [--only NAME] [--seed N] [--jobs N] [--most-minutes N] [--resume]

BUILD is a build directory with the tests in it. The table goes to standard output and to
BUILD/soak.md, what the programs say to BUILD/soak/. The exit status is 1 if anything went wrong: a
program failed, was ended by a signal or took too long, a row says so, or there should be one and is
not. --resume goes on after an interruption, with the same seed.
"""

import argparse
import concurrent.futures
import datetime
import fnmatch
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

GOALS = {
    "G1": "Nothing acknowledged is lost by a death",
    "G2": "A death at every call of SQLite",
    "G3": "Power loss",
    "G4": "Every call of SQLite fails",
    "G5": "Every allocation fails",
    "G6": "SQLite's WAL-reset bug",
    "G7": "Many processes and threads",
    "G9": "The write-ahead log stays small",
    "G10": "Many first openers",
    "G11": "Damaged and malicious databases",
    "G12": "Hostile strings",
    "G13": "Full disks and limits",
    "G14": "Deadlines",
    "G15": "Files that are not ours, or not there any more",
    "G16": "Owners and clocks",
    "Ends": "Ends and forks of a process",
    "Churn": "Threads and trackers that come and go",
}


# The rows that each program has to report, as patterns: one that dies before it reports, or reports
# less than it did, must not look like one that found nothing.
ROWS = {
    "allocation_test": ["G5 an allocation fails*: *"],
    "authorizer_test": [
        "G11 statements put before an authorizer",
        "G11 statements on tampered files put before an authorizer",
    ],
    "churn_test": [
        "Churn threads that came and went",
        "Churn open and close cycles",
        "Churn trackers that passed beside one that stays",
    ],
    "crowd_test": [
        "G7 calls by * that do everything",
        "G9 KiB of log beside *",
        "G9 long readers under which the log grew",
        "G10 first opens by *",
        "G16 claims by workers that are killed*",
        "G16 stories told twice*",
    ],
    "ending_test": [
        "Ends programs ended by SIGTERM",
        "Ends programs ended by SIGINT",
        "Ends programs ended by SIGQUIT",
        "Ends programs ended by SIGHUP",
        "Ends programs ended by abort",
        "Ends programs ended by exception",
        "Ends programs ended by _exit",
        "Ends programs ended by exit",
        "Ends programs ended by exit, close in a handler",
        "Ends programs ended by exit, static tracker",
        "Ends forks under load*",
        "Ends children of a fork under load that opened their own",
        "Ends children of a fork under load that logged",
        "Ends children of a fork during another thread's first *",
        "Ends programs started under load",
        "G14 writing calls beside a stopped writer",
        "G14 calls with buffered marks beside a stopped writer",
        "G14 openings beside a stopped program",
        "G14 openings that waited for two obstacles",
        "G14 calls of 4 threads beside a stopped worker",
        "G14 calls that waited for another thread first",
    ],
    "found_defects_test": [],
    "full_disk_test": [
        "G13 calls at fill levels * of a byte budget",
        "G13 calls at fill levels * of a tmpfs",
        "G13 fill/free cycles of a byte budget",
        "G13 fill/free cycles of a tmpfs",
    ],
    "fuzz_test": ["G11 random calls against the model", "G11 inputs of the database fuzzer"],
    "io_failure_test": [
        "G4 a call of SQLite fails, once or for ever",
        "G4 a read finds the end of the file, once or for ever",
        "G4 a write finds no room, once or for ever",
    ],
    "kill_points_test": ["G2 kill -9 before a call of SQLite*", "G2 two kills*"],
    "kill_test": [
        "G1 kill -9 at a random time",
        "G1 kill -9 of one of four workers",
        "G1 kill -9 of a worker that holds marks back",
    ],
    "limits_test": [
        "G13 calls with files limited*",
        "G13 calls at each limit of * descriptors",
        "G13 calls with little address space left",
        "G13 amounts of memory for SQLite",
        "G13 runs of run_job() with * threads to be had",
    ],
    "misuse_test": ["Churn calls with ids that are not there"],
    "moved_file_test": [
        "G15 moves at random moments*",
        "G15 removals of the workers' file under two trackers",
    ],
    "mutation_test": [
        "G11 mutated databases (copied)",
        "G11 mutated databases (fine)",
        "G11 mutated databases (large)",
        "G11 mutated databases (logged)",
        "G11 mutated databases (unfolded)",
        "G11 mutated databases (version_1)",
        "G11 mutated databases (whole)",
    ],
    "power_loss_test": ["G3 power lost", "G3 power lost, four threads that share syncs"],
    "refused_files_test": [
        "G15 other programs' databases at five doors",
        "G15 newer schemas at five doors",
        "G15 files with several hard links at five doors",
        "G15 files that are no database at five doors",
        "G15 links that lead nowhere at five doors",
        "G15 files that are not there at five doors",
        "G15 foreign databases cut off in their first page at five doors",
        "G15 databases of ours cut off in their first page at five doors",
        "G15 databases of ours with another schema at five doors",
    ],
    "strings_test": [
        "G12 paths of one and of two bytes",
        "G12 random and hostile paths",
        "G12 hostile names of databases",
        "G12 names of jobs and splits",
        "G12 messages",
        "G12 random strings escaped",
    ],
    "tampered_test": [],
    "terminal_test": [
        "G12 runs of the tool over hostile names at once",
        "G12 complaints of the tool about hostile names",
    ],
    "wal_reset_test": [
        "G6 forced WAL-reset interleaving, our checkpoint",
        "G6 our checkpoint while the other writer has the lock",
        "G6 control: a plain checkpoint, mode 0",
        "G6 control: a plain checkpoint, mode 1",
        "G6 control: a plain checkpoint, mode 3",
    ],
}

# So that none of them is left running alone at the end.
LONGEST = ("mutation_test", "allocation_test")


def programs(build):
    """Every reliability test, and the kills, whose size has a name of its own; built or not."""
    place = build / "tests" / "reliability"
    names = {path.name for path in place.glob("*_test") if path.is_file()} | set(ROWS)
    found = [build / "tests" / "processes" / name if name == "kill_test" else place / name for name in names]
    return sorted(found, key=lambda path: (path.name not in LONGEST, path.name))


class Soak:
    """What has come through, one file for each program: <program>.<seed>.tsv."""

    def __init__(self, build, seed, most_minutes):
        self.logs = build / "soak"
        self.logs.mkdir(exist_ok=True)
        self.seed = seed
        self.most_minutes = most_minutes
        self.running = set()

    def log(self, program):
        return self.logs / f"{program.name}.{self.seed}.log"

    def report(self, program):
        return self.logs / f"{program.name}.{self.seed}.tsv"

    def unfinished(self, program):
        return self.report(program).with_suffix(".unfinished")

    def reports(self, program):
        """Of the program, or of as much of it as went before it failed."""
        return [path for path in (self.report(program), self.unfinished(program)) if path.exists()]

    def run(self, program):
        """Returns the program, what is wrong with its end or "", and how long it took."""
        self.report(program).unlink(missing_ok=True)
        unfinished = self.unfinished(program)
        unfinished.write_text("")
        environment = dict(
            os.environ,
            PROGRESS_TRACKER_TEST_SIZE="release",
            PROGRESS_TRACKER_TEST_REPORT=str(unfinished),
            PROGRESS_TRACKER_TEST_SEED=str(self.seed),
        )
        if program.name == "kill_test":
            environment["PROGRESS_TRACKER_TEST_SCALE"] = "50"
        begin = time.monotonic()
        with open(self.log(program), "w", encoding="utf-8") as log:
            # In a session of its own, so that all that it has started can be ended with it.
            process = subprocess.Popen(
                [program],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.add(process)
        try:
            fault = said_of(process.wait(60 * self.most_minutes))
        except subprocess.TimeoutExpired:
            end_session(process)
            fault = f"took more than {self.most_minutes:g} minutes"
        self.running.discard(process)
        if not fault and not faults_in(rows_of([unfinished])):
            unfinished.rename(self.report(program))
        return program, fault, time.monotonic() - begin

    def stop(self):
        for process in list(self.running):
            end_session(process)

    def skipped(self, program):
        """Its tests that were skipped, each with the reason."""
        if not self.log(program).exists():
            return []
        log = self.log(program).read_text("utf-8", errors="replace")
        tests = re.findall(r"^\[  SKIPPED \] (\S+) \(\d+ ms\)$", log, re.MULTILINE)
        reasons = re.findall(r": Skipped\n(.*)$", log, re.MULTILINE)
        return list(zip(tests, reasons + [""] * len(tests)))

    def missing(self, program):
        """The rows that it should have reported and has not."""
        found = [f"{goal} {what}" for goal, what, *_ in rows_of(self.reports(program))]
        return [row for row in ROWS.get(program.name, []) if not fnmatch.filter(found, row)]


def end_session(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def said_of(status):
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}" if status else ""


def rows_of(reports):
    """The reports' lines as (goal, what, count, wrong, remarks), those of all scenarios as one."""
    rows = {}
    for line in (line for report in reports for line in report.read_text("utf-8").splitlines()):
        goal, what, count, wrong, remark = line.split("\t")
        scenario = re.fullmatch(r"(.*), ([a-z0-9_]+)", what)
        key = (goal, scenario[1] if scenario else what)
        row = rows.setdefault(key, {"count": 0, "wrong": 0, "scenarios": set(), "remark": ""})
        row["count"] += int(count)
        row["wrong"] += int(wrong)
        if scenario:
            row["scenarios"].add(scenario[2])
        else:
            row["remark"] = remark
    goals = list(GOALS)
    for (goal, what), row in sorted(rows.items(), key=lambda item: (goals.index(item[0][0]), item[0][1])):
        remark = f"{len(row['scenarios'])} scenarios" if row["scenarios"] else row["remark"]
        yield goal, what, row["count"], row["wrong"], remark


def faults_in(rows):
    """The rows that say that something is wrong, or that nothing was tried."""
    return [
        f"FAILED: {goal} {what}: {wrong} wrong of {count}"
        for goal, what, count, wrong, _ in rows
        if wrong > 0 or count == 0
    ]


def table_of(reports, seed):
    lines = [
        f"Run of {datetime.date.today().isoformat()}, seed {seed}.",
        "",
        "| Goal | Tried | Times | Lost or wrong | |",
        "|---|---|---:|---:|---|",
    ]
    last = None
    for goal, what, count, wrong, remark in rows_of(reports):
        title = "" if goal == last else GOALS[goal]
        last = goal
        lines.append(f"| {title} | {what} | {count:,} | {wrong} | {remark} |".replace("\x1b", "?"))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--only", metavar="NAME", help="programs whose name contains this")
    parser.add_argument("--seed", type=int, help="default: another one each time")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    parser.add_argument(
        "--most-minutes", type=float, default=120, metavar="N", help="for one program (default: 120)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="leave out what has come through with this --seed"
    )
    arguments = parser.parse_args()
    if arguments.resume and arguments.seed is None:
        parser.error("--resume needs the --seed of the run that was interrupted")
    if arguments.seed is None:
        arguments.seed = random.randrange(1, 2**31)
    chosen = [p for p in programs(arguments.build) if not arguments.only or arguments.only in p.name]
    if not chosen:
        print(f"soak.py: no program's name contains '{arguments.only}'", file=sys.stderr)
        return 1
    print(f"seed {arguments.seed}", file=sys.stderr)

    soak = Soak(arguments.build, arguments.seed, arguments.most_minutes)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without ending the programs
    built = [p for p in chosen if os.access(p, os.X_OK)]
    left = [p for p in built if not (arguments.resume and soak.report(p).exists())]
    failed = [f"FAILED: {p.name} is not built" for p in chosen if p not in built]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        try:
            for done in concurrent.futures.as_completed([pool.submit(soak.run, p) for p in left]):
                program, fault, seconds = done.result()
                print(f"{program.name}: {fault or 'ok'}, {seconds:.0f} s", file=sys.stderr)
                if fault:
                    failed.append(f"FAILED: {program.name} {fault}: see {soak.log(program)}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            soak.stop()
            raise
    reports = [path for p in chosen for path in soak.reports(p)]
    failed += faults_in(rows_of(reports))
    notes = []
    for program in built:
        skipped = soak.skipped(program)
        notes += [f"SKIPPED: {program.name}: {test}: {reason}" for test, reason in skipped]
        # What was skipped says why.
        (notes if skipped else failed).extend(
            f"MISSING: {program.name}: {row}" for row in soak.missing(program)
        )
    table = table_of(reports, arguments.seed)
    table += "".join(f"\n{line}\n" for line in notes + failed)
    (arguments.build / "soak.md").write_text(table, encoding="utf-8")
    print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
