"""The matchers of heldout.jsonl."""
from __future__ import annotations

from typing import Any


def strip_thinking(text: str) -> str:
    text = text.removesuffix("<|im_end|>")
    if text.startswith("<think>") and "</think>" in text:
        text = text.split("</think>", 1)[1]
    return text.strip()


def passes(case: dict[str, Any], text: str) -> bool:
    answer = strip_thinking(text)
    if case["match"] == "contains":
        return all(part in answer for part in case["expected"])
    return answer == case["expected"]
