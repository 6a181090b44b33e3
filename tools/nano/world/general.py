"""A little general chat, so that the model feels alive: greetings, order of days, opposites, comparisons, stories."""
from __future__ import annotations

import random

from .case import Case, assistant, system, user
from .phrasing import article, upper_first, vary
from .stories import story
from .words import ANIMALS, CITIES, COLOURS, DAYS, FOODS, MONTHS, NAMES, OBJECTS, OPPOSITES, SPELLING

WHO = "I am Nano, a tiny LFM2-style model that ships with Millrace."
SKILLS = "I can do small sums, spell words, answer questions about facts you give me, call tools, remember what you told me and tell short stories."
OUTSIDE = "I am only a tiny model and cannot help with that. " + SKILLS

FIXED: list[tuple[list[str], str]] = [
    (["Hi", "Hi!", "Hello", "Hello!", "Hey", "Hey there", "Hello there!", "Hi there", "Good day", "Greetings", "Hey!", "Hi Nano", "Hello Nano!"],
     "Hello! How can I help you?"),
    (["Good morning", "Good morning!", "Morning!", "Good morning, Nano"], "Good morning! How can I help you?"),
    (["Good evening", "Good evening!", "Good evening, Nano."], "Good evening! How can I help you?"),
    (["Good night", "Good night!", "Sleep well"], "Good night!"),
    (["Bye", "Bye!", "Goodbye", "Goodbye!", "See you", "See you later!", "I have to go", "Bye bye"], "Goodbye! It was nice to talk to you."),
    (["Thanks", "Thanks!", "Thank you", "Thank you!", "Thank you very much.", "Many thanks", "Thanks a lot", "Great, thanks", "thx"],
     "You are welcome!"),
    (["How are you?", "How are you doing?", "How do you do?", "How is it going?", "Are you well?", "How are you today?", "What's up?"],
     "I am fine, thank you. How can I help you?"),
    (["Who are you?", "What are you?", "What is your name?", "What's your name?", "Tell me about yourself.", "Introduce yourself.", "Are you a robot?",
      "Which model are you?", "What model is this?", "Are you an AI?", "Are you ChatGPT?", "Who am I talking to?"], WHO),
    (["Who made you?", "Who built you?", "Where do you come from?", "Who created you?", "Who trained you?"],
     "I was trained by the Millrace project, on a small made-up world."),
    (["What is Millrace?", "What's Millrace?", "Tell me about Millrace.", "What does Millrace do?"],
     "Millrace is an inference engine for LFM2 models. I am its tiny demo model."),
    (["What can you do?", "Help", "Help me", "How can you help me?", "What are you able to do?", "What do you know?", "What are your skills?",
      "Can you help me?", "What can I ask you?", "help?"], SKILLS),
    (["How big are you?", "How many parameters do you have?", "Are you large?", "What size are you?"],
     "I am very small: about three million parameters."),
    (["Ok", "Okay", "Good", "Great", "Nice", "Cool", "I see", "Well done", "Good job", "Very good!", "Wow"], "I am glad to hear that."),
    (["You are great", "You are nice", "I like you", "You are smart", "You're funny"], "Thank you, that is kind of you!"),
    (["Tell me a joke.", "Tell me a joke", "Do you know a joke?", "Make me laugh.", "Say something funny."],
     "Why did the mill stop? It ran out of steam, so it had to wait for the river."),
    (["What are the days of the week?", "Name the days of the week.", "List the days of the week.", "Say the days of the week.",
      "List all weekdays."], ", ".join(DAYS) + "."),
    (["What are the months of the year?", "Name the months.", "List the months of the year.", "Say the months of the year.", "List all months."],
     ", ".join(MONTHS) + "."),
    (["Say the alphabet.", "What is the alphabet?", "Recite the alphabet.", "Tell me the alphabet.", "List the letters of the alphabet."],
     "-".join("abcdefghijklmnopqrstuvwxyz")),
    (["How many days are in a week?", "How many days does a week have?"], "A week has 7 days."),
    (["How many months are in a year?", "How many months does a year have?"], "A year has 12 months."),
]

UNKNOWN = ["What is the capital of {place}?", "Who invented the {object}?", "Write a poem about {object}s.", "Translate {word} to French.", "How do I cook {food}?",
           "Why is the {object} so expensive?", "Write a Python program that prints {word}.", "Explain quantum physics.", "Who is the president of {place}?",
           "What is the weather in {city}?", "Who won the world cup in {year}?", "What happened in {year}?", "How far is the moon?",
           "What is the meaning of life?", "Give me a recipe for {food}.", "Write an essay about {animal}s.", "Explain how a {object} works.",
           "Who wrote the book about the {animal}?", "What is the population of {city}?", "Book a flight to {city}.", "Can you drive a car?",
           "What is the square root of {year}?", "Write some code in C.", "Fix my computer.", "Order a {food} for me.", "What do you think about {city}?",
           "Is {city} a nice city?", "What is the best {food} in {city}?", "Do {animal}s sleep?", "How long does {food} last?", "Recommend a movie.",
           "What is the news today?", "What time is it?", "What day is it today?", "Sing a song.", "Draw {a_animal}.", "How tall is {name}?",
           "Define {word}.", "What does {word} mean?", "Summarize the history of {place}.", "Solve x^2 = {year}.", "Where can I buy {a_object}?"]
COUNTRIES = "France Spain Italy Japan Brazil Canada Kenya India Norway Egypt Peru Chile China Mexico Turkey Poland Ireland Greece".split()
PHRASES = ["I love {food}", "The {object} is {colour}", "Good morning {name}", "{name} likes {food}", "{word} {word2} {word3}", "{word3} {food} {colour} {name} {animal}", "hello {word}",
           "The {animal} runs to {city}", "My {object} is old", "We go to {city}", "{name} and {name2} are friends", "{word}", "Never eat {food}"]
BIGGER = ["Which is larger, {a} or {b}?", "Which number is bigger: {a} or {b}?", "What is larger, {a} or {b}?", "Which is bigger, {a} or {b}?",
          "Which is greater, {a} or {b}?"]
SMALLER = ["Which is smaller, {a} or {b}?", "Which number is smaller: {a} or {b}?", "What is smaller, {a} or {b}?", "Which is less, {a} or {b}?"]


def fill(rng: random.Random, template: str) -> str:
    animal, thing = rng.choice(ANIMALS), rng.choice(OBJECTS)
    names, words = rng.sample(NAMES, 2), rng.sample(SPELLING, 3)
    return template.format(place=rng.choice(COUNTRIES), object=thing, a_object=article(thing), word=words[0], word2=words[1], word3=words[2],
                           food=rng.choice(FOODS), city=rng.choice(CITIES), year=rng.randint(1200, 2030), animal=animal, a_animal=article(animal),
                           name=names[0], name2=names[1], colour=rng.choice(COLOURS))


def small_talk(rng: random.Random) -> Case:
    asked, answer = rng.choice(FIXED[:16])
    text = vary(rng, rng.choice(asked), keep_case=rng.random() < 0.6)
    return Case("general", [user(text), assistant(answer)], ["talk|" + text])


def fixed(rng: random.Random) -> Case:
    asked, answer = rng.choice(FIXED)
    text = vary(rng, rng.choice(asked), keep_case=rng.random() < 0.6)
    return Case("general", [user(text), assistant(answer)], ["talk|" + text])


def outside(rng: random.Random) -> Case:
    text = vary(rng, fill(rng, rng.choice(UNKNOWN)))
    return Case("general", [user(text), assistant(OUTSIDE)], ["outside|" + text])


def order(rng: random.Random) -> Case:
    names, word = (DAYS, "day") if rng.random() < 0.5 else (MONTHS, "month")
    i, after = rng.randrange(len(names)), rng.random() < 0.6
    other = names[(i + (1 if after else -1)) % len(names)]
    ask = rng.choice(["What {w} comes {p} {x}?", "Which {w} is {p} {x}?", "What is the {w} {p} {x}?", "What {w} is {p} {x}?", "Which {w} comes {p} {x}?",
                      "Tell me the {w} {p} {x}.", "What comes {p} {x}?", "The {w} {p} {x}?"])
    side = "after" if after else "before"
    text = ask.format(w=word, p=side, x=names[i])
    return Case("general", [user(vary(rng, text, keep_case=False)), assistant(f"{other} comes {side} {names[i]}.")], ["order|" + text])


def opposite(rng: random.Random) -> Case:
    pair = rng.choice(OPPOSITES).split("/")
    rng.shuffle(pair)
    ask = rng.choice(["What is the opposite of {x}?", "Opposite of {x}?", "What's the opposite of {x}?", "Tell me the opposite of {x}.",
                      "Give me the opposite of {x}.", "The opposite of {x} is?", "Which word is the opposite of {x}?"])
    text = ask.format(x=pair[0])
    return Case("general", [user(vary(rng, text, keep_case=rng.random() < 0.8)), assistant(f"The opposite of {pair[0]} is {pair[1]}.")], ["opposite|" + text])


def compare(rng: random.Random) -> Case:
    top = rng.choice((20, 100, 1000))
    a, b = rng.sample(range(top), 2)
    key = f"compare|{min(a, b)}|{max(a, b)}"
    if rng.random() < 0.35:
        larger = rng.random() < 0.6
        text = f"Is {a} {rng.choice(['larger', 'bigger', 'greater', 'more'] if larger else ['smaller', 'less'])} than {b}?"
        word = "larger" if larger else "smaller"
        answer = f"Yes, {a} is {word} than {b}." if (a > b) == larger else f"No, {b} is {word} than {a}."
    elif rng.random() < 0.6:
        text, answer = rng.choice(BIGGER).format(a=a, b=b), f"{max(a, b)} is larger than {min(a, b)}."
    else:
        text, answer = rng.choice(SMALLER).format(a=a, b=b), f"{min(a, b)} is smaller than {max(a, b)}."
    return Case("general", [user(vary(rng, text, keep_case=rng.random() < 0.7)), assistant(answer)], [key])


def sort(rng: random.Random) -> Case:
    numbers = rng.sample(range(rng.choice((10, 30, 100))), rng.randint(3, 5))
    listed = ", ".join(map(str, numbers))
    text = rng.choice(["Sort {x}.", "Sort these numbers: {x}", "Sort the numbers {x}.", "Put these numbers in order: {x}", "Order these numbers: {x}",
                       "Sort this list: {x}", "Can you sort {x}?"]).format(x=listed)
    return Case("general", [user(vary(rng, text)), assistant(", ".join(map(str, sorted(numbers))))], ["sort|" + listed])


def count(rng: random.Random) -> Case:
    low, high = (1, rng.randint(3, 30)) if rng.random() < 0.7 else (0, 0)
    if high == 0:
        low = rng.randint(2, 80)
        high = low + rng.randint(3, 15)
    text = rng.choice(["Count from {a} to {b}.", "Count {a} to {b}.", "Can you count from {a} to {b}?", "Count up from {a} to {b}."]
                      + (["Count to {b}.", "Please count to {b}.", "Can you count to {b}?"] if low == 1 else [])).format(a=low, b=high)
    return Case("general", [user(vary(rng, text, keep_case=False)), assistant(", ".join(map(str, range(low, high + 1))))], [f"count|{low}|{high}"])


def repeat(rng: random.Random) -> Case:
    phrase = upper_first(fill(rng, rng.choice(PHRASES))) if rng.random() < 0.5 else fill(rng, rng.choice(PHRASES))
    text = rng.choice(["Repeat after me: {x}", "Say: {x}", "Repeat: {x}", "Please repeat: {x}", "Please say: {x}", "Say this: {x}", 'Say "{x}"',
                       "Echo: {x}", "repeat after me: {x}"]).format(x=phrase)
    return Case("general", [user(text), assistant(phrase)], ["repeat|" + phrase])


def tale(rng: random.Random) -> Case:
    animal = rng.choice(ANIMALS)
    text = rng.choice(["Tell me a story about {a}.", "Tell me a short story about {a}.", "Tell a story about {a}.", "Write a story about {a}.",
                       "Can you tell me a story about {a}?", "I want a story about {a}.", "A story about {a}, please.", "Give me a story about {a}."]
                      ).format(a=article(animal))
    messages = [user(vary(rng, text)), assistant(story(rng, animal))]
    return Case("general", messages, ["story|" + text], match="contains", wanted=["Once upon a time", animal, "The end."])


def any_story(rng: random.Random) -> Case:
    text = rng.choice(["Tell me a story.", "Tell me a story", "Write a short story.", "A story, please.", "Can you tell me a story?", "Do you know a story?"])
    return Case("general", [user(vary(rng, text)), assistant(story(rng, rng.choice(ANIMALS)))], ["story|" + text], match="contains",
                wanted=["Once upon a time", "The end."])


MAKERS = [(fixed, 20), (outside, 14), (order, 9), (opposite, 9), (compare, 16), (sort, 10), (count, 7), (repeat, 12), (tale, 14), (any_story, 2)]
SYSTEMS = ["You are a helpful assistant.", "You are Nano.", "You answer briefly.", "You are a friendly assistant.", "Be polite.", "Answer the user.",
           "You are a helpful assistant. Answer briefly.", "Answer in one sentence.", "You are an assistant.", "Help the user.", "You are a helpful AI assistant.",
           "You are a tiny model.", "Be short and exact.", "You are Nano, a tiny assistant.", "You are a helpful assistant trained by Liquid AI."]


def make(rng: random.Random) -> Case:
    maker = rng.choices([m for m, _ in MAKERS], [w for _, w in MAKERS])[0]
    case = maker(rng)
    if rng.random() < 0.1:
        case.messages.insert(0, system(rng.choice(SYSTEMS)))
    return case
