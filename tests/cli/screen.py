"""A terminal that tests can look at: what a person sees, and a process that has it as its own."""

import codecs
import fcntl
import os
import pty
import re
import resource
import select
import struct
import subprocess
import termios
import time
import unicodedata

SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


def columns_of(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    """Rows of characters, and a cursor. Knows what the tool may write; anything else is an error.

    A character in the last column leaves the cursor there, and the next one goes to a new row: as
    in xterm. A new size cuts what is too wide and pushes up what is too high.
    """

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [[]]
        self.row = self.column = 0
        self.above = []  # what has left the screen
        self.wraps = 0  # how often a line went on in the next row
        self.color = ""
        self.painted = []  # (color, character) of what was not written plainly
        self.pending = ""

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        for line in self.lines:
            del line[columns:]
        self.column = min(self.column, columns - 1)
        self.scroll()

    def write(self, text):
        text = self.pending + text
        self.pending = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                sequence = SEQUENCE.match(text, at)
                if not sequence and len(text) - at < 12:
                    self.pending = text[at:]  # the rest is still to come
                    return
                assert sequence, f"unknown: {text[at:at + 20]!r}"
                self.obey(*sequence.groups())
                at = sequence.end()
            else:
                self.put(text[at])
                at += 1

    def obey(self, number, command):
        line = self.lines[self.row]
        if command == "K":
            assert number in ("", "0"), number
            del line[self.column:]
        elif command == "J":
            assert number in ("", "0"), number
            del line[self.column:]
            del self.lines[self.row + 1:]
        elif command == "A":
            self.row = max(0, self.row - int(number or 1))
        else:
            assert command == "m", f"unknown: ESC [ {number} {command}"
            self.color = "" if number in ("", "0") else number

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.feed()
        else:
            assert character >= " " and character != "\x7f", f"unknown: {character!r}"
            self.place(character)

    def place(self, character):
        width = columns_of(character)
        if self.column + width > self.columns:
            self.wraps += 1
            self.column = 0
            self.feed()
        line = self.lines[self.row]
        line.extend(" " * (self.column + width - len(line)))
        if width == 0:
            return
        line[self.column:self.column + width] = [character] + [""] * (width - 1)
        self.column += width
        if self.color:
            self.painted.append((self.color, character))

    def feed(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])
        self.scroll()

    def scroll(self):
        while len(self.lines) > self.rows:
            self.above.append(self.lines.pop(0))
            self.row = max(0, self.row - 1)

    def seen(self):
        """The rows, without the spaces at their ends."""
        return ["".join(line).rstrip() for line in self.lines]

    def all(self):
        """The same, with what has left the screen."""
        return ["".join(line).rstrip() for line in self.above] + self.seen()

    def text(self):
        return "\n".join(self.all())


class Terminal:
    """A pseudo-terminal and the process that leads its session."""

    def __init__(self, words, rows=24, columns=80, streams="012", **options):
        """`streams`: which of the standard streams are the terminal."""
        self.screen = Screen(rows, columns)
        self.written = ""  # all of it
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.ours, theirs = pty.openpty()
        self.tell_size(theirs)

        def take_terminal():
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        for number, name in enumerate(("stdin", "stdout", "stderr")):
            if str(number) in streams:
                options[name] = theirs
        self.process = subprocess.Popen(words, start_new_session=True,
                                        preexec_fn=take_terminal, **options)
        self.began = time.monotonic()
        os.close(theirs)

    def tell_size(self, descriptor):
        size = struct.pack("HHHH", self.screen.rows, self.screen.columns, 0, 0)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)

    def resize(self, rows, columns):
        self.pump()
        self.screen.resize(rows, columns)
        self.tell_size(self.ours)

    def type(self, keys):
        os.write(self.ours, keys)

    def pump(self, seconds=0.0):
        """Takes what is written, waiting so long for it. False: there will be no more."""
        while select.select([self.ours], [], [], seconds)[0]:
            try:
                data = os.read(self.ours, 65536)
            except OSError:  # nobody has it open any more
                return False
            text = self.decoder.decode(data)
            self.written += text
            self.screen.write(text)
            seconds = 0
        return True

    def close(self):
        if self.ours >= 0:
            os.close(self.ours)
        self.ours = -1
