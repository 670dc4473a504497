"""A rolloutd of its own for each test, in a folder of its own, and HTTP over its control socket. No AWS: what it would
send goes to a port where nobody listens."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import markers
from markers import SECRET, TOKEN

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROLLOUTD = os.path.join(os.environ.get("ROLLOUT_BUILD", os.path.join(TOP, "build/release")), "rolloutd")
DEADLINE = 20 * int(os.environ.get("ROLLOUT_SLOW", "1"))  # seconds after which a test that waits has failed

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "HOME": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def plan(name="hello-prod", version=2, more="start: manual"):
    return (
        f"apiVersion: rolloutd/v1\nkind: Rollout\nname: {name}\nfunction: hello\nalias: {name}\n"
        f"version: {version}\n{more}\n"
    )


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


def wait_for(what, condition):
    """Polls until the condition gives something true, and gives that."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE} s in vain for {what}")
        time.sleep(0.01)


class Daemon:
    """A running rolloutd. `config` is added to the file; keyword arguments go to Popen."""

    def __init__(self, folder, config="", environment=None, **popen):
        self.folder = folder
        self.socket = os.path.join(folder, "run/control.sock")
        self.plans = os.path.join(folder, "plans.d")
        self.config = os.path.join(folder, "rolloutd.yaml")
        self.log_path = os.path.join(folder, "log")
        os.makedirs(self.plans, exist_ok=True)
        if "control:" not in config:
            config += "control: {socket: run/control.sock}\n"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("state_dir: state\n" + config)
        self.environment = {**ENVIRONMENT, **(environment or {})}
        self.popen = popen
        self.process = None

    def start(self, ready=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [ROLLOUTD, "--config", self.config], env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd="/", **self.popen)
        if ready:
            wait_for("the daemon to answer", self.answers)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"rolloutd ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.get("/healthz")[0] in (200, 503)
        except OSError:
            return False

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def request(self, method, path, body=None, connection=None):
        """Gives status and answer: parsed when it is JSON."""
        c = connection or Connection(self.socket)
        try:
            c.request(method, path, body)
            r = c.getresponse()
            data = markers.look(r.read(), f"the answer to {method} {path}")
            if r.headers.get_content_type() == "application/json":
                return r.status, json.loads(data)
            return r.status, data.decode()
        finally:
            if not connection:
                c.close()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body=None):
        return self.request("POST", path, body)

    def put_plan(self, file, text):
        """As an editor does it: a hidden file, then its name."""
        path = os.path.join(self.plans, file)
        with open(os.path.join(self.plans, "." + file), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(f.name, 0o644)
        os.rename(f.name, path)

    def stop(self, number=signal.SIGTERM):
        """Gives the exit code. Whatever the daemon wrote is searched for secrets."""
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE + 30)
        markers.look_through(self.folder)
        return code


class Case(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="rolloutd-"))

    def daemon(self, config="", start=True, **more):
        d = Daemon(self.folder, config, **more)
        self.stack.callback(self.finish, d)
        return d.start() if start else d

    def finish(self, d):
        """Every daemon that still runs must also stop well, and must never have told or kept a secret."""
        if d.process and d.process.poll() is None:
            self.assertEqual(d.stop(), 0, d.log())
        markers.look_through(d.folder)

    def error(self, answer, status, code):
        self.assertEqual((answer[0], answer[1]["error"]["code"]), (status, code), answer)
        return answer[1]["error"]["message"]
