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
        self.assertIn("hello-prod succeeded, 100% on version 2\n", p.stdout)
        self.assertRegex(p.stdout, "\nhello-prod rolled-back, 0% on version 3: the canary failed ")
        rows = {v: [int(n) for n in rest.split()]
                for v, rest in re.findall(r"^  (V\d) ((?: +\d+){3})   \d+\.\d% of the users$", p.stdout, re.M)}
        self.assertEqual(sorted(rows), ["V1", "V2", "V3"], p.stdout)
        for version in ("V1", "V2"):
            self.assertGreater(rows[version][0], 100)
            self.assertEqual(rows[version][1], 0)
        self.assertGreaterEqual(rows["V3"][0], 20)
        self.assertGreater(rows["V3"][1], 0)
        self.assertIn("\n  Requests that failed because of the update to version 2: 0\n", p.stdout)
        met, users = map(int, re.search(r"Users that met version 3: (\d+) of (\d+) \(", p.stdout).groups())
        self.assertEqual(met, rows["V3"][2])
        self.assertLess(met / users, 0.25)
        self.assertRegex(p.stdout, r"\n  Seconds to roll back: \d+\.\d,\n    of which \d+\.\d after ")
        self.assert_nothing_left()

    def test_counts_that_are_wrong_fail_it(self):
        """Version 2 fails one request in fifty: too few to be rolled back, too many for what the demo promises."""
        shim = os.path.join(self.folder, "shim")
        os.mkdir(shim)
        for name in ("rolloutd", "rolloutctl"):
            os.symlink(os.path.join(BUILD, name), os.path.join(shim, name))
        with open(os.path.join(shim, "rollout-localaws"), "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\nsed -i \'s/"Hello V2"/"Hello V2", error_rate: 2%/\' world.yaml\n'
                    f'exec {BUILD}/rollout-localaws "$@"\n')  # fmt: skip
        os.chmod(f.name, 0o755)
        p = self.run_demo(ROLLOUT_BUILD=shim)
        self.assertEqual(p.returncode, 1, p.stdout)
        self.assertIn("demo: not as it should be: no request fails because of the update to version 2\n", p.stdout)
        self.assert_nothing_left()

    def test_what_does_not_start_is_named(self):
        p = self.run_demo(ROLLOUT_BUILD=os.path.join(self.folder, "nothing"))
        self.assertEqual(p.returncode, 1)
        self.assertIn("nothing/rollout-localaws is not there. Build it first: make", p.stdout)
        self.assert_nothing_left()

    def test_control_c_on_a_terminal(self):
        pid, master = pty.fork()
        if pid == 0:
            os.execve(DEMO, [DEMO], self.environment(TERM="xterm", LC_ALL="C.UTF-8"))
        self.addCleanup(os.close, master)
        text = self.read_until(master, "", "Ctrl-C ends watching")
        self.assertIn("\x1b[?25l", text)
        self.assertEqual(len(self.left_running()), 4, self.left_running())  # the script and its three programs
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
