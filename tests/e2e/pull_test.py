#!/usr/bin/env python3
"""`millrace pull` and `run ORG/NAME` against a hub of the test's own. usage: pull_test.py MILLRACE REPOSITORY

The library's behaviour under every fault is tested in tests/unit/hub; here is the program: its output, its status,
Ctrl-C, and that what was pulled runs.
"""
import hashlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BINARY = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(sys.argv[2]).resolve()
NANO = ROOT / "models/nano"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/nano"


class Hub:
    """One repository with the files of models/nano; its weights are what is called LFS."""

    def __init__(self):
        self.files = {path.name: path.read_bytes() for path in NANO.iterdir() if path.is_file()}
        self.sent = 0                    # bytes of weights
        self.drops = 0                   # so many answers with weights break off half way
        self.open = threading.Event()    # else weights stop after their first bytes
        self.open.set()
        self.contents = 0                # requests for any file
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()

    def entry(self, name):
        data = self.files[name]
        entry = {"type": "file", "path": name, "size": len(data),
                 "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
        if name == "model.safetensors":
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    def answer(self, request):
        path = request.path.split("?")[0]
        resolve = f"/{REPO}/resolve/{COMMIT}/"
        if path == f"/api/models/{REPO}/revision/main":
            names = [{"rfilename": name} for name in self.files]
            return self.reply(request, json.dumps({"sha": COMMIT, "siblings": names}).encode())
        if path == f"/api/models/{REPO}/tree/{COMMIT}":
            return self.reply(request, json.dumps([self.entry(name) for name in self.files]).encode())
        name = path[len(resolve):]
        if not path.startswith(resolve) or name not in self.files:
            return self.reply(request, b"no", 404, {"X-Error-Code": "RepoNotFound"})
        self.contents += 1
        data = self.files[name]
        entry = self.entry(name)
        headers = {"ETag": '"%s"' % entry.get("lfs", entry)["oid"], "X-Repo-Commit": COMMIT}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if not wanted:
            return self.reply(request, data, 200, headers, name == "model.safetensors")
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self.reply(request, data[first:last + 1], 206, headers, name == "model.safetensors")

    def reply(self, request, body, status=200, headers=None, weights=False):
        request.send_response(status)
        for key, value in (headers or {}).items():
            request.send_header(key, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "HEAD":
            return
        if not weights:
            request.wfile.write(body)
            return
        try:
            if self.drops > 0:
                self.drops -= 1
                body = body[:len(body) // 2]
                request.close_connection = True
            for at in range(0, len(body), 1 << 16):
                request.wfile.write(body[at:at + (1 << 16)])
                self.sent += len(body[at:at + (1 << 16)])
                if at >= 1 << 20:
                    self.open.wait(60)
        except OSError:  # the program hung up
            request.close_connection = True


class Pull(unittest.TestCase):
    def setUp(self):
        self.hub = Hub()
        self.folder = tempfile.TemporaryDirectory()
        self.environment = {**os.environ, "HF_ENDPOINT": self.hub.url, "HF_HOME": self.folder.name,
                            "no_proxy": "127.0.0.1", "HF_HUB_OFFLINE": "0"}
        for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH"):
            self.environment.pop(name, None)

    def tearDown(self):
        self.hub.close()
        self.folder.cleanup()

    def millrace(self, *arguments, status=0):
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                              env=self.environment)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_run_by_name_downloads_once(self):
        self.hub.drops = 2
        listed = self.millrace("pull", REPO, "--dry-run").stdout
        self.assertIn("model.safetensors", listed)
        self.assertEqual(self.hub.contents, 0, "a dry run loads nothing")
        done = self.millrace("run", REPO, "What is 12 plus 30?", "--temperature", "0", "--device", "cpu")
        self.assertIn("42", done.stdout)
        self.assertEqual(self.hub.drops, 0, "the test must have dropped connections")
        # The layout of huggingface_hub's cache.
        snapshot = pathlib.Path(self.folder.name, "hub/models--someone--nano/snapshots", COMMIT)
        self.assertEqual((snapshot / "model.safetensors").read_bytes(), self.hub.files["model.safetensors"])
        self.assertTrue((snapshot / "model.safetensors").is_symlink())
        before = self.hub.contents
        self.assertEqual(self.millrace("pull", REPO).stdout, f"{snapshot}\n")
        self.hub.close()  # from here on the cache must do
        self.assertIn("42", self.millrace("run", REPO, "What is 12 plus 30?", "--temperature", "0").stdout)
        self.assertEqual(self.hub.contents, before)

    def interrupt_when_stuck(self, *arguments):
        """Ctrl-C while the hub has stopped in the middle of the weights."""
        self.hub.open.clear()
        program = subprocess.Popen([BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   stdin=subprocess.DEVNULL, env=self.environment)
        deadline = time.time() + 60
        while self.hub.sent < 1 << 20 and time.time() < deadline:
            time.sleep(0.02)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 130, errors)
        self.assertIn("the next pull goes on from here", errors)
        self.hub.open.set()

    def test_interrupts_end_downloads_in_good_order(self):
        for arguments in (("pull", REPO), ("run", REPO, "What is 12 plus 30?")):
            with self.subTest(arguments[0]):
                self.hub.sent = 0
                self.interrupt_when_stuck(*arguments)
        self.hub.sent = 0
        self.millrace("pull", REPO)
        weights = len(self.hub.files["model.safetensors"])
        self.assertLess(self.hub.sent, weights, "what came before is not loaded again")

    def test_an_interrupt_ends_loading(self):
        program = subprocess.Popen([BINARY, "run", ROOT / "tests/data/configs/LFM2-350M.json", "--load-format", "dummy",
                                    "--device", "cpu", "--raw", "x"], stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=60)
        self.assertIn(program.returncode, (130, -signal.SIGINT))  # the latter before it looks for interrupts

    def test_refusals_are_one_line(self):
        cases = [(("pull", "nobody/nothing"), 3), (("pull", "not a name"), 2), (("pull", "a/b/c"), 2),
                 (("run", "someone/other", "x"), 3), (("pull", REPO + ":Q4_0"), 3)]
        for arguments, status in cases:
            done = self.millrace(*arguments, status=status)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("millrace: "), done.stderr)
        self.hub.close()
        self.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
        done = self.millrace("pull", REPO, status=7)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
