"""RowFacts: what a filter may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from deepcoder_hf.config import FiltersConfig


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Figures of one whole trajectory, before windows are cut. Ratios are shares of its tokens, by span type."""

    n_tokens: int
    """Length, special tokens included."""
    reasoning_ratio: float
    action_ratio: float
    other_ratio: float
    mean_confidence: float
    """Mean span confidence, weighted by tokens."""
    reward: float | None
    """Reward that the source states."""


class Filter(Protocol):
    """A quality filter: a module-level function."""

    def __call__(self, facts: RowFacts, config: FiltersConfig) -> str | None:
        """Return None to keep the trajectory, else the reason code of the drop."""
