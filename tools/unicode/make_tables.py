#!/usr/bin/env python3
"""Writes src/text/jinja/unicode_{classes,cases}.cc: what the Python that runs this says of every
character. The template language promises Python's str methods, so Python itself is asked.
    python3 tools/unicode/make_tables.py classes > src/text/jinja/unicode_classes.cc
    python3 tools/unicode/make_tables.py cases > src/text/jinja/unicode_cases.cc
"""
import sys
import unicodedata

CODES = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def ranges(predicate):
    """Inclusive [first, last] ranges of the characters for which predicate holds."""
    out = []
    for code in CODES:
        if predicate(chr(code)):
            if out and out[-1][1] == code - 1:
                out[-1][1] = code
            else:
                out.append([code, code])
    return out


def steps(convert):
    """Runs {first, last, stride, delta} of one-to-one conversions."""
    pairs = []
    for code in CODES:
        to = convert(chr(code))
        if len(to) == 1 and ord(to) != code:
            pairs.append((code, ord(to) - code))
    out = []
    for code, delta in pairs:
        if out and out[-1][3] == delta:
            first, last, stride, _ = out[-1]
            if first == last and code - last in (1, 2):
                out[-1] = [first, code, code - last, delta]
                continue
            if first != last and code - last == stride:
                out[-1][1] = code
                continue
        out.append([code, code, 1, delta])
    return out


def specials(convert):
    """Characters whose conversion has another number of characters."""
    return [(code, convert(chr(code))) for code in CODES if len(convert(chr(code))) != 1]


def literal(text):
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def emit(kind, name, rows):
    print(f"constexpr {kind} k{name}[] = {{")
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 100:
            print(line)
            line = "   "
        line += " " + row + ","
    print(line)
    print("};\n")


def emit_ranges(name, predicate):
    emit("CodeRange", name, [f"{{{a:#x}, {b:#x}}}" for a, b in ranges(predicate)])


print(f"""// Written by tools/unicode/make_tables.py from Unicode {unicodedata.unidata_version}; not to be edited by hand.
// clang-format off
#include "text/jinja/unicode_tables.h"

namespace millrace::jinja {{
namespace {{
""")
CLASSES = [
    ("Alpha", str.isalpha),
    ("Decimal", str.isdecimal),
    ("Digit", str.isdigit),
    ("Numeric", str.isnumeric),
    ("Upper", str.isupper),
    ("Lower", str.islower),
    ("Title", lambda c: unicodedata.category(c) == "Lt"),
    # Those below 0x7f are decided without a table.
    ("Unprintable", lambda c: not c.isprintable() and ord(c) > 0x7E),
]
MAPS = [("ToUpper", str.upper), ("ToLower", str.lower), ("ToTitle", str.title)]
if sys.argv[1] == "classes":
    for name, predicate in CLASSES:
        emit_ranges(name, predicate)
    print("}  // namespace\n")
    for name, _ in CLASSES:
        print(f"std::span<const CodeRange> {name.lower()}_ranges() {{ return k{name}; }}")
else:
    for name, convert in MAPS:
        emit("CaseRun", name, ["{%#x, %#x, %d, %d}" % tuple(run) for run in steps(convert)])
        emit("CaseSpecial", name + "Special",
             [f"{{{code:#x}, {literal(to)}}}" for code, to in specials(convert)])
    print("}  // namespace\n")
    for name, _ in MAPS:
        lower = "to_" + name[2:].lower()
        print(f"CaseTable {lower}_table() {{ return {{k{name}, k{name}Special}}; }}")
print("\n}  // namespace millrace::jinja")
