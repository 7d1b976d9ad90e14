"""Gaps: parts lie in order where they were asked for, and the first and last speaker fit what stands around them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from any_text import anything, as_blob, thorough
from hypothesis import assume, given
from hypothesis import strategies as st

from deepcoder_hf.spans.gaps import FIRST, LAST, MOST, NEVER, Left, Part, Right, decode, divide, paragraphs
from deepcoder_hf.spans.voice import PLAN, REPLY, USER, VOICES, WORLD

PLAN_WORDS = "That is the number I need, so I multiply it next."
lefts, rights = st.sampled_from(sorted(FIRST)), st.sampled_from(sorted(LAST))
heard = st.lists(st.tuples(*[st.floats(-8, 0)] * len(VOICES)), min_size=1, max_size=8)


def parts_of(text: str, left: Left, right: Right) -> list[tuple[str, str]]:
    blob, start, end = as_blob(text)
    parts = divide(blob, start, end, left, right)
    stops = [*(part.start for part in parts[1:]), end]
    return [(VOICES[p.voice], blob[p.start : stop].decode().strip()) for p, stop in zip(parts, stops, strict=True)]


@thorough
@given(st.lists(anything, min_size=1, max_size=6).map("\n\n".join), st.integers(0, 5), lefts, rights)
def test_parts_of_any_gap_begin_where_asked_and_are_sorted(text: str, skip: int, left: Left, right: Right) -> None:
    blob, start, end = as_blob(text)
    begin = start + skip
    assume(begin < end)
    parts = divide(blob, begin, end, left, right)
    assert parts[0].start == begin
    assert all(a.start < b.start < end and a.voice != b.voice for a, b in pairwise(parts))
    assert all(isinstance(part, Part) and 0 < part.confidence <= 1 + 1e-9 for part in parts)
    assert FIRST[left][parts[0].voice] > NEVER
    assert LAST[right][parts[-1].voice] > NEVER


@thorough
@given(heard, lefts, rights)
def test_the_most_probable_speakers_have_a_probability(rows: list[tuple[float, ...]], left: Left, right: Right) -> None:
    path, posterior = decode(rows, FIRST[left], LAST[right])
    assert len(path) == len(posterior) == len(rows)
    assert all(0 < value <= 1 + 1e-9 for value in posterior)
    assert not any(a == PLAN and b != PLAN for a, b in pairwise(path))  # a plan ends with its call
    assert not any(a != WORLD and b == WORLD for a, b in pairwise(path))  # the world only answers calls


@pytest.mark.parametrize(
    "result",
    ['{"temperature": 12, "unit": "C"}', "[1, 2, 3]", "total 3\n-rw-r--r-- 1 kim kim 120 a.py", "3 passed in 0.1s"],
)
def test_a_result_and_the_sentence_after_it_are_divided(result: str) -> None:
    assert parts_of(f"{result}\n\n{PLAN_WORDS}", "result", "call") == [("world", result), ("plan", PLAN_WORDS)]


def test_after_a_result_the_user_may_ask_and_the_agent_may_plan() -> None:
    ask = "Thanks! Could you please add a test for it as well?"
    plan = "I need to see which tests exist first."
    found = parts_of(f"3 passed in 0.1s\n\n{ask}\n\n{plan}", "result", "call")
    assert found == [("world", "3 passed in 0.1s"), ("user", ask), ("plan", plan)]


def test_blank_lines_in_a_fence_divide_nothing() -> None:
    blob, start, end = as_blob("a\n\n```\nb\n\nc\n```\n\nd")
    assert [blob[edge : edge + 1] for edge in paragraphs(blob, start, end)] == [b"a", b"`", b"d"]


def test_of_a_long_gap_the_last_paragraphs_are_looked_at() -> None:
    blob, start, end = as_blob("\n\n".join(f"{n} passed in 0.1s" for n in range(10 * MOST)) + f"\n\n{PLAN_WORDS}")
    parts = divide(blob, start, end, "result", "call")
    assert [part.voice for part in parts] == [WORLD, PLAN]
    assert blob[parts[1].start : end].decode() == PLAN_WORDS


def test_voices_are_named_in_the_order_of_the_costs() -> None:
    assert tuple(range(len(VOICES))) == (WORLD, PLAN, USER, REPLY)
