#!/usr/bin/env python3
"""What a step timeline (`--trace FILE` of serve and bench) amounts to, phase by phase.

usage: trace_report.py FILE...
"""
import collections
import json
import sys


def quantile(values, q):
    values = sorted(values)
    return values[round(q * (len(values) - 1))]


def report(path):
    spans = [e for e in json.load(open(path))["traceEvents"] if e["ph"] == "X"]
    if not spans:
        return print(f"{path}: no spans")
    whole = spans[-1]["ts"] + spans[-1]["dur"] - spans[0]["ts"]
    phases = collections.defaultdict(list)
    for span in spans:
        phases[span["name"]].append(span)
    tokens = sum(s["args"]["tokens"] for s in spans if s["name"] == "deliver")
    print(f"{path}: {sum(s['name'] == 'plan' for s in spans)} steps, {tokens} tokens, {whole / 1e6:.2f} s")
    print(f"{'phase':10}{'spans':>8}{'share':>8}{'median us':>11}{'p99 us':>11}{'max us':>11}{'us a token, median':>20}")
    for name, found in phases.items():
        times = [s["dur"] for s in found]
        each = [s["dur"] / s["args"]["tokens"] for s in found if s["args"]["tokens"] > 0]
        print(f"{name:10}{len(times):>8}{100 * sum(times) / whole:>7.1f}%{quantile(times, .5):>11.1f}{quantile(times, .99):>11.1f}"
              f"{max(times):>11.1f}{quantile(each, .5) if each else 0:>20.2f}")
    named = sum(s["dur"] for s in spans)
    print(f"{'between':10}{'':>8}{100 * (whole - named) / whole:>7.1f}%")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        report(name)
