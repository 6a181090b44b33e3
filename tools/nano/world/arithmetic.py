"""Sums, differences and small products. The working is written digit by digit: a fixed procedure is what a tiny model learns."""
from __future__ import annotations

import random

from .case import Case, assistant, user
from .phrasing import vary
from .words import COUNTABLE, NAMES

ADD = ["What is {a} plus {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} = ?", "Add {a} and {b}.", "What is {a} + {b}?", "What's {a}+{b}?",
       "How much is {a} plus {b}?", "Compute {a} + {b}.", "Calculate {a} plus {b}.", "What is the sum of {a} and {b}?", "{a} plus {b}",
       "{a}+{b}=", "Can you add {a} and {b}?", "Tell me {a} plus {b}.", "Work out {a} + {b}."]
SUB = ["What is {a} minus {b}?", "{a} - {b}", "{a}-{b}", "{a} - {b} = ?", "Subtract {b} from {a}.", "What is {a} - {b}?", "What's {a}-{b}?",
       "How much is {a} minus {b}?", "Compute {a} - {b}.", "Calculate {a} minus {b}.", "{a} minus {b}", "Take {b} away from {a}.",
       "{a}-{b}=", "Work out {a} - {b}."]
MUL = ["What is {a} times {b}?", "{a} * {b}", "{a}*{b}", "{a} x {b}", "{a} * {b} = ?", "Multiply {a} by {b}.", "What is {a} * {b}?",
       "What's {a} times {b}?", "How much is {a} times {b}?", "Compute {a} * {b}.", "Calculate {a} times {b}.", "{a} times {b}",
       "Multiply {a} and {b}.", "What is the product of {a} and {b}?"]
STORY_ADD = ["{n} has {a} {x} and gets {b} more. How many {x} does {n} have?", "{n} has {a} {x} and finds {b} more. How many {x} does {n} have now?",
             "{n} had {a} {x}. Then {n} bought {b} more. How many {x} does {n} have?"]
STORY_SUB = ["{n} has {a} {x} and gives away {b}. How many {x} does {n} have?", "{n} had {a} {x} and lost {b}. How many {x} does {n} have now?",
             "{n} has {a} {x} and sells {b} of them. How many {x} does {n} have left?"]


def add_working(a: int, b: int) -> str:
    width = max(len(str(a)), len(str(b)))
    x, y = str(a).zfill(width), str(b).zfill(width)
    steps, carry = [], 0
    for i in reversed(range(width)):
        total = int(x[i]) + int(y[i]) + carry
        steps.append(f"{x[i]}+{y[i]}" + (f"+{carry}" if carry else "") + f"={total}")
        carry = total // 10
    return f"{x}+{y}: " + " ".join(steps)


def sub_working(a: int, b: int) -> str:
    """a >= b. A digit followed by b was borrowed for: the next step subtracts one more."""
    width = len(str(a))
    x, y = str(a), str(b).zfill(width)
    steps, borrow = [], 0
    for i in reversed(range(width)):
        value = int(x[i]) - int(y[i]) - borrow
        short = value < 0
        steps.append(f"{x[i]}-{y[i]}" + ("-1" if borrow else "") + f"={value + 10 if short else value}" + ("b" if short else ""))
        borrow = int(short)
    return f"{x}-{y}: " + " ".join(steps)


def mul_working(a: int, b: int) -> str:
    """b has one digit."""
    steps, carry = [], 0
    for d in reversed(str(a)):
        product = int(d) * b
        total = product + carry
        steps.append(f"{d}*{b}={product}" + (f"+{carry}={total}" if carry else ""))
        carry = total // 10
    return f"{a}*{b}: " + " ".join(steps)


def working(op: str, a: int, b: int) -> tuple[str, int]:
    if op == "+":
        return add_working(a, b), a + b
    if op == "*":
        return (mul_working(a, b) if b < 10 else mul_working(b, a)), a * b
    if a < b:
        return f"{a}<{b} {sub_working(b, a)}", a - b
    return f"{a}>={b} {sub_working(a, b)}", a - b


def number(rng: random.Random) -> int:
    return rng.randint(0, (9, 99, 999)[rng.choices((0, 1, 2), (1, 3, 4))[0]])


def make(rng: random.Random) -> Case:
    op = rng.choices("+-*", (5, 5, 3))[0]
    if op == "*":
        a, b = rng.randint(0, 9), rng.randint(0, 99) if rng.random() < 0.7 else rng.randint(0, 12)
        b = min(b, 99)
        if rng.random() < 0.5:
            a, b = b, a
    else:
        a, b = number(rng), number(rng)
        if op == "-" and a < b and rng.random() < 0.8:
            a, b = b, a
    thinking, result = working(op, a, b)
    key = f"arith|{op}|{a}|{b}" if op == "-" else f"arith|{op}|{min(a, b)}|{max(a, b)}"
    if op != "*" and rng.random() < 0.15 and result > 1 and b > 1:
        name, thing = rng.choice(NAMES), rng.choice(COUNTABLE)
        text = rng.choice(STORY_ADD if op == "+" else STORY_SUB).format(n=name, a=a, b=b, x=thing)
        return Case("arithmetic", [user(text), assistant(f"{name} has {result} {thing}.", thinking)], [key])
    text = vary(rng, rng.choice({"+": ADD, "-": SUB, "*": MUL}[op]).format(a=a, b=b), keep_case=False)
    return Case("arithmetic", [user(text), assistant(f"{a} {op} {b} = {result}", thinking)], [key])
