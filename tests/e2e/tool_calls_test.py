#!/usr/bin/env python3
"""Compares `millrace parse` with Python's own ast on generated calls.

usage: tool_calls_test.py MILLRACE [COUNT [SEED]]
"""
import ast
import json
import keyword
import random
import subprocess
import sys
import unicodedata

LETTERS = "abcxyz_ABZ"
TEXT = list("abc xyz 0189 .,;:!?()[]{}<>=+-*/%&|~^$#@`") + ["é", "ß", "東", "京", "😀", "\u202e", "\u0000", "\x7f",
        "</think>", "<|im_end|>", "=\"", "), g(", "None", "\t", " ", "'", '"', "\\", "\n"]


class Writer:
    """Writes Python source of literals, with every spelling that the grammar has."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one_of(self, *choices):
        return self.random.choice(choices)

    def space(self):
        return self.one_of("", "", "", " ", "  ", "\n", "\t", " \n ")

    def identifier(self):
        while True:
            name = self.random.choice(LETTERS) + "".join(
                self.random.choice(LETTERS + "0189") for _ in range(self.random.randrange(12)))
            if self.random.random() < 0.05:
                name += self.one_of("é", "名", "ß")
            if not keyword.iskeyword(name):
                return unicodedata.normalize("NFKC", name)

    def text_body(self, quote, triple, raw):
        out = []
        for _ in range(self.random.choice((0, 1, 3, 8, 20))):
            piece = self.random.choice(TEXT)
            if piece == "\0":
                piece = "\\0" if not raw else "0"
            if not raw and self.random.random() < 0.1:
                out.append(self.one_of(r"\n", r"\t", r"\\", r"\'", r"\"", r"\x41", "\\u00e9", r"\U0001F600", r"\101",
                                       r"\7", "\\\n", r"\a", r"\b", r"\f", r"\v", r"\r"))
                continue
            if piece == "\\":
                piece = r"\\"
            if quote in piece:
                piece = piece.replace(quote, ("" if raw else "\\" + quote))
            if piece == "\n" and not triple:
                piece = r"\n"
            out.append(piece)
        return "".join(out)

    def string(self):
        quote = self.one_of("'", '"')
        triple = self.random.random() < 0.1
        raw = self.random.random() < 0.1
        body = self.text_body(quote, triple, raw)
        mark = quote * 3 if triple else quote
        return self.one_of("r", "R") * raw + mark + body + mark if raw else mark + body + mark

    def strings(self):
        first = self.string()
        if self.random.random() > 0.05 or first[0] in "rR":
            return first
        more = self.string()
        while more[0] in "rR":
            more = self.string()
        return first + " " + more

    def number(self):
        digits = str(self.random.randrange(10 ** self.random.randrange(1, 25)))
        kind = self.random.randrange(10)
        sign = self.one_of("", "", "-", "+", "- ", "--")
        if kind < 4:
            return sign + digits
        if kind == 4:
            return sign + hex(self.random.randrange(1 << 63))
        if kind == 5:
            return sign + self.one_of(oct, bin)(self.random.randrange(1 << 60))
        if kind == 6:
            return sign + f"{int(digits):_}"
        if kind == 7:
            return sign + digits[:5] + "."
        if kind == 8:
            return sign + "." + digits
        return sign + digits[:8] + self.one_of("", ".5") + self.one_of("e", "E") + self.one_of("", "+", "-") + \
            str(self.random.randrange(200))

    def joined(self, items, trailing):
        text = ""
        for i, item in enumerate(items):
            text += ("," if i else "") + self.space() + item + self.space()
        return text + ("," + self.space() if trailing and items else "")

    def value(self, depth):
        kind = self.random.randrange(14 if depth > 0 else 9)
        if kind < 5:
            return self.strings()
        if kind < 8:
            return self.number()
        if kind < 9:
            return self.one_of("True", "False", "None")
        count = self.random.choice((0, 1, 2, 5))
        trailing = self.random.random() < 0.2
        if kind < 11:
            return "[" + self.space() + self.joined([self.value(depth - 1) for _ in range(count)], trailing) + "]"
        if kind == 11:
            return "(" + self.space() + self.joined([self.value(depth - 1) for _ in range(count)], trailing) + ")"
        keys = [self.strings() if self.random.random() < 0.8 else self.one_of("2", "-3", "True", "None", "1.5")
                for _ in range(count)]
        return "{" + self.space() + self.joined(
            [key + self.space() + ":" + self.space() + self.value(depth - 1) for key in keys], trailing) + "}"

    def call(self):
        name = ".".join(self.identifier() for _ in range(self.one_of(1, 1, 1, 2)))
        names = list(dict.fromkeys(self.identifier() for _ in range(self.random.choice((0, 1, 2, 4)))))
        arguments = [n + self.space() + "=" + self.space() + self.value(self.random.choice((0, 1, 3, 5))) for n in names]
        return name + self.space() + "(" + self.space() + self.joined(arguments, self.random.random() < 0.1) + ")"

    def calls(self):
        return "[" + self.space() + self.joined([self.call() for _ in range(self.one_of(1, 1, 1, 2, 3))],
                                                self.random.random() < 0.1) + "]"


def reference(source):
    """What Python itself reads: [(name, arguments)]."""
    tree = ast.parse(source, mode="eval").body
    result = []
    for call in tree.elts:
        assert not call.args
        arguments = {k.arg: ast.literal_eval(unsigned(k.value)) for k in call.keywords}
        # The way over JSON turns tuples to lists and keys to strings.
        result.append((ast.unparse(call.func), json.loads(json.dumps(arguments))))
    return result


def unsigned(node):
    """literal_eval knows one sign only: --1 is folded here."""
    class Fold(ast.NodeTransformer):
        def visit_UnaryOp(self, inner):
            operand = self.visit(inner.operand)
            return ast.Constant(-operand.value if isinstance(inner.op, ast.USub) else operand.value)
    return Fold().visit(node)


def main():
    binary = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    writer = Writer(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    compared = 0
    while compared < count:
        sources = [writer.calls() for _ in range(min(20_000, count - compared))]
        lines = "".join(json.dumps(f"<|tool_call_start|>{s}<|tool_call_end|>") + "\n" for s in sources)
        done = subprocess.run([binary, "parse", "--lines"], input=lines, capture_output=True, text=True, check=True)
        answers = done.stdout.split("\n")[:-1]
        assert len(answers) == len(sources), (len(answers), len(sources))
        for source, line in zip(sources, answers):
            answer = json.loads(line)
            got = [(c["name"], json.loads(c["arguments"])) for c in answer["tool_calls"]]
            wanted = reference(source)
            if got != wanted or answer["content"] or answer["problems"]:
                print(f"source: {source!r}\nwanted: {wanted}\nfound:  {got}\n{answer}")
                return 1
        compared += len(sources)
    print(f"{compared} generated answers: all as Python reads them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
