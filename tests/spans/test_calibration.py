"""Calibration: hand-computed bins, errors and thresholds, and what holds for any spans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_texts import drawn, scored

from deepcoder_hf.spans.calibration import SpanOutcomes, calibrate, join_outcomes


def outcomes(*spans: tuple[float, int, int, int], origin: bool = True) -> SpanOutcomes:
    """(confidence, payload, right, type id) of each span."""
    confidence, n_payload, n_right, kinds = zip(*spans, strict=True)
    return SpanOutcomes(
        np.array(confidence, np.float64), np.array(n_payload), np.array(n_right), np.array(kinds, np.int8),
        np.full(len(spans), origin), np.array(["p"] * len(spans), object),
    )  # fmt: skip


def test_calibration_of_a_small_case_is_that_computed_by_hand() -> None:
    parts = outcomes((0.95, 10, 9, 1), (0.95, 10, 8, 2), (0.55, 4, 4, 1), (1.0, 6, 6, 0), (0.1, 5, 0, 3))
    found = calibrate(join_outcomes([parts, outcomes((0.9, 9, 0, 1), origin=False)]), 40)
    assert found.n_spans == 5
    assert [part.n_spans for part in found.bins] == [0, 1, 0, 0, 0, 1, 0, 0, 0, 3]
    last = found.bins[9]
    assert (last.low, last.high, last.right_ratio) == (0.9, 1.0, pytest.approx(2 / 3))
    assert last.mean_confidence == pytest.approx(2.9 / 3)
    assert found.bins[0].mean_confidence is None
    # bins: |0.1 - 0| + |0.55 - 1| + 3 * |2.9 / 3 - 2 / 3|, over 5 spans
    assert found.expected_error == pytest.approx((0.1 + 0.45 + 0.9) / 5)
    assert found.brier == pytest.approx((0.05**2 + 0.95**2 + 0.45**2 + 0 + 0.1**2) / 5)
    low, _, high = found.thresholds
    assert (low.confidence, low.n_spans, low.span_precision) == (0.5, 4, pytest.approx(3 / 4))
    assert (low.precision, low.recall, low.coverage) == (pytest.approx(21 / 24), pytest.approx(21 / 40), 1.0)
    assert (high.confidence, high.n_spans, high.span_precision) == (0.9, 3, pytest.approx(2 / 3))
    assert high.precision == pytest.approx(17 / 20)
    assert (high.recall, high.coverage) == (pytest.approx(17 / 40), pytest.approx(20 / 24))


def test_calibration_counts_spans_with_payload_and_recall_counts_what_was_never_found() -> None:
    gold = "RRRRRRRRRRAAAA  "
    found = scored({gold: "RRRRRRRRRR----AA"}, drawn(gold)).calibration
    assert found.n_spans == 2  # the last span holds no payload
    top = found.thresholds[2]
    assert (top.n_spans, top.span_precision) == (2, 0.5)
    assert (top.precision, top.recall, top.coverage) == (1.0, pytest.approx(10 / 14), 1.0)


def test_a_confidence_that_is_the_share_of_right_spans_has_no_error() -> None:
    spans = [(0.75, 4, 4, 1)] * 3 + [(0.75, 4, 0, 1)]
    assert calibrate(outcomes(*spans), 16).expected_error == pytest.approx(0)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=40))
def test_bins_hold_every_span_once_and_errors_are_shares(spans: list[tuple[float, int, int]]) -> None:
    rows = [(confidence, n, min(n, right), 1) for confidence, n, right in spans]
    found = calibrate(outcomes(*rows), sum(row[1] for row in rows))
    assert sum(part.n_spans for part in found.bins) == len(rows)
    for part in found.bins:
        inside = [row[0] for row in rows if part.low <= row[0] < part.high or (part.high == 1 and row[0] == 1)]
        assert abs(part.n_spans - len(inside)) <= sum(abs(row[0] * 10 - round(row[0] * 10)) < 1e-9 for row in rows)
    assert found.expected_error is not None
    assert found.brier is not None
    assert 0 <= found.expected_error <= 1
    assert 0 <= found.brier <= 1
    assert all(a.n_spans >= b.n_spans for a, b in pairwise(found.thresholds))


def test_patterns_are_scored_one_by_one_with_the_most_wrong_first() -> None:
    gold = "RRRRRRRRRRAAAA"
    first, second = scored({gold: "RRRRRRRRRRROOO"}, drawn(gold), confidence=0.7).patterns()
    assert (first.pattern, first.span_type, first.n_payload, first.n_wrong) == ("by_observation", "observation", 3, 3)
    assert (first.right_ratio, first.mean_confidence) == (0.0, pytest.approx(0.7))
    assert (second.pattern, second.n_spans, second.right_ratio, second.n_wrong) == ("by_reasoning", 1, 1.0, 1)
