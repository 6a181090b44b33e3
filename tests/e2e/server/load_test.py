"""Many clients at once, many of them rude, and a server that is killed: nobody gets another's answer, nothing is
lost without an error, nothing leaks.

Every prompt's greedy answer is known beforehand, so that each answer is compared letter by letter. Sizes by
environment: MILLRACE_LOAD_CLIENTS (at once, 150), MILLRACE_LOAD_REQUESTS (in all, 4 times as many). `./dev load`
runs it with 1,000 clients and 20,000 requests.
"""
import asyncio
import collections
import json
import os
import random
import resource
import signal
import socket
import time
import unittest

from harness import Server, ServerTest

CLIENTS = int(os.environ.get("MILLRACE_LOAD_CLIENTS", 150))
REQUESTS = int(os.environ.get("MILLRACE_LOAD_REQUESTS", 4 * CLIENTS))
SANITIZED = "MILLRACE_SANITIZED" in os.environ
FLAGS = ("--max-num-seqs", "64", "--cache-tokens", "65536", "--max-waiting", "8192")
PROMPTS = [f"What is {10 + 3 * i} plus {5 + i}?" for i in range(24)] + [f"Tell me a story about a {animal}."
                                                                        for animal in ("fox", "crow", "bear", "cat")]


class Broken(Exception):
    """The connection ended before the answer did: what a client sees when a server dies."""


def body_of(prompt, chat, stream=True):
    body = {"temperature": 0, "max_tokens": 24, "stream": stream}
    body |= {"messages": [{"role": "user", "content": PROMPTS[prompt]}]} if chat else {"prompt": PROMPTS[prompt]}
    return json.dumps(body).encode()


def head_of(body, chat, keep_alive):
    return (b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n"
            % (b"chat/completions" if chat else b"completions", b"keep-alive" if keep_alive else b"close", len(body)))


def text_of(choice):
    """What a choice, or its delta, says: reasoning and content apart."""
    part = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
    return part.get("reasoning_content") or "", part.get("content") or ""


class Connection:
    """One HTTP connection, and no more of HTTP than the server uses."""

    writer = None

    async def open(self, server):
        try:
            self.reader, self.writer = await asyncio.open_connection(server.host, server.port)
        except OSError as error:
            raise Broken(str(error)) from None
        return self

    def close(self):
        if self.writer:
            self.writer.transport.abort()

    async def ask(self, prompt, chat, stream=True, keep_alive=False, pieces=1, stall=0.0):
        """(id, reasoning, content) of a whole answer; Broken if it does not come whole."""
        body = body_of(prompt, chat, stream)
        data = head_of(body, chat, keep_alive) + body
        try:
            for i in range(pieces):
                self.writer.write(data[len(data) * i // pieces:len(data) * (i + 1) // pieces])
                await self.writer.drain()
                if pieces > 1:
                    await asyncio.sleep(0.01)
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 200"), head
            if stall:
                await asyncio.sleep(stall)
            if "Transfer-Encoding: chunked" not in head:
                length = int(head.split("Content-Length: ")[1].split("\r")[0])
                answer = json.loads(await self.reader.readexactly(length))
                return answer["id"], *text_of(answer["choices"][0])
            whole = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                whole += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise Broken(str(error)) from None
        events = [e[len("data: "):] for e in whole.decode().split("\n\n") if e]
        assert events.pop() == "[DONE]" and "[DONE]" not in events
        events = [json.loads(e) for e in events]
        ids = {e["id"] for e in events}
        assert len(ids) == 1, ids
        said = [text_of(c) for e in events for c in e["choices"]]
        return ids.pop(), "".join(s[0] for s in said), "".join(s[1] for s in said)


async def be_rude(server, i):
    """Clients that vanish, stall without reading, or send half of what they promised."""
    connection = await Connection().open(server)
    body = json.dumps({"messages": [{"role": "user", "content": PROMPTS[i % len(PROMPTS)]}], "stream": True,
                       "max_tokens": 600, "ignore_eos": True, "n": 2}).encode()
    head = head_of(body, True, True)
    kind = i % 4
    connection.writer.write((head[:20], head + body[:30], head + body, head + body)[kind])
    try:
        await connection.writer.drain()
        if kind == 2:
            await connection.reader.read(600)
    except OSError:
        pass
    await asyncio.sleep(random.random() * (1.5 if kind == 3 else 0.3))
    connection.close()


async def expected_answers(server):
    """Each prompt alone: what it must be under load."""
    known = {}
    for chat in (False, True):
        for prompt in range(len(PROMPTS)):
            connection = await Connection().open(server)
            known[prompt, chat] = (await connection.ask(prompt, chat))[1:]
            connection.close()
    return known


def allow_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count)), hard))


class Load(ServerTest):
    flags = FLAGS

    async def one(self, i):
        """One request; its id if it is a polite one."""
        if i % 10 == 0:
            return await be_rude(self.server, i // 10)
        prompt, chat = i % len(PROMPTS), i % 3 > 0
        connection = await Connection().open(self.server)
        ids = []
        try:
            # Some come again over the same connection, some read late, some send slowly, some want it whole.
            for _ in range(2 if i % 7 == 0 else 1):
                answer = await connection.ask(prompt, chat, stream=i % 5 != 0, keep_alive=i % 7 == 0,
                                              pieces=4 if i % 11 == 0 else 1, stall=1.0 if i % 13 == 0 else 0)
                assert answer[1:] == self.known[prompt, chat], (PROMPTS[prompt], answer, self.known[prompt, chat])
                ids.append(answer[0])
        finally:
            connection.close()
        return ids

    async def everybody(self, count):
        gate = asyncio.Semaphore(CLIENTS)
        self.most = 0

        async def guarded(i):
            async with gate:
                return await self.one(i)

        async def watch():
            while True:
                text = await asyncio.to_thread(self.server.request, "/metrics")
                found = [float(line.rsplit(" ", 1)[1]) for line in text[2].splitlines()
                         if line.startswith("millrace_streams{")]
                self.most = max([self.most, *found])
                await asyncio.sleep(0.2)
        watching = asyncio.create_task(watch())
        answers = await asyncio.gather(*(guarded(i) for i in range(count)))
        watching.cancel()
        return [id for ids in answers if ids for id in ids]

    def settle(self):
        self.server.wait_until_idle(180)
        end = time.time() + 60
        while self.server.metric("millrace_connections") > 1 and time.time() < end:
            time.sleep(0.1)
        return {"fds": self.server.metric("process_open_fds"),
                "MiB": round(self.server.metric("process_resident_memory_bytes") / 2**20, 1),
                "threads": len(os.listdir(f"/proc/{self.server.process.pid}/task"))}

    def test_load(self):
        allow_descriptors(2 * CLIENTS + 200)
        self.known = asyncio.run(expected_answers(self.server))
        self.assertGreater(len(set(self.known.values())), len(PROMPTS), "answers must differ to be told apart")
        asyncio.run(self.everybody(max(CLIENTS, REQUESTS // 10)))  # warm: caches are full, memory has been touched
        before = self.settle()
        begin = time.time()
        ids = asyncio.run(self.everybody(REQUESTS))
        seconds = time.time() - begin
        after = self.settle()
        print(f"\n{REQUESTS} clients, {CLIENTS} at once: {len(ids)} answers, each as it must be, {REQUESTS // 10} rude ones; "
              f"{seconds:.1f} s, up to {self.most:.0f} streams; before {before}, after {after}", flush=True)
        self.assertEqual(len(set(ids)), len(ids), "every answer has its own id")
        self.assertLessEqual(after["fds"], before["fds"] + 2)
        self.assertEqual(after["threads"], before["threads"])
        if not SANITIZED:
            self.assertLess(after["MiB"], before["MiB"] + 16)


class Killed(unittest.TestCase):
    """kill -9 in the middle, and a new server on the same port: clients see an error, ask again, and are answered."""

    def test_killed_and_started_again(self):
        allow_descriptors(2 * CLIENTS + 200)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        start = lambda: Server(*FLAGS, "--port", port)
        self.server = start()
        self.addCleanup(lambda: self.server.stop())
        known = asyncio.run(expected_answers(self.server))
        counts = collections.Counter()
        requests = max(CLIENTS, REQUESTS // 4)
        kills = 3

        async def one(i, gate):
            prompt, chat = i % len(PROMPTS), i % 2 == 0
            async with gate:
                while True:
                    connection = Connection()
                    try:
                        await connection.open(self.server)
                        answer = await connection.ask(prompt, chat)
                    except Broken:
                        counts["broken"] += 1
                        await asyncio.sleep(0.05)
                        continue
                    finally:
                        connection.close()
                    assert answer[1:] == known[prompt, chat], (prompt, answer)
                    counts["answered"] += 1
                    return answer[0]

        async def killer():
            for kill in range(1, kills + 1):
                while counts["answered"] < requests * kill // (kills + 2):
                    await asyncio.sleep(0.02)
                self.server.process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(self.server.wait)
                self.server = await asyncio.to_thread(start)

        async def everybody():
            gate = asyncio.Semaphore(CLIENTS)
            ids, _ = await asyncio.gather(asyncio.gather(*(one(i, gate) for i in range(requests))), killer())
            return ids

        ids = asyncio.run(everybody())
        print(f"\n{requests} requests over {kills} kills: {counts['answered']} answered, each as it must be; "
              f"{counts['broken']} attempts ended in an error and were made again", flush=True)
        self.assertEqual(counts["answered"], requests)
        self.assertEqual(len(set(ids)), requests)
        self.assertGreater(counts["broken"], 0, "the kills came too late to be noticed")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")  # connections are broken off on purpose
