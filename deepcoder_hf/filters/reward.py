"""Reward that the source states."""

from __future__ import annotations

from deepcoder_hf.config import FiltersConfig
from deepcoder_hf.filters.facts import RowFacts


def check(facts: RowFacts, config: FiltersConfig) -> str | None:
    """Drop for `no_reward` or `low_reward`."""
    if config.min_reward is None:
        return None
    if facts.reward is None:
        return "no_reward"
    return "low_reward" if facts.reward < config.min_reward else None
