"""A driver (driver.h): commands run for each item of a list, by the tool and by what else does it.

    tool_benchmark.py run program=tool|xargs|parallel items=N jobs=J tool=PATH directory=DIR

The command is /bin/true, so that what is measured is what each program adds to a command. The tool
records every item in its database, GNU parallel in its --joblog, xargs nowhere. Figures: seconds of
the whole run, us_per_item. Exits with 77 if the program is not installed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

USAGE = 2
NOT_INSTALLED = 77


def is_gnu_parallel(program):
    """moreutils has a program of the same name."""
    if shutil.which(program) is None:
        return False
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return version.stdout.startswith("GNU parallel")


def command_line(arguments, directory, list_file):
    """The command line of the program, and the file for its standard input."""
    jobs = arguments["jobs"]
    command = ["/bin/true"]
    if arguments["program"] == "tool":
        database = os.path.join(directory, "tool.db")
        options = ["--job", "job", "--from", list_file, "-j", jobs, "--progress", "none"]
        return [arguments["tool"], "run", "--db", database, *options, "--", *command], os.devnull
    if arguments["program"] == "xargs":
        return ["xargs", "-P", jobs, "-n", "1", *command], list_file
    if arguments["program"] == "parallel":
        log = os.path.join(directory, "joblog")
        return ["parallel", "--will-cite", "-j", jobs, "--joblog", log, *command], list_file
    raise ValueError(f"{arguments['program']}: no such program")


def measure(arguments):
    items = int(arguments["items"])
    with tempfile.TemporaryDirectory(dir=arguments["directory"]) as directory:
        list_file = os.path.join(directory, "list")
        with open(list_file, "w", encoding="utf-8") as file:
            file.writelines(f"img_{i:08}.jpg\n" for i in range(items))
        command, standard_input = command_line(arguments, directory, list_file)
        with open(standard_input, encoding="utf-8") as file:
            start = time.monotonic()
            subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL, check=True)
            seconds = time.monotonic() - start
    return {"items": items, "seconds": seconds, "us_per_item": seconds / items * 1e6}


def main():
    try:
        case, *pairs = sys.argv[1:]
        arguments = dict(pair.split("=", 1) for pair in pairs)
        if case != "run":
            raise ValueError(f"{case}: no such case")
        if arguments["program"] == "parallel" and not is_gnu_parallel("parallel"):
            print("GNU parallel is not installed", file=sys.stderr)
            return NOT_INSTALLED
        print(json.dumps(measure(arguments)))
        return 0
    except (KeyError, ValueError) as error:
        print(f"tool_benchmark.py: wrong or missing: {error}", file=sys.stderr)
        return USAGE
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"tool_benchmark.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
