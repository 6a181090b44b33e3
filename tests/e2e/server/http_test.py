"""What happens below the clients' level: limits, keys, disconnects, overload, the end."""
import concurrent.futures
import json
import signal
import socket
import threading
import time
import unittest

from harness import Server, ServerTest

CHAT = "/v1/chat/completions"


def question(text="Tell me a story about a fox.", **more):
    return {"model": "nano", "messages": [{"role": "user", "content": text}], "temperature": 0, **more}


def endless(**more):
    return question(max_tokens=900, ignore_eos=True, **more)


class Http(ServerTest):
    def test_small_paths(self):
        self.assertEqual(self.server.request("/health")[0], 200)
        self.assertEqual(self.server.json("/ready"), {"ready": True})
        self.assertIn("version", self.server.json("/version"))
        self.assertEqual(self.server.request("/nothing")[0], 404)
        status, headers, _ = self.server.request(CHAT)
        self.assertEqual((status, headers["allow"]), (405, "POST"))
        status, headers, text = self.server.request("/health", method="HEAD")
        self.assertEqual((status, text), (200, ""))

    def test_abort_requests(self):
        got = {}

        def ask(name):
            got[name] = self.server.json(CHAT, endless(), headers={"x-request-id": name})

        threads = [threading.Thread(target=ask, args=(f"abort-{i}",)) for i in range(2)]
        for thread in threads:
            thread.start()
        end = time.time() + 30
        while time.time() < end and self.server.metric("vllm:num_requests_running") < 2:
            time.sleep(0.02)
        self.assertEqual(self.server.json("/abort_requests", {"request_ids": ["abort-0", "nobody"]}),
                         {"aborted": ["abort-0"]})
        threads[0].join()
        self.assertEqual(got["abort-0"]["choices"][0]["finish_reason"], "abort")
        self.assertIn("abort-1", self.server.json("/abort_requests", {"abort_all": True})["aborted"])
        threads[1].join()
        self.assertEqual(got["abort-1"]["choices"][0]["finish_reason"], "abort")
        self.server.json("/abort_requests", {}, status=400)

    def test_tokenize_and_back(self):
        tokens = self.server.json("/tokenize", {"model": "nano", "prompt": "Hello 123", "return_token_strs": True})
        self.assertEqual(tokens["count"], len(tokens["tokens"]))
        self.assertEqual(len(tokens["token_strs"]), tokens["count"])
        self.assertEqual(self.server.json("/detokenize", {"tokens": tokens["tokens"][1:]})["prompt"], "Hello 123")
        chat = self.server.json("/tokenize", {"messages": [{"role": "user", "content": "Hi"}]})
        text = self.server.json("/detokenize", {"tokens": chat["tokens"]})["prompt"]
        self.assertEqual(text, "<|startoftext|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")

    def test_bodies_that_are_wrong(self):
        for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"messages": 3}', b'{"messages": []}',
                     b'{"messages": [3]}', b'{"messages": [{"role": 3}]}', b"[" * 100000,
                     b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
                     b'{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}',
                     b'{"messages": [{"role": "user", "content": "x"}], "stop": [1]}',
                     b'{"messages": [{"role": "user", "content": "x"}], "seed": 1e300}'):
            with self.subTest(body[:60]):
                status, _, text = self.server.request(CHAT, body)
                self.assertEqual(status, 400, text)
                self.assertTrue(json.loads(text)["error"]["message"])

    def test_request_ids(self):
        _, headers, _ = self.server.request("/version", headers={"x-request-id": "mine-1"})
        self.assertEqual(headers["x-request-id"], "mine-1")
        got = self.server.raw(b"GET /version HTTP/1.1\r\nHost: x\r\nx-request-id: a b\"\r\nConnection: close\r\n\r\n")
        self.assertRegex(got.decode(), r"x-request-id: req-[0-9a-f]+")

    def test_header_and_protocol_limits(self):
        big = b"GET / HTTP/1.1\r\nHost: x\r\nx-big: " + b"a" * 100_000 + b"\r\n\r\n"
        self.assertIn(b" 431 ", self.server.raw(big).split(b"\r\n")[0])
        self.assertIn(b" 400 ", self.server.raw(b"HELLO\r\n\r\n").split(b"\r\n")[0])
        claims = b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        self.assertIn(b" 413 ", self.server.raw(claims).split(b"\r\n")[0])
        both = b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"
        self.assertIn(b" 400 ", self.server.raw(both).split(b"\r\n")[0])

    def test_old_http_and_pipelines(self):
        body = json.dumps(question("Hi", stream=True)).encode()
        got = self.server.raw(b"POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (CHAT.encode(), len(body), body))
        self.assertNotIn(b"chunked", got.lower())
        self.assertTrue(got.endswith(b"data: [DONE]\n\n"))
        two = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        got = self.server.raw(two)
        self.assertEqual(got.count(b"HTTP/1.1 200"), 2)
        self.assertLess(got.index(b"version"), got.index(b"ready"))
        chunks = b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + \
            b"10\r\n" + b'{"prompt": "Hi"}' + b"\r\n0\r\n\r\n"
        self.assertIn(b'"count"', self.server.raw(chunks))
        waits = b"POST /tokenize HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 16\r\n" + \
            b'Connection: close\r\n\r\n{"prompt": "Hi"}'
        self.assertTrue(self.server.raw(waits).startswith(b"HTTP/1.1 100 Continue"))

    def test_a_client_that_leaves_frees_its_place(self):
        for stream in (True, False):
            with self.subTest(stream=stream):
                before = self.server.metric("millrace_disconnected_requests_total")
                body = json.dumps(endless(stream=stream)).encode()
                head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(body))
                clients = [socket.create_connection((self.server.host, self.server.port)) for _ in range(4)]
                for client in clients:
                    client.sendall(head + body)
                time.sleep(0.1)  # all of the answers take three times as long on a good machine
                for client in clients:
                    client.close()
                self.server.wait_until_idle()
                end = time.time() + 10  # a client is counted when its connection is seen to be closed
                while self.server.metric("millrace_disconnected_requests_total") <= before and time.time() < end:
                    time.sleep(0.05)
                self.assertGreaterEqual(self.server.metric("millrace_disconnected_requests_total"), before + 1)

    def test_half_a_body(self):
        with socket.create_connection((self.server.host, self.server.port)) as client:
            client.sendall(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"pro")
        self.assertEqual(self.server.request("/health")[0], 200)

    def test_a_client_that_does_not_read(self):
        body = json.dumps(endless(stream=True, logprobs=True, top_logprobs=20)).encode()
        with socket.create_connection((self.server.host, self.server.port)) as stalled:
            stalled.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (CHAT.encode(), len(body), body))
            answer = self.server.json(CHAT, question("What is 12 plus 30?"))
            self.assertIn("42", answer["choices"][0]["message"]["content"])

    def test_metrics(self):
        self.server.json(CHAT, question("Hi"))
        status, headers, text = self.server.request("/metrics")
        self.assertTrue(headers["content-type"].startswith("text/plain"))
        seen = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                seen.add(line.split()[2])
                continue
            if line.startswith("#"):
                continue
            self.assertRegex(line, r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.e]+$')
        for name in ("vllm:num_requests_running", "vllm:time_to_first_token_seconds", "vllm:kv_cache_usage_perc",
                     "vllm:e2e_request_latency_seconds", "millrace_connections", "process_resident_memory_bytes"):
            self.assertIn(name, seen)
        self.assertGreater(self.server.metric("vllm:generation_tokens_total"), 0)
        self.assertGreater(self.server.metric("vllm:time_to_first_token_seconds_count"), 0)

    def test_no_cross_origin_by_default(self):
        _, headers, _ = self.server.request("/version", headers={"Origin": "http://evil.example"})
        self.assertNotIn("access-control-allow-origin", headers)


class Keys(ServerTest):
    flags = ("--api-key", "secret", "--api-key", "other", "--allowed-origins", '["http://app.example"]',
             "--max-body-mb", "0.01", "--gpu-memory-utilization", "0.8", "--enable-auto-tool-choice")

    def test_keys(self):
        body = question("Hi", max_tokens=2)
        for headers, wanted in (({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "secret"}, 401),
                                ({"Authorization": "Bearer secret"}, 200), ({"x-api-key": "other"}, 200)):
            self.assertEqual(self.server.request(CHAT, body, headers)[0], wanted, headers)
        self.assertEqual(self.server.request("/tokenize", {"prompt": "x"})[0], 401)
        self.assertEqual(self.server.request("/v1/models")[0], 401)
        for path in ("/health", "/ready", "/version", "/metrics"):
            self.assertEqual(self.server.request(path)[0], 200)

    def test_cors(self):
        status, headers, _ = self.server.request(CHAT, method="OPTIONS", headers={"Origin": "http://app.example"})
        self.assertEqual((status, headers["access-control-allow-origin"]), (204, "http://app.example"))
        _, headers, _ = self.server.request("/version", headers={"Origin": "http://evil.example"})
        self.assertNotIn("access-control-allow-origin", headers)

    def test_body_limit(self):
        status, _, text = self.server.request("/tokenize", {"prompt": "x" * 20000}, {"x-api-key": "other"})
        self.assertEqual(status, 413, text)


class Overload(ServerTest):
    flags = ("--max-num-seqs", "1", "--max-waiting", "1")

    def test_a_full_server_says_when_to_come_back(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.server.request(CHAT, question(max_tokens=400, ignore_eos=True)), range(8)))
        statuses = sorted(a[0] for a in answers)
        self.assertEqual(set(statuses), {200, 429})
        for status, headers, text in answers:
            if status == 429:
                self.assertGreaterEqual(int(headers["retry-after"]), 1)
                self.assertEqual(json.loads(text)["error"]["code"], "overloaded")
        self.assertEqual(self.server.request(CHAT, question("Hi"))[0], 200)
        self.assertEqual(self.server.request(CHAT, question("Hi", n=50))[0], 400)


class End(unittest.TestCase):
    def test_sigterm_lets_answers_end(self):
        server = Server()
        got = {}
        whole = server.json(CHAT, question(max_tokens=300, ignore_eos=True))
        server.wait_until_idle()
        thread = threading.Thread(target=lambda: got.update(
            answer=server.request(CHAT, question(max_tokens=300, ignore_eos=True))))
        thread.start()
        idle = socket.create_connection((server.host, server.port))
        deadline = time.time() + 20
        while server.metric("vllm:num_requests_running") == 0 and time.time() < deadline and thread.is_alive():
            time.sleep(0.005)
        server.process.send_signal(signal.SIGTERM)
        thread.join()
        self.assertEqual(server.wait(), 0)
        self.assertEqual(got["answer"][0], 200)
        self.assertEqual(json.loads(got["answer"][2])["choices"][0]["message"], whole["choices"][0]["message"])
        idle.close()

    def test_drain_time_ends(self):
        server = Server("--drain-seconds", "0.2")
        threads = [threading.Thread(target=lambda: server.request(CHAT, endless(n=8))) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        begin = time.time()
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.time() - begin, 15)
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    unittest.main(verbosity=2)
