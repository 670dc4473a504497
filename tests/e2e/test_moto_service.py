#!/usr/bin/env python3
"""rolloutd keeping a whole service against moto: from nothing to three stages, a second look that changes nothing,
drift, and kill -9 after every call that changes something. moto serves no stage, so none is probed; the end is read
with boto3.

# runner: timeout 400
"""

import json
import os
import signal
import unittest

from moto_case import REGION, MotoCase, zipped
from rolloutd_case import wait_for
from service_case import Breaker

POINTS_MAX = 60
ACCOUNT = "123456789012"


class Moto(MotoCase):
    def service(self, name):
        return (f"apiVersion: rolloutd/v1\nkind: Service\nname: {name}\nfunction: {name}\n"
                f"code: {{zip: {name}.zip}}\n"
                f"create: {{role: '{self.role}', runtime: python3.12, handler: index.handler}}\n"
                "aliases:\n  dev: $LATEST\n  test: {version: latest, rollout: {strategy: AllAtOnce}}\n"
                "  prod: {version: 1}\n"
                f"api:\n  name: {name}-api\n"
                "  routes: [{method: GET, path: /hello}, {method: POST, path: /hello/again}]\n"
                "  stages: {dev: dev, test: test, prod: prod}\ncheck_every: 10s\n")

    def put(self, d, name, text):
        path = os.path.join(d.plans, f"{name}.zip")
        with open(path + ".new", "wb") as f:
            f.write(zipped(text))
        os.rename(path + ".new", path)

    def keep(self, d, name):
        self.put(d, name, f"{name} one")
        d.put_plan(f"{name}.yaml", self.service(name))

    def read(self, name):
        """What moto has of it."""
        self.check_signatures(False)
        try:
            return self.read_unchecked(name)
        finally:
            self.check_signatures(True)

    def read_unchecked(self, name):
        apis = [a["id"] for a in self.rest.get_rest_apis()["items"] if a["name"] == f"{name}-api"]
        items = [i for a in apis for i in self.rest.get_resources(restApiId=a)["items"]]
        stages = [s for a in apis for s in self.rest.get_stages(restApiId=a)["item"]]
        deployments = {d["id"] for a in apis for d in self.rest.get_deployments(restApiId=a)["items"]}
        statements = json.loads(self.lam.get_policy(FunctionName=name)["Policy"])["Statement"]
        self.assertLessEqual({s["deploymentId"] for s in stages}, deployments)
        return {
            "apis": len(apis),
            "versions": [v["Version"] for v in self.lam.list_versions_by_function(FunctionName=name)["Versions"]],
            "aliases": {a["Name"]: a["FunctionVersion"] for a in self.lam.list_aliases(FunctionName=name)["Aliases"]},
            "methods": sorted(f"{m} {i['path']}" for i in items for m in i.get("resourceMethods", {})),
            "resources": sorted(i["path"] for i in items),
            "stages": {s["stageName"]: s["variables"] for s in stages},
            "sources": sorted(s["Condition"]["ArnLike"]["AWS:SourceArn"].replace(apis[0], "API") for s in statements),
        }

    WHOLE = {
        "apis": 1,
        "versions": ["$LATEST", "1"],
        "aliases": {"dev": "$LATEST", "test": "1", "prod": "1"},
        "methods": ["GET /hello", "POST /hello/again"],
        "resources": ["/", "/hello", "/hello/again"],
        "stages": {s: {"lambdaAlias": s} for s in ("dev", "test", "prod")},
        "sources": [f"arn:aws:execute-api:{REGION}:{ACCOUNT}:API/{s}/*" for s in ("dev", "prod", "test")],
    }

    def changes_made(self, d, name):
        return d.get(f"/v1/rollouts/{name}")[1]["changes_made"]

    def look_again(self, d, name):
        d.post(f"/v1/rollouts/{name}/resume")
        self.phase(d, name, "succeeded")

    def test_from_nothing_and_again(self):
        d = self.begin()
        self.keep(d, "nothing")
        self.phase(d, "nothing", "succeeded")
        self.assertEqual(self.read("nothing"), self.WHOLE)
        made = self.changes_made(d, "nothing")
        self.look_again(d, "nothing")
        self.assertEqual(self.changes_made(d, "nothing"), made)
        self.assertEqual(self.read("nothing"), self.WHOLE)

    def test_drift(self):
        d = self.begin()
        self.keep(d, "drift")
        self.phase(d, "drift", "succeeded")
        self.check_signatures(False)
        api = next(a["id"] for a in self.rest.get_rest_apis()["items"] if a["name"] == "drift-api")
        self.rest.delete_stage(restApiId=api, stageName="test")
        self.rest.update_stage(restApiId=api, stageName="dev", patchOperations=[
            {"op": "replace", "path": "/variables/lambdaAlias", "value": "prod"}])
        self.check_signatures(True)
        self.look_again(d, "drift")
        self.assertEqual(self.read("drift"), self.WHOLE)

    def test_new_code(self):
        d = self.begin()
        self.keep(d, "update")
        self.phase(d, "update", "succeeded")
        self.put(d, "update", "update two")
        wait_for("version 2 on test", lambda: self.read("update")["aliases"]["test"] == "2")
        self.phase(d, "update", "succeeded")
        self.assertEqual(self.read("update"), {**self.WHOLE, "versions": ["$LATEST", "1", "2"],
                                              "aliases": {"dev": "$LATEST", "test": "2", "prod": "1"}})

    def killed_after(self, nth):
        """What the nth change was; None: there were fewer."""
        name, struck = f"kill-{nth}", []
        case = Moto("run")
        case.setUp()
        try:
            d = case.daemon(start=False, environment={
                "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": self.key[0], "AWS_SECRET_ACCESS_KEY": self.key[1],
                "AWS_SESSION_TOKEN": ""})
            breaker = Breaker(self.url, nth, lambda: (os.kill(d.process.pid, signal.SIGKILL), struck.append(True)))
            case.stack.callback(breaker.close)
            d.environment["AWS_ENDPOINT_URL"] = breaker.url()
            d.start()
            self.keep(d, name)
            wait_for("an end or the kill", lambda: struck or self.is_done(d, name))
            if struck:
                d.process.wait()
                d.environment["AWS_ENDPOINT_URL"] = self.url
                d.start()
                self.phase(d, name, "succeeded")
            self.assertEqual(self.read(name), self.WHOLE, breaker.changes)
            return breaker.changes[nth - 1] if struck else None
        finally:
            case.doCleanups()

    def is_done(self, d, name):
        try:
            return self.status(d, name, ("succeeded",))
        except OSError:
            return None

    def test_killed_after_every_change(self):
        done = []
        for nth in range(1, POINTS_MAX):
            what = self.killed_after(nth)
            if not what:
                break
            done.append(what)
        self.assertGreaterEqual(len(done), 18, done)


if __name__ == "__main__":
    unittest.main()
