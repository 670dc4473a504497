#!/usr/bin/python3
"""Holds the one way of dependence between the folders, and keeps lib pure:

    base <- core <- chain <- {plan, aws, store, control} <- engine <- sim <- simulate

The four in the middle do not include each other; credentials stand on aws, below engine. daemon may include any of
lib but sim and simulate; daemon/cli and daemon/localaws any of lib, and nothing of the rest of daemon. In lib there is
no clock, no environment, no socket, no log and no library but those that a folder is there to wrap.
"""

import os
import re
import sys

import source

# Which folders of lib each folder may include from.
BELOW = {
    "base": {"base"},
    "core": {"base", "core"},
    "chain": {"base", "core", "chain"},
    "plan": {"base", "core", "chain", "plan"},
    "aws": {"base", "core", "chain", "aws"},
    "credentials": {"base", "core", "chain", "aws", "credentials"},
    "store": {"base", "core", "store"},
    "control": {"base", "core", "chain", "control"},
    "engine": {"base", "core", "chain", "plan", "aws", "store", "control", "engine"},
    "sim": {"base", "core", "chain", "plan", "aws", "store", "control", "engine", "sim"},
    "simulate": {"base", "core", "chain", "plan", "aws", "store", "control", "engine", "sim", "simulate"},
}
ALL_LIB = set(BELOW)

# Library headers that only some folders of lib may use; all others of the list may be used nowhere in lib.
LIBRARY = {
    r"uv\.h|uv/.*": set(),
    r"curl/.*": set(),
    r"microhttpd\.h": set(),
    r"systemd/.*": set(),
    r"sys/socket\.h|sys/un\.h|netinet/.*|arpa/.*|netdb\.h|poll\.h|sys/epoll\.h|pthread\.h|threads\.h|signal\.h": set(),
    r"syslog\.h|err\.h|assert\.h": set(),
    r"sqlite3\.h": {"store"},
    r"yaml\.h": {"plan"},
    r"expat\.h": {"credentials"},
    r"openssl/.*": {"base", "aws", "credentials", "sim"},
    r"jansson\.h": {"aws", "credentials", "store", "control", "engine", "sim"},
    "simulate": {"base", "core", "chain", "plan", "aws", "store", "control", "engine", "sim", "simulate"},
}

# Functions that lib must not call, and the files that are their one interface.
FUNCTION = {
    r"time|gettimeofday|clock_gettime|clock|localtime|localtime_r|mktime|nanosleep|usleep|sleep": set(),
    r"rand|rand_r|srand|random|srandom|drand48|getrandom|arc4random\w*|RAND_bytes": set(),
    r"getenv|secure_getenv|setenv|putenv|unsetenv": set(),
    r"fopen|freopen|fdopen|opendir|creat": set(),
    r"open|openat|mkstemp|rename|unlink|fsync|fdatasync": {"lib/base/file.c", "lib/store/"},
    r"printf|vprintf|puts|putchar|perror": set(),
    r"fprintf|vfprintf|fputs|fputc|dprintf": {"lib/base/error.c", "lib/base/mem.c"},
    r"abort|exit|_exit|atexit": {"lib/base/error.c", "lib/base/mem.c"},
    r"fork|vfork|exec[lv]p?e?|kill|raise|pthread_\w+": set(),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def resolve(path, name):
    """The project file that `#include "name"` in that file means, or None."""
    for folder in (os.path.dirname(path), "lib", "."):
        found = os.path.normpath(os.path.join(folder, name))
        if os.path.isfile(os.path.join(source.TOP, found)):
            return found
    return None


def may_include(path, target):
    """None when it may; else the rule that it breaks."""
    here, there = path.split("/"), target.split("/")
    if here[0] == "lib":
        if there[0] != "lib":
            return "lib includes nothing but lib"
        if there[1] not in BELOW.get(here[1], ()):
            return f"lib/{here[1]} may include only lib/{{{','.join(sorted(BELOW.get(here[1], ())))}}}"
    elif here[0] == "daemon":
        own = here[1] if here[1] in ("cli", "localaws") else None
        if there[0] == "lib":
            if there[1] in ("sim", "simulate") and own is None:
                return "the daemon does not include the simulator"
        elif there[0] == "daemon":
            if own and there[1] != own:
                return f"daemon/{own} may include of daemon only itself"
            if not own and there[1] in ("cli", "localaws"):
                return f"the daemon does not include daemon/{there[1]}"
        else:
            return "programs include only lib and daemon"
    return None


def check_includes(path, text, report):
    for match in INCLUDE.finditer(source.strip_c(text, strings=False)):
        line, name = text.count("\n", 0, match.start()) + 1, match.group(2)
        if match.group(1) == '"':
            target = resolve(path, name)
            if not target:
                report.add(path, line, f'no file for #include "{name}"')
            elif rule := may_include(path, target):
                report.add(path, line, f'#include "{name}": {rule}')
        elif path.startswith("lib/"):
            for pattern, allowed in LIBRARY.items():
                if re.fullmatch(pattern, name) and path.split("/")[1] not in allowed:
                    where = " or ".join(f"lib/{a}" for a in sorted(allowed)) or "outside lib"
                    report.add(path, line, f"<{name}> belongs {where}")


def check_calls(path, text, report):
    code = source.strip_c(text)
    for pattern, allowed in FUNCTION.items():
        if any(path.startswith(a) for a in allowed):
            continue
        for match in re.finditer(rf"(?<![\w.>]){'(?:' + pattern + ')'}(?=\()", code):
            line = code.count("\n", 0, match.start()) + 1
            report.add(path, line, f"{match.group(0)}(): lib has no clock, chance, files or output of its own")


def main():
    report = source.Report("layers")
    for path in source.files():
        if not re.fullmatch(r"(lib|daemon)/.*\.[ch]", path):
            continue
        if path.startswith("lib/") and path.split("/")[1] not in ALL_LIB:
            report.add(path, 1, "a folder of lib that this lint does not know: add it to BELOW")
            continue
        text = source.read(path) or ""
        check_includes(path, text, report)
        if path.startswith("lib/"):
            check_calls(path, text, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
