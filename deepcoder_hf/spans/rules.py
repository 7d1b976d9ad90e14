"""The rules of the detector that are no patterns, each with the conventions that it was written for.

A rule about evidence in general names no convention. `spans.leave_out` switches off all rules, and all patterns, that name
one of its conventions, so that `deepcoder-hf evaluate --leave-out` measures what the rest makes of unseen text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the detector."""

    styles: tuple[str, ...]
    """The conventions that it was written for; empty for one about evidence in general."""
    says: str
    """What it does."""


RULES: dict[str, Rule] = {}


def enabled_rules(leave_out: Sequence[str]) -> frozenset[str]:
    """Names of the rules that remain when conventions are left out."""
    return frozenset(name for name, rule in RULES.items() if not set(rule.styles) & set(leave_out))
