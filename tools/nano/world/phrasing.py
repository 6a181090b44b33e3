"""The ways in which people type: case, punctuation, politeness."""
from __future__ import annotations

import random


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def vary(rng: random.Random, text: str, keep_case: bool = True) -> str:
    """keep_case: the answer copies words from this text, so only the first letter may change."""
    roll = rng.random()
    if roll < 0.08:
        text = rng.choice(["Please ", "please ", "Hey, ", "Ok, ", "Nano, "]) + lower_first(text) if text[:2] != "I " else text
    elif roll < 0.14 and text[-1] in ".?":
        text = text[:-1] + rng.choice([", please", " please", ", please."]) + (text[-1] if text[-1] == "?" else "")
    roll = rng.random()
    if roll < 0.12 and text[:2] not in ("I ", "I'"):
        text = lower_first(text)
    elif roll < 0.22 and not keep_case:
        text = text.lower()
    elif roll < 0.24 and not keep_case:
        text = text.upper()
    roll = rng.random()
    if roll < 0.15 and text[-1] in ".?!":
        text = text[:-1]
    elif roll < 0.18:
        text += rng.choice(["?", "!", "."]) if text[-1] not in ".?!" else text[-1]
    return text
