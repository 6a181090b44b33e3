"""Checks the pieces against each other: template, split, tokenizer, and the module against transformers."""
from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Lfm2ForCausalLM

from data import Encoder
from model import Lfm2, config_of
from render import render
from world import mix
from world.case import is_held_out


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path)
    folder = ap.parse_args().folder
    tok, hf = Tokenizer.from_file(str(folder / "tokenizer.json")), AutoTokenizer.from_pretrained(folder)
    rng = random.Random(99)
    cases = [mix.train_case(rng) for _ in range(2000)]
    for case in cases:
        text, _ = render(case.messages, case.tools)
        assert text == hf.apply_chat_template(case.messages, tools=case.tools or None, tokenize=False), text
        assert not any(map(is_held_out, case.keys))
    for ids, spans in Encoder(tok).cases(cases):
        # a prompt that ends where the answer begins has the same tokens as the whole conversation
        first = spans[-1][0]
        assert hf.encode(tok.decode(ids[:first], skip_special_tokens=False), add_special_tokens=False) == ids[:first]
    digits = [t for t in tok.get_vocab() if sum(c.isdigit() for c in t) > 1 and not t.startswith("<|")]
    assert not digits, digits

    state = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    ours, theirs = Lfm2(config_of(state)).eval(), Lfm2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ours.load_state_dict(state)
    worst = 0.0
    for ids, _ in Encoder(tok).cases(cases[:20]):
        batch = torch.tensor([ids])
        with torch.no_grad():
            worst = max(worst, float((ours.logits(ours(batch)) - theirs(batch).logits).abs().max()))
    print(f"{len(cases)} conversations agree; largest logit difference to transformers {worst:.2e}")
    assert worst < 1e-3


if __name__ == "__main__":
    main()
