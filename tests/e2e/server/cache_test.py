"""Fields and paths for the prefix cache, scheduling and guesses."""
import unittest

from harness import Server, ServerTest

CHAT = "/v1/chat/completions"
STORY = "Say this again, word by word: the small cat sat on the small mat and the small cat sat on the small mat."


def question(text=STORY, **more):
    return {"model": "nano", "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 40,
            **more}


class Cache(ServerTest):
    def cached(self, **more):
        return self.server.json(CHAT, question(**more))["usage"]["prompt_tokens_details"]["cached_tokens"]

    def test_salts_and_reset(self):
        self.assertEqual(self.cached(cache_salt="a"), 0)
        self.assertGreater(self.cached(cache_salt="a"), 10)
        self.assertEqual(self.cached(cache_salt="b"), 0)
        self.assertEqual(self.server.json("/reset_prefix_cache", {}), {})
        self.assertEqual(self.cached(cache_salt="a"), 0)
        self.assertEqual(self.server.request("/reset_prefix_cache")[0], 405)

    def test_guesses_change_nothing(self):
        # The same answer again, with the first one to look it up in.
        asked = question("Tell me a story about a fox.", max_tokens=60)
        first = self.server.json(CHAT, asked)["choices"][0]["message"]["content"]
        asked["messages"] += [{"role": "assistant", "content": first}, asked["messages"][0]]
        plain = self.server.json(CHAT, asked)
        guessed = self.server.json(CHAT, {**asked, "draft_tokens": 5})
        self.assertEqual(guessed["choices"][0]["message"], plain["choices"][0]["message"])
        details = guessed["usage"]["completion_tokens_details"]
        self.assertGreater(details["accepted_prediction_tokens"] + details["rejected_prediction_tokens"], 0)
        self.assertEqual(plain["usage"]["completion_tokens_details"]["accepted_prediction_tokens"], 0)
        metrics = self.server.request("/metrics")[2]
        self.assertIn("vllm:spec_decode_num_draft_tokens_total", metrics)

    def test_priority_is_taken(self):
        self.server.json(CHAT, question(priority=-3))
        for wrong in ({"priority": "high"}, {"draft_tokens": 99}, {"cache_salt": 3}):
            status, _, text = self.server.request(CHAT, question(**wrong))
            self.assertEqual(status, 400, text)
            self.assertIn(next(iter(wrong)), text)


class Timeout(unittest.TestCase):
    def test_a_late_answer_ends_as_far_as_it_is(self):
        # Slow kernels: 900 tokens take the others less than that on a good machine.
        server = Server("--request-timeout", "0.2", "--kernel", "linear=reference", "--speculative-config",
                        '{"method": "ngram", "num_speculative_tokens": 3}')
        try:
            for _ in range(3):  # the machine may be slow: some tokens, not all
                answer = server.json(CHAT, question(max_tokens=900, ignore_eos=True))
            self.assertEqual(answer["choices"][0]["finish_reason"], "timeout")
            self.assertLess(answer["usage"]["completion_tokens"], 900)
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main()
