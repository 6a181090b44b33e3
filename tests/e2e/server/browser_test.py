"""The playground in headless Chromium, where there is one (MILLRACE_CHROMIUM names another program). Without it
these tests are skipped; nothing else needs it. MILLRACE_SCREENSHOTS=FOLDER keeps pictures to look at.
"""
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from harness import ServerTest

CHROMIUM = os.environ.get("MILLRACE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = os.environ.get("MILLRACE_SCREENSHOTS")


class Browser:
    """Chromium's debugging protocol over a WebSocket: as much of both as is needed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             "--hide-scrollbars", f"--user-data-dir={self.folder.name}", "about:blank"],
            stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"ws://([\d.]+):(\d+)(/\S+)", line):
                break
        host, port, path = found.groups()
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        while self.file.readline() != b"\r\n":
            pass
        self.last = 0
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(domain + ".enable")

    def send(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        data = json.dumps(message).encode()
        length = bytes([0xFE]) + len(data).to_bytes(2, "big") if len(data) < 65536 else bytes([0xFF]) + len(data).to_bytes(8, "big")
        if len(data) < 126:
            length = bytes([0x80 | len(data)])
        self.socket.sendall(b"\x81" + length + bytes(4) + data)  # masked with zeros
        while True:
            answer = json.loads(self.receive())
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        text = b""
        while True:
            head = self.file.read(2)
            size = head[1] & 127
            if size > 125:
                size = int.from_bytes(self.file.read(2 if size == 126 else 8), "big")
            text += self.file.read(size)
            if head[0] & 128:
                return text

    def run(self, script):
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise AssertionError(f"never came true: {script}; the page says {self.run('document.body.innerText')!r}")

    def size(self, width, height, dark=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def type(self, text):
        self.send("Input.insertText", text=text)

    def press(self, key, code=0):
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **(text if kind == "keyDown" else {}))

    def picture(self, name):
        data = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        if PICTURES:
            pathlib.Path(PICTURES, name + ".png").write_bytes(data)
        return data

    def complaints(self):
        """Whatever the console got: errors, refusals by the content policy."""
        self.run("1")
        return [e for e in self.events if e["method"] == "Runtime.exceptionThrown" or
                (e["method"] == "Log.entryAdded" and e["params"]["entry"]["level"] == "error")]

    def requests(self):
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()


@unittest.skipUnless(CHROMIUM, "no Chromium here")
class Playground(ServerTest):
    flags = ("--kernel", "linear=reference")  # slow enough that there is something to stop

    def setUp(self):
        self.asked = 0
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def open(self):
        self.browser.send("Page.navigate", url=self.server.url + "/")
        self.browser.wait_for("document.readyState === 'complete' && document.getElementById('model')?.options.length > 0")

    def ask(self, text):
        """By keyboard alone: the question has the focus from the beginning."""
        self.browser.run("document.getElementById('question').focus()")
        self.browser.type(text)
        self.browser.press("Enter", 13)
        self.asked += 1
        self.browser.wait_for(f"!stop && (document.querySelectorAll('.assistant .numbers:not(:empty)').length === {self.asked}"
                              " || document.querySelector('.error')?.textContent)")

    def text(self, selector):
        return self.browser.run(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''")

    def test_conversation_with_probabilities(self):
        browser = self.browser
        browser.size(1280, 800)
        self.open()
        self.assertEqual(browser.run("document.activeElement.id"), "question")
        browser.picture("empty")
        browser.run("document.getElementById('temperature').value = 0; document.getElementById('probabilities').checked = true")
        self.ask("What is 12 plus 30?")
        self.assertIn("42", self.text(".assistant > .text"))
        self.assertIn("12+30", self.text(".thought"))
        self.assertRegex(self.text("#ttft"), r"\d+(\.\d+)? m?s")
        self.assertRegex(self.text("#speed"), r"\d+ tok/s")
        self.assertRegex(self.text(".numbers"), r"\d+ tokens")
        self.assertGreater(browser.run("document.querySelectorAll('.token').length"), 3)
        browser.run("document.querySelector('.token').click()")
        self.assertEqual(browser.run("document.querySelectorAll('#alternatives tr').length"), 5)
        browser.wait_for("/MiB|GiB/.test(document.getElementById('memory').textContent)")
        self.ask("What is 1 plus 2?")
        self.assertRegex(self.text("#cached"), r"[1-9]\d* \(\d+%\)", "the second turn finds the first")
        browser.picture("light")
        browser.size(1280, 800, dark=True)
        browser.picture("dark")
        self.assertEqual(browser.complaints(), [])
        self.assertTrue(all(url.startswith(self.server.url) or url.startswith("data:") or url == "about:blank"
                            for url in browser.requests()), browser.requests())

    def test_tool_call_and_its_result(self):
        browser = self.browser
        browser.size(1280, 800)
        self.open()
        browser.run("document.getElementById('temperature').value = 0; document.getElementById('example').click()")
        browser.press("Enter", 13)
        browser.wait_for("!!document.querySelector('.call form input')")
        self.assertEqual(self.text(".call .name"), "get_time")
        self.assertEqual(json.loads(self.text(".call code")), {"city": "Oslo"})
        self.assertEqual(browser.run("document.activeElement.placeholder"), "Result of get_time")
        browser.type('{"time": "12:30"}')
        browser.press("Enter", 13)
        browser.wait_for("!stop && document.querySelectorAll('.assistant .numbers:not(:empty)').length === 2")
        browser.picture("tools")
        self.assertEqual(browser.complaints(), [])

    def test_escape_stops_and_errors_are_shown(self):
        browser = self.browser
        browser.size(1280, 800)
        self.open()
        browser.run("document.getElementById('tools').value = '{'")
        self.ask("Hello")
        self.assertIn("not valid JSON", self.text("#status"))
        browser.run("document.getElementById('tools').value = ''; document.getElementById('most').value = 900;"
                    "document.getElementById('temperature').value = 2")
        browser.run("document.getElementById('question').focus()")
        browser.type("Tell me a story about a fox.")
        browser.press("Enter", 13)
        browser.wait_for("stop && document.querySelector('.assistant .text')?.textContent.length > 5")
        browser.press("Escape", 27)
        browser.wait_for("!stop")
        self.server.wait_until_idle()
        self.assertEqual(browser.run("document.querySelectorAll('.user').length"), 1)

    def test_phone(self):
        browser = self.browser
        browser.size(390, 844)
        self.open()
        browser.run("document.getElementById('temperature').value = 0")
        self.ask("What is 12 plus 30?")
        self.assertLessEqual(browser.run("document.documentElement.scrollWidth"), 390, "nothing sticks out sideways")
        browser.picture("phone")
        browser.size(390, 844, dark=True)
        browser.picture("phone-dark")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
