#!/usr/bin/python3
"""rollout-localaws's CloudWatch as boto3 sees it: metrics of Lambda and of clients, paging, late reports, alarms.

Debian 12's boto3 speaks CloudWatch's query protocol, newer ones its JSON protocol: run with both, this tests both.
"""

import datetime
import unittest

import botocore.exceptions

from localaws_case import WORLD, Case, dimensions, query


class Metrics(Case):
    WORLD = WORLD + """
traffic:
  - {function: hello, alias: half, rps: 40, arrival: even, users: 100}
  - {function: hello, alias: bad, rps: 10, users: 50}
"""

    def get(self, queries, minutes=10, **kwargs):
        end = self.server.now()
        got = self.cw.get_metric_data(StartTime=end - datetime.timedelta(minutes=minutes), EndTime=end,
                                      MetricDataQueries=queries, **kwargs)
        return {r["Id"]: r for r in got["MetricDataResults"]}, got

    def test_lambda_metrics(self):
        self.server.advance("6m")
        by_version = [query(f"{m[0].lower()}{v}", m, dimensions("hello", "hello:half", v))
                      for v in ("1", "2") for m in ("Invocations", "Errors", "Throttles")]
        results, _ = self.get(by_version + [
            query("all", "Invocations", dimensions("hello", "hello:half")),
            query("swapped", "Invocations", list(reversed(dimensions("hello", "hello:half", "1")))),
            query("wrong", "Invocations", dimensions("hello", "half", "1")),
            query("less", "Invocations", dimensions("hello", None, "1")),
            query("function", "Invocations", dimensions("hello")),
            query("badErrors", "Errors", dimensions("hello", "hello:bad")),
            query("badInvocations", "Invocations", dimensions("hello", "hello:bad")),
            query("unweighted", "Invocations", dimensions("hello", "hello:bad", "3")),
        ], ScanBy="TimestampAscending")
        self.assertEqual(results["all"]["Values"][1:4], [2400.0] * 3, "40 a second, evenly")
        self.assertEqual(results["all"]["StatusCode"], "Complete")
        self.assertEqual([a + b for a, b in zip(results["i1"]["Values"], results["i2"]["Values"])],
                         results["all"]["Values"])
        self.assertTrue(all(1050 < v < 1350 for v in results["i1"]["Values"][1:]), results["i1"]["Values"])
        self.assertEqual(results["swapped"]["Values"], results["i1"]["Values"])
        self.assertEqual(results["e1"]["Values"], [0.0] * len(results["i1"]["Values"]))
        self.assertEqual(set(results["t1"]["Values"]), {0.0})
        self.assertEqual((results["wrong"]["Values"], results["less"]["Values"]), ([], []))
        self.assertEqual(results["unweighted"]["Values"], [], "no ExecutedVersion without weights")
        whole = [a + b for a, b in zip(results["all"]["Values"], results["badInvocations"]["Values"])]
        self.assertEqual(results["function"]["Values"], whole)
        errors, served = sum(results["badErrors"]["Values"]), sum(results["badInvocations"]["Values"])
        self.assertTrue(0.4 < errors / served < 0.6, (errors, served))
        stamps = results["all"]["Timestamps"]
        self.assertTrue(all(t.second == 0 for t in stamps))
        # The delay of 60 s: what ended less than a minute ago is not there.
        self.assertLessEqual(stamps[-1] + datetime.timedelta(minutes=2), self.server.now())

    def test_executed_version_may_go_on(self):
        self.server.admin("PUT", "metrics", {"executed_version": "always"})
        self.server.advance("4m")
        results, _ = self.get([query("v", "Invocations", dimensions("hello", "hello:bad", "3"))])
        self.assertTrue(results["v"]["Values"])

    def test_statistics(self):
        self.server.advance("5m")
        dims = dimensions("hello", "hello:half", "1")
        stats = ("Sum", "SampleCount", "Average", "Minimum", "Maximum", "p50", "p99")
        results, _ = self.get([query(s.lower(), "Duration", dims, s) for s in stats])
        values = {s: results[s.lower()]["Values"][0] for s in stats}
        self.assertAlmostEqual(values["Average"], values["Sum"] / values["SampleCount"])
        self.assertTrue(values["Minimum"] < values["p50"] < values["Average"] < values["p99"] <= values["Maximum"],
                        values)
        self.assertTrue(18 <= values["p50"] <= 22 and 60 < values["p99"] < 105, values)
        self.assertEqual(results["p99"]["Label"], "Duration p99")
        end = self.server.now()
        plain = self.cw.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="Duration", Dimensions=dims, Period=60,
            StartTime=end - datetime.timedelta(minutes=10), EndTime=end, Statistics=["Sum", "Maximum"])
        newest = max(plain["Datapoints"], key=lambda p: p["Timestamp"])
        self.assertEqual((newest["Sum"], newest["Maximum"], newest["Unit"]),
                         (values["Sum"], values["Maximum"], "Milliseconds"))
        extended = self.cw.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="Duration", Dimensions=dims, Period=60,
            StartTime=end - datetime.timedelta(minutes=10), EndTime=end, ExtendedStatistics=["p99"])
        newest = max(extended["Datapoints"], key=lambda p: p["Timestamp"])
        self.assertEqual(newest["ExtendedStatistics"], {"p99": values["p99"]})

    def test_paging(self):
        self.server.advance("8m")
        queries = [query("a", "Invocations", dimensions("hello", "hello:half", "1")),
                   query("b", "Errors", dimensions("hello", "hello:half", "1"))]
        for order in ("TimestampAscending", "TimestampDescending"):
            whole, _ = self.get(queries, ScanBy=order)
            self.assertGreater(len(whole["a"]["Values"]), 4)
            found = {"a": [], "b": []}
            kwargs = {}
            for _ in range(20):
                page, answer = self.get(queries, ScanBy=order, MaxDatapoints=3, **kwargs)
                for id_, result in page.items():
                    found[id_] += list(zip(result["Timestamps"], result["Values"]))
                if "NextToken" not in answer:
                    break
                cut = answer["MetricDataResults"][-1]
                self.assertEqual(cut["StatusCode"], "PartialData")
                kwargs = {"NextToken": answer["NextToken"]}
            self.assertEqual(found, {i: list(zip(r["Timestamps"], r["Values"])) for i, r in whole.items()})
        with self.assertRaises(botocore.exceptions.ClientError):
            self.get(queries, NextToken="made up")

    def test_refusals(self):
        dims = dimensions("hello")
        end = self.server.now()
        start = end - datetime.timedelta(minutes=10)

        def refused(*queries, code="ValidationError", **kwargs):
            return self.message(code, 400, self.cw.get_metric_data, **{
                "StartTime": start, "EndTime": end, "MetricDataQueries": list(queries), **kwargs})

        good = query("a", "Errors", dims)
        self.assertIn("'a' is undefined", refused({"Id": "e", "Expression": "a/b"}))
        self.assertIn("not unique", refused(good, good))
        self.assertIn("'A'", refused(query("A", "Errors", dims)))
        self.assertIn("500", refused(*[query(f"q{i}", "Errors", dims) for i in range(501)]))
        self.assertIn("must be", refused(query("a", "Errors", dims, period=7), code="InvalidParameterValue"))
        self.assertIn("StartTime must be less", refused(good, StartTime=end, EndTime=start))
        self.assertIn("tm90", refused(query("a", "Errors", dims, stat="tm90")))
        self.assertIn("1440", self.message(
            "InvalidParameterCombination", 400, self.cw.get_metric_statistics, Namespace="N", MetricName="M",
            StartTime=end - datetime.timedelta(days=1), EndTime=end, Period=1, Statistics=["Sum"]))

    def test_jitter_and_late_reports(self):
        self.server.admin("PUT", "metrics", {"late": {"share": "25%", "by": "3m"}})
        # Where the next whole minute begins.
        into = self.server.now().timestamp() % 60
        self.server.advance(f"{round((60 - into) * 1000)}ms")
        start = self.server.now()
        self.server.advance("3m")
        queries = [query("a", "Invocations", dimensions("hello", "hello:half"))]

        def first_minute():
            results, _ = self.get(queries, minutes=20, ScanBy="TimestampAscending")
            found = dict(zip(results["a"]["Timestamps"], results["a"]["Values"]))
            return found[start.replace(microsecond=0)]

        self.assertTrue(1600 < first_minute() < 2000, first_minute())
        self.server.advance("3m")
        self.assertEqual(first_minute(), 2400.0)
        self.server.admin("PUT", "metrics", {"jitter": "10m"})
        results, _ = self.get(queries, minutes=20)
        self.assertLess(len(results["a"]["Values"]), 5)

    def test_faults_of_metrics(self):
        self.server.advance("8m")
        queries = [query("a", "Invocations", dimensions("hello", "hello:half", "1")),
                   query("b", "Errors", dimensions("hello", "hello:half", "2"))]
        whole, _ = self.get(queries)
        for fault, status, left in (("metrics_missing", "Complete", 0), ("metrics_error", "InternalError", 0),
                                    ("metrics_partial", "PartialData", len(whole["b"]["Values"]) // 2)):
            self.server.admin("PUT", "faults", [{"fault": fault, "metric": "Errors", "version": "2", "times": 1}])
            struck, _ = self.get(queries)
            self.assertEqual((struck["b"]["StatusCode"], len(struck["b"]["Values"])), (status, left), fault)
            self.assertEqual(struck["a"]["Values"], whole["a"]["Values"])
            self.assertEqual(self.get(queries)[0]["b"]["Values"], whole["b"]["Values"], "once only")
        self.server.admin("PUT", "faults", [{"fault": "metrics_delay", "delay": "2m"}])
        delayed, _ = self.get(queries)
        self.assertEqual(len(delayed["a"]["Values"]), len(whole["a"]["Values"]) - 2)

    def test_users(self):
        self.server.advance("1m")
        hello = self.server.admin("GET", "counters")["functions"]["hello"]
        bad = hello["versions"]["3"]
        self.assertEqual(hello["users"], 100)
        self.assertTrue(0 < bad["users_with_errors"] <= bad["users"] <= 50, bad)
        self.assertTrue(bad["first_ms"] <= bad["first_error_ms"] <= bad["last_error_ms"] <= bad["last_ms"])
        stopped = self.server.admin("PUT", "traffic", [{"function": "hello", "alias": "bad", "rps": 0},
                                                       {"function": "hello", "alias": "half", "rps": 0}])
        self.assertEqual([t["rps"] for t in stopped], [0, 0])
        before = self.server.admin("GET", "counters")["functions"]
        self.server.advance("5m")
        self.assertEqual(self.server.admin("GET", "counters")["functions"], before)

    def test_list_metrics(self):
        self.server.advance("1m")
        found = self.cw.list_metrics(Namespace="AWS/Lambda", MetricName="Errors",
                                     Dimensions=[{"Name": "Resource", "Value": "hello:half"}])["Metrics"]
        self.assertEqual(sorted(len(m["Dimensions"]) for m in found), [2, 3, 3])


class CustomMetrics(Case):
    def put(self, *data):
        return self.cw.put_metric_data(Namespace="Mine", MetricData=list(data))

    def test_put_and_get(self):
        now = self.server.now()
        dims = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]
        self.put({"MetricName": "m", "Value": 4.0, "Unit": "Count", "Timestamp": now, "Dimensions": dims},
                 {"MetricName": "m", "Values": [1.0, 10.0], "Counts": [3.0, 1.0], "Unit": "Count", "Timestamp": now,
                  "Dimensions": dims},
                 {"MetricName": "s", "Timestamp": now,
                  "StatisticValues": {"SampleCount": 2, "Sum": 5, "Minimum": 1, "Maximum": 4}})
        got = self.cw.get_metric_data(
            StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=1),
            MetricDataQueries=[query(s.lower(), "m", list(reversed(dims)), s, namespace="Mine")
                               for s in ("Sum", "SampleCount", "Maximum", "p50")] +
            [query("other", "s", [], "Average", namespace="Mine"), query("none", "m", [], namespace="Mine")])
        values = {r["Id"]: r["Values"] for r in got["MetricDataResults"]}
        self.assertEqual(values, {"sum": [17.0], "samplecount": [5.0], "maximum": [10.0], "p50": [1.0], "other": [2.5],
                                  "none": []})

    def test_refusals(self):
        combination, value = "InvalidParameterCombination", "InvalidParameterValue"
        self.assertEqual(
            self.put_refused(combination, {"MetricName": "m", "Value": 1, "Values": [1.0]}),
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you "
            "have specified both.")
        self.assertEqual(
            self.put_refused(value, {"MetricName": "m", "Values": [1.0, 2.0], "Counts": [1.0]}),
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.")
        self.put_refused(value, {"MetricName": "m", "Value": 1,
                                 "Timestamp": self.server.now() - datetime.timedelta(days=20)})
        self.refused(value, 400, self.cw.put_metric_data, Namespace="AWS/Lambda",
                     MetricData=[{"MetricName": "Errors", "Value": 1}])

    def put_refused(self, code, datum):
        return self.message(code, 400, self.cw.put_metric_data, Namespace="Mine", MetricData=[datum])


class Alarms(Case):
    def put(self, **kwargs):
        self.cw.put_metric_alarm(**{
            "AlarmName": "high", "Namespace": "AWS/Lambda", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 2, "Threshold": 30.0, "ComparisonOperator": "GreaterThanThreshold",
            "Dimensions": dimensions("hello", "hello:bad"), **kwargs})

    def state(self, name="high", **kwargs):
        return self.cw.describe_alarms(AlarmNames=[name], **kwargs)["MetricAlarms"][0]

    def traffic(self, rps):
        self.server.admin("PUT", "traffic", [{"function": "hello", "alias": "bad", "rps": rps, "arrival": "even"}])

    def test_judged_on_the_series(self):
        self.put()
        made = self.state()
        self.assertEqual((made["StateValue"], made["StateReason"]),
                         ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation"))
        self.assertEqual((made["Threshold"], made["Period"], made["Dimensions"]),
                         (30.0, 60, dimensions("hello", "hello:bad")))
        self.assertEqual(made["AlarmArn"], "arn:aws:cloudwatch:us-east-1:123456789012:alarm:high")
        self.assertIsInstance(made["StateUpdatedTimestamp"], datetime.datetime)
        self.traffic(10)
        self.server.advance("6m")
        self.assertEqual(self.state()["StateValue"], "ALARM")
        self.assertIn("greater than the threshold (30", self.state()["StateReason"])
        self.server.admin("PUT", "functions/hello/versions/3", {"error_rate": 0})
        self.server.advance("6m")
        self.assertEqual(self.state()["StateValue"], "OK")
        self.traffic(0)
        self.server.advance("10m")
        self.assertEqual(self.state()["StateValue"], "INSUFFICIENT_DATA")
        self.put(TreatMissingData="notBreaching")
        self.server.advance("1m")
        self.assertEqual(self.state()["StateValue"], "OK")
        self.put(TreatMissingData="breaching")
        self.server.advance("1m")
        self.assertEqual(self.state()["StateValue"], "ALARM")

    def test_one_of_two_periods(self):
        self.put(Threshold=0.0, DatapointsToAlarm=1)
        self.server.admin("PUT", "functions/hello/versions/3", {"error_rate": 0})
        self.traffic(10)
        self.server.advance("5m")
        self.assertEqual(self.state()["StateValue"], "OK")
        self.server.admin("PUT", "functions/hello/versions/3", {"error_rate": 1})
        self.server.advance("1m")
        self.server.admin("PUT", "functions/hello/versions/3", {"error_rate": 0})
        self.server.advance("2m")
        self.assertEqual(self.state()["StateValue"], "ALARM")
        self.server.advance("5m")
        self.assertEqual(self.state()["StateValue"], "OK")

    def test_set_delete_and_composite(self):
        self.put()
        self.cw.put_composite_alarm(AlarmName="both", AlarmRule='ALARM("high")')
        self.cw.set_alarm_state(AlarmName="both", StateValue="ALARM", StateReason="because")
        self.assertEqual(self.cw.describe_alarms(AlarmNames=["both"])["MetricAlarms"], [])
        self.assertEqual(self.cw.describe_alarms(AlarmNames=["both"])["CompositeAlarms"], [])
        both = self.cw.describe_alarms(AlarmNames=["both", "high"], AlarmTypes=["CompositeAlarm", "MetricAlarm"])
        self.assertEqual([(a["AlarmName"], a["StateValue"]) for a in both["CompositeAlarms"]], [("both", "ALARM")])
        self.assertEqual(len(both["MetricAlarms"]), 1)
        self.assertEqual(self.message("ValidationError", 400, self.cw.set_alarm_state, AlarmName="high",
                                      StateValue="INVALID", StateReason="x"),
                         "1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: "
                         "Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]")
        self.refused_not_found(self.cw.set_alarm_state, AlarmName="nobody", StateValue="OK", StateReason="x")
        self.refused_not_found(self.cw.delete_alarms, AlarmNames=["high", "nobody"])
        self.cw.delete_alarms(AlarmNames=["high", "both"])
        self.assertEqual(self.cw.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"])["CompositeAlarms"], [])

    def refused_not_found(self, call, **kwargs):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**kwargs)
        self.assertIn(caught.exception.response["Error"]["Code"], ("ResourceNotFound", "ResourceNotFoundException"))
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 404)

    def test_describe_is_paged_and_filtered(self):
        self.server.admin("PUT", "alarms", [{"name": f"a{i:03}", "state": "ALARM" if i % 2 else "OK"}
                                            for i in range(7)])
        pages = list(self.cw.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 3}))
        self.assertEqual([len(p["MetricAlarms"]) for p in pages], [3, 3, 1])
        self.assertEqual(len(self.cw.describe_alarms(StateValue="ALARM")["MetricAlarms"]), 3)
        self.assertEqual(len(self.cw.describe_alarms(AlarmNamePrefix="a00")["MetricAlarms"]), 7)


if __name__ == "__main__":
    unittest.main(verbosity=1)
