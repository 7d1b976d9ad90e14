"""Labelled texts, and a detector that knows its answers, for the tests of evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from deepcoder_hf import evaluate_spans
from deepcoder_hf.spans.scores import SpanScores
from deepcoder_hf.spans.types import Span, SpanType

REACT = "Thought: Look.\nAction: ls\nObservation: a.txt\n"
REACT_SPANS = [("reasoning", 9, 14), ("action", 23, 25), ("observation", 39, 44)]
LETTERS = {"R": "reasoning", "A": "action", "O": "observation", "F": "answer", "-": "other"}


def record(text: str, spans: Sequence[tuple[str, int, int]], **fields: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "text": text,
        "spans": [{"type": kind, "start": start, "end": end} for kind, start, end in spans],
        **fields,
    }


def runs(letters: str) -> list[tuple[str, int, int]]:
    """Equal letters in a row as (type, start, end); a space is nothing."""
    edges = [0, *(i for i in range(1, len(letters)) if letters[i] != letters[i - 1]), len(letters)]
    return [(LETTERS[letters[a]], a, b) for a, b in pairwise(edges) if b > a and letters[a] != " "]


def drawn(gold: str, **fields: Any) -> dict[str, Any]:
    """A record whose text says its own types."""
    return record(gold, runs(gold), **fields)


class Scripted:
    """A detector that knows its answers by text, and raises where it has none."""

    def __init__(self, found: dict[str, str], confidence: float = 0.9) -> None:
        self.found = {
            text: [
                Span(start, end, SpanType(kind), "s", confidence, f"by_{kind}") for kind, start, end in runs(letters)
            ]
            for text, letters in found.items()
        }

    def detect_batch(self, texts: Sequence[str]) -> list[list[Span]]:
        return [self.found[text] for text in texts]


def scored(found: dict[str, str], *records: dict[str, Any], **options: Any) -> SpanScores:
    return evaluate_spans(records, detector=Scripted(found, **options))


def write(path: Path, *records: Any) -> Path:
    """Records as JSONL."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


SEGMENTS = st.lists(st.tuples(st.sampled_from("RAOF- "), st.integers(1, 6)), min_size=1, max_size=12)


@st.composite
def labelled_pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Types of each character in gold (a space: none), and as found."""
    gold, found = ("".join(letter * n for letter, n in draw(SEGMENTS)) for _ in range(2))
    n = min(len(gold), len(found))
    return gold[:n], found[:n]


def numbered(number: int, text: str, spans: list[tuple[str, int, int]], **fields: Any) -> dict[str, Any]:
    """A record with the id `id-<number>`."""
    return record(text, spans, id=f"id-{number}", **fields)


THINK = "<think>\nAdd them.\n</think>\nThe sum is 5."
THINK_SPANS = [("reasoning", 8, 17), ("other", 27, 40)]
WRONG_SPANS = [("reasoning", 9, 14), ("reasoning", 23, 25), ("observation", 39, 44)]
RECORDS = [
    numbered(0, REACT, REACT_SPANS, style="react_plain", source="a", lang="en", rendering="native"),
    numbered(1, REACT * 2, REACT_SPANS, style="react_plain", source="b", lang="de", rendering="native"),
    numbered(2, THINK, THINK_SPANS, style="xml_tags", source="a", lang="en", rendering="rendered"),
    numbered(3, REACT, WRONG_SPANS, style="house_react", source="a", lang="en", rendering="rendered"),
]
"""Three in which the detector is right, and one in whose labels two characters are wrong."""
