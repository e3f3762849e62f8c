"""What is written about the tool is true: documentation_test.py PATH_OF_PROGRESS_TRACKER SOURCE_DIR
[unittest options].

`--help` is what the manual page and the completions of bash, zsh and fish are compared with, in both
directions. The completions are also tried in the shells that there are.
"""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
import unittest

import tool_support

SOURCE = ""
NAME = "progress-tracker"


def read_source(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def source_of_tool():
    directory = os.path.join(SOURCE, "src", "cli")
    return "".join(read_source("src", "cli", name) for name in sorted(os.listdir(directory))
                   if name.endswith((".cpp", ".h")))


def completion_file(name):
    return os.path.join(SOURCE, "src", "cli", "completions", name)


def exit_codes():
    """As exit_code.h has them, with those of the two signals for their base."""
    constants = dict(re.findall(r"int (kExit\w+) = (\d+);", read_source("src", "cli", "exit_code.h")))
    base = int(constants.pop("kExitSignalBase"))
    return {int(code) for code in constants.values()} | {base + 2, base + 15}


class Option:
    """A line of `Options:` in a help text, all names of the option with it."""

    def __init__(self, text):
        head = re.match(r"(-\S+)(?: ([A-Z]+)(?= |$))?", text)
        self.names = head[1].split(",")
        self.takes_value = head[2] is not None
        default = re.search(r"\[default: (.*)\]", text)
        self.defaults = default[1].split(", or ") if default else []


class DocumentationTest(tool_support.ToolTest):
    maxDiff = None

    # ---- Verbs -----------------------------------------------------------------------------

    def help(self, command):
        return self.tool(*([command] if command else []), "--help").decode()

    def section(self, text, name):
        """The entries of a section of a help text, each on one line."""
        found = re.search(rf"(?ms)^{name}:\n(.*?)(?:\n\n|\Z)", text)
        return re.findall(r"(?m)^  (\S.*)$", re.sub(r"\n {4,}", " ", found[1])) if found else []

    def commands(self):
        return [line.split()[0] for line in self.section(self.help(""), "Subcommands")]

    def options(self, command):
        return [Option(line) for line in self.section(self.help(command), "Options")]

    def options_with_value(self, command):
        """Whether a value follows, by the name of each option of the command."""
        return {name: option.takes_value for option in self.options(command)
                for name in option.names}

    def all_options_with_value(self):
        """The same for each command; "": before any."""
        everything = {command: self.options_with_value(command)
                      for command in ["", *self.commands()]}
        self.assertGreater(len(everything), 10)
        self.assertTrue(all(len(options) >= 7 for options in everything.values()))
        return everything

    def choices(self, *words, **environment):
        """What the tool says there is, when it is given something else."""
        self.environment.update(environment)
        self.tool(*words, expect=2)
        for name in environment:
            del self.environment[name]
        return re.search(r"is not one of (\S+)", self.err)[1].split("|")

    def all_choices(self):
        return {"--color": self.choices("config", "show", "--color", "?"),
                "--log-level": self.choices("config", "show", "--log-level", "?"),
                "--progress": self.choices("config", "show", PROGRESS_TRACKER_PROGRESS="?"),
                "--format": self.choices("status", "--format", "?")}


class ManualPage:
    """The mdoc source, taken apart."""

    def __init__(self):
        self.text = read_source("src", "cli", NAME + ".1")
        self.sections = {}  # by "SECTION" and "SECTION/Subsection"
        section = subsection = ""
        for line in self.text.splitlines():
            if line.startswith(".Sh "):
                section = subsection = line[4:]
            elif line.startswith(".Ss "):
                subsection = f"{section}/{line[4:]}"
            self.sections.setdefault(subsection, []).append(line)

    def items(self, section):
        """By the line that begins it, the text of each item, without the names of macros."""
        items = {}
        head = None
        for line in self.sections[section]:
            if line.startswith((".It ", ".El")):
                head = line[4:]
            if head:
                items.setdefault(head, []).append(re.sub(r"\b[A-Z][a-z]\b ?|^\.", "", line))
        return {head: re.sub(r" (?=[.,])", "", " ".join(lines)) for head, lines in items.items()}

    def options(self, section):
        """As options_with_value() gives them."""
        return {"-" + name: " Ar " in head
                for head in self.items(section) for name in re.findall(r"\bFl (\S+)", head)}

    def options_of_command(self, command):
        section = f"COMMANDS/{command}" if command else "OPTIONS/Options without a command"
        return {**self.options("OPTIONS/Options of every command"), **self.options(section)}


class ManualPageTest(DocumentationTest):
    def setUp(self):
        super().setUp()
        self.page = ManualPage()

    def test_has_the_commands_there_are(self):
        parts = [name.partition("/")[2] for name in self.page.sections if name.startswith("COMMANDS/")]
        self.assertEqual(parts, self.commands())
        synopsis = "\n".join(self.page.sections["SYNOPSIS"])
        self.assertEqual(list(dict.fromkeys(re.findall(r"\.Nm\n\.Cm (\w+)", synopsis))),
                         self.commands())

    def test_has_the_options_there_are(self):
        for command, options in self.all_options_with_value().items():
            with self.subTest(command=command):
                self.assertEqual(self.page.options_of_command(command), options)

    def test_names_no_option_that_there_is_not(self):
        known = {name for options in self.all_options_with_value().values() for name in options}
        named = {"-" + name for name in re.findall(r"\bFl (\S+)", self.page.text)}
        self.assertEqual(named - known, set())

    def test_has_the_defaults_of_the_help(self):
        every = self.page.items("OPTIONS/Options of every command")
        checked = 0
        for command in self.commands():
            items = {**every, **self.page.items(f"COMMANDS/{command}")}
            for option in self.options(command):
                text = next(text for head, text in items.items()
                            if re.search(rf"\bFl {option.names[-1][1:]}(?!\S)", head))
                for default in option.defaults:
                    checked += 1
                    self.assertIn(default.lstrip("$"), text.partition("Default:")[2],
                                  f"{command} {option.names}")
        self.assertGreater(checked, 50)

    def test_has_the_choices_there_are(self):
        items = {**self.page.items("OPTIONS/Options of every command"),
                 **self.page.items("COMMANDS/run"), **self.page.items("COMMANDS/status")}
        for option, choices in self.all_choices().items():
            text = next(text for head, text in items.items() if f"Fl {option[1:]} " in head)
            for choice in choices:
                self.assertRegex(text, rf"\b{choice}\b", option)

    def test_has_the_exit_codes_there_are(self):
        self.assertEqual({int(code) for code in self.page.items("EXIT STATUS")}, exit_codes())

    def test_has_the_variables_that_are_read(self):
        source = source_of_tool()
        read = set(re.findall(r'"(PROGRESS_TRACKER_[A-Z_]+|[A-Z_]*COLOR[A-Z_]*)"', source))
        read |= set(re.findall(r'(?:getenv|environment)\("(\w+)"\)', source))
        self.assertGreaterEqual(len(read), 10)
        told = {name for head in self.page.items("ENVIRONMENT")
                for name in re.findall(r"[A-Z_]{2,}", head)}
        self.assertEqual(told, read)

    def test_has_the_keys_of_the_file(self):
        self.make("c.yaml", text="progress:\n  bogus: 1\n")
        self.tool("--config", "c.yaml", "config", "show", expect=2)
        known = re.findall(r"\w+", self.err.partition("there are ")[2].replace(" and", ""))
        self.assertEqual(len(known), 4)
        told = re.findall(r"(?m)^  (\w+):", "\n".join(self.page.sections["FILES"]))
        self.assertEqual(sorted(told), sorted(known))

    @unittest.skipUnless(shutil.which("mandoc"), "there is no mandoc")
    def test_is_sound_mdoc(self):
        result = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", os.path.join(SOURCE, "src", "cli", NAME + ".1")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
        self.assertEqual((result.returncode, result.stdout.decode()), (0, ""))


class ReadmeTest(DocumentationTest):
    def test_has_the_exit_codes_there_are(self):
        table = re.search(r"(?s)\| Exit code \| Meaning \|\n(.*?)\n\n", read_source("README.md"))[1]
        codes = [int(code) for row in table.splitlines()
                 for code in re.findall(r"\d+", row.split("|")[1])]
        self.assertEqual(sorted(codes), sorted(exit_codes()))


class ToolSectionTest(DocumentationTest):
    """What the section "The tool" of README shows, done."""

    # Leaves its words in `convert.log`, and something where the thumbnail belongs.
    CONVERT = """#!/bin/sh
echo "$@" >> convert.log
case $1 in *bad*) echo 'no image' >&2; exit 1;; esac
for last; do :; done
echo "$1" > "$last"
"""

    def setUp(self):
        super().setUp()
        readme = read_source("README.md")
        self.text = re.search(r"(?ms)^## The tool\n(.*?)^## ", readme)[1]
        self.make_program("bin/convert", self.CONVERT)
        self.make_program("bin/identify", '#!/bin/sh\necho "$1" >> identify.log\n')
        self.make_program("upload.sh", '#!/bin/sh\necho "$1" >> upload.log\n')
        tool = os.path.dirname(tool_support.TOOL)
        self.environment["PATH"] = f"{self.home}/bin:{tool}:{self.environment['PATH']}"

    def block(self, *marks):
        """The lines of the one block of commands in which these words are."""
        blocks = [block for block in re.findall(r"(?ms)^```\n(.*?)^```$", self.text)
                  if all(mark in block for mark in marks)]
        self.assertEqual(len(blocks), 1, marks)
        return blocks[0].replace("\\\n", "").splitlines()

    def type(self, line):
        result = subprocess.run(["bash", "-c", line], cwd=self.home, env=self.environment,
                                check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=tool_support.DEADLINE_S)
        return result.returncode, result.stdout.decode(), result.stderr.decode()

    def check_lines(self, lines, expected):
        """Types them; each has to end with its code. What each of them shows."""
        answers = [self.type(line) for line in lines]
        self.assertEqual([(line, answer[0]) for line, answer in zip(lines, answers)],
                         list(zip(lines, expected)), answers)
        return [answer[1] for answer in answers]

    def thumbnails(self):
        return sorted(os.path.relpath(os.path.join(directory, name), self.home)
                      for directory, _, names in os.walk(os.path.join(self.home, "thumbs"))
                      for name in names)

    def test_no_block_is_left_out(self):
        self.assertEqual(len(re.findall(r"(?m)^```", self.text)), 2 * 4)

    def test_the_first_commands(self):
        self.make("photos/2024/a.png", "photos/b.jpg", "photos/bad.png")
        lines = self.block("mkdir thumbs")
        shown = dict(zip(lines, self.check_lines(lines, [0, 1, 0, 0, 0, 0, 0])))
        self.assertEqual(self.thumbnails(), ["thumbs/a.jpg", "thumbs/b.jpg"])
        self.assertIn(b"photos/b.jpg -resize 200 thumbs/b.jpg", self.lines("convert.log"))
        self.assertEqual(sorted(self.lines("identify.log")),
                         [b"photos/2024/a.png", b"photos/bad.png"])
        self.assertIn("3/3 100% 1 error", shown["progress-tracker status thumbs --watch"])
        self.assertIn("no image", shown["progress-tracker errors thumbs"])
        self.assertEqual(shown["progress-tracker retry thumbs"], "1 image is pending again\n")
        self.assertIn(b"thumbs", self.read("thumbs.html"))
        self.assertEqual(self.counts("thumbs"), (1, 0, 2, 0))

    def test_the_thumbnails_of_images_of_one_name(self):
        photos = ["photos/x.png", "photos/a/x.jpg", "photos/a/x.png", "photos/b/x.jpg"]
        self.make(*photos)
        self.check_lines(self.block("--job thumbs", "sh -c"), [0])
        self.assertEqual(len(self.thumbnails()), len(photos), self.thumbnails())
        self.assertEqual(sorted(self.read(name).decode().strip() for name in self.thumbnails()),
                         sorted(photos))

    def test_the_chained_job(self):
        self.make("photos/a.png", "photos/b.png")
        self.tool("run", "--job", "thumbs", "--images", "photos", "--", "true")
        self.check_lines(self.block("progress-tracker chain"), [0, 0])
        self.assertEqual(sorted(self.lines("upload.log")), [b"photos/a.png", b"photos/b.png"])

    def test_the_settings(self):
        text = re.search(r"(?ms)^```yaml\n(.*?)^```$", self.text)[1]
        self.make("pipeline.yaml", text=text)
        settings = json.loads(self.tool("config", "show", "--json", "--config",
                                        "pipeline.yaml"))["settings"]
        keys = re.findall(r"(?m)^  (\w+): (\S+) +# (--\S+), (\w+)$", text)
        self.assertEqual(len(keys), 4)
        values = {"db_path": "logs/progress.db", "checkpoint_interval": "100",
                  "log_file": "logs/pipeline.log", "log_level": "INFO"}
        self.assertEqual({key: value for key, value, _, _ in keys}, values)
        others = {"checkpoint_interval": "7", "log_level": "error"}
        for key, value, flag, variable in keys:
            setting = settings["progress." + key]
            self.assertEqual(setting["value"].lower(), value.lower())
            self.assertTrue(setting["origin"].startswith("pipeline.yaml:"), setting)
            self.assertIn(flag, self.options_with_value("run"))
            self.environment[variable] = others.get(key, "other")
            found = json.loads(self.tool("config", "show", "--json", "--config", "pipeline.yaml"))
            del self.environment[variable]
            self.assertEqual(found["settings"]["progress." + key]["origin"], variable)

    def test_the_table_of_commands(self):
        rows = re.search(r"(?s)\| Command \| What it does \|\n\|---\|---\|\n(.*?)\n\n", self.text)[1]
        named = [line.replace("\\|", " ").split()
                 for row in rows.splitlines()
                 for line in re.findall(r"`([^`]*)`", re.split(r"(?<!\\)\|", row)[1])]
        self.assertEqual(sorted({words[0] for words in named}), sorted(self.commands()))
        for words in named:
            options = {word.strip("[]") for word in words if re.match(r"\[?-\w|\[?--\w", word)}
            self.assertLessEqual(options, set(self.options_with_value(words[0])), words)


class HelpTest(DocumentationTest):
    def codes(self, command):
        """Those of the paragraph that begins with "Exit codes:"."""
        found = re.search(r"(?ms)^Exit codes: (.*?)(?:\n\n|\Z)", self.help(command))
        return [int(code) for code in re.findall(r"(?:^|,\s)(\d+) ", found[1])] if found else []

    def test_run_has_the_exit_codes_there_are(self):
        self.assertEqual(self.codes("run"), sorted(exit_codes()))

    def test_the_others_have_no_other(self):
        told = {command: self.codes(command) for command in self.commands()}
        self.assertTrue(told["doctor"])
        for command, codes in told.items():
            self.assertLessEqual(set(codes), exit_codes(), command)


class CompletionFilesTest(DocumentationTest):
    """The options in the files, whether or not there is a shell to try them in."""

    def check(self, of_command):
        for command, options in self.all_options_with_value().items():
            with self.subTest(command=command):
                self.assertEqual(of_command(command), options)

    @unittest.skipUnless(shutil.which("bash"), "there is no bash")
    def test_bash(self):
        def of_command(command):
            words = subprocess.run(
                ["bash", "-c", 'source "$1"; _progress_tracker_options "$2"; echo "$flags:$valued"',
                 "bash", completion_file(NAME + ".bash"), command],
                stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().split(":")
            return {name: bool(i) for i in (0, 1) for name in words[i].split()}

        self.check(of_command)

    def test_zsh(self):
        text = read_source("src", "cli", "completions", "_" + NAME)
        common = re.search(r"(?s)local -a common=\((.*?)\n  \)", text)[1]
        first = re.search(r"_arguments -C .*\n((?:    '.*\n)+)", text)[1]
        parts = dict(re.findall(r"(?ms)^    (\w+)\)(.*?);;$", text))
        self.assertEqual(list(parts), self.in_order(parts))

        def of_command(command):
            specs = common + (parts[command].replace("$json", "'--json['") if command else first)
            found = {}
            for name, mark in re.findall(r"(?<![\w-])(--?[a-z0-9][a-z-]*)([=+]?)", specs):
                found[name] = found.get(name, False) or mark != ""
            return found

        self.check(of_command)

    def test_fish(self):
        lines = [shlex.split(line)
                 for line in read_source("src", "cli", "completions", NAME + ".fish").splitlines()
                 if line.startswith("complete ")]

        def of_command(command):
            wanted = {}
            for words in lines:
                condition = words[words.index("-n") + 1] if "-n" in words else ""
                is_meant = (not condition or
                            condition == "__progress_tracker_on" and not command or
                            condition.startswith("__progress_tracker_on ") and
                            command in condition.split()[1:])
                takes_value = any(re.fullmatch("-[rx][aF]?", word) for word in words)
                for flag, prefix in (("-s", "-"), ("-l", "--")):
                    if is_meant and flag in words:
                        wanted[prefix + words[words.index(flag) + 1]] = takes_value
            return wanted

        self.check(of_command)

    def in_order(self, commands):
        self.assertEqual(sorted(commands), sorted(self.commands()))
        return list(commands)


JOBS = ["plain", "a b", "it's", 'q"x', "äö", "😀", "col:on", "x=y", "$HOME", "back\\slash", "-dash"]


class Terminal:
    """A shell at a terminal, which answers a line and a TAB with what it offers and the new line.

    Its start-up text defines what ^G does: writes \\x1e, what was offered with \\x1f between, \\x1e,
    the line, \\x1d, and begins a new line.
    """

    def __init__(self, words, start_up, **options):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 500, 0, 0))
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        **options)
        os.close(theirs)
        self.ours = ours
        os.write(ours, f" . {shlex.quote(start_up)}; printf '\\035'\n".encode())
        self.read_to(b"\x1d")

    def read_to(self, end):
        text = b""
        deadline = time.monotonic() + tool_support.DEADLINE_S
        while not text.endswith(end):
            if not select.select([self.ours], [], [], deadline - time.monotonic())[0]:
                raise TimeoutError(text)
            text += os.read(self.ours, 1)
        return text

    def complete(self, line):
        os.write(self.ours, line.encode() + b"\t\x07")
        _, offered, new_line = self.read_to(b"\x1d")[:-1].decode().rsplit("\x1e", 2)
        return [word for word in offered.split("\x1f") if word], new_line

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


class CompletionTest(DocumentationTest):
    def setUp(self):
        super().setUp()
        self.make("d/sub/x.png", "list", "list of images")
        self.environment.update(
            HOME=self.home, TERM="dumb",
            PATH=os.path.dirname(tool_support.TOOL) + ":" + self.environment["PATH"])
        self.tool("run", "--job", JOBS[0], "--from", "list", "--", "true")
        for job in JOBS[1:]:
            self.tool("chain", "--after", JOBS[0], "--", job)
        self.make("c.yaml", text="progress:\n  db_path: other.db\n")
        self.tool("--db", "other.db", "run", "--job", "another", "--from", "list", "--", "true")
        self.files_before = sorted(os.listdir(self.home))
        self.environment["PROGRESS_TRACKER_LOG_FILE"] = os.path.join(self.home, "looking.log")

    def cases(self):
        """Lines, and all that is to be offered for the last word of each."""
        choices = self.all_choices()
        names = [job for job in JOBS if not job.startswith("-")]
        lists = ["list", "list of images"]
        for command in self.commands():
            yield f"{command} -", list(self.options_with_value(command))
        yield "-", list(self.options_with_value(""))
        yield "", self.commands()
        yield "st", ["status"]
        yield "--db progress.db --color never st", ["status"]
        for command in ("status", "errors", "explain", "retry", "reset", "remove", "batches",
                        "report", "export"):
            yield f"{command} ", names
        yield "errors --json a", ["a b"]
        yield "errors -- a", ["a b"]
        yield "status -- -", ["-dash"]
        yield "status --interval 2 a", ["a b"]
        yield "export --json list a", ["a b"]
        yield "run --job i", ["it's"]
        yield "run --job=i", ["it's"]
        yield "run --job -", ["-dash"]
        yield "chain new --after p", ["plain"]
        for line in ("--db other.db errors ", "--db=other.db errors ", "errors --db other.db ",
                     "errors --db ~/other.db ", "errors --db $HOME/other.db ",
                     'errors --db "$HOME/other.db" ', "errors --db 'other.db' ",
                     "--config c.yaml errors ", "errors --config=c.yaml "):
            yield line, ["another"]
        yield "errors --db none.db p", []
        yield "run --db none.db --job ", []
        yield "run --progress ", choices["--progress"]
        yield "run --progress=p", ["plain"]
        yield "status --format ", choices["--format"]
        yield "status --format=j", ["json"]
        yield "--log-level ", choices["--log-level"]
        yield "doctor --log-level ", choices["--log-level"]
        yield "config show --color ", choices["--color"]
        yield "--color=a", ["auto", "always"]
        yield "config ", ["show"]
        yield "run --images ", ["d"]
        yield "run --images=", ["d"]
        yield "run --images d/", ["sub"]
        yield "run --from l", lists
        yield "run --metrics-file l", lists
        yield "run --from=l", lists
        yield "--config l", lists
        yield "report plain -o l", lists
        yield "export plain --csv l", lists
        yield "export plain --json l", lists
        yield "import l", lists
        yield "explain plain l", lists
        yield "run --job j -- truncat", ["truncate"]
        yield "run --job j -- ./nope l", lists
        yield "run --job j -- ./nope --dry-", []
        yield "run --job j -- --dry-", []
        yield "run --limit 1 -- ./nope -- l", lists
        yield "run --job j -- ./nope --color alw", []
        yield "--db progress.db -- ", []

    def check(self, complete):
        for line, expected in self.cases():
            with self.subTest(line=line):
                self.assertEqual(sorted(set(complete(f"{NAME} {line}"))), sorted(expected))
        # Nothing is left behind by the looking.
        self.assertEqual([name for name in sorted(os.listdir(self.home))
                          if not re.search(r"-(wal|shm)$|^\.|^start-up$", name)],
                         [name for name in self.files_before if not re.search("-(wal|shm)$", name)])

    def open_terminal(self, words, start_up):
        self.make("start-up", text=start_up)
        terminal = Terminal(words, self.path("start-up").decode(), cwd=self.home,
                            env=self.environment)
        self.addCleanup(terminal.end)
        return terminal

    def check_lines(self, terminal, lines):
        for line, expected in lines.items():
            with self.subTest(line=line):
                self.assertEqual(terminal.complete(f"{NAME} {line}")[1], f"{NAME} {expected}")


@unittest.skipUnless(shutil.which("bash"), "there is no bash")
class BashTest(CompletionTest):
    def open_bash(self, before=""):
        """Its candidates are those of the function that `complete -p` names."""
        return self.open_terminal(["bash", "--norc", "--noprofile", "-i"], f"""
PS1= PS2=
unset HISTFILE
bind 'set bell-style none'; bind 'set completion-query-items 0'; bind 'set page-completions off'
{before}
source {shlex.quote(completion_file(NAME + ".bash"))}
words=($(complete -p {NAME}))
function_name=${{words[2]}}
found=()
recorded() {{ "$function_name" "$@"; found=("${{COMPREPLY[@]}}"); }}
complete -F recorded {NAME}
answer() {{
  local IFS=$'\\x1f'
  printf '\\x1e%s\\x1e%s\\x1d' "${{found[*]}}" "$READLINE_LINE"
  found=() READLINE_LINE= READLINE_POINT=0
}}
bind -x '"\\C-g": answer'
""")

    def offered(self, terminal):
        # Paths are left to readline to be put in quotes; names are in quotes already.
        return lambda line: [shlex.split(word)[0] if "\\" in word else os.path.basename(word)
                             for word in terminal.complete(line)[0]]

    def test_offers_what_fits(self):
        self.check(self.offered(self.open_bash()))

    @unittest.skipUnless(os.path.exists("/usr/share/bash-completion/bash_completion"),
                         "there is no bash-completion")
    def test_offers_the_same_beside_bash_completion(self):
        self.check(self.offered(self.open_bash(". /usr/share/bash-completion/bash_completion")))

    def test_puts_names_in_quotes(self):
        self.check_lines(self.open_bash(), {
            "status a": "status a\\ b ", "status 'a": "status 'a b' ", 'status "a': 'status "a b" ',
            "status a\\ ": "status a\\ b ",
            "status it": "status it\\'s ", "status 'it": "status 'it'\\''s' ",
            "status 'it'\\''": "status 'it'\\''s' ", 'status "it': 'status "it\'s" ',
            "status q": 'status q\\"x ', 'status "q': 'status "q\\"x" ',
            "status \\$": "status \\$HOME ", "status '$": "status '$HOME' ",
            "status back": "status back\\\\slash ", 'status "back': 'status "back\\\\slash" ',
            "status col": "status col:on ", "status col:": "status col:on ",
            "run --job=col:o": "run --job=col:on ", "status x=": "status x=y ",
            "status ä": "status äö ", "status 😀": "status 😀 ",
            "run --from 'list ": "run --from 'list of images' ",
            "run --images d": "run --images d/"})


@unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
class ZshTest(CompletionTest):
    def open_zsh(self):
        """Its candidates are what the completion gives to compadd."""
        return self.open_terminal(["zsh", "-f", "-i"], f"""
PS1= PS2=
setopt no_beep no_list_beep no_auto_list no_auto_menu no_prompt_cr
fpath=({shlex.quote(os.path.dirname(completion_file("_")))} $fpath)
autoload -U compinit
compinit -D -u
typeset -ga found=()
compadd() {{
  local -a matching
  if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\\ * ]]; then
    builtin compadd -O matching "$@"
    found+=("$matching[@]")
  fi
  builtin compadd "$@"
}}
answer() {{
  print -rn -- $'\\x1e'"${{(pj:\\x1f:)found}}"$'\\x1e'"$BUFFER"$'\\x1d'
  found=() BUFFER=
}}
zle -N answer
bindkey '^I' complete-word
bindkey '^G' answer
""")

    def test_offers_what_fits(self):
        terminal = self.open_zsh()
        # Paths are handed over in quotes, other words are not.
        self.check(lambda line: [word.replace("\\ ", " ") for word in terminal.complete(line)[0]])

    def test_puts_names_in_quotes(self):
        self.check_lines(self.open_zsh(), {
            "status a": "status a\\ b ", "status 'a": "status 'a b' ", 'status "a': 'status "a b" ',
            "status it": "status it\\'s ", "status 'it": "status 'it'\\''s' ",
            'status "it': 'status "it\'s" ', "status q": 'status q\\"x ',
            "status \\$": "status \\$HOME ", "status back": "status back\\\\slash ",
            "run --job=a": "run --job=a\\ b ", "status col:": "status col:on ",
            "run --from 'list ": "run --from 'list of images' "})


@unittest.skipUnless(shutil.which("fish"), "there is no fish")
class FishTest(CompletionTest):
    def ask(self, *lines):
        """What is offered for each line."""
        def quoted(text):
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

        script = f"source {quoted(completion_file(NAME + '.fish'))}\n"
        script += "".join(f"complete -C {quoted(line)}\nprintf '\\x1e'\n" for line in lines)
        result = subprocess.run(["fish", "--no-config", "-c", script], cwd=self.home, check=True,
                                env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=300)
        self.assertEqual(result.stderr.decode(), "")
        return [[line.partition("\t")[0] for line in offered.splitlines()]
                for offered in result.stdout.decode().split("\x1e")[:-1]]

    def cases(self):
        # Whatever begins with - is an option for it, after an option too.
        return [case for case in super().cases() if case[0] != "run --job -"]

    def test_offers_what_fits(self):
        lines = [f"{NAME} {line}" for line, _ in self.cases()]
        answers = dict(zip(lines, self.ask(*lines)))

        def offered(line):
            # It gives a value with its option, and a directory with its slash.
            return [os.path.basename(re.sub(r"^--[a-z-]+=", "", word).rstrip("/"))
                    for word in answers[line]]

        self.check(offered)


class GuardTest(DocumentationTest):
    """What the parser of the command line would do, and must not: see also command_line_test."""

    def test_a_key_that_is_misspelt_is_an_error_that_names_it(self):
        for text, named in (("progress:\n  db_paht: x.db\n", "c.yaml:2: progress.db_paht"),
                            ("progress.db_path: x.db\n", "c.yaml:1: write progress.db_path as"),
                            ("progress:\n  db_path: a.db\n  db_path: b.db\n", "progress.db_path")):
            self.make("c.yaml", text=text)
            self.tool("--config", "c.yaml", "run", "--job", "j", "--from", "-", "--", "true",
                      expect=2)
            self.assertIn(named, self.err)
            self.assertEqual(os.listdir(self.home), ["c.yaml"])

    def test_brackets_are_nothing_special(self):
        name = "[a,b]"
        self.make("d[a,b]/x.png", name)
        words = ("--db", name + ".db")
        self.tool(*words, "run", "--job", name, "--images", "d[a,b]", "--metrics-file",
                  name + ".prom", "--", "sh", "-c", 'echo "$0" >&2; exit 3', name, expect=1)
        self.assertIn(b"job [a,b]: ", self.tool("status", name, *words))
        self.assertIn(b"d[a,b]/x.png", self.tool("explain", name, "d[a,b]/x.png", *words))
        self.assertEqual(self.tool("retry", name, "--message", "*: [a,b]", *words),
                         b"1 image is pending again\n")
        self.tool("chain", "[c,d]", "--after", name, *words)
        self.tool("export", name, "--csv", name + ".csv", *words)
        self.tool("export", "--snapshot", name + ".copy", *words)
        self.tool("errors", name, "--log-file", name + ".log", *words)
        self.assertLessEqual({name + ".db", name + ".prom", name + ".csv", name + ".copy",
                              name + ".log"}, set(os.listdir(self.home)))


if __name__ == "__main__":
    tool_support.TOOL = os.path.abspath(sys.argv.pop(1))
    SOURCE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
