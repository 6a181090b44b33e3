#!/usr/bin/env python3
"""Writes tests/data/text/jinja_cases.json: small templates, their variables, and what the template
engine of transformers makes of them (a text, or the fact that it refuses).

    pip install transformers==5.23.0 jinja2==3.1.6
    python3 tools/golden/make_jinja_cases.py > tests/data/text/jinja_cases.json

The templates lie in tools/golden/jinja_templates.py, one group a construct.
"""
import datetime
import json
import sys

import transformers
import transformers.utils.chat_template_utils as chat_template_utils

from jinja_templates import GROUPS

NOW = datetime.datetime(2025, 3, 9, 14, 5, 6, 70809)


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def render(source, variables):
    chat_template_utils.datetime = FixedTime
    try:
        return {"text": chat_template_utils._compile_jinja_template(source).render(**variables)}
    except Exception as error:  # whatever Python raises, the engine has to refuse
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def main():
    groups = []
    count = 0
    for name, variables, templates in GROUPS:
        cases = []
        for source in templates:
            cases.append({"template": source, **render(source, variables)})
            count += 1
        groups.append({"name": name, "variables": variables, "cases": cases})
    json.dump({"transformers": transformers.__version__, "now": str(NOW), "groups": groups},
              sys.stdout, ensure_ascii=False, indent=0)
    print(count, "cases", file=sys.stderr)


main()
