#!/usr/bin/python3
"""The demonstration as `make demo` runs it: what it counts, what it leaves behind, and that it can fail."""
# runner: timeout 240

import os
import pty
import re
import select
import subprocess
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.path.join(TOP, os.environ.get("ROLLOUT_BUILD", "build/release")))
DEMO = os.path.join(TOP, "tests/demo/run")
LIMIT = 90  # seconds


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="demo-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.tmp = os.path.join(folder.name, "tmp")
        os.mkdir(self.tmp)

    def environment(self, **more):
        # A proxy, another endpoint or keys of the caller's must not lead the demo anywhere.
        return {"PATH": os.environ["PATH"], "TMPDIR": self.tmp, "LC_ALL": "C", "ROLLOUT_BUILD": BUILD,
                "http_proxy": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1",
                "AWS_SESSION_TOKEN": "not to be used", "ROLLOUTD_SOCKET": "/nonexistent/control.sock",
                "HOME": self.tmp, **more}  # fmt: skip

    def run_demo(self, **more):
        return subprocess.run([DEMO], env=self.environment(**more), stdin=subprocess.DEVNULL, timeout=LIMIT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip

    def left_running(self):
        """Command lines of what still runs in the demo's folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd").startswith(self.tmp):
                    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                        found.append(f.read().replace("\0", " "))
            except OSError:
                continue
        return found

    def assert_nothing_left(self):
        self.assertEqual(os.listdir(self.tmp), [])
        self.assertEqual(self.left_running(), [])

    def test_without_a_terminal(self):
        p = self.run_demo()
        self.assertEqual(p.returncode, 0, p.stdout)
        self.assertTrue(p.stdout.isascii())
        self.assertNotIn("\x1b", p.stdout)
        self.assertEqual(len(re.findall(r"^    (dev|test|prod) +http://127\S+/\1/_user_request_/hello  ->  Hello V1$",
                                        p.stdout, re.M)), 3, p.stdout)  # fmt: skip
        self.assertIn("hello.prod succeeded, 100% on version 2\n", p.stdout)
        self.assertRegex(p.stdout, "\nhello.prod rolled-back, 0% on version 3: the canary failed ")
        self.check_steps(p.stdout)
        self.check_tables(p.stdout)
        self.assertRegex(p.stdout, r"\n  Seconds until prod was back on version 2: \d+\.\d\n")
        self.assert_nothing_left()

    def check_steps(self, text):
        """While prod moved, users got about as much of version 2 as its weight says, and no failure."""
        rows = re.findall(r"^ +(\d+)% +(\d+) +(\d+\.\d)% +(-?\d+)$", text, re.M)
        self.assertEqual([int(weight) for weight, *_ in rows], [0, 10, 25, 50, 100], text)
        for weight, answers, share, failed in rows:
            self.assertGreater(int(answers), 10)
            self.assertLess(abs(float(share) - int(weight)), 12, text)  # fewer than 4 standard deviations, and 200 ms
            self.assertEqual(int(failed), 0)

    def check_tables(self, text):
        """Every request is in one column."""
        rows = [(stage, *map(int, numbers)) for stage, *numbers in
                re.findall(r"^  (dev|test|prod) +(\d+) +(\d+) +(\d+) +(\d+)$", text, re.M)]
        self.assertEqual([row[0] for row in rows], ["dev", "test", "prod"] * 2, text)
        good, bad = rows[:3], rows[3:]
        for _, requests, old, new, failed in good:
            self.assertEqual((old + new, failed), (requests, 0))
            self.assertGreater(min(old, new), 50)
        for _, requests, old, new, failed in bad:
            self.assertEqual(old + new + failed, requests)
            self.assertGreater(failed, 0)
        total = sum(row[1] for row in good)
        self.assertIn(f"\n  Requests that failed because of the update to version 2: 0 of {total}\n", text)
        met, all_, failed = map(int, re.search(
            r"Requests to prod that met version 3: (\d+) of (\d+) \(.*\)\n *Of these, that it failed: (\d+)\n",
            text).groups())
        self.assertEqual((met, all_, failed), (bad[2][3] + bad[2][4], bad[2][1], bad[2][4]))
        self.assertLess(met / all_, 0.25)

    def test_counts_that_are_wrong_fail_it(self):
        """One of the client's three URLs is none that the API has."""
        shim = os.path.join(self.folder, "shim")
        os.makedirs(os.path.join(shim, "bench"))
        for name in ("rolloutd", "rolloutctl", "rollout-localaws"):
            os.symlink(os.path.join(BUILD, name), os.path.join(shim, name))
        with open(os.path.join(shim, "bench/hammer"), "w", encoding="utf-8") as f:
            pattern = "dev\\/_user_request_\\/hello/dev/_user_request_/no"
            f.write(f'#!/bin/bash\nexec {BUILD}/bench/hammer "${{@/{pattern}}}"\n')
        os.chmod(f.name, 0o755)
        p = self.run_demo(ROLLOUT_BUILD=shim)
        self.assertEqual(p.returncode, 1, p.stdout)
        self.assertIn("demo: not as it should be: no request fails because of the update to version 2\n", p.stdout)
        self.assert_nothing_left()

    def test_what_does_not_start_is_named(self):
        p = self.run_demo(ROLLOUT_BUILD=os.path.join(self.folder, "nothing"))
        self.assertEqual(p.returncode, 1)
        self.assertIn("nothing/rollout-localaws is not there. Build it first: make all hammer", p.stdout)
        self.assert_nothing_left()

    def test_control_c_on_a_terminal(self):
        pid, master = pty.fork()
        if pid == 0:
            os.execve(DEMO, [DEMO], self.environment(TERM="xterm", LC_ALL="C.UTF-8"))
        self.addCleanup(os.close, master)
        text = self.read_until(master, "", "Ctrl-C ends watching")
        self.assertIn("\x1b[?25l", text)
        self.assertEqual(len(self.left_running()), 5, self.left_running())  # the script and its four programs
        os.write(master, b"\x03")
        text = self.read_until(master, text, None)
        self.assertIn("\x1b[?25h", text)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 130)
        self.assert_nothing_left()

    def read_until(self, master, text, word):
        """Reads the terminal until the word is there, or with None until it is closed; gives all there was."""
        end = time.monotonic() + LIMIT
        while word is None or word not in text:
            if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                self.fail(f"waited {LIMIT} s in vain for {word}:\n{text}")
            try:
                text += os.read(master, 65536).decode(errors="replace")
            except OSError:  # EIO: nobody has it open any more
                break
        return text


if __name__ == "__main__":
    unittest.main()
