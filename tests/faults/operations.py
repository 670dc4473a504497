"""Every operation that the daemon sends to AWS, every way in which its answer can fail to come, and what is checked
where the two meet. The daemon, rollout-localaws and their sockets are real; connect.c sends the requests of one
operation, and no others, to a server that spoils them.

The table of operations says which plan makes the daemon send it. What is right is not written down for each pair: the
same plan is run once without any fault, and whatever took effect then, call by call, must have taken effect once with
every fault, too.
"""

import collections
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import socketserver
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from authority import HOST, the_authority
from faults import CONFIG, PRELOADS, Patient, World, is_readable, make_plan, target_text, wait_long
from rolloutd_case import Daemon
from service_case import API_NAME, ROLE, ROLLOUT, SERVICE_CONFIG, hello, service

LIBRARY = os.path.join(PRELOADS, "connect.so")
TIMEOUT_MS = 1500
NAME = "shipped"
PAGE = b"<!DOCTYPE html>\n<html><body><h1>Please sign in to the airport's network</h1></body></html>\n"

# --- faults ---


class Fault:
    """`unknown`: after it nobody can know whether a write took effect; `applied`: it did. `said`: what is read."""

    def __init__(self, name, said, unknown=True, applied=False, goes_to=None):
        self.name, self.said, self.unknown, self.applied, self.goes_to = name, said, unknown, applied, goes_to

    def __str__(self):
        return self.name


FAULTS = [
    Fault("no-address", "resolve host", unknown=False, goes_to="::unknown." + HOST + ":443"),
    Fault("refused", "connect to 127", unknown=False, goes_to="::127.0.0.1:1"),
    Fault("tls", "certificate|SSL", unknown=False),
    Fault("no-answer-not-applied", "timed out|time.?out|no answer|not answer"),
    Fault("no-answer-applied", "timed out|time.?out|no answer|not answer", applied=True),
    Fault("drip", "timed out|time.?out|not answer", applied=True),
    Fault("throttled", "TooManyRequests|Throttling", unknown=False),
    Fault("error-500", "ServiceException|InternalServiceFault"),
    Fault("error-503-applied", "HTTP 503|ServiceUnavailable", applied=True),
    Fault("html-200", "HTML|web page|names no request of AWS"),
    Fault("html-404", "HTTP 404.*no AWS error code"),
    Fault("html-502-applied", "HTTP 502", applied=True),
    Fault("broken-off", "closed|transfer", applied=True),
    Fault("cut-json", "JSON|cannot be read|not what AWS sends", applied=True),
]


def error_body(target, code, message):
    body = {"__type": code} if target else {}
    return json.dumps({**body, "message": message}).encode()


class Spoiler(ThreadingHTTPServer):
    """Where the requests of the struck operation go: each is noted, handed on to AWS if it is to take effect, and
    answered as the fault has it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, fault, url):
        super().__init__(("127.0.0.1", 0), SpoiledRequest)
        self.fault, self.upstream = fault, url.rpartition("/")[2]
        self.seen, self.lock, self.closed = [], threading.Lock(), threading.Event()
        self.context = the_authority().context("foreign") if fault.name == "tls" else None
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def finish_request(self, request, client_address):
        with contextlib.suppress(OSError):
            if self.context:
                self.context.wrap_socket(request, server_side=True).close()
            else:
                self.RequestHandlerClass(request, client_address, self)

    def shutdown_request(self, request):
        request.close()

    def handle_error(self, request, client_address):
        """Connections end in the middle of things: that is what this is for."""

    def goes_to(self):
        return f"::127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.closed.set()
        self.shutdown()
        self.server_close()
        self.thread.join()


class SpoiledRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def hand_on(self, body):
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "content-length"):
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            return answer.status, answer.headers.items(), answer.read()
        finally:
            upstream.close()

    def handle_one(self):
        fault = self.server.fault
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.seen.append((time.time(), f"{self.command} {self.path}", body))
        status, headers, data = self.hand_on(body) if fault.applied else (200, [], b'{"made": "up"}')
        self.close_connection = True
        target = self.headers.get("x-amz-target")
        if fault.name.startswith("no-answer"):
            self.server.closed.wait(60)
        elif fault.name == "drip":
            self.head(status, headers, len(data) + 5000)
            while not self.server.closed.wait(0.1):
                self.wfile.write(b" ")
        elif fault.name == "throttled":
            code = "com.amazon.coral.availability#ThrottlingException" if target else "TooManyRequestsException"
            self.answer(400 if target else 429, error_body(target, code, "Rate exceeded"), code)
        elif fault.name == "error-500":
            code = "InternalServiceFault" if target else "ServiceException"
            self.answer(500, error_body(target, code, "An internal error occurred."), code)
        elif fault.name == "error-503-applied":
            self.answer(503, b"")
        elif fault.name.startswith("html"):
            self.answer(int(fault.name.split("-")[1]), PAGE, kind="text/html")
        elif fault.name == "broken-off":
            self.head(status, headers, len(data) + 1)
            self.wfile.write(data[: len(data) // 2])
        else:
            cut = data[: len(data) // 2]
            self.head(status, headers, len(cut))
            self.wfile.write(cut)

    def head(self, status, headers, length):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def answer(self, status, data, code=None, kind="application/json"):
        self.head(status, [("Content-Type", kind), *([("x-amzn-ErrorType", code)] if code else [])], len(data))
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def log_message(self, *args):
        pass


class Front(socketserver.ThreadingTCPServer):
    """AWS behind a good certificate: everything is handed on as it is."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, url):
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        host, _, port = url.rpartition("/")[2].partition(":")
        self.upstream, self.context = (host, int(port)), the_authority().context("good")
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def finish_request(self, request, client_address):
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as inner, \
                socket.create_connection(self.upstream) as outer:
            back = threading.Thread(target=self.pump, args=(outer, inner), daemon=True)
            back.start()
            self.pump(inner, outer)
            back.join()

    @staticmethod
    def pump(a, b):
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := a.recv(65536):
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request):
        request.close()

    def handle_error(self, request, client_address):
        """The daemon is gone."""

    def close(self):
        self.shutdown()
        self.server_close()


# --- plans ---

WORLD = """
seed: 23
limits: off
invoke_delay: false
functions:
  f:
    versions: {1: {code: one}, 2: {code: two}, 3: {code: three, error_rate: 100%}, 4: {code: four}}
    aliases: {prod: {version: 1}}
  smoke:
    versions: {1: {body: '{"status": "Succeeded"}'}}
    aliases: {live: {version: 1}}
alarms: [{name: quiet, state: OK}]
traffic: [{function: f, alias: prod, rps: 60, arrival: even}]
metrics: {period: 1s, delay: 200ms}
"""

NO_WORLD = """
seed: 23
limits: off
invoke_delay: false
functions: {}
metrics: {period: 1s, delay: 200ms}
"""


class Scenario:
    """A plan, what is there before it, and its right end."""

    WORLD, CONFIG, NAMES = WORLD, CONFIG, (NAME,)

    def __init__(self, end="succeeded", prepare=lambda cell: None, **plan):
        self.end, self.prepare, self.plan = end, prepare, {"version": 2, "steps": [(50, 1)], **plan}

    def begin(self, cell):
        """Up to where the fault is to strike."""
        self.prepare(cell)

    def go(self, cell):
        cell.d.put_plan(f"{NAME}.yaml", make_plan(NAME, "f", **self.plan))

    def wait(self, cell, end):
        cell.ctl.phase(NAME, end or self.end)
        # What belongs to it and comes after it: versions that go, concurrency that is given back.
        wait_long("what comes after the end", lambda: cell.is_quiet() and self.is_done(cell))

    def is_done(self, cell):
        best = cell.operation and cell.operation.best
        return best or all(cell.writes()[o] >= n for o, n in cell.reference.items())


def put_code(cell, version=9):
    path = os.path.join(cell.d.plans, "hello.zip")
    with open(path + ".new", "wb") as f:
        f.write(hello(version))
    os.rename(path + ".new", path)


def warm(cell):
    lam = cell.world.aws("lambda")
    lam.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=2)


class ServiceScenario(Scenario):
    """`drift`: what somebody does to a service that is as declared, and that is to be undone."""

    WORLD, CONFIG, NAMES = NO_WORLD, SERVICE_CONFIG, ("hello", "hello.prod")

    ALIASES = {"dev": "{version: $LATEST}", "prod": f"{{version: latest, rollout: {ROLLOUT}}}"}

    def __init__(self, kind, drift=None, by_id=False, prepare=lambda cell: None,
                 stages="{dev: dev, prod: prod}"):
        super().__init__(prepare=prepare)
        self.stages = stages
        self.kind, self.drift, self.by_id = kind, drift, by_id

    def text(self, cell):
        text = service(self.kind, self.ALIASES, stages=self.stages)
        if cell.is_encrypted():
            text = re.sub(r"^  probe: .*\n", "", text, flags=re.M)  # it would go to the host that AWS itself has
        return text.replace(f"name: {API_NAME}", f"id: {cell.api()}") if self.by_id and cell.declared else text

    def declared(self, cell):
        cell.ctl.until("hello", lambda s: s["phase"] == "succeeded" and not s["trouble"], "to be as declared")

    def begin(self, cell):
        self.prepare(cell)
        put_code(cell, 1)
        if self.drift or self.by_id:
            cell.d.put_plan("hello.yaml", self.text(cell))
            self.declared(cell)
            cell.declared = True

    def go(self, cell):
        if self.drift:
            cell.ctl.run("pause", "hello")
            self.drift(cell)
        else:
            cell.d.put_plan("hello.yaml", self.text(cell))

    def wait(self, cell, end):
        # Told to look, it has looked once all is as it should be.
        wait_long(f"what is missing, {cell}", lambda: cell.is_quiet() and self.is_done(cell))
        self.declared(cell)


def drift(function):
    """While the service is paused, so that all of it is found at once."""
    def whole(cell):
        function(cell)
        cell.ctl.run("resume", "hello")

    return whole


@drift
def rest_drift(cell):
    rest, lam, api = cell.world.aws("apigateway"), cell.world.aws("lambda"), cell.api()
    rest.update_stage(restApiId=api, stageName="dev", patchOperations=[
        {"op": "replace", "path": "/variables/lambdaAlias", "value": "prod"}])
    sid = json.loads(lam.get_policy(FunctionName="hello", Qualifier="prod")["Policy"])["Statement"][0]["Sid"]
    lam.remove_permission(FunctionName="hello", Qualifier="prod", StatementId=sid)


@drift
def http_drift(cell):
    http2, api = cell.world.aws("apigatewayv2"), cell.api()
    other = http2.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0",
        IntegrationUri="arn:aws:lambda:us-east-1:123456789012:function:other")["IntegrationId"]
    (route,) = http2.get_routes(ApiId=api)["Items"]
    http2.update_route(ApiId=api, RouteId=route["RouteId"], Target=f"integrations/{other}")
    http2.update_stage(ApiId=api, StageName="dev", StageVariables={"lambdaAlias": "prod"})


@drift
def no_integration(cell):
    rest, api = cell.world.aws("apigateway"), cell.api()
    (made,) = [r["id"] for r in rest.get_resources(restApiId=api)["items"] if r["path"] == "/hello"]
    rest.delete_integration(restApiId=api, resourceId=made, httpMethod="GET")


@drift
def not_deployed(cell):
    """Stages of an HTTP API that somebody made anew, and that do not deploy by themselves."""
    http2, api = cell.world.aws("apigatewayv2"), cell.api()
    for stage in ("dev", "prod"):
        http2.delete_stage(ApiId=api, StageName=stage)
        http2.create_stage(ApiId=api, StageName=stage, AutoDeploy=False, StageVariables={"lambdaAlias": stage})


@drift
def fewer_stages(cell):
    """Nobody needs the permission of a stage that is gone."""
    cell.world.aws("apigateway").delete_stage(restApiId=cell.api(), stageName="more")
    cell.d.put_plan("hello.yaml", service("rest", ServiceScenario.ALIASES, stages="{dev: dev, prod: prod}"))
    cell.ctl.until("hello", lambda s: s["attempt"] == 2, "to be read anew")


def moved_alias(cell):
    cell.world.aws("lambda").update_alias(FunctionName="hello", Name="dev", FunctionVersion="1")
    cell.ctl.run("resume", "hello")
    cell.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
    cell.ctl.run("retry", "hello")


def lose_deployment(cell):
    """Whoever does not know whether it was made looks for it."""
    cell.world.fault("lost_after", "CreateDeployment", nth=1, connection="close")


def put_event(cell):
    with open(os.path.join(cell.d.plans, "event.json"), "w", encoding="ascii") as f:
        f.write("{}")


SCENARIOS = {
    "rollout": Scenario(version="latest", steps=[(10, 1), (50, 1)]),
    "failing": Scenario("rolled-back", version=3, steps=[(10, 1), (50, 1)]),
    "publishing": Scenario(prepare=put_code, version="{publish: {zip: hello.zip}}"),
    "provisioned": Scenario(prepare=warm),
    "pruning": Scenario(more="keep_versions: 1"),
    "hook-before": Scenario(more="hooks: {pre_traffic: {invoke: 'smoke:live', timeout: 30s}}"),
    "hook-after": Scenario(more="hooks: {post_traffic: {invoke: 'smoke:live', timeout: 30s}}"),
    "probed": Scenario(prepare=put_event, steps=[(50, 15)], analysis="probe: {invoke: event.json, rate: 10/s}"),
    "alarm": Scenario(metrics="metrics: [{alarm: quiet}]"),
    "rest": ServiceScenario("rest"),
    "rest-by-id": ServiceScenario("rest", by_id=True),
    "rest-drift": ServiceScenario("rest", rest_drift),
    "rest-lost": ServiceScenario("rest", prepare=lose_deployment),
    "rest-hole": ServiceScenario("rest", no_integration),
    "rest-fewer": ServiceScenario("rest", fewer_stages, stages="{dev: dev, prod: prod, more: prod}"),
    "moved-alias": ServiceScenario("rest", moved_alias),
    "http": ServiceScenario("http"),
    "http-by-id": ServiceScenario("http", by_id=True),
    "http-manual": ServiceScenario("http", not_deployed),
    "http-drift": ServiceScenario("http", http_drift),
}

# --- operations ---

FUNCTION = "/2015-03-31/functions/[^/? ]+"
CONCURRENCY = "/2019-09-30/functions/[^/? ]+/provisioned-concurrency"
END = r"([? ]|$)"
REST, HTTP2 = "/restapis/[^/? ]+", "/v2/apis/[^/? ]+"
METHOD = REST + "/resources/[^/? ]+/methods/[^/? ]+"


class Operation:
    """`name`: as the daemon says it; `skip`: so many calls go well before. `write`: what may come between two calls of
    it whose effect is unknown: somebody has to have looked. `again`: where the documentation says that it happens at
    least once, or where twice is as good as once. `best`: what fails is told, and left as it is. `harmless`: faults
    that are none, as nothing of the answer's body is needed. `ends`: where a fault is an answer."""

    def __init__(self, name, scenario, method, path, skip=0, look=None, says=None, again=False, best=False,
                 harmless=(), ends=None):
        self.name, self.scenario, self.skip, self.look, self.ends = name, scenario, skip, look, ends or {}
        self.says, self.again, self.best, self.harmless = says or name, again, best, harmless
        self.pattern = f"^{method} [a-z]+://[^/]+{path}{END}"

    def __str__(self):
        return f"{self.name} of {self.scenario}"


def cloudwatch(name, scenario):
    o = Operation(name, scenario, "POST", "/")
    o.pattern = rf"\.{name}$"
    return o


def whose_keys(scenario):
    o = Operation("GetCallerIdentity", scenario, "POST", "/")
    o.pattern = "^POST [a-z]+://[^/]+/ $"  # without an X-Amz-Target: no service of JSON's
    return o


ALIAS_LOOK = "^GetAlias$"
CODE_LOOK = "^(GetFunction|ListVersionsByFunction)$"
REST_LOOK = "^Get(RestApis?|Resources|Stages|Deployments?)$"
HTTP_LOOK = "^Get(Apis?|Routes|Integrations|Stages|Deployments)$"

NO_BODY = ("drip", "broken-off", "cut-json")  # an answer of 204 has ended with its head

OPERATIONS = [
    Operation("GetAlias", "rollout", "GET", FUNCTION + "/aliases/[^/? ]+"),
    Operation("UpdateAlias", "rollout", "PUT", FUNCTION + "/aliases/[^/? ]+", skip=1, look=ALIAS_LOOK),
    Operation("UpdateAlias", "failing", "PUT", FUNCTION + "/aliases/[^/? ]+", skip=1, look=ALIAS_LOOK),
    Operation("GetFunction", "rollout", "GET", FUNCTION),
    Operation("ListVersionsByFunction", "rollout", "GET", FUNCTION + "/versions"),
    cloudwatch("GetMetricData", "rollout"),
    cloudwatch("GetMetricData", "failing"),
    cloudwatch("DescribeAlarms", "alarm"),
    Operation("GetFunction", "publishing", "GET", FUNCTION),
    Operation("UpdateFunctionCode", "publishing", "PUT", FUNCTION + "/code", look=CODE_LOOK),
    Operation("PublishVersion", "publishing", "POST", FUNCTION + "/versions", look=CODE_LOOK),
    Operation("ListProvisionedConcurrencyConfigs", "provisioned", "GET", CONCURRENCY),
    Operation("PutProvisionedConcurrencyConfig", "provisioned", "PUT", CONCURRENCY,
              look="^ListProvisionedConcurrencyConfigs$", harmless=("cut-json",)),
    Operation("DeleteProvisionedConcurrencyConfig", "provisioned", "DELETE", CONCURRENCY, look="^ListAliases$",
              again=True, harmless=NO_BODY),
    Operation("ListAliases", "provisioned", "GET", FUNCTION + "/aliases"),
    Operation("DeleteFunction", "pruning", "DELETE", FUNCTION, look=CODE_LOOK, best=True, harmless=NO_BODY),
    Operation("ListAliases", "pruning", "GET", FUNCTION + "/aliases", best=True),
    Operation("Invoke", "hook-before", "POST", FUNCTION + "/invocations", says="hook", again=True,
              ends={"cut-json": "failed"}),
    Operation("Invoke", "hook-after", "POST", FUNCTION + "/invocations", says="hook", again=True,
              ends={"cut-json": "rolled-back"}),
    Operation("CreateFunction", "rest", "POST", "/2015-03-31/functions/?", look=CODE_LOOK),
    Operation("CreateAlias", "rest", "POST", FUNCTION + "/aliases", look="^(ListAliases|GetAlias)$"),
    Operation("UpdateAlias", "moved-alias", "PUT", FUNCTION + "/aliases/[^/? ]+", look="^(ListAliases|GetAlias)$"),
    Operation("ListAliases", "rest", "GET", FUNCTION + "/aliases"),
    Operation("GetPolicy", "rest", "GET", FUNCTION + "/policy"),
    Operation("AddPermission", "rest", "POST", FUNCTION + "/policy", look="^GetPolicy$"),
    Operation("AddPermission", "rest-drift", "POST", FUNCTION + "/policy", look="^GetPolicy$"),
    Operation("RemovePermission", "rest-fewer", "DELETE", FUNCTION + "/policy/[^/? ]+", look="^GetPolicy$",
              harmless=NO_BODY),
    Operation("GetApis", "rest", "GET", "/restapis"),
    Operation("GetApi", "rest-by-id", "GET", REST),
    Operation("GetResources", "rest", "GET", REST + "/resources"),
    # Its answer is that there is none, in a header.
    Operation("GetIntegration", "rest-hole", "GET", METHOD + "/integration", harmless=("cut-json",)),
    Operation("GetDeployments", "rest-lost", "GET", REST + "/deployments"),
    Operation("GetDeployment", "rest", "GET", REST + "/deployments/[^/? ]+"),
    Operation("GetStages", "rest", "GET", REST + "/stages"),
    Operation("CreateApi", "rest", "POST", "/restapis", look=REST_LOOK),
    Operation("CreateResource", "rest", "POST", REST + "/resources/[^/? ]+", look=REST_LOOK),
    Operation("PutMethod", "rest", "PUT", METHOD, look=REST_LOOK),
    Operation("PutIntegration", "rest", "PUT", METHOD + "/integration", look=REST_LOOK),
    Operation("CreateDeployment", "rest", "POST", REST + "/deployments", look=REST_LOOK),
    Operation("CreateStage", "rest", "POST", REST + "/stages", look=REST_LOOK),
    Operation("UpdateStage", "rest-drift", "PATCH", REST + "/stages/[^/? ]+", look=REST_LOOK),
    Operation("GetApis", "http", "GET", "/v2/apis"),
    Operation("GetApi", "http-by-id", "GET", HTTP2),
    Operation("GetRoutes", "http", "GET", HTTP2 + "/routes"),
    Operation("GetIntegrations", "http", "GET", HTTP2 + "/integrations"),
    Operation("GetStages", "http", "GET", HTTP2 + "/stages"),
    Operation("CreateApi", "http", "POST", "/v2/apis", look=HTTP_LOOK),
    Operation("CreateIntegration", "http", "POST", HTTP2 + "/integrations", look=HTTP_LOOK),
    Operation("CreateRoute", "http", "POST", HTTP2 + "/routes", look=HTTP_LOOK),
    Operation("UpdateRoute", "http-drift", "PATCH", HTTP2 + "/routes/[^/? ]+", look=HTTP_LOOK),
    Operation("CreateDeployment", "http-manual", "POST", HTTP2 + "/deployments", look=HTTP_LOOK),
    Operation("UpdateStage", "http-manual", "PATCH", HTTP2 + "/stages/[^/? ]+", look=HTTP_LOOK),
    Operation("CreateStage", "http", "POST", HTTP2 + "/stages", look=HTTP_LOOK),
    Operation("UpdateStage", "http-drift", "PATCH", HTTP2 + "/stages/[^/? ]+", look=HTTP_LOOK),
    # Not to be answered for a while is what probes are for, and what the function says does not matter.
    Operation("Invoke", "probed", "POST", FUNCTION + "/invocations", says="probed", again=True, best=True,
              harmless=("no-answer-not-applied", "no-answer-applied", "drip", "cut-json")),
]

# --- one of each ---

READS = ("Get", "List", "Describe", "UserRequest", "(")


class Cell:
    """A world and a daemon. Without a fault it is the reference."""

    def __init__(self, scenario, operation=None, fault=None, reference=None):
        self.scenario, self.operation, self.fault = SCENARIOS[scenario], operation, fault
        self.declared = False
        self.reference = collections.Counter()
        self.changes = None
        if reference:
            self.reference, self.changes = reference
        self.stack = contextlib.ExitStack()

    def __str__(self):
        return f"{self.operation}, {self.fault}"

    def __enter__(self):
        folder = tempfile.mkdtemp(prefix="operation-")
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        self.world = World(self.scenario.WORLD)
        self.stack.callback(self.world.close)
        self.control = os.path.join(folder, "connect")
        environment = {**self.world.environment(), "LD_PRELOAD": LIBRARY, "FAULT_CONNECT": self.control}
        if self.fault:
            self.spoiler = Spoiler(self.fault, self.world.url)
            self.stack.callback(self.spoiler.close)
        if self.is_encrypted():
            front = Front(self.world.url)
            self.stack.callback(front.close)
            environment.update(AWS_ENDPOINT_URL=f"https://{HOST}:{front.server_address[1]}",
                               AWS_CA_BUNDLE=the_authority().path("ca.pem"))
        self.d = Daemon(folder, self.scenario.CONFIG, environment)
        self.ctl = Patient(self.d)
        self.stack.callback(self.kill)
        self.d.start()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def kill(self):
        if self.d.process and self.d.process.poll() is None:
            self.d.process.kill()
            self.d.process.wait()

    def is_encrypted(self):
        return bool(self.fault) and self.fault.name == "tls"

    def api(self):
        if self.scenario.kind == "rest":
            items = self.world.aws("apigateway").get_rest_apis()["items"]
            return next(a["id"] for a in items if a["name"] == API_NAME)
        return next(a["ApiId"] for a in self.world.aws("apigatewayv2").get_apis()["Items"] if a["Name"] == API_NAME)

    # --- what happens ---

    def strike(self):
        goes_to = self.fault.goes_to or self.spoiler.goes_to()
        with open(self.control + ".new", "w", encoding="ascii") as f:
            f.write(f"{self.operation.pattern}\n{self.operation.skip}\n{goes_to}\n{TIMEOUT_MS}\n")
        os.rename(self.control + ".new", self.control)

    def heal(self):
        os.unlink(self.control)
        self.healed_at = time.time()

    def struck(self):
        try:
            with open(self.control + ".struck", encoding="ascii") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def texts(self):
        """All that a user is told, but for the log."""
        out = []
        for name in self.scenario.NAMES:
            s = self.ctl.status(name) or {}
            out += [s.get("trouble", ""), s.get("reason", "")]
            out += [e["text"] for e in self.ctl.events(name)]
            out += [h["reason"] for h in self.ctl.history(name)]
        return [t for t in out if t]

    def told(self):
        """The text that names the operation and what is wrong with it; None: not yet."""
        pattern = re.compile(self.fault.said, re.I)
        return next((t for t in self.texts() if re.search(self.operation.says, t) and pattern.search(t)), None)

    def writes(self):
        """How often what changes something took effect; retried ones are not among them."""
        operations = self.world.counters()["operations"]
        return collections.Counter({o: c["ok"] for o, c in operations.items() if not o.startswith(READS) and c["ok"]})

    def alias_changes(self):
        """By function and alias: what each was set to, in order."""
        out = collections.defaultdict(list)
        for c in self.world.counters()["alias_changes"]:
            out[c["function"], c["alias"]].append(target_text(c["version"], c["weights"]))
        return dict(out)

    def is_quiet(self):
        """Nothing was changed for a while, in AWS's own time."""
        last = [c for c in self.world.admin("GET", "calls")["calls"] if not c["operation"].startswith(READS)]
        return not last or time.time() * 1000 - last[-1]["time_ms"] > 1500

    # --- what must hold ---

    def expect(self, condition, text):
        if not condition:
            raise AssertionError(f"{self}: {text}\n{self.d.log()[-6000:]}")

    def run_reference(self):
        self.scenario.begin(self)
        self.scenario.go(self)
        self.scenario.wait(self, None)
        return self.writes(), self.alias_changes()

    def run(self):
        self.scenario.begin(self)
        self.strike()
        self.scenario.go(self)
        wait_long(f"{self}: the strike", self.struck)
        text = None
        if self.fault.name not in self.operation.harmless:
            text = self.wait_told()
            self.expect(is_readable(text) and "<" not in text, f"not readable: {text}")
        self.heal()
        end = self.operation.ends.get(self.fault.name)
        self.scenario.wait(self, end) if not end else self.ctl.phase(NAME, end)
        self.check_no_blind_repeat()
        if not end:
            self.check_effects()
        return text

    def check_effects(self):
        """What took effect, and what the aliases were set to, is what it is without any fault."""
        made, wanted = self.writes(), self.reference
        for operation in made | wanted:
            if self.operation.again and operation == self.operation.name:
                continue
            if self.operation.best and made[operation] < wanted[operation]:
                continue
            self.expect(made[operation] == wanted[operation],
                        f"{operation} took effect {made[operation]} times, not {wanted[operation]}")
        self.expect(self.alias_changes() == self.changes, f"{self.alias_changes()}, not {self.changes}")

    def wait_told(self):
        try:
            return wait_long("it", self.told)
        except AssertionError:
            said = "\n".join(self.texts())
            raise AssertionError(f"{self}: never said so:\n{said}\n{self.d.log()[-4000:]}") from None

    def check_no_blind_repeat(self):
        """Of a call whose effect is unknown: between two of the same somebody has looked."""
        if not self.fault.unknown or not self.operation.look:
            return
        looks = [c["time_ms"] / 1000 for c in self.world.admin("GET", "calls")["calls"]
                 if re.search(self.operation.look, c["operation"])]
        last = {}
        for at, what, _ in self.spoiler.seen:
            if what in last:
                self.expect(any(last[what] <= t + 0.05 and t <= at + 0.05 for t in looks),
                            f"{what} was repeated after {at - last[what]:.1f} s without a look")
            last[what] = at


REFERENCES, REFERENCES_LOCK = {}, collections.defaultdict(threading.Lock)


def reference(scenario):
    """(what took effect, the alias's changes) of the scenario without any fault; it is run once."""
    with REFERENCES_LOCK[scenario]:
        if scenario not in REFERENCES:
            with Cell(scenario) as c:
                REFERENCES[scenario] = c.run_reference()
        return REFERENCES[scenario]


def one(operation, fault):
    r = reference(operation.scenario)
    with Cell(operation.scenario, operation, fault, r) as c:
        return c.run()


# --- doctor ---

DOCTOR_PLAN = make_plan(NAME, "f", metrics="metrics: [{errors: {max_rate: 20%, min_invocations: 3}}, {alarm: quiet}]",
                        version="{publish: {}}", more="hooks: {pre_traffic: {invoke: 'smoke:live'}}")
DOCTOR = [
    Operation("GetFunction", "doctor", "GET", FUNCTION),
    Operation("ListVersionsByFunction", "doctor", "GET", FUNCTION + "/versions"),
    Operation("ListAliases", "doctor", "GET", FUNCTION + "/aliases"),
    Operation("UpdateAlias", "doctor", "PUT", FUNCTION + "/aliases/[^/? ]+"),
    Operation("PublishVersion", "doctor", "POST", FUNCTION + "/versions"),
    cloudwatch("GetMetricData", "doctor"),
    cloudwatch("DescribeAlarms", "doctor"),
    whose_keys("doctor"),
]
TRIALS = ("UpdateAlias", "PublishVersion")


def doctor(fault):
    """Asked in the midst of each fault, and once it is over. What it tries changes nothing. Gives how many it met."""
    with Cell("rollout", fault=fault) as c:
        path = os.path.join(os.path.dirname(c.control), "plan.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(DOCTOR_PLAN)
        before = c.writes(), c.alias_changes()
        for operation in DOCTOR:
            c.operation = operation
            struck = len(c.struck())
            c.strike()
            answer = c.ctl.json("doctor", path, code=None)
            c.heal()
            c.expect(len(c.struck()) > struck, "doctor does not send it")
            texts = [f["text"] for f in answer["findings"] if f["level"] != "ok"]
            said = [t for t in texts if re.search(fault.said, t, re.I)]
            # A refusal of AWS's that is cut off still has its code, in a header.
            if not (operation.name in TRIALS and fault.name == "cut-json"):
                c.expect(said, f"doctor does not say it: {answer}")
            for text in said:
                c.expect(is_readable(text) and "<" not in text, f"not readable: {text}")
            answer = c.ctl.json("doctor", path, code=None)
            c.expect(answer["healthy"], f"doctor still finds fault: {answer}")
        c.expect((c.writes(), c.alias_changes()) == before, "doctor has changed something")
        return len(DOCTOR)
