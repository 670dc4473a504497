"""What the lints share: the list of the project's files, and C source with comments and strings blanked out."""

import os
import re
import subprocess
import sys

# The tree to look at; the lints' own tests name another one.
TOP = os.environ.get("LINT_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files():
    """Paths of the project's text files, relative to its top: what git knows or would add; without git, all files."""
    try:
        out = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, capture_output=True, text=True, check=True
        ).stdout
        paths = out.splitlines()
    except (OSError, subprocess.CalledProcessError):
        paths = []
        for folder, folders, names in os.walk(TOP):
            folders[:] = [f for f in folders if f not in (".git", "build", "__pycache__")]
            paths += [os.path.relpath(os.path.join(folder, n), TOP) for n in names]
    return sorted(p for p in paths if os.path.isfile(os.path.join(TOP, p)))


def read(path):
    """The file's text; None when it is not text."""
    with open(os.path.join(TOP, path), "rb") as f:
        data = f.read()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip_c(text, strings=True):
    """Blanks comments and, if asked, the insides of strings and characters, with every line break kept."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if not strings else token[0] + " " * (len(token) - 2) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(blank, text)


class Report:
    """Collects findings as file:line: text, prints them all, and gives the exit code."""

    def __init__(self, name):
        self.name, self.found = name, []

    def add(self, path, line, text):
        self.found.append(f"{path}:{line}: {text}")

    def end(self):
        for line in self.found:
            print(line)
        if self.found:
            print(f"{self.name}: {len(self.found)} finding(s)", file=sys.stderr)
        return 1 if self.found else 0
