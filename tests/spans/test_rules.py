"""Rules that are no patterns are declared, kept where they say, and switched off with any of their conventions."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest

from deepcoder_hf.config import SpansConfig
from deepcoder_hf.spans import rules
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.library import load_library
from deepcoder_hf.spans.rules import RULES, enabled_rules

SPANS = Path(rules.__file__).parent
STYLED = {name: rule for name, rule in RULES.items() if rule.styles}
SHELL = (
    "$ ls\na.txt  b.txt\n# The file a.txt holds the key.\n$ cat a.txt\nkey=17\n# Now I know it.\n$ echo done\ndone\n"
)
TEXTS: dict[str, str] = {
    "shell_prompts": SHELL,
    "shell_comments": SHELL,
    "thoughts_behind_prompts": "You are in a hall. Your task is to find a mug.\n"
    + "> think: I need to look behind the door first.\nOK.\n> open door\nThe door is open, a kitchen lies behind it.\n"
    * 3,
    "notebook_cells": "In [1]: import math\ndef area(r):\n    return math.pi * r\nOut[1]: 6.28\n\n"
    "In [2]: for i in range(2):\n    print(i)\n0\n1\n\nIn [3]: x = 3\nx + 1\nOut[3]: 4\n",
    "json_steps": '{"thought": "I look at the folder first.", "action": "ls"}\n{"observation": "a.py b.py"}\n'
    '{"thought": "Now I read the file a.py.", "action": "cat a.py"}\n{"observation": "print(1)"}\n',
    "addressed_words": "user:\nList the files.\n\nassistant to=self:\nI need to look at the folder first.\n\n"
    "assistant to=bash:\nls -l\n\ntool:\na.py\n\nassistant to=user:\nThere is one file, a.py.\n",
    "calls_and_thoughts_behind_signs": "◆ List the files of the folder, please.\n\n"
    "▶ I need to look at the folder first.\n\n"
    "▶ ls -l\n\n"
    "◀ a.py\nb.py\n\n▶ Now I read the first file.\n\n▶ cat a.py\n\n◀ print(1)\n\n"
    "▶ There are two files and the first one prints 1.\n",
    "answered_fences": "Thought: I look at the folder first.\n```\nls\n```\na.py\nb.py\nc.py\n\n"
    "Thought: Now I read a.py.\n```\ncat a.py\n```\nimport os\nprint(os.getcwd())\n",
}
"""A text whose spans depend on each rule."""


def test_every_rule_with_a_convention_has_a_text() -> None:
    assert set(TEXTS) == set(STYLED)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_kept_by_the_function_that_it_names(name: str) -> None:
    module, *path = RULES[name].acts.split(".")
    start = importlib.import_module(f"deepcoder_hf.spans.{module}")
    function = reduce(getattr, path, start)
    assert callable(function)
    assert RULES[name].says.endswith(".")


@pytest.mark.parametrize("name", STYLED)
def test_a_rule_with_a_convention_is_asked_for_in_its_module(name: str) -> None:
    module = importlib.import_module(f"deepcoder_hf.spans.{RULES[name].acts.split('.')[0]}")
    assert f'"{name}" in ' in inspect.getsource(module) or f'"{name}" not in ' in inspect.getsource(module)


def test_every_rule_that_the_code_asks_for_is_declared() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SPANS.glob("*.py"))
    asked = set(re.findall(r'"(\w+)" (?:not )?in (?:self\.)?(?:library\.)?rules\b', source))
    assert asked == set(STYLED)


@pytest.mark.parametrize("name", STYLED)
def test_leaving_out_a_convention_of_a_rule_switches_it_off(name: str) -> None:
    for style in STYLED[name].styles:
        assert name not in enabled_rules([style])
        assert name not in load_library(SpansConfig(leave_out=(style,))).rules
    general = {other for other in RULES if not RULES[other].styles}
    everything = [style for rule in RULES.values() for style in rule.styles]
    assert enabled_rules(everything) == general
    assert enabled_rules([]) == set(RULES)


@pytest.mark.parametrize("name", STYLED)
def test_a_rule_that_is_switched_off_changes_its_text(name: str) -> None:
    whole = SpanDetector()
    rest = SpanDetector()
    rest.library = replace(rest.library, rules=rest.library.rules - {name})  # its patterns stay
    assert rest.detect(TEXTS[name]) != whole.detect(TEXTS[name])
    left_out = SpanDetector(SpansConfig(leave_out=(STYLED[name].styles[0],)))
    assert left_out.detect(TEXTS[name]) != whole.detect(TEXTS[name])
