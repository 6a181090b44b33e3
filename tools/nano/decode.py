"""Greedy decoding of many prompts at once, without a cache: slow per token, but plainly right."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EOS = 7


@torch.no_grad()
def greedy(last_logits: Callable[[Tensor, Tensor], Tensor], prompts: list[list[int]], limit: int = 320, rows: int = 64) -> list[list[int]]:
    """last_logits(ids [b, t], last [b]) gives the logits of position last[i] in row i."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    done: dict[int, list[int]] = {}
    for at in range(0, len(order), rows):
        live = order[at:at + rows]
        made: dict[int, list[int]] = {i: [] for i in live}
        while live:
            width = max(len(prompts[i]) + len(made[i]) for i in live)
            ids = torch.zeros(len(live), -(-width // 32) * 32, dtype=torch.long)
            for r, i in enumerate(live):
                row = prompts[i] + made[i]
                ids[r, :len(row)] = torch.tensor(row)
            last = torch.tensor([len(prompts[i]) + len(made[i]) - 1 for i in live])
            for i, token in zip(live, last_logits(ids, last).argmax(-1).tolist()):
                made[i].append(token)
            live = [i for i in live if made[i][-1] != EOS and len(made[i]) < limit]
        done.update(made)
    return [done[i] for i in range(len(prompts))]
