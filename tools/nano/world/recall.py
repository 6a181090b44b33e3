"""What the user said turns ago: names, favourites, numbers, and corrections of them."""
from __future__ import annotations

import random
from dataclasses import dataclass

from .case import Case, Message, assistant, system, user
from .phrasing import vary
from .words import CITIES, COLOURS, FOODS, JOBS, NAMES, OBJECTS, PET_NAMES, SPORTS
from . import arithmetic, general, spelling

NUMBERS = [str(n) for n in range(2, 1000)]


@dataclass(frozen=True)
class Slot:
    values: list[str]
    tell: list[str]
    reply: str
    correct: list[str]
    ask: list[str]
    answer: str
    unknown: str


SLOTS = [
    Slot(NAMES, ["My name is {v}.", "I am {v}.", "I'm {v}.", "Hi, my name is {v}.", "Hello, I am {v}.", "Call me {v}.", "Hi, I'm {v}!"],
         "Nice to meet you, {v}.", ["Actually my name is {v}.", "Sorry, my name is {v}.", "No, my name is {v}.", "Actually, I am called {v}."],
         ["What is my name?", "Who am I?", "Do you know my name?", "Do you remember my name?", "What's my name?"],
         "Your name is {v}.", "You did not tell me your name."),
    Slot(COLOURS, ["My favourite colour is {v}.", "I like the colour {v}.", "My favorite color is {v}."],
         "I will remember that your favourite colour is {v}.",
         ["Actually my favourite colour is {v}.", "Sorry, my favourite colour is {v}.", "No, my favorite color is {v}."],
         ["What is my favourite colour?", "Which colour do I like?", "What's my favorite color?", "Do you remember my favourite colour?"],
         "Your favourite colour is {v}.", "You did not tell me your favourite colour."),
    Slot(FOODS, ["My favourite food is {v}.", "I love to eat {v}.", "My favorite food is {v}.", "I like to eat {v}."],
         "I will remember that your favourite food is {v}.",
         ["Actually my favourite food is {v}.", "Sorry, my favourite food is {v}.", "No, my favorite food is {v}."],
         ["What is my favourite food?", "What do I like to eat?", "What's my favorite food?", "Which food do I like?"],
         "Your favourite food is {v}.", "You did not tell me your favourite food."),
    Slot(CITIES, ["I live in {v}.", "My home is {v}.", "I live in {v} now."], "I will remember that you live in {v}.",
         ["Actually I live in {v}.", "Sorry, I live in {v}.", "No, I live in {v}."],
         ["Where do I live?", "Which city do I live in?", "In which city do I live?", "Do you remember where I live?"],
         "You live in {v}.", "You did not tell me where you live."),
    Slot(JOBS, ["I work as a {v}.", "My job is {v}.", "I have a job as a {v}."], "I will remember that you work as a {v}.",
         ["Actually I work as a {v}.", "Sorry, my job is {v}.", "No, I work as a {v}."],
         ["What is my job?", "What do I work as?", "What do I do for work?"],
         "You work as a {v}.", "You did not tell me your job."),
    Slot(PET_NAMES, ["My dog is called {v}.", "My dog's name is {v}.", "I have a dog called {v}.", "I have a dog named {v}."],
         "I will remember that your dog is called {v}.",
         ["Actually my dog is called {v}.", "Sorry, my dog's name is {v}.", "No, my dog is called {v}."],
         ["What is my dog called?", "What is my dog's name?", "Do you remember the name of my dog?", "What's my dog's name?"],
         "Your dog is called {v}.", "You did not tell me the name of your dog."),
    Slot(NUMBERS, ["My lucky number is {v}.", "Remember the number {v}.", "The number is {v}.", "Please remember this number: {v}."],
         "I will remember the number {v}.",
         ["Actually the number is {v}.", "Sorry, my lucky number is {v}.", "No, the number is {v}."],
         ["What is my lucky number?", "What was the number?", "Which number did I tell you?", "Do you remember the number?", "What is the number?"],
         "The number is {v}.", "You did not tell me a number."),
    Slot(SPORTS, ["My favourite sport is {v}.", "The sport I like is {v}.", "My favorite sport is {v}."],
         "I will remember that your favourite sport is {v}.",
         ["Actually my favourite sport is {v}.", "Sorry, my favourite sport is {v}.", "No, my favorite sport is {v}."],
         ["What is my favourite sport?", "Which sport do I like?", "What's my favorite sport?"],
         "Your favourite sport is {v}.", "You did not tell me your favourite sport."),
    Slot(OBJECTS, ["The secret word is {v}.", "The code word is {v}.", "Remember the word {v}."],
         "I will remember the word {v}.",
         ["Actually the secret word is {v}.", "Sorry, the code word is {v}.", "No, the word is {v}."],
         ["What is the secret word?", "What was the word?", "Which word did I tell you?", "What is the code word?"],
         "The word is {v}.", "You did not tell me a word."),
]


def make(rng: random.Random) -> Case:
    told: dict[int, str] = {}
    messages: list[Message] = [system("You are a helpful assistant.")] if rng.random() < 0.15 else []
    keys: list[str] = []
    turns = rng.choices((2, 3, 4, 5, 6, 7, 8), (2, 3, 4, 3, 2, 2, 2))[0]
    for turn in range(turns):
        last = turn == turns - 1
        act = "ask" if last else rng.choices(("tell", "correct", "ask", "chat"), (50, 15, 25, 20))[0]
        if turn == 0 and not last:
            act = "tell"
        if act == "correct" and not told:
            act = "tell"
        if act == "chat":
            other = rng.choices((general.small_talk, general.make, arithmetic.make, spelling.make), (5, 2, 2, 1))[0](rng)
            messages += [m for m in other.messages if m["role"] != "system"]
            keys += other.keys
            continue
        if act == "ask":
            number = rng.randrange(len(SLOTS)) if rng.random() < 0.12 or not told else rng.choice(list(told))
            slot = SLOTS[number]
            answer = slot.answer.format(v=told[number]) if number in told else slot.unknown
            keys.append(f"recall|{number}|{told.get(number, '?' + str(len(messages)))}")
            messages += [user(vary(rng, rng.choice(slot.ask), keep_case=rng.random() < 0.8)), assistant(answer)]
            continue
        number = rng.choice(list(told)) if act == "correct" else rng.randrange(len(SLOTS))
        slot = SLOTS[number]
        value = rng.choice([v for v in slot.values if v != told.get(number)])
        # telling a second value of something known is a correction too, whatever its wording
        text = rng.choice(slot.correct if act == "correct" else slot.tell).format(v=value)
        told[number] = value
        messages += [user(vary(rng, text)), assistant(slot.reply.format(v=value))]
    return Case("recall", messages, keys)
