"""Answers that stand in the prompt: several facts at once, questions about some of them, and about none of them."""
from __future__ import annotations

import random
from dataclasses import dataclass

from .case import Case, Message, assistant, system, user
from .phrasing import article, vary
from .words import CITIES, COLOURS, FOODS, JOBS, NAMES, OBJECTS, PETS, PLACES, SPORTS

AGES = [str(n) for n in range(5, 90)]
PRICES = [str(n) for n in range(2, 100)]


@dataclass(frozen=True)
class Relation:
    subjects: list[str]
    values: list[str]
    say: list[str]  # how the fact may be written; {s} subject, {v} value, {av} value with article
    ask: list[str]
    answer: str
    who: list[str]  # the reverse question
    check: list[str]  # the yes/no question
    unknown: str


RELATIONS = [
    Relation(NAMES, CITIES, ["{s} lives in {v}.", "{s}'s home is {v}.", "{s} is living in {v}."],
             ["Where does {s} live?", "In which city does {s} live?", "Which city does {s} live in?", "What city is {s} living in?"],
             "{s} lives in {v}.", ["Who lives in {v}?", "Who is living in {v}?"], ["Does {s} live in {v}?"], "I do not know where {s} lives."),
    Relation(NAMES, COLOURS, ["{s}'s favourite colour is {v}.", "{s} likes the colour {v} best.", "The favourite colour of {s} is {v}."],
             ["What is {s}'s favourite colour?", "Which colour does {s} like best?", "What colour does {s} like?", "What is the favourite color of {s}?"],
             "{s}'s favourite colour is {v}.", ["Whose favourite colour is {v}?", "Who likes {v}?"], ["Is {s}'s favourite colour {v}?"],
             "I do not know the favourite colour of {s}."),
    Relation(NAMES, JOBS, ["{s} is {av}.", "{s} works as {av}."],
             ["What is {s}'s job?", "What does {s} do?", "What does {s} work as?", "What is the job of {s}?"],
             "{s} is {av}.", ["Who is {av}?", "Who works as {av}?"], ["Is {s} {av}?"], "I do not know the job of {s}."),
    Relation(NAMES, PETS, ["{s} has {av}.", "{s} owns {av}.", "{s}'s pet is {av}."],
             ["What pet does {s} have?", "Which animal does {s} have?", "What is {s}'s pet?", "Which pet does {s} own?"],
             "{s} has {av}.", ["Who has {av}?", "Who owns {av}?"], ["Does {s} have {av}?"], "I do not know the pet of {s}."),
    Relation(NAMES, FOODS, ["{s} likes to eat {v}.", "{s}'s favourite food is {v}.", "{s} loves {v}."],
             ["What is {s}'s favourite food?", "What does {s} like to eat?", "Which food does {s} like?"],
             "{s} likes to eat {v}.", ["Who likes to eat {v}?", "Who eats {v}?"], ["Does {s} like to eat {v}?"],
             "I do not know what {s} likes to eat."),
    Relation(NAMES, AGES, ["{s} is {v} years old.", "{s}'s age is {v}.", "The age of {s} is {v}."],
             ["How old is {s}?", "What is {s}'s age?", "What is the age of {s}?"],
             "{s} is {v} years old.", ["Who is {v} years old?", "Who is {v}?"], ["Is {s} {v} years old?"], "I do not know the age of {s}."),
    Relation(NAMES, SPORTS, ["{s}'s favourite sport is {v}.", "{s}'s sport is {v}.", "The favourite sport of {s} is {v}."],
             ["What is {s}'s favourite sport?", "Which sport does {s} like?", "What sport does {s} do?"],
             "{s}'s favourite sport is {v}.", ["Whose favourite sport is {v}?"], ["Is {s}'s favourite sport {v}?"],
             "I do not know the favourite sport of {s}."),
    Relation(OBJECTS, PLACES, ["The {s} is in the {v}.", "The {s} lies in the {v}.", "You find the {s} in the {v}."],
             ["Where is the {s}?", "Where can I find the {s}?", "In which place is the {s}?", "Where did the {s} go?"],
             "The {s} is in the {v}.", ["What is in the {v}?", "What can I find in the {v}?"], ["Is the {s} in the {v}?"],
             "I do not know where the {s} is."),
    Relation(OBJECTS, COLOURS, ["The {s} is {v}.", "The colour of the {s} is {v}."],
             ["What colour is the {s}?", "What is the colour of the {s}?", "Which color does the {s} have?", "What color is the {s}?"],
             "The {s} is {v}.", ["What is {v}?", "Which thing is {v}?"], ["Is the {s} {v}?"], "I do not know the colour of the {s}."),
    Relation(OBJECTS, PRICES, ["The {s} costs {v} euros.", "The price of the {s} is {v} euros."],
             ["How much is the {s}?", "What does the {s} cost?", "What is the price of the {s}?", "How much does the {s} cost?"],
             "The {s} costs {v} euros.", ["What costs {v} euros?"], ["Does the {s} cost {v} euros?"], "I do not know the price of the {s}."),
]

LEAD = ["", "", "", "Here are some facts. ", "Facts: ", "Read this: ", "Listen. ", "Remember: ", "Context: "]
SYSTEM_LEAD = ["", "", "You are a helpful assistant. ", "You know these facts. ", "Facts: ", "Answer from these facts. "]


def forms(template: str, subject: str, value: str) -> str:
    return template.format(s=subject, v=value, av=article(value))


@dataclass(frozen=True)
class Asked:
    """How often each kind of question comes, and how often a wrong value is that of another stated fact."""
    kinds: dict[str, int]
    misleading: float


TEST = Asked({"ask": 60, "who": 14, "yes": 8, "no": 8, "unknown": 10}, 0.0)
# practice has more of what is hard: to compare a value, and to look from a value back to its subject
PRACTICE = Asked({"ask": 34, "who": 24, "yes": 17, "no": 17, "unknown": 8}, 0.6)


def question(rng: random.Random, rel: Relation, facts: list[tuple[Relation, str, str]], said: list[str], asked: Asked) -> tuple[str, str, str, str]:
    """A question about one of the facts of `rel`: its text, working, answer and key. `said` holds the facts as they were worded."""
    known = {s: v for r, s, v in facts if r is rel}
    subject = rng.choice(list(known))
    value = known[subject]
    key = f"fact|{RELATIONS.index(rel)}|{subject}|{value}"
    answer = forms(rel.answer, subject, value)
    kind = rng.choices(list(asked.kinds), list(asked.kinds.values()))[0]
    if kind == "who" and list(known.values()).count(value) == 1:
        # reads the facts from the first to the one that is asked for
        return forms(rng.choice(rel.who), subject, value), " ".join(said[:facts.index((rel, subject, value)) + 1]), answer, key
    if kind == "yes":
        return forms(rng.choice(rel.check), subject, value), f"{answer} Asked: {value}.", "Yes, " + answer, key
    if kind == "no":
        others = [v for v in known.values() if v != value]
        if not (others and asked.misleading and rng.random() < asked.misleading):
            others = [v for v in rel.values if v != value]
        other = rng.choice(others)
        return forms(rng.choice(rel.check), subject, other), f"{answer} Asked: {other}.", "No, " + answer, key
    if kind == "unknown":
        stranger = rng.choice([s for s in rel.subjects if s not in known])
        return forms(rng.choice(rel.ask), stranger, value), "", rel.unknown.format(s=stranger), f"fact|{RELATIONS.index(rel)}|{stranger}|?"
    return forms(rng.choice(rel.ask), subject, value), "", answer, key


def make(rng: random.Random, asked: Asked = TEST) -> Case:
    relations = rng.sample(RELATIONS, rng.randint(1, 3))
    facts: list[tuple[Relation, str, str]] = []
    people = rng.sample(NAMES, 4)
    things = rng.sample(OBJECTS, 4)
    for _ in range(rng.randint(1, 7)):
        rel = rng.choice(relations)
        subject = rng.choice(people if rel.subjects is NAMES else things)
        value = rng.choice(rel.values)
        # one value per subject, and each value once, so that every question has one answer
        if not any(r is rel and (s == subject or v == value) for r, s, v in facts):
            facts.append((rel, subject, value))
    # the first wording is also that of the answer: easy cases beside harder ones
    said = [forms(rel.say[0] if rng.random() < 0.4 else rng.choice(rel.say), s, v) for rel, s, v in facts]
    text = " ".join(said)
    messages: list[Message] = []
    as_system = rng.random() < 0.4
    if as_system:
        messages.append(system(rng.choice(SYSTEM_LEAD) + text))
    keys: list[str] = []
    for turn in range(rng.choices((1, 2, 3, 4, 6), (3, 3, 2, 2, 2))[0]):
        words, thinking, answer, key = question(rng, rng.choice(facts)[0], facts, said, asked)
        words = vary(rng, words)
        if turn == 0 and not as_system:
            if rng.random() < 0.25:
                messages += [user(rng.choice(LEAD) + text), assistant("Ok, I will remember that.")]
            else:
                glue = rng.choice([" ", " ", "\n", "\n\n", "\nQuestion: "])
                words = rng.choice(LEAD) + text + glue + words
        messages += [user(words), assistant(answer, thinking)]
        keys.append(key)
    return Case("facts", messages, keys)


def practice(rng: random.Random) -> Case:
    return make(rng, PRACTICE)
