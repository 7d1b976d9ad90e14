"""Real trajectories, flattened, give the types that their structure says; floors lie just below what was reached."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from real_sources import SOURCES, texts

from deepcoder_hf.spans.evaluate import evaluate_spans

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "trajectories"
CASES = [(source, layout) for source, (_, layouts) in SOURCES.items() for layout in layouts]
FLOORS: dict[tuple[str, str], tuple[float | None, float, float | None]] = {
    ("fireact", "bare"): (0.98, 0.98, 0.98),
    ("fireact", "chatml"): (0.98, 0.98, 0.98),
    ("fireact", "labels"): (0.98, 0.98, 0.98),
    ("webdancer", "bare"): (0.99, 0.98, 0.98),
    ("webdancer", "chatml"): (0.98, 0.98, 0.98),
    ("webdancer", "labels"): (0.93, 0.98, 0.94),
    ("adp-sft-openhands", "bare"): (0.67, 0.94, 0.95),
    ("adp-sft-openhands", "chatml"): (0.97, 0.98, 0.98),
    ("adp-sft-openhands", "labels"): (0.92, 0.94, 0.96),
    ("adp-sft-sweagent", "bare"): (0.97, 0.98, 0.96),
    ("adp-sft-sweagent", "chatml"): (0.98, 0.98, 0.98),
    ("adp-sft-sweagent", "labels"): (0.96, 0.96, 0.97),
    ("adp-sft-agentlab", "bare"): (None, 0.16, None),
    ("adp-sft-agentlab", "chatml"): (None, 0.98, None),
    ("adp-sft-agentlab", "labels"): (None, 0.98, None),
    ("react-notebooks", "bare"): (0.98, 0.98, 0.98),
    ("mint-codeact", "bare"): (0.98, 0.98, 0.98),
    ("harmony", "bare"): (0.98, 0.98, 0.98),
}
"""F1 of reasoning, action and observation by source and layout; None where a source has none of the type."""


@pytest.mark.parametrize(("source", "layout"), CASES, ids=[f"{source}-{layout}" for source, layout in CASES])
def test_flattened_trajectories_get_the_types_of_their_structure(source: str, layout: str) -> None:
    if not (FOLDER / source).is_dir():
        pytest.skip(f"{source} is not part of a clone")
    figures = evaluate_spans(texts(FOLDER, source, layout)).macro
    reached = (figures.reasoning, figures.action, figures.observation)
    floors = FLOORS[source, layout]
    low = [(got, floor) for got, floor in zip(reached, floors, strict=True) if floor is not None and (got or 0) < floor]
    assert low == [], reached


@pytest.mark.parametrize("source", SOURCES)
def test_the_structure_gives_spans_that_hold_words(source: str) -> None:
    if not (FOLDER / source).is_dir():
        pytest.skip(f"{source} is not part of a clone")
    records = texts(FOLDER, source, SOURCES[source][1][0])
    kinds = Counter(span["type"] for record in records for span in record["spans"])
    assert len(records) >= 15
    assert kinds["action"] > 0
    assert kinds["other"] > 0
    for record in records:
        for span in record["spans"]:
            words = record["text"][span["start"] : span["end"]]
            assert words == words.strip() != ""
