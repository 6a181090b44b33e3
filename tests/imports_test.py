#!/usr/bin/env python3
"""Fails when a room includes a header of a room above it, or a file outgrows its limit.

usage: imports_test.py REPOSITORY
"""
import pathlib
import re
import sys

# From the bottom up; a room may include its own headers and those of rooms before it.
ROOMS = ["base", "tensor", "device", "ops", "checkpoint", "cache", "model", "scheduler", "text",
         "constraint", "engine", "convert", "hub", "loadgen", "api", "server", "cli"]
# Pure bookkeeping: may know these rooms alone, whatever stands below.
ONLY = {"scheduler": {"base"}, "text": {"base"}, "constraint": {"base", "text"}, "hub": {"base"}, "loadgen": {"base"}, "checkpoint": {"base", "tensor"}}
HARD_LINE_LIMIT = 800
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def problems(root: pathlib.Path) -> list[str]:
    found = []
    level = {room: i for i, room in enumerate(ROOMS)}
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in {".h", ".cc", ".cu", ".cuh", ".inl"}:
            continue
        relative = path.relative_to(root / "src")
        room = relative.parts[0]
        if room not in level:
            found.append(f"src/{relative}: the room '{room}' is not in the list of rooms")
            continue
        text = path.read_text()
        if text.count("\n") > HARD_LINE_LIMIT:
            found.append(f"src/{relative}: {text.count(chr(10))} lines, the limit is {HARD_LINE_LIMIT}")
        for included in INCLUDE.findall(text):
            target = included.split("/")[0]
            if target not in level:
                found.append(f'src/{relative}: includes "{included}", which is in no room')
            elif level[target] > level[room]:
                found.append(f'src/{relative}: includes "{included}" from a room above')
            elif target != room and room in ONLY and target not in ONLY[room]:
                found.append(f'src/{relative}: includes "{included}"; {room} may use {sorted(ONLY[room])}')
    return found


def self_test() -> list[str]:
    """The check must be able to fail: a tree with an upward include is refused."""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {"base/a.h": '#include "model/b.h"\n', "model/b.h": "",
                           "model/c.cc": '#include "base/a.h"\n',
                           "scheduler/d.cc": '#include "tensor/e.h"\n', "tensor/e.h": ""}.items():
            file = root / "src" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        found = problems(root)
        wanted = ["src/base/a.h: includes \"model/b.h\" from a room above",
                  "src/scheduler/d.cc: includes \"tensor/e.h\"; scheduler may use ['base']"]
        return [] if found == wanted else [f"self-test: found {found}, expected {wanted}"]


def main() -> int:
    found = self_test() + problems(pathlib.Path(sys.argv[1]))
    for line in found:
        print(line)
    print(f"{len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
