"""Calibration: whether the confidence of a detected span is the share of such spans that are right.

It is measured over the spans of origin `pattern` that hold gold payload characters, whatever their type; a predicted
answer is compared as other, as gold counts it. A span is right where at least 90 % of its payload characters have its
type. Each span counts once, however long; precision and recall of reasoning and action are by payload characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deepcoder_hf.spans.types import TYPE_IDS, TYPES

N_BINS = 10
"""Bins of equal width: [0, 0.1), [0.1, 0.2), ..., [0.9, 1]."""
THRESHOLDS = (0.5, 0.7, 0.9)
"""Least confidences at which precision and recall are given."""
TRAINED_IDS = (TYPE_IDS["reasoning"], TYPE_IDS["action"])


@dataclass(frozen=True, slots=True, eq=False)
class SpanOutcomes:
    """Detected spans that hold payload, as columns of length S."""

    confidence: npt.NDArray[np.float64]
    n_payload: npt.NDArray[np.int64]
    """Gold payload characters in the span; at least 1."""
    n_right: npt.NDArray[np.int64]
    """Those of them that have the span's type."""
    type_id: npt.NDArray[np.int8]
    """The detected type, an answer as 0 (other)."""
    from_pattern: npt.NDArray[np.bool_]
    """Whether its origin is `pattern`."""
    pattern: npt.NDArray[np.object_]
    """Names of the patterns or rules that decided."""

    def right(self) -> npt.NDArray[np.bool_]:
        """Whether at least 90 % of a span's payload has its type."""
        return np.asarray(10 * self.n_right >= 9 * self.n_payload)


@dataclass(frozen=True, slots=True)
class Bin:
    """Spans of one range of confidence."""

    low: float
    high: float
    n_spans: int
    mean_confidence: float | None
    """None for a bin without spans."""
    right_ratio: float | None
    """Share of its spans that are right."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is left where spans below a confidence are not trusted."""

    confidence: float
    n_spans: int
    """Spans of any type at this confidence or over."""
    span_precision: float | None
    """Share of these spans that are right."""
    precision: float | None
    """Of the payload characters that they call reasoning or action: the share that has that type."""
    recall: float | None
    """Of the gold characters of reasoning and action: the share that they find, with the right type."""
    coverage: float | None
    """Of the payload characters that any span calls reasoning or action: the share that lies in these spans."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against truth."""

    n_spans: int
    expected_error: float | None
    """Expected calibration error: the mean of |mean confidence - share right| over the bins, weighted by spans."""
    brier: float | None
    """Mean of (confidence - right)^2 over spans."""
    bins: tuple[Bin, ...]
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True, slots=True)
class PatternScore:
    """How right the spans of one pattern or rule are."""

    pattern: str
    span_type: str
    """The detected type; answers stand under other."""
    n_spans: int
    right_ratio: float
    """Share of its spans that are right: what its confidence should be."""
    mean_confidence: float
    n_payload: int
    n_wrong: int
    """Payload characters in its spans that are of another type."""


def join_outcomes(parts: Sequence[SpanOutcomes]) -> SpanOutcomes:
    """The outcomes of many records as one."""
    empty = SpanOutcomes(*(np.empty(0, kind) for kind in (np.float64, np.int64, np.int64, np.int8, np.bool_, object)))
    names = SpanOutcomes.__slots__
    return SpanOutcomes(*(np.concatenate([getattr(part, name) for part in (empty, *parts)]) for name in names))


def calibrate(outcomes: SpanOutcomes, n_gold_trained: int) -> Calibration:
    """Measure the confidence of spans of origin `pattern`.

    Args:
        outcomes: Detected spans that hold payload.
        n_gold_trained: Gold payload characters of reasoning and action, found or not.
    """
    chosen = outcomes.from_pattern
    confidence, right = outcomes.confidence[chosen], outcomes.right()[chosen]
    number = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    n_spans, sum_confidence, sum_right = (
        np.bincount(number, weights, N_BINS) for weights in (None, confidence, right.astype(np.float64))
    )
    bins = tuple(
        Bin(n / N_BINS, (n + 1) / N_BINS, int(n_spans[n]), _ratio(sum_confidence[n], n_spans[n]),
            _ratio(sum_right[n], n_spans[n]))
        for n in range(N_BINS)
    )  # fmt: skip
    error = _ratio(np.abs(sum_confidence - sum_right).sum(), len(confidence))
    brier = _ratio(((confidence - right) ** 2).sum(), len(confidence))
    thresholds = tuple(_threshold(outcomes, least, n_gold_trained) for least in THRESHOLDS)
    return Calibration(len(confidence), error, brier, bins, thresholds)


def score_patterns(outcomes: SpanOutcomes) -> tuple[PatternScore, ...]:
    """Score each pattern or rule by itself, those with most wrong characters first."""
    right = outcomes.right()
    members: dict[tuple[str, int], list[int]] = {}
    for index, key in enumerate(zip(outcomes.pattern.tolist(), outcomes.type_id.tolist(), strict=True)):
        members.setdefault(key, []).append(index)
    scores = [
        PatternScore(
            pattern=pattern,
            span_type=TYPES[kind].value,
            n_spans=len(at),
            right_ratio=float(right[at].mean()),
            mean_confidence=float(outcomes.confidence[at].mean()),
            n_payload=int(outcomes.n_payload[at].sum()),
            n_wrong=int((outcomes.n_payload[at] - outcomes.n_right[at]).sum()),
        )
        for (pattern, kind), at in members.items()
    ]
    return tuple(sorted(scores, key=lambda score: (-score.n_wrong, -score.n_payload, score.pattern, score.span_type)))


def _threshold(outcomes: SpanOutcomes, least: float, n_gold_trained: int) -> Threshold:
    trusted = outcomes.from_pattern & (outcomes.confidence >= least)
    trained = outcomes.from_pattern & np.isin(outcomes.type_id, TRAINED_IDS)
    n_trained, n_right = outcomes.n_payload[trusted & trained].sum(), outcomes.n_right[trusted & trained].sum()
    return Threshold(
        confidence=least,
        n_spans=int(trusted.sum()),
        span_precision=_ratio(outcomes.right()[trusted].sum(), trusted.sum()),
        precision=_ratio(n_right, n_trained),
        recall=_ratio(n_right, n_gold_trained),
        coverage=_ratio(n_trained, outcomes.n_payload[trained].sum()),
    )


def _ratio(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None
