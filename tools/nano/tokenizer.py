"""Trains the byte-level BPE and writes tokenizer.json and tokenizer_config.json."""
from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from render import render
from world import mix

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>", "<|im_start|>", "<|im_end|>",
           "<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>", "<|tool_response_start|>",
           "<|tool_response_end|>", "<|reserved_0|>", "<image>", "<|reserved_1|>", "<|reserved_2|>"]
PLAIN = ["<think>", "</think>"]  # added, but not special: they stay in decoded text
SEPARATOR = re.compile("|".join(map(re.escape, SPECIAL + PLAIN)))
ROWS = 1024
CORPUS_SEED, CORPUS_CASES = 7, 40000


def corpus() -> Iterator[str]:
    rng = random.Random(CORPUS_SEED)
    for _ in range(CORPUS_CASES):
        case = mix.train_case(rng)
        text, _ = render(case.messages, case.tools)
        yield from SEPARATOR.split(text)
    # the letters of spelled words must be tokens, also the rare ones
    for letter in "abcdefghijklmnopqrstuvwxyz":
        yield from [f"-{letter}", f" {letter}"] * 3000


def pre_tokenizer(single_digits: bool) -> pre_tokenizers.PreTokenizer:
    digits = [pre_tokenizers.Digits(individual_digits=True)] if single_digits else []
    return pre_tokenizers.Sequence(digits + [pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
                                             pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])


def train() -> Tokenizer:
    tok = Tokenizer(models.BPE())
    # Trained with every digit on its own, shipped with the usual split: no merge holds two digits, so sums are learnt digit by digit.
    tok.pre_tokenizer = pre_tokenizer(single_digits=True)
    trainer = trainers.BpeTrainer(vocab_size=ROWS - len(PLAIN), special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIAL],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tok.train_from_iterator(corpus(), trainer)
    data = json.loads(tok.to_str())
    data["model"]["ignore_merges"] = True
    tok = Tokenizer.from_str(json.dumps(data))
    tok.pre_tokenizer = pre_tokenizer(single_digits=False)
    tok.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    tok.add_tokens([AddedToken(t, special=False, normalized=False) for t in PLAIN])
    bos = "<|startoftext|>"
    tok.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, 1)])
    assert tok.get_vocab_size() == ROWS and tok.token_to_id("<|im_end|>") == 7
    return tok


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path)
    folder = ap.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    tok = train()
    tok.save(str(folder / "tokenizer.json"))
    added = {str(tok.token_to_id(t)): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": t in SPECIAL}
             for t in SPECIAL + PLAIN}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|startoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|pad|>",
              "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False, "model_max_length": 1024,
              "added_tokens_decoder": added}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
