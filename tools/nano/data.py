"""An endless, seeded stream of batches. Conversations of like length share a batch, padded on the right (causal: no mask is needed)."""
from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue

import numpy as np
from tokenizers import Tokenizer

from render import render
from world import mix

Row = tuple[list[int], list[tuple[int, int]]]  # tokens, and the spans [first, last] to learn
LENGTHS = (48, 64, 96, 128, 192, 256, 320, 384, 512, 768, 1024)  # few shapes, so that each is compiled once


@dataclass
class Batch:
    ids: np.ndarray  # [rows, length]
    positions: np.ndarray  # flat positions whose next token the model must know
    targets: np.ndarray


class Encoder:
    def __init__(self, tok: Tokenizer) -> None:
        self.tok = tok
        self.start, self.end = tok.token_to_id("<|im_start|>"), tok.token_to_id("<|im_end|>")
        self.lead = tok.encode("assistant\n", add_special_tokens=False).ids

    def answers(self, ids: list[int], whole: list[bool]) -> list[tuple[int, int]]:
        """Spans [first, last] of what the assistant writes, <|im_end|> included."""
        spans, turn, i = [], 0, 0
        while i < len(ids):
            if ids[i] == self.start and ids[i + 1:i + 1 + len(self.lead)] == self.lead:
                first = i + 1 + len(self.lead)
                i = ids.index(self.end, first)
                if whole[turn]:
                    spans.append((first, i))
                turn += 1
            i += 1
        assert turn == len(whole)
        return spans

    def cases(self, cases: list[mix.Case]) -> list[Row]:
        rendered = [render(case.messages, case.tools) for case in cases]
        encoded = self.tok.encode_batch([text for text, _ in rendered], add_special_tokens=False)
        return [(e.ids, self.answers(e.ids, whole)) for e, (_, whole) in zip(encoded, rendered)]


def pack(rows: list[Row], length: int) -> Batch:
    ids = np.zeros((len(rows), length), dtype=np.int32)
    positions: list[int] = []
    targets: list[int] = []
    for r, (tokens, spans) in enumerate(rows):
        ids[r, :len(tokens)] = tokens
        for first, last in spans:
            positions += range(r * length + first - 1, r * length + last)
            targets += tokens[first:last + 1]
    return Batch(ids, np.array(positions, dtype=np.int64), np.array(targets, dtype=np.int64))


def pools(tok: Tokenizer, seed: str, tokens: int) -> Iterator[list[Batch]]:
    rng, encoder = random.Random(seed), Encoder(tok)
    waiting: dict[int, list[Row]] = {n: [] for n in LENGTHS}  # what does not fill a batch goes into the next pool's
    while True:
        ready: list[Batch] = []
        for row in encoder.cases([mix.train_case(rng) for _ in range(max(4096, tokens // 8))]):
            length = next((n for n in LENGTHS if len(row[0]) <= n), None)
            if length is None:
                continue
            rows = waiting[length]
            rows.append(row)
            if len(rows) == tokens // length:
                ready.append(pack(rows, length))
                rows.clear()
        rng.shuffle(ready)
        yield ready


def feed(path: str, seed: str, tokens: int, queue: Queue[list[Batch]]) -> None:
    for pool in pools(Tokenizer.from_file(path), seed, tokens):
        queue.put(pool)


def batches(path: str, seed: int, tokens: int, workers: int) -> Iterator[Batch]:
    """Workers are read in turn, so that the order depends on their number alone and not on their speed."""
    if workers == 0:
        for pool in pools(Tokenizer.from_file(path), str(seed), tokens):
            yield from pool
    context = get_context("spawn")
    queues = [context.Queue(2) for _ in range(workers)]
    for w, queue in enumerate(queues):
        context.Process(target=feed, args=(path, f"{seed}|{w}", tokens, queue), daemon=True).start()
    while True:
        for queue in queues:
            yield from queue.get()
