"""What the tests of a booted system share: systemctl, rolloutctl as somebody, the stand-in for AWS, and a count of what
was checked."""

import json
import os
import pwd
import subprocess
import time
import unittest
import urllib.request

DEADLINE = 30 * int(os.environ.get("ROLLOUT_SLOW", "1"))
PLANS = "/etc/rolloutd/plans.d"
HOOKS = "/etc/rolloutd/hooks.d"
STATE = "/var/lib/rolloutd"
SECRET = "marker-of-a-secret-key-0123456789abcdef"
ENDED = ("succeeded", "rolled-back", "failed")
DROPINS = "/etc/systemd/system/rolloutd.service.d"

count = {"checks": 0, "not shown": 0}


def run(*words, code=0, input_text=None):
    """Standard output and error of a program that must end with that code; None takes any, and gives (code, text)."""
    p = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE, input=input_text,
                       stdin=subprocess.DEVNULL if input_text is None else None)
    text = p.stdout + p.stderr
    if code is None:
        return p.returncode, text
    if p.returncode != code:
        raise AssertionError(f"{' '.join(words)} ended with {p.returncode}:\n{text}")
    return text


def systemctl(*words, code=0):
    return run("systemctl", *words, code=code)


def show(name, unit="rolloutd.service"):
    return run("systemctl", "show", "--value", "-p", name, unit).rstrip("\n")


def as_user(user, *words, code=0):
    return run("setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--init-groups", "--", *words,
               code=code)


def ctl(*words, user="root", code=0):
    return as_user(user, "rolloutctl", *words, code=code)


def status(name):
    """None: there is no such rollout (yet), or nobody answers."""
    code, text = ctl("status", name, "-o", "json", code=None)
    return json.loads(text) if code == 0 else None


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE} s in vain for {what}\n{journal()[-4000:]}")
        time.sleep(0.05)
    return value


def phase(name, *phases):
    """The status in one of these phases."""
    found = wait_for(f"{name} to be {' or '.join(phases)}",
                     lambda: (s := status(name)) and s["phase"] in (*phases, *ENDED) and s)
    if found["phase"] not in phases:
        raise AssertionError(f"{name} is {found['phase']} ({found['reason']}), not {' or '.join(phases)}")
    return found


def weight(name, percent):
    return wait_for(f"{name} to have {percent} %", lambda: (s := status(name)) and s["weight"] == percent and s)


def journal(*words):
    return run("journalctl", "--no-pager", "-q", "-u", "rolloutd.service", *words)


def main_pid():
    return int(show("MainPID"))


def active():
    return show("ActiveState") == "active"


def write(path, text, mode=0o644):
    """Another file under that name, as an editor or a deployment does it."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    hidden = os.path.join(folder, "." + name)
    with open(hidden, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(hidden, mode)
    os.rename(hidden, path)


def plan(name, function, version=2, steps=((10, 1), (50, 1)), more=""):
    text = (f"apiVersion: rolloutd/v1\nkind: Rollout\nname: {name}\nfunction: {function}\nalias: prod\n"
            f"version: {version}\nsteps:\n")
    for percent, bake in steps:
        text += f"  - {{weight: {percent}%, bake: {bake}s}}\n"
    return text + ("analysis: {every: 1s, settle: 1s, period: 1s, "
                   "metrics: [{errors: {max_rate: 20%, min_invocations: 3}}]}\n") + more


def drop(name, *args, **kwargs):
    write(f"{PLANS}/{name}.yaml", plan(name, *args, **kwargs))


def dropin(name, text):
    """Of the unit; None takes it away. The daemon is not restarted by this."""
    path = f"{DROPINS}/{name}.conf"
    if text is not None:
        write(path, text)
    elif os.path.exists(path):
        os.unlink(path)
    systemctl("daemon-reload")


# --- the world ---


def world(path):
    with urllib.request.urlopen(f"http://127.0.0.1:4599/_localaws/{path}", timeout=DEADLINE) as answer:
        return json.load(answer)


def target(version, weights):
    """An alias's content as one word: "1", or "1+2@10" for 10 % on version 2."""
    return str(version) + "".join(f"+{v}@{round(float(w) * 100, 2):g}" for v, w in sorted(weights.items()))


def changes(function):
    """What the alias was set to, in order, after what it was at first."""
    return [target(c["version"], c["weights"]) for c in world("counters")["alias_changes"]
            if c["function"] == function and c["alias"] == "prod"][1:]


class Case(unittest.TestCase):
    def check(self, good, what):
        self.assertTrue(good, what)
        count["checks"] += 1

    def same(self, value, wanted, what):
        self.assertEqual(value, wanted, what)
        count["checks"] += 1

    def succeeded(self, name, function, steps=("1+2@10", "1+2@50", "2")):
        """It ended as asked for, and the alias never had any other weight."""
        phase(name, "succeeded")
        self.same(tuple(changes(function)), tuple(steps), f"the weights of {function}")
