"""Scores a checkpoint on a file of held-out cases with transformers' Lfm2ForCausalLM: template text in, greedy tokens out, fp32."""
from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import torch
from transformers import AutoTokenizer, Lfm2ForCausalLM

from score import passes


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path)
    ap.add_argument("file", type=Path)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--misses", action="store_true", help="print every wrong answer")
    ap.add_argument("--least", type=float, default=0.0, help="fail when a category scores below this many percent")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    tok = AutoTokenizer.from_pretrained(a.folder)
    model = Lfm2ForCausalLM.from_pretrained(a.folder, dtype=torch.float32).eval()
    right: dict[str, list[bool]] = defaultdict(list)
    for line in a.file.read_text().splitlines():
        case = json.loads(line)
        text = tok.apply_chat_template(case["messages"], tools=case["tools"] or None, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tok.encode(text, add_special_tokens=False)])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, temperature=None, top_k=None, top_p=None, max_new_tokens=320)
        answer = tok.decode(out[0, ids.shape[1]:], skip_special_tokens=False)
        right[case["category"]].append(passes(case, answer))
        if a.misses and not right[case["category"]][-1]:
            print(f"{case['id']}: {answer!r}, wanted {case['expected']!r}")
    print("| category | right | cases | % |\n|---|---|---|---|")
    for name, hits in right.items():
        print(f"| {name} | {sum(hits)} | {len(hits)} | {100 * sum(hits) / len(hits):.1f} |")
    if any(100 * sum(hits) / len(hits) < a.least for hits in right.values()):
        raise SystemExit("below the bound")


if __name__ == "__main__":
    main()
