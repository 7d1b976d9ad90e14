"""Length in tokens."""

from __future__ import annotations

from deepcoder_hf.config import FiltersConfig
from deepcoder_hf.filters.facts import RowFacts


def check(facts: RowFacts, config: FiltersConfig) -> str | None:
    """Drop for `too_short` or `too_long`."""
    if config.min_tokens is not None and facts.n_tokens < config.min_tokens:
        return "too_short"
    if config.max_tokens is not None and facts.n_tokens > config.max_tokens:
        return "too_long"
    return None
