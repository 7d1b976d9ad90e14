"""Segments of a text -> spans: numbered by step, in characters, and OTHER where the confidence is too low."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from deepcoder_hf.spans.types import TYPE_IDS

SpanTuple = tuple[int, int, int, str, float, str, str, int]
"""start_char, end_char, type id, subtype, confidence, pattern, origin, step_id: the fields of Span, type as id."""

Segment = tuple[int, int, str, float, str]
"""Start byte, type id, subtype, confidence, pattern; a segment ends where the next begins."""

AGENT_TYPES = (TYPE_IDS["reasoning"], TYPE_IDS["action"], TYPE_IDS["answer"])


def finish(
    segments: Sequence[Segment], start: int, end: int, characters: npt.NDArray[np.int64] | None, min_confidence: float
) -> list[SpanTuple]:
    """Turn the segments of one text into spans.

    Args:
        segments: Segments in order, by byte in the blob; those of no length are left out.
        start: Byte where the text begins in the blob.
        end: Byte where it ends.
        characters: Where each character of the text begins, in bytes, or None where it is ASCII.
        min_confidence: Spans below it become OTHER.

    Returns:
        Spans that partition the text, step ids counted from the first agent span.
    """
    edges = [segment[0] - start for segment in segments]
    edges.append(end - start)
    if characters is not None:
        edges = np.searchsorted(characters, edges).tolist()
    spans: list[SpanTuple] = []
    for index, (_, kind, subtype, confidence, pattern) in enumerate(segments):
        first, last = edges[index], edges[index + 1]
        if last <= first:
            continue
        if confidence < min_confidence and kind:
            kind, subtype = 0, "uncertain"
        spans.append((first, last, kind, subtype, confidence, pattern, "pattern", 0))
    return number_steps(spans)


def number_steps(spans: Iterable[SpanTuple]) -> list[SpanTuple]:
    """Give each span its step: a step begins where the agent speaks after an observation, a user or the start.

    Spans before the first agent span are step 0: the system prompt and the task, which windows keep.
    """
    numbered: list[SpanTuple] = []
    step, agent_spoke = 0, False
    for span in spans:
        if span[2] in AGENT_TYPES:
            if not agent_spoke:
                step += 1
            agent_spoke = True
        elif span[2] == TYPE_IDS["observation"] or span[3] in ("user", "system"):
            agent_spoke = False
        numbered.append((*span[:7], step))
    return numbered
