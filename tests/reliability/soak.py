"""Runs the reliability tests at the size of a release and prints what was tried as one table.

    soak.py BUILD [--only NAME] [--seed N] [--jobs N] [--resume]

BUILD is a build directory with the tests in it. The table goes to standard output and to
BUILD/soak.md, what the programs say to BUILD/soak/. The exit status is 1 if anything went wrong.
--resume goes on after an interruption, with the same seed.
"""

import argparse
import concurrent.futures
import datetime
import os
import pathlib
import random
import re
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


# So that none of them is left running alone at the end.
LONGEST = ("mutation_test", "allocation_test")


def programs(build):
    """Every reliability test, and the kills, whose size has a name of its own."""
    found = sorted(
        path
        for path in (build / "tests" / "reliability").glob("*_test")
        if os.access(path, os.X_OK) and path.is_file()
    )
    found.append(build / "tests" / "processes" / "kill_test")
    return sorted(found, key=lambda path: path.name not in LONGEST)


class Soak:
    """What has come through, one file for each program: <program>.<seed>.tsv."""

    def __init__(self, build, seed):
        self.logs = build / "soak"
        self.logs.mkdir(exist_ok=True)
        self.seed = seed

    def report(self, program):
        return self.logs / f"{program.name}.{self.seed}.tsv"

    def unfinished(self, program):
        return self.report(program).with_suffix(".unfinished")

    def reports(self, program):
        """Of the program, or of as much of it as went before it failed."""
        return [path for path in (self.report(program), self.unfinished(program)) if path.exists()]

    def run(self, program):
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
        with open(self.logs / f"{program.name}.log", "w", encoding="utf-8") as log:
            status = subprocess.run(
                [program], env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            ).returncode
        if status == 0:
            unfinished.rename(self.report(program))
        return program, status, time.monotonic() - begin


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


def table_of(reports, seed, failed):
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
    lines += [f"\nFAILED: {name}, status {status}: see its log" for name, status in failed]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--only", metavar="NAME", help="programs whose name contains this")
    parser.add_argument("--seed", type=int, help="default: another one each time")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what has come through with this --seed"
    )
    arguments = parser.parse_args()
    if arguments.resume and arguments.seed is None:
        parser.error("--resume needs the --seed of the run that was interrupted")
    if arguments.seed is None:
        arguments.seed = random.randrange(1, 2**31)
    print(f"seed {arguments.seed}", file=sys.stderr)

    soak = Soak(arguments.build, arguments.seed)
    chosen = [p for p in programs(arguments.build) if not arguments.only or arguments.only in p.name]
    left = [p for p in chosen if not (arguments.resume and soak.report(p).exists())]
    failed = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for done in concurrent.futures.as_completed(pool.submit(soak.run, p) for p in left):
            program, status, seconds = done.result()
            word = "ok" if status == 0 else "FAILED"
            print(f"{program.name}: {word} in {seconds:.0f} s", file=sys.stderr)
            if status != 0:
                failed.append((program.name, status))
    reports = [path for p in chosen for path in soak.reports(p)]
    table = table_of(reports, arguments.seed, failed)
    (arguments.build / "soak.md").write_text(table, encoding="utf-8")
    print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
