#!/usr/bin/python3
"""A control server made of Python, so that every answer and every trouble can be put on; and rolloutctl run against it.

control_server.py SOCKET plays a rollout on that socket, to look at rolloutctl by hand.
"""

import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
import urllib.parse
from datetime import datetime, timezone

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROLLOUTCTL = os.path.join(os.environ.get("ROLLOUT_BUILD", os.path.join(TOP, "build/release")), "rolloutctl")
DEADLINE = 20 * int(os.environ.get("ROLLOUT_SLOW", "1"))  # seconds after which a test that waits has failed

PLAN = """apiVersion: rolloutd/v1
kind: Rollout
name: hello-prod
function: hello
alias: prod
version: 2
steps:
  - {weight: 5%, bake: 5m, min_invocations: 500}
  - {weight: 25%, bake: 10m, approve: true}
final_bake: 15m
"""


def utc(unix):
    return datetime.fromtimestamp(unix, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def counts(invocations, errors, seen=True):
    return {"invocations": invocations, "errors": errors, "seen": seen}


def make_steps(weights, bake_ms=60000):
    return [
        {"weight": w, "weight_bp": round(w * 100), "bake_ms": bake_ms, "expected_ms": bake_ms + 90000,
         "min_invocations": 0, "approve": False}
        for w in weights
    ]


def make_rollout(name="hello-prod", **fields):
    steps = make_steps(fields.pop("weights", [10, 25, 50]))
    now = fields.pop("now_unix", time.time())
    r = {
        "name": name, "attempt": 1, "function": "hello", "alias": "prod", "account": "default",
        "region": "us-east-1", "source": "hello.yaml", "plan_hash": "c0ffee", "phase": "progressing", "live": True,
        "superseded": False, "reason": "", "trouble": "", "pause": [], "stable_version": "1", "canary_version": "2",
        "weight": 25, "weight_bp": 2500, "step_index": 1, "step_count": len(steps), "baked_ms": 20000,
        "bake_ms": 60000, "expected_ms": 600000, "next_step_at": utc(now + 100), "now": utc(now),
        "created_at": utc(now - 3725), "first_traffic_at": utc(now - 300), "weight_since_at": utc(now - 20),
        "promoted_at": None, "ended_at": None,
        "verdict": {"verdict": "undecided", "gap": "few", "why": "12 of 50 invocations", "canary": counts(1234, 2),
                    "canary_step": counts(12, 0), "stable": counts(98765, 12)},
        "plan": {"steps": steps, "final_bake_ms": 900000, "final_expected_ms": 990000, "final_min_invocations": 0,
                 "bake_ms": 1080000, "expected_ms": 600000, "on_failure": "rollback", "start": "auto",
                 "analysis": {"pace": "evidence", "metrics": []}},
        "alias_holds": "version 1 (75%) and version 2 (25%)", "alias_revision": "rev-7", "alarms": [],
        "metrics_read_through_at": utc(now - 120), "next_poll_at": None, "failed_tries": 0, "stale_answers": 0,
    }  # fmt: skip
    r.update(fields)
    if r["phase"] in ("succeeded", "rolled-back", "failed"):
        r["live"] = False
    return r


def make_service(name="hello", **fields):
    now = fields.pop("now_unix", time.time())
    alias = lambda name, declared, holds, rollout="", state="as declared": {
        "name": name, "declared": declared, "holds": holds, "rollout": rollout, "state": state}  # fmt: skip
    s = {
        "kind": "Service", "name": name, "attempt": 1, "function": name, "account": "default", "region": "us-east-1",
        "source": f"{name}.yaml", "plan_hash": "c0ffee", "phase": "progressing", "reason": "alias prod moves",
        "trouble": "", "now": utc(now), "checked_at": utc(now - 30), "changes_made": 1234, "api_id": "abc123",
        "aliases": [alias("dev", "$LATEST", "$LATEST"), alias("test", "version 1", "version 1"),
                    alias("prod", "version 2", "version 1 (90%) and version 2 (10%)", f"{name}.prod",
                          "progressing: step 1 of 9")],
        "stages": [{"name": n, "alias": n, "url": f"https://abc123.execute-api/{n}/hello"}
                   for n in ("dev", "test", "prod")],
        "changes": [change("rollout", "alias prod", "version", "1", "2")],
    }  # fmt: skip
    s.update(fields)
    return s


def change(kind, subject, field="", before="", to="", text=""):
    return {"kind": kind, "subject": subject, "field": field, "from": before, "to": to, "text": text}


class Control:
    """A control server on a Unix socket. `rollouts` has all attempts, newest last."""

    def __init__(self, path):
        self.path = path
        self.changed = threading.Condition()
        self.services, self.rollouts, self.files, self.events, self.requests = [], [], [], [], []
        self.answers = {}  # (method, path) -> (status, object or bytes)
        self.clock = time.time  # what it says that the time is
        self.closing = False
        self.last_words = None  # (kind, text): announced a little after a rollout that ended was asked for
        self.forgetful = False  # streams give all events, whatever was asked for
        self.start()

    def start(self):
        control = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "local"

            def log_message(self, *args):
                pass

            def do_GET(self):
                control.handle(self)

            do_POST = do_GET

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, address):
                pass  # a client that went away in the middle

            def process_request(self, request, address):
                control.connections.append(request)
                super().process_request(request, address)

        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.closing, self.connections = False, []
        self.server = Server(self.path, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        """As a daemon that ends: streams break, and the socket is gone."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for c in self.connections:
            with contextlib.suppress(OSError):
                c.shutdown(socket.SHUT_RDWR)
        os.unlink(self.path)

    def turn_away(self, n):
        """While stopped: takes n connections and closes them without a word."""
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.path)
            s.listen()
            s.settimeout(DEADLINE)
            for _ in range(n):
                s.accept()[0].close()
        os.unlink(self.path)

    def put(self, rollout):
        with self.changed:
            same = lambda r: (r["name"], r.get("attempt")) == (rollout["name"], rollout.get("attempt"))
            self.rollouts = [r for r in self.rollouts if not same(r)] + [rollout]
            self.changed.notify_all()

    def put_service(self, service):
        with self.changed:
            self.services = [s for s in self.services if s["name"] != service["name"]] + [service]
            self.changed.notify_all()

    def announce(self, name, kind, text, phase="progressing", by=""):
        with self.changed:
            self.events.append({"id": len(self.events) + 1, "at": utc(time.time()), "name": name, "rollout_id": 1,
                                "kind": kind, "phase": phase, "text": text, "by": by})  # fmt: skip
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            if not self.changed.wait_for(condition, DEADLINE):
                raise AssertionError(f"never came; requests so far: {self.requests}")

    def asked(self, start):
        return [r for r in self.requests if f"{r[0]} {r[1]}".startswith(start)]

    def handle(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(h.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        with self.changed:
            self.requests.append((h.command, h.path, body, dict(h.headers)))
            self.changed.notify_all()
            status, answer = self.find_answer(h.command, url.path, query)
        if answer == "stream":
            self.stream(h, query)
            return
        data = answer if isinstance(answer, bytes) else (json.dumps(answer) + "\n").encode()
        h.send_response(status)
        h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)
        if self.last_words and isinstance(answer, dict) and answer.get("live") is False:
            words, self.last_words = self.last_words, None
            late = {"phase": answer["phase"]}
            threading.Timer(0.2, self.announce, (answer["name"], *words), late).start()

    def find_answer(self, method, path, query):
        part = path.strip("/").split("/")
        if (method, path) in self.answers:
            return self.answers[method, path]
        if path == "/v1/rollouts":
            newest = {r["name"]: r for r in self.rollouts}
            return 200, {"now": utc(self.clock()), "services": self.services, "rollouts": list(newest.values()),
                         "files": self.files}  # fmt: skip
        if path == "/v1/version":
            return 200, {"version": "9.9.9", "api": "v1", "started_at": utc(time.time() - 100)}
        if path == "/v1/history":
            found = [r for r in reversed(self.rollouts) if query.get("name") in (None, r["name"])]
            return self.no_such() if "name" in query and not found else (200, {"rollouts": found})
        if path == "/v1/events":
            if query.get("follow") == "1":
                return 200, "stream"
            return 200, {"events": self.select(query)}
        if method == "GET" and len(part) == 3:
            found = [r for r in self.services + self.rollouts if r["name"] == part[2]]
            return (200, {**found[-1], "now": utc(self.clock())}) if found else self.no_such()
        if method == "POST" and len(part) == 4:
            return 200, {"result": "done", "name": part[2], "phase": "paused", "message": f"{part[3]}: done"}
        return 404, {"error": {"code": "not_found", "message": "no such path"}}

    @staticmethod
    def no_such():
        return 404, {"error": {"code": "not_found", "message": "there is no rollout of that name"}}

    def select(self, query):
        after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        name = query.get("name")
        events = [e for e in self.events
                  if e["id"] > after and (name is None or e["name"] == name or e["name"].startswith(name + "."))]
        return events[:limit] if after else events[-limit:]

    def stream(self, h, query):
        h.send_response(200)
        h.send_header("Content-Type", "application/x-ndjson")
        h.send_header("Connection", "close")
        h.end_headers()
        h.wfile.flush()
        h.close_connection = True
        if self.forgetful:
            query = {**query, "after": 0}
        while True:
            with self.changed:
                events = self.select(query)
                if not events and not self.closing:
                    self.changed.wait(0.5)
                    events = self.select(query)
                if self.closing:
                    return
            data = b"".join(json.dumps(e).encode() + b"\n" for e in events) or b"\n"
            h.wfile.write(data)
            h.wfile.flush()
            if events:
                query = {**query, "after": events[-1]["id"], "limit": "1000"}


class Terminal:
    """A program on a pseudo-terminal, and everything that it wrote."""

    def __init__(self, argv, env, columns=100, rows=40):
        master, slave = pty.openpty()
        self.master, self.text = master, ""
        self.resize(columns, rows, notify=False)
        self.saved = termios.tcgetattr(master)
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, close_fds=True,
                                        preexec_fn=lambda: self.own(slave))  # fmt: skip
        os.close(slave)

    @staticmethod
    def own(slave):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)  # as a shell starts it, though the tests may run under nohup

    def resize(self, columns, rows, notify=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, timeout):
        ready, _, _ = select.select([self.master], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the last holder of the other end is gone
            return None
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, pattern, start=0):
        """Reads until the pattern is there; gives where it ends."""
        until = time.monotonic() + DEADLINE
        while True:
            m = re.compile(pattern, re.S).search(self.text, start)
            if m:
                return m.end()
            if time.monotonic() > until or self.read(0.5) is None:
                raise AssertionError(f"{pattern!r} never came in:\n{self.text[start:]}")

    def finish(self):
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until and self.read(0.2) is not None:
            if self.process.poll() is not None and self.read(0) is False:
                break
        return self.process.wait(DEADLINE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = os.path.join(self.folder, "control.sock")
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": self.folder,
                    "ROLLOUTD_SOCKET": self.socket, "http_proxy": "http://127.0.0.1:1"}  # fmt: skip

    def serve(self):
        control = Control(self.socket)
        self.addCleanup(lambda: os.path.exists(self.socket) and control.stop())
        return control

    def start(self, *args, **env):
        p = subprocess.Popen([ROLLOUTCTL, *args], env={**self.env, **env}, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        self.addCleanup(lambda: p.poll() is None and p.kill())
        return p

    def run_ctl(self, *args, code=0, input=None, **env):
        p = subprocess.run([ROLLOUTCTL, *args], env={**self.env, **env}, input=input, text=True, timeout=DEADLINE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)  # fmt: skip
        self.assertEqual(p.returncode, code, p.stdout + p.stderr)
        return p

    def terminal(self, *args, columns=100, rows=40, **env):
        t = Terminal([ROLLOUTCTL, *args], {**self.env, "TERM": "xterm-256color", **env}, columns, rows)
        self.addCleanup(t.close)
        return t

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path


def play(path):
    """A rollout in about a minute, and others beside it."""
    control = Control(path)
    control.put(make_rollout("orders-prod", function="orders", phase="paused", pause=["approval"],
                             reason="waits for an operator's promote"))  # fmt: skip
    control.put(make_rollout("billing-prod", function="billing", phase="succeeded", step_index=3, weight_bp=10000))
    control.files.append({"file": "bad.yaml", "errors": ["bad.yaml:3:1: error: unknown key 'wieght': did you mean "
                                                         "'weight'?"]})  # fmt: skip
    weights, seen = [10, 25, 50], 0
    for i, w in enumerate([*weights, 100]):
        control.announce("hello-prod", "weight", f"{w}% on version 2")
        until = time.time() + 15
        while time.time() < until:
            left, seen = until - time.time(), seen + w
            verdict = {"verdict": "undecided" if left > 7 else "pass", "gap": "few",
                       "why": f"{seen} invocations, 0 errors", "canary": counts(seen, 0),
                       "canary_step": counts(w, 0), "stable": counts(seen * 9, 1)}  # fmt: skip
            control.put(make_rollout(weights=weights, step_index=i, weight=w, weight_bp=w * 100, verdict=verdict,
                                     phase="baking" if w == 100 else "progressing", reason=f"{w}% bakes",
                                     baked_ms=int(15000 - left * 1000), bake_ms=15000,
                                     next_step_at=utc(until)))  # fmt: skip
            time.sleep(0.5)
    control.put(make_rollout(weights=weights, step_index=3, weight_bp=10000, phase="succeeded", reason="all passed"))
    control.announce("hello-prod", "phase", "succeeded", phase="succeeded")
    time.sleep(5)
    control.stop()


if __name__ == "__main__":
    play(sys.argv[1])
