#!/usr/bin/python3
"""Habits of form that no compiler and no clang-format holds: length of functions, files and lines, banned functions,
white space, unfinished business, head comments of public headers, links that lead nowhere, scripts that parse."""

import os
import re
import subprocess
import sys

import source

FUNCTION_LINES = 70
FILE_LINES = 900
LINE_COLUMNS = 120
# Files that were longer than FILE_LINES when the rule came, with their length: it may fall and never rise.
RATCHET = {}

BANNED = {
    r"strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets": "write through struct buf or snprintf()",
    r"strtok|strtok_r|strsep": "it writes into its input; walk the text with strcspn()",
    r"atoi|atol|atoll|atof": "it hides errors; use text_parse_…()",
    r"sscanf|scanf|fscanf": "it overflows silently; parse by hand",
    r"alloca": "the stack has no room for what comes from outside",
    r"system|popen": "no shell is ever started",
    r"tmpnam|mktemp|tempnam": "it races; use mkstemp()",
    r"asctime|ctime|gmtime|localtime": "it keeps a hidden static; use the _r form",
    r"setjmp|longjmp|bsd_signal": "control flow stays readable",
    r"assert": "require() stays on in release",
    r"bzero|bcopy": "use memset() and memmove()",
}
# Only lib and daemon: memory comes from base/mem.h, which aborts rather than return NULL.
BANNED_MEMORY = r"malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf"

TEXT = re.compile(r".*\.(c|h|py|sh|md|yaml|yml|mk|in|json|txt|service|socket|[1-8])|(.*/)?(Makefile|run)|conf/.*")
CODE = re.compile(r".*\.(c|h|py|sh|mk)|(.*/)?(Makefile|run)")
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
# Recorded answers, generated vectors and inputs that are wrong on purpose are kept byte by byte.
VERBATIM = re.compile(r"tests/vectors/|tests/fuzz/(corpus|findings)/|tests/plans/bad/|LICENSE$")


def check_text(path, text, report):
    lines = text.split("\n")
    if text and not text.endswith("\n"):
        report.add(path, len(lines), "no line break at the end of the file")
    if text.endswith("\n\n"):
        report.add(path, len(lines) - 1, "empty lines at the end of the file")
    for number, line in enumerate(lines, 1):
        if line.endswith("\r"):
            report.add(path, number, "carriage return")
        elif line != line.rstrip():
            report.add(path, number, "white space at the end of the line")
        if path.endswith((".py", ".yaml", ".yml", ".md")) and "\t" in line:
            report.add(path, number, "tab; this kind of file is indented by spaces")
        if re.match(r" +\t", line):
            report.add(path, number, "spaces before a tab")
        if UNFINISHED.search(line):
            report.add(path, number, f"{UNFINISHED.search(line).group(1)}: finish it, or write down the limit in docs/")
        if CODE.fullmatch(path) and len(line.expandtabs(8)) > LINE_COLUMNS:
            report.add(path, number, f"{len(line.expandtabs(8))} columns, {LINE_COLUMNS} at most")


def check_size(path, text, report):
    count, limit = text.count("\n"), RATCHET.get(path, FILE_LINES)
    if count > limit:
        report.add(path, count, f"{count} lines, {limit} at most: split it by topic")
    elif path in RATCHET and (count <= FILE_LINES or count < limit - 50):
        report.add(path, count, f"{count} lines now: lower or drop its entry in RATCHET")


def check_functions(path, code, report):
    """clang-format puts a function's braces, and nothing else's that follows a ')', alone into the first column."""
    lines = code.split("\n")
    opened = None
    for number, line in enumerate(lines):
        if line == "{" and opened is None:
            opened = number
            while opened > 0 and re.match(r"[\s)]|\S.*[,(]$", lines[opened - 1]) and lines[opened - 1].strip():
                opened -= 1
            if opened == number:
                opened -= 1
        elif line.startswith("}") and opened is not None:
            length = number - opened + 1
            if length > FUNCTION_LINES:
                name = re.search(r"(\w+)\(", " ".join(lines[max(0, opened - 1) : number]))
                what = name.group(1) if name else "function"
                report.add(path, opened + 1, f"{what}(): {length} lines, {FUNCTION_LINES} at most")
            opened = None


def check_calls(path, code, report):
    rules = dict(BANNED)
    if path.startswith(("lib/", "daemon/")) and path != "lib/base/mem.c":
        rules[BANNED_MEMORY] = "use base/mem.h"
    for pattern, why in rules.items():
        for match in re.finditer(rf"(?<![\w.>])(?:{pattern})(?=\s*\()", code):
            report.add(path, code.count("\n", 0, match.start()) + 1, f"{match.group(0)}(): {why}")


def check_header(path, text, code, report):
    if not re.match(r"/\*.*?\*/\s*#pragma once\n", text, re.S):
        report.add(path, 1, "a public header begins with a comment that says what it is, then #pragma once")
    if re.search(r"^(static )?(?!inline)\w[\w \*]*\w\s*=\s*[^;]*;$", code, re.M):
        report.add(path, 1, "a header defines no variable")


def slug(heading):
    """GitHub's anchor of a heading."""
    text = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).strip().lower())
    return text.replace(" ", "-")


def anchors(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return {slug(h) for h in re.findall(r"^#+ (.*)$", text, re.M)}


def check_markdown_links(path, text, report):
    fenced = re.sub(r"^```.*?^```", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S | re.M)
    for match in re.finditer(r"\]\(([^)\s]+)\)", fenced):
        link, line = match.group(1), fenced.count("\n", 0, match.start()) + 1
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
        if not os.path.exists(os.path.join(source.TOP, full)):
            report.add(path, line, f"link to {link}: no such file")
        elif anchor and full.endswith(".md") and anchor not in anchors(source.read(full) or ""):
            report.add(path, line, f"link to {link}: no such heading")


def check_mentions(path, text, report):
    """docs/… named in comments and messages exists."""
    if path == "tests/lint/test_lints.py":
        return
    for match in re.finditer(r"(?<![\w/.-])docs/[\w./-]*\w\.(?:md|yaml|json|[1-8])\b", text):
        if not os.path.exists(os.path.join(source.TOP, match.group(0))):
            report.add(path, text.count("\n", 0, match.start()) + 1, f"names {match.group(0)}, which is not there")


def check_script(path, text, report):
    first = text.split("\n", 1)[0]
    if path.endswith(".py") or (first.startswith("#!") and "python" in first):
        try:
            compile(text, path, "exec")
        except SyntaxError as e:
            report.add(path, e.lineno or 1, f"Python: {e.msg}")
    elif first.startswith("#!") and "sh" in first:
        shell = "bash" if "bash" in first else "sh"
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            report.add(path, 1, f"{shell}: {done.stderr.strip()}")
    if first.startswith("#!") and not os.access(os.path.join(source.TOP, path), os.X_OK):
        report.add(path, 1, "begins with #! and is not executable")


def check_file(path, report):
    if not TEXT.fullmatch(path) or VERBATIM.match(path):
        return
    text = source.read(path)
    if text is None:
        report.add(path, 1, "not UTF-8 text")
        return
    check_text(path, text, report)
    check_mentions(path, text, report)
    check_script(path, text, report)
    if CODE.fullmatch(path):
        check_size(path, text, report)
    if path.endswith((".c", ".h")):
        code = source.strip_c(text)
        check_functions(path, code, report)
        check_calls(path, code, report)
        if re.fullmatch(r"lib/\w+/\w+\.h", path):
            check_header(path, text, code, report)
    if path.endswith(".md"):
        check_markdown_links(path, text, report)


def main():
    report = source.Report("tidy")
    for path in source.files():
        check_file(path, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
