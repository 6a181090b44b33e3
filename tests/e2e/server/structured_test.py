"""Answers that cannot break their shape, at temperatures where nothing else holds them: through the clients."""
import json
import re
import typing
import unittest

import anthropic
import openai
import pydantic

from harness import Server, ServerTest

TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {
            "city": {"type": "string", "maxLength": 12}, "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["C", "F"]}}, "required": ["city", "unit"]}}},
    {"type": "function", "function": {"name": "plan", "parameters": {
        "type": "object", "properties": {
            "steps": {"type": "array", "maxItems": 3, "items": {"type": "object", "properties": {
                "at": {"type": ["integer", "null"], "minimum": 0, "maximum": 9}, "done": {"type": "boolean"}},
                "required": ["at", "done"]}}}, "required": ["steps"]}}}]
SCHEMA = {"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 99},
    "kind": {"enum": ["cat", "dog", None]}, "marks": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}},
    "required": ["name", "age", "kind", "marks"]}
HOT = 1.7


def user(text):
    return [{"role": "user", "content": text}]


def check_animal(test, text):
    got = json.loads(text)
    test.assertEqual(set(got), {"name", "age", "kind", "marks"})
    test.assertTrue(isinstance(got["name"], str) and 0 <= got["age"] <= 99 and got["kind"] in ("cat", "dog", None))
    test.assertTrue(all(isinstance(mark, bool) for mark in got["marks"]) and len(got["marks"]) <= 3)


def check_call(test, name, arguments):
    if name == "weather":
        test.assertLessEqual(set(arguments), {"city", "days", "unit"})
        test.assertTrue(isinstance(arguments["city"], str) and arguments["unit"] in ("C", "F"))
        test.assertTrue(1 <= arguments.get("days", 1) <= 14)
    else:
        test.assertEqual(name, "plan")
        for step in arguments["steps"]:
            test.assertEqual(set(step), {"at", "done"})
            test.assertTrue(isinstance(step["done"], bool) and (step["at"] is None or 0 <= step["at"] <= 9))


class StructuredTest(ServerTest):
    flags = ("--max-num-seqs", "32", "--threads", "1")

    def setUp(self):
        self.client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0, timeout=300)

    def chat(self, text, **more):
        return self.client.chat.completions.create(model="nano", messages=user(text), temperature=HOT,
                                                   reasoning_effort="none", **more)

    def test_schema_for_300_seeds(self):
        form = {"type": "json_schema", "json_schema": {"name": "animal", "strict": True, "schema": SCHEMA}}
        ended = 0
        for seed in range(0, 300, 30):
            answer = self.chat("Describe an animal.", n=30, seed=seed, response_format=form, max_tokens=200)
            for choice in answer.choices:
                if choice.finish_reason == "stop":
                    ended += 1
                    check_animal(self, choice.message.content)
        self.assertGreater(ended, 290, "white space and texts are bounded: nearly all come to their end")

    def test_calls_for_300_seeds(self):
        """Required calls: valid for every seed, not only where the model would have called anyway."""
        called = set()
        for seed in range(0, 300, 30):
            answer = self.chat("Hello.", n=30, seed=seed, tools=TOOLS, tool_choice="required",
                               parallel_tool_calls=seed % 60 == 0, max_tokens=200)
            for choice in answer.choices:
                if choice.finish_reason == "length":
                    continue
                self.assertEqual((choice.finish_reason, choice.message.content or ""), ("tool_calls", ""))
                calls = choice.message.tool_calls
                self.assertTrue(len(calls) == 1 or seed % 60 == 0)
                for call in calls:
                    called.add(call.function.name)
                    check_call(self, call.function.name, json.loads(call.function.arguments))
        self.assertEqual(called, {"weather", "plan"})

    def test_lazy_calls_are_valid_whenever_they_come(self):
        """tool_choice auto: the mark is sampled or not; behind it nothing can break."""
        messages = user("What is the weather in Oslo?")
        calls = 0
        for seed in range(0, 200, 25):
            answer = self.client.chat.completions.create(
                model="nano", messages=messages, temperature=1.3, n=25, seed=seed, tools=TOOLS, max_tokens=160)
            for choice in answer.choices:
                self.assertFalse(choice.finish_reason != "length" and
                                 (choice.message.model_extra or {}).get("tool_call_problems"))
                for call in choice.message.tool_calls or []:
                    calls += 1
                    check_call(self, call.function.name, json.loads(call.function.arguments))
        self.assertGreater(calls, 20)

    def test_named_tool_streams(self):
        stream = self.chat("Hi", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "plan"}},
                           seed=3, stream=True, max_tokens=300)
        name, arguments, reason = "", "", None
        for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
            reason = chunk.choices[0].finish_reason or reason
        self.assertEqual((name, reason), ("plan", "tool_calls"))
        check_call(self, name, json.loads(arguments))

    def test_allowed_tools(self):
        allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "plan"}}]}}
        for seed in range(5):
            call = self.chat("Hi", tools=TOOLS, tool_choice=allowed, seed=seed, max_tokens=300).choices[0].message
            self.assertEqual({c.function.name for c in call.tool_calls}, {"plan"})

    def test_parse_helper_with_pydantic(self):
        class Animal(pydantic.BaseModel):
            kind: typing.Literal["cat", "dog"]
            age: typing.Annotated[int, pydantic.Field(ge=0, le=30)]

        class Pair(pydantic.BaseModel):  # references, and nothing that could go on for ever
            first: Animal
            second: typing.Optional[Animal]

        parsed = self.client.chat.completions.parse(model="nano", messages=user("A cat."), temperature=HOT, seed=2,
                                                    reasoning_effort="none", response_format=Pair, max_tokens=400)
        self.assertIsInstance(parsed.choices[0].message.parsed, Pair)
        with self.client.chat.completions.stream(model="nano", messages=user("A cat."), temperature=HOT, seed=4,
                                                 reasoning_effort="none", response_format=Pair,
                                                 max_tokens=400) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertIn("content.done", kinds)
        self.assertIsInstance(final.choices[0].message.parsed, Pair)
        answer = self.client.responses.parse(model="nano", input="A dog.", temperature=HOT, text_format=Pair,
                                             reasoning={"effort": "none"}, max_output_tokens=400)
        self.assertIsInstance(answer.output_parsed, Pair)

    def test_parse_helper_with_strict_tools(self):
        class Weather(pydantic.BaseModel):
            city: typing.Literal["Oslo", "Rome"]
            days: int

        parsed = self.client.chat.completions.parse(
            model="nano", messages=user("Weather?"), temperature=HOT, seed=1, reasoning_effort="none",
            tools=[openai.pydantic_function_tool(Weather)], tool_choice="required", max_tokens=200)
        self.assertIsInstance(parsed.choices[0].message.tool_calls[0].function.parsed_arguments, Weather)

    def test_vllm_spellings(self):
        for seed in range(10):
            extra = [({"guided_choice": ["red", "blue", "a \"b\""]}, lambda t: t in ("red", "blue", 'a "b"')),
                     ({"guided_regex": "[ab]{2}-\\d"}, lambda t: re.fullmatch(r"[ab]{2}-\d", t)),
                     ({"structured_outputs": {"grammar": 'root ::= "x" ("y" | "z"){2}'}},
                      lambda t: re.fullmatch("x[yz]{2}", t)),
                     ({"structured_outputs": {"json": SCHEMA}}, lambda t: check_animal(self, t) is None),
                     ({"guided_json": json.dumps(SCHEMA)}, lambda t: check_animal(self, t) is None)]
            for fields, fits in extra:
                text = self.chat("Go.", seed=seed, max_tokens=200, extra_body=fields).choices[0].message.content
                self.assertTrue(fits(text), (fields, text))
        text = self.client.completions.create(model="nano", prompt="It is", temperature=HOT,
                                              extra_body={"guided_regex": " (true|false)"}).choices[0].text
        self.assertIn(text, (" true", " false"))

    def test_json_object(self):
        for seed in range(20):
            choice = self.client.chat.completions.create(
                model="nano", messages=user("JSON, please."), temperature=0.8, seed=seed, reasoning_effort="none",
                response_format={"type": "json_object"}, max_tokens=300).choices[0]
            # Anything goes in it, so that few come to their end.
            self.assertTrue(choice.message.content.startswith("{"))
            if choice.finish_reason == "stop":
                self.assertIsInstance(json.loads(choice.message.content), dict)

    def test_a_thought_comes_first(self):
        """The model thinks in its own words; the answer behind it is held to its shape."""
        thought = 0
        for seed in range(10):
            message = self.client.chat.completions.create(
                model="nano", messages=user("What is 12 plus 30?"), temperature=0.3, seed=seed, max_tokens=120,
                extra_body={"guided_regex": "\\d{2}"}).choices[0].message
            thought += bool(message.model_extra.get("reasoning"))
            self.assertRegex(message.content, r"^\d{2}$")
        self.assertGreater(thought, 5)

    def test_logprobs_are_the_models_own(self):
        entries = self.chat("Hi", logprobs=True, top_logprobs=2, extra_body={"guided_choice": ["zebra"]},
                            max_tokens=20).choices[0].logprobs.content
        self.assertTrue(all(entry.logprob <= 0 for entry in entries))
        self.assertLess(min(entry.logprob for entry in entries), -3, "a forced token is unlikely by itself")

    def test_min_tokens(self):
        for n in (5, 25):
            answer = self.client.chat.completions.create(model="nano", messages=user("Hi!"), temperature=0,
                                                         max_tokens=60, extra_body={"min_tokens": n})
            self.assertGreater(answer.usage.completion_tokens, n)

    def test_refusals_name_what_is_not_supported(self):
        for schema, word in (({"type": "object", "properties": {"a": {"not": {}}}}, "'not' is not supported"),
                             ({"type": "array", "items": True, "uniqueItems": True}, "uniqueItems"),
                             ({"type": "string", "format": "colour"}, "colour")):
            with self.assertRaises(openai.BadRequestError) as caught:
                self.chat("Hi", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
            self.assertIn(word, caught.exception.message)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("Hi", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "no"}})
        self.assertEqual(caught.exception.param, "tool_choice")
        # A tool that is not strict, with a schema nobody can enforce, is left to the model.
        odd = [{"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"x": {"not": {"type": "null"}}}}}}]
        self.chat("Hi", tools=odd, max_tokens=3)

    def test_anthropic_tool_choice(self):
        client = anthropic.Anthropic(base_url=self.server.url, api_key="none", max_retries=0)
        tools = [{"name": t["function"]["name"], "input_schema": t["function"]["parameters"]} for t in TOOLS]
        for choice in ({"type": "any"}, {"type": "tool", "name": "plan", "disable_parallel_tool_use": True}):
            for _ in range(5):
                answer = client.messages.create(model="nano", max_tokens=300, messages=user("Hi"), tools=tools,
                                                tool_choice=choice, thinking={"type": "disabled"},
                                                extra_body={"temperature": 1})
                self.assertEqual(answer.stop_reason, "tool_use")
                for block in answer.content:
                    self.assertEqual(block.type, "tool_use")
                    check_call(self, block.name, block.input)
                if choice["type"] == "tool":
                    self.assertEqual([block.name for block in answer.content], ["plan"])

    def test_responses(self):
        tools = [{"type": "function", **t["function"]} for t in TOOLS]
        answer = self.client.responses.create(model="nano", input="Hi", tools=tools, temperature=HOT,
                                              tool_choice={"type": "function", "name": "weather"},
                                              reasoning={"effort": "none"}, max_output_tokens=300)
        call = [item for item in answer.output if item.type == "function_call"][0]
        check_call(self, call.name, json.loads(call.arguments))
        answer = self.client.responses.create(
            model="nano", input="An animal.", temperature=HOT, max_output_tokens=300, reasoning={"effort": "none"},
            text={"format": {"type": "json_schema", "name": "animal", "schema": SCHEMA, "strict": True}})
        check_animal(self, answer.output_text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
