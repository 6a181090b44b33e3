#!/usr/bin/env python3
"""Writes src/text/tokenizer_unicode_table.cc: the character classes that byte-level BPE pre-tokenizers use.

    pip install tokenizers==0.23.3
    make_unicode_classes.py src/text/tokenizer_unicode_table.cc

The classes are asked of the `tokenizers` library itself, code point by code point, so that Millrace splits
text by the same edition of Unicode as the library with which checkpoints are published.
"""
import sys

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

LETTER, NUMBER, SPACE, WORD = 1, 2, 3, 4
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def matching(pattern):
    """The code points that match, by keeping only the matches of one string of them all."""
    keep = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return {ord(c) for piece, _ in keep.pre_tokenize_str("".join(map(chr, CODE_POINTS))) for c in piece}


def word_characters():
    """What stops an added token with single_word: `\\w` of another regex engine than the splits use."""
    tok = Tokenizer(models.BPE(vocab={}, merges=[]))
    tok.add_tokens([AddedToken("Q", single_word=True, normalized=False)])
    text, starts = "", {}
    rows = []
    at = 0
    for c in CODE_POINTS:
        rows.append(" Q" + chr(c))
        starts[at + 1] = c
        at += 3
    text = "".join(rows)
    seen = {starts[o[0]] for o in tok.encode(text).offsets if o[0] in starts}
    return set(CODE_POINTS) - seen


def main():
    classes = [0] * 0x110000
    for pattern, value in ((r"\p{L}+", LETTER), (r"\p{N}+", NUMBER), (r"\s+", SPACE)):
        for c in matching(pattern):
            assert classes[c] == 0
            classes[c] = value
    for c in word_characters():
        classes[c] |= WORD
    ranges, start = [], 0
    for c in range(1, 0x110001):
        if c == 0x110000 or classes[c] != classes[start]:
            if classes[start]:
                ranges.append((start, c - 1, classes[start]))
            start = c
    cells = ["{0x%x, 0x%x, %d}" % r for r in ranges]
    with open(sys.argv[1], "w", encoding="ascii") as f:
        f.write("// Made by tools/golden/make_unicode_classes.py; do not edit.\n"
                '#include "text/tokenizer_unicode.h"\n\n'
                "namespace millrace::unicode {\n\n"
                "// clang-format off\n"
                "const ClassRange kClassRanges[%d] = {\n" % len(cells))
        for i in range(0, len(cells), 5):
            f.write("    " + ", ".join(cells[i:i + 5]) + ",\n")
        f.write("};\n// clang-format on\nconst int kClassRangeCount = %d;\n\n}  // namespace millrace::unicode\n" % len(cells))
    print(len(cells), "ranges;", {v: classes.count(v) for v in sorted(set(classes))})


if __name__ == "__main__":
    main()
