"""Reads the NVIDIA kernels out of objects that nvcc compiled for several targets."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from code_objects import demangle, run, short_name

# What instructions show: names of kinds as the table of expectations uses them.
KINDS = {
    "matrix": re.compile(r"(HMMA|HGMMA|IMMA|UTC\w*MMA)\b"),
    "warpgroup": re.compile(r"HGMMA\b"),
    "box": re.compile(r"UTMALDG\b"),  # tensor copies into shared memory
    "bulk": re.compile(r"UBLKCP\b"),  # plain bulk copies
    "wide": re.compile(r"(LDG|LDGSTS)\.(E\.)?(\w+\.)*128\b"),  # 16 bytes a thread
}
LOCAL = re.compile(r"(LDL|STL)\b")  # a thread's memory: spilled registers, arrays indexed at run time
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")


@dataclass
class CudaKernel:
    """What one kernel takes on one target, as the assembler noted and the disassembly shows."""

    name: str  # demangled, without namespaces and parameters
    arch: str
    source: str
    registers: int = 0
    stack: int = 0  # bytes a thread
    shared: int = 0  # bytes, static
    instructions: int = 0
    local: int = 0  # instructions that touch a thread's own memory
    kinds: dict = field(default_factory=dict)  # kind -> instructions


def read_cuda_kernels(path: Path, cuobjdump: Path) -> list[CudaKernel]:
    usage = run([cuobjdump, "-res-usage", path])
    listing = run([cuobjdump, "-sass", path])
    kernels: dict[tuple[str, str], CudaKernel] = {}
    arch = symbol = ""
    for line in usage.splitlines():
        if match := re.match(r"arch = (\S+)", line):
            arch = match[1]
        elif match := re.match(r" Function (\S+):", line):
            symbol = match[1]
        elif match := re.match(r"\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)", line):
            registers, stack, shared = map(int, match.groups())
            kernels[arch, symbol] = CudaKernel(symbol, arch, path.name, registers, stack, shared)
    kernel = None
    for line in listing.splitlines():
        if match := re.match(r"arch = (\S+)", line):
            arch = match[1]
        elif match := re.match(r"\s+Function : (\S+)", line):
            kernel = kernels.get((arch, match[1]))
        elif kernel and (match := INSTRUCTION.match(line)):
            kernel.instructions += 1
            kernel.local += bool(LOCAL.match(match[1]))
            for kind, pattern in KINDS.items():
                if pattern.match(match[1]):
                    kernel.kinds[kind] = kernel.kinds.get(kind, 0) + 1
    found = list(kernels.values())
    for kernel, name in zip(found, demangle([kernel.name for kernel in found])):
        kernel.name = short_name(name)
    return found


def find_cuobjdump() -> Path | None:
    """The toolkit's, or the one that the given search path has."""
    for place in ("cuobjdump", "/usr/local/cuda/bin/cuobjdump"):
        found = subprocess.run(["sh", "-c", f"command -v {place}"], capture_output=True, text=True)
        if found.returncode == 0:
            return Path(found.stdout.strip())
    return None
