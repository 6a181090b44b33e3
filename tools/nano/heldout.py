"""Exports held-out cases as JSON lines (the format stands in README.md)."""
from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from render import answer_text
from world import mix


def cases(seed: int, per_category: int) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for category in mix.SKILLS:
        rng, seen = random.Random(f"{seed}|{category}"), set()
        while len(seen) < per_category:
            case = mix.held_out_case(rng, category)
            prompt = json.dumps([case.messages[:-1], case.tools])
            if prompt in seen:
                continue
            seen.add(prompt)
            # earlier turns lose their thinking, as a client sends them back
            messages = [{k: v for k, v in m.items() if k != "thinking"} for m in case.messages[:-1]]
            out.append({"id": f"{category}-{len(seen):03d}", "category": category, "messages": messages, "tools": case.tools, "match": case.match,
                        "expected": case.wanted if case.match == "contains" else answer_text(case.messages[-1])})
    return out


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("file", type=Path)
    ap.add_argument("--per-category", type=int, default=60)
    ap.add_argument("--seed", type=int, default=2024)
    a = ap.parse_args()
    a.file.write_text("".join(json.dumps(c, ensure_ascii=False) + "\n" for c in cases(a.seed, a.per_category)))


if __name__ == "__main__":
    main()
