#!/usr/bin/env python3
"""Writes tests/data/text/tokenizer_variants.json: what the `tokenizers` library makes of many kinds of tokenizer.json.

    pip install tokenizers==0.23.3
    make_tokenizer_cases.py tests/data/text

Reads tokenizer_cases.json there for hard strings. The file holds "models" (the text of "model" of a tokenizer.json) and
"variants", each a model's name, the rest of the tokenizer.json, and cases:
  words    pieces of the pre-tokenizer, in the byte alphabet
  encode   [text, add_special_tokens, parse_special, ids]
  decode   [ids, skip_special_tokens, text]
"""
import json
import os
import random
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Spellings other families use: possessive repetitions, cased letters.
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
          r"|\s*[\r\n]|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
EXTRA = ["the cat\u180esat", "a\u180e b", "tab\x0bvt\x0cff\x1cfs\x85nel", "x\ny\nz", "\nx\n", "x\n", "12a34 5", "aXbXc", "XX", "aßſs SS", "Straße STRASSE",
         "foo.bar(baz)", "a..b", "水a水", "snake_case_Ⓐ_①", "a\u0301_b\u200dc", "İi", "Ωmega ω", "漢字かなカナ", "word  word", " ", "xxabxxx", "1,234 and 5.678e9",
         "α-beta", "'s 'S 'ſ 'LL", "don't DON'T", "\u2028\u2029\u00a0", "end\u3000", "1²³½", "mixed Case WORDS CamelCaseWord"]


def corpus(rng):
    """Words of made-up syllables in several scripts, by Zipf's law, with numbers, marks and line ends between them."""
    scripts = [("bcdfghklmnprstvz", "aeiou"), ("бвгдзклмнпрст", "аеиоу"), ("βγδκλμνπρστ", "αεηιο"), ("水火木金土日月", "人山川田"), ("かきくけこ", "さしすせそ")]
    words = []
    for _ in range(900):
        cons, vow = scripts[min(int(rng.expovariate(1.2)), 4)]
        w = "".join(rng.choice(cons) + rng.choice(vow) for _ in range(rng.randint(1, 4)))
        words.append(w.capitalize() if rng.random() < 0.15 else w)
    weights = [1 / (i + 3) for i in range(len(words))]
    lines = []
    for _ in range(1500):
        out = ""
        for _ in range(rng.randint(3, 14)):
            r = rng.random()
            out += rng.choice(["'s", "'ll", "'t", "n't", ",", ".", "!\n", "...", "()", " = ", "_", "\n\n", "  ", "\t"]) if r < 0.15 else ""
            out += " " + (str(rng.randint(0, 9999)) if r > 0.93 else rng.choices(words, weights)[0])
        lines.append(out + "\n")
    return lines


def train(lines, size, splitter, **model):
    tok = Tokenizer(models.BPE())
    steps = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tok.pre_tokenizer = pre_tokenizers.Sequence(splitter + steps)
    tok.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, max_token_length=12))
    return {**json.loads(tok.to_str())["model"], **model}


def added(text, **flags):
    return {"id": 0, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def template(before, after=()):
    names = [f"<s{i}>" for i in (*before, *after)]
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": f"<s{i}>", "type_id": 0}} for i in before] + [{"Sequence": {"id": "A", "type_id": 0}}]
            + [{"SpecialToken": {"id": f"<s{i}>", "type_id": 0}} for i in after],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": [], "tokens": [n]} for n in names}}


def main():
    rng = random.Random(20)
    folder = sys.argv[1]
    with open(os.path.join(folder, "tokenizer_cases.json"), encoding="utf-8") as f:
        pool = [c["text"] for c in json.load(f)["cases"] if len(c["text"]) <= 120]
    lines = corpus(rng)
    from tokenizers import Regex
    # "free" was trained without a split: its merges cross spaces, digits and marks, so that every split shows.
    models_ = {"free": train(lines, 1300, []),
               "big": train(lines, 4000, [pre_tokenizers.Split(Regex(LLAMA3), "isolated")], ignore_merges=True)}
    models_["free_lines"] = {**models_["free"], "merges": ["#version: 0.2"] + [" ".join(m) for m in models_["free"]["merges"]],
                             "continuing_subword_prefix": "", "end_of_word_suffix": "", "unk_token": "a"}
    # Half of the merges are gone: many words can be reached only whole.
    models_["whole_words"] = {**models_["big"], "merges": [m for i, m in enumerate(models_["big"]["merges"]) if i < 700]}
    # Bytes that are no tokens disappear, and their neighbours may merge.
    gaps = [t for t in models_["free"]["vocab"] if not set(t) & set("eĠÃ5.")]
    gaps = {t: i for i, t in enumerate(gaps)}
    models_["gaps"] = {**models_["free"], "vocab": gaps, "merges": [m for m in models_["free"]["merges"] if m[0] in gaps and m[1] in gaps]}

    marks = [added("<s0>", special=True), added("<s1>", special=True), added("<think>"), added("</think>")]
    strips = [added("[L]", lstrip=True), added("[R]", rstrip=True), added("[LR]", lstrip=True, rstrip=True, special=True), added("cat", single_word=True),
              added("cats", single_word=True, special=True), added("ab", normalized=True), added("abc"), added("bcd", special=True), added("\n\n"), added(" " * 3, normalized=True),
              added("水"), added("é"), added("<a b>", special=True), added("x", single_word=True, lstrip=True, normalized=True), added("\t", rstrip=True), added("\u3000", lstrip=True)]
    strip_pool = ["[L]", "[R]", "[LR]", "cat", "cats", "ab", "abc", "bcd", "\n\n", "   ", "水", "é", "<a b>", "x", "\t", "\u3000", " ", "a", "b", "d", "s", ".", "_", "\n", "\u0301", "1", "\u200d", "\ufeff"]
    strip_texts = ["".join(rng.choice(strip_pool) for _ in range(rng.randint(1, 14))) for _ in range(150)]

    variants = [
        ("gpt2", "free", {"pre_tokenizer": byte_level(regex=True)}, {}),
        ("gpt2, merges as lines", "free_lines", {"pre_tokenizer": byte_level(regex=True)}, {}),
        ("gpt2, prefix space", "free", {"pre_tokenizer": byte_level(prefix=True, regex=True), "added_tokens": marks}, {}),
        ("gpt2 pattern in a split", "free", {"pre_tokenizer": sequence(split(GPT2), byte_level())}, {}),
        ("llama3", "big", {"pre_tokenizer": sequence(split(LLAMA3), byte_level()), "post_processor": template([0]), "added_tokens": marks}, {"count": 120}),
        ("llama3, whole words", "whole_words", {"pre_tokenizer": sequence(split(LLAMA3), byte_level())}, {"count": 60}),
        ("llama3, free merges", "free", {"pre_tokenizer": sequence(split(LLAMA3), byte_level())}, {"count": 80}),
        ("llama3 removed inverted", "free", {"pre_tokenizer": sequence(split(LLAMA3, "Removed", True), byte_level())}, {}),
        ("llama3 merged with next", "free", {"pre_tokenizer": sequence(split(LLAMA3, "MergedWithNext"), byte_level())}, {}),
        ("llama3, then gpt2 with prefix", "free", {"pre_tokenizer": sequence(split(LLAMA3), byte_level(True, True))}, {}),
        ("cl100k", "free", {"pre_tokenizer": sequence(split(CL100K), byte_level())}, {"count": 80}),
        ("o200k", "free", {"pre_tokenizer": sequence(split(O200K, "Removed", True), byte_level())}, {"count": 80}),
        ("no split", "free", {"pre_tokenizer": byte_level()}, {}),
        ("digits", "free", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level(regex=True))}, {}),
        ("digits together", "free", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, byte_level())}, {}),
        ("digits, spaces, words", "free", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, split(" ", "MergedWithNext", kind="String"), split(r"\w+"), byte_level())}, {}),
        ("lines", "free", {"pre_tokenizer": sequence(split(r"^.|.$"), byte_level())}, {}),
        ("any character", "free", {"pre_tokenizer": sequence(split(r"\S."), byte_level())}, {}),
        ("escapes", "free", {"pre_tokenizer": sequence(split(r"[^\w\s]+|\D\d|\v|\u6c34|\x{e9}|\t"), byte_level())}, {}),
        ("not words", "free", {"pre_tokenizer": sequence(split(r"\W+"), byte_level())}, {}),
        ("scripts", "free", {"pre_tokenizer": sequence(split(r"\p{Han}+|\p{Hiragana}+|\P{Latin}\p{Greek}|\p{^L}\p{Lu}"), byte_level())}, {}),
        ("case", "free", {"pre_tokenizer": sequence(split(r"(?i)[a-f]+s|ω|'s"), byte_level())}, {}),
        ("empty matches", "free", {"pre_tokenizer": sequence(split(r"x*"), byte_level())}, {}),
        ("empty matches merged", "free", {"pre_tokenizer": sequence(split(r"\d*", "MergedWithPrevious"), byte_level())}, {}),
        ("look around", "free", {"pre_tokenizer": sequence(split(r"(?<=[a-z])(?=[A-Z])|(?<!\s)\.|(?>a+)b?"), byte_level())}, {}),
        ("literal", "free", {"pre_tokenizer": sequence(split("..", kind="String"), split("(b", "Contiguous", kind="String"), byte_level())}, {}),
        ("template around", "free", {"pre_tokenizer": byte_level(regex=True), "added_tokens": marks,
                                     "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, template([0, 1], [1])]}}, {"both": True}),
        ("gaps", "gaps", {"pre_tokenizer": byte_level(regex=True)}, {}),
        ("added tokens", "free", {"pre_tokenizer": sequence(split(LLAMA3), byte_level()), "added_tokens": strips}, {"texts": strip_texts, "both": True}),
        ("added tokens, prefix", "free", {"pre_tokenizer": byte_level(True, True), "added_tokens": strips}, {"texts": strip_texts[:60]}),
    ]
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            variants.append((f"digits {behavior} {invert}", "free", {"pre_tokenizer": sequence(split(r"\d", behavior, invert), byte_level())}, {"count": 15, "texts": ["a12b3 4", "12", "a", "1a", "a1", "12ab34cd"]}))

    out, total = [], 0
    for name, model, rest, how in variants:
        document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "post_processor": None,
                    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, **rest}
        # Ids as the library gives them: a token of the vocabulary keeps its own, others follow it.
        document = json.loads(json.dumps(document))
        vocab = models_[model]["vocab"]
        ids, free = {}, len(vocab)
        for t in document["added_tokens"]:
            ids[t["content"]] = t["id"] = vocab.get(t["content"], free)
            free += t["content"] not in vocab
        for step in (document["post_processor"] or {}).get("processors", [document["post_processor"] or {}]):
            for token in step.get("special_tokens", {}).values():
                token["ids"] = [ids[token["id"]]]
        tok = Tokenizer.from_str(json.dumps({**document, "model": models_[model]}))
        assert all(tok.token_to_id(t) == i for t, i in ids.items())
        texts = how.get("texts", []) + (["".join(rng.choice(lines) for _ in range(2))] + EXTRA + rng.sample(pool, how.get("count", 25)) if name != "added tokens" else [])
        if how.get("both") or document["added_tokens"]:
            texts += ["<think>the</think> <s0>x<s1>", "<s0>", " <s1> "]
        texts = sorted(set(texts), key=texts.index)
        case = {"name": name, "model": model, "document": document, "words": [], "encode": [], "decode": []}
        for text in texts:
            case["words"].append([text, [w for w, _ in tok.pre_tokenizer.pre_tokenize_str(text)]])
            for special, parse in ((False, True), (True, True), (False, False)) if how.get("both") else ((False, True),):
                tok.encode_special_tokens = not parse
                try:
                    case["encode"].append([text, special, parse, tok.encode(text, add_special_tokens=special).ids])
                except BaseException as e:  # the library panics where white space that one token took along holds another
                    assert "bad split" in str(e), e
        total += len(case["encode"])
        top = tok.get_vocab_size() + 3
        for _ in range(12):
            row = [rng.randrange(max(0, top - 20) if rng.random() < 0.3 else 0, top) for _ in range(rng.randint(1, 16))]
            case["decode"].append([row, bool(rng.getrandbits(1)), ""])
            case["decode"][-1][2] = tok.decode(row, skip_special_tokens=case["decode"][-1][1])
        out.append(case)
    with open(os.path.join(folder, "tokenizer_variants.json"), "w", encoding="ascii") as f:
        json.dump({"models": {n: json.dumps(m, ensure_ascii=False, separators=(",", ":")) for n, m in models_.items()}, "variants": out}, f, separators=(",", ":"))
        f.write("\n")
    print(len(out), "variants,", total, "encodings,", sum(len(c["decode"]) for c in out), "decodings")


if __name__ == "__main__":
    main()
