#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Runs a command on a terminal of its own and prints what is to be seen in the
# end, line by line; the bytes that were written go to the file 'raw'.
#
#   terminal.py WIDTH [--at TEXT KEYS]... COMMAND ARGUMENT...
#
# --at: when TEXT has been written (one after the other), KEYS are typed, or, if
# they begin with '!', run by a shell. The status is the command's.
import os, pty, select, struct, subprocess, sys, fcntl, termios


class Screen:
    """What a terminal makes of bytes: it wraps lines, and never scrolls."""

    def __init__(self, width):
        self.width, self.lines, self.row, self.col = width, [[]], 0, 0

    def put(self, char):
        if self.col == self.width:
            self.newline()
            self.col = 0
        line = self.lines[self.row]
        line.extend(" " * (self.col + 1 - len(line)))
        line[self.col] = char
        self.col += 1

    def newline(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def escape(self, text, i):
        end = i + 2
        while not text[end].isalpha():
            end += 1
        if text[end] == "K":
            del self.lines[self.row][self.col :]
        elif text[end] != "m":
            raise ValueError("unknown sequence: %r" % text[i : end + 1])
        return end

    def feed(self, text):
        i = 0
        while i < len(text):
            if text[i] == "\r":
                self.col = 0
            elif text[i] == "\n":
                self.newline()
            elif text[i] == "\033":
                i = self.escape(text, i)
            elif text[i] == "\t":
                self.put(" ")
            else:
                self.put(text[i])
            i += 1


def main():
    width, rest, steps = int(sys.argv[1]), sys.argv[2:], []
    while rest[0] == "--at":
        steps.append((rest[1].encode(), rest[2]))
        rest = rest[3:]
    pid, terminal = pty.fork()
    if pid == 0:
        size = struct.pack("HHHH", 24, width, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execvp(rest[0], rest)
    raw, seen = b"", 0
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        raw += some
        while steps and steps[0][0] in raw[seen:]:
            text, keys = steps.pop(0)
            seen = raw.index(text, seen) + len(text)
            if keys.startswith("!"):
                subprocess.run(keys[1:], shell=True, check=True)
            else:
                os.write(terminal, keys.encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open("raw", "wb") as f:
        f.write(raw)
    screen = Screen(width)
    screen.feed(raw.decode())
    for line in screen.lines if screen.lines[-1] else screen.lines[:-1]:
        print("".join(line).rstrip())
    sys.exit(status if status >= 0 else 128 - status)


main()
