"""bench/hammer for tests: requests to the stages of an API while things happen, and what came of them."""

import json
import os
import subprocess
import tempfile

from rollout_case import wait_long
from rolloutd_case import ROLLOUTD

HAMMER = os.path.join(os.path.dirname(ROLLOUTD), "bench/hammer")


class Hammer:
    """Sends requests from now until `finish`."""

    def __init__(self, urls, connections=32, rate=0):
        self.out = tempfile.TemporaryFile("w+")
        pace = ["--rate", str(rate)] if rate else []
        self.process = subprocess.Popen(
            [HAMMER, "--connections", str(connections), *pace, "--progress", "100", "--until-stdin-closes", *urls],
            stdin=subprocess.PIPE, stdout=self.out)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.out.close()

    def lines(self):
        if self.process.poll() is not None and self.process.returncode != 0:
            raise AssertionError(f"hammer ended with {self.process.returncode}")
        # pread: the file's position is shared with the program that writes there.
        data = os.pread(self.out.fileno(), os.fstat(self.out.fileno()).st_size, 0).decode()
        return [json.loads(line) for line in data.splitlines(True) if line.endswith("\n")]

    def requests(self):
        """So many have ended, as of its last line."""
        lines = self.lines()
        return lines[-1]["requests"] if lines else 0

    def wait_for(self, n):
        """Until so many have ended."""
        wait_long(f"{n} requests to have ended", lambda: self.requests() >= n)

    def finish(self):
        """All that it counted."""
        self.process.stdin.close()
        if self.process.wait(60) != 0:
            raise AssertionError(f"hammer ended with {self.process.returncode}")
        last = self.lines()[-1]
        if not last["done"]:
            raise AssertionError(f"hammer did not say that it is done: {last}")
        return last


def failed_requests(counts, good=("Hello V1", "Hello V2")):
    """What was answered otherwise than by a 200 with one of these bodies, or not at all: one text for each kind."""
    found = []
    for url in counts["urls"]:
        stage = url["url"].split("/_user_request_")[0].rsplit("/", 1)[-1]
        found += [f"{stage}: {a['count']} x {a['status']} {a['body']}" for a in url["answers"]
                  if (a["status"], a["body"]) not in [(200, body) for body in good]]
        found += [f"{stage}: {n} x {how}" for how, n in url["failed"].items() if n]
        if url["other_answers"]:
            found.append(f"{stage}: {url['other_answers']} x something else")
    return found


def answers_of(counts, stage):
    """Body -> its counts, of a stage."""
    (url,) = [u for u in counts["urls"] if f"/{stage}/_user_request_" in u["url"]]
    return {a["body"]: a for a in url["answers"]}
