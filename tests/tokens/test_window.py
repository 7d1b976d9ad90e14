"""Plans of windows: bodies partition the text, and cuts stand at steps wherever a step fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepcoder_hf.errors import RecordError
from deepcoder_hf.spans.resolve import SpanTuple, number_steps
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.window import Window, plan_windows, token_characters, truncate

MakeTokenizer = Callable[..., TrajectoryTokenizer]
Parts = Sequence[tuple[str, str]]
"""Span types with their text."""

AGENT = ("reasoning", "action", "answer")
words = st.sampled_from(
    [
        "read the file",
        "🙂",
        "🦜🦜🦜",
        "漢字",
        "path",
        "x = f(1)\n",
        "\r\n",
        "\n\n",
        "  ",
        "naïve",
        "Thought: I need",
        "12345",
        "e\u0301",
    ]
)
passage = st.lists(words, min_size=1, max_size=12).map("".join)
part = st.tuples(st.sampled_from([*AGENT, *AGENT, "observation", "observation"]), passage)
slow = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


# --- planning --------------------------------------------------------------------------------------------------------


def laid_out(parts: Parts, tokenizer: TrajectoryTokenizer) -> tuple[str, list[SpanTuple], np.ndarray, np.ndarray]:
    """Text, spans, first token of each span and first character of each token."""
    text = "".join(passage for _, passage in parts)
    borders = np.cumsum([0, *(len(passage) for _, passage in parts)]).tolist()
    spans = number_steps(
        (start, end, TYPE_IDS[kind], "user" if kind == "other" else "", 1.0, "", "structure", 0)
        for (start, end), (kind, _) in zip(pairwise(borders), parts, strict=True)
    )
    chars = token_characters(text, tokenizer.reference.encode([text]).starts)
    return text, spans, np.searchsorted(chars, borders[:-1], "left"), chars


def check_windows(text: str, spans: Sequence[SpanTuple], windows: Sequence[Window]) -> None:
    """The head stands in each window, bodies partition the rest, spans partition each window and keep their types."""
    head = next(span[0] for span in spans if span[7] > 0)
    edges = [window.start_char for window in windows] + [len(text)]
    assert edges[0] == head
    assert [window.end_char for window in windows] == edges[1:]
    assert all(a < b for a, b in pairwise(edges))
    of_character = [span[2:] for span in spans for _ in range(span[0], span[1])]
    for window in windows:
        assert window.text == text[:head] + text[window.start_char : window.end_char]
        ends = [0, *(span[1] for span in window.spans)]
        assert [span[0] for span in window.spans] == ends[:-1]
        assert ends[-1] == len(window.text)
        found = [span[2:] for span in window.spans for _ in range(span[0], span[1])]
        assert found == of_character[:head] + of_character[window.start_char : window.end_char]
        assert window.start_step == of_character[window.start_char][5]


@pytest.mark.parametrize("name", ["tiny_bpe", "tiny_wordpiece"])
@slow
@given(parts=st.lists(part, min_size=1, max_size=14), budget=st.integers(4, 60))
def test_plans_keep_the_head_partition_the_text_and_cut_at_steps_where_a_step_fits(
    name: str, parts: Parts, budget: int, tokenizer_of: MakeTokenizer
) -> None:
    tokenizer = tokenizer_of(name)
    parts = [("other", "Go on. "), *parts, ("action", "path")]
    text, spans, start_token, chars = laid_out([(k, tokenizer.normalize(p)) for k, p in parts], tokenizer)
    n_head = int(start_token[next(n for n, span in enumerate(spans) if span[7] > 0)])
    if n_head > budget // 2:
        with pytest.raises(RecordError, match="more than half") as caught:
            plan_windows(text, spans, start_token, chars, budget)
        assert caught.value.reason == "head_too_long"
        return
    windows = plan_windows(text, spans, start_token, chars, budget)
    check_windows(text, spans, windows)
    first_token = {span[0]: int(token) for span, token in zip(spans, start_token, strict=True)}
    step_starts = {a[0] for before, a in pairwise(spans) if a[7] != before[7] or before[7] == 0}
    step_starts.add(next(span[0] for span in spans if span[7] > 0))
    ordered = sorted(step_starts)
    for window in windows:
        if window.start_char not in step_starts:  # only a step that does not fit alone may be cut inside
            start = max(s for s in ordered if s < window.start_char)
            end = min([first_token[s] for s in ordered if s > window.start_char], default=chars.size)
            assert end - first_token[start] > budget - n_head
            assert window.start_char in chars
    for before, after in pairwise(windows):  # a window is not cut where the next step would have fitted
        if before.start_char in step_starts and after.start_char in step_starts:
            end = min([first_token[s] for s in ordered if s > after.start_char], default=chars.size)
            assert end - first_token[before.start_char] > budget - n_head


def test_steps_are_packed_until_the_window_is_full(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_wordpiece")
    one_step = [("action", "read "), ("observation", "path ")]
    text, spans, start_token, chars = laid_out([("other", "file "), *one_step * 5], tokenizer)
    assert chars.size == 11
    windows = plan_windows(text, spans, start_token, chars, 5)
    assert [window.text for window in windows] == ["file read path read path "] * 2 + ["file read path "]
    assert [window.start_step for window in windows] == [1, 3, 5]


def test_a_head_of_half_the_budget_fits_and_one_token_more_is_a_reject(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_wordpiece")
    plan = laid_out([("other", "file file file "), ("action", "read read read read ")], tokenizer)
    assert len(plan_windows(*plan, 6)) == 2
    with pytest.raises(RecordError, match="have 3 tokens, more than half") as caught:
        plan_windows(*plan, 5)
    assert caught.value.reason == "head_too_long"


def test_truncating_keeps_the_first_tokens_and_their_spans(tokenizer_of: MakeTokenizer) -> None:
    plan = laid_out(
        [("other", "file "), ("reasoning", "read path "), ("action", "read ")], tokenizer_of("tiny_wordpiece")
    )
    text, spans, _, chars = plan
    window = truncate(text, spans, chars, 2)
    assert window.text == "file read "
    assert [span[:3] for span in window.spans] == [(0, 5, 0), (5, 10, 1)]
    assert (window.start_char, window.end_char) == (0, 10)


@pytest.mark.parametrize("text", ["", "abc", "é🙂x", "漢🙂"])
def test_every_byte_has_its_character(text: str) -> None:
    of_byte = [n for n, char in enumerate(text) for _ in char.encode()]
    assert token_characters(text, np.arange(len(of_byte))).tolist() == of_byte
