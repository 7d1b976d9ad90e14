"""Span and SpanType: what a stretch of text is. Spans say what text is; masks (tokens/masks.py) say what is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from deepcoder_hf.errors import SpanError

Origin = Literal["structure", "template", "pattern"]


class SpanType(StrEnum):
    """The five types; `TYPE_IDS` gives their number in the column `token_types`."""

    OTHER = "other"
    REASONING = "reasoning"
    ACTION = "action"
    OBSERVATION = "observation"
    ANSWER = "answer"


TYPES: tuple[SpanType, ...] = (
    SpanType.OTHER,
    SpanType.REASONING,
    SpanType.ACTION,
    SpanType.OBSERVATION,
    SpanType.ANSWER,
)
"""Span types in the order of their ids in `token_types`."""

TYPE_IDS: dict[str, int] = {str(kind): i for i, kind in enumerate(TYPES)}
"""Name of a span type to its id in `token_types`: other 0, reasoning 1, action 2, observation 3, answer 4."""

SUBTYPES = ("preamble", "untrained", "summary", "header", "empty_think", "stop", "turn_end")
"""Subtypes that decide, with the type, how a span is trained (tokens/masks.py)."""
PREAMBLE, NEVER, SUMMARY, HEADER, EMPTY_THINK, STOP, TURN_END = range(1, len(SUBTYPES) + 1)
"""Their codes; other subtypes are code 0."""


@dataclass(frozen=True, slots=True)
class Span:
    """A typed stretch of text, half-open, in characters; it includes its own markers and label."""

    start_char: int
    end_char: int
    span_type: SpanType
    subtype: str
    """What kind of its type: think, tool_call, code, preamble, message, user, system, header, ..."""
    confidence: float
    """How sure the type is, in [0, 1]; 1.0 where the structure of the source says it."""
    pattern: str = ""
    """Name of the pattern or rule that decided; empty for spans from structure."""
    origin: Origin = "pattern"
    step_id: int = 0
    """Number of the step; 0 is what stands before the first agent turn (system prompt and task)."""


def check_partition(spans: Sequence[Span], n_chars: int) -> None:
    """Make sure that spans are sorted, touch each other and cover the whole text.

    Args:
        spans: Spans in order.
        n_chars: Length of the text in characters; an empty text has no spans.

    Raises:
        SpanError: There is a gap, an overlap, an empty span, or the ends do not match the text.
    """
    position = 0
    for span in spans:
        if span.start_char != position or span.end_char <= span.start_char:
            raise SpanError(
                f"spans must partition the text: expected a span that starts at character {position}, got "
                f"{span.start_char}-{span.end_char} ({span.span_type}, {span.pattern or span.origin})"
            )
        position = span.end_char
    if position != n_chars:
        raise SpanError(f"spans must cover the whole text: they end at character {position} of {n_chars}")
