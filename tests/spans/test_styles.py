"""What patterns and rules say of the conventions they are for is true, on every labelled text at hand."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path

import pytest

from deepcoder_hf.config import SpansConfig
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.library import builtin_patterns
from deepcoder_hf.spans.rules import RULES
from deepcoder_hf.spans.types import Span

ROOT = Path(__file__).parents[2]
GOLD = {
    "shipped": ROOT / "tests" / "data" / "gold" / "gold.jsonl",
    "shared": ROOT.parent / "shared" / "data" / "gold_dev.jsonl",
}
PATTERNS = {pattern.name: pattern for pattern in builtin_patterns()}
DECIDES = 0.2
"""A pattern that decides spans in at least this share of a convention's texts belongs to it; below, texts quote it."""
FEW = 3
"""In fewer texts than this it is chance, whatever their share."""


@lru_cache(maxsize=2)
def texts_by_style(name: str) -> dict[str, list[str]]:
    if not GOLD[name].exists():
        pytest.skip(f"{GOLD[name].name} is not here")
    texts: dict[str, list[str]] = defaultdict(list)
    for line in GOLD[name].read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        texts[record["style"]].append(record["text"])
    return texts


@lru_cache(maxsize=2)
def spans_by_style(name: str) -> dict[str, list[list[Span]]]:
    detector = SpanDetector()
    return {style: detector.detect_batch(texts) for style, texts in texts_by_style(name).items()}


@pytest.mark.parametrize("gold", GOLD)
def test_a_pattern_that_decides_texts_of_a_convention_declares_it(gold: str) -> None:
    missing = []
    for style, found in spans_by_style(gold).items():
        deciding = Counter(name for spans in found for name in {span.pattern for span in spans})
        missing += [
            f"{name}: {style} ({count} of {len(found)} texts)"
            for name, count in deciding.items()
            if name in PATTERNS and count >= max(FEW, DECIDES * len(found)) and style not in PATTERNS[name].styles
        ]
    assert missing == []


@pytest.mark.parametrize("gold", GOLD)
def test_leaving_a_convention_out_changes_its_texts(gold: str) -> None:
    declared = {style for entry in (*PATTERNS.values(), *RULES.values()) for style in entry.styles}
    unchanged = []
    for style, texts in texts_by_style(gold).items():
        if style in declared:
            rest = SpanDetector(SpansConfig(leave_out=(style,)))
            if rest.detect_batch(texts) == spans_by_style(gold)[style]:
                unchanged.append(style)
    assert unchanged == []
