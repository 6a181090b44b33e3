"""Template stories: fluent text that keeps its animal, friend and thing from the first line to the last."""
from __future__ import annotations

import random

from .phrasing import article
from .words import ANIMALS, NAMES

HOMES = ["in a quiet forest", "near an old mill", "by a small river", "on a green hill", "at the edge of a village", "beside a blue lake"]
TRAITS = ["curious", "brave", "gentle", "clever", "shy", "cheerful"]
THINGS = ["golden key", "silver bell", "red kite", "little lamp", "wooden boat", "round stone"]
SPOTS = ["under a tall tree", "behind the mill", "in the long grass", "next to the bridge", "on the sandy shore"]
FEELINGS = ["lost and sad", "cold and hungry", "tired and alone", "worried about the night"]
LESSONS = ["a kind heart is worth more than gold", "friends make every road shorter", "it is good to share", "even the smallest can help"]


def story(rng: random.Random, animal: str) -> str:
    name, trait, thing = rng.choice(NAMES), rng.choice(TRAITS), rng.choice(THINGS)
    friend = rng.choice([a for a in ANIMALS if a != animal])
    lines = [
        f"Once upon a time, {article(trait)} {animal} named {name} lived {rng.choice(HOMES)}.",
        rng.choice([f"Every morning {name} went for a long walk and listened to the birds.",
                    f"Every day {name} looked at the water and dreamed of far places.",
                    f"{name} loved the sun, the wind and the smell of fresh bread."]),
        f"One day {name} found {article(thing)} {rng.choice(SPOTS)}.",
        rng.choice([f'"Who may have lost this {thing}?" asked {name}.', f'"What a beautiful {thing}!" said {name}.',
                    f"{name} had never seen such a {thing} before."]),
        f"Soon {name} met {article(friend)} who was {rng.choice(FEELINGS)}.",
        rng.choice([f'"That {thing} is mine," said the {friend}. "I have looked for it everywhere."',
                    f'"My {thing}!" cried the {friend}. "I thought it was gone."']),
        rng.choice([f"{name} smiled and gave the {thing} back at once.", f"So {name} handed over the {thing} without a second thought."]),
        rng.choice([f"The {friend} was so happy that the two danced until the stars came out.",
                    f"The {friend} thanked {name}, and they ate warm soup together.",
                    f"From that day on, the {animal} and the {friend} were the best of friends."]),
        f"And {name} learned that {rng.choice(LESSONS)}.",
        "The end.",
    ]
    return " ".join(lines)
