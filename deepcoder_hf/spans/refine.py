"""Refine what the state machine wrote: divide segments whose end or speaker no marker tells among those who may speak.

In a text with sure headers of turns (ChatML and the like) nothing is open. In one whose agent labels its words
("Thought:", "Action:"), what it says without a label is rare.
"""

from __future__ import annotations

from deepcoder_hf.spans.gaps import KINDS, NAMES, SUBTYPES, Left, Right, divide
from deepcoder_hf.spans.resolve import Segment
from deepcoder_hf.spans.segments import ACTION, ANSWER, OBSERVATION, OTHER, REASONING, Segments
from deepcoder_hf.spans.segments import NAMES as LOOSE_NAMES
from deepcoder_hf.spans.types import TYPE_IDS

LOOSE = frozenset(LOOSE_NAMES.values())


def refine(out: Segments, end: int) -> list[Segment]:
    """Divide the gaps of a whole text.

    Args:
        out: The segments that the machine wrote.
        end: Byte where the text ends.

    Returns:
        Segments in order; they cover the same text.
    """
    items = out.items
    if "strong" in out.turns or not any(item[1] in (REASONING, ACTION, OBSERVATION) for item in items):
        return items
    refined: list[Segment] = []
    for index, item in enumerate(items):
        stop = items[index + 1][0] if index + 1 < len(items) else end
        left = _left(out, index)
        if left is None:
            refined.append(item)
        else:
            refined += _divided(out, index, left, _right(out, index), stop)
    return refined


def _left(out: Segments, index: int) -> Left | None:
    """What a gap begins with; None where the segment is no gap."""
    _, kind, _, _, pattern = out.items[index]
    if index in out.open:
        if kind == OBSERVATION:
            return None if out.labelled & {"reasoning", "action"} else "result"
        return "user" if kind == OTHER and "assistant" not in out.turns else None
    if pattern not in LOOSE or index in out.headed:
        return None
    if not index:
        return None if "reasoning" in out.labelled else "start"
    before = out.items[index - 1][1]
    if before == ACTION:
        return "agent" if any(o[1] == OBSERVATION and o[4] not in LOOSE for o in out.items) else "call"
    return "agent"


def _right(out: Segments, index: int) -> Right:
    if index + 1 == len(out.items):
        return "end"
    kind = out.items[index + 1][1]
    if kind == OTHER:
        return "turn"
    return "call" if kind == ACTION else "result" if kind == OBSERVATION else "agent"


def _divided(out: Segments, index: int, left: Left, right: Right, stop: int) -> list[Segment]:
    start, kind, subtype, confidence, pattern = out.items[index]
    words = out.ahead.skip_space(out.open.get(index, start))
    if words >= stop:
        return [out.items[index]]
    parts = divide(out.ahead.blob, words, stop, left, right)
    segments: list[Segment] = []
    for part in parts:
        typed = (TYPE_IDS[KINDS[part.voice]], SUBTYPES[part.voice], part.confidence, NAMES[part.voice])
        segments.append((part.start, *typed))
    if index in out.open:  # the first part has a marker: it says what it is
        segments[0] = (start, kind, subtype, confidence, pattern)
    else:
        segments[0] = (start, *segments[0][1:])
    return segments
