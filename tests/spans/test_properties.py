"""What holds for any text: spans partition it, batches change nothing, thresholds only remove, roles are kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from any_text import GLUE as FORM_GLUE
from any_text import PIECES as FORMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import SpansConfig
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.library import builtin_patterns
from deepcoder_hf.spans.types import SpanType, check_partition

DETECTOR = SpanDetector()
EXAMPLES = [text for p in builtin_patterns() for text in (p.example, p.counter_example)]
PIECES = sorted({line for text in EXAMPLES for line in text.split("\n")} | set(EXAMPLES))
GLUE = [
    "\n",
    "\n\n",
    "\r\n",
    " ",
    "\t",
    "",
    "\x00",
    "```\n",
    "\n```\n",
    "é",
    "🙂",
    "漢字",
    "السلام",
    "\ud800",
    "a\u0301",
    "`",
    '"',
]

soup = st.one_of(
    st.lists(st.sampled_from(PIECES + GLUE * 4), max_size=14).map("".join),
    st.lists(st.sampled_from(FORMS + FORM_GLUE * 4), max_size=14).map("".join),
    st.lists(st.sampled_from(FORMS), max_size=14).map("\n".join),
)
cut_soup = st.builds(lambda text, a, b: text[a : len(text) - b], soup, st.integers(0, 9), st.integers(0, 9))
anything = st.one_of(st.text(st.characters(), max_size=60), soup, cut_soup)
roles = st.sampled_from([None, None, None, "assistant", "user", "tool", "system"])
pairs = st.lists(st.tuples(anything, roles), max_size=6)

thorough = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(anything, roles)
def test_spans_partition_any_text(text: str, role: str | None) -> None:
    spans = DETECTOR.detect(text, role)
    check_partition(spans, len(text))
    assert all(0 <= span.confidence <= 1 and span.pattern and span.subtype not in ("", "loose") for span in spans)


@thorough
@given(pairs)
def test_a_batch_is_the_same_as_one_by_one(rows: list[tuple[str, str | None]]) -> None:
    batch = DETECTOR.detect_batch([text for text, _ in rows], [role for _, role in rows])
    assert batch == [DETECTOR.detect(text, role) for text, role in rows]


@thorough
@given(pairs, st.integers(0, 6))
def test_where_a_batch_is_cut_changes_nothing(rows: list[tuple[str, str | None]], cut: int) -> None:
    def detect(part: list[tuple[str, str | None]]) -> list[object]:
        return list(DETECTOR.detect_tuples([text for text, _ in part], [role for _, role in part]))

    assert detect(rows) == detect(rows[:cut]) + detect(rows[cut:])


@thorough
@given(anything, roles, st.sampled_from([0.3, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0]))
def test_a_least_confidence_only_turns_spans_into_other(text: str, role: str | None, least: float) -> None:
    every = DETECTOR.detect(text, role)
    some = SpanDetector(SpansConfig(min_confidence=least)).detect(text, role)
    assert [(s.start_char, s.end_char) for s in every] == [(s.start_char, s.end_char) for s in some]
    for before, after in zip(every, some, strict=True):
        if before.confidence >= least:
            assert (after.span_type, after.subtype) == (before.span_type, before.subtype)
        else:
            assert after.span_type is SpanType.OTHER


@thorough
@given(anything, roles)
def test_steps_never_decrease_and_rise_by_one(text: str, role: str | None) -> None:
    steps = [span.step_id for span in DETECTOR.detect(text, role)]
    assert all(after - before in (0, 1) for before, after in pairwise(steps))
    assert not steps or steps[0] in (0, 1)


@pytest.mark.parametrize("role", ["user", "system"])
@thorough
@given(anything)
def test_text_of_user_and_system_is_never_reasoning_or_action(role: str, text: str) -> None:
    kinds = {span.span_type for span in DETECTOR.detect(text, role)}
    assert kinds <= {SpanType.OTHER, SpanType.OBSERVATION}


@thorough
@given(anything)
def test_text_of_a_tool_is_only_observation(text: str) -> None:
    assert {span.span_type for span in DETECTOR.detect(text, "tool")} <= {SpanType.OBSERVATION}


@thorough
@given(soup)
def test_detection_is_the_same_twice(text: str) -> None:
    assert DETECTOR.detect(text) == DETECTOR.detect(text)
