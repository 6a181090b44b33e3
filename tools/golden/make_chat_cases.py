#!/usr/bin/env python3
"""Writes tests/data/text/chat_cases.json: conversations through apply_chat_template of transformers,
with small templates of our own: what is done to messages first, continued messages, kwargs, tools.

    pip install transformers==5.23.0 jinja2==3.1.6
    python3 tools/golden/make_chat_cases.py > tests/data/text/chat_cases.json
"""
import json
import sys

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

# Shows every message as the template sees it.
SHOW = "{% for m in messages %}{{ m | tojson }}\n{% endfor %}{{ tools }} {{ documents }} {{ add_generation_prompt }}"
PLAIN = ("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
         "{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{{ eos_token }}{% endfor %}"
         "{% if add_generation_prompt %}<assistant>{% endif %}")
TRIM = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}"
THINK = ("{% for m in messages %}<{{ m.role }}>{% if m.thinking %}<think>{{ m.thinking }}</think>{% endif %}"
         "{{ m.content }}<end>{% endfor %}")
DROP = "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}<end>{% endfor %}"
NO_CONTENT = "{% for m in messages %}{{ m.role }}{% endfor %}"
EXTRA = "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ extra }}|{{ flag | tojson }}|{{ nested.a[1] }}"

USER = {"role": "user", "content": "Hi"}


def said(content, **more):
    return {"role": "assistant", "content": content, **more}


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CASES = [
    ("nulls are dropped", SHOW, [{"role": "assistant", "content": None, "tool_calls": None, "x": {"y": None}}], {}),
    ("reasoning_content alias", SHOW, [USER, said("a", reasoning_content="r")], {}),
    ("thinking alias", SHOW, [USER, said("a", thinking="r")], {}),
    ("reasoning alias", SHOW, [USER, said("a", reasoning="r", tail=1)], {}),
    ("all aliases", SHOW, [said("a", reasoning="1", thinking="2", reasoning_content="3")], {}),
    ("null alias falls through", SHOW, [said("a", reasoning="1", thinking=None, reasoning_content=None)], {}),
    ("empty alias counts", SHOW, [said("a", reasoning="1", thinking="")], {}),
    ("reasoning of any role", SHOW, [{"role": "user", "content": "u", "reasoning": "r"}], {}),
    ("tools and documents", SHOW, [USER], {"tools": [TOOL], "documents": [{"title": "t", "text": "x"}]}),
    ("empty tools", SHOW, [USER], {"tools": []}),
    ("tools of a wrong type", SHOW, [USER], {"tools": ["f"]}),
    ("documents of a wrong type", SHOW, [USER], {"documents": ["f"]}),
    ("generation prompt", PLAIN, [USER], {"add_generation_prompt": True}),
    ("empty conversation", PLAIN, [], {}),
    ("message is a text", PLAIN, ["Hi"], {}),
    ("both prompts", PLAIN, [USER], {"add_generation_prompt": True, "continue_final_message": True}),
    ("continue", PLAIN, [USER, said("The answer is")], {"continue_final_message": True}),
    ("continue keeps blanks", PLAIN, [USER, said("The answer is ")], {"continue_final_message": True}),
    ("continue keeps leading blanks", PLAIN, [USER, said("  a  b \n")], {"continue_final_message": True}),
    ("continue a user", PLAIN, [USER], {"continue_final_message": True}),
    ("continue trimmed", TRIM, [USER, said(" The answer is  \n")], {"continue_final_message": True}),
    ("continue trimmed empty", TRIM, [USER, said("")], {"continue_final_message": True}),
    ("continue parts", PLAIN, [said([{"type": "text", "text": "one "}, {"type": "text", "text": "two "}])], {"continue_final_message": True}),
    ("continue parts, last is no text", PLAIN, [said([{"type": "text", "text": "one"}, {"type": "image"}])], {"continue_final_message": True}),
    ("continue without text parts", PLAIN, [said([{"type": "image"}])], {"continue_final_message": True}),
    ("continue no content", PLAIN, [{"role": "assistant"}], {"continue_final_message": True}),
    ("continue null content", PLAIN, [said(None)], {"continue_final_message": True}),
    ("continue in a template without content", NO_CONTENT, [said("x")], {"continue_final_message": True}),
    ("continue a dropped text", DROP, [said("x</think>y")], {"continue_final_message": True}),
    ("continue content with the tag", PLAIN, [said("CONTINUE_FINAL_MESSAGE_TAG x")], {"continue_final_message": True}),
    ("continue reasoning", THINK, [USER, said("", reasoning_content="Let me")], {"continue_final_message": "reasoning_content"}),
    ("continue reasoning by alias", THINK, [USER, said("", reasoning="Let me ")], {"continue_final_message": "reasoning"}),
    ("continue reasoning, other text", THINK, [USER, said("", thinking="A", reasoning="B")], {"continue_final_message": "reasoning"}),
    ("continue a field nobody reads", THINK, [USER, said("", note="Let me")], {"continue_final_message": "note"}),
    ("continue a number", PLAIN, [said(5)], {"continue_final_message": True}),
    ("continue unicode blanks", TRIM, [said("é\u3000")], {"continue_final_message": True}),
    ("variables", EXTRA, [USER], {"extra": "x", "flag": False, "nested": {"a": [1, 2.0]}}),
    ("a variable over a token", EXTRA, [USER], {"bos_token": "B", "nested": {"a": [0, None]}}),
    ("raise_exception", "{{ raise_exception('no') }}", [USER], {}),
    ("continue twice the same text", PLAIN, [said("a"), USER, said("a")], {"continue_final_message": True}),
    ("arguments as an object", "{% for k, v in messages[0].tool_calls[0].function.arguments.items() %}{{ k }}={{ v }};{% endfor %}",
     [said("", tool_calls=[{"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": [None, "x"]}}}])], {}),
]


def main():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")),
                                        bos_token="<s>", eos_token="</s>")
    cases = []
    for name, template, messages, options in CASES:
        try:
            result = {"text": tokenizer.apply_chat_template(
                json.loads(json.dumps(messages)), chat_template=template, tokenize=False, **options)}
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"[:120]}
        cases.append({"name": name, "template": template, "messages": messages, "options": options, **result})
    json.dump({"transformers": transformers.__version__, "special_tokens": tokenizer.special_tokens_map, "cases": cases},
              sys.stdout, ensure_ascii=False, indent=0)


main()
