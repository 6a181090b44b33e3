"""Reads the AMD kernels out of objects that clang compiled for several targets."""

import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

BUNDLE_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
PAGE = 4096
WIDE_LOAD = re.compile(r"(global|buffer|flat)_load_(dwordx4|b128)\b")
MATRIX = re.compile(r"v_s?mfma_")
FORBIDDEN = re.compile(r"global_load_lds_")  # see docs/amd.md


@dataclass
class Kernel:
    """What one kernel takes on one target, as the compiler noted and the disassembly shows."""

    name: str  # demangled, without namespaces and parameters
    arch: str
    source: str
    vgprs: int = 0
    agprs: int = 0
    sgprs: int = 0
    vgpr_spills: int = 0
    sgpr_spills: int = 0
    scratch: int = 0  # bytes a lane
    lds: int = 0  # bytes, static
    threads: int = 0  # of a workgroup, at most
    wave: int = 0
    instructions: int = 0
    matrix: int = 0
    wide_loads: int = 0
    forbidden: int = 0


def code_objects(path: Path) -> dict[str, bytes]:
    """Architecture -> code object, of a host object with bundles or a bare code object."""
    data = path.read_bytes()
    if data[:4] == b"\x7fELF" and struct.unpack_from("<H", data, 18)[0] == 224:  # EM_AMDGPU
        arch = path.name.split(".")[-2]
        return {arch: data}
    found = {}
    start = data.find(BUNDLE_MAGIC)
    while start >= 0:
        (count,) = struct.unpack_from("<Q", data, start + 24)
        at = start + 32
        for _ in range(count):
            offset, size, length = struct.unpack_from("<QQQ", data, at)
            name = data[at + 24 : at + 24 + length].decode()
            at += 24 + length
            arch = re.search(r"gfx[0-9a-f]+", name)
            if arch and size:
                found[arch.group()] = data[start + offset : start + offset + size]
        start = data.find(BUNDLE_MAGIC, at)
    return found


def demangle(names: list[str]) -> list[str]:
    out = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def short_name(demangled: str) -> str:
    """'void millrace::hip::(anonymous namespace)::linear<float, (int)4>(...)' -> 'linear<float, 4>'."""
    name = re.sub(r"\(anonymous namespace\)::|millrace::|hip::|cuda::", "", demangled)
    name = re.sub(r"^void ", "", name)
    depth = 0
    for i, c in enumerate(name):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            name = name[:i]
            break
    return re.sub(r"\((int|bool|unsigned int)\)", "", name)


NOTE_FIELDS = {
    ".vgpr_count": "vgprs",
    ".agpr_count": "agprs",
    ".sgpr_count": "sgprs",
    ".vgpr_spill_count": "vgpr_spills",
    ".sgpr_spill_count": "sgpr_spills",
    ".private_segment_fixed_size": "scratch",
    ".group_segment_fixed_size": "lds",
    ".max_flat_workgroup_size": "threads",
    ".wavefront_size": "wave",
}


def parse_notes(text: str) -> dict[str, dict[str, int]]:
    """Symbol -> fields, of llvm-readelf --notes."""
    kernels = {}
    for block in re.split(r"^  - (?=\.agpr_count|\.args)", text, flags=re.M)[1:]:
        fields, symbol = {}, None
        for line in block.splitlines():
            match = re.match(r"(?:    )?(\.\w+): +(\S+)$", line)
            if not match:
                continue
            key, value = match.groups()
            if key == ".name" and symbol is None:
                symbol = value
            elif key in NOTE_FIELDS:
                fields[NOTE_FIELDS[key]] = int(value)
        if symbol:
            kernels[symbol.strip("'")] = fields
    return kernels


def read_kernels(path: Path, tools: Path) -> list[Kernel]:
    kernels = []
    for arch, code in sorted(code_objects(path).items()):
        with tempfile.NamedTemporaryFile(suffix=f".{arch}.co") as file:
            file.write(code)
            file.flush()
            notes = run([tools / "llvm-readelf", "--notes", file.name])
            listing = run([tools / "llvm-objdump", "-d", f"--mcpu={arch}", file.name])
        noted = parse_notes(notes)
        bodies = dict(re.findall(r"^[0-9a-f]+ <([^>]+)>:\n(.*?)(?=^\S|\Z)", listing, flags=re.M | re.S))
        names = demangle(list(noted))
        for (symbol, fields), name in zip(noted.items(), names):
            lines = [line.strip() for line in bodies.get(symbol, "").splitlines() if line.strip()]
            kernels.append(
                Kernel(
                    name=short_name(name),
                    arch=arch,
                    source=path.name,
                    instructions=len(lines),
                    matrix=sum(bool(MATRIX.match(line)) for line in lines),
                    wide_loads=sum(bool(WIDE_LOAD.match(line)) for line in lines),
                    forbidden=sum(bool(FORBIDDEN.match(line)) for line in lines),
                    **fields,
                )
            )
    return kernels


def run(command: list) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout
