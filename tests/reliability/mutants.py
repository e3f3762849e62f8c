"""Changes the library in one place at a time and shows which changes no test notices.

    mutants.py DIRECTORY [--count N] [--seed N] [--only FILE] [--most-seconds S]

DIRECTORY gets a copy of the source and a build of it. The sound library goes first: every test that
takes no longer than S seconds has to pass, and is asked then, the quickest first. A test has noticed
a change if it fails twice. A change that does not compile is not counted. Those that no test notices are printed as they are, and
the exit status is 1 if they are more than one in ten of what was tried, or nothing was tried.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What is replaced, and by what. Each is looked for in lines of code and of SQL alike.
CHANGES = [
    (r" == ", " != "),
    (r" != ", " == "),
    (r" < ", " <= "),
    (r" > ", " >= "),
    (r" <= ", " < "),
    (r" >= ", " > "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r" \+ 1\b", ""),
    (r" - 1\b", ""),
    (r"\+\+", "--"),
    (r" \+= ", " -= "),
    (r" -= ", " += "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"\bif \((?!const )(.*)\) \{$", r"if (!(\1)) {"),
    (r"\bstd::max\(", "std::min("),
    (r"\bstd::min\(", "std::max("),
    (r"\bcontinue;", "break;"),
    (r" AND ", " OR "),
    (r" OR ", " AND "),
    (r" IS NULL", " IS NOT NULL"),
    (r" IS NOT NULL", " IS NULL"),
    (r" = 0\b", " = 1"),
    (r" = 1\b", " = 0"),
    # A call for what it does.
    (r"^( +)(?!return|throw|const|auto|using|delete)[\w:.>()-]+\(.*\);$", r"\1;"),
]


def places(file):
    """(line number, new line) of every change to the file."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        if line.lstrip().startswith(("//", "#", "static_assert", "namespace", "using ")):
            continue
        code = line.split("  // ")[0]
        for pattern, replacement in CHANGES:
            for match in re.finditer(pattern, code):
                changed = code[: match.start()] + match.expand(replacement) + code[match.end() :]
                if changed != code:
                    yield number, changed


class Test(typing.NamedTuple):
    name: str
    target: str  # what is built for it
    command: list


class Tree:
    def __init__(self, directory):
        self.source = directory / "source"
        self.build = directory / "build"

    def make(self):
        names = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        shutil.rmtree(self.source, ignore_errors=True)
        for name in filter(None, names.split("\0")):
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.source / name)
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        subprocess.run(
            ["cmake", "-S", self.source, "-B", self.build, *generator, "-DCMAKE_BUILD_TYPE=Debug"]
            + ["-DPROGRESS_TRACKER_BUILD_BENCHMARKS=OFF", "-DCMAKE_CXX_FLAGS=-g0"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        subprocess.run(["cmake", "--build", self.build, "--parallel"], check=True)

    def tests(self):
        built = (self.build / "tests").rglob("*_test")
        programs = sorted(p for p in built if p.is_file() and os.access(p, os.X_OK))
        found = [Test(p.name, p.name, [p, "--gtest_fail_fast"]) for p in programs]
        for script in sorted((self.source / "tests" / "cli").glob("*_test.py")):
            command = [sys.executable, "-B", script, self.build / "src" / "cli" / "progress-tracker"]
            found.append(Test(script.stem, "progress_tracker_cli", command))
        return found

    def builds(self, test):
        command = ["cmake", "--build", self.build, "--target", test.target, "--parallel"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def passes(test, most_seconds):
    """Whether the test finds nothing; None: it takes longer. Its children go with it."""
    run = subprocess.Popen(
        test.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return run.wait(most_seconds) == 0
    except subprocess.TimeoutExpired:
        return None
    finally:
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        run.wait()


def quickest_first(tree, most_seconds):
    """(test, seconds) of those that take no longer than that."""
    asked = []
    for test in tree.tests():
        begin = time.monotonic()
        passed = passes(test, most_seconds)
        if passed is False:
            sys.exit(f"{test.name} fails without any change")
        if passed:
            asked.append((test, time.monotonic() - begin))
    return sorted(asked, key=lambda a: a[1])


def killer(tree, asked):
    """The name of the test that notices the change; "": none does; None: it does not compile."""
    for test, seconds in asked:
        if not tree.builds(test):
            return None
        limit = 20 + 10 * seconds
        if not passes(test, limit) and not passes(test, limit):
            return test.name
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100, help="how many changes are tried")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31))
    parser.add_argument("--only", default="", help="files whose path contains this")
    parser.add_argument("--most-seconds", type=float, default=60, help="of a test that is asked")
    arguments = parser.parse_args()

    tree = Tree(arguments.directory.resolve())
    tree.make()
    asked = quickest_first(tree, arguments.most_seconds)
    print(f"seed {arguments.seed}; {len(asked)} tests, {sum(a[1] for a in asked):.0f} s", flush=True)

    files = [f for f in sorted((tree.source / "src").rglob("*.cpp")) if arguments.only in str(f)]
    changes = [(file, *place) for file in files for place in places(file)]
    random.Random(arguments.seed).shuffle(changes)
    tried = survived = 0
    for file, number, changed in changes:
        if tried == arguments.count:
            break
        sound = file.read_text(encoding="utf-8")
        lines = sound.splitlines()
        before, lines[number] = lines[number], changed
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        by = killer(tree, asked)
        file.write_text(sound, encoding="utf-8")
        if by is None:
            continue
        tried += 1
        survived += by == ""
        where = f"{file.relative_to(tree.source)}:{number + 1}"
        print(f"{tried}. {where}: {by or 'SURVIVED'}", flush=True)
        if not by:
            print(f"    - {before.strip()}\n    + {changed.strip()}", flush=True)
    print(f"{tried - survived} of {tried} noticed, of {len(changes)} possible; seed {arguments.seed}")
    return 1 if tried == 0 or survived * 10 > tried else 0


if __name__ == "__main__":
    sys.exit(main())
