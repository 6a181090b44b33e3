"""Calling a listed tool and using its result. Tool names, parameter names and descriptions are drawn anew for every conversation."""
from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Callable

from . import arithmetic, general
from .case import Case, Message, assistant, system, user
from .phrasing import vary
from .words import CITIES, DAYS, FOODS, LANGUAGES, NAMES, OBJECTS, ROOMS, SPELLING

Value = str | int | bool
NO_TOOL = "None of my tools can do that."


@dataclass(frozen=True)
class Param:
    names: list[str]
    kind: str  # JSON schema type
    draw: Callable[[random.Random], Value]


@dataclass(frozen=True)
class Tool:
    names: list[str]
    about: list[str]
    params: list[Param]
    ask: list[str]  # {0}, {1} ...: the arguments as the user writes them
    result: Callable[[random.Random, list[Value]], dict[str, Any]]
    answer: Callable[[list[Value], dict[str, Any]], str]


def pick(values: list[str]) -> Callable[[random.Random], Value]:
    return lambda rng: rng.choice(values)


def between(low: int, high: int) -> Callable[[random.Random], Value]:
    return lambda rng: rng.randint(low, high)


def clock(rng: random.Random) -> str:
    return f"{rng.randint(1, 23)}:{rng.randint(0, 59):02d}"


def phone(rng: random.Random) -> str:
    return f"{rng.randint(100, 999)}-{rng.randint(1000, 9999)}"


NOTE_VERBS = "buy find sell clean repair pack wash bring paint return".split()


def note(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.5:
        return f"{rng.choice(NOTE_VERBS)} {rng.choice(['the', 'my', 'some', 'more'])} {rng.choice(OBJECTS + FOODS)}"
    if roll < 0.8:
        return f"{rng.choice(['call', 'meet', 'visit', 'ask', 'thank', 'write to'])} {rng.choice(NAMES)}" + rng.choice(["", " on " + rng.choice(DAYS)])
    return " ".join(rng.sample(SPELLING, rng.randint(2, 4)))


CITY = Param(["city", "location", "place", "town"], "string", pick(CITIES))
PERSON = Param(["name", "person", "contact", "who"], "string", pick(NAMES))
ROOM = Param(["room", "place", "where"], "string", pick(ROOMS))
TEXT = Param(["text", "content", "note", "message"], "string", note)
OK = lambda rng, a: {"status": "ok"}  # noqa: E731
SKY = "sunny cloudy rainy windy foggy snowy stormy clear".split()

TOOLS = [
    Tool(["get_weather", "weather", "check_weather", "current_weather", "weather_in"],
         ["Get the weather for a city", "Current weather of a place", "Look up the weather"], [CITY],
         ["What is the weather in {0}?", "How is the weather in {0}?", "What's the weather like in {0} today?", "Tell me the weather in {0}.",
          "Is it warm in {0}?", "Weather in {0}?", "I am in {0}. How is the weather here?"],
         lambda r, a: {"temperature": r.randint(-15, 39), "sky": r.choice(SKY)},
         lambda a, x: f"It is {x['temperature']} degrees and {x['sky']} in {a[0]}."),
    Tool(["get_time", "current_time", "time_in", "clock"], ["Get the current time in a city", "Tell the time in a place", "Local time of a city"],
         [Param(["city", "zone", "place", "location"], "string", pick(CITIES))],
         ["What time is it in {0}?", "What is the time in {0}?", "Tell me the time in {0}.", "Time in {0}?", "How late is it in {0}?"],
         lambda r, a: {"time": clock(r)}, lambda a, x: f"It is {x['time']} in {a[0]}."),
    Tool(["add_note", "save_note", "create_note", "note", "write_note"], ["Save a note", "Write down a note", "Store a note for later"], [TEXT],
         ["Add a note: {0}", "Note: {0}", "Save this note: {0}", "Write down: {0}", "Make a note: {0}", "Take a note: {0}"],
         OK, lambda a, x: f"I saved the note: {a[0]}"),
    Tool(["set_alarm", "alarm", "wake_me", "add_alarm"], ["Set an alarm", "Set an alarm at a time", "Wake the user at a time"],
         [Param(["time", "at", "when"], "string", clock)],
         ["Set an alarm for {0}.", "Wake me at {0}.", "Wake me up at {0}, please.", "I need an alarm at {0}.", "Alarm at {0}!"],
         OK, lambda a, x: f"The alarm is set for {a[0]}."),
    Tool(["set_timer", "timer", "start_timer", "countdown"], ["Start a timer", "Set a timer in minutes", "Count down some minutes"],
         [Param(["minutes", "duration", "length"], "integer", between(1, 120))],
         ["Set a timer for {0} minutes.", "Start a timer of {0} minutes.", "Timer for {0} minutes!", "Count down {0} minutes.", "I need a {0} minute timer."],
         OK, lambda a, x: f"The timer is set for {a[0]} minutes."),
    Tool(["set_light", "light", "switch_light", "lamp"], ["Switch the light in a room", "Turn a light on or off", "Control the light"],
         [ROOM, Param(["on", "enabled", "state", "power"], "boolean", lambda r: r.random() < 0.5)],
         ["Turn {1} the light in the {0}.", "Switch {1} the {0} light.", "Turn the light in the {0} {1}.", "Light {1} in the {0}, please."],
         OK, lambda a, x: f"The light in the {a[0]} is {'on' if a[1] else 'off'}."),
    Tool(["set_heating", "heating", "switch_heating", "heater"], ["Switch the heating in a room", "Turn the heating on or off"],
         [ROOM, Param(["on", "active", "state"], "boolean", lambda r: r.random() < 0.5)],
         ["Turn {1} the heating in the {0}.", "Switch {1} the heating in the {0}.", "Turn the heating in the {0} {1}."],
         OK, lambda a, x: f"The heating in the {a[0]} is {'on' if a[1] else 'off'}."),
    Tool(["set_temperature", "thermostat", "warm_room", "temperature"], ["Set the temperature of a room", "Set the thermostat of a room"],
         [ROOM, Param(["degrees", "value", "celsius"], "integer", between(10, 30))],
         ["Set the {0} to {1} degrees.", "Make the {0} {1} degrees warm.", "Set the temperature in the {0} to {1}.", "I want {1} degrees in the {0}."],
         OK, lambda a, x: f"The {a[0]} is set to {a[1]} degrees."),
    Tool(["send_message", "message", "text_person", "send_text"], ["Send a message to a person", "Text a contact", "Send someone a message"],
         [Param(["to", "name", "recipient", "contact"], "string", pick(NAMES)), Param(["text", "message", "body"], "string", note)],
         ["Send a message to {0}: {1}", "Tell {0}: {1}", "Text {0}: {1}", "Message {0}: {1}", "Write to {0}: {1}"],
         OK, lambda a, x: f"I sent the message to {a[0]}."),
    Tool(["get_phone", "find_phone", "phone_number", "lookup_phone"], ["Find the phone number of a person", "Look up a phone number"], [PERSON],
         ["What is {0}'s phone number?", "What is the phone number of {0}?", "Find the phone number of {0}.", "I need the number of {0}.", "Look up {0}'s phone number."],
         lambda r, a: {"phone": phone(r)}, lambda a, x: f"{a[0]}'s phone number is {x['phone']}."),
    Tool(["translate", "translate_word", "translation", "dictionary"], ["Translate a word", "Translate a word into a language"],
         [Param(["word", "text", "term"], "string", pick(SPELLING)), Param(["language", "target", "to"], "string", pick(LANGUAGES))],
         ["Translate {0} to {1}.", "What is {0} in {1}?", "How do you say {0} in {1}?", "Translate the word {0} into {1}.", "Say {0} in {1}."],
         lambda r, a: {"translation": recall_word(r)}, lambda a, x: f"{a[0]} in {a[1]} is {x['translation']}."),
    Tool(["get_price", "price", "check_price", "price_of"], ["Get the price of an item", "Look up what an item costs"],
         [Param(["item", "product", "name"], "string", pick(OBJECTS))],
         ["What does the {0} cost?", "How much is the {0}?", "What is the price of the {0}?", "Check the price of the {0}.", "How much does a {0} cost?"],
         lambda r, a: {"price": r.randint(1, 300)}, lambda a, x: f"The {a[0]} costs {x['price']} euros."),
    Tool(["add_item", "shopping_list", "add_to_list", "buy_item"], ["Add an item to the shopping list", "Put things on the shopping list"],
         [Param(["item", "name", "product"], "string", pick(FOODS + OBJECTS)), Param(["count", "quantity", "amount"], "integer", between(1, 24))],
         ["Add {1} {0} to my shopping list.", "Put {1} {0} on the shopping list.", "I need to buy {1} {0}.", "Shopping list: {1} {0}"],
         OK, lambda a, x: f"I added {a[1]} {a[0]} to the shopping list."),
    Tool(["get_distance", "distance", "how_far", "route_length"], ["Get the distance between two cities", "How far two cities are apart"],
         [Param(["from_city", "start", "origin"], "string", pick(CITIES)), Param(["to_city", "end", "destination"], "string", pick(CITIES))],
         ["How far is it from {0} to {1}?", "What is the distance from {0} to {1}?", "How many kilometers are there from {0} to {1}?",
          "Distance from {0} to {1}?"],
         lambda r, a: {"km": r.randint(20, 9000)}, lambda a, x: f"It is {x['km']} km from {a[0]} to {a[1]}."),
    Tool(["convert", "convert_units", "unit_converter", "units"], ["Convert between units", "Convert an amount to another unit"],
         [Param(["amount", "value", "number"], "integer", between(2, 500)),
          Param(["from_unit", "source", "unit"], "string", pick("km cm feet inches liters".split())),
          Param(["to_unit", "target", "into"], "string", pick("miles meters yards gallons cups".split()))],
         ["Convert {0} {1} to {2}.", "How many {2} are {0} {1}?", "What is {0} {1} in {2}?", "Change {0} {1} into {2}."],
         lambda r, a: {"result": r.randint(1, 900)}, lambda a, x: f"{a[0]} {a[1]} is {x['result']} {a[2]}."),
    Tool(["roll_dice", "dice", "throw_die", "roll"], ["Roll a die", "Roll a die with some sides"],
         [Param(["sides", "faces", "n"], "integer", between(4, 100))],
         ["Roll a die with {0} sides.", "Throw a {0} sided die.", "Roll a {0} sided die for me.", "Roll a dice with {0} faces."],
         lambda r, a: {"rolled": r.randint(1, int(a[0]))}, lambda a, x: f"You rolled {x['rolled']}."),
    Tool(["set_volume", "volume", "change_volume", "loudness"], ["Set the volume", "Set how loud the music is"],
         [Param(["level", "percent", "value"], "integer", between(0, 100))],
         ["Set the volume to {0}.", "Volume {0}!", "Change the volume to {0}.", "Make the volume {0}.", "Turn the volume to {0} percent."],
         OK, lambda a, x: f"The volume is {a[0]}."),
    Tool(["add_event", "calendar", "schedule", "create_event"], ["Add an event to the calendar", "Plan something on a day"],
         [Param(["title", "event", "what"], "string", lambda r: r.choice(["lunch", "dinner", "a meeting", "a walk", "tea", "breakfast"]) + " with " + r.choice(NAMES)),
          Param(["day", "date", "on"], "string", pick(DAYS))],
         ["Plan {0} on {1}.", "Add {0} on {1} to my calendar.", "I have {0} on {1}, add it to my calendar.", "Schedule {0} for {1}.", "Put {0} on {1} in my calendar."],
         OK, lambda a, x: f"I added {a[0]} on {a[1]}."),
    Tool(["lock_door", "set_lock", "door_lock", "lock"], ["Lock or unlock a door", "Set the lock of a door"],
         [Param(["door", "room", "which"], "string", pick(ROOMS)), Param(["locked", "closed", "lock"], "boolean", lambda r: r.random() < 0.5)],
         ["{1} the {0} door.", "{1} the door of the {0}.", "Please {1} the {0} door."],
         OK, lambda a, x: f"The {a[0]} door is {'locked' if a[1] else 'unlocked'}."),
]
LOCK = TOOLS[-1]


def recall_word(rng: random.Random) -> str:
    return "".join(rng.choice("bdfglmnprstv") + rng.choice("aeiou") for _ in range(rng.randint(2, 3)))


# Invented tools: the only way to know what they are called is to read the list.
VERBS = "open close start stop clean feed paint check move book order rent count find park charge repair deliver reset print".split()
NOUNS = "door window robot printer car boat garden oven table room gate pump lift desk fan drone truck shelf tank mill wheel engine".split()


def invented(rng: random.Random) -> Tool:
    verb, noun = rng.choice(VERBS), rng.choice(NOUNS)
    if rng.random() < 0.6:
        param = Param(["name", "place", "id", "target", "label"], "string", pick(NAMES + CITIES + ROOMS))
        ask = [f"{verb.capitalize()} the {noun} {{0}}.", f"Can you {verb} the {noun} {{0}}?", f"I want to {verb} the {noun} {{0}}.", f"{verb.capitalize()} {noun} {{0}}"]
    else:
        param = Param(["number", "id", "index", "amount"], "integer", between(1, 999))
        ask = [f"{verb.capitalize()} {noun} {{0}}.", f"Can you {verb} {noun} {{0}}?", f"I want to {verb} {noun} number {{0}}.", f"{verb.capitalize()} {noun} number {{0}}."]
    return Tool([f"{verb}_{noun}", f"{noun}_{verb}", f"do_{verb}_{noun}"], [f"{verb.capitalize()} a {noun}", f"{verb.capitalize()} the {noun}"], [param], ask,
                OK, lambda a, x: "Done.")


def shown(tool: Tool, index: int, value: Value) -> str:
    if tool is LOCK and index == 1:
        return "lock" if value else "unlock"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


@dataclass
class Listed:
    """A tool as one conversation lists it."""
    tool: Tool
    name: str
    params: list[str]

    def schema(self, rng: random.Random) -> dict[str, Any]:
        props = {n: {"type": p.kind} for n, p in zip(self.params, self.tool.params)}
        return {"type": "function", "function": {"name": self.name, "description": rng.choice(self.tool.about),
                                                 "parameters": {"type": "object", "properties": props, "required": list(props)}}}


def list_tools(rng: random.Random, tools: list[Tool]) -> list[Listed]:
    listed: list[Listed] = []
    for tool in tools:
        params: list[str] = []
        for p in tool.params:
            params.append(rng.choice([n for n in p.names if n not in params]))
        name = rng.choice(tool.names)
        if all(name != other.name for other in listed):
            listed.append(Listed(tool, name, params))
    return listed


def call(rng: random.Random, item: Listed) -> tuple[list[Message], str]:
    """User, call, result, answer; and the key of the problem."""
    tool = item.tool
    args = [p.draw(rng) for p in tool.params]
    text = rng.choice(tool.ask).format(*(shown(tool, i, v) for i, v in enumerate(args)))
    text = text if ": " in text else vary(rng, text)
    text = text[0].upper() + text[1:] if tool is LOCK else text
    function = {"name": item.name, "arguments": dict(zip(item.params, args))}
    if rng.random() < 0.06:
        error = rng.choice(["not found", "no connection", "timeout", "not allowed", "busy"])
        result, answer = {"error": error}, f"Sorry, that did not work: {error}."
    else:
        result = tool.result(rng, args)
        answer = tool.answer(args, result)
    key = f"tool|{item.name}|" + "|".join(map(str, args))
    return [user(text), {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]},
            {"role": "tool", "content": json.dumps(result)}, assistant(answer)], key


def other_talk(rng: random.Random, listed: list[Tool]) -> tuple[list[Message], str]:
    roll = rng.random()
    if roll < 0.5:
        missing = rng.choice([t for t in TOOLS if t not in listed and not (t.names[0] in ("set_timer", "get_price", "set_heating"))])
        args = [p.draw(rng) for p in missing.params]
        text = rng.choice(missing.ask).format(*(shown(missing, i, v) for i, v in enumerate(args)))
        return [user(text[0].upper() + text[1:]), assistant(NO_TOOL)], "notool|" + text
    case = general.small_talk(rng) if roll < 0.85 else arithmetic.make(rng)
    return case.messages, case.keys[-1]


def make(rng: random.Random) -> Case:
    known = rng.sample(TOOLS, rng.choices((0, 1, 2, 3), (1, 3, 3, 2))[0])
    pool = known + [invented(rng) for _ in range(rng.choices((0, 1, 2), (5, 3, 1))[0])]
    pool = pool or [rng.choice(TOOLS)]
    rng.shuffle(pool)
    listed = list_tools(rng, pool)
    messages: list[Message] = [system(rng.choice(general.SYSTEMS + ["You can use tools."]))] if rng.random() < 0.4 else []
    keys: list[str] = []
    for _ in range(rng.choices((1, 2, 3, 4), (3, 3, 2, 2))[0]):
        if rng.random() < 0.2:
            turn, key = other_talk(rng, [item.tool for item in listed])
        else:
            turn, key = call(rng, rng.choice(listed))
        messages += turn
        keys.append(key)
    return Case("tools", messages, keys, tools=[item.schema(rng) for item in listed])


def cut_for_test(rng: random.Random, case: Case) -> Case:
    """Half of the held-out cases end at the call, half at the answer after the result."""
    if case.messages[-2]["role"] == "tool" and rng.random() < 0.55:
        case.messages = case.messages[:-2]
    return case


