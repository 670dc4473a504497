#!/usr/bin/python3
"""tests/lint/symbols.py BUILD: what the symbol tables of lib's objects show.

- No variable that changes at run time. State lives in objects that somebody owns; only so can a test or the simulator
  run two of everything side by side.
- No external name that is defined twice. An archive hides that until one program happens to need both.
"""

import glob
import re
import subprocess
import sys

ALLOWED = {
    "sha256_context": "of a thread; spares an allocation for each hash, and means nothing between two calls",
    "open_error": "of a thread; why the last store_open_… failed, when there is no store yet to ask",
}
SYMBOL = re.compile(r"[0-9a-f]+ (.{7}) (\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$")


def symbols(path):
    """(flags, section, name) of everything that the object defines."""
    table = subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout
    for line in table.splitlines():
        match = SYMBOL.match(line)
        if match and match.group(2) not in ("*UND*", "*ABS*") and not match.group(3).startswith("."):
            yield match.groups()


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    objects = [f"{sys.argv[1]}/{source[:-2]}.o" for source in sorted(glob.glob("lib/*/*.c"))]
    found, home = 0, {}
    for path in objects:
        for flags, section, name in symbols(path):
            if re.match(r"\.(data|bss|tdata|tbss)", section) and not section.startswith(".data.rel.ro"):
                if re.sub(r"\.\d+$", "", name) not in ALLOWED:
                    print(f"{path}: variable '{name}' in {section}: lib has no mutable state outside its objects")
                    found += 1
            if flags[0] in "gu" and home.setdefault(name, path) != path:
                print(f"{path}: '{name}' is defined in {home[name]} as well")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
