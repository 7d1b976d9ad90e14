"""TokenSpan and ProcessedTrajectory: one processed trajectory as Python objects, for people and small programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.spans.types import SpanType


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A span in tokens."""

    span_type: SpanType
    start_token: int
    """First token, special tokens counted."""
    end_token: int
    """Token after the last one."""
    text: str
    """The characters of the span."""
    confidence: float
    """How sure the type is, in [0, 1]."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """start_char, end_char, subtype, origin, step_id and pattern."""


@dataclass(frozen=True, slots=True)
class ProcessedTrajectory:
    """One training row; the lists have the same length T."""

    trajectory_id: str
    input_ids: list[int]
    attention_mask: list[int]
    reasoning_mask: list[int]
    action_mask: list[int]
    spans: list[TokenSpan]
    original_text: str
    """The source text; the tokenised text where the row stores no other."""
    metadata: dict[str, Any]
    token_types: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    text: str = ""
    """Exactly what was tokenised."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ProcessedTrajectory:
        """Build from a row of a SAD dataset, as `dataset[i]` gives it.

        Raises:
            KeyError: The row lacks a column of `SAD_FEATURES`.
        """
        text = row["text"]
        spans = [
            TokenSpan(
                span_type=SpanType(span["span_type"]),
                start_token=span["start_token"],
                end_token=span["end_token"],
                text=text[span["start_char"] : span["end_char"]],
                confidence=span["confidence"],
                metadata={
                    key: span[key] for key in ("start_char", "end_char", "subtype", "origin", "step_id", "pattern")
                },
            )
            for span in row["spans"]
        ]
        return cls(
            trajectory_id=row["trajectory_id"],
            input_ids=list(row["input_ids"]),
            attention_mask=list(row["attention_mask"]),
            reasoning_mask=list(row["reasoning_mask"]),
            action_mask=list(row["action_mask"]),
            spans=spans,
            original_text=text if row["original_text"] is None else row["original_text"],
            metadata=json.loads(row["metadata"]) | {"quality": dict(row["quality"])},
            token_types=list(row["token_types"]),
            labels=list(row["labels"]),
            text=text,
        )
