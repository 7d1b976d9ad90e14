"""Units: the typed parts that turns are made of once detection has looked; marks that carry them through a rendering.

A mark is an int: twice the number of a unit, plus one for markup inside it (think tags that a template may write anew),
which is no part of what the source says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from deepcoder_hf.errors import RecordError
from deepcoder_hf.rendering.turns import ACTION, ANSWER, OTHER, REASONING, Piece, Turn
from deepcoder_hf.spans.resolve import SpanTuple
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.trajectory import ToolCall

_OPENING = re.compile(r"\s*<(?:think|thinking|thought)>\s*")
_CALL_TAG = r"(tool_call|tool_code|function_calls?|function|parameter|invoke|execute|action|answer)"
_CALL_OPEN, _CALL_CLOSE = re.compile(rf"<{_CALL_TAG}[ =>]"), re.compile(rf"</{_CALL_TAG}>")
"""`<tool_call>`, `<function=bash>`, `<invoke name="f">`, and what closes them."""
_FENCE = re.compile(r"^[ \t]{0,3}```", re.M)
_CLOSINGS = ("</think>", "</thinking>", "</thought>")


class Unit(NamedTuple):
    """One typed part of a turn: it becomes one span, unless a layout divides it."""

    text: str
    kind: int
    subtype: str
    confidence: float
    pattern: str
    origin: str
    turn: int
    by_agent: bool
    """Whether the agent wrote it; control tokens in what it did not write are only characters."""

    @property
    def n_payload(self) -> int:
        """Characters of the source's words: without markup and whitespace at the edges."""
        detected = self.kind == REASONING and self.origin != "structure"
        return len((inner(self.text) if detected else self.text).strip())


class CallUnit(NamedTuple):
    """A call and the number of its unit."""

    call: ToolCall
    unit: int


@dataclass(slots=True)
class TypedTurn:
    """A turn whose parts all have a type; numbers of units instead of pieces."""

    turn: Turn
    content: list[int] = field(default_factory=list)
    reasoning: list[int] = field(default_factory=list)
    calls: list[CallUnit] = field(default_factory=list)


@dataclass(slots=True)
class Conversation:
    """The turns of one trajectory with their units."""

    turns: list[TypedTurn] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)

    def is_flattened(self) -> bool:
        """Whether a turn holds a whole flattened trajectory, which no chat template can hold."""
        return any(typed.turn.role == "text" for typed in self.turns)


def typed_conversation(turns: Sequence[Turn], found: Iterator[list[SpanTuple]]) -> Conversation:
    """Give every part of the turns its type.

    Args:
        turns: Turns in order.
        found: What detection found in each piece without a type, in their order (reasoning, then content of a turn).

    Raises:
        RecordError: A turn that was cut off ends inside a flattened call (`unfinished_call`).
    """
    conversation = Conversation()
    units = conversation.units
    for number, turn in enumerate(turns):
        typed = TypedTurn(turn)
        by_agent = turn.role in ("assistant", "text")
        for pieces, numbers in ((turn.reasoning, typed.reasoning), (turn.content, typed.content)):
            for piece in pieces:
                for unit in _units(piece, found, number, by_agent):
                    numbers.append(len(units))
                    units.append(unit)
        subtype = "tool_call" if turn.trained else "untrained"
        for call in turn.calls:
            typed.calls.append(CallUnit(call, len(units)))
            text = call.function_name.strip() + call.arguments.strip()  # what is counted of them
            units.append(Unit(text, ACTION, subtype, 1.0, "", "structure", number, True))
        conversation.turns.append(typed)
    for typed in conversation.turns:  # after the last piece is typed: `found` serves the next conversation too
        if not typed.turn.whole and typed.content and not typed.calls:
            _refuse_unfinished(units[typed.content[-1]])
    return conversation


def _refuse_unfinished(last: Unit) -> None:
    """A flattened call at the end of a turn that was cut off must be whole.

    Raises:
        RecordError: It is not (`unfinished_call`).
    """
    if last.kind == ACTION and not _is_whole_call(last.text):
        raise RecordError(
            f"the model was cut off inside a call of its text ({last.text.rstrip()[-60:]!r}); such a call must not be "
            "trained",
            "unfinished_call",
        )


def _is_whole_call(text: str) -> bool:
    """Whether the tags of a call are closed, else its fence, else its brackets; a call without any cannot be told."""
    opened, closed = (Counter(found) for found in (_CALL_OPEN.findall(text), _CALL_CLOSE.findall(text)))
    if opened or closed:
        return opened <= closed
    if n_fences := len(_FENCE.findall(text)):
        return n_fences % 2 == 0
    pairs = [(text.count(opening), text.count(closing)) for opening, closing in ("{}", "[]", "()")]
    return any(opening for opening, _ in pairs) and all(opening == closing for opening, closing in pairs)


def _units(piece: Piece, found: Iterator[list[SpanTuple]], turn: int, by_agent: bool) -> Iterator[Unit]:
    if piece.kind is not None:
        yield Unit(piece.text, piece.kind, piece.subtype, 1.0, "", "structure", turn, by_agent)
        return
    for start, end, kind, subtype, confidence, pattern, origin, _ in next(found):
        if piece.call_follows and kind == ANSWER:
            kind, subtype = REASONING, "preamble"
        if piece.subtype and kind != OTHER:
            subtype = piece.subtype
        yield Unit(piece.text[start:end], kind, subtype, confidence, pattern, origin, turn, by_agent)


def tags_of(text: str) -> tuple[str, str, str]:
    """Detected reasoning as its opening tag, its words and its closing tag, whitespace around the tags with them."""
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    bare = text.rstrip()
    closing = next((tag for tag in _CLOSINGS if bare.endswith(tag) and len(bare) - len(tag) >= start), None)
    end = len(text) if closing is None else max(start, len(bare[: -len(closing)].rstrip()))
    return text[:start], text[start:end], text[end:]


def inner(text: str) -> str:
    """The words of detected reasoning, without its tags."""
    return tags_of(text)[1] if "<" in text else text


def characters_read(conversation: Conversation, turns: Collection[int] | None = None) -> tuple[int, ...]:
    """Characters of the source's words by type id, whitespace at the edges left out.

    Args:
        conversation: The conversation.
        turns: Numbers of the turns that count; None for all.
    """
    read = [0] * len(TYPE_IDS)
    for unit in conversation.units:
        if turns is None or unit.turn in turns:
            read[unit.kind] += unit.n_payload
    return tuple(read)
