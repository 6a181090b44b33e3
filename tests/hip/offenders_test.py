#!/usr/bin/env python3
"""Shows that every check of tools/gpu/check_kernels can fail: offenders/*.hip are compiled, and each
must be caught by the check that it is named after and by no other. offenders/good*.hip pass.

    offenders_test.py --tools FOLDER -- COMPILER [FLAG ...]
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECK = HERE.parents[1] / "tools/gpu/check_kernels"


def lines_of(source: str, key: str) -> list[str]:
    return re.findall(rf"^// {key}: (.+)$", source, flags=re.M)


def problems_with(path: Path, target: str, compiler: list[str], tools: Path, folder: Path) -> list[str]:
    source = path.read_text()
    (declared,), wanted, held = (lines_of(source, key) for key in ("declared", "found", "holds"))
    built = folder / f"{path.stem}.{target}.co"
    command = [*compiler, f"--offload-arch={target}", "--cuda-device-only", "--no-gpu-bundle-output"]
    done = subprocess.run([*command, "-c", str(path), "-o", str(built)], capture_output=True, text=True)
    if done.returncode != 0:
        return [f"{path.name}: does not compile:\n{done.stderr}"]
    expectations = folder / f"{path.stem}.expectations"
    expectations.write_text("  ".join([path.stem, "offender", *declared.split()]) + "\n")
    done = subprocess.run(
        [CHECK, "--tools", tools, "--expect", expectations, built], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("check_kernels: ")]
    out = []
    if (done.returncode == 0) == bool(wanted):
        out.append(f"{path.name}: check_kernels left with status {done.returncode}")
    out += [f"{path.name}: not said: {w}" for w in wanted if not any(re.search(w, s) for s in said)]
    out += [f"{path.name}: also said: {s}" for s in said if not any(re.search(w, s) for w in wanted)]
    if held:
        dump = [tools / "llvm-objdump", "-d", f"--mcpu={target}", built]
        code = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
        out += [f"{path.name}: not in its code for {target}: {h}" for h in held if not re.search(h, code)]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("compiler", nargs="+")
    options = parser.parse_args()
    offenders = sorted((HERE / "offenders").glob("*.hip"))
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(
        os.cpu_count()
    ) as pool:
        work = [
            pool.submit(problems_with, path, target, options.compiler, options.tools, Path(folder))
            for path in offenders
            for target in lines_of(path.read_text(), "target")
        ]
        found = [problem for future in work for problem in future.result()]
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{len(offenders)} offenders: {'as expected' if not found else 'NOT as expected'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
