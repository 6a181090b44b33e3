#!/usr/bin/env python3
"""Installs llama.cpp from PyPI into a venv and compares `millrace quantize` with it. Status 77: there are no wheels.

usage: run.py MILLRACE REPOSITORY BUILD_FOLDER
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from pypi_venv import environment  # noqa: E402


def main() -> int:
    binary, root, build = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    try:
        python = environment(HERE / "requirements.txt", build, "--only-binary", ":all:")
    except subprocess.CalledProcessError:
        print("no wheels of llama.cpp for this machine: skipped")
        return 77
    return subprocess.run([python, HERE / "compare.py", binary, root]).returncode


if __name__ == "__main__":
    sys.exit(main())
