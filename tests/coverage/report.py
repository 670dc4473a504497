#!/usr/bin/python3
"""Judges the coverage of lib/core: tests/coverage/report.py CORE [ALL]

CORE is what the core's own tests reached, ALL what all unit tests together did, both as `llvm-cov export` says it.

Everything in lib/core must be complete: functions, lines, regions, branches, and MC/DC, by which each condition is
shown to decide its decision by itself. What is missing is named, with its text. The other folders of lib are shown as
they are. The last line holds the figures; the exit code is 0 only when nothing is missing.

One thing is not counted: the way past a switch that names every value of its enum and has no default. -Wswitch keeps
those complete, and no value outside the enum gets there: the table shows how many there are.
"""

import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = ("functions", "lines", "regions", "branches", "mcdc")
TITLES = {"functions": "functions", "lines": "lines", "regions": "regions", "branches": "branches", "mcdc": "MC/DC"}
CORE = "lib/core/"
SHOWN = 60  # of what is missing; the rest is counted


def text_at(lines, span):
    """The source between two places, on one line."""
    first, start, last, end = span
    if first == last:
        return lines[first - 1][start - 1 : end - 1]
    parts = [lines[first - 1][start - 1 :], *lines[first : last - 1], lines[last - 1][: end - 1]]
    return " ".join(p.strip() for p in parts)


def is_constant(text):
    """A fault that the simulator's own build can plant is the constant false everywhere else."""
    return text.lstrip("!(").startswith("PLANTED(")


def is_past_switch(span, taken, lines):
    """The branch that llvm-cov counts for a switch without a default, on what is switched on; never taken."""
    return taken == 0 and lines[span[0] - 1][: span[1] - 1].endswith("switch (")


def missing_branches(branches, lines):
    for *span, taken, passed, _file, _expanded, _kind in branches:
        text = text_at(lines, span)
        if is_constant(text) or is_past_switch(span, taken, lines):
            continue
        if taken == 0 or passed == 0:
            never = "never reached" if taken == passed else "never true" if taken == 0 else "never false"
            yield span[0], f"branch {never}: {text}"


def missing_conditions(file, lines):
    for *span, _expanded, _kind, shown in file["mcdc_records"]:
        inside = sorted(
            b[:4] for b in file["branches"] if tuple(span[:2]) <= tuple(b[:2]) and tuple(b[2:4]) <= tuple(span[2:])
        )
        texts = [text_at(lines, b) for b in inside]
        if len(texts) != len(shown):
            texts = [f"condition {i + 1} of {text_at(lines, span)}" for i in range(len(shown))]
        for text, good in zip(texts, shown):
            if not good and not is_constant(text):
                yield span[0], f"not shown to decide by itself: {text}"


def missing_regions(file, lines):
    for line, column, count, has_count, is_entry, is_gap in file["segments"]:
        if has_count and count == 0 and is_entry and not is_gap:
            yield line, f"never executed: {lines[line - 1][column - 1:].strip()}"


def missing_in_macros(file, lines):
    """What a macro from another file expands to: the two ways of a require(), for one."""
    for expansion in file["expansions"]:
        line = expansion["source_region"][0]
        for *_, taken, passed, _file, _expanded, _kind in expansion["branches"]:
            if taken == 0 or passed == 0:
                yield line, f"branch not taken both ways: {lines[line - 1].strip()}"


def missing(file, lines, path):
    found = {
        *missing_branches(file["branches"], lines),
        *missing_conditions(file, lines),
        *missing_regions(file, lines),
        *missing_in_macros(file, lines),
    }
    return [f"{path}:{line}: {text}" for line, text in sorted(found)]


class Sum:
    """Covered and counted, of each kind."""

    def __init__(self):
        self.covered = dict.fromkeys(KINDS, 0)
        self.count = dict.fromkeys(KINDS, 0)

    def add(self, summary, not_counted=0):
        for kind in KINDS:
            self.covered[kind] += summary[kind]["covered"]
            self.count[kind] += summary[kind]["count"]
        self.count["branches"] -= not_counted

    def complete(self):
        return self.covered == self.count

    def cell(self, kind):
        if self.count[kind] == 0:
            return "-"
        # Cut, not rounded: 100 is only what is complete.
        return f"{self.covered[kind] * 1000 // self.count[kind] / 10:.1f} %"


def print_table(title, rows, kinds):
    print(f"{title:24}" + "".join(f"{TITLES[k]:>12}" for k in kinds))
    for name, total in rows:
        print(f"{name:24}" + "".join(f"{total.cell(k):>12}" for k in kinds))


def files_of(export, folder):
    """The files of that folder with code in them, and their paths."""
    with open(export, encoding="utf-8") as f:
        files = json.load(f)["data"][0]["files"]
    for file in files:
        path = os.path.relpath(file["filename"], TOP)
        if path.startswith(folder) and file["summary"]["functions"]["count"] > 0:
            yield path, file


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    core, total, gaps, switches = [], Sum(), [], 0
    for path, file in files_of(sys.argv[1], CORE):
        with open(file["filename"], encoding="utf-8") as f:
            lines = f.read().split("\n")
        past = sum(is_past_switch(b[:4], b[4], lines) for b in file["branches"])
        one = Sum()
        one.add(file["summary"], past)
        total.add(file["summary"], past)
        switches += past
        core.append((path, one))
        found = missing(file, lines, path)
        if not one.complete() and not found:
            found = [f"{path}: llvm-cov counts something as missing that this script does not find"]
        gaps += found
    print_table("lib/core", sorted(core), KINDS)
    print(f"not counted: the way past each of {switches} switches over a whole enum")
    if len(sys.argv) == 3:
        folders = {}
        for path, file in files_of(sys.argv[2], "lib/"):
            folders.setdefault(os.path.dirname(path), Sum()).add(file["summary"])
        print()
        print_table("all unit tests", sorted(folders.items()), ("functions", "lines", "branches"))
    if gaps:
        print()
        print("\n".join(gaps[:SHOWN]))
        if len(gaps) > SHOWN:
            print(f"… and {len(gaps) - SHOWN} more")
    figures = ", ".join(f"{total.covered[k]}/{total.count[k]} {TITLES[k]}" for k in KINDS)
    print(f"\ncoverage of lib/core: {figures}" + ("" if not gaps else f"; {len(gaps)} missing"))
    # An export without the core in it shows nothing.
    return 1 if gaps or not core or not total.complete() or total.count["mcdc"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
