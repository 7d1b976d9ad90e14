"""Shares of reasoning, action and other tokens."""

from __future__ import annotations

from deepcoder_hf.config import FiltersConfig
from deepcoder_hf.filters.facts import RowFacts


def check(facts: RowFacts, config: FiltersConfig) -> str | None:
    """Drop for `low_reasoning_ratio`, `low_action_ratio` or `high_other_ratio`."""
    if config.min_reasoning_ratio is not None and facts.reasoning_ratio < config.min_reasoning_ratio:
        return "low_reasoning_ratio"
    if config.min_action_ratio is not None and facts.action_ratio < config.min_action_ratio:
        return "low_action_ratio"
    if config.max_other_ratio is not None and facts.other_ratio > config.max_other_ratio:
        return "high_other_ratio"
    return None
