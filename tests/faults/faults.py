"""What the tests of the real programs under faults share: rollouts of which each has a function and a folder of its
own, many at a time in one world, and the checker that every one of them must come through whatever was done to it.

`make check` takes every k-th point of each series; FAULTS=all (`make check-faults`) takes all of them.
"""

import concurrent.futures
import contextlib
import hashlib
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/e2e"))

from rollout_case import CONFIG, Operator, World, make_plan, target_text, wait_long  # noqa: E402
from rolloutd_case import DEADLINE, ROLLOUTD, SECRET, Daemon  # noqa: E402
from service_case import at_once  # noqa: E402

ALL = os.environ.get("FAULTS") == "all"
AT_A_TIME = int(os.environ.get("FAULTS_AT_A_TIME", "16"))  # they wait most of their time
BUILD = os.path.dirname(ROLLOUTD)
PRELOADS = os.path.join(BUILD, "faults")

NAME = "shipped"
STEPS = ((10, 1), (50, 1))
BAKE_MS = 1000

EMPTY_WORLD = """
seed: 5
limits: off
functions: {}
metrics: {period: 1s, delay: 200ms}
"""

FUNCTION = """
functions:
  %s:
    versions: {1: {code: one}, 2: {code: two}, 3: {code: three, error_rate: 100%%}}
    aliases: {prod: {version: 1}}
traffic:
  - {function: %s, alias: prod, rps: 60, arrival: even}
"""


class Worlds:
    """As many worlds as it takes: what one tells of its aliases, at each question, is told of all that it ever had."""

    TRIALS_EACH = 60

    def __init__(self, case):
        self.case, self.lock, self.given, self.world = case, threading.Lock(), 0, None

    def get(self):
        with self.lock:
            if self.given % Worlds.TRIALS_EACH == 0:
                self.world = World(EMPTY_WORLD)
                self.case.addCleanup(self.world.close)
            self.given += 1
            return self.world


class Patient(Operator):
    """The daemon closes a connection that is silent for 5 s, as this program may be when much runs at once."""

    def get(self, path):
        try:
            return super().get(path)
        except (BrokenPipeError, ConnectionResetError):
            return super().get(path)


class Kind:
    """A rollout and its one right end: what its alias is to hold, in this order and nothing else."""

    def __init__(self, version, wanted, phase):
        self.version, self.wanted, self.phase = version, wanted, phase

    def __str__(self):
        return self.phase


GOOD = Kind(2, ["1", "1+2@10", "1+2@50", "2"], "succeeded")
BAD = Kind(3, ["1", "1+3@10", "1"], "rolled-back")


def points(last, at_most, first=1):
    """first … last, all of them or about as many as are allowed for `make check`, spread evenly."""
    every = 1 if ALL else -(-(last - first + 1) // at_most) | 1  # odd, so that of pairs both kinds are taken
    chosen = list(range(first, last + 1, every))
    return chosen if not chosen or chosen[-1] == last else [*chosen, last]


def figure(what, count):
    """One line for the table, gathered by tests/faults/run."""
    print(f"figure: {what}: {count}", file=sys.stderr, flush=True)


def can_trace():
    """strace may be absent, or forbidden in a container."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-e", "inject=write:signal=SIGKILL:when=1", "echo"], capture_output=True,
                          check=False).returncode == -signal.SIGKILL


def strace(*options, out=os.devnull):
    return ["strace", "-f", "-qq", "-o", out, *options]


def traced_by(pid):
    """The rolloutd that a strace of that pid runs: strace hands no signal on. None: not yet, or no more."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = f.read().split()
        for child in children:  # at its start, strace tries things out with others
            with open(f"/proc/{child}/comm", encoding="ascii") as f:
                if f.read() == "rolloutd\n":
                    return int(child)
    except FileNotFoundError:
        pass
    return None


class Trial:
    """One rollout. `world`: in which it gets a function; `kind`: GOOD or BAD."""

    numbers = itertools.count()
    lock = threading.Lock()

    def __init__(self, world, kind, steps=STEPS, more="", config=CONFIG, function=None):
        with Trial.lock:
            number = next(Trial.numbers)
        self.world, self.kind, self.steps = world, kind, steps
        self.function = function or f"t-{number}"
        if not function:
            world.admin("PUT", "world", FUNCTION % (self.function, self.function))
        self.folder = tempfile.mkdtemp(prefix="fault-")
        os.chmod(self.folder, 0o755)
        self.d = Daemon(self.folder, config, world.environment())
        self.d.put_plan(f"{NAME}.yaml", make_plan(NAME, self.function, version=kind.version, steps=steps, more=more))
        self.ctl = Patient(self.d)
        self.expected_attempts = [(1, kind.phase)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.d.process:
            self.kill()
        with contextlib.suppress(OSError):
            self.world.admin("PUT", "traffic", [{"function": self.function, "alias": "prod", "rps": 0}])
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the process ---

    def start(self, before=(), environment=None, **popen):
        """Starts it behind that command line, and does not wait for anything."""
        with open(self.d.log_path, "ab") as log:
            self.log_from = log.tell()
            self.d.process = subprocess.Popen(
                [*before, ROLLOUTD, "--config", self.d.config], env={**self.d.environment, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **popen)
        self.traced = bool(before) and before[0] == "strace"
        return self

    def pid(self):
        return traced_by(self.d.process.pid) if self.traced else self.d.process.pid

    def signal(self, number):
        if self.d.process.poll() is None:
            pid = self.pid() or self.d.process.pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """And waits until it is gone; a strace goes when what it traces has gone."""
        self.signal(signal.SIGKILL)
        return self.d.process.wait(DEADLINE)

    def stop(self):
        """TERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.d.process.wait(DEADLINE + 30)

    def log(self):
        """Of this start alone."""
        with open(self.d.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(self.log_from)
            return f.read()

    def gone(self):
        return self.d.process.poll() is not None

    def said_end(self):
        return re.search(r" phase=(succeeded|rolled-back|failed|blocked) event=phase", self.log())

    def wait_end(self, what=""):
        """Until it said that the rollout ended, or is gone. Asks it nothing: a question would be a call more."""
        wait_long(f"an end, {what}\n", lambda: self.gone() or self.said_end())

    # --- what it left ---

    def state_hash(self):
        """Of all that it recorded; "" for nothing. Neither the lock nor the shared memory is a record."""
        digest, any_file = hashlib.sha256(), False
        state = os.path.join(self.folder, "state")
        for file in sorted(os.listdir(state) if os.path.isdir(state) else []):
            if file.endswith((".lock", "-shm", ".reserve")):
                continue
            any_file = True
            with open(os.path.join(state, file), "rb") as f:
                digest.update(file.encode() + b"\0" + f.read())
        return digest.hexdigest() if any_file else ""

    def rows(self, text):
        """Of the store, read when nobody has it open."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.folder, "state/rolloutd.db"))) as db:
            return db.execute(text).fetchall()

    def set_to(self):
        return self.world.changes(self.function)

    def holds(self):
        """What the alias holds now, written as in `Kind`."""
        a = self.world.admin("GET", f"functions/{self.function}")["aliases"]["prod"]
        return target_text(a["version"], a["weights"])

    def changes(self):
        return [c for c in self.world.counters()["alias_changes"] if c["function"] == self.function]

    # --- the checker ---

    def recover(self, what=""):
        """Starts it unharmed, waits for the right end, stops it, and checks all that must hold."""
        self.start()
        wait_long("the daemon to answer", self.d.answers)
        self.ctl.phase(NAME, self.kind.phase)
        self.check(what)

    def check(self, what=""):
        """Nothing lost, no weight that nobody asked for, no step twice or early, ended right, the end is clean."""
        self.check_events(what)
        code = self.stop()
        self.expect(code == 0, f"ended with {code}, {what}")
        self.check_alias(what)
        self.check_store(what)

    def expect(self, condition, text):
        if not condition:
            raise AssertionError(f"{text}\n{self.d.log()}")

    def check_events(self, what):
        attempts = [(h["attempt"], h["phase"]) for h in self.ctl.history(NAME)]
        self.expect(attempts == self.expected_attempts, f"{what}: attempts {attempts}")
        weights = [e["text"] for e in self.ctl.events(NAME, "weight")]
        self.expect(len(weights) == len(self.kind.wanted) - 1, f"{what}: told of {weights}")

    def check_alias(self, what):
        """In the world, which saw every write."""
        changes = self.changes()
        wanted = self.kind.wanted
        self.expect(self.set_to() == wanted, f"{what}: {self.set_to()}, not {wanted}")
        self.expect(self.holds() == wanted[-1], f"{what}: it ends at {self.holds()}")
        for earlier, later in itertools.pairwise(changes[1:]):
            if later["version"] != "1" or later["weights"]:  # the way home waits for nothing
                apart = later["time_ms"] - earlier["time_ms"]
                self.expect(apart >= BAKE_MS, f"{what}: a step after {apart} ms")

    def check_store(self, what):
        """Each change had its intent before it was made; the file is whole; no secret is in it or in the log."""
        changes = self.changes()[1:]
        targets = self.rows("SELECT unix_ms, revision FROM intents ORDER BY seq")
        before = [self.changes()[0]["revision"]] + [c["revision"] for c in changes]
        for n, change in enumerate(changes):
            had = [ms for ms, revision in targets if revision == before[n] and ms <= change["time_ms"]]
            self.expect(had, f"{what}: the change of {change['time']} has no intent among {targets}")
        self.expect(self.rows("PRAGMA integrity_check") == [("ok",)], f"{what}: the database is damaged")
        for path in (self.d.log_path, os.path.join(self.folder, "state/rolloutd.db")):
            with open(path, "rb") as f:
                self.expect(SECRET.encode() not in f.read(), f"{what}: the secret is in {path}")


def timed(one, argument):
    began = time.monotonic()
    result = one(*argument)
    if os.environ.get("FAULTS_VERBOSE"):
        print(f"{time.monotonic() - began:.1f} s: {argument}: {result}", file=sys.stderr)
    return result


def side_by_side(one, arguments, at_a_time=AT_A_TIME):
    """Calls one(*argument) for each of them, many at a time. Gives the results in order; all are tried before the first
    failure is raised, which then says how many there were."""
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        futures = [pool.submit(timed, one, a) for a in arguments]
        concurrent.futures.wait(futures)
    failures = [f.exception() for f in futures if f.exception()]
    if failures:
        heads = "\n".join(str(f).splitlines()[0][:400] if str(f) else repr(f) for f in failures[:30])
        raise AssertionError(f"{len(failures)} of {len(futures)} failed:\n{heads}\nThe first:\n{failures[0]}"
                             ) from failures[0]
    return [f.result() for f in futures]


def sentence(log):
    """The last thing that was said: by a program that gives up, one readable sentence."""
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def is_readable(line):
    """It says more than an errno, and not only its number."""
    return len(line.split()) >= 6 and not re.search(r"\b(errno|error) *[=:]? *-?\d+\b", line)
