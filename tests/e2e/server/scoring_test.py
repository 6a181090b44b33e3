"""Log probabilities of prompts: vLLM's prompt_logprobs, and OpenAI's echo with logprobs."""
import unittest

import openai

from harness import ServerTest

TEXT = "The small cat sat on the small mat, and the small dog sat on the small cat."


class Scoring(ServerTest):
    # Steps of few tokens: prompts come in chunks.
    flags = ("--max-num-batched-tokens", "64")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)

    def complete(self, prompt=TEXT, **more):
        return self.client.completions.create(model="nano", prompt=prompt, **{"temperature": 0, "max_tokens": 4, **more})

    def ids(self, text=TEXT):
        return self.server.json("/tokenize", {"model": "nano", "prompt": text})["tokens"]

    def test_prompt_logprobs(self):
        ids = self.ids()
        choice = self.complete(extra_body={"prompt_logprobs": 2}).choices[0]
        plain = self.complete().choices[0]
        self.assertEqual(choice.text, plain.text)
        self.assertFalse(hasattr(plain, "prompt_logprobs"))
        scores = choice.prompt_logprobs
        self.assertEqual(len(scores), len(ids))
        self.assertIsNone(scores[0])
        for token, entry in zip(ids[1:], scores[1:]):
            own = entry[str(token)]
            self.assertEqual(set(own), {"logprob", "rank", "decoded_token"})
            self.assertIn(len(entry), (2, 3))
            self.assertEqual(len(entry) == 3, own["rank"] > 2)
            ranked = sorted(entry.values(), key=lambda each: each["rank"])
            self.assertEqual([each["rank"] for each in ranked][:2], [1, 2])
            self.assertEqual(ranked, sorted(ranked, key=lambda each: -each["logprob"]))
            self.assertLessEqual(ranked[0]["logprob"], 0)
        self.assertEqual("".join(e[str(t)]["decoded_token"] for t, e in zip(ids[1:], scores[1:])), TEXT)
        alone = self.complete(extra_body={"prompt_logprobs": 0}).choices[0].prompt_logprobs
        self.assertEqual(alone, [None] + [{str(t): e[str(t)]} for t, e in zip(ids[1:], scores[1:])])

    def test_chat(self):
        ask = {"model": "nano", "messages": [{"role": "user", "content": "What is 12 plus 30?"}], "temperature": 0}
        answer = self.client.chat.completions.create(**ask, n=2, extra_body={"prompt_logprobs": 1,
                                                                            "return_token_ids": True})
        self.assertIn("42", answer.choices[0].message.content)
        self.assertEqual(len(answer.prompt_logprobs), answer.usage.prompt_tokens)
        for token, entry in zip(answer.prompt_token_ids[1:], answer.prompt_logprobs[1:]):
            self.assertIn(str(token), entry)
        self.assertEqual(answer.usage.prompt_tokens_details.cached_tokens, 0)

    def test_echo(self):
        ids = self.ids()
        for prompt in (TEXT, ids):
            with self.subTest(type(prompt)):
                long = {"logprobs": 1, "extra_body": {"ignore_eos": True, "skip_special_tokens": False}}
                choice = self.complete(prompt, echo=True, **long).choices[0]
                answer = self.complete(prompt, **long).choices[0]
                self.assertEqual(choice.text, TEXT + answer.text)
                scores = choice.logprobs
                for values in (scores.tokens, scores.token_logprobs, scores.top_logprobs, scores.text_offset):
                    self.assertEqual(len(values), len(ids) + 4)
                self.assertIsNone(scores.token_logprobs[0])
                self.assertIsNone(scores.top_logprobs[0])
                self.assertEqual(scores.tokens[-4:], answer.logprobs.tokens)
                self.assertEqual(scores.token_logprobs[-4:], answer.logprobs.token_logprobs)
                for token, value, top, at in list(zip(scores.tokens, scores.token_logprobs, scores.top_logprobs,
                                                      scores.text_offset))[1:]:
                    self.assertEqual(choice.text[at:at + len(token)], token)
                    self.assertEqual(top[token], value)
                    self.assertLessEqual(value, max(top.values()))

    def test_as_evaluations_ask(self):
        """What lm-eval-harness's local-completions sends, and reads: how likely an end of a text is."""
        context, end = "What is 12 plus", " 30?"
        both = self.ids(context) + self.ids(end)[1:]
        answers = self.complete([both, both[:-1] + [both[3]]], echo=True, logprobs=1, max_tokens=1, seed=1234)
        sums = []
        for choice in answers.choices:
            scores = choice.logprobs
            self.assertEqual(len(scores.token_logprobs), len(both) + 1)
            values, tops = scores.token_logprobs[len(self.ids(context)):-1], scores.top_logprobs[len(self.ids(context)):-1]
            sums.append(sum(values))
            self.assertTrue(all(value <= max(top.values()) for value, top in zip(values, tops)))
        self.assertNotEqual(sums[0], sums[1])
        # The prompt alone says the same.
        alone = self.complete(both, echo=True, logprobs=1, max_tokens=0)
        whole, prompt = answers.choices[0].logprobs, alone.choices[0].logprobs
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            self.assertEqual(getattr(prompt, name), getattr(whole, name)[:-1])
        self.assertEqual((alone.choices[0].finish_reason, alone.usage.completion_tokens), ("length", 0))
        self.assertEqual(alone.choices[0].text, context + end)
        self.assertEqual(self.complete(both, echo=True, max_tokens=0).choices[0].text, context + end)

    def test_an_answer_is_as_likely_as_it_was(self):
        answer = self.complete(logprobs=1, temperature=1, seed=3, max_tokens=20,
                               extra_body={"return_token_ids": True, "ignore_eos": True}).choices[0]
        again = self.complete(answer.prompt_token_ids + answer.token_ids, echo=True, logprobs=1, max_tokens=0)
        self.assertEqual(again.choices[0].logprobs.token_logprobs[-20:], answer.logprobs.token_logprobs)

    def test_streams(self):
        whole = self.complete(echo=True, logprobs=2).choices[0]
        chunks = [c.choices[0] for c in self.complete(echo=True, logprobs=2, stream=True)]
        self.assertEqual("".join(c.text for c in chunks), whole.text)
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            streamed = [each for c in chunks if c.logprobs for each in getattr(c.logprobs, name)]
            self.assertEqual(streamed, getattr(whole.logprobs, name))
        alone = [c.choices[0] for c in self.complete(echo=True, logprobs=2, stream=True, max_tokens=0)]
        self.assertEqual("".join(c.text for c in alone), TEXT)
        self.assertEqual(alone[-1].finish_reason, "length")
        for body, field in (({"prompt_logprobs": 1}, "prompt_logprobs"), ({"echo": True, "logprobs": 1, "n": 2}, "n")):
            with self.assertRaises(openai.BadRequestError) as caught:
                self.complete(stream=True, extra_body=body)
            self.assertEqual(caught.exception.param, field)

    def test_wrong_requests_are_named(self):
        for more, field in (({"prompt_logprobs": 21}, "prompt_logprobs"), ({"prompt_logprobs": -1}, "prompt_logprobs"),
                            ({"prompt_logprobs": "all"}, "prompt_logprobs"), ({"max_tokens": 0}, "max_tokens"),
                            ({"max_tokens": 0, "prompt_logprobs": 1}, "max_tokens")):
            with self.subTest(more):
                with self.assertRaises(openai.BadRequestError) as caught:
                    self.complete(extra_body=more)
                self.assertEqual(caught.exception.param, field)
        status, _, text = self.server.request("/v1/responses", {"input": "Hi", "prompt_logprobs": 1})
        self.assertEqual(status, 400)
        self.assertIn("prompt_logprobs", text)


if __name__ == "__main__":
    unittest.main()
