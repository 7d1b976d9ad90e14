"""Hostile inputs cost work in proportion to their length: calls and look-ups are counted, not timed.

`benchmarks/span_speed.py` times the same on 10 MB.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.lookahead import Lookahead
from deepcoder_hf.spans.types import check_partition

DETECTOR = SpanDetector()

HOSTILE: dict[str, Callable[[int], str]] = {
    "unclosed think tags": lambda n: "<think>" * (n // 7),
    "unclosed think tags on lines": lambda n: "<think>\n" * (n // 8),
    "nested think tags": lambda n: "<think>\n" * (n // 17) + "</think>\n" * (n // 17),
    "nested calls": lambda n: "<tool_call>\n" * (n // 25) + "</tool_call>\n" * (n // 25),
    "orphan closing tags": lambda n: "a</think>\n" * (n // 10),
    "mentions and one line": lambda n: "a <think> b </think>" * (n // 20),
    "backticks": lambda n: "`" * n,
    "fences": lambda n: "```\n" * (n // 4),
    "opening fences": lambda n: "```python\n" * (n // 10),
    "braces": lambda n: "{" * n,
    "action lines": lambda n: "Action:\n" * (n // 8),
    "weak labels": lambda n: "Plan: a\nResult: b\nCode: c\n" * (n // 26),
    "thoughts with fences": lambda n: "Thought:\n```\na\n```\n" * (n // 19),
    "spaces, then tags": lambda n: " " * (n // 2) + "<think>" * (n // 14),
    "spaces between tags": lambda n: ("<tool_call>" + " " * 1000) * (n // 1011),
    "newlines": lambda n: "\n" * n,
    "turns": lambda n: "<|im_start|>user\n<|im_end|>\n" * (n // 28),
    "turn headers of the agent": lambda n: "<|im_start|>assistant\n" * (n // 22),
    "half a tag": lambda n: "<" * n,
    "unlisted labels": lambda n: "Zorp>> a\nBlick>> ls\n" * (n // 21),
    "unlisted labels, each another": lambda n: "".join(f"W{i:x}q>> a\n" for i in range(n // 10)),
    "unlisted tags": lambda n: "<muse>\n" * (n // 7),
    "nested unlisted tags": lambda n: "<step>" * (n // 13) + "</step>" * (n // 13),
    "unlisted tokens": lambda n: "<|zorp|>" * (n // 8),
    "headings": lambda n: "## Zorp\na\n" * (n // 10),
    "prompts": lambda n: "$ ls\na.py\n" * (n // 10),
    "here-documents that never end": lambda n: "$ cat <<EOF\n" * (n // 12),
    "cells": lambda n: "In [1]: x = 1\n" * (n // 14),
    "steps of JSON": lambda n: '{"thought": "a", "action": {"b": 1}}\n' * (n // 37),
    "objects that never end": lambda n: '{"thought": "a"\n' * (n // 16),
    "paragraphs after a call": lambda n: "Action: ls\n" + "a\n\n" * (n // 3),
    "calls and paragraphs": lambda n: "Action: ls\n\na\n\nb\n\n" * (n // 18),
    "escapes that never end": lambda n: '{"' + '\\"' * (n // 2),
    "indented cells": lambda n: " In [1]: x = 1\n" * (n // 15),
    "closed calls in one line": lambda n: "a <tool_call>b</tool_call> c " * (n // 29),
    "examples that are announced": lambda n: "Examples:\nThought: a\n" * (n // 21),
}


def work(text: str, role: str | None, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many bytes and markers the look-ups touch."""
    count = 0
    look, skip = Lookahead.next, Lookahead.skip_space

    def counted_next(self: Lookahead, key: str, position: int) -> object:
        nonlocal count
        count += 1
        return look(self, key, position)

    def counted_skip(self: Lookahead, position: int) -> int:
        nonlocal count
        stop = skip(self, position)
        count += 1 + stop - position
        return stop

    with monkeypatch.context() as patch:
        patch.setattr(Lookahead, "next", counted_next)
        patch.setattr(Lookahead, "skip_space", counted_skip)
        DETECTOR.detect(text, role)
    return count


def n_calls(text: str) -> int:
    """How many functions are called, those of Python among them."""
    count = 0

    def seen(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        DETECTOR.detect(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", HOSTILE)
def test_four_times_the_text_takes_four_times_the_calls(name: str) -> None:
    n_calls(HOSTILE[name](20_000))  # what is remembered between texts
    small, large = (n_calls(HOSTILE[name](n)) for n in (5_000, 20_000))
    assert large <= 4.6 * small + 2000


@pytest.mark.parametrize("role", [None, "assistant", "user"])
@pytest.mark.parametrize("name", HOSTILE)
def test_ten_times_the_text_takes_ten_times_the_work(
    name: str, role: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (work(HOSTILE[name](n), role, monkeypatch) for n in (5_000, 50_000))
    assert large <= 11 * small + 2000


@pytest.mark.parametrize("name", HOSTILE)
def test_a_long_text_of_it_is_partitioned(name: str) -> None:
    text = HOSTILE[name](100_000)
    check_partition(DETECTOR.detect(text), len(text))


def test_two_hundred_thousand_nested_tags_are_partitioned() -> None:
    text = "<think>" * 200_000 + "</think>" * 200_000
    check_partition(DETECTOR.detect(text), len(text))


@pytest.mark.parametrize("name", ["escapes that never end", "indented cells", "closed calls in one line"])
def test_what_expressions_search_twice_would_never_end(name: str) -> None:
    """A quadratic search in C makes no calls that could be counted, but takes hours on this much text."""
    check_partition(DETECTOR.detect(HOSTILE[name](1_500_000)), len(HOSTILE[name](1_500_000)))
