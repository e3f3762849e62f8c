"""Runs the reliability tests at the size of a release and prints what was tried as one table.

    soak.py BUILD [--only NAME] [--seed N] [--jobs N]

BUILD is a build directory with the tests in it. The table goes to standard output and to
BUILD/soak.md, what the programs say to BUILD/soak/. The exit status is 1 if anything went wrong.
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
}


def programs(build):
    """Every reliability test, and the kills, whose size has a name of its own."""
    found = sorted(
        path
        for path in (build / "tests" / "reliability").glob("*_test")
        if os.access(path, os.X_OK) and path.is_file()
    )
    return [build / "tests" / "processes" / "kill_test", *found]


def run(program, report, logs, seed):
    environment = dict(
        os.environ,
        PROGRESS_TRACKER_TEST_SIZE="release",
        PROGRESS_TRACKER_TEST_REPORT=str(report),
        PROGRESS_TRACKER_TEST_SEED=str(seed),
    )
    if program.name == "kill_test":
        environment["PROGRESS_TRACKER_TEST_SCALE"] = "50"
    begin = time.monotonic()
    with open(logs / f"{program.name}.log", "w", encoding="utf-8") as log:
        status = subprocess.run(
            [program], env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        ).returncode
    return program.name, status, time.monotonic() - begin


def rows_of(report):
    """The report's lines as (goal, what, count, wrong, remarks), those of all scenarios as one."""
    rows = {}
    for line in report.read_text(encoding="utf-8").splitlines():
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
    for (goal, what), row in sorted(rows.items(), key=lambda item: (int(item[0][0][1:]), item[0][1])):
        remark = f"{len(row['scenarios'])} scenarios" if row["scenarios"] else row["remark"]
        yield goal, what, row["count"], row["wrong"], remark


def table_of(report, seed, seconds, failed):
    lines = [
        f"Run of {datetime.date.today().isoformat()}, seed {seed}, {seconds / 60:.0f} minutes.",
        "",
        "| Goal | Tried | Times | Lost or wrong | |",
        "|---|---|---:|---:|---|",
    ]
    last = None
    for goal, what, count, wrong, remark in rows_of(report):
        title = "" if goal == last else f"{goal}: {GOALS.get(goal, '')}"
        last = goal
        lines.append(f"| {title} | {what} | {count:,} | {wrong} | {remark} |".replace("\x1b", "?"))
    lines += [f"\nFAILED: {name}, status {status}: see its log" for name, status in failed]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--only", metavar="NAME", help="programs whose name contains this")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31))
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    arguments = parser.parse_args()

    logs = arguments.build / "soak"
    logs.mkdir(exist_ok=True)
    report = logs / "report.tsv"
    report.write_text("")
    chosen = [p for p in programs(arguments.build) if not arguments.only or arguments.only in p.name]
    failed = []
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(run, program, report, logs, arguments.seed) for program in chosen]
        for done in concurrent.futures.as_completed(runs):
            name, status, seconds = done.result()
            print(f"{name}: {'ok' if status == 0 else 'FAILED'} in {seconds:.0f} s", file=sys.stderr)
            if status != 0:
                failed.append((name, status))
    table = table_of(report, arguments.seed, time.monotonic() - begin, failed)
    (arguments.build / "soak.md").write_text(table, encoding="utf-8")
    print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
