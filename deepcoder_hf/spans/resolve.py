"""Segments of a text -> spans: numbered by step, in characters, and OTHER where the confidence is too low."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from deepcoder_hf.spans.confidence import calibrated
from deepcoder_hf.spans.types import TYPE_IDS

SpanTuple = tuple[int, int, int, str, float, str, str, int]
"""start_char, end_char, type id, subtype, confidence, pattern, origin, step_id: the fields of Span, type as id."""

Segment = tuple[int, int, str, float, str]
"""Start byte, type id, subtype, confidence, pattern; a segment ends where the next begins."""

OBSERVATION = TYPE_IDS["observation"]
AGENT_TYPES = (TYPE_IDS["reasoning"], TYPE_IDS["action"], TYPE_IDS["answer"])


def finish(
    segments: Sequence[Segment],
    start: int,
    end: int,
    characters: npt.NDArray[np.int64] | None,
    min_confidence: float,
    own: Set[str] = frozenset(),
) -> list[SpanTuple]:
    """Turn the segments of one text into spans.

    Args:
        segments: Segments in order, by byte in the blob; those of no length are left out.
        start: Byte where the text begins in the blob.
        end: Byte where it ends.
        characters: Where each character of the text begins, in bytes, or None where it is ASCII.
        min_confidence: Spans below it become OTHER.
        own: Names of the user's own patterns, whose confidence stays as the user gives it.

    Returns:
        Spans that partition the text, step ids counted from the first agent span.
    """
    edges = [segment[0] - start for segment in segments]
    edges.append(end - start)
    if characters is not None:
        edges = np.searchsorted(characters, edges).tolist()
    spans: list[SpanTuple] = []
    step, agent_spoke = 0, False
    for (first, last), (_, kind, subtype, confidence, pattern) in zip(pairwise(edges), segments, strict=True):
        if last <= first:
            continue
        if pattern not in own:
            confidence = calibrated(pattern, kind, confidence)
        if confidence < min_confidence and kind:
            kind, subtype = 0, "uncertain"
        step, agent_spoke = next_step(step, agent_spoke, kind, subtype)
        spans.append((first, last, kind, subtype, confidence, pattern, "pattern", step))
    return _with_their_turn(spans)


def number_steps(spans: Iterable[SpanTuple]) -> list[SpanTuple]:
    """Give each span its step: a step begins where the agent speaks after an observation, a user or the start.

    Spans before the first agent span are step 0: the system prompt and the task, which windows keep.
    """
    numbered: list[SpanTuple] = []
    step, agent_spoke = 0, False
    for span in spans:
        step, agent_spoke = next_step(step, agent_spoke, span[2], span[3])
        numbered.append((*span[:7], step))
    return _with_their_turn(numbered)


def _with_their_turn(spans: list[SpanTuple]) -> list[SpanTuple]:
    """Give headers the step of what they open, so that no window is cut between the two."""
    for index in range(len(spans) - 2, -1, -1):
        span = spans[index]
        if span[3] == "header" and span[2] == 0 and span[7] != spans[index + 1][7]:
            spans[index] = (*span[:7], spans[index + 1][7])
    return spans


def next_step(step: int, agent_spoke: bool, kind: int, subtype: str) -> tuple[int, bool]:
    """The step of the next span, and whether the agent has spoken in it.

    Args:
        step: The step of the span before.
        agent_spoke: Whether the agent has spoken in it.
        kind: Type id of the next span.
        subtype: Its subtype.
    """
    if kind in AGENT_TYPES:
        return (step, True) if agent_spoke else (step + 1, True)
    return step, agent_spoke and kind != OBSERVATION and subtype not in ("user", "system")
