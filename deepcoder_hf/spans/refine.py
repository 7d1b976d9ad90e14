"""Refine what the state machine wrote: divide segments whose end or speaker no marker tells among those who may speak.

In a text with sure headers of turns (ChatML and the like) nothing is open. In one whose agent labels its words
("Thought:", "Action:"), what it says without a label is rare.
"""

from __future__ import annotations

import re
from itertools import islice

from deepcoder_hf.spans.calls import callness
from deepcoder_hf.spans.gaps import KINDS, NAMES, SUBTYPES, Left, Right, divide
from deepcoder_hf.spans.resolve import Segment
from deepcoder_hf.spans.segments import ACTION, ANSWER, OBSERVATION, OTHER, REASONING, Segments
from deepcoder_hf.spans.segments import LOOSE as LOOSE_CONFIDENCE
from deepcoder_hf.spans.segments import NAMES as LOOSE_NAMES
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.spans.voice import WORLD

LOOSE = frozenset(LOOSE_NAMES.values())
UNMARKED_CALL = 0.8
"""Confidence of a call that only its looks and the result after it show."""
SHORT_RESULT = 4
"""Empty lines of a result from which on it is a long one."""
LIKE_A_CALL = 0.5
MOST_LINES, LONGEST_CALL = 30, 4000
"""Lines and bytes at the end of loose text in which a call is looked for."""
_OBJECT = re.compile(rb"\[?\{\s*\"")
_BLANK = re.compile(rb"\n[ \t\r]*\n")
_FENCE_END = re.compile(rb"\n[ \t]{0,3}```[^\n]{0,20}")
_LINE_OF_JSON = re.compile(rb"(?:^|(?<=\n))\[?\{(?=[^\n]*\}|\s)")
_NEWLINE = re.compile(rb"\n[ \t]*(?=\S)")


def refine(out: Segments, end: int) -> list[Segment]:
    """Divide the gaps of a whole text.

    Args:
        out: The segments that the machine wrote.
        end: Byte where the text ends.

    Returns:
        Segments in order; they cover the same text.
    """
    items = out.items
    if not out.headed and not any(item[1] in (REASONING, ACTION, OBSERVATION) for item in items):
        return items
    unmarked = not out.results_marked
    refined: list[Segment] = []
    for index, item in enumerate(items):
        loose = item[4] in LOOSE
        if not loose and (index not in out.open or item[1] not in (OBSERVATION, OTHER, ACTION)):
            refined.append(item)  # a marker of its own tells where it ends
            continue
        if not loose and item[1] == ACTION and not unmarked:
            refined.append(item)
            continue
        stop = items[index + 1][0] if index + 1 < len(items) else end
        left, right = _left(out, index), _right(out, index)
        call = _call(out, index, stop, right) if loose else None
        if call is not None:
            refined += _before_call(out, index, left, call)
            refined.append((call, ACTION, "call", UNMARKED_CALL, "call_before_result"))
        elif item[1] == ACTION and index in out.open and (after := _call_end(out, index, stop)):
            refined += [item, *_divided_after(out, after, right, stop)]
        elif left is None:
            refined.append(item)
        else:
            refined += _divided(out, index, left, right, stop)
    return refined


def _call(out: Segments, index: int, stop: int, right: Right) -> int | None:
    """Where the call begins that ends loose text: its last lines before a result, else JSON that names it."""
    start = out.items[index][0]
    text = out.ahead.blob[start:stop]
    if index and out.items[index - 1][1] == ACTION and index not in out.headed:
        return None
    if right != "result":
        places = [m.start() for m in _LINE_OF_JSON.finditer(text)] if index in out.headed else []
        named = [start + place for place in places if out.ahead.names_a_call(start + place)]
        return named[0] if named else None
    body = text.rstrip()
    edge = max(body.rfind(b"\n\n") + 1, len(body) - LONGEST_CALL, 0)
    edge += edge > 0 and body[edge : edge + 1] == b"\n"
    lines = [edge, *(match.end() + edge for match in _NEWLINE.finditer(body[edge:]))]
    for line in lines[-MOST_LINES:]:
        if callness(body[line:].decode("utf-8", "replace").strip()) >= LIKE_A_CALL:
            return start + line
    inline = [match.start() for match in _OBJECT.finditer(body, edge)]
    return next((start + place for place in inline if out.ahead.names_a_call(start + place)), None)


def _call_end(out: Segments, index: int, stop: int) -> int | None:
    """Where a labelled call ends before the next marker: behind its fence, else at a blank line; None at the marker."""
    blob = out.ahead.blob
    words = out.ahead.skip_space(out.open[index])
    fence = blob.find(b"\n```", words - 1, stop)
    if fence >= 0 and not _BLANK.search(blob[words:fence].replace(b"\n\n", b"\n", 1)):
        closing = _FENCE_END.search(blob, fence + 4, stop)
        after = closing.end() if closing else stop
    else:
        blank = _BLANK.search(blob, words, stop)
        after = blank.end() if blank else stop
    after = out.ahead.skip_space(after)
    return after if after < stop else None


def _divided_after(out: Segments, after: int, right: Right, stop: int) -> list[Segment]:
    parts = divide(out.ahead.blob, after, stop, "call", right)
    return [(p.start, TYPE_IDS[KINDS[p.voice]], SUBTYPES[p.voice], p.confidence, NAMES[p.voice]) for p in parts]


def _is_long(blob: bytes, start: int, stop: int) -> bool:
    """Whether a stretch has more paragraphs than a short result and a word after it."""
    blanks = _BLANK.finditer(blob, start, stop)
    return sum(1 for _ in islice(blanks, SHORT_RESULT)) == SHORT_RESULT


def _before_call(out: Segments, index: int, left: Left | None, call: int) -> list[Segment]:
    """The loose text before a call that no marker shows."""
    start = out.items[index][0]
    if call <= out.ahead.skip_space(start):
        return [(start, ACTION, "call", UNMARKED_CALL, "call_before_result")] if call > start else []
    if left is None or index in out.headed:
        return [(start, REASONING, "preamble", LOOSE_CONFIDENCE, "before_call")]
    return _divided(out, index, left, "call", call)


def _left(out: Segments, index: int) -> Left | None:
    """What a gap begins with; None where the segment is no gap."""
    _, kind, _, _, pattern = out.items[index]
    if index in out.open:
        if "strong" in out.turns:
            return None
        if kind == OBSERVATION and "assistant" in out.turns:
            return None  # what the agent says has a header
        if kind == OBSERVATION:
            last = _right(out, index) in ("end", "turn") and "answer" not in out.labelled
            return "result" if last or "reasoning" not in out.labelled else None
        return "user" if kind == OTHER and "assistant" not in out.turns else None
    if pattern not in LOOSE or index in out.headed or "strong" in out.turns:
        return None
    if not index:
        return None if "reasoning" in out.labelled else "start"
    before = out.items[index - 1][1]
    if before == OTHER:
        return "start"
    if before == ANSWER:
        return "answer"
    if before == REASONING and out.items[index - 1][4].startswith("inferred:prompt:"):
        return "thought"
    if before == ACTION:
        return "agent" if out.results_marked else "call"
    return "agent"


def _right(out: Segments, index: int) -> Right:
    if index + 1 == len(out.items):
        return "end"
    _, kind, subtype, _, _ = out.items[index + 1]
    if kind == OTHER:
        return "turn"
    if kind == ANSWER and subtype == "final_answer":
        return "call"  # words before a marked answer lead to it
    return "call" if kind == ACTION else "result" if kind == OBSERVATION else "agent"


def _divided(out: Segments, index: int, left: Left, right: Right, stop: int) -> list[Segment]:
    start, kind, subtype, confidence, pattern = out.items[index]
    after = out.open.get(index, start)
    words = out.ahead.skip_space(after)
    if words >= stop:
        return [out.items[index]]
    if left == "result" and out.ahead.blob.count(b"\n", after, words) > 1:
        left = "call"  # nothing stands under the marker: the result may be empty
    if left in ("result", "user") and _BLANK.search(out.ahead.blob, words, stop) is None:
        return [out.items[index]]  # one paragraph is its marker's
    if left == "result" and (right == "agent" or out.thoughts_marked) and _is_long(out.ahead.blob, words, stop):
        return [out.items[index]]  # where the agent marks its thoughts, a long result is one
    parts = divide(out.ahead.blob, words, stop, left, right)
    segments: list[Segment] = []
    for part in parts:
        typed = (TYPE_IDS[KINDS[part.voice]], SUBTYPES[part.voice], part.confidence, NAMES[part.voice])
        segments.append((part.start, *typed))
    if index in out.open and left == "call" and parts[0].voice != WORLD:
        segments.insert(0, (start, kind, subtype, confidence, pattern))
    elif index in out.open:  # the first part has a marker: it says what it is
        segments[0] = (start, kind, subtype, confidence, pattern)
    else:
        segments[0] = (start, *segments[0][1:])
    return segments
