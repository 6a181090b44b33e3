"""The chat template in Python: the same text as chat_template.jinja (check.py compares them), fast enough for training data."""
from __future__ import annotations

import json
from typing import Any

from world.case import Message

BOS, START, END = "<|startoftext|>", "<|im_start|>", "<|im_end|>"


def literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def calls(tool_calls: list[dict[str, Any]]) -> str:
    texts = []
    for one in tool_calls:
        args = ", ".join(f"{k}={literal(v)}" for k, v in one["function"]["arguments"].items())
        texts.append(f"{one['function']['name']}({args})")
    return "<|tool_call_start|>[" + ", ".join(texts) + "]<|tool_call_end|>"


def answer_text(message: Message) -> str:
    return (calls(message["tool_calls"]) if message.get("tool_calls") else "") + message["content"]


def render(messages: list[Message], tools: list[dict[str, Any]], generate: bool = False) -> tuple[str, list[bool]]:
    """The text, and for every assistant turn whether it is shown as the model wrote it (its thinking not cut)."""
    head, turns = "", messages
    if messages[0]["role"] == "system":
        head, turns = messages[0]["content"], messages[1:]
    if tools:
        head += ("\n" if head else "") + "List of tools: " + json.dumps(tools, ensure_ascii=False)
    out = [BOS]
    if head:
        out.append(f"{START}system\n{head}{END}\n")
    last_user = max((i for i, m in enumerate(turns) if m["role"] == "user"), default=-1)
    whole: list[bool] = []
    for i, message in enumerate(turns):
        text = message["content"]
        if message["role"] == "assistant":
            thinking = message.get("thinking", "")
            shown = i > last_user
            text = (f"<think>{thinking}</think>" if thinking and shown else "") + answer_text(message)
            whole.append(shown or not thinking)
        out.append(f"{START}{message['role']}\n{text}{END}\n")
    if generate:
        out.append(f"{START}assistant\n")
    return "".join(out), whole
