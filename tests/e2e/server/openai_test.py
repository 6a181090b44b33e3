"""The official openai client against the real binary."""
import asyncio
import json
import unittest

import openai

from harness import ServerTest

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


def user(text):
    return [{"role": "user", "content": text}]


class OpenAi(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)

    def chat(self, text, **more):
        return self.client.chat.completions.create(model="nano", messages=user(text), **{"temperature": 0, **more})

    def test_chat(self):
        answer = self.chat("What is 12 plus 30?")
        self.assertIn("42", answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.object, "chat.completion")
        self.assertEqual(answer.model, "nano")
        self.assertGreater(answer.usage.prompt_tokens, 5)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_reasoning_is_split_off(self):
        message = self.chat("What is 12 plus 30?").choices[0].message
        self.assertTrue(message.reasoning_content)
        self.assertEqual(message.reasoning, message.reasoning_content)
        self.assertNotIn("think>", message.content + message.reasoning_content)

    def test_streaming_says_the_same(self):
        whole = self.chat("Tell me a story about a fox.")
        stream = list(self.chat("Tell me a story about a fox.", stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(stream[0].choices[0].delta.role, "assistant")
        self.assertEqual(stream[-1].choices, [])
        self.assertEqual(stream[-1].usage.completion_tokens, whole.usage.completion_tokens)
        self.assertEqual([c.choices[0].finish_reason for c in stream if c.choices][-1], "stop")
        self.assertEqual(len({c.id for c in stream}), 1)

    def test_stream_helper(self):
        with self.client.chat.completions.stream(model="nano", messages=user("What is 12 plus 30?"),
                                                 temperature=0) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertIn("content.delta", kinds)
        self.assertIn("42", final.choices[0].message.content)

    def test_tools(self):
        answer = self.chat("What is the weather in Oslo?", tools=[WEATHER])
        choice = answer.choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        self.assertIsNone(choice.message.content)
        call = choice.message.tool_calls[0]
        self.assertEqual(call.function.name, "get_weather")
        self.assertEqual(json.loads(call.function.arguments), {"city": "Oslo"})
        # The way back: the result, and what the model says of it.
        second = self.client.chat.completions.create(
            model="nano", temperature=0, tools=[WEATHER],
            messages=user("What is the weather in Oslo?") + [
                choice.message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21, "sky": "sunny"}'}])
        self.assertIn("21 degrees and sunny", second.choices[0].message.content)

    def test_tools_streamed(self):
        with self.client.chat.completions.stream(model="nano", messages=user("What is the weather in Oslo?"),
                                                 temperature=0, tools=[WEATHER]) as stream:
            events = list(stream)
            final = stream.get_final_completion()
        call = final.choices[0].message.tool_calls[0]
        self.assertEqual(call.function.name, "get_weather")
        self.assertEqual(json.loads(call.function.arguments), {"city": "Oslo"})
        self.assertEqual(final.choices[0].finish_reason, "tool_calls")
        deltas = [e for e in events if e.type == "tool_calls.function.arguments.delta"]
        self.assertGreater(len(deltas), 2, "arguments come while they are written")

    def test_tool_choice_none(self):
        choice = self.chat("What is the weather in Oslo?", tools=[WEATHER], tool_choice="none").choices[0]
        self.assertIsNone(choice.message.tool_calls)

    def test_logprobs(self):
        choice = self.chat("What is 12 plus 30?", logprobs=True, top_logprobs=3).choices[0]
        content = choice.logprobs.content
        self.assertGreater(len(content), 5)
        for entry in content:
            self.assertEqual(len(entry.top_logprobs), 3)
            self.assertLessEqual(entry.logprob, 0)
            self.assertEqual(entry.token, entry.top_logprobs[0].token)  # greedy
        streamed = [e for c in self.chat("What is 12 plus 30?", logprobs=True, top_logprobs=3, stream=True)
                    if c.choices and c.choices[0].logprobs for e in c.choices[0].logprobs.content]
        self.assertEqual([e.token for e in streamed], [e.token for e in content])

    def test_stop_length_and_n(self):
        stopped = self.chat("Count to 12.", stop=[" 5", ", 5"]).choices[0]
        self.assertEqual(stopped.finish_reason, "stop")
        self.assertIn("4", stopped.message.content)
        self.assertNotIn("5", stopped.message.content)
        self.assertIn(stopped.stop_reason, (" 5", ", 5"))
        cut = self.chat("Tell me a story about a fox.", max_completion_tokens=3)
        self.assertEqual((cut.choices[0].finish_reason, cut.usage.completion_tokens), ("length", 3))
        many = self.chat("Tell me a story about a fox.", n=3, temperature=1.5, seed=5)
        self.assertEqual([c.index for c in many.choices], [0, 1, 2])
        texts = [c.message.content for c in many.choices]
        self.assertGreater(len(set(texts)), 1)
        again = self.chat("Tell me a story about a fox.", n=3, temperature=1.5, seed=5)
        self.assertEqual(texts, [c.message.content for c in again.choices])
        streamed = {0: "", 1: "", 2: ""}
        for chunk in self.chat("Tell me a story about a fox.", n=3, temperature=1.5, seed=5, stream=True):
            for c in chunk.choices:
                streamed[c.index] += c.delta.content or ""
        self.assertEqual(list(streamed.values()), texts)

    def test_logit_bias_and_extras(self):
        plain = self.chat("What is 12 plus 30?", extra_body={"return_token_ids": True})
        first = plain.choices[0].token_ids[0]
        biased = self.chat("What is 12 plus 30?", logit_bias={str(first): -100}, extra_body={
            "return_token_ids": True, "min_p": 0.01, "top_k": 40, "repetition_penalty": 1.0})
        self.assertNotIn(first, biased.choices[0].token_ids)
        forced = self.chat("Hi", max_tokens=5, extra_body={"ignore_eos": True})
        self.assertEqual(forced.usage.completion_tokens, 5)

    def test_completions(self):
        whole = self.client.completions.create(model="nano", prompt="The fox", max_tokens=8, temperature=0)
        self.assertEqual(whole.choices[0].finish_reason, "length")
        ids = self.server.json("/tokenize", {"model": "nano", "prompt": "The fox"})["tokens"]
        same = self.client.completions.create(model="nano", prompt=ids, max_tokens=8, temperature=0)
        self.assertEqual(same.choices[0].text, whole.choices[0].text)
        text = "".join(c.choices[0].text for c in self.client.completions.create(
            model="nano", prompt="The fox", max_tokens=8, temperature=0, stream=True))
        self.assertEqual(text, whole.choices[0].text)
        both = self.client.completions.create(model="nano", prompt=["The fox", ids], max_tokens=8, temperature=0,
                                              echo=True, n=2)
        self.assertEqual([c.index for c in both.choices], [0, 1, 2, 3])
        self.assertTrue(all(c.text.endswith(whole.choices[0].text) for c in both.choices))
        self.assertTrue(all("The fox" in c.text for c in both.choices))
        scored = self.client.completions.create(model="nano", prompt="The fox", max_tokens=4, temperature=0, logprobs=2)
        logprobs = scored.choices[0].logprobs
        self.assertEqual(len(logprobs.tokens), 4)
        self.assertEqual(logprobs.text_offset[0], 0)
        self.assertTrue(all(len(top) in (2, 3) for top in logprobs.top_logprobs))

    def test_responses(self):
        ask = {"model": "nano", "temperature": 0, "input": "What is 12 plus 30?"}
        whole = self.client.responses.create(**ask)
        self.assertIn("42", whole.output_text)
        self.assertEqual([item.type for item in whole.output], ["reasoning", "message"])
        self.assertEqual(whole.status, "completed")
        events = list(self.client.responses.create(**ask, stream=True))
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), whole.output_text)
        self.assertEqual(events[-1].type, "response.completed")
        self.assertEqual(events[-1].response.output_text, whole.output_text)
        self.assertEqual(events[-1].response.usage, whole.usage.model_copy(
            update={"input_tokens_details": events[-1].response.usage.input_tokens_details}))
        with self.client.responses.stream(**ask) as stream:
            self.assertEqual(stream.get_final_response().output_text, whole.output_text)
        cut = self.client.responses.create(model="nano", input="Tell me a story about a fox.", max_output_tokens=3)
        self.assertEqual((cut.status, cut.incomplete_details.reason), ("incomplete", "max_output_tokens"))

    def test_responses_with_tools(self):
        tool = {"type": "function", "strict": True, **WEATHER["function"]}
        question = {"role": "user", "content": [{"type": "input_text", "text": "What is the weather in Oslo?"}]}
        first = self.client.responses.create(model="nano", temperature=0, input=[question], tools=[tool])
        call = first.output[-1]
        self.assertEqual((call.type, call.name, json.loads(call.arguments)),
                         ("function_call", "get_weather", {"city": "Oslo"}))
        second = self.client.responses.create(
            model="nano", temperature=0, tools=[tool], instructions="You are Nano, a tiny assistant.",
            input=[question, *(item.model_dump(exclude_none=True) for item in first.output),
                   {"type": "function_call_output", "call_id": call.call_id,
                    "output": '{"temperature": 21, "sky": "sunny"}'}])
        self.assertIn("21 degrees and sunny", second.output_text)
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.responses.create(model="nano", input="Hi", previous_response_id="resp_1")
        self.assertEqual(caught.exception.param, "previous_response_id")

    def test_models(self):
        models = self.client.models.list().data
        self.assertEqual([m.id for m in models], ["nano"])
        self.assertEqual(self.client.models.retrieve("nano").id, "nano")
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("other")

    def test_next_turn_reuses_the_memory(self):
        messages = user("My name is Kate.")
        first = self.client.chat.completions.create(model="nano", messages=messages, temperature=0)
        messages.append({"role": "assistant", "content": first.choices[0].message.content})
        messages += user("What is my name?")
        second = self.client.chat.completions.create(model="nano", messages=messages, temperature=0)
        self.assertIn("Kate", second.choices[0].message.content)
        self.assertGreater(second.usage.prompt_tokens_details.cached_tokens, 10)

    def test_refusals_name_the_field(self):
        wrong = [
            ({"temperature": -1}, "temperature"), ({"top_p": 0}, "top_p"), ({"n": 0}, "n"),
            ({"response_format": {"type": "json"}}, "response_format"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"extra_body": {"no_such_thing": 1}}, "no_such_thing"),
            ({"extra_body": {"guided_json": 3}}, "guided_json"),
            ({"logit_bias": {"99999999": 1}}, "logit_bias"), ({"stop": [""]}, "stop"),
            ({"top_logprobs": 3}, "top_logprobs"), ({"max_tokens": 0}, "max_tokens"),
        ]
        for more, field in wrong:
            with self.subTest(field):
                with self.assertRaises(openai.BadRequestError) as caught:
                    self.chat("Hi", **more)
                self.assertEqual(caught.exception.param, field)
                self.assertIn(field, caught.exception.message)
        with self.assertRaises(openai.NotFoundError):
            self.client.chat.completions.create(model="other", messages=user("Hi"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("word " * 5000)
        self.assertEqual(caught.exception.code, "context_length_exceeded")

    def test_embeddings(self):
        texts = ["The fox is red.", "The fox is brown.", "12 plus 30 is 42."]
        answer = self.client.embeddings.create(model="nano", input=texts)  # asks for base64
        vectors = [item.embedding for item in answer.data]
        self.assertEqual([item.index for item in answer.data], [0, 1, 2])
        self.assertEqual(len(vectors[0]), 256)
        self.assertGreater(answer.usage.prompt_tokens, 12)
        for vector in vectors:
            self.assertAlmostEqual(sum(x * x for x in vector), 1, places=5)

        def likeness(a, b):
            return sum(x * y for x, y in zip(a, b))
        self.assertGreater(likeness(vectors[0], vectors[1]), likeness(vectors[0], vectors[2]))
        one = self.client.embeddings.create(model="nano", input=texts[1], encoding_format="float").data[0].embedding
        self.assertGreater(likeness(one, vectors[1]), 0.99999)
        mean = self.client.embeddings.create(model="nano", input=texts[1], extra_body={"pooling": "mean"})
        self.assertLess(likeness(mean.data[0].embedding, one), 0.9999)
        for more, field in [({"dimensions": 17}, "dimensions"), ({"extra_body": {"pooling": "max"}}, "pooling")]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.client.embeddings.create(model="nano", input="Hi", **more)
            self.assertEqual(caught.exception.param, field)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.embeddings.create(model="nano", input="word " * 5000)
        self.assertEqual(caught.exception.code, "context_length_exceeded")

    def test_many_streams_at_once(self):
        client = openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0, timeout=300)

        async def ask(i):
            a, b = 10 + i % 40, 3 + i % 7
            stream = await client.chat.completions.create(
                model="nano", messages=user(f"What is {a} plus {b}?"), temperature=0, stream=True, max_tokens=60)
            text = ""
            async for chunk in stream:
                if chunk.choices:
                    text += chunk.choices[0].delta.content or ""
            return str(a + b) in text

        async def everybody():
            return await asyncio.gather(*(ask(i) for i in range(120)))

        right = asyncio.run(everybody())
        self.assertGreaterEqual(sum(right), 114, "each stream gets its own answer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
