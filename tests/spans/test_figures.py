"""The figures that were reached stay reached: F1 of each type, false positives and exact records, and calibration.

Floors lie just below what was measured; raise them with the detector.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deepcoder_hf import evaluate_spans
from deepcoder_hf.spans.scores import SpanScores

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "shipped": ROOT / "tests" / "data" / "gold" / "gold.jsonl",
    "dev": ROOT.parent / "shared" / "data" / "gold_dev.jsonl",
}
CASES = [(gold, how) for gold in FILES for how in ("whole", "left out")]
FLOORS = {
    ("shipped", "whole"): {"reasoning": 0.985, "action": 0.988, "observation": 0.963, "exact_records": 0.81},
    ("shipped", "left out"): {"reasoning": 0.835, "action": 0.79, "observation": 0.79, "exact_records": 0.65},
    ("dev", "whole"): {"reasoning": 0.987, "action": 0.997, "observation": 0.992, "exact_records": 0.925},
    ("dev", "left out"): {"reasoning": 0.85, "action": 0.895, "observation": 0.95, "exact_records": 0.62},
}
MOST_FALSE = {
    ("shipped", "whole"): 0.003, ("shipped", "left out"): 0.025, ("dev", "whole"): 0.001, ("dev", "left out"): 0.011
}  # fmt: skip
"""Share of observation and other text that would be trained."""
MOST_ERROR, LEAST_COVERAGE = 0.05, 0.80
LEAST_PRECISION = {case: 0.97 if case == ("shipped", "left out") else 0.99 for case in CASES}
"""Of confidence: its calibration error; at 0.9 and over the share of trained characters, and of right spans."""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def measured(request: pytest.FixtureRequest) -> tuple[tuple[str, str], SpanScores]:
    gold, how = request.param
    if not FILES[gold].is_file():
        pytest.skip(f"{FILES[gold].name} is not part of a clone")
    records = [json.loads(line) for line in FILES[gold].read_text(encoding="utf-8").splitlines()]
    return request.param, evaluate_spans(records, leave_out="all" if how == "left out" else ())


def test_figures_are_at_least_what_was_reached(measured: tuple[tuple[str, str], SpanScores]) -> None:
    case, scores = measured
    macro = scores.macro
    assert {name: getattr(macro, name) for name, low in FLOORS[case].items() if getattr(macro, name) < low} == {}
    assert macro.false_positives is not None
    assert macro.false_positives <= MOST_FALSE[case]
    assert scores.failed == ()


def test_confidence_is_calibrated(measured: tuple[tuple[str, str], SpanScores]) -> None:
    calibration = measured[1].calibration
    high = calibration.thresholds[2]
    print(f"{measured[0]}: error {calibration.expected_error:.4f}, Brier {calibration.brier:.4f}, "
          f"at 0.9 right {high.span_precision:.4f}, coverage {high.coverage:.4f}")  # fmt: skip
    assert calibration.expected_error is not None
    assert calibration.expected_error <= MOST_ERROR
    assert high.confidence == 0.9
    assert high.span_precision is not None
    assert high.coverage is not None
    assert high.span_precision >= LEAST_PRECISION[measured[0]]
    assert high.coverage >= LEAST_COVERAGE
