"""Power cuts: a rollout in a virtual machine whose power goes at chosen instants, while AWS goes on without it.

The stand-in for AWS runs outside and outlives each cut. The machine's disk has a cache that is lost with the power
(disk.py). After each cut the disk is looked at as it was left, before anybody can mend it; then the machine boots
again, and the rollout must go on by itself to its right end."""

import json
import os
import re
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.request

import disk
import machine
import tree
import wire

BOOT_LIMIT = 240  # seconds for a boot and what follows until its cut, or until the rollout's end
BAKE = 2
DISK_BYTES = 48 * 1024 * 1024

WORLD = """
seed: 11
limits: off
invoke_delay: false
functions:
  good: &f
    versions:
      1: {body: one, code: one}
      2: {body: two, code: two}
      3: {body: three, code: three, error_rate: 100%}
    aliases:
      prod: {version: 1}
  bad:
    versions:
      1: {body: one, code: one}
      2: {body: two, code: two}
      3: {body: three, code: three, error_rate: 100%}
    aliases:
      prod: {version: 1}
traffic:
  - {function: good, alias: prod, rps: 60, arrival: even}
  - {function: bad, alias: prod, rps: 60, arrival: even}
metrics: {period: 1s, delay: 200ms}
""".replace("&f", "")

PLAN = """apiVersion: rolloutd/v1
kind: Rollout
name: {name}
function: {name}
alias: prod
version: {version}
steps:
  - {{weight: 10%, bake: {bake}s}}
  - {{weight: 50%, bake: {bake}s}}
analysis: {{every: 1s, settle: 1s, period: 1s, metrics: [{{errors: {{max_rate: 20%, min_invocations: 3}}}}]}}
"""

# (how many writes of the alias AWS has taken, what then). `flush N lost`: before the N-th flush of the disk from then
# on takes hold; `kept`: after it did, before anybody hears of it. `write …`: at the next write of the alias. `wait S`:
# so many seconds later. The comment says what that instant is, as a rule; the table that is printed says what it was.
GOOD = (
    (0, "flush 6 lost"),      # while the database is made
    (0, "write unsent"),      # the intent is on disk, and nothing was sent
    (1, "flush 1 lost"),      # AWS has answered, and the record of it is lost
    (1, "flush 3 lost"),      # before the daemon has come to itself
    (1, "wait 1"),            # in the bake
    (1, "write late"),        # it arrives when the next boot has already looked at the alias
    (2, "flush 4 kept"),      # in the second bake
    (2, "write unanswered"),  # the promotion: AWS has it, and nobody knows
    (3, "flush 3 lost"),
)
BAD = (
    (0, "write unanswered"),
    (1, "flush 5 kept"),
    (1, "write unsent"),      # the way home, decided and not begun
    (1, "write unanswered"),  # the way home
    (2, "flush 12 lost"),     # what is left is to say so
)
# As the weights follow one another, with what is repeated taken once: home may be written twice, to be sure of it.
ROLLOUTS = (("good", 2, GOOD, ["1", "1+2@10", "1+2@50", "2"], "succeeded"),
            ("bad", 3, BAD, ["1", "1+3@10", "1"], "rolled-back"))
FEW = (("good", 2, GOOD[5:6], *ROLLOUTS[0][3:]), ("bad", 3, BAD[3:4], *ROLLOUTS[1][3:]))


class Failure(Exception):
    pass


class Aws:
    """The stand-in, outside of the machine."""

    def __init__(self, build, folder):
        path = os.path.join(folder, "world.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(WORLD)
        self.process = subprocess.Popen(
            [os.path.join(build, "rollout-localaws"), "--listen", "127.0.0.1:0", "--world", path],
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def changes(self, function):
        """(time in ms, content) of each change of its alias, the first being what it was at the beginning."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_localaws/counters", timeout=60) as answer:
            found = json.load(answer)["alias_changes"]
        return [(c["time_ms"], content(c["version"], c["weights"])) for c in found if c["function"] == function]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


def content(version, weights):
    return str(version) + "".join(f"+{v}@{round(float(w) * 100, 2):g}" for v, w in sorted(weights.items()))


def intended(text):
    """The same form, from an intent's text."""
    m = re.fullmatch(r"version (\d+)(?: \(\d+%\) and version (\d+) \((\d+)%\))?", text)
    return None if not m else m[1] + (f"+{m[2]}@{m[3]}" if m[2] else "")


class Trigger:
    """Says when the power goes. None as `cut`: never, the rollout is to end."""

    def __init__(self, cut, wire_now, pull):
        self.after, self.what = cut or (None, "")
        self.wire, self.pull, self.flushes, self.armed = wire_now, pull, 0, False

    def due(self):
        return self.after is not None and self.wire().answered >= self.after

    def on_flush(self, _):
        m = re.fullmatch(r"flush (\d+) (lost|kept)", self.what)
        if not m or not self.due():
            return None
        self.flushes += 1
        if self.flushes < int(m[1]):
            return None
        self.pull()
        return m[2]

    def on_write(self, _):
        return self.what.split()[1] if self.what.startswith("write ") and self.due() else None

    def on_line(self, text):
        """The clock of a `wait` begins with the daemon's first line after the write; a bake lasts longer."""
        if self.what.startswith("wait ") and self.due() and not self.armed and text and " rolloutd[" in text:
            self.armed = True
            threading.Timer(float(self.what.split()[1]), self.pull).start()


class Rollout:
    """One rollout through all of its cuts."""

    def __init__(self, build, aws, folder, seed, name, version, cuts, weights, end):
        self.build, self.aws, self.folder, self.seed = build, aws, folder, seed
        self.name, self.version, self.cuts, self.weights, self.end = name, version, cuts, weights, end
        self.checks = self.boots = self.flushes = 0
        self.fates = {"kept": 0, "lost": 0, "torn": 0}
        self.ram_disk = os.path.join(folder, f"{name}.cpio")
        self.image = self.make_image()
        self.table = []

    def make_image(self):
        path = os.path.join(self.folder, "new.img")
        with open(path, "wb") as f:
            f.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-b", str(disk.SECTOR), path], check=True, stdin=subprocess.DEVNULL)
        with open(path, "rb") as f:
            return f.read()

    def check(self, good, what):
        if not good:
            raise Failure(f"{self.name}: {what}")
        self.checks += 1

    def run(self):
        self.wire = wire.Wire(self.aws.port, lambda n: self.trigger.on_write(n), lambda: self.pull())
        plan = PLAN.format(name=self.name, version=self.version, bake=BAKE)
        files = {f"etc/rolloutd/plans.d/{self.name}.yaml": plan}
        machine.make_ram_disk(self.build, self.ram_disk, self.wire.port, files)
        for cut in (*self.cuts, None):
            self.boot(cut)
        self.wire.close()
        os.unlink(self.ram_disk)

    def pull(self):
        self.machine.pull_the_plug()
        self.was_cut = True
        self.over.set()

    def boot(self, cut):
        began, self.over, ended = time.monotonic(), threading.Event(), re.compile(f"{self.name}: {self.end}(:|$)")
        self.boots += 1
        self.was_cut = self.ended = False
        self.trigger = Trigger(cut, lambda: self.wire, self.pull)

        def on_line(text):
            self.trigger.on_line(text)
            if text is None or ended.search(text):
                self.ended = self.ended or text is not None
                self.over.set()

        socket_path = os.path.join(self.folder, "disk.sock")
        d = disk.Disk(socket_path, self.image, self.seed + self.boots, lambda n: self.trigger.on_flush(n))
        self.machine = machine.Machine(self.ram_disk, socket_path, on_line)
        in_time = self.over.wait(BOOT_LIMIT)
        self.machine.pull_the_plug()
        self.machine.wait(20)
        self.image = d.cut()
        d.close()
        self.flushes += d.flushes
        self.fates = {k: v + d.fates[k] for k, v in self.fates.items()}
        log = os.path.join(tree.PLACE, "out", f"power-{self.name}-{self.boots}.log")
        with open(log, "w", encoding="utf-8") as f:
            f.write("\n".join(self.machine.lines) + "\n")
        if not in_time or self.was_cut != (cut is not None) or self.ended != (cut is None):
            awaited = f"the cut '{cut[1]}'" if cut else "the rollout's end"
            what = f"nothing within {BOOT_LIMIT} s"
            if in_time:
                what = "the rollout ended first" if self.ended else "the machine died"
            raise Failure(f"{self.name}, boot {self.boots}: {awaited}: {what}; the console is in {log}")
        self.look(cut, d, time.monotonic() - began)

    # --- the disk as it was left ---

    def read_state(self):
        """None: there is no database yet. The file system's own journal is replayed first, as a mount does it."""
        path = os.path.join(self.folder, "left.img")
        with open(path, "wb") as f:
            f.write(self.image)
        done = subprocess.run(["e2fsck", "-p", path], capture_output=True, text=True, check=False)
        self.check(done.returncode in (0, 1), f"the file system is broken: {done.stdout}{done.stderr}")
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            for name in ("rolloutd.db", "rolloutd.db-wal"):
                subprocess.run(["debugfs", "-R", f"dump /{name} {out}/{name}", path], capture_output=True, check=False)
            if not os.path.exists(f"{out}/rolloutd.db") or os.path.getsize(f"{out}/rolloutd.db") == 0:
                return None
            return self.read_database(f"{out}/rolloutd.db")

    def read_database(self, path):
        db = sqlite3.connect(path)
        try:
            self.check(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the database is damaged")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'rollouts'").fetchone():
                return None
            row = db.execute("SELECT record, live FROM rollouts WHERE name = ?", (self.name,)).fetchone()
            intents = [intended(t) for (t,) in db.execute("SELECT target FROM intents ORDER BY rollout_id, seq")]
            events = [t for (t,) in db.execute("SELECT kind FROM events WHERE name = ? ORDER BY id", (self.name,))]
            phases = [t for (t,) in db.execute("SELECT phase FROM events WHERE name = ? ORDER BY id", (self.name,))]
        finally:
            db.close()
        return {"record": row and json.loads(row[0]), "live": row and row[1], "intents": intents, "events": events,
                "phases": phases}

    def look(self, cut, d, seconds):
        state = self.read_state()
        changes = self.aws.changes(self.name)
        contents = [c for _, c in changes]
        written = contents[1:]
        intents = state["intents"] if state else []
        # Nothing reaches AWS whose intent would not survive the power cut.
        for c in written:
            self.check(c in intents, f"{c} was written and its intent is not on the disk: {intents}")
        self.check(intents or not written, "a write without a record")
        once = [c for i, c in enumerate(contents) if i == 0 or c != contents[i - 1]]
        self.check(once == self.weights[:len(once)], f"the weights were {contents}")
        self.check(len(contents) <= len(self.weights) + 1, f"too many writes: {contents}")
        # A bake is never cut short by a cut: from one weight's write to the next higher one's it has its whole time.
        for (before, _), (after, c) in zip(changes[1:], changes[2:]):
            self.check(c in ("1",) or after - before >= BAKE * 1000, f"{c} came after {after - before} ms")
        phase = state["phases"][-1] if state and state["phases"] else "not on the disk yet"
        self.table.append((self.name, f"{cut[1]}, {cut[0]} taken" if cut else "(the end)", phase, contents[-1],
                           len(intents), d.flushes, sum(d.fates.values()), d.fates["lost"] + d.fates["torn"], seconds))
        print(ROW.format(*self.table[-1]), flush=True)
        if not cut:
            self.check(once == self.weights, f"at the end the weights were {contents}")
            self.check(state and not state["live"] and phase == self.end, f"the record says {phase}, not {self.end}")


HEAD = ("rollout", "cut", "phase on disk", "alias at AWS", "intents", "flushes", "unflushed", "of these lost or torn",
        "s")
ROW = "{:8} {:26} {:20} {:12} {:>7} {:>8} {:>10} {:>22} {:>6.0f}"


def run(build, rollouts, seed):
    tree.require_tools("qemu-system-x86_64", "mkfs.ext4", "debugfs", "e2fsck")
    machine.make_kernel()
    out = os.path.join(tree.PLACE, "out")
    os.makedirs(out, exist_ok=True)
    began, done = time.monotonic(), []
    print(ROW.replace(".0f", "").format(*HEAD), flush=True)
    failed = None
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        aws = Aws(build, folder)
        try:
            for number, (name, version, cuts, weights, end) in enumerate(rollouts):
                r = Rollout(build, aws, folder, seed + 1000 * number, name, version, cuts, weights, end)
                done.append(r)
                r.run()
        except Failure as e:
            failed = str(e)
            done[-1].machine.pull_the_plug()
        finally:
            aws.close()
    cuts = sum(1 for r in done for row in r.table if row[1] != "(the end)")
    fates = {k: sum(r.fates[k] for r in done) for k in ("kept", "lost", "torn")}
    if failed:
        print(f"FAILED: {failed}")
    print(f"{cuts} power cuts, {sum(r.boots for r in done)} boots, {sum(r.flushes for r in done)} flushes; of what was "
          f"not flushed {fates['kept']} kept, {fates['lost']} lost, {fates['torn']} torn; "
          f"{sum(r.checks for r in done)} checks, {1 if failed else 0} failed; seed {seed}, "
          f"{time.monotonic() - began:.0f} s")
    return 1 if failed else 0
