#!/usr/bin/python3
"""tests/lint/globals.py BUILD: lib has no variable that changes at run time, as the symbol tables of its objects show.
State lives in objects that somebody owns; only so can a test or the simulator run two of everything side by side."""

import glob
import re
import subprocess
import sys

ALLOWED = {
    "sha256_context": "of a thread; spares an allocation for each hash, and means nothing between two calls",
    "open_error": "of a thread; why the last store_open_… failed, when there is no store yet to ask",
}


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    objects = sorted(glob.glob(f"{sys.argv[1]}/lib/*/*.o"))
    if not objects:
        print(f"no objects in {sys.argv[1]}/lib: build first", file=sys.stderr)
        return 1
    found = 0
    for path in objects:
        table = subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout
        for line in table.splitlines():
            match = re.match(r"[0-9a-f]+ .{7} (\.(?:data|bss|tdata|tbss)\S*)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$", line)
            if not match or match.group(1).startswith(".data.rel.ro") or match.group(2).startswith("."):
                continue
            name = re.sub(r"\.\d+$", "", match.group(2))
            if name not in ALLOWED:
                print(f"{path}: variable '{name}' in {match.group(1)}: lib has no mutable state outside its objects")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
