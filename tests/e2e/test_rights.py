#!/usr/bin/python3
"""The rights of docs/iam.md: that the AWS SDK's models know them, that each feature works with no more than its own,
and that whoever lacks one is told which, while everybody else goes on.

# runner: timeout 300
"""

import json
import os
import re
import subprocess
import unittest

import boto3

from rollout_case import ENVIRONMENT, ROLLOUTCTL, RolloutCase, Together, print_policy, wait_long
from rolloutd_case import TOP
from service_case import ServiceCase, at_once, hello, service, zipped

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"
NARROW = ("--region", "us-east-1", "--account", "123456789012")

WORLD = """
seed: 17
limits: off
invoke_delay: false
provision_time: 200ms
functions:
  f:
    copies: 24
    versions:
      1: {body: one, code: one}
      2: {body: two, code: two}
      3: {body: three, code: three}
      4: {body: four, code: four}
    aliases:
      prod: {version: 1}
  smoke:
    versions: {1: {body: '{"status": "Succeeded"}'}}
    aliases: {live: {version: 1}}
alarms: [{name: quiet, state: OK}]
traffic:
  - {function: f-*, alias: prod, rps: 60, arrival: even}
metrics: {period: 1s, delay: 200ms}
"""


def table():
    """(operation, action, resources, features) of docs/iam.md, which a unit test holds against the program's table."""
    with open(os.path.join(TOP, "docs/iam.md"), encoding="utf-8") as f:
        lines = re.search(r"^\| operation \| action .*?\n\n?((?:\|.*\n)+)", f.read(), re.M).group(1).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return [(o, a.strip("`"), re.findall("`([^`]+)`", r), re.findall("`([^`]+)`", f)) for o, a, r, f in rows]


class Models(unittest.TestCase):
    """Against the models of the AWS SDK for Python."""

    def model(self, service):
        session = boto3.session.Session(region_name="us-east-1")
        return session.client(service, aws_access_key_id="x", aws_secret_access_key="x").meta.service_model

    def test_actions_are_operations(self):
        names = {s: set(self.model(s).operation_names) for s in ("lambda", "cloudwatch")}
        checked = 0
        for operation, action, _, _ in table():
            prefix, _, name = action.partition(":")
            if prefix not in names:
                continue
            self.assertIn(operation, names[prefix])
            # The one action of these that has another name than its operation.
            self.assertEqual(name, "InvokeFunction" if operation == "Invoke" else operation)
            checked += 1
        self.assertGreaterEqual(checked, 20)

    def test_gateway_actions_are_methods_on_paths(self):
        rest, http = self.model("apigateway"), self.model("apigatewayv2")
        checked = 0
        for operation, action, resources, _ in table():
            prefix, _, method = action.partition(":")
            if prefix != "apigateway":
                continue
            is_rest = resources[0].startswith("/restapis")
            renamed = re.sub("Api(s?)$", r"RestApi\1", operation) if is_rest else operation
            wire = (rest if is_rest else http).operation_model(renamed).http
            self.assertEqual(wire["method"], method, operation)
            uri = re.sub(r"\{[^}]*\}", "x", wire["requestUri"].removeprefix("/v2").partition("?")[0]).rstrip("/")
            patterns = [re.escape(r).replace(r"\{api\}", "x").replace(r"\*", ".*") for r in resources]
            self.assertTrue(any(re.fullmatch(p, uri) for p in patterns), (operation, uri, resources))
            checked += 1
        self.assertGreater(checked, 20)

    def test_policies_are_whole(self):
        known = re.findall(r"^  ([a-z0-9-]+) {2,}", subprocess.run(
            [ROLLOUTCTL, "help", "policy"], env=ENVIRONMENT, capture_output=True, text=True, timeout=20,
            check=True).stdout.partition("Features:")[2].partition("\n\n")[0], re.M)
        self.assertEqual(set(known) - {"all"}, {f for _, _, _, fs in table() for f in fs})
        for feature in known:
            policy = json.loads(print_policy("--feature", feature))
            self.assertEqual(policy["Version"], "2012-10-17")
            sids = [s["Sid"] for s in policy["Statement"]]
            self.assertEqual(len(sids), len(set(sids)))

    def test_wrong_words(self):
        for words, said in ((["--feature", "rolouts"], "no feature 'rolouts'"), (["--account", "12"], "twelve digits"),
                            (["--function", "a:b"], "names of functions"), (["--reason", "x"], "does not take"),
                            (["--feature", ""], "expected names of features"),
                            (["--feature", "rollouts", "--feature", ","], "no feature ''"),
                            (["--function", "a", "--function", "b"],
                             "--function is there twice: it takes names of functions, with commas between them, once")):
            p = subprocess.run([ROLLOUTCTL, "policy", *words], env=ENVIRONMENT, capture_output=True, text=True,
                               timeout=20, check=False)
            self.assertEqual((p.returncode, p.stdout), (2, ""))
            self.assertIn(said, p.stderr)


class Denied(Together):
    """Each operation of a rollout, refused for want of a right: the action and the resource are named, nothing moves on
    that is not allowed, and once the right is there it goes on by itself."""

    WORLD = WORLD

    def told(self, name, action, resource):
        words = f"not allowed: {action} on {resource}"

        def look():
            s = self.ctl.status(name)
            texts = [s["trouble"], s["reason"]] if s else []
            return any(words in t for t in texts + [e["text"] for e in self.ctl.events(name)])

        wait_long(f"{name} to say '{words}'", look)

    def denied(self, operation, end="succeeded", action=None, held="preparing", **kwargs):
        """Until the operation is allowed the rollout is `held`."""
        f, name = self.function(), operation.lower()
        self.prepare(f)
        self.world.fault("access_denied", operation, function=f, times=3)
        self.drop(name, f, **kwargs)
        self.told(name, action or f"lambda:{operation}", FUNCTION + f)
        s = self.ctl.status(name)
        if held:
            self.assertIn(s["phase"], (held, "succeeded", end))
        self.ctl.phase(name, end)
        return f, name

    def prepare(self, function):
        pass

    def test_get_alias(self):
        f, _ = self.denied("GetAlias")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")

    def test_get_function(self):
        self.denied("GetFunction")

    def test_list_versions(self):
        self.denied("ListVersionsByFunction", version="latest")

    def test_update_alias(self):
        f, _ = self.denied("UpdateAlias", held="progressing")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")

    def test_list_concurrency(self):
        """It is taken to have none, and the rollout goes on."""
        self.denied("ListProvisionedConcurrencyConfigs", held=None)

    def test_update_code(self):
        self.publish("code.zip")
        self.denied("UpdateFunctionCode", version="{publish: {zip: code.zip}}")

    def test_publish(self):
        self.publish("publish.zip")
        self.denied("PublishVersion", version="{publish: {zip: publish.zip}}")

    def publish(self, name):
        with open(os.path.join(self.d.plans, name + ".new"), "wb") as f:
            f.write(zipped(response=name))
        os.rename(f.name, os.path.join(self.d.plans, name))

    def test_put_concurrency(self):
        self.warm("PutProvisionedConcurrencyConfig", "preparing")

    def test_delete_concurrency(self):
        self.warm("DeleteProvisionedConcurrencyConfig", None)

    def test_list_aliases(self):
        self.warm("ListAliases", None)

    def warm(self, operation, held):
        f, name = self.function(), operation.lower()
        lam = self.world.aws("lambda")
        lam.put_provisioned_concurrency_config(FunctionName=f, Qualifier="1", ProvisionedConcurrentExecutions=2)
        wait_long("READY", lambda: lam.get_provisioned_concurrency_config(
            FunctionName=f, Qualifier="1")["Status"] == "READY")
        self.world.fault("access_denied", operation, function=f, times=2)
        self.drop(name, f)
        self.told(name, f"lambda:{operation}", FUNCTION + f)
        if held:
            self.asked_only(f, "1")
        self.ctl.phase(name, "succeeded")

    def test_delete_version(self):
        f = self.function()
        self.world.fault("access_denied", "DeleteFunction", function=f, times=1)
        self.drop("prunes", f, more="keep_versions: 1")
        self.told("prunes", "lambda:DeleteFunction", FUNCTION + f + ":3")
        self.ctl.phase("prunes", "succeeded")

    def test_invoke_a_hook(self):
        """A hook that may not be asked has not agreed: no traffic moves."""
        f = self.function()
        self.world.fault("access_denied", "Invoke", function="smoke", times=1)
        self.drop("hooked", f, more="hooks: {pre_traffic: {invoke: 'smoke:live'}}")
        self.told("hooked", "lambda:InvokeFunction", FUNCTION + "smoke")
        self.assertIn(self.ctl.phase("hooked", "failed", "succeeded")["phase"], ("failed", "succeeded"))
        self.assertEqual(self.world.changes(f)[0], "1")

    def test_somebody_else(self):
        """Is not held up by all this."""
        f = self.function()
        self.drop("bystander", f)
        self.ctl.phase("bystander", "succeeded")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")


class Watching(RolloutCase):
    """CloudWatch's actions have no resources, so that they are refused to all."""

    WORLD = WORLD

    def watch(self, operation, **kwargs):
        ctl = self.begin()
        self.world.fault("access_denied", operation)
        self.drop("blind", "f-0", **kwargs)
        words = f"not allowed: cloudwatch:{operation} on *"
        s = ctl.until("blind", lambda s: words in s["trouble"], f"to say '{words}'")
        self.assertIn(s["phase"], ("preparing", "progressing"))
        self.assertLessEqual(len(self.world.changes("f-0")), 2)
        self.world.admin("DELETE", "faults")
        ctl.phase("blind", "succeeded")

    def test_metrics(self):
        self.watch("GetMetricData")

    def test_alarms(self):
        self.watch("DescribeAlarms", metrics="metrics: [{alarm: quiet}]")


class Least(RolloutCase):
    """Each feature of a rollout works with the policy that is printed for it, narrowed down to what it is about."""

    WORLD = WORLD

    def begin_with(self, features, *more):
        self.begin()
        self.world.set_key(policy=print_policy("--feature", features, "--function", "f-0", *NARROW, *more))

    def whole(self, **kwargs):
        self.drop("least", "f-0", **kwargs)
        s = self.ctl.phase("least", "succeeded")
        self.assertEqual([e["text"] for e in self.ctl.events("least") if "not allowed" in e["text"]], [])
        return s

    def test_rollouts(self):
        self.begin_with("rollouts")
        self.whole(version="latest")
        # Another function is another policy's.
        self.drop("other", "f-1")
        self.ctl.until("other", lambda s: f"on {FUNCTION}f-1" in s["trouble"], "to be refused")

    def test_alarms(self):
        self.begin_with("alarms")
        self.whole(metrics="metrics: [{alarm: quiet}]")

    def test_pruning(self):
        self.begin_with("pruning")
        self.whole(more="keep_versions: 1")
        lam = self.world.aws("lambda")
        wait_long("old versions to go", lambda: len(lam.list_versions_by_function(FunctionName="f-0")["Versions"]) < 5)

    def test_hooks(self):
        self.begin_with("hooks", "--hook", "smoke")
        self.whole(more="hooks: {pre_traffic: {invoke: 'smoke:live'}}")
        self.assertGreater(self.world.calls("Invoke"), 0)

    def test_provisioned_concurrency(self):
        self.begin_with("provisioned-concurrency")
        lam = self.world.aws("lambda")
        lam.put_provisioned_concurrency_config(FunctionName="f-0", Qualifier="1", ProvisionedConcurrentExecutions=2)
        self.whole()
        wait_long("the release", lambda: self.world.calls("DeleteProvisionedConcurrencyConfig") > 0)

    def test_publishing_and_doctor(self):
        self.begin_with("publishing,doctor")
        with open(os.path.join(self.d.plans, "code.zip"), "wb") as f:
            f.write(hello(7))
        self.whole(version="{publish: {zip: code.zip}}")
        self.ctl.run("doctor", os.path.join(self.d.plans, "least.yaml"))


@at_once
class LeastService(ServiceCase):
    """The same for a service, whose API comes to be under a policy that may create one."""

    def keep_with(self, *features):
        self.begin()
        self.world.set_key(policy=print_policy("--feature", ",".join(features), "--function", "hello", *NARROW,
                                               "--role", "hello"))
        self.keep(service(self.KIND))
        # A look at what is there, and new code, call what the first time did not.
        self.put_zip(hello(2))
        self.as_declared("to serve version 2", lambda s: self.aliases()["prod"] == "2")
        self.assertEqual([e["text"] for e in self.ctl.events("hello") if "not allowed" in e["text"]], [])
        operations = set(self.world.counters()["operations"])
        known = {re.sub("RestApi", "Api", o) for o in operations}
        return known

    def test_in_another_partition(self):
        """The policy's ARNs are those of China's partition, and so are those of everything that is made."""
        self.CONFIG = self.CONFIG + "region: cn-north-1\n"
        self.begin()
        self.world.set_key(policy=print_policy("--feature", "create-function,create-rest-apis", "--function", "hello",
                                               "--region", "cn-north-1", "--account", "123456789012"))
        self.put_zip(hello(1))
        self.d.put_plan("hello.yaml", service("rest").replace("arn:aws:iam", "arn:aws-cn:iam"))
        self.as_declared()
        lam = self.world.client("lambda", region="cn-north-1")
        statement = json.loads(lam.get_policy(FunctionName="hello", Qualifier="prod")["Policy"])["Statement"][0]
        lam.close()
        self.assertTrue(statement["Resource"].startswith("arn:aws-cn:lambda:cn-north-1:"), statement)
        self.assertTrue(statement["Condition"]["ArnLike"]["AWS:SourceArn"].startswith("arn:aws-cn:execute-api:"))

    def test_rest(self):
        self.KIND = "rest"
        sent = self.keep_with("create-function", "create-rest-apis")
        self.assertLessEqual({"CreateFunction", "CreateApi", "PutIntegration", "CreateStage"}, sent)

    def test_http(self):
        self.KIND = "http"
        sent = self.keep_with("create-function", "create-http-apis")
        self.assertLessEqual({"CreateFunction", "CreateApi", "CreateRoute", "CreateStage"}, sent)


if __name__ == "__main__":
    unittest.main()
