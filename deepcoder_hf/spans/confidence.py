"""Confidence: how often what decided a span is right, measured, instead of how strong its evidence looked.

The figures are shares of spans that hold what they say (90 % of their labelled characters), rounded down, on texts of
conventions with rules and with their rules left out; `deepcoder-hf evaluate --calibration` measures them.
A marker of a known convention is right more often than its pattern says, since the state machine asks for context too.
"""

from __future__ import annotations

from deepcoder_hf.spans.evidence import COMMON
from deepcoder_hf.spans.types import TYPE_IDS

SURE, DOUBT = 0.9, 0.45
"""A pattern from here on needs no context; below the second nothing speaks for a type."""
CONTEXT = 0.899
"""What only the context shows: words without a marker, signs without a name. Measured 0.86 to 1.0."""
TRAINED = frozenset((TYPE_IDS["reasoning"], TYPE_IDS["action"], TYPE_IDS["answer"]))

RULES = {
    "fence": 0.94,
    "call_before_result": 0.95,
    "examples_in_prompt": 0.95,
    "before_call": CONTEXT,
    "turn_end": CONTEXT,
    "no_marker": CONTEXT,
    "after_call": 0.85,
}
"""Rules that are no patterns: measured 0.99, 0.99, 0.99, 0.95 to 0.99, 0.88 to 1.0, 0.83 to 1.0."""


def calibrated(pattern: str, kind: int, strength: float) -> float:
    """The confidence of a span.

    Args:
        pattern: What decided it.
        kind: Type id.
        strength: Confidence of the pattern, the role, or the posterior probability of the voice, in [0, 1].

    Returns:
        In [0, 1]; strengths of 1.0 (the source says it) and of unknown roles stay.
    """
    if strength >= 1.0 or (strength <= DOUBT and not pattern.startswith("voice_")):
        return strength
    if pattern.startswith("voice_"):
        return 0.5 + 0.45 * strength if pattern == "voice_world" else min(CONTEXT, 0.48 + 0.46 * strength)
    if pattern in RULES:
        return RULES[pattern] if strength > 0.5 else strength
    if pattern.startswith("inferred"):
        return _of_convention(pattern, kind, strength)
    if strength >= SURE:
        return (1.0 + strength) / 2  # closed or labelled: wrong half as often as its words alone say
    return 0.92 if strength >= 0.7 else 0.85


def _of_convention(pattern: str, kind: int, strength: float) -> float:
    """Markers that a text's own convention showed: "inferred:FAMILY:NAME"."""
    family = pattern.removeprefix("inferred:").rpartition(":")[0]
    if strength < 0.7:  # its end is not marked
        return 0.8
    if strength < SURE or family == "glyph":
        return CONTEXT
    if family in COMMON:
        return 0.95 if kind in TRAINED else CONTEXT
    return 0.96
