#!/usr/bin/python3
"""rolloutctl against a control server made of Python, so that every answer and every trouble can be put on.

test_cli.py --serve SOCKET plays a rollout on that socket, to look at rolloutctl by hand.
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
DEADLINE = 20  # seconds after which a test that waits for something has failed

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
        "alias_holds": "version 1 and 25% on version 2", "alias_revision": "rev-7", "alarms": [],
        "metrics_read_through_at": utc(now - 120), "next_poll_at": None, "failed_tries": 0, "stale_answers": 0,
    }  # fmt: skip
    r.update(fields)
    if r["phase"] in ("succeeded", "rolled-back", "failed"):
        r["live"] = False
    return r


class Control:
    """A control server on a Unix socket. `rollouts` has all attempts, newest last."""

    def __init__(self, path):
        self.path = path
        self.changed = threading.Condition()
        self.rollouts, self.files, self.events, self.requests = [], [], [], []
        self.answers = {}  # (method, path) -> (status, object or bytes)
        self.closing = False
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

    def put(self, rollout):
        with self.changed:
            same = lambda r: (r["name"], r.get("attempt")) == (rollout["name"], rollout.get("attempt"))
            self.rollouts = [r for r in self.rollouts if not same(r)] + [rollout]
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

    def find_answer(self, method, path, query):
        part = path.strip("/").split("/")
        if (method, path) in self.answers:
            return self.answers[method, path]
        if path == "/v1/rollouts":
            newest = {r["name"]: r for r in self.rollouts}
            return 200, {"now": utc(time.time()), "rollouts": list(newest.values()), "files": self.files}
        if path == "/v1/version":
            return 200, {"version": "9.9.9", "api": "v1", "started_at": utc(time.time() - 100)}
        if path == "/v1/history":
            found = [r for r in reversed(self.rollouts) if r["name"] == query["name"]]
            return (200, {"rollouts": found}) if found else self.no_such()
        if path == "/v1/events":
            if query.get("follow") == "1":
                return 200, "stream"
            return 200, {"events": self.select(query)}
        if method == "GET" and len(part) == 3:
            found = [r for r in self.rollouts if r["name"] == part[2]]
            return (200, {**found[-1], "now": utc(time.time())}) if found else self.no_such()
        if method == "POST" and len(part) == 4:
            return 200, {"result": "done", "name": part[2], "phase": "paused", "message": f"{part[3]}: done"}
        return 404, {"error": {"code": "not_found", "message": "no such path"}}

    @staticmethod
    def no_such():
        return 404, {"error": {"code": "not_found", "message": "there is no rollout of that name"}}

    def select(self, query):
        after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        events = [e for e in self.events if e["id"] > after and query.get("name", e["name"]) == e["name"]]
        return events[:limit] if after else events[-limit:]

    def stream(self, h, query):
        h.send_response(200)
        h.send_header("Content-Type", "application/x-ndjson")
        h.send_header("Connection", "close")
        h.end_headers()
        h.wfile.flush()
        h.close_connection = True
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


class Usage(Case):
    def test_wrong_command_names_the_nearest(self):
        p = self.run_ctl("statsu", "x", code=2)
        self.assertIn("no command 'statsu'; did you mean 'status'?", p.stderr)
        self.assertIn("See: rolloutctl help", self.run_ctl("frobnicate", code=2).stderr)

    def test_wrong_option_names_the_nearest(self):
        self.assertIn("did you mean '--reason'?", self.run_ctl("pause", "x", "--reson", "y", code=2).stderr)
        self.assertIn("unknown option '-z'", self.run_ctl("list", "-z", code=2).stderr)

    def test_an_option_of_another_command_is_refused(self):
        self.assertIn("pause does not take --full", self.run_ctl("pause", "x", "--full", code=2).stderr)

    def test_missing_and_surplus_arguments(self):
        p = self.run_ctl("status", code=2)
        self.assertIn("the NAME of a rollout is missing", p.stderr)
        self.assertIn("usage: rolloutctl status NAME", p.stderr)
        self.assertIn("'b' is one argument too many", self.run_ctl("status", "a", "b", code=2).stderr)
        self.assertIn("which command?", self.run_ctl(code=2).stderr)

    def test_wrong_values(self):
        self.assertIn("expected 'table' or 'json', not 'xml'", self.run_ctl("list", "-o", "xml", code=2).stderr)
        self.assertIn("such as 90s", self.run_ctl("wait", "x", "--timeout", "5", code=2).stderr)
        self.assertIn("--output wants a value", self.run_ctl("list", "-o", code=2).stderr)
        self.assertIn("is not the name of a rollout", self.run_ctl("status", "Hello", code=2).stderr)
        self.assertIn("too long", self.run_ctl("pause", "x", "--reason", "x" * 256, code=2).stderr)
        self.assertIn("at most 107", self.run_ctl("list", "--socket", "/" + "x" * 200, code=2).stderr)

    def test_every_command_has_help_with_an_example(self):
        text = self.run_ctl("help").stdout
        commands = re.findall(r"^  ([a-z]+) {2,}\S", text, re.M)
        self.assertEqual(
            sorted(commands),
            sorted("list status watch events validate submit pause resume promote rollback abort retry wait history "
                   "reload version help".split()))  # fmt: skip
        for c in commands:
            own = self.run_ctl("help", c).stdout
            self.assertIn(f"usage: rolloutctl {c}", own)
            self.assertIn("Example:\n  rolloutctl", own)
            self.assertEqual(own, self.run_ctl(c, "--help").stdout)
        self.assertEqual(text, self.run_ctl("--help").stdout)

    def test_own_version_needs_no_daemon(self):
        self.assertRegex(self.run_ctl("--version").stdout, r"^rolloutctl \d+\.\d+\.\d+\n$")


class Documents(Case):
    """What is said of the commands elsewhere knows all of them."""

    def setUp(self):
        super().setUp()
        self.commands = re.findall(r"^  ([a-z]+) {2,}\S", self.run_ctl("help").stdout, re.M)

    @staticmethod
    def read(path):
        with open(os.path.join(TOP, path), encoding="utf-8") as f:
            return f.read()

    def test_every_command_is_everywhere(self):
        places = {
            "docs/rolloutctl.md": r"^\| `{}[ `]",
            "docs/man/rolloutctl.1": r"^\.BI? ?R? ?{}\b",
            "conf/completion/bash/rolloutctl": r"commands='[^']*\b{}\b",
            "conf/completion/zsh/_rolloutctl": r"['\"]{}:",
        }
        for path, pattern in places.items():
            text = self.read(path)
            for c in self.commands:
                self.assertRegex(text, re.compile(pattern.format(c), re.M), path)

    def complete(self, *words):
        script = 'source "$0"; COMP_WORDS=(rolloutctl "$@"); COMP_CWORD=$#; _rolloutctl; printf "%s\\n" "${COMPREPLY[@]}"'
        path = os.path.join(TOP, "conf/completion/bash/rolloutctl")
        env = {**self.env, "PATH": os.path.dirname(os.path.abspath(ROLLOUTCTL)) + ":" + self.env["PATH"]}
        p = subprocess.run(["bash", "-c", script, path, *words], env=env, cwd=self.folder, text=True,
                           capture_output=True, timeout=DEADLINE, check=True)  # fmt: skip
        self.assertEqual(p.stderr, "")
        return p.stdout.split()

    def test_completion_in_bash(self):
        control = self.serve()
        control.put(make_rollout("hello-prod"))
        control.put(make_rollout("orders-prod"))
        self.write("a.yaml", PLAN)
        self.write("a.txt", PLAN)
        self.assertEqual(self.complete("st"), ["status"])
        self.assertEqual(sorted(self.complete("pause", "")), ["hello-prod", "orders-prod"])
        self.assertEqual(self.complete("--socket", self.socket, "wait", "o"), ["orders-prod"])
        self.assertEqual(self.complete("promote", "x", "--f"), ["--full"])
        self.assertEqual(self.complete("list", "-o", "j"), ["json"])
        self.assertEqual(self.complete("submit", "a"), ["a.yaml"])


class Unreachable(Case):
    def test_no_socket(self):
        p = self.run_ctl("list", code=6)
        self.assertEqual(p.stderr, f"rolloutctl: cannot reach rolloutd at {self.socket}: no such socket. "
                                   "Is it running? Try: systemctl status rolloutd\n")  # fmt: skip
        for args in (["wait", "x"], ["watch", "x"], ["watch"], ["events", "-f"], ["submit", self.write("p", PLAN)]):
            self.assertIn("no such socket", self.run_ctl(*args, code=6).stderr)

    def test_nobody_listens(self):
        control = self.serve()
        control.stop()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
            s.bind(self.socket)
        self.assertIn("nobody listens", self.run_ctl("list", code=6).stderr)

    def test_not_a_socket(self):
        self.write("control.sock", "")
        self.assertIn("this is not a socket", self.run_ctl("list", code=6).stderr)

    @unittest.skipUnless(os.getuid() == 0, "only root can become another user")
    def test_permission_denied_names_the_group(self):
        self.serve()
        os.chmod(self.folder, 0o755)
        os.chown(self.socket, 0, 4)  # adm
        os.chmod(self.socket, 0o660)
        p = subprocess.run([ROLLOUTCTL, "list"], env=self.env, text=True, capture_output=True, user=65534, group=65534,
                           extra_groups=[], timeout=DEADLINE, check=False)  # fmt: skip
        if "cannot execute" in p.stderr or p.returncode == 126:
            self.skipTest("the program's folder is closed to others")
        self.assertEqual(p.returncode, 6, p.stderr)
        self.assertIn("permission denied. Members of the group 'adm' may use it", p.stderr)

    def test_the_daemon_says_no(self):
        control = self.serve()
        control.answers["GET", "/v1/rollouts"] = (403, {"error": {"code": "denied", "message": "uid 7 may not"}})
        self.assertEqual(self.run_ctl("list", code=1).stderr, "rolloutctl: uid 7 may not\n")
        p = self.run_ctl("list", "-o", "json", code=1)
        self.assertEqual(json.loads(p.stdout)["error"]["code"], "denied")

    def test_answers_that_make_no_sense(self):
        control = self.serve()
        control.answers["GET", "/v1/rollouts"] = (200, b"<html>")
        self.assertIn("is another program listening", self.run_ctl("list", code=1).stderr)
        control.answers["GET", "/v1/rollouts"] = (500, b"oops")
        self.assertIn("HTTP status 500", self.run_ctl("list", code=1).stderr)


class Looking(Case):
    def test_list(self):
        control = self.serve()
        control.put(make_rollout("zeta", phase="paused", reason="approval asked for"))
        control.put(make_rollout("alpha", phase="succeeded", weight_bp=10000, step_index=3, reason="all passed"))
        control.put({"name": "broken", "phase": "blocked", "reason": "the record is damaged", "unreadable": True})
        control.files.append({"file": "bad.yaml", "errors": ["bad.yaml:3:1: error: unknown key 'wieght'"]})
        lines = self.run_ctl("list").stdout.splitlines()
        self.assertRegex(lines[0], r"^NAME +FUNCTION:ALIAS +PHASE +STEP +WEIGHT +VERSIONS +AGE +REASON$")
        self.assertRegex(lines[1], r"^alpha +hello:prod +succeeded +final +100% +1 > 2 +1h 2m +all passed$")
        self.assertRegex(lines[2], r"^broken +- +blocked +- +- +- +- +the record is damaged$")
        self.assertRegex(lines[3], r"^zeta +hello:prod +paused +2/3 +25% +1 > 2 +1h 2m +approval asked for$")
        self.assertEqual(lines[-1], "  bad.yaml:3:1: error: unknown key 'wieght'")

    def test_list_of_nothing(self):
        self.serve()
        self.assertIn("No rollouts.", self.run_ctl("list").stdout)

    def test_list_on_a_narrow_terminal(self):
        control = self.serve()
        control.put(make_rollout("hello-prod", reason="word " * 40))
        t = self.terminal("list", columns=90)
        self.assertEqual(t.finish(), 0)
        lines = plain(t.text).splitlines()
        self.assertTrue(all(len(line) <= 90 for line in lines), lines)
        self.assertTrue(lines[1].endswith("…"), lines)
        self.assertIn("progressing", lines[1])

    def test_json_is_the_answer_itself(self):
        control = self.serve()
        r = make_rollout(weight=12.34, weight_bp=1234)
        control.put(r)
        p = self.run_ctl("list", "-o", "json")
        self.assertEqual(json.loads(p.stdout)["rollouts"], [r])
        self.assertIn("12.34,", p.stdout)
        self.assertEqual(json.loads(self.run_ctl("status", "hello-prod", "--output=json").stdout)["plan"], r["plan"])

    def test_status(self):
        control = self.serve()
        control.put(make_rollout(reason="step 2: baking", trouble="CloudWatch: AccessDenied"))
        text = self.run_ctl("status", "hello-prod").stdout
        for pattern in (
            r"^hello-prod  hello:prod  us-east-1, account default, attempt 1$",
            r"^progressing: step 2: baking$",
            r"^  v1 █{36}░{12} v2  25%$",
            r"^  ✓ step 1 +10%  1m$",
            r"^  ▶ step 2 +25%  20s of 1m baked$",
            r"^    step 3 +50%  1m$",
            r"^    final +100%  15m$",
            r"^  next step +in 1m 40s at the earliest \(",
            r"^  v1 stable +98,765 +12 +0\.01%$",
            r"^  v2 canary +1,234 +2 +0\.16%$",
            r"^  verdict +undecided: 12 of 50 invocations$",
            r"^  trouble +CloudWatch: AccessDenied$",
            r"^  alias holds version 1 and 25% on version 2$",
        ):
            self.assertRegex(text, re.compile(pattern, re.M))

    def test_status_says_what_can_be_done(self):
        control = self.serve()
        for phase, more, hint in (
            ("paused", {"pause": ["approval"]}, "rolloutctl promote hello-prod  or  rolloutctl rollback hello-prod"),
            ("paused", {"pause": ["operator"]}, "rolloutctl resume hello-prod  or  "),
            ("blocked", {}, "rolloutctl resume hello-prod (goes on from what the alias holds)"),
            ("rolled-back", {}, "rolloutctl retry hello-prod"),
        ):
            control.put(make_rollout(phase=phase, **more))
            self.assertIn(hint, self.run_ctl("status", "hello-prod").stdout)

    def test_a_tiny_weight_is_seen(self):
        control = self.serve()
        control.put(make_rollout(weight=0.01, weight_bp=1))
        self.assertRegex(self.run_ctl("status", "hello-prod").stdout, r"█{47}░ v2  0\.01%")

    def test_without_utf8_all_is_ascii(self):
        control = self.serve()
        control.put(make_rollout(reason="größer"))
        text = self.run_ctl("status", "hello-prod", LC_ALL="C").stdout
        self.assertTrue(text.isascii(), text)
        self.assertIn("v1 " + "#" * 36 + "." * 12 + " v2", text)
        self.assertIn("  > step 2", text)

    def test_hostile_text_cannot_command_the_terminal(self):
        control = self.serve()
        evil = "a\x1b[2Jb\x07c\u009bd\u202ee\nf"
        control.put(make_rollout(reason=evil, trouble=evil))
        control.files.append({"file": "x", "errors": [evil]})
        control.announce("hello-prod", "phase", evil)
        for args in (["status", "hello-prod"], ["list"], ["events"]):
            text = self.run_ctl(*args).stdout
            self.assertIn("a?[2Jb?c?d?e f", text)
            self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
        t = self.terminal("status", "hello-prod", "-o", "json")
        self.assertEqual(t.finish(), 0)
        self.assertNotRegex(t.text.replace("\r\n", "\n"), "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

    def test_colour_only_on_a_terminal_and_not_with_no_color(self):
        control = self.serve()
        control.put(make_rollout())
        self.assertNotIn("\x1b", self.run_ctl("status", "hello-prod").stdout)
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            t = self.terminal("status", "hello-prod", **env)
            self.assertEqual(t.finish(), 0)
            self.assertEqual("\x1b[" in t.text, coloured)

    def test_history(self):
        control = self.serve()
        now = time.time()
        control.put(make_rollout(phase="rolled-back", reason="errors above 1%", created_at=utc(now - 600),
                                 ended_at=utc(now - 300)))  # fmt: skip
        control.put(make_rollout(attempt=2, reason="going on"))
        lines = self.run_ctl("history", "hello-prod", "--limit", "5").stdout.splitlines()
        self.assertRegex(lines[1], r"^ +2  progressing +1 > 2 +\S+.* +- +hello.yaml +going on$")
        self.assertRegex(lines[2], r"^ +1  rolled-back +1 > 2 +\S+.* +5m +hello.yaml +errors above 1%$")
        self.assertEqual(control.asked("GET /v1/history")[0][1], "/v1/history?name=hello-prod&limit=5")

    def test_version(self):
        self.serve()
        self.assertRegex(self.run_ctl("version").stdout, r"^rolloutctl \S+\nrolloutd 9\.9\.9, running since ")

    def test_socket_option_goes_before_the_environment(self):
        self.serve()
        self.run_ctl("list", "--socket", self.socket, ROLLOUTD_SOCKET="/nowhere")

    def test_a_full_disk_is_no_success(self):
        control = self.serve()
        control.put(make_rollout())
        with open("/dev/full", "w", encoding="ascii") as full:
            p = subprocess.run([ROLLOUTCTL, "list", "-o", "json"], env=self.env, stdout=full, stderr=subprocess.PIPE,
                               timeout=DEADLINE, check=False)  # fmt: skip
        self.assertEqual(p.returncode, 1)


class Commanding(Case):
    def test_commands_say_why(self):
        control = self.serve()
        for verb in ("pause", "resume", "promote", "rollback", "retry"):
            p = self.run_ctl(verb, "hello-prod", "--reason", 'say "why"\t', "-o", "table")
            self.assertEqual(p.stdout, f"hello-prod: {verb}: done\n")
            method, path, body, headers = control.requests[-1]
            self.assertEqual((method, path), ("POST", f"/v1/rollouts/hello-prod/{verb}"))
            self.assertEqual(json.loads(body), {"reason": 'say "why"\t'})
            self.assertEqual(headers["Content-Type"], "application/json")

    def test_without_a_reason_the_body_is_empty(self):
        control = self.serve()
        self.run_ctl("pause", "hello-prod")
        self.assertEqual(control.requests[-1][2], b"")

    def test_abort_is_rollback_and_full_is_sent(self):
        control = self.serve()
        self.run_ctl("abort", "hello-prod")
        self.assertEqual(control.requests[-1][1], "/v1/rollouts/hello-prod/rollback")
        self.run_ctl("promote", "--full", "hello-prod")
        self.assertEqual(json.loads(control.requests[-1][2]), {"full": True})

    def test_refusal(self):
        control = self.serve()
        control.answers["POST", "/v1/rollouts/x/pause"] = (409, {"error": {"code": "refused", "message": "it ended"}})
        self.assertEqual(self.run_ctl("pause", "x", code=1).stderr, "rolloutctl: it ended\n")

    def test_reload(self):
        control = self.serve()
        control.answers["POST", "/v1/reload"] = (200, {"result": "done", "name": "", "phase": None, "message": "read"})
        self.assertEqual(self.run_ctl("reload").stdout, "read\n")


class Plans(Case):
    def test_validate_shows_what_a_good_plan_does(self):
        text = self.run_ctl("validate", self.write("p.yaml", PLAN)).stdout
        self.assertIn("p.yaml: good\n  hello-prod rolls out version 2 of hello on alias prod, account default\n", text)
        for pattern in (
            r"^  STEP +WEIGHT  BAKE +TAKES",
            r"^  1 +5%  5m +6m 30s +from 500 invocations on$",
            r"^  2 +25%  10m +11m 30s +then waits for promote$",
            r"^  final +100%  15m +16m 30s$",
            r"^  Takes about 34m 30s when everything passes: 30m of bakes, .*pace: evidence",
        ):
            self.assertRegex(text, re.compile(pattern, re.M))

    def test_validate_shows_all_errors_and_needs_no_daemon(self):
        bad = self.write("bad.yaml", PLAN.replace("5%, bake: 5m", "500%, bake: 5x"))
        good = self.write("good.yaml", PLAN)
        p = self.run_ctl("validate", bad, good, code=1)
        self.assertEqual(len(re.findall(r"bad\.yaml:8:\d+: error: ", p.stdout)), 2, p.stdout)
        self.assertIn("good.yaml: good", p.stdout)
        self.assertIn("cannot be read", self.run_ctl("validate", "/nowhere.yaml", code=1).stderr)
        self.assertIn("more than 65536 bytes", self.run_ctl("validate", self.write("b", "#" * 70000), code=1).stderr)

    def test_validate_as_json_and_from_standard_input(self):
        p = self.run_ctl("validate", "-", "-o", "json", input=PLAN)
        (file,) = json.loads(p.stdout)["files"]
        self.assertEqual((file["file"], file["valid"], file["name"]), ("(standard input)", True, "hello-prod"))
        self.assertEqual(file["plan"]["steps"][0]["expected_ms"], 390000)
        p = self.run_ctl("validate", "-", "-o", "json", input="kind: Nothing\n", code=1)
        (file,) = json.loads(p.stdout)["files"]
        self.assertFalse(file["valid"])
        self.assertTrue(all(d["line"] >= 1 and d["text"] for d in file["diagnostics"]))

    def submit(self, status, answer, code=0, **kwargs):
        control = self.serve()
        control.answers["POST", "/v1/plans"] = (status, answer)
        p = self.run_ctl("submit", self.write("p.yaml", PLAN), code=code, **kwargs)
        self.assertEqual(control.requests[-1][2].decode(), PLAN)
        return p

    def test_submit(self):
        answer = {"result": "started", "name": "hello-prod", "phase": "pending", "message": "attempt 1"}
        p = self.submit(201, answer)
        self.assertEqual(p.stdout, "hello-prod: started: attempt 1\nTo see it: rolloutctl watch hello-prod\n")

    def test_submit_unchanged(self):
        answer = {"result": "unchanged", "name": "hello-prod", "phase": "rolled-back", "message": "taken in before"}
        p = self.submit(200, answer)
        self.assertEqual(p.stdout, "hello-prod: unchanged, its rollout is rolled-back: taken in before\n"
                                   "To run the same plan again: rolloutctl retry hello-prod\n")  # fmt: skip

    def test_submit_of_a_bad_plan(self):
        d = [{"severity": "error", "line": 3, "column": 7, "text": "unknown key"}]
        p = self.submit(422, {"error": {"code": "invalid_plan", "message": "1 error", "diagnostics": d}}, code=1)
        self.assertRegex(p.stderr, r"p\.yaml:3:7: error: unknown key\nrolloutctl: 1 error\n$")


class Events(Case):
    def test_lines(self):
        control = self.serve()
        control.announce("hello-prod", "weight", "10% on version 2")
        control.announce("other", "command", "paused", by="uid=0 pid=7")
        lines = self.run_ctl("events").stdout.splitlines()
        self.assertRegex(lines[0], r"^\d\d:\d\d:\d\d hello-prod weight 10% on version 2$")
        self.assertRegex(lines[1], r"^\d\d:\d\d:\d\d other command paused \(uid=0 pid=7\)$")
        self.assertEqual(len(self.run_ctl("events", "other").stdout.splitlines()), 1)
        self.assertEqual(self.run_ctl("events", "--after", "2").stdout, "")
        self.assertIn("other", self.run_ctl("events", "-n", "1").stdout)
        self.assertEqual(json.loads(self.run_ctl("events", "-o", "json").stdout)["events"], control.events)

    def test_following_over_a_restart_misses_nothing_and_says_nothing_twice(self):
        control = self.serve()
        control.announce("hello-prod", "weight", "one")
        p = self.start("events", "-f", "-o", "json")
        self.assertEqual(json.loads(p.stdout.readline())["text"], "one")
        control.announce("hello-prod", "weight", "two")
        self.assertEqual(json.loads(p.stdout.readline())["text"], "two")
        control.stop()
        control.announce("hello-prod", "weight", "three")
        control.start()
        self.assertEqual(json.loads(p.stdout.readline())["text"], "three")
        p.terminate()
        self.assertEqual(p.communicate()[0], "")

    def test_a_refused_stream(self):
        control = self.serve()
        control.answers["GET", "/v1/events"] = (429, {"error": {"code": "too_many", "message": "too many"}})
        self.assertEqual(self.run_ctl("events", "-f", code=1).stderr, "rolloutctl: too many\n")


class Wait(Case):
    def test_exit_codes(self):
        control = self.serve()
        for phase, code in (("succeeded", 0), ("failed", 1), ("rolled-back", 3), ("paused", 4), ("blocked", 4)):
            control.put(make_rollout(phase=phase, reason="so it is"))
            p = self.run_ctl("wait", "hello-prod", code=code)
            self.assertRegex(p.stdout, rf"^hello-prod {phase}, .*: so it is\n$")
        p = self.run_ctl("wait", "hello-prod", "-o", "json", code=4)
        self.assertEqual(json.loads(p.stdout)["phase"], "blocked")

    def test_no_such_rollout(self):
        self.serve()
        self.assertIn("no rollout", self.run_ctl("wait", "hello-prod", code=1).stderr)

    def test_time_out(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.run_ctl("wait", "hello-prod", "--timeout", "200ms", code=5)
        self.assertIn("timed out after 200ms: hello-prod is progressing", p.stderr)
        self.assertEqual(p.stdout, "")

    def test_ends_with_the_rollout(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: control.asked("GET /v1/events") and control.asked("GET /v1/history"))
        control.put(make_rollout(phase="succeeded"))
        control.announce("hello-prod", "phase", "succeeded", phase="succeeded")
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertRegex(p.stdout.read(), "^hello-prod succeeded")

    def test_a_newer_attempt_does_not_end_the_wait_for_this_one(self):
        control = self.serve()
        control.put(make_rollout(attempt=4))
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: control.asked("GET /v1/events") and control.asked("GET /v1/history"))
        with control.changed:
            control.rollouts = [make_rollout(attempt=4, phase="rolled-back", reason="superseded", superseded=True),
                                make_rollout(attempt=5, phase="succeeded")]  # fmt: skip
        control.announce("hello-prod", "phase", "rolled-back")
        self.assertEqual(p.wait(DEADLINE), 3)
        self.assertIn("superseded", p.stdout.read())

    def test_a_restart_of_the_daemon_is_waited_for(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: control.asked("GET /v1/events"))
        control.stop()
        control.put(make_rollout(phase="succeeded"))
        control.start()
        self.assertEqual(p.wait(DEADLINE), 0, p.stderr)


class WatchLines(Case):
    def test_one_line_for_each_change(self):
        control = self.serve()
        control.put(make_rollout())
        control.announce("hello-prod", "weight", "long ago")
        p = self.start("watch", "hello-prod")
        self.assertRegex(p.stdout.readline(), r"^hello-prod progressing, step 2/3, 25% on version 2\n$")
        control.wait_for(lambda: [r for r in control.asked("GET /v1/events") if "follow=1" in r[1]])
        control.announce("hello-prod", "weight", "50% on version 2")
        self.assertRegex(p.stdout.readline(), r"hello-prod weight 50% on version 2\n$")
        control.put(make_rollout(phase="rolled-back", reason="errors above 1%", weight_bp=0))
        control.announce("hello-prod", "phase", "rolled-back", phase="rolled-back")
        self.assertEqual(p.wait(DEADLINE), 3)
        rest = p.stdout.read().splitlines()
        self.assertRegex(rest[0], "hello-prod phase rolled-back$")
        self.assertEqual(rest[1:], ["hello-prod rolled-back, 0% on version 2: errors above 1%"])

    def test_json(self):
        control = self.serve()
        control.put(make_rollout(phase="succeeded"))
        lines = self.run_ctl("watch", "hello-prod", "-o", "json").stdout.splitlines()
        self.assertEqual(json.loads(lines[-1])["phase"], "succeeded")

    def test_superseded_is_watched_on(self):
        control = self.serve()
        control.put(make_rollout(phase="rolled-back", superseded=True))
        p = self.start("watch", "hello-prod")
        p.stdout.readline()
        control.put(make_rollout(attempt=2, phase="succeeded"))
        control.announce("hello-prod", "phase", "succeeded")
        self.assertEqual(p.wait(DEADLINE), 0)

    def test_no_such_rollout(self):
        self.serve()
        self.assertIn("no rollout", self.run_ctl("watch", "hello-prod", code=1).stderr)


class WatchScreen(Case):
    HIDE, SHOW = r"\x1b\[\?25l", r"\x1b\[\?25h"

    def test_redraws_and_ends_with_the_rollout(self):
        control = self.serve()
        control.put(make_rollout())
        control.announce("hello-prod", "weight", "25% on version 2")
        t = self.terminal("watch", "hello-prod")
        t.expect(self.HIDE)
        at = t.expect(r"weight \x1b\[0m25% on version 2")
        self.assertIn("▶ step 2", plain(t.text))
        self.assertRegex(plain(t.text), r"in 1m (40|39)s")
        control.put(make_rollout(step_index=2, weight=50, weight_bp=5000))
        control.announce("hello-prod", "weight", "50% on version 2")
        at = t.expect(r"\x1b\[\d+A\r.*50% on version 2", at)
        control.put(make_rollout(phase="succeeded", step_index=3, weight_bp=10000))
        control.announce("hello-prod", "phase", "it is done", phase="succeeded")
        at = t.expect(r"succeeded.*it is done.*" + self.SHOW, at)
        self.assertEqual(t.finish(), 0)
        self.assertNotIn("\x1b[?25l", t.text[at:])
        self.assertEqual(termios.tcgetattr(t.master)[3], t.saved[3])

    def test_the_exit_code_is_that_of_wait(self):
        control = self.serve()
        control.put(make_rollout(phase="rolled-back"))
        self.assertEqual(self.terminal("watch", "hello-prod").finish(), 3)

    def test_signals_put_the_terminal_back(self):
        control = self.serve()
        control.put(make_rollout())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            t = self.terminal("watch", "hello-prod")
            t.expect(r"Ctrl-C ends watching")
            self.assertEqual(termios.tcgetattr(t.master)[3] & termios.ECHO, 0)
            t.process.send_signal(number)
            t.expect(self.SHOW)
            self.assertEqual(t.finish(), -number)
            self.assertEqual(termios.tcgetattr(t.master)[3], t.saved[3])

    def test_control_c_typed(self):
        control = self.serve()
        control.put(make_rollout())
        t = self.terminal("watch")
        t.expect(r"Ctrl-C ends watching")
        os.write(t.master, b"\x03")
        self.assertEqual(t.finish(), -signal.SIGINT)

    def test_stop_and_go_on(self):
        control = self.serve()
        control.put(make_rollout())
        t = self.terminal("watch", "hello-prod")
        at = t.expect(r"Ctrl-C ends watching")
        t.process.send_signal(signal.SIGTSTP)
        at = t.expect(self.SHOW, at)
        pid, status = os.waitpid(t.process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        t.process.send_signal(signal.SIGCONT)
        t.expect(self.HIDE + r".*Ctrl-C ends watching", at)

    def test_a_resize_makes_it_fit(self):
        control = self.serve()
        control.put(make_rollout(reason="word " * 60, weights=list(range(1, 60))))
        t = self.terminal("watch", "hello-prod", columns=100, rows=30)
        at = t.expect(r"Ctrl-C ends watching")
        t.resize(40, 20)
        at = t.expect(r"\x1b\[H\x1b\[2J", at)
        end = t.expect(r"Ctrl-C ends.*?\x1b\[J", at)
        lines = plain(t.text[at:end]).replace("\r", "").split("\n")
        self.assertLessEqual(len(lines), 20)
        self.assertTrue(all(len(line) <= 40 for line in lines), lines)
        self.assertIn("more steps", "".join(lines))

    def test_a_daemon_that_went_away_is_shown_and_comes_back(self):
        control = self.serve()
        control.put(make_rollout())
        t = self.terminal("watch", "hello-prod")
        at = t.expect(r"Ctrl-C ends watching")
        control.stop()
        at = t.expect(r"No answer for \d+s, trying again", at)
        self.assertIsNone(t.process.poll())
        control.put(make_rollout(phase="succeeded"))
        control.start()
        t.expect(r"succeeded", at)
        self.assertEqual(t.finish(), 0)

    def test_all_with_what_is_urgent_first(self):
        control = self.serve()
        for i in range(50):
            control.put(make_rollout(f"done-{i:02}", phase="succeeded"))
        control.put(make_rollout("walks"))
        control.put(make_rollout("stuck", phase="blocked"))
        t = self.terminal("watch", rows=20)
        t.expect(r"Ctrl-C ends watching, not the rollouts")
        lines = plain(t.text).replace("\r", "").split("\n")
        self.assertRegex(lines[1], "^stuck ")
        self.assertRegex(lines[2], "^walks ")
        self.assertLessEqual(len(lines), 20)
        self.assertRegex("\n".join(lines), r"\d+ more; see: rolloutctl list")

    def test_at_most_four_frames_a_second(self):
        control = self.serve()
        control.put(make_rollout())
        t = self.terminal("watch", "hello-prod")
        at = t.expect(r"Ctrl-C ends watching")
        began = time.monotonic()
        for i in range(200):
            control.announce("hello-prod", "verdict", f"number {i}")
        t.expect(r"number 199", at)
        frames = len(re.findall(r"\x1b\[\d+A\r", t.text[at:]))
        self.assertLessEqual(frames, 4 * (time.monotonic() - began) + 2)


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
            control.put(make_rollout(
                weights=weights, step_index=i, weight=w, weight_bp=w * 100, phase="baking" if w == 100 else "progressing",
                reason=f"step {i + 1}: {w}% bakes", baked_ms=int(15000 - left * 1000), bake_ms=15000,
                next_step_at=utc(until), verdict={
                    "verdict": "undecided" if left > 7 else "pass", "gap": "few", "why": f"{seen} invocations, 0 errors",
                    "canary": counts(seen, 0), "canary_step": counts(w, 0), "stable": counts(seen * 9, 1)}))  # fmt: skip
            time.sleep(0.5)
    control.put(make_rollout(weights=weights, step_index=3, weight_bp=10000, phase="succeeded", reason="all passed"))
    control.announce("hello-prod", "phase", "succeeded", phase="succeeded")
    time.sleep(5)
    control.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        play(sys.argv[2])
    else:
        unittest.main()
