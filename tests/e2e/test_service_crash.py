#!/usr/bin/python3
"""kill -9 of the daemon after every call that changes something, while it makes a whole service from nothing: after the
call has taken effect, before its answer is known. Started again, it ends as declared, with nothing twice.

# runner: timeout 400
"""

import os
import signal
import unittest

from rollout_case import Operator
from service_case import Breaker, ServiceCase, hello, service

POINTS_MAX = 60


class Rest(ServiceCase):
    def one(self, nth):
        """Kills after the nth change. Gives what it was, or None: there were fewer."""
        self.begin(start=False)
        struck = []

        def kill():
            os.kill(self.d.process.pid, signal.SIGKILL)
            struck.append(True)

        breaker = Breaker(self.world.url, nth, kill)
        self.stack.callback(breaker.close)
        self.d.environment["AWS_ENDPOINT_URL"] = breaker.url()
        self.d.start()
        self.put_zip(hello(1))
        self.d.put_plan("hello.yaml", service(self.KIND))
        try:
            self.wait_for_call("an end or the kill", lambda: struck or self.is_done())
        except OSError:
            pass
        if struck:
            self.d.process.wait()
            self.d.environment["AWS_ENDPOINT_URL"] = self.world.url
            self.d.start()
            self.ctl = Operator(self.d)
            self.as_declared()
        self.assert_whole()
        self.assertEqual(self.versions(), ["$LATEST", "1"], breaker.changes)
        before = self.settled_writes()
        self.assertEqual(self.settled_writes(), before)
        self.assertEqual(self.d.stop(), 0, self.d.log())
        return breaker.changes[nth - 1] if struck else None

    def is_done(self):
        try:
            s = self.ctl.status("hello")
        except OSError:
            return False
        return bool(s) and s["phase"] == "succeeded"

    def every_point(self, least):
        killed_after = []
        for nth in range(1, POINTS_MAX):
            case = type(self)("one")
            case.setUp()
            try:
                what = case.one(nth)
            except AssertionError as e:
                raise AssertionError(f"killed after change {nth} of {killed_after}: {e}") from None
            finally:
                case.doCleanups()
            if not what:
                break
            killed_after.append(what)
        else:
            self.fail(f"still killed after {POINTS_MAX}")
        self.assertGreaterEqual(len(killed_after), least, killed_after)

    def test_after_every_change(self):
        self.every_point(least=15)


class Http(Rest):
    KIND = "http"

    def test_after_every_change(self):
        self.every_point(least=13)


if __name__ == "__main__":
    unittest.main()
