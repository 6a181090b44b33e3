"""The mix of skills: one draw is one training conversation or one held-out case."""
from __future__ import annotations

import random
from typing import Callable

from . import arithmetic, facts, general, recall, spelling, tooling
from .case import Case, sample_split, system

Maker = Callable[[random.Random], Case]

SKILLS: dict[str, tuple[Maker, float]] = {
    "arithmetic": (arithmetic.make, 18),
    "spelling": (spelling.make, 22),
    "facts": (facts.make, 50),
    "tools": (tooling.make, 14),
    "recall": (recall.make, 14),
    "general": (general.make, 18),
}
PRACTICE: dict[str, Maker] = {name: make for name, (make, _) in SKILLS.items()} | {"facts": facts.practice}


def train_case(rng: random.Random) -> Case:
    make = PRACTICE[rng.choices(list(SKILLS), [w for _, w in SKILLS.values()])[0]]
    case = sample_split(make, rng, held_out=False)
    # single questions also come one after the other, as people ask them
    while case.category in ("arithmetic", "spelling", "general") and rng.random() < 0.25:
        kind = rng.choice(("arithmetic", "spelling", "general"))
        more = sample_split(SKILLS[kind][0], rng, held_out=False)
        if more.messages[0]["role"] == "system" or sum(len(m["content"]) for m in case.messages) > 900:
            break
        case.messages += more.messages
        case.keys += more.keys
        case.category = more.category
    if case.messages[0]["role"] != "system" and not case.tools and rng.random() < 0.08:
        case.messages.insert(0, system(rng.choice(general.SYSTEMS)))
    return case


def held_out_case(rng: random.Random, category: str) -> Case:
    case = sample_split(SKILLS[category][0], rng, held_out=True)
    return tooling.cut_for_test(rng, case) if category == "tools" else case
