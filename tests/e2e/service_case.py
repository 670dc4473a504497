"""rolloutd keeping whole services: zips that say how they behave, a service's file, and what AWS has of it, read back
with boto3."""

import concurrent.futures
import http.client
import io
import json
import os
import socketserver
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler

from rollout_case import RolloutCase, wait_long

AT_A_TIME = 8

ACCOUNT = "123456789012"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/hello"
API_NAME = "hello-api"

EMPTY_WORLD = """
seed: 3
limits: off
invoke_delay: false
functions: {}
metrics: {period: 1s, delay: 200ms}
"""

SERVICE_CONFIG = "limits: {lambda_rps: 500, cloudwatch_rps: 200, apigateway_rps: 500}\n"

ROLLOUT = """{steps: [{weight: 10%, bake: 1s}, {weight: 50%, bake: 1s}],
              analysis: {every: 1s, settle: 1s, period: 1s, no_data: pass,
                         metrics: [{errors: {max_rate: 20%, min_invocations: 3}}]}}"""


def zipped(size=0, **behaviour):
    """A zip of code that rollout-localaws serves as the file `localaws.json` in it says; `size`: with so much beside
    it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("localaws.json"), json.dumps(behaviour))
        if size:
            z.writestr(zipfile.ZipInfo("ballast"), bytes(size))
    return out.getvalue()


def hello(version, **more):
    return zipped(response={"status": 200, "body": f"Hello V{version}"}, **more)


def service(kind="rest", aliases=None, code="{zip: hello.zip}", stages="{dev: dev, test: test, prod: prod}", more=""):
    aliases = aliases or {"dev": "{version: $LATEST}", "test": "{version: latest, rollout: {strategy: AllAtOnce}}",
                          "prod": f"{{version: latest, rollout: {ROLLOUT}}}"}
    lines = ["apiVersion: rolloutd/v1", "kind: Service", "name: hello", "function: hello"]
    if code:
        lines.append(f"code: {code}")
        lines.append(f"create: {{role: '{ROLE}', runtime: python3.12, handler: index.handler}}")
    lines.append("aliases:")
    lines += [f"  {name}: {alias}" for name, alias in aliases.items()]
    if stages:
        lines += ["api:", f"  name: {API_NAME}", f"  type: {kind}", "  stage_variable: lambdaAlias",
                  "  routes: [{method: GET, path: /hello}]", f"  stages: {stages}",
                  "  probe: {path: /hello, expect_status: 200}"]
    lines.append("check_every: 10s")
    return "\n".join(lines) + "\n" + more


class Breaker(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Stands between the daemon and AWS, hands everything on, and calls `struck` when AWS has answered the n-th call
    that changes something; that answer is never handed back."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, url, nth, struck):
        super().__init__(("127.0.0.1", 0), Handler)
        parts = urllib.parse.urlsplit(url)
        self.upstream = (parts.hostname, parts.port)
        self.nth, self.struck = nth, struck
        self.changes = []
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def count(self, what):
        """Whether this change is the one after which nothing is handed back."""
        with self.lock:
            self.changes.append(what)
            return len(self.changes) == self.nth

    def handle_error(self, request, client_address):
        """The daemon is killed in the middle of things: that is what this is for."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        try:
            # Host is signed: it stays what it was.
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "content-length", "expect"):
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
        finally:
            upstream.close()
        if self.changes_something() and self.server.count(f"{self.command} {self.path}"):
            self.server.struck()
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def changes_something(self):
        reads = ("/_localaws", "/restapis/") if self.command == "POST" and "_user_request_" in self.path else ()
        metrics = self.command == "POST" and self.path == "/"
        return self.command != "GET" and not metrics and not reads and "invocations" not in self.path

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def log_message(self, *args):
        pass


def at_once(cls):
    """A class decorator: all tests of the class run at the same time, each in a world of its own, as most of their time
    is spent waiting."""
    names = [n for n in dir(cls) if n.startswith("test_")]
    runs = {n: getattr(cls, n) for n in names}

    def one(name):
        case = cls(name)
        case.setUp()
        try:
            runs[name](case)
        finally:
            case.doCleanups()

    def set_up_class(owner):
        pool = concurrent.futures.ThreadPoolExecutor(AT_A_TIME)
        owner.futures = {n: pool.submit(one, n) for n in names}
        owner.addClassCleanup(pool.shutdown, cancel_futures=True)

    def alone(owner):
        """A single test that was asked for by its name needs no other."""
        owner.futures = {}

    def waiter(name):
        def wait(self):
            future = self.futures.get(name)
            if future:
                future.result()
            else:
                runs[name](self)

        wait.__doc__ = runs[name].__doc__
        return wait

    for n in names:
        setattr(cls, n, waiter(n))
    asked = [a for a in sys.argv[1:] if "." in a]
    cls.setUpClass = classmethod(alone if asked else set_up_class)
    return cls


def pages(call, key, **arguments):
    out, token = [], None
    while True:
        answer = call(**arguments, **({"Marker": token} if token else {}))
        out += answer[key]
        token = answer.get("NextMarker")
        if not token:
            return out


class ServiceCase(RolloutCase):
    """A world and a daemon of its own; the world begins empty."""

    WORLD = EMPTY_WORLD
    CONFIG = SERVICE_CONFIG
    KIND = "rest"

    def put_zip(self, content, name="hello.zip"):
        path = os.path.join(self.d.plans, name)
        with open(path + ".new", "wb") as f:
            f.write(content)
        os.rename(path + ".new", path)

    def keep(self, text=None, content=None):
        """Drops the service in, and waits until all is as declared."""
        self.put_zip(content or hello(1))
        self.d.put_plan("hello.yaml", text or service(self.KIND))
        return self.as_declared()

    def as_declared(self, what="to be as declared", condition=lambda s: True):
        return self.ctl.until("hello", lambda s: s["phase"] == "succeeded" and condition(s), what)

    def lam(self):
        return self.world.aws("lambda")

    def rest(self):
        return self.world.aws("apigateway")

    def http(self):
        return self.world.aws("apigatewayv2")

    # --- what AWS has ---

    def statements(self, alias, function="hello"):
        try:
            policy = self.lam().get_policy(FunctionName=function, Qualifier=alias)["Policy"]
        except self.lam().exceptions.ResourceNotFoundException:
            return []
        return json.loads(policy)["Statement"]

    def apis(self):
        if self.KIND == "rest":
            return [(a["id"], a["name"]) for a in self.rest().get_rest_apis(limit=500)["items"]]
        return [(a["ApiId"], a["Name"]) for a in self.http().get_apis()["Items"]]

    def api_id(self):
        (only,) = [i for i, name in self.apis() if name == API_NAME]
        return only

    def routes(self):
        if self.KIND == "http":
            return sorted(r["RouteKey"] for r in self.http().get_routes(ApiId=self.api_id())["Items"])
        items = self.rest().get_resources(restApiId=self.api_id(), embed=["methods"], limit=500)["items"]
        return sorted(f"{verb} {r['path']}" for r in items for verb in r.get("resourceMethods", {}))

    def resources(self):
        items = self.rest().get_resources(restApiId=self.api_id(), limit=500)["items"]
        return sorted(r["path"] for r in items)

    def stages(self):
        """Name -> variables."""
        if self.KIND == "http":
            return {s["StageName"]: s.get("StageVariables", {})
                    for s in self.http().get_stages(ApiId=self.api_id())["Items"]}
        return {s["stageName"]: s.get("variables", {}) for s in self.rest().get_stages(restApiId=self.api_id())["item"]}

    def versions(self):
        return [v["Version"] for v in pages(self.lam().list_versions_by_function, "Versions", FunctionName="hello")]

    def aliases(self):
        listed = pages(self.lam().list_aliases, "Aliases", FunctionName="hello")
        return {a["Name"]: a["FunctionVersion"] for a in listed}

    def ask(self, stage, path="/hello"):
        """(status, body) of a request to a stage, as a user makes it."""
        url = f"{self.world.url}/restapis/{self.api_id()}/{stage}/_user_request_{path}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()

    def writes(self):
        """How often each operation that changes something was called."""
        reads = ("Get", "List", "Describe", "Invoke", "UserRequest")
        operations = self.world.counters()["operations"]
        return {o: c["calls"] for o, c in operations.items() if not o.startswith(reads)}

    def assert_whole(self, version="1", stages=("dev", "prod", "test")):
        """Three working stages, and nothing twice."""
        self.assertEqual([name for _, name in self.apis()], [API_NAME])
        self.assertEqual(self.routes(), ["GET /hello"])
        if self.KIND == "rest":
            self.assertEqual(self.resources(), ["/", "/hello"])
        self.assertEqual({n: v["lambdaAlias"] for n, v in self.stages().items()}, {s: s for s in stages})
        for alias in stages:
            arns = [s["Condition"]["ArnLike"]["AWS:SourceArn"] for s in self.statements(alias)]
            self.assertEqual(arns, [f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api_id()}/{alias}/*"])
            self.assertEqual(self.ask(alias), (200, f"Hello V{version}"))

    def settled_writes(self):
        """The counts, once a whole look after now has changed nothing."""
        before = self.ctl.status("hello")["checked_at"]
        self.ctl.run("resume", "hello")
        self.as_declared("to have looked again", lambda s: s["checked_at"] != before)
        return self.writes()

    def wait_for_call(self, what, condition):
        return wait_long(what, condition)
