#!/usr/bin/env python3
"""Sets up the clients in a venv and runs the server's end-to-end tests with them.

usage: run.py MILLRACE REPOSITORY BUILD_FOLDER [unittest arguments]
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from pypi_venv import environment  # noqa: E402


def main() -> int:
    binary, root, build = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    python = environment(HERE / "requirements.txt", build)
    status = 0
    only = sys.argv[4:]
    for test in sorted(HERE.glob("*_test.py")):
        if only and test.name not in only:
            continue
        print(f"== {test.name}", flush=True)
        status |= subprocess.run([python, test], env={**os.environ, "MILLRACE_BINARY": str(binary),
                                                      "MILLRACE_ROOT": str(root)}).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
