"""Trains the nano model and writes its weights as bf16 safetensors."""
from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

import heldout
from data import batches
from decode import greedy
from model import Config, Lfm2
from muon import Muon
from render import render
from score import passes

MUON_LR, ADAM_LR = 0.02, 0.004


def optimisers(model: Lfm2) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    return [Muon(matrices, lr=MUON_LR), torch.optim.Adam(others, lr=ADAM_LR, betas=(0.9, 0.98), eps=1e-9)]


def rate(progress: float, step: int, decay: float) -> float:
    """Short warm-up, constant, then linear to zero."""
    return min(1.0, (step + 1) / 100) * min(1.0, (1 - progress) / decay)


def save(model: Lfm2, path: Path) -> None:
    save_file({n: p.detach().to("cpu", torch.bfloat16).contiguous() for n, p in sorted(model.state_dict().items())}, path, metadata={"format": "pt"})


def evaluate(model: Lfm2, tok: Tokenizer, per_category: int, seed: int, show: int = 0) -> str:
    cases = heldout.cases(seed, per_category)
    prompts = [tok.encode(render(c["messages"], c["tools"], generate=True)[0], add_special_tokens=False).ids for c in cases]
    device = model.model.embed_tokens.weight.device

    def last_logits(ids: Tensor, last: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            hidden = model(ids.to(device))
            return model.logits(hidden[torch.arange(len(last)), last.to(device)]).float().cpu()

    right: dict[str, list[bool]] = defaultdict(list)
    for case, ids in zip(cases, greedy(last_logits, prompts)):
        text = tok.decode(ids, skip_special_tokens=False)
        right[case["category"]].append(passes(case, text))
        if not right[case["category"]][-1] and right[case["category"]].count(False) <= show:
            print(f"  miss {case['id']}: {case['messages'][-1]['content'][-120:]!r} -> {text[:160]!r} wanted {str(case['expected'])[:120]!r}", flush=True)
    return "  ".join(f"{k} {100 * sum(v) / len(v):.0f}" for k, v in right.items())


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path, help="holds tokenizer.json; model.safetensors goes there")
    ap.add_argument("--steps", type=int, default=6000)
    ap.add_argument("--minutes", type=float, help="end after this time instead (the schedule then follows the clock)")
    ap.add_argument("--batch-tokens", type=int, default=8192)
    ap.add_argument("--init", type=Path, help="go on from these weights")
    ap.add_argument("--decay", type=float, default=0.5, help="the last part of the run in which the rate falls to zero")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--compile", action="store_true")
    ap.add_argument("--pattern", default="cacaca", help="layers: c short convolution, a attention")
    ap.add_argument("--parts", type=int, default=1, help="batches that make one step")
    ap.add_argument("--workers", type=int, default=0, help="processes that make the data; 0: this one")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--eval-every", type=int, default=1000)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    tok = Tokenizer.from_file(str(a.folder / "tokenizer.json"))
    model = Lfm2(Config(vocab_size=tok.get_vocab_size(), pattern=a.pattern)).to(a.device)
    if a.init:
        model.load_state_dict({n: p.float() for n, p in load_file(a.init).items()})
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    if a.compile:
        # layer by layer and for any shape: two small graphs in place of one large one for every batch shape
        for layer in model.model.layers:
            layer.compile(dynamic=True)
    opts = optimisers(model)
    stream = batches(str(a.folder / "tokenizer.json"), a.seed, a.batch_tokens // a.parts, a.workers)
    first = [next(stream)]  # workers need a while to start: that is not training time
    begin = shown = time.time()
    step, tokens, losses = 0, 0, []
    while True:
        progress = (time.time() - begin) / 60 / a.minutes if a.minutes else step / a.steps
        if progress >= 1:
            break
        # one step mixes batches of different length, since length goes with skill
        for _ in range(a.parts):
            batch = first.pop() if first else next(stream)
            ids, positions, targets = (torch.from_numpy(x).to(a.device) for x in (batch.ids, batch.positions, batch.targets))
            with torch.autocast(a.device, torch.bfloat16):
                logits = model.logits(model(ids).flatten(0, 1)[positions])
            loss = F.cross_entropy(logits.float(), targets) / a.parts
            loss.backward()
            losses.append(loss.detach() * a.parts)
            tokens += ids.numel()
        for opt, base in zip(opts, (MUON_LR, ADAM_LR)):
            opt.param_groups[0]["lr"] = base * rate(progress, step, a.decay)
            opt.step()
            opt.zero_grad()
        step += 1
        if step % 50 == 0:
            mean, now = float(torch.stack(losses).mean()), time.time()
            print(f"step {step} {100 * progress:.1f}% loss {mean:.4f} {tokens / 1e6:.1f}M tokens {50 * a.batch_tokens / (now - shown):.0f} tok/s "
                  f"{now - begin:.0f} s", flush=True)
            shown, losses = now, []
        if step % a.eval_every == 0:
            save(model, a.folder / "model.safetensors")
            print(f"step {step} held-out: {evaluate(model, tok, 24, seed=5, show=1)}", flush=True)
            shown = time.time()
    save(model, a.folder / "model.safetensors")
    print(f"{step} steps, {tokens / 1e6:.1f}M tokens, {time.time() - begin:.0f} s; held-out: {evaluate(model, tok, 100, seed=6, show=8)}", flush=True)


if __name__ == "__main__":
    main()
