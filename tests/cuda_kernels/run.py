#!/usr/bin/env python3
"""Holds every compiled NVIDIA kernel against tools/gpu/cuda_expectations, and shows that the check
fails on offenders.

usage: run.py REPOSITORY BUILD_FOLDER NVCC
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
WANTED = [
    "spiller on sm_90 has",
    "plain on sm_90 has no warpgroup instruction",
    "stranger on sm_90 is not declared",
    "no kernel fits vanished*",
]


def cuobjdump(build: pathlib.Path, nvcc: pathlib.Path) -> pathlib.Path:
    """The toolkit's; else one from PyPI, in a venv that is made once."""
    beside = nvcc.resolve().parent / "cuobjdump"
    if beside.exists():
        return beside
    wanted = (HERE / "requirements.txt").read_bytes()
    folder = build / "venv" / hashlib.sha256(wanted).hexdigest()[:12]
    if not (folder / "complete").exists():
        print(f"installing cuobjdump into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
             HERE / "requirements.txt"],
            check=True,
        )
        (folder / "complete").touch()
    return next(folder.glob("lib/python*/site-packages/nvidia/*/bin/cuobjdump"))


def main() -> int:
    root, build, nvcc = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    check = [root / "tools/gpu/check_cuda_kernels", "--cuobjdump", cuobjdump(build, nvcc)]

    objects = sorted((build / "src/ops/CMakeFiles").glob("millrace_ops_nvcc*.dir/**/*.cu.o"))
    if subprocess.run([*check, *objects]).returncode != 0:
        print("FAILED: a kernel is not as declared")
        return 1

    with tempfile.TemporaryDirectory() as folder:
        offender = pathlib.Path(folder) / "offender.cu.o"
        subprocess.run([nvcc, "-c", "-arch=sm_90", "-o", offender, HERE / "offender.cu"], check=True)
        done = subprocess.run(
            [*check, "--expect", HERE / "offender_expectations", offender], capture_output=True, text=True
        )
        print(done.stderr)
        missing = [text for text in WANTED if text not in done.stderr]
        if done.returncode == 0 or missing:
            print(f"FAILED: the check let offenders pass (status {done.returncode}, not reported: {missing})")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
