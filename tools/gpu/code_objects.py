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
HALF_DEPTH = re.compile(r"v_mfma_f32_(16x16x16|32x32x8)_bf16")  # gfx950 does twice as much at once
FORBIDDEN = re.compile(r"global_load_lds_")  # see docs/amd.md
VECTOR = re.compile(r"v_(?!s?mfma_)")
SHARED = re.compile(r"ds_(read|write|load|store)")
LOAD = re.compile(r"(global|buffer|flat)_load_")
CONVERTS = re.compile(r"v_cvt_pk_bf16_f32\b")
ROUNDS = re.compile(r".*\b0x7fff\b")  # half a unit of BF16's last place, less one: rounding by hand


ADDRESS = re.compile(r"// ([0-9A-F]{12}):")
TARGET = re.compile(r"^s_c?branch\S* .*<[^>+]+(?:\+0x([0-9a-f]+))?>$")


@dataclass
class Loop:
    """Instructions of one turn of the loop that does a kernel's work, by the unit that runs them."""

    matrix: int = 0
    vector: int = 0
    shared: int = 0
    loads: int = 0  # of vectors from memory, of any width
    wide_loads: int = 0


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
    half_depth: int = 0
    wide_loads: int = 0
    converts: int = 0
    rounds: int = 0
    forbidden: int = 0
    loop: Loop = field(default_factory=Loop)


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


def count(pattern: re.Pattern, lines: list[str]) -> int:
    return sum(bool(pattern.match(line)) for line in lines)


def successors(lines: list[str]) -> list[list[int]]:
    """Of each instruction, those that may come after it."""
    addresses = [int(match.group(1), 16) if (match := ADDRESS.search(line)) else -1 for line in lines]
    place = {address: i for i, address in enumerate(addresses)}
    following = []
    for i, line in enumerate(lines):
        after = [i + 1] if i + 1 < len(lines) and not re.match(r"s_(branch|endpgm)\b", line) else []
        if match := TARGET.match(line):
            target = place.get(addresses[0] + int(match.group(1) or "0", 16))
            after += [target] if target is not None else []
        following.append(after)
    return following


def dominators(following: list[list[int]], preceding: list[list[int]]) -> list[int]:
    """Of each instruction the nearest that all ways to it pass; -1 where no way leads
    (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm)."""
    order, seen, stack = [], {0}, [(0, iter(following[0]))]
    while stack:
        at, rest = stack[-1]
        step = next((j for j in rest if j not in seen), None)
        if step is None:
            order.append(at)
            stack.pop()
        else:
            seen.add(step)
            stack.append((step, iter(following[step])))
    rank = {at: i for i, at in enumerate(order)}  # the entry has the highest
    nearest = [-1] * len(following)
    nearest[0] = 0
    changed = True
    while changed:
        changed = False
        for at in reversed(order[:-1]):
            found = -1
            for before in preceding[at]:
                if nearest[before] < 0:
                    continue
                if found < 0:
                    found = before
                    continue
                other = before
                while found != other:
                    while rank[found] < rank[other]:
                        found = nearest[found]
                    while rank[other] < rank[found]:
                        other = nearest[other]
            if nearest[at] != found:
                nearest[at], changed = found, True
    return nearest


def hot_loop(lines: list[str]) -> Loop:
    """Of all loops the one with most matrix instructions and wide loads; the innermost such."""
    best = Loop()
    if not lines:
        return best
    following = successors(lines)
    preceding = [[] for _ in lines]
    for i, after in enumerate(following):
        for j in after:
            preceding[j].append(i)
    nearest = dominators(following, preceding)
    for end, after in enumerate(following):
        for head in after:
            above = end if nearest[end] >= 0 else 0
            while above not in (head, 0):
                above = nearest[above]
            if above != head:
                continue  # this way does not go back
            # What reaches the loop's end without passing its head again.
            body, waiting = {head}, [end]
            while waiting:
                i = waiting.pop()
                if i not in body:
                    body.add(i)
                    waiting += preceding[i]
            inside = [lines[i] for i in body]
            loop = Loop(
                matrix=count(MATRIX, inside),
                vector=count(VECTOR, inside),
                shared=count(SHARED, inside),
                loads=count(LOAD, inside),
                wide_loads=count(WIDE_LOAD, inside),
            )
            work = (loop.matrix + loop.wide_loads, -loop.vector)
            if work > (best.matrix + best.wide_loads, -best.vector):
                best = loop
    return best


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
                    matrix=count(MATRIX, lines),
                    half_depth=count(HALF_DEPTH, lines),
                    wide_loads=count(WIDE_LOAD, lines),
                    converts=count(CONVERTS, lines),
                    rounds=count(ROUNDS, lines),
                    forbidden=count(FORBIDDEN, lines),
                    loop=hot_loop(lines),
                    **fields,
                )
            )
    return kernels


def run(command: list) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout
