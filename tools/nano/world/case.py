"""What every generator makes: a conversation whose last message is the answer, and the key that decides its split."""
from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from typing import Any, Callable

Message = dict[str, Any]
HELD_OUT_SHARE = 8  # one problem in eight is never trained on


@dataclass
class Case:
    category: str
    messages: list[Message]
    keys: list[str]  # one per problem that an assistant turn solves
    tools: list[dict[str, Any]] = field(default_factory=list)
    match: str = "exact"  # or "contains": every string of `wanted` occurs
    wanted: list[str] = field(default_factory=list)


def is_held_out(key: str) -> bool:
    """crc32, not hash(): the split must be the same in every process and on every machine."""
    return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, thinking: str = "") -> Message:
    message: Message = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    return message


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def sample_split(make: Callable[[random.Random], Case], rng: random.Random, held_out: bool) -> Case:
    """Train cases hold no held-out problem at all; of a held-out case the last problem is held out."""
    while True:
        case = make(rng)
        if held_out:
            if is_held_out(case.keys[-1]):
                return case
        elif not any(map(is_held_out, case.keys)):
            return case
