#!/usr/bin/env python3
"""Runs the benchmark: every case of cases.py, in rounds; prints one table and writes one JSON file.

    benchmark.py --programs DIR --work DIR --json FILE [--tool PATH] [options]

A round makes every run of the suite once, in turn, each in a fresh process in a new directory below
--work, so that what is compared is measured side by side. A figure is the median of its rounds. A
missed target is a result: the exit code is 1 only if a run failed.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import cases
import report

NOT_INSTALLED = 77  # exit code of a driver that lacks a program to compare with
LONGEST_RUN_S = 1800

HERE = os.path.dirname(os.path.abspath(__file__))
SCALES = {"normal": cases.NORMAL, "quick": cases.QUICK, "large": cases.LARGE,
          "smoke": cases.SMOKE}


class Failed(Exception):
    """A run gave no figures."""


class LeftOut(Exception):
    """A run could not be made: something is not built, or not installed."""


# ---- One run -----------------------------------------------------------------------------------


def command_line(run, options, directory):
    arguments = [*run.arguments, f"directory={directory}"]
    if run.driver == "tool_benchmark.py":
        if options.tool is None:
            raise LeftOut("the tool is not built")
        script = os.path.join(HERE, run.driver)
        return [sys.executable, "-B", script, *arguments, f"tool={options.tool}"]
    program = os.path.join(options.programs, run.driver)
    if not os.path.exists(program):
        raise LeftOut(f"{run.driver} is not built")
    if run.driver == "in_process_benchmark":
        arguments.append("--benchmark_format=json")
    return [program, *arguments]


def figures_in(output):
    """Of a driver's line, or of what Google Benchmark prints."""
    try:
        document = json.loads(output)
        if "benchmarks" in document:
            return {each["name"].split("/")[0] + "_ns": each["real_time"]
                    for each in document["benchmarks"]}
        return document
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"not the figures of a driver: {output[:200]!r}") from error


def measure(run, options):
    """Makes one run and returns its figures."""
    with tempfile.TemporaryDirectory(dir=options.work) as directory:
        command = command_line(run, options, directory)
        try:
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                   text=True, timeout=LONGEST_RUN_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(str(error)) from error
    complaint = ended.stderr.strip()
    if ended.returncode == NOT_INSTALLED:
        raise LeftOut(complaint)
    if ended.returncode != 0:
        raise Failed(f"exit code {ended.returncode}: {complaint}")
    return figures_in(ended.stdout)


# ---- All of them -------------------------------------------------------------------------------


def runs_of(suite):
    """Every different run, once, in the order in which cases ask for them."""
    return list(dict.fromkeys(each.run for case in suite for each in (case.here, case.there)))


def measure_all(runs, rounds, options):
    """Returns a list of figures for each run, and what went wrong for those that have none."""
    samples = {run: [] for run in runs}
    troubles = {}
    for number in range(1, rounds + 1):
        for place, run in enumerate(runs, start=1):
            if run in troubles:
                continue
            show_progress(f"round {number} of {rounds}, {place} of {len(runs)}: {run}")
            try:
                samples[run].append(measure(run, options))
            except LeftOut as error:
                troubles[run] = f"left out: {error}"
            except Failed as error:
                troubles[run] = f"failed: {run.driver}"
                show_progress("")
                print(f"FAILED: {run}\n  {error}", file=sys.stderr, flush=True)
    show_progress("")
    return samples, troubles


def show_progress(line):
    """One line that is written over again, on a terminal."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{line[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)


# ---- What it was measured on -------------------------------------------------------------------


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = re.findall(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return models[0] if models else platform.machine()


def file_system_of(directory):
    shown = subprocess.run(["df", "--output=fstype", directory], capture_output=True, text=True,
                           check=False)
    return shown.stdout.split()[-1]


def surroundings(options):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "file_system": file_system_of(options.work),
        "build": options.build,
        "sqlite": options.sqlite,
    }


def surroundings_shown(about):
    return (f"{about['date']}; {about['cpu']}, {about['cores']} cores; Linux {about['kernel']}; "
            f"{about['file_system']}\n{about['build']}; SQLite {about['sqlite']}")


# ---- The JSON file -----------------------------------------------------------------------------


def measure_as_json(measure, value):
    return {"run": str(measure.run), "figure": measure.figure, "value": value}


def result_as_json(result):
    case = result.case
    document = {"heading": case.heading, "case": case.label, "compared_with": case.plain_program,
                "here": measure_as_json(case.here, result.here),
                "there": measure_as_json(case.there, result.there), "ratio": result.ratio}
    if case.target is not None:
        document["target"] = {"of": "ratio" if case.target.of_ratio else "here",
                              "at_least" if case.target.at_least else "at_most": case.target.bound,
                              "met": result.met}
    if result.trouble:
        document["trouble"] = result.trouble
    return document


def write_json(path, about, rounds, samples, results):
    document = {
        "measured_on": about,
        "rounds": rounds,
        "cases": [result_as_json(result) for result in results],
        "samples": {str(run): figures for run, figures in samples.items()},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")


# ---- The command line --------------------------------------------------------------------------


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", metavar="DIR", help="where the drivers were built")
    parser.add_argument("--tool", metavar="PATH", help="progress-tracker; without it, left out")
    parser.add_argument("--work", metavar="DIR", help="where databases are made and removed")
    parser.add_argument("--json", metavar="FILE", help="what to write")
    parser.add_argument("--build", default="unknown build", help="compiler and build type, to note")
    parser.add_argument("--sqlite", default="unknown", help="SQLite's version, to note")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3; 1 with --quick")
    parser.add_argument("--only", metavar="REGEX", type=re.compile,
                        help="only cases whose heading or label it is found in")
    parser.add_argument("--list", action="store_true", help="show the cases and run nothing")
    scale = parser.add_mutually_exclusive_group()
    for name, meaning in (("quick", "small jobs, one round: two minutes"),
                          ("large", "jobs of 10 M images too: an hour"),
                          ("smoke", "every kind of case, as small as can be: whether it works")):
        scale.add_argument(f"--{name}", dest="scale", action="store_const", const=name,
                           default="normal", help=meaning)
    options = parser.parse_args()
    needed = [name for name in ("programs", "work", "json") if getattr(options, name) is None]
    if needed and not options.list:
        parser.error("missing: " + ", ".join(f"--{name}" for name in needed))
    return options


def main():
    options = parse_options()
    scale = SCALES[options.scale]
    suite = [case for case in cases.suite(scale)
             if options.only is None or options.only.search(f"{case.heading}\n{case.label}")]
    if options.list:
        for case in suite:
            print(f"{case.heading}: {case.label}")
            for each in (case.here, case.there):
                print(f"  {each.figure} of {each.run}")
        return 0

    os.makedirs(options.work, exist_ok=True)
    rounds = options.rounds or scale.rounds
    samples, troubles = measure_all(runs_of(suite), rounds, options)
    results = [report.result_of(case, samples, troubles) for case in suite]

    about = surroundings(options)
    print(surroundings_shown(about))
    print(f"here: the library; there: what it is compared with; ratio: here / there; "
          f"rounds: {rounds}\n")
    print("\n".join(report.table(results)))
    write_json(options.json, about, rounds, samples, results)
    return 1 if any(result.trouble.startswith("failed") for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
