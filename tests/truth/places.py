"""Where expected stretches stand in the text of a row: every character is a stretch, a frame, or it is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stretches import Stretch

TURN = re.compile(r"<\|im_start\|>(system|user|assistant|tool)\n")
TOOLS = re.compile(r"# Tools\n\n.*?</tools>.*?</tool_call>(?=<\|im_end\|>)", re.DOTALL)
FRAME = re.compile(
    r"<\|im_end\|>|</?(?:think|tool_call|tool_response|thought|execute|solution|answer)>"
    r"|`{3,}[a-z]*|URL:|(?:Thought|Action|Observation)(?: \d+)?:|(?:Task|Assistant|Expert feedback):|\s+"
)
"""What templates, labels and tags add around payloads."""
CALL = '{"name": '
DECODER = json.JSONDecoder()


class NotFoundError(AssertionError):
    """The text of a row is not what the record says."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of characters of a row, half-open."""

    start: int
    end: int
    kind: str
    """The kind of the expected stretch; `frame` within an agent's turn, `other` where nobody may train."""
    number: int = -1
    """Which of the expected stretches."""


def places(text: str, expected: Sequence[Stretch], *, partial: bool = False) -> Iterator[Place]:
    """Place each expected stretch, in order, and what stands between them.

    Args:
        text: The text of a row.
        expected: What its record says.
        partial: The row is one of several views of the trajectory, each up to another turn and without the reasoning
            of turns that were over then.

    Raises:
        NotFoundError: Something else stands where a stretch or a frame is expected, or a stretch is missing.
    """
    at, number, role = 0, 0, "assistant"
    while at < len(text):
        taken = next((n for n in _candidates(expected, number, partial) if _end(text, at, expected[n])), None)
        if taken is not None:
            end = _end(text, at, expected[taken])
            yield Place(at, end, expected[taken].kind, taken)
            at, number = end, taken + 1
        elif turn := TURN.match(text, at):
            role = turn[1]
            yield Place(at, turn.end(), "other")
            at = turn.end()
        elif frame := (TOOLS.match(text, at) if role == "system" else None) or FRAME.match(text, at):
            yield Place(at, frame.end(), "frame" if role == "assistant" else "other")
            at = frame.end()
        else:
            wanted = expected[number] if number < len(expected) else "the end"
            raise NotFoundError(f"character {at}: {text[at : at + 120]!r} where {wanted!r:.400} is expected")
    if number < len(expected) and not partial:
        raise NotFoundError(f"missing: {expected[number]!r:.200}, {len(expected) - number} of {len(expected)}")


def _candidates(expected: Sequence[Stretch], number: int, partial: bool) -> Iterator[int]:
    """The stretches that may stand next."""
    while number < len(expected):
        yield number
        if not partial or expected[number].kind != "reasoning":
            return
        number += 1


def _end(text: str, at: int, wanted: Stretch) -> int:
    """Where the stretch ends if it stands here, else 0."""
    if wanted.name is not None:
        return _end_of_call(text, at, wanted) if text.startswith(CALL, at) else 0
    if wanted.value is not None:
        given, end = _json_at(text, at)
        return end if end and given == wanted.value else 0
    return at + len(wanted.text) if text.startswith(wanted.text, at) else 0


def _end_of_call(text: str, at: int, wanted: Stretch) -> int:
    """A call is shown as JSON, its arguments as they are or escaped anew."""
    verbatim = f'{CALL}{json.dumps(wanted.name, ensure_ascii=False)}, "arguments": {wanted.text}}}'
    if text.startswith(verbatim, at):
        return at + len(verbatim)
    given, end = _json_at(text, at)
    if not end or given.get("name") != wanted.name:
        return 0
    arguments = given.get("arguments")
    if isinstance(arguments, str):
        return end if arguments.strip() == wanted.text else 0
    try:
        return end if arguments == json.loads(wanted.text or "{}") else 0
    except ValueError:
        return 0


def _json_at(text: str, at: int) -> tuple[Any, int]:
    try:
        return DECODER.raw_decode(text, at)
    except ValueError:
        return None, 0
