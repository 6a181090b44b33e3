"""Starts the real binary for tests, and talks to it below the clients' level."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

BINARY = os.environ["MILLRACE_BINARY"]
ROOT = pathlib.Path(os.environ["MILLRACE_ROOT"])
NANO = str(ROOT / "models/nano")


class Server:
    def __init__(self, *flags, model=NANO):
        defaults = {"--port": "0", "--served-model-name": "nano", "--max-num-seqs": "16", "--cache-tokens": "16384",
                    "--device": "cpu", "--threads": "1"}
        # One thread computes: the model is tiny, and on a busy machine two would wait for each other.
        for flag, value in defaults.items():
            if flag not in flags:
                flags = (*flags, flag, value)
        self.process = subprocess.Popen([BINARY, "serve", model, *flags], stderr=subprocess.PIPE, text=True)
        self.log = []
        address = None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"on (https?)://(\S+):(\d+)", line):
                address = found
                break
        assert address, "".join(self.log)
        self.host, self.port = address.group(2), int(address.group(3))
        self.url = f"{address.group(1)}://{self.host}:{self.port}"
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        """The exit status; everything that was opened for the process is closed."""
        try:
            status = self.process.wait(timeout=60)
            self.reader.join()
            self.process.stderr.close()
            return status
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def request(self, path, body=None, headers=None, method=None, timeout=120):
        """(status, headers, body text)"""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"content-type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def json(self, path, body=None, status=200, **more):
        got, _, text = self.request(path, body, **more)
        assert got == status, (got, text)
        return json.loads(text)

    def raw(self, data, timeout=10):
        """Sends bytes as they are; all that comes back until the server closes or goes silent."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as connection:
            connection.sendall(data)
            connection.settimeout(timeout)
            got = b""
            try:
                while piece := connection.recv(65536):
                    got += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return got

    def metric(self, name):
        text = self.request("/metrics")[2]
        total = 0.0
        for line in text.splitlines():
            if line.startswith((name + "{", name + " ")):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def wait_until_idle(self, seconds=30):
        end = time.time() + seconds
        while time.time() < end:
            if self.metric("vllm:num_requests_running") + self.metric("vllm:num_requests_waiting") == 0:
                return
            time.sleep(0.05)
        raise AssertionError("requests are still running")


class ServerTest(unittest.TestCase):
    """One server for all tests of a class."""
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.flags)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        assert status == 0, (status, "".join(cls.server.log[-20:]))
