#!/usr/bin/env python3
"""Sets up the clients in a venv and runs the server's end-to-end tests with them.

usage: run.py MILLRACE REPOSITORY BUILD_FOLDER [unittest arguments]
"""
import hashlib
import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent


def environment(build: pathlib.Path) -> pathlib.Path:
    """The venv's Python; made again when the requirements change."""
    wanted = (HERE / "requirements.txt").read_bytes()
    folder = build / "venv" / hashlib.sha256(wanted).hexdigest()[:12]
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        print(f"installing the clients into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                        HERE / "requirements.txt"], check=True)
        (folder / "complete").touch()
    return python


def main() -> int:
    binary, root, build = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    python = environment(build)
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
