#!/usr/bin/env python3
"""Makes retries.json with botocore: which errors are throttling and which are transient, and what its adaptive mode makes
of series of answers (times in ms, whether throttled; the rate measured and the rate to keep to after each).

    python3 tests/vectors/make_retries.py > tests/vectors/retries.json

The output depends on nothing but this file and botocore's constants; tests/e2e/test_endpoints.py compares it with the
botocore that is installed. It was made with botocore 1.43.11.
"""
import json
import random
import sys

from botocore.retries import adaptive, bucket, standard, throttling


class Clock(bucket.Clock):
    def __init__(self, now):
        self.now = now

    def current_time(self):
        return self.now


class Detector:
    """Stands in for botocore's own, as answers are only told apart by this here."""

    @staticmethod
    def is_throttling_error(throttled):
        return throttled


def series():
    """Name -> (start, [(ms, throttled)]): steady, a storm, an outage, a trickle, and what chance gives."""
    out = {}
    out["steady, then throttled now and then"] = [(t, t % 5000 == 0 and t > 0) for t in range(0, 30000, 100)]
    out["storm"] = [(t, 4000 <= t < 7000) for t in range(0, 20000, 40)]
    out["throttled from the first"] = [(t, t < 2000) for t in range(0, 12000, 250)]
    out["a trickle"] = [(t, t in (0, 60000)) for t in range(0, 600000, 20000)]
    out["after a long silence"] = [(t, t < 300) for t in range(0, 1000, 100)] + [(t, False) for t in
                                                                                range(3600000, 3605000, 50)]
    chance = random.Random(5)
    now, answers = 0, []
    for _ in range(400):
        now += chance.choice((1, 5, 20, 80, 400, 1500))
        answers.append((now, chance.random() < 0.1))
    out["by chance"] = answers
    return out


def run(answers, start_ms=5000):
    clock = Clock(start_ms / 1000)
    limiter = adaptive.ClientRateLimiter(
        rate_adjustor=throttling.CubicCalculator(starting_max_rate=0, start_time=clock.current_time()),
        rate_clocker=(clocker := adaptive.RateClocker(clock)),
        token_bucket=(tokens := bucket.TokenBucket(max_rate=1, clock=clock)),
        throttling_detector=Detector, clock=clock)
    out = []
    for ms, throttled in answers:
        clock.now = (start_ms + ms) / 1000
        limiter.on_receiving_response(throttled=throttled)
        out.append([start_ms + ms, throttled, round(clocker.measured_rate, 9), round(tokens.max_rate, 9)])
    return out


def make():
    return {
        "throttling": sorted(standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES),
        "transient": sorted(standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES),
        "transient_statuses": sorted(standard.TransientRetryableChecker._TRANSIENT_STATUS_CODES),
        "start_ms": 5000,
        "series": {name: run(answers) for name, answers in series().items()},
    }


if __name__ == "__main__":
    text = json.dumps(make(), separators=(",", ":"))
    # One answer a line.
    sys.stdout.write(text.replace("],[", "],\n[").replace('],"', '],\n"') + "\n")
