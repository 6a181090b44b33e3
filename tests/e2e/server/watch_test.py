"""What an operator sees: logs, /debug/state, the step thread's timeline, the playground's files."""
import json
import pathlib
import tempfile
import threading
import time
import unittest

from harness import Server, ServerTest

ENDLESS = {"prompt": "Once", "max_tokens": 900, "ignore_eos": True, "stream": True}


class Watch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.trace = pathlib.Path(folder.name, "trace.json")

    def test_logs_are_objects(self):
        server = Server("--enable-log-requests", "--log-format", "json")
        server.json("/v1/completions", {"prompt": "Once", "max_tokens": 5, "ignore_eos": True},
                    headers={"x-request-id": "mine-1"})
        server.request("/nowhere")
        self.assertEqual(server.stop(), 0)
        lines = [json.loads(line) for line in server.log]
        requests = {line["path"]: line for line in lines if line["event"] == "request"}
        one = requests["/v1/completions"]
        self.assertEqual((one["request_id"], one["status"], one["completion_tokens"], one["finish_reason"]),
                         ("mine-1", 200, 5, "length"))
        self.assertGreater(one["prompt_tokens"], 0)
        self.assertEqual(requests["/nowhere"]["status"], 404)
        self.assertTrue(any(line["event"] == "server" for line in lines))

    def test_state_names_who_runs_and_who_waits(self):
        server = Server("--max-num-seqs", "2", "--api-key", "k")
        self.addCleanup(server.stop)
        key = {"authorization": "Bearer k"}
        self.assertEqual(server.request("/debug/state")[0], 401)
        self.assertEqual(server.request("/debug/trace", headers=key)[0], 404)
        idle = server.json("/debug/state", headers=key)
        self.assertEqual(idle["requests"], [])
        self.assertEqual(idle["blocks"]["free"] + idle["blocks"]["prefix_cache_unused"], idle["blocks"]["total"])
        threads = [threading.Thread(target=server.request, args=("/v1/completions", ENDLESS),
                                    kwargs={"headers": {**key, "x-request-id": f"r{i}"}}) for i in range(4)]
        for thread in threads:
            thread.start()
        seen = set()
        end = time.time() + 60
        while time.time() < end and any(t.is_alive() for t in threads):
            state = server.json("/debug/state", headers=key)
            blocks = state["blocks"]
            self.assertEqual(blocks["total"], blocks["free"] + blocks["prefix_cache_unused"] +
                             blocks["prefix_cache_in_use"] + blocks["requests_alone"])
            for request in state["requests"]:
                seen.add(request["phase"])
                self.assertRegex(request["request_id"], "^r[0-3]$")
                if request["phase"] == "answer":
                    self.assertGreater(request["blocks"], 0)
                    self.assertGreaterEqual(request["blocks"] * blocks["tokens_each"], request["computed_tokens"])
            self.assertLessEqual(sum(r["phase"] == "answer" for r in state["requests"]), 2)
        for thread in threads:
            thread.join()
        self.assertTrue({"answer", "waiting"} <= seen, seen)

    def test_timeline(self):
        server = Server("--trace", str(self.trace))
        wanted = {"plan", "launch", "wait", "deliver", "intake", "idle"}
        asked = 0
        end = time.time() + 20
        # A span is there once it has ended: the one that delivers an answer a moment after the answer, and an idle one
        # when something comes to do. So ask again until both are seen.
        while True:
            server.json("/v1/completions", {"prompt": "Once", "max_tokens": 20, "ignore_eos": True})
            asked += 20
            while True:
                live = server.json("/debug/trace")["traceEvents"]
                spans = [e for e in live if e["ph"] == "X"]
                delivered = sum(e["args"]["tokens"] for e in spans if e["name"] == "deliver")
                if delivered >= asked or time.time() > end:
                    break
                time.sleep(0.05)
            if wanted <= {e["name"] for e in spans} or time.time() > end:
                break
        self.assertEqual(server.stop(), 0)
        for events in (live, json.loads(self.trace.read_text())["traceEvents"]):
            spans = [e for e in events if e["ph"] == "X"]
            self.assertLessEqual(wanted, {e["name"] for e in spans})
            self.assertEqual(sum(e["args"]["tokens"] for e in spans if e["name"] == "deliver"), asked)
            # One thread: its spans follow each other.
            for a, b in zip(spans, spans[1:]):
                self.assertLessEqual(a["ts"] + a["dur"], b["ts"] + 0.002)
            steps = [e for e in events if e["ph"] == "b"]
            self.assertGreaterEqual(len(steps), asked)


class Playground(ServerTest):
    flags = ("--api-key", "k")

    def test_page_is_there_and_guarded(self):
        for path, kind in (("/", "text/html"), ("/playground.css", "text/css"), ("/playground.js", "text/javascript")):
            status, headers, body = self.server.request(path)
            self.assertEqual(status, 200)
            self.assertTrue(headers["content-type"].startswith(kind))
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            self.assertGreater(len(body), 500)
        self.assertEqual(self.server.request("/", method="HEAD")[0], 200)
        self.assertEqual(self.server.request("/", method="POST", body={})[0], 404)
        self.assertEqual(self.server.request("/playground.html")[0], 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
