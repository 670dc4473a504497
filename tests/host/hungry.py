"""A hook that takes all the memory it can get, in a virtual machine, whose kernel enforces the unit's MemoryMax=: the
hook is killed, its rollout fails before any traffic has moved, and the daemon goes on with the others."""

import os
import re
import tempfile
import threading
import time

import machine
import power
import tree

LIMIT = "64M"
HOOK = "#!/bin/sh\n# tail waits for the end of a line that has none, and keeps all of it.\nexec tail /dev/zero\n"
DROPIN = f"[Service]\nMemoryMax={LIMIT}\n"
ENDS = ("hungry: failed", "good: succeeded")


def run(build):
    tree.require_tools("qemu-system-x86_64")
    machine.make_kernel()
    began, wrong = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="hungry-") as folder:
        aws = power.Aws(build, folder)
        plan = power.PLAN.replace("function: {name}", "function: bad")
        files = {
            "etc/rolloutd/plans.d/good.yaml": power.PLAN.format(name="good", version=2, bake=1),
            "etc/rolloutd/plans.d/hungry.yaml": plan.format(name="hungry", version=2, bake=1)
            + "hooks: {pre_traffic: {exec: hungry, timeout: 5m}}\n",
            "etc/systemd/system/rolloutd.service.d/memory.conf": DROPIN,
        }
        ram_disk, over, waited = os.path.join(folder, "hungry.cpio"), threading.Event(), set(ENDS)

        def on_line(text):
            waited.difference_update([e for e in ENDS if text and e in text])
            if text is None or not waited:
                over.set()

        machine.make_ram_disk(build, ram_disk, aws.port, files, hooks={"hungry": HOOK}, disk="true")
        m = machine.Machine(ram_disk, None, on_line)
        if not over.wait(power.BOOT_LIMIT) or waited:
            wrong.append(f"waited in vain for {', '.join(sorted(waited))}")
        m.pull_the_plug()
        m.wait(20)
        changed = aws.changes("bad")
        aws.close()
    log = "\n".join(m.lines)
    checks = (
        ("killed by the OOM killer" in log, "the limit was not reached: nothing was killed"),
        (re.search(r"hungry: failed: .*status 137", log), "the hook's end is not told as what it was"),
        ("rolloutd.service: Main process exited" not in log, "the daemon was killed for its hook"),
        (log.count("is ready: plans in") == 1, "the daemon was started more than once"),
        (len(changed) == 1, f"traffic was moved: {changed}"),
    )
    wrong += [text for good, text in checks if not good]
    path = os.path.join(tree.PLACE, "out", "hungry.log")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(log + "\n")
    for text in wrong:
        print(f"FAILED: {text}; the console is in {path}")
    print(f"a hook beyond MemoryMax={LIMIT}: {len(checks) + 1} checks, {len(wrong)} failed, "
          f"{time.monotonic() - began:.0f} s")
    return 1 if wrong else 0
