"""Marker secrets: the keys that the tests give to the daemon, and the search for them in everything that it wrote,
sent to its users or kept. They hold '/' and '+', as real ones do, so that a form which quotes or encodes them is
another one.

What is searched: every answer of the control socket and of rolloutctl as it comes, and when a daemon was stopped, its
whole folder: log, database with its journal, whatever else. The runner adds what the tests themselves printed, and
says in the end how much it was."""

import base64
import os
import urllib.parse

SECRET = "Marker/of+a+secret/key+0123456789/abcdefgh"
TOKEN = "Marker/of+a+session/token+9876543210/zyxwvuts"
BEARER = "Nextmark/what+a+source/is+asked+with/0192837465"  # a metadata service, a container's, SSO, for a web identity
OTHER = "Thirdone/key+that+a+role/is+assumed+with/5647382910"
PART = 16  # a form that was cut, or runs over the pages of a database, is found by its begin or its end

REPORT = os.environ.get("ROLLOUT_SEARCHED")  # where to write down how much was searched; tests/run sums it up


def forms_of(marker):
    """Name and text of what the marker looks like in other clothes."""
    yield "plain", marker
    yield "with \\/ as in JSON", marker.replace("/", "\\/")
    yield "with \\u002f as in JSON", marker.replace("/", "\\u002f").replace("+", "\\u002b")
    yield "quoted for a URL", urllib.parse.quote(marker, safe="")
    yield "quoted for a path", urllib.parse.quote(marker)
    yield "in hexadecimal", marker.encode().hex()
    for before in range(3):  # where in a longer text it begins decides its base64
        text = base64.b64encode(b"\0" * before + marker.encode()).decode()
        inner = text[4 * (before > 0) : len(text) // 4 * 4 - 4]  # without the characters that neighbours have a part in
        yield f"in base64, {before} behind", inner
        yield f"in base64 for URLs, {before} behind", inner.replace("+", "-").replace("/", "_")


def patterns():
    found = {}
    for what, marker in (("secret key", SECRET), ("session token", TOKEN), ("token of a source", BEARER),
                         ("key of a role's source", OTHER)):
        for form, text in forms_of(marker):
            # What both have in common would say the wrong name, never nothing.
            for part in (text[:PART], text[-PART:]):
                found.setdefault(part.lower().encode(), f"the {what} {form}")
    return found


PATTERNS = patterns()
FORMS = len(list(forms_of(SECRET)))


def find(data):
    """The name of the first marker in these bytes or this text; None: there is none."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    data = data.lower()  # digits of hexadecimal come in both cases
    return next((name for pattern, name in PATTERNS.items() if pattern in data), None)


def look(data, where):
    """Fails when a marker is in there; the data itself is not shown. Gives the data."""
    found = find(data)
    report(1, len(data))
    if found:
        raise AssertionError(f"{where} has a secret in it: {found}")
    return data


def look_through(folder):
    """The same for every file below the folder."""
    for path, _, files in os.walk(folder):
        for name in files:
            file = os.path.join(path, name)
            if not os.path.isfile(file):
                continue  # a socket, a pipe
            with open(file, "rb") as f:
                look(f.read(), file)


def report(texts, size):
    if REPORT:
        with open(REPORT, "a", encoding="ascii") as f:
            f.write(f"{texts} {size}\n")
