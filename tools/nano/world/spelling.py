"""Letters of words: spell, reverse, count, first and last. Invented words teach the letters of every token, not a word list."""
from __future__ import annotations

import random

from .case import Case, assistant, user
from .phrasing import vary
from .words import SPELLING

ONSETS = "b c d f g h j k l m n p r s t v w z bl br cl cr dr fl fr gl gr pl pr sh sl sm sn sp st sw th tr ch".split()
VOWELS = "a e i o u ea ee oo ai ou".split()
CODAS = ["", "", "", "b", "d", "g", "k", "l", "m", "n", "p", "r", "s", "t", "ck", "ll", "nd", "nt", "rt", "sh", "st", "x", "y"]

ASK = {
    "spell": ["Spell the word {w}.", "Spell {w}.", "How do you spell {w}?", "How is {w} spelled?", "Can you spell {w}?", "Spell {w} letter by letter.",
              "What are the letters of {w}?", "Write {w} letter by letter."],
    "count": ["How many letters are in {w}?", "How many letters does {w} have?", "Count the letters in {w}.", "How many letters has {w}?",
              "How long is the word {w}?", "Count the letters of the word {w}.", "How many letters are there in the word {w}?"],
    "reverse": ["Reverse the word {w}.", "Spell {w} backwards.", "What is {w} backwards?", "Write {w} in reverse.", "Reverse {w}.",
                "Say {w} backwards."],
    "first": ["What is the first letter of {w}?", "First letter of {w}?", "Which letter does {w} start with?", "What letter does {w} begin with?",
              "Tell me the first letter of {w}."],
    "last": ["What is the last letter of {w}?", "Last letter of {w}?", "Which letter does {w} end with?", "What letter does {w} end in?",
             "Tell me the last letter of {w}."],
    "occur": ["How many {c}'s are in {w}?", "How many times does {c} appear in {w}?", "How often does the letter {c} occur in {w}?",
              "Count the letter {c} in {w}.", "How many times is the letter {c} in {w}?", "How many {c} are in {w}?"],
}


def invented(rng: random.Random) -> str:
    while True:
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.choice((1, 2, 2, 3))))
        if 3 <= len(word) <= 9:
            return word


def running_count(word: str, letter: str) -> tuple[str, int]:
    seen, out = 0, []
    for c in word:
        seen += c == letter
        out.append(c + (str(seen) if c == letter else ""))
    return "-".join(out), seen


def make(rng: random.Random, pool_share: float = 0.6) -> Case:
    word = rng.choice(SPELLING) if rng.random() < pool_share else invented(rng)
    op = rng.choices(list(ASK), (4, 3, 4, 1, 2, 3))[0]
    spelled, thinking, key = "-".join(word), "", f"spell|{op}|{word}"
    letter = rng.choice(word) if rng.random() < 0.75 else rng.choice("abcdefghilmnoprstuy")
    if op == "spell":
        answer = f"{word} is spelled {spelled}."
    elif op == "count":
        answer, thinking = f"{word} has {len(word)} letters.", " ".join(f"{c}{i}" for i, c in enumerate(word, 1))
    elif op == "reverse":
        answer, thinking = f"{word} backwards is {'-'.join(reversed(word))}.", spelled
    elif op == "first":
        answer = f"The first letter of {word} is {word[0]}."
    elif op == "last":
        answer, thinking = f"The last letter of {word} is {word[-1]}.", spelled
    else:
        thinking, n = running_count(word, letter)
        key += "|" + letter
        answer = f"{letter} appears {n} time{'' if n == 1 else 's'} in {word}."
    style = rng.choices(("{}", "'{}'", '"{}"', "{u}"), (6, 1, 2, 1))[0]
    shown = style.format(word, u=word.capitalize())
    text = rng.choice(ASK[op]).format(w=shown, c=letter)
    if op == "occur" or '"' in shown:
        text = vary(rng, text)
    else:
        text = vary(rng, text, keep_case=rng.random() < 0.8)
    if text.isupper():
        text = text.capitalize()
    return Case("spelling", [user(text), assistant(answer, thinking)], [key])
