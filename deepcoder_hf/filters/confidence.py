"""Mean confidence of the spans."""

from __future__ import annotations

from deepcoder_hf.config import FiltersConfig
from deepcoder_hf.filters.facts import RowFacts


def check(facts: RowFacts, config: FiltersConfig) -> str | None:
    """Drop for `low_confidence`."""
    low = config.min_confidence is not None and facts.mean_confidence < config.min_confidence
    return "low_confidence" if low else None
