"""Thousands of rollouts through one daemon that may use little memory: it does not grow, and is never killed for it.

The limit is a memory control group's where one can be made, else that of the address space (RLIMIT_AS), which is
stricter: it counts what is only reserved as well. A sixteenth of the unit's MemoryMax= is enough."""

import glob
import http.client
import json
import os
import resource
import socket
import subprocess
import tempfile
import time


FUNCTIONS = 100
LIMIT_BYTES = 64 * 1024 * 1024
ADDRESS_SPACE_BYTES = 1024 * 1024 * 1024  # reserved, not used: threads' stacks, libraries, arenas
SETTLED = 10  # waves after which it has all that it will ever keep
GROWTH = 1.10
WAVE_LIMIT = 300

WORLD = f"""
seed: 5
limits: off
invoke_delay: false
functions:
  f:
    copies: {FUNCTIONS}
    versions:
      1: {{body: one, code: one}}
      2: {{body: two, code: two}}
    aliases:
      prod: {{version: 1}}
traffic:
  - {{function: f-*, alias: prod, rps: 20, arrival: even}}
metrics: {{period: 1s, delay: 200ms}}
"""
CONFIG = """state_dir: state
control: {socket: control.sock}
limits: {lambda_rps: 1000, cloudwatch_rps: 500}
history_keep: 2
log: {level: error}
"""
AT_ONCE = "strategy: AllAtOnce\n"
IN_STEPS = ("steps: [{weight: 50%, bake: 1s}]\nanalysis: {every: 1s, settle: 1s, period: 1s, "
            "metrics: [{errors: {max_rate: 20%, min_invocations: 1}}]}\n")


class Group:
    """A memory control group, of the kernel's first or second kind; None of both: the address space is limited."""

    def __init__(self):
        self.path = self.kind = None
        name = f"rolloutd-soak-{os.getpid()}"
        for kind, top, limit, peak in (
                ("v2", "/sys/fs/cgroup", "memory.max", "memory.peak"),
                ("v1", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes")):
            path = os.path.join(top, name)
            try:
                os.mkdir(path)
                if os.path.exists(os.path.join(path, limit)):
                    self.write(path, limit, LIMIT_BYTES)
                    self.path, self.kind, self.peak_file = path, kind, peak
                    return
                os.rmdir(path)
            except OSError:
                continue

    @staticmethod
    def write(path, name, value):
        with open(os.path.join(path, name), "w", encoding="ascii") as f:
            f.write(str(value))

    def enter(self):
        """In the child, before it becomes the daemon."""
        if self.path:
            self.write(self.path, "cgroup.procs", os.getpid())
        else:
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))

    def peak(self):
        try:
            with open(os.path.join(self.path or "", self.peak_file), encoding="ascii") as f:
                return int(f.read())
        except (OSError, AttributeError):
            return None

    def close(self):
        if self.path:
            os.rmdir(self.path)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def ask(path, what):
    c = Unix(path)
    try:
        c.request("GET", what)
        return c.getresponse().read()
    finally:
        c.close()


def memory(pid):
    """(resident, descriptors)"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        kb = next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
    return kb * 1024, len(os.listdir(f"/proc/{pid}/fd"))


def wave(folder, sock, number):
    """New content for each plan: the other version. Waits until all have ended."""
    how = IN_STEPS if number % 5 == 4 else AT_ONCE
    for i in range(FUNCTIONS):
        hidden = os.path.join(folder, "plans.d", f".{i}")
        with open(hidden, "w", encoding="ascii") as f:
            f.write(f"apiVersion: rolloutd/v1\nkind: Rollout\nname: r-{i}\nfunction: f-{i}\nalias: prod\n"
                    f"version: {2 - number % 2}\n{how}# wave {number}\n")
        os.chmod(hidden, 0o644)
        os.rename(hidden, os.path.join(folder, "plans.d", f"r-{i}.yaml"))
    end = time.monotonic() + WAVE_LIMIT
    while True:
        rollouts = json.loads(ask(sock, "/v1/rollouts"))["rollouts"]
        if len(rollouts) == FUNCTIONS and all(
                r["attempt"] == number + 1 and r["phase"] == "succeeded" for r in rollouts):
            return
        if time.monotonic() > end:
            behind = [(r["name"], r["attempt"], r["phase"]) for r in rollouts][:5]
            raise AssertionError(f"wave {number} did not end: {len(rollouts)} rollouts, such as {behind}")
        time.sleep(0.2)


def run(build, waves):
    began = time.monotonic()
    group = Group()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.makedirs(f"{folder}/plans.d")
        for name, text in (("world.yaml", WORLD), ("rolloutd.yaml", CONFIG)):
            with open(f"{folder}/{name}", "w", encoding="ascii") as f:
                f.write(text)
        aws = subprocess.Popen([f"{build}/rollout-localaws", "--listen", "127.0.0.1:0", "--world",
                                f"{folder}/world.yaml"], stdout=subprocess.PIPE, text=True)
        url = aws.stdout.readline().split()[-1]
        with open(f"{folder}/log", "wb") as log:
            daemon = subprocess.Popen(
                [f"{build}/rolloutd", "--config", f"{folder}/rolloutd.yaml"], stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "localaws",
                     "AWS_SECRET_ACCESS_KEY": "localaws", "HOME": "/nonexistent"}, preexec_fn=group.enter)
        sizes, wrong = [], None
        try:
            sock = f"{folder}/control.sock"
            while not os.path.exists(sock) and daemon.poll() is None:
                time.sleep(0.05)
            for number in range(waves):
                wave(folder, sock, number)
                sizes.append(memory(daemon.pid))
        except (AssertionError, OSError, ValueError) as e:
            wrong = f"{e}; rolloutd {'runs' if daemon.poll() is None else f'ended with {daemon.returncode}'}"
        peak = group.peak()
        daemon.terminate()
        if daemon.wait(60) != 0 and not wrong:
            wrong = f"the daemon ended with {daemon.returncode}"
        aws.terminate()
        aws.wait(20)
        with open(f"{folder}/log", encoding="utf-8", errors="replace") as f:
            told = f.read()
        state = sum(os.path.getsize(p) for p in glob.glob(f"{folder}/state/*"))
    group.close()
    first, last = (max(s[0] for s in part) if part else 0 for part in (sizes[SETTLED - 5:SETTLED], sizes[-5:]))
    if not wrong and last > first * GROWTH:
        wrong = f"resident memory grew from {first >> 10} KiB after {SETTLED} waves to {last >> 10} KiB"
    if not wrong and sizes[-1][1] > sizes[SETTLED - 1][1] + 2:
        wrong = f"open descriptors grew from {sizes[SETTLED - 1][1]} to {sizes[-1][1]}"
    if wrong:
        print(f"FAILED: {wrong}\n{told[-2000:]}")
    limit = f"control group ({group.kind}) of {LIMIT_BYTES >> 20} MiB" if group.kind else "address space of 1 GiB"
    if not group.kind:
        print("no memory control group can be made here: that the daemon bears the unit's MemoryMax= is not shown")
    print(f"{len(sizes) * FUNCTIONS} rollouts in {len(sizes)} waves under a {limit}: resident {first >> 10} KiB after "
          f"{SETTLED} waves, {last >> 10} KiB at the end, "
          f"{'' if peak is None else f'peak of the group with its page cache {peak >> 10} KiB, '}"
          f"state {state >> 10} KiB; {1 if wrong else 0} failed; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0
