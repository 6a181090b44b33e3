"""Many clients at once, some of them rude: every answer is whole and its asker's own, nothing leaks.

Sizes by environment: MILLRACE_LOAD_CLIENTS (at once, 200), MILLRACE_LOAD_REQUESTS (in all, 4 times as many).
"""
import asyncio
import json
import os
import random
import re
import resource
import time
import unittest

from harness import ServerTest

CLIENTS = int(os.environ.get("MILLRACE_LOAD_CLIENTS", 200))
REQUESTS = int(os.environ.get("MILLRACE_LOAD_REQUESTS", 4 * CLIENTS))


class Load(ServerTest):
    flags = ("--max-num-seqs", "64", "--cache-tokens", "65536", "--max-waiting", "4096")

    async def ask(self, i):
        """One polite streaming request on a connection of its own; its text."""
        a, b = 10 + i % 83, 5 + i % 7
        body = json.dumps({"messages": [{"role": "user", "content": f"What is {a} plus {b}?"}], "temperature": 0,
                           "stream": True, "max_tokens": 60}).encode()
        reader, writer = await asyncio.open_connection(self.server.host, self.server.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        raw = (await reader.read()).decode()
        writer.close()
        assert raw.startswith("HTTP/1.1 200"), raw[:200]
        assert raw.count("data: [DONE]") == 1
        ids = set(re.findall(r'"id":"(chatcmpl-[^"]+)"', raw))
        assert len(ids) == 1, ids
        text = "".join(json.loads(t) for t in re.findall(r'"delta":\{"content":("(?:[^"\\]|\\.)*")', raw))
        return ids.pop(), str(a + b) in text

    async def be_rude(self, i):
        """Clients that vanish, stall or send half of what they promised."""
        reader, writer = await asyncio.open_connection(self.server.host, self.server.port)
        kind = i % 4
        body = json.dumps({"messages": [{"role": "user", "content": "Tell me a story about a fox."}], "stream": True,
                           "max_tokens": 900, "ignore_eos": True, "n": 2}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head[:20] if kind == 0 else head + body[:30] if kind == 1 else head + body)
        await writer.drain()
        if kind == 2:
            await reader.read(600)
        await asyncio.sleep(random.random() * 0.3)
        writer.transport.abort()
        return None

    async def everybody(self, count, rude):
        gate = asyncio.Semaphore(CLIENTS)

        async def one(i):
            async with gate:
                return await (self.be_rude(i) if rude and i % 10 == 0 else self.ask(i))
        return await asyncio.gather(*(one(i) for i in range(count)))

    def settle(self):
        self.server.wait_until_idle(120)
        end = time.time() + 30
        while self.server.metric("millrace_connections") > 1 and time.time() < end:
            time.sleep(0.1)
        return {"fds": self.server.metric("process_open_fds"), "bytes": self.server.metric("process_resident_memory_bytes"),
                "threads": len(os.listdir(f"/proc/{self.server.process.pid}/task"))}

    def test_load(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * CLIENTS + 100)), hard))
        asyncio.run(self.everybody(2 * CLIENTS, rude=False))  # warm: caches are full, memory has been touched
        before = self.settle()
        begin = time.time()
        answers = asyncio.run(self.everybody(REQUESTS, rude=True))
        seconds = time.time() - begin
        after = self.settle()
        polite = [a for a in answers if a is not None]
        right = sum(a[1] for a in polite)
        print(f"\n{len(polite)} answers ({CLIENTS} at once) in {seconds:.1f} s, {right} right; before {before}, after {after}",
              flush=True)
        self.assertEqual(len({a[0] for a in polite}), len(polite), "every answer has its own id")
        self.assertGreaterEqual(right, 0.97 * len(polite), "every client gets its own answer")
        self.assertLessEqual(after["fds"], before["fds"] + 2)
        self.assertEqual(after["threads"], before["threads"])
        if "MILLRACE_SANITIZED" in os.environ:
            return
        self.assertLess(after["bytes"], before["bytes"] + (24 << 20))


if __name__ == "__main__":
    unittest.main(verbosity=2)
