"""The official anthropic client against the real binary."""
import unittest

import anthropic

from harness import ServerTest

WEATHER = {"name": "get_weather", "description": "Tells the weather in a city.",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


GREEDY = {"temperature": 0}


def user(text):
    return [{"role": "user", "content": text}]


class Anthropic(ServerTest):
    flags = ("--api-key", "secret")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = anthropic.Anthropic(base_url=cls.server.url, api_key="secret", max_retries=0)

    def say(self, messages, **more):
        body = {**GREEDY, **more.pop("extra_body", {})}  # this client has no temperature of its own
        return self.client.messages.create(model="nano", messages=messages, extra_body=body,
                                           **{"max_tokens": 200, **more})

    def test_message(self):
        message = self.say(user("What is 12 plus 30?"))
        self.assertEqual([block.type for block in message.content], ["thinking", "text"])
        self.assertIn("42", message.content[1].text)
        self.assertEqual(message.stop_reason, "end_turn")
        self.assertGreater(message.usage.output_tokens, 3)
        silent = self.say(user("What is 12 plus 30?"), thinking={"type": "disabled"})
        self.assertEqual([block.type for block in silent.content], ["text"])

    def test_stream(self):
        whole = self.say(user("What is 12 plus 30?"))
        with self.client.messages.stream(model="nano", max_tokens=200, extra_body=GREEDY,
                                         messages=user("What is 12 plus 30?")) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, whole.content[1].text)
        self.assertEqual([b.type for b in final.content], ["thinking", "text"])
        self.assertEqual(final.content[0].thinking, whole.content[0].thinking)
        self.assertEqual(final.usage.output_tokens, whole.usage.output_tokens)

    def test_tools(self):
        question = user("What is the weather in Oslo?")
        for stream in (False, True):
            with self.subTest(stream=stream):
                if stream:
                    with self.client.messages.stream(model="nano", max_tokens=200, extra_body=GREEDY, tools=[WEATHER],
                                                     messages=question) as events:
                        message = events.get_final_message()
                else:
                    message = self.say(question, tools=[WEATHER])
                self.assertEqual(message.stop_reason, "tool_use")
                call = message.content[-1]
                self.assertEqual((call.type, call.name, call.input), ("tool_use", "get_weather", {"city": "Oslo"}))
                told = self.say(question + [
                    {"role": "assistant", "content": [b.model_dump() for b in message.content]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id,
                                                  "content": '{"temperature": 21, "sky": "sunny"}'}]}],
                    tools=[WEATHER])
                self.assertIn("21 degrees and sunny", told.content[-1].text)

    def test_stops_and_limits(self):
        stopped = self.say(user("Count to 12."), stop_sequences=[", 5"])
        self.assertEqual((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", ", 5"))
        cut = self.say(user("Tell me a story about a fox."), max_tokens=3)
        self.assertEqual((cut.stop_reason, cut.usage.output_tokens), ("max_tokens", 3))

    def test_system_and_count(self):
        count = self.client.messages.count_tokens(model="nano", messages=user("Hi"), system="You are Nano.")
        more = self.client.messages.count_tokens(model="nano", messages=user("Hi"), tools=[WEATHER],
                                                 system=[{"type": "text", "text": "You are Nano."}])
        self.assertGreater(more.input_tokens, count.input_tokens + 20)

    def test_refusals(self):
        image = [{"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}]
        for more, word in (({"tool_choice": {"type": "tool", "name": "no"}, "tools": [WEATHER]}, "tool_choice.name"),
                           ({"messages": [{"role": "user", "content": image}]}, "image"),
                           ({"messages": []}, "messages"), ({"extra_body": {"temperature": 3}}, "temperature"),
                           ({"extra_body": {"nonsense": 1}}, "nonsense")):
            with self.subTest(word):
                with self.assertRaises(anthropic.BadRequestError) as caught:
                    self.say(**{"messages": user("Hi"), **more})
                self.assertIn(word, caught.exception.message)
        with self.assertRaises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=self.server.url, api_key="wrong", max_retries=0).messages.create(
                model="nano", max_tokens=5, messages=user("Hi"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
