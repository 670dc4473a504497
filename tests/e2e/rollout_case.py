"""rolloutd and rolloutctl against rollout-localaws: everything that the end-to-end tests of whole rollouts share.

The world has many equal functions, so that each scenario has one of its own and many run at the same time in one
daemon. A class derived from `Together` starts all of its tests at once; each waits most of its time.
"""

import concurrent.futures
import functools
import itertools
import json
import os
import subprocess
import threading
import time

import markers
from localaws_case import Server
from rolloutd_case import DEADLINE as BASE_DEADLINE
from rolloutd_case import ENVIRONMENT, ROLLOUTD, SECRET, TOKEN, Case

ROLLOUTCTL = os.path.join(os.path.dirname(ROLLOUTD), "rolloutctl")
DEADLINE = 3 * BASE_DEADLINE  # a rollout of several steps, on a machine that does other things as well
ENDED = ("succeeded", "rolled-back", "failed")
RESTING = (*ENDED, "paused", "blocked")

# Version 3 fails all of its requests; version 4 may not share traffic with the others; 5 has the code of 3; 2 and 6 are
# good.
WORLD = """
seed: 11
limits: off
invoke_delay: false
functions:
  f:
    copies: 80
    versions:
      1: {body: one, code: one}
      2: {body: two, code: two}
      3: {body: three, code: three, error_rate: 100%}
      4: {role: "arn:aws:iam::123456789012:role/other", code: four}
      5: {code: three, error_rate: 100%}
      6: {body: six, code: six}
    aliases:
      prod: {version: 1}
      test: {version: 1}
traffic:
  - {function: f-*, alias: prod, rps: 60, arrival: even}
metrics: {period: 1s, delay: 200ms}
"""

CONFIG = "limits: {lambda_rps: 500, cloudwatch_rps: 200}\n"

WORLD_LOCK = threading.Lock()

ANALYSIS = "every: 1s, settle: 1s, period: 1s"
ERRORS = "metrics: [{errors: {max_rate: 20%, min_invocations: 3}}]"


def make_plan(name, function, version=2, steps=((10, 1), (50, 1)), alias="prod", analysis="", metrics=ERRORS, more=""):
    """steps: (percent, seconds) or (percent, seconds, more)."""
    text = (f"apiVersion: rolloutd/v1\nkind: Rollout\nname: {name}\nfunction: {function}\nalias: {alias}\n"
            f"version: {version}\n")
    if steps:
        text += "steps:\n"
        for weight, bake, *rest in steps:
            text += f"  - {{weight: {weight}%, bake: {bake}s{''.join(', ' + r for r in rest)}}}\n"
    else:
        return text + "strategy: AllAtOnce\n" + more + ("\n" if more else "")  # nothing to analyse
    text += "analysis: {" + ", ".join(part for part in (ANALYSIS, metrics, analysis) if part) + "}\n"
    return text + more + ("\n" if more else "")


def target_text(version, weights):
    """An alias's content as one word: "1", or "1+2@10" for 10 % on version 2."""
    return str(version) + "".join(f"+{v}@{round(float(w) * 100, 2):g}" for v, w in sorted(weights.items()))


@functools.cache
def print_policy(*arguments):
    """What `rolloutctl policy` says that the daemon must be allowed."""
    p = subprocess.run([ROLLOUTCTL, "policy", *arguments], env=ENVIRONMENT, capture_output=True, text=True,
                       timeout=DEADLINE, check=True, stdin=subprocess.DEVNULL)
    return p.stdout


class World(Server):
    def __init__(self, text=WORLD, *args):
        super().__init__(text, "--key", f"AKIDEXAMPLE={SECRET}", "--key", "localaws=localaws", *args)
        self.clients = {}
        self.set_key()

    def set_key(self, **more):
        """The daemon's key, which takes a session token. In every test it may do what docs/iam.md says that it must be
        allowed, and nothing else."""
        policy = print_policy("--feature", "all")
        self.admin("PUT", "keys", [{"id": "AKIDEXAMPLE", "secret": SECRET, "token": TOKEN, "policy": policy, **more}])

    def close(self):
        for client in self.clients.values():
            client.close()
        super().close()

    def aws(self, service):
        """A boto3 client; one is enough for all threads."""
        with WORLD_LOCK:
            if service not in self.clients:
                self.clients[service] = self.client(service)
            return self.clients[service]

    def environment(self):
        return {"AWS_ENDPOINT_URL": self.url}

    def counters(self):
        return self.admin("GET", "counters")

    def changes(self, function, alias="prod", by=None):
        """What the alias was set to, in order; `by`: only with this in the user agent."""
        return [target_text(c["version"], c["weights"]) for c in self.counters()["alias_changes"]
                if c["function"] == function and c["alias"] == alias and (by is None or by in (c["user_agent"] or ""))]

    def holds(self, function, alias="prod"):
        """What the alias holds now, as a client of AWS sees it."""
        a = self.aws("lambda").get_alias(FunctionName=function, Name=alias)
        return target_text(a["FunctionVersion"], a.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))

    def calls(self, operation):
        return self.counters()["operations"].get(operation, {}).get("calls", 0)

    def fault(self, fault, op=None, **more):
        """Adds one fault; those that are there stay."""
        self.admin("POST", "faults", [{"fault": fault, **({"op": op} if op else {}), **more}])


class Operator:
    """rolloutd, as somebody with rolloutctl sees it."""

    def __init__(self, daemon):
        self.daemon = daemon
        # The socket takes 16 connections of one user, and refuses more.
        self.places = threading.BoundedSemaphore(8)

    def get(self, path):
        with self.places:
            return self.daemon.get(path)

    def post(self, path, body=None):
        with self.places:
            return self.daemon.post(path, body)

    def run(self, *arguments, code=0):
        with self.places:
            p = subprocess.run(
                [ROLLOUTCTL, *arguments], env={**ENVIRONMENT, "ROLLOUTD_SOCKET": self.daemon.socket},
                capture_output=True, text=True, timeout=DEADLINE, check=False, stdin=subprocess.DEVNULL)
        markers.look(p.stdout + p.stderr, f"what rolloutctl {arguments[0]} said")
        if code is not None and p.returncode != code:
            raise AssertionError(f"rolloutctl {' '.join(arguments)} ended with {p.returncode}:\n{p.stdout}{p.stderr}")
        return p.stdout + p.stderr

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "-o", "json", code=code))

    def status(self, name):
        """None: there is no such rollout (yet)."""
        code, answer = self.get(f"/v1/rollouts/{name}")
        return answer if code == 200 else None

    def history(self, name):
        return self.get(f"/v1/history?name={name}")[1].get("rollouts", [])

    def events(self, name, kind=None):
        events = self.get(f"/v1/events?name={name}&limit=1000")[1]["events"]
        return [e for e in events if kind in (None, e["kind"])]

    def log_of(self, name):
        return "\n".join([line for line in self.daemon.log().splitlines() if name in line][-40:])

    def until(self, name, condition, what, attempt=None):
        """The status, as soon as the condition holds for it."""
        last = None

        def look():
            nonlocal last
            last = self.status(name)
            if last and (attempt is None or last["attempt"] == attempt) and condition(last):
                return last
            return None

        try:
            return wait_long(f"{name} {what}", look)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {last}\n{self.log_of(name)}") from None

    def phase(self, name, *phases, attempt=None):
        """The status in one of these phases. An end that is not among them fails at once."""
        s = self.until(name, lambda s: s["phase"] in phases or s["phase"] in ENDED, f"to be {' or '.join(phases)}",
                       attempt)
        if s["phase"] not in phases:
            raise AssertionError(f"{name} is {s['phase']} ({s['reason']}), not {' or '.join(phases)}\n"
                                 f"{self.log_of(name)}")
        return s

    def weight(self, name, percent, attempt=None):
        """Waits until the canary has that share, and gives the status."""
        s = self.until(name, lambda s: s["weight"] == percent or s["phase"] in ENDED, f"to have {percent} %", attempt)
        if s["weight"] != percent:
            raise AssertionError(f"{name} is {s['phase']} ({s['reason']}), and never had {percent} %")
        return s


def wait_long(what, condition):
    """wait_for with the patience that whole rollouts need, and looking less often, as many do so at a time."""
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE} s in vain for {what}")
        time.sleep(0.05)
    return value


class RolloutCase(Case):
    """A world and a daemon of its own for each test; see `begin`."""

    WORLD = WORLD
    CONFIG = CONFIG

    def begin(self, world=None, config=None, start=True, **popen):
        self.world = World(world or self.WORLD)
        self.stack.callback(self.world.close)
        self.d = self.daemon(self.CONFIG if config is None else config, start=start,
                             environment=self.world.environment(), **popen)
        self.ctl = Operator(self.d)
        return self.ctl

    def drop(self, name, *args, **kwargs):
        self.d.put_plan(f"{name}.yaml", make_plan(name, *args, **kwargs))


class Together(Case):
    """All tests of the class run at the same time, in one world and one daemon; each takes functions of its own."""

    WORLD = WORLD
    CONFIG = CONFIG

    def __init_subclass__(cls):
        cls.scenarios = {n: f for n, f in vars(cls).items() if n.startswith("test_")}
        for name, scenario in cls.scenarios.items():

            @functools.wraps(scenario)
            def wait(self, name=name):
                self.futures[name].result()

            setattr(cls, name, wait)

    @classmethod
    def setUpClass(cls):
        cls.shared = RolloutCase()
        cls.shared.setUp()
        cls.addClassCleanup(cls.shared.doCleanups)
        cls.shared.begin(cls.WORLD, cls.CONFIG)
        cls.world, cls.d, cls.ctl = cls.shared.world, cls.shared.d, cls.shared.ctl
        cls.numbers, cls.lock = itertools.count(), threading.Lock()
        pool = concurrent.futures.ThreadPoolExecutor(len(cls.scenarios) or 1)
        cls.addClassCleanup(pool.shutdown)
        cls.futures = {n: pool.submit(f, cls(n)) for n, f in cls.scenarios.items()}

    def setUp(self):
        pass

    def function(self):
        """A function that no other test has."""
        with self.lock:
            return f"f-{next(self.numbers)}"

    def drop(self, name, *args, **kwargs):
        self.d.put_plan(f"{name}.yaml", make_plan(name, *args, **kwargs))

    def asked_only(self, function, *targets):
        """Those and nothing else was set, in this order."""
        self.assertEqual(self.world.changes(function), list(targets))
