"""Hostile inputs cost work in proportion to their length: the machine's look-ups are counted, not timed."""

from __future__ import annotations

from collections.abc import Callable

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


@pytest.mark.parametrize("role", [None, "assistant", "user"])
@pytest.mark.parametrize("name", HOSTILE)
def test_ten_times_the_text_takes_ten_times_the_work(
    name: str, role: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (work(HOSTILE[name](n), role, monkeypatch) for n in (10_000, 100_000))
    assert large <= 11 * small + 2000


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_it_is_partitioned(name: str) -> None:
    text = HOSTILE[name](1_000_000)
    check_partition(DETECTOR.detect(text), len(text))


def test_two_hundred_thousand_nested_tags_are_partitioned() -> None:
    text = "<think>" * 200_000 + "</think>" * 200_000
    check_partition(DETECTOR.detect(text), len(text))
