#!/usr/bin/python3
"""rolloutctl watch: lines where stdout is no terminal, frames where it is one."""

import json
import os
import re
import signal
import termios
import time
import unittest

from control_server import DEADLINE, Case, make_rollout, plain


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

    def test_the_event_of_the_end_is_heard_even_when_it_comes_last(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.start("watch", "hello-prod")
        control.wait_for(lambda: [r for r in control.asked("GET /v1/events") if "follow=1" in r[1]])
        control.last_words = ("phase", "the end")
        control.put(make_rollout(phase="succeeded"))
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertIn("hello-prod phase the end\n", p.stdout.read())

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

    def test_the_daemon_has_not_read_the_plan_yet(self):
        control = self.serve()
        p = self.start("watch", "hello-prod")
        control.wait_for(lambda: len(control.asked("GET /v1/rollouts/hello-prod")) >= 2)
        control.announce("hello-prod", "accepted", "accepted from hello.yaml")
        control.put(make_rollout(phase="succeeded"))
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertIn("hello-prod succeeded, 25% on version 2", p.stdout.read())

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
        at = t.expect(r"weight +\x1b\[0m25% on version 2")
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

    def test_the_newest_events_are_those_with_room(self):
        control = self.serve()
        control.put(make_rollout())
        for i in range(1, 9):
            control.announce("hello-prod", "weight", f"number {i}")
            control.announce("hello-prod", "intent", f"before number {i + 1}")
        t = self.terminal("watch", "hello-prod", columns=80, rows=22)
        at = t.expect("number 8.*Ctrl-C ends watching")
        frame = plain(t.text[t.text.rindex("attempt 1", 0, at):])
        self.assertIn("number 7", frame)
        self.assertNotIn("number 3", frame)
        self.assertNotIn("before", frame)

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

    def test_a_long_reason_is_broken_at_its_words(self):
        control = self.serve()
        control.put(make_rollout(reason="the alias was changed by somebody else at half past ten in the night: " * 2))
        t = self.terminal("watch", "hello-prod", columns=80)
        t.expect(r"Ctrl-C ends watching")
        lines = plain(t.text).replace("\r", "").split("\n")
        self.assertRegex(lines[1], "^progressing: the alias was changed by somebody else at half past ten in the +$")
        self.assertRegex(lines[2], "^ {14}night: the alias was changed by ")
        self.assertRegex(lines[3], "^ {14}.* night: ?$")

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


if __name__ == "__main__":
    unittest.main()
