#!/usr/bin/python3
"""Makes docs/images/watch.svg: a real `rolloutctl watch` in the middle of a rollout, as the demonstration shows it.

    tests/demo/picture.py [OUTPUT]

The demonstration runs in tmux; when its first rollout is in its third step, what the terminal shows is read with its
colours and written as SVG, text as text, for light and dark pages. Needs tmux, and the programs in build/release or
ROLLOUT_BUILD."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from xml.sax.saxutils import escape

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUTPUT = os.path.join(TOP, "docs/images/watch.svg")
COLUMNS, ROWS = 90, 26
FONT_SIZE, CELL, LINE = 14, 8.43, 20  # CELL: what monospace fonts of that size take; textLength holds them to it
MARGIN = 18
COMMAND = "rolloutctl watch hello.prod"

# Classes of the SGR colours that rolloutctl uses: name, on a light page, on a dark one.
COLOURS = {31: ("bad", "#c01c28", "#ff7b72"), 32: ("good", "#1a7f37", "#56d364"),
           33: ("warn", "#9a6700", "#e3b341"), 36: ("info", "#0969da", "#58a6ff")}  # fmt: skip


class Tmux:
    """A tmux server of its own, with one window in which the demonstration runs."""

    def __init__(self, folder):
        self.base = ["tmux", "-S", os.path.join(folder, "tmux"), "-f", "/dev/null"]
        env = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": folder}
        env.pop("NO_COLOR", None)
        subprocess.run([*self.base, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS),
                        os.path.join(TOP, "tests/demo/run")], env=env, check=True)  # fmt: skip

    def screen(self):
        return subprocess.run([*self.base, "capture-pane", "-e", "-p", "-N"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()  # fmt: skip

    def close(self):
        """Ctrl-C, as a person would: the demonstration then tidies up. The server ends with its last window."""
        subprocess.run([*self.base, "send-keys", "C-c"], check=False)
        for _ in range(100):
            if subprocess.run([*self.base, "has-session"], capture_output=True, check=False).returncode:
                return
            time.sleep(0.1)
        subprocess.run([*self.base, "kill-server"], check=False)


def spans(line):
    """The runs of equal style in a line with SGR sequences: (column, text, set of classes)."""
    column, styles, found = 0, set(), []
    for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([\d;]*)m", line):
        if text:
            found.append((column, text, frozenset(styles)))
            column += sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
            continue
        for code in map(int, (codes or "0").split(";")):
            if code in (0, 39):
                styles -= {"dim", "bold"} if code == 0 else set()
                styles -= {c[0] for c in COLOURS.values()}
            elif code in (1, 2):
                styles.add({1: "bold", 2: "dim"}[code])
            elif code in COLOURS:
                styles.add(COLOURS[code][0])
    return found


def plain(line):
    return re.sub(r"\x1b\[[\d;]*m", "", line)


def capture():
    """The lines of the page, without what the demonstration says above it."""
    with tempfile.TemporaryDirectory(prefix="rolloutd-picture-") as folder:
        tmux = Tmux(folder)
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                lines = tmux.screen()
                text = "\n".join(map(plain, lines))
                # Half way through the third step, with counts of its own.
                if "▶ step 3" in text and re.search(r"[12]s of 3s", text) and re.search(r"this step +\d", text):
                    last = next(i for i, line in enumerate(lines) if "Ctrl-C ends" in line)
                    first = next(i for i, line in enumerate(lines) if plain(line).startswith("hello.prod "))
                    return lines[first : last + 1]
                time.sleep(0.05)
        finally:
            tmux.close()
    sys.exit("picture.py: no third step was seen within a minute")


def bars(column, text, y):
    """Blocks are drawn, not written: fonts leave gaps between them."""
    shade = {"█": 1, "░": 0.25}
    x = MARGIN + column * CELL
    return (f'<rect class="info" x="{x:.2f}" y="{y - LINE + 8}" width="{len(text) * CELL:.2f}" height="{LINE - 7}" '
            f'fill-opacity="{shade[text[0]]}"/>')  # fmt: skip


def draw_line(line, y):
    out = []
    for column, text, styles in spans(line):
        # Words that stand apart are put where they stand: not every viewer keeps blanks.
        for match in re.finditer(r"█+|░+|[^█░ ]+( [^█░ ]+)*", text):
            part, at = match.group(), column + match.start()
            if part[0] in "█░":
                out.append(bars(at, part, y))
                continue
            kind = f' class="{" ".join(sorted(styles))}"' if styles else ""
            out.append(f'<text{kind} x="{MARGIN + at * CELL:.2f}" y="{y}" textLength="{len(part) * CELL:.2f}">'
                       f"{escape(part)}</text>")  # fmt: skip
    return out


def style():
    light = "".join(f".{name}{{fill:{colour}}}" for name, colour, _ in COLOURS.values())
    dark = "".join(f".{name}{{fill:{colour}}}" for name, _, colour in COLOURS.values())
    return (
        f"text{{font:{FONT_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        "fill:#1f2328}.bold{font-weight:600}"
        f".page{{fill:#f6f8fa;stroke:#d0d7de}}{light}text.dim{{fill:#636c76}}"
        f"@media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.page{{fill:#0d1117;stroke:#30363d}}{dark}"
        "text.dim{fill:#8b949e}}"
    )


def draw(lines):
    rows = ["\x1b[2m$\x1b[0m " + COMMAND, "", *lines]
    width, height = round(2 * MARGIN + COLUMNS * CELL), 2 * MARGIN + len(rows) * LINE - 4
    title = f"{COMMAND}, in the middle of a rollout"
    body = [part for i, line in enumerate(rows) for part in draw_line(line, MARGIN + (i + 1) * LINE - 8)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="t">',
        f'<title id="t">{escape(title)}</title>',
        f"<style>{style()}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *body,
        "</svg>",
        "",
    ])  # fmt: skip


def main():
    if not shutil.which("tmux"):
        sys.exit("picture.py: tmux is missing (apt-get install tmux)")
    output = sys.argv[1] if len(sys.argv) > 1 else OUTPUT
    picture = draw(capture())
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    with open(output, "w", encoding="utf-8") as f:
        f.write(picture)
    print(f"{output}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
