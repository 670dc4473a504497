#!/usr/bin/python3
"""Every operation that the daemon sends to AWS, with every fault that can strike it: a name that is not found, a port
where nobody listens, a certificate that is not to be trusted, no answer before or after it took effect, an answer that
drips, too many requests, AWS's own errors, a page of HTML with 200, 404 and 502, and answers that break off.

Whatever it is, the user reads what was asked of AWS and what is wrong; once it is over, all ends as it does without any
fault, and nothing took effect twice. The tables and the checks are in operations.py.

# runner: timeout 300
"""

import os
import shutil
import unittest

import operations
from authority import the_authority
from faults import ALL, figure, side_by_side

AT_A_TIME = 28  # they wait for time-outs and metrics most of their time
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib/engine/operations.c")


def setUpModule():
    if not shutil.which("openssl"):
        raise unittest.SkipTest("openssl is not there")
    unittest.addModuleCleanup(the_authority().close)  # made before any thread asks for it


def cells():
    """All of them, or each operation once, with all faults in turn."""
    faults = operations.FAULTS
    if ALL:
        return [(o, f) for o in operations.OPERATIONS for f in faults]
    return [(o, faults[5 * n % len(faults)]) for n, o in enumerate(operations.OPERATIONS)]


@unittest.skipUnless(os.path.exists(operations.LIBRARY), f"{operations.LIBRARY} was not built")
class Operations(unittest.TestCase):
    def test_no_operation_is_left_out(self):
        with open(SOURCE, encoding="utf-8") as f:
            names = {line.split('"')[1] for line in f if "[OPERATION_" in line and '"' in line}
        self.assertGreater(len(names), 30)
        self.assertEqual({o.name for o in operations.OPERATIONS + operations.DOCTOR}, names)

    def test_every_fault_is_tried(self):
        self.assertEqual({f.name for _, f in cells()}, {f.name for f in operations.FAULTS})

    def test_each_operation_with_each_fault(self):
        done = side_by_side(operations.one, cells(), AT_A_TIME)
        figure("operation faults", len(done))

    def test_doctor_in_the_midst_of_each_fault(self):
        faults = operations.FAULTS if ALL else operations.FAULTS[::4]
        met = side_by_side(operations.doctor, [(f,) for f in faults], AT_A_TIME)
        figure("operation faults met by doctor", sum(met))


if __name__ == "__main__":
    unittest.main()
