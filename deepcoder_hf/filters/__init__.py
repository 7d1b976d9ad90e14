"""Filters: a trajectory's figures -> keep, or the reason code of the drop.

Add one: a module here, and its `check` in `FILTERS`.
"""

from __future__ import annotations

from deepcoder_hf.config import FiltersConfig
from deepcoder_hf.filters import confidence, length, ratios, reward
from deepcoder_hf.filters.facts import Filter, RowFacts

FILTERS: tuple[Filter, ...] = (ratios.check, confidence.check, length.check, reward.check)
"""Filters in the order in which they are asked; the first reason counts."""


def drop_reason(facts: RowFacts, config: FiltersConfig) -> str | None:
    """The reason code of the first filter that drops a trajectory, or None."""
    return next((reason for check in FILTERS if (reason := check(facts, config)) is not None), None)


def any_active(config: FiltersConfig) -> bool:
    """Whether a configuration turns a filter on (exact duplicates aside)."""
    return any(value is not None for name, value in config if name != "drop_duplicates")
