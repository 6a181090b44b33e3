"""Responses that are kept: retrieved, gone on from, made in the background, cancelled, deleted."""
import time
import unittest

import openai

from harness import ServerTest


class Stored(ServerTest):
    def setUp(self):
        self.client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0, timeout=120)

    def ask(self, text, **more):
        return self.client.responses.create(**{"model": "nano", "input": text, "temperature": 0, **more})

    def test_retrieve_and_delete(self):
        first = self.ask("What is 12 plus 30?")
        self.assertTrue(first.store)
        again = self.client.responses.retrieve(first.id)
        self.assertEqual(again.output_text, first.output_text)
        items = self.client.responses.input_items.list(first.id).data
        self.assertEqual([item.role for item in items], ["user"])
        self.client.responses.delete(first.id)
        for call in (self.client.responses.retrieve, self.client.responses.delete, self.client.responses.cancel):
            with self.assertRaises(openai.NotFoundError):
                call(first.id)
        unkept = self.ask("Hi", store=False)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(unkept.id)

    def test_goes_on_from_an_earlier_one(self):
        first = self.ask("My name is Kate.")
        second = self.ask("What is my name?", previous_response_id=first.id)
        self.assertIn("Kate", second.output_text)
        self.assertEqual(second.previous_response_id, first.id)
        # The same as with the conversation sent.
        sent = self.ask([{"role": "user", "content": "My name is Kate."},
                         *[item.model_dump(exclude_none=True) for item in first.output],
                         {"role": "user", "content": "What is my name?"}])
        self.assertEqual(sent.output_text, second.output_text)
        third = self.ask("Hi", previous_response_id=second.id)
        self.assertEqual(len(self.client.responses.input_items.list(third.id).data), 3 + 2 * len(first.output))
        with self.assertRaises(openai.NotFoundError) as caught:
            self.ask("Hi", previous_response_id="resp_none")
        self.assertEqual(caught.exception.code, "previous_response_not_found")

    def test_a_streamed_one_is_kept_too(self):
        with self.client.responses.stream(model="nano", input="What is 12 plus 30?", temperature=0) as stream:
            for _ in stream:
                pass
            final = stream.get_final_response()
        kept = self.client.responses.retrieve(final.id)
        self.assertEqual([item.id for item in kept.output], [item.id for item in final.output])
        self.assertEqual(kept.status, "completed")

    def test_background_and_cancel(self):
        begun = self.ask("What is 12 plus 30?", background=True)
        self.assertEqual((begun.status, begun.output), ("in_progress", []))
        end = time.time() + 60
        while time.time() < end and self.client.responses.retrieve(begun.id).status == "in_progress":
            time.sleep(0.05)
        done = self.client.responses.retrieve(begun.id)
        self.assertEqual(done.status, "completed")
        self.assertIn("42", done.output_text)

        long = self.ask("Tell me a story about a fox.", background=True, extra_body={
            "text": {"format": {"type": "json_schema", "name": "a", "schema": {
                "type": "string", "minLength": 700}}}})
        self.assertEqual(self.client.responses.cancel(long.id).status, "cancelled")
        self.server.wait_until_idle()
        end = time.time() + 10
        while time.time() < end and self.client.responses.retrieve(long.id).usage is None:
            time.sleep(0.05)
        self.assertEqual(self.client.responses.retrieve(long.id).status, "cancelled")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.ask("Hi", background=True, store=False)
        self.assertEqual(caught.exception.param, "background")


if __name__ == "__main__":
    unittest.main(verbosity=2)
