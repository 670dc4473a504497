#!/usr/bin/python3
"""The lints find what they should, and leave alone what is fine: each case plants one file in a small tree."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = "/* A module. */\n#pragma once\n"
TREE = {
    "lib/base/mem.h": HEADER,
    "lib/core/step.h": HEADER,
    "lib/plan/plan.h": HEADER,
    "lib/aws/lambda.h": HEADER,
    "lib/store/store.h": HEADER,
    "lib/engine/engine.h": HEADER,
    "lib/sim/world.h": HEADER,
    "daemon/log.h": HEADER,
    "daemon/io/loop.h": HEADER,
    "daemon/cli/cli.h": HEADER,
    "docs/GUIDE.md": "# The `guide` itself\n\ntext\n",
}


def body(lines):
    return "void f(int a,\n\tint b)\n{\n" + "\ta = b;\n" * lines + "}\n"


# lint, planted file, its text, what must be said (None: nothing)
CASES = [
    ("layers", "lib/core/a.c", '#include "base/mem.h"\n#include <string.h>\n', None),
    ("layers", "lib/core/a.c", '#include "plan/plan.h"\n', "lib/core may include only"),
    ("layers", "lib/plan/a.c", '#include "core/step.h"\n', None),
    ("layers", "lib/plan/a.c", '#include "store/store.h"\n', "lib/plan may include only"),
    ("layers", "lib/aws/a.h", '#include "../plan/plan.h"\n', "lib/aws may include only"),
    ("layers", "lib/base/a.c", '#include "core/step.h"\n', "lib/base may include only"),
    ("layers", "lib/engine/a.c", '#include "aws/lambda.h"\n#include "store/store.h"\n', None),
    ("layers", "lib/engine/a.c", '#include "sim/world.h"\n', "lib/engine may include only"),
    ("layers", "lib/engine/a.c", '#include "daemon/log.h"\n', "lib includes nothing but lib"),
    ("layers", "lib/sim/a.c", '#include "engine/engine.h"\n', None),
    ("layers", "lib/other/a.c", "int a;\n", "does not know"),
    ("layers", "daemon/a.c", '#include "engine/engine.h"\n#include "daemon/io/loop.h"\n#include <uv.h>\n', None),
    ("layers", "daemon/a.c", '#include "sim/world.h"\n', "does not include the simulator"),
    ("layers", "daemon/a.c", '#include "daemon/cli/cli.h"\n', "does not include daemon/cli"),
    ("layers", "daemon/cli/a.c", '#include "engine/engine.h"\n#include "cli.h"\n', None),
    ("layers", "daemon/cli/a.c", '#include "daemon/log.h"\n', "only itself"),
    ("layers", "daemon/localaws/a.c", '#include "sim/world.h"\n', None),
    ("layers", "daemon/localaws/a.c", '#include "../io/loop.h"\n', "only itself"),
    ("layers", "lib/aws/a.c", '#include "aws/gone.h"\n', "no file for"),
    ("layers", "lib/aws/a.c", '/* #include "sim/world.h" */\n', None),
    ("layers", "lib/engine/a.c", "#include <uv.h>\n", "outside lib"),
    ("layers", "lib/aws/a.c", "#  include <curl/curl.h>\n", "outside lib"),
    ("layers", "lib/engine/a.c", "#include <sqlite3.h>\n", "lib/store"),
    ("layers", "lib/store/a.c", "#include <sqlite3.h>\n", None),
    ("layers", "lib/core/a.c", "int64_t t = time(NULL);\n", "time()"),
    ("layers", "lib/core/a.c", "int64_t t = at->time(NULL) + my_time(1);\n", None),
    ("layers", "lib/aws/a.c", 'x = getenv("HOME");\n', "getenv()"),
    ("layers", "lib/store/a.c", 'x = fopen("f", "r");\n', "fopen()"),
    ("layers", "lib/plan/a.c", 'printf("x");\n', "printf()"),
    ("tidy", "lib/aws/a.c", body(66), None),
    ("tidy", "lib/aws/a.c", body(67), "f(): 71 lines"),
    ("tidy", "lib/aws/a.c", "int x;\n" * 900, None),
    ("tidy", "lib/aws/a.c", "int x;\n" * 901, "901 lines"),
    ("tidy", "lib/aws/a.c", "/* " + "x" * 114 + " */\n", None),
    ("tidy", "lib/aws/a.c", "/* " + "x" * 115 + " */\n", "121 columns"),
    ("tidy", "daemon/a.c", "\tstrcpy (a, b);\n", "strcpy()"),
    ("tidy", "tests/unit/a.c", "\tint n = atoi(s);\n", "atoi()"),
    ("tidy", "daemon/a.c", "\tp = malloc(3);\n", "use base/mem.h"),
    ("tidy", "tests/unit/a.c", "\tp = malloc(3);\n", None),
    ("tidy", "daemon/a.c", '/* strcpy(a) */\nconst char *a = "system(1)";\nint b = p->system(1);\n', None),
    ("tidy", "lib/aws/a.c", "int a; \n", "white space"),
    ("tidy", "lib/aws/a.c", "int a;\r\n", "carriage return"),
    ("tidy", "lib/aws/a.c", "int a;", "no line break"),
    ("tidy", "lib/aws/a.c", "/* TO" "DO: more */\n", "finish it"),
    ("tidy", "lib/aws/a.h", "#pragma once\n", "begins with a comment"),
    ("tidy", "lib/aws/a.h", HEADER + "int count = 0;\n", "defines no variable"),
    ("tidy", "conf/a.yaml", "a:\n\tb: 1\n", "tab"),
    ("tidy", "docs/A.md", "[g](GUIDE.md#the-guide-itself), [web](https://example.org/x)\n", None),
    ("tidy", "docs/A.md", "[g](GONE.md)\n", "no such file"),
    ("tidy", "docs/A.md", "[g](GUIDE.md#other)\n", "no such heading"),
    ("tidy", "lib/aws/a.c", "/* see docs/GUIDE.md */\n", None),
    ("tidy", "lib/aws/a.c", "/* see docs/GONE.md */\n", "not there"),
    ("tidy", "tests/a.py", "def\n", "Python"),
    ("tidy", "tests/a.sh", "#!/bin/sh\nif\n", "sh:"),
    ("tidy", "tests/a.sh", "#!/bin/sh\ntrue\n", "not executable"),
]


def write(top, path, text):
    full = os.path.join(top, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8", newline="") as f:
        f.write(text)


class Lints(unittest.TestCase):
    def test_cases(self):
        for lint, path, text, expected in CASES:
            with self.subTest(lint=lint, path=path, text=text[:60]), tempfile.TemporaryDirectory() as top:
                for name, content in TREE.items():
                    write(top, name, content)
                write(top, path, text)
                done = subprocess.run(
                    [sys.executable, "-B", os.path.join(HERE, lint + ".py")],
                    env={**os.environ, "LINT_TOP": top}, capture_output=True, text=True, check=False,
                )
                if expected is None:
                    self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
                else:
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn(path + ":", done.stdout)
                    self.assertIn(expected, done.stdout)


if __name__ == "__main__":
    unittest.main()
