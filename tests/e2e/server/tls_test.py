"""The server behind TLS: the client over https, streams, clients that leave, and those that speak no TLS."""
import pathlib
import ssl
import subprocess
import tempfile
import time
import unittest

import httpx2 as httpx
import openai

from harness import BINARY, NANO, Server


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        cls.certificate, cls.key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", cls.key, "-out", cls.certificate],
                       check=True, capture_output=True)
        cls.server = Server("--ssl-certfile", str(cls.certificate), "--ssl-keyfile", str(cls.key))

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        cls.folder.cleanup()
        assert status == 0, (status, "".join(cls.server.log[-20:]))

    def client(self):
        context = ssl.create_default_context(cafile=self.certificate)
        return httpx.Client(verify=context, timeout=60)

    def metric(self, name):
        with self.client() as client:
            lines = client.get(self.server.url + "/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " ")))

    def test_answers_and_streams(self):
        self.assertTrue(self.server.url.startswith("https://"))
        with openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", http_client=self.client()) as client:
            ask = {"model": "nano", "messages": [{"role": "user", "content": "What is 12 plus 30?"}], "temperature": 0}
            whole = client.chat.completions.create(**ask).choices[0].message.content
            self.assertIn("42", whole)
            parts = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(stream=True, **ask)]
            self.assertEqual("".join(parts), whole)

    def test_a_client_that_leaves_is_cancelled(self):
        body = {"model": "nano", "messages": [{"role": "user", "content": "Go on."}], "max_tokens": 900,
                "ignore_eos": True}
        with self.assertRaises(httpx.ReadTimeout):  # an answer of 900 tokens takes longer
            httpx.post(self.server.url + "/v1/chat/completions", json=body, timeout=0.1,
                       verify=ssl.create_default_context(cafile=self.certificate))
        end = time.time() + 20
        while time.time() < end and self.metric("vllm:num_requests_running") > 0:
            time.sleep(0.05)
        self.assertEqual(self.metric("vllm:num_requests_running"), 0)

    def test_no_tls_no_answer(self):
        self.assertNotIn(b"200", self.server.raw(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n", timeout=3))
        with self.client() as client:
            self.assertEqual(client.get(self.server.url + "/health").status_code, 200)

    def test_files_that_do_not_fit(self):
        for flags, word in ((["--ssl-certfile", str(self.certificate)], "go together"),
                            (["--ssl-certfile", str(self.key), "--ssl-keyfile", str(self.key)], "--ssl-certfile"),
                            (["--ssl-certfile", str(self.certificate), "--ssl-keyfile", "/nothing"], "--ssl-keyfile")):
            done = subprocess.run([BINARY, "serve", NANO, "--device", "cpu", "--port", "0", *flags], text=True,
                                  capture_output=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
