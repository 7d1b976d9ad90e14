"""Trajectory -> turns: who speaks, with reasoning, visible text, calls and results apart; what every layout is made of.

What a source left flattened inside a turn (think tags, ReAct labels) is a piece without a type: detection looks there,
and there alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from deepcoder_hf.errors import RecordError
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

OTHER, REASONING, ACTION, OBSERVATION, ANSWER = (
    TYPE_IDS[name] for name in ("other", "reasoning", "action", "observation", "answer")
)

CALLING = re.compile(
    r"</?(?:tool_call|tool_code|function_calls?|function=|execute|invoke|action|answer)\b"
    r"|</(?:execute_command|(?:read|list|search)_files?|write_to_file|replace_in_file|apply_diff|use_mcp_tool"
    r"|ask_followup_question|attempt_completion)>"
    r"|^(?:Thought|Action|Final Answer)[ \d]{0,4}:",
    re.M,
)
THINKING = re.compile(r"</?(?:think|thinking|thought)>")
"""Markup that a parser left in a message: such a message is detected, also where others came structured. Think tags
beside reasoning that the source keeps apart are only text."""
CALL_LIST = re.compile(r"\s*\[[A-Za-z](?:[\w. -]{0,59}\w)?\((?:[A-Za-z_]\w{0,40} ?=.*)?\)\]\s*", re.DOTALL)
"""What may be a message of nothing but calls, as ToolACE has them: `[Get Weather(city="Oslo")]`; see `is_calls`."""
_QUOTES_AND_BRACKETS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[\[({]|[\])}]", re.DOTALL)
_NEXT_CALL = re.compile(r"\s*(?:\]|,\s*[A-Za-z](?:[\w. -]{0,59}\w)?\()")
_OPENING = re.compile(r"\s*<(think|thinking|thought)>")
RESULT = re.compile(
    r"\s*(?:<(?:tool_response|tool_result|observation)\b|Observation[ \d]{0,4}:|\[[a-z_]{3,40}[^\]\n]{0,300}\] Result:)"
)
"""What a user message begins with that carries a result."""
CUT_OFF = ("length", "aborted")
"""Finish reasons of a turn that the model did not end."""

Clean = Callable[[str], str]


class Piece(NamedTuple):
    """A stretch of a turn's text: of known type, or for detection."""

    text: str
    kind: int | None
    """Type id, or None where detection must look."""
    subtype: str = ""
    """For detection: `untrained`, or empty."""
    role: str | None = None
    """For detection: who wrote the text; None for a whole trajectory."""
    call_follows: bool = False
    """For detection: a structured call follows in the same turn, so visible text is preamble."""


@dataclass(slots=True)
class Turn:
    """What one participant says at once."""

    role: str
    """system, user, assistant, tool, or `text` for a whole flattened trajectory."""
    content: list[Piece] = field(default_factory=list)
    reasoning: list[Piece] = field(default_factory=list)
    calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    """For role tool: the tool."""
    call_id: str | None = None
    """For role tool: the call that it answers."""
    trained: bool = True
    whole: bool = True
    """False where the model was cut off: it did not write the stop token."""


def turns_of(trajectory: Trajectory, clean: Clean, counts: Counter[str]) -> list[Turn]:
    """The turns of a trajectory.

    Args:
        trajectory: Any trajectory.
        clean: Makes each text ready for the tokenizer.
        counts: `dropped_turns` is raised by agent turns in which there is nothing.

    Raises:
        RecordError: The model was cut off inside a call (`unfinished_call`), or nothing holds a text (`empty_record`).
    """
    steps = [_cleaned(step, clean) for step in trajectory.steps]
    structured = any(step.tool_calls or step.observations or step.reasoning_content for step in steps)
    turns: list[Turn] = []
    named = False
    for step in steps:
        if step.source != "agent":
            turns.append(_other_turn(step, structured, named))
            continue
        named = any(call.function_name for call in step.tool_calls)
        turn = _agent_turn(step, structured)
        if not (turn.content or turn.reasoning or turn.calls):
            counts["dropped_turns"] += not step.observations
        elif turns and _goes_on(turns[-1], turn):
            turn.reasoning = [*turns.pop().reasoning, *turn.reasoning]
            turns.append(turn)
        else:
            turns.append(turn)
        turns += _results(step, named)
    if not any(piece.text.strip() for turn in turns for piece in (*turn.content, *turn.reasoning)) and not any(
        turn.calls for turn in turns
    ):
        raise RecordError("the record holds no text; expected at least one step or message", "empty_record")
    return turns


def _cleaned(step: Step, clean: Clean) -> Step:
    """A step with clean texts: the same step where they were clean, which is nearly always."""
    given = [step.message, step.reasoning_content, *(result.content for result in step.observations)]
    given += [text for call in step.tool_calls for text in (call.function_name, call.arguments)]
    if all(text is None or text.isascii() for text in given):
        return step
    made = [text and clean(text) for text in given]
    if all(before is after for before, after in zip(given, made, strict=True)):
        return step
    first = 2 + len(step.observations)
    results, calls = made[2:first], made[first:]
    return replace(
        step,
        message=made[0],
        reasoning_content=made[1],
        tool_calls=tuple(
            replace(call, function_name=name or "", arguments=arguments or "")
            for call, name, arguments in zip(step.tool_calls, calls[::2], calls[1::2], strict=True)
        ),
        observations=tuple(
            replace(result, content=text or "") for result, text in zip(step.observations, results, strict=True)
        ),
    )


def _other_turn(step: Step, structured: bool, named: bool) -> Turn:
    message = step.message or ""
    if step.source == "text":
        return Turn("text", [Piece(message, None, "" if step.trained else "untrained")])
    if step.source == "system":
        return Turn("system", [Piece(message, OTHER, "system")])
    if step.source == "tool":
        role = "tool" if named else "user"
        return Turn(role, [Piece(message, OBSERVATION, "observation")], name=step.name, call_id=step.tool_call_id)
    if structured and not RESULT.match(message):
        return Turn("user", [Piece(message, OTHER, "user")])
    return Turn("user", [Piece(message, None, role="user")])


def _agent_turn(step: Step, structured: bool) -> Turn:
    whole = step.finish_reason not in CUT_OFF
    if not whole and step.tool_calls and not is_json(step.tool_calls[-1].arguments):
        raise RecordError(
            f"the model was cut off (finish_reason {step.finish_reason!r}) inside the call of "
            f"{step.tool_calls[-1].function_name or 'code'!r}; such a call must not be trained",
            "unfinished_call",
        )
    reasoning, message = _reasoning(step), _message(step, structured)
    return Turn(
        "assistant",
        [message] if message else [],
        [reasoning] if reasoning else [],
        step.tool_calls,
        trained=step.trained,
        whole=whole,
    )


def is_calls(text: str) -> bool:
    """Whether a text is one list of calls in brackets and nothing else."""
    if not CALL_LIST.fullmatch(text):
        return False
    end, depth = len(text.rstrip()), 0
    for found in _QUOTES_AND_BRACKETS.finditer(text):
        if found[0] in "[({":
            depth += 1
        elif found[0] in "])}":
            depth -= 1
            if (depth == 0 and found.end() != end) or (depth == 1 and not _NEXT_CALL.match(text, found.end())):
                return False
    return depth == 0


def is_json(text: str) -> bool:
    """Whether a text is whole JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _reasoning(step: Step) -> Piece | None:
    if not step.reasoning_content:
        return None
    subtype = {"": "thought", "summary": "summary"}.get(step.reasoning_kind, "untrained")
    return Piece(step.reasoning_content, REASONING, subtype if step.trained else "untrained")


def _message(step: Step, structured: bool) -> Piece | None:
    """Visible text of an agent's turn: an answer, preamble, or flattened text for detection."""
    message, calls = _without_repeated(step.message, step.reasoning_content), bool(step.tool_calls)
    if not message:
        return None
    if step.answer:
        piece = Piece(message, ANSWER, "final_answer")
    elif is_calls(message):
        piece = Piece(message, ACTION, "tool_call")
    elif not structured or CALLING.search(message) or (step.reasoning_content is None and THINKING.search(message)):
        return Piece(message, None, "" if step.trained else "untrained", "assistant", calls)
    elif calls:
        piece = Piece(message, REASONING, "preamble")
    else:
        piece = Piece(message, ANSWER, "message")
    return piece if step.trained else piece._replace(subtype="untrained")


def _without_repeated(message: str | None, reasoning: str | None) -> str | None:
    """The message without a think block at its start that says again what the source keeps apart."""
    if not message or not reasoning or not (opening := _OPENING.match(message)):
        return message
    words, closing, rest = message[opening.end() :].partition(f"</{opening[1]}>")
    return rest.lstrip("\n") if closing and words.strip() == reasoning.strip() else message


def _goes_on(before: Turn, turn: Turn) -> bool:
    """Whether a turn continues one that holds nothing but reasoning."""
    return (
        before.role == "assistant"
        and not before.content
        and not before.calls
        and before.trained == turn.trained
        and before.whole
    )


def _results(step: Step, named: bool) -> Iterator[Turn]:
    """One turn a result; a result of a call without a name comes as a user's turn, as agents of text get it."""
    for number, result in enumerate(step.observations):
        call = _answered(step.tool_calls, number, result)
        is_tool = bool(call.function_name) if call is not None else named
        name = result.name or (call.function_name if call is not None and is_tool else None)
        piece = Piece(result.content, OBSERVATION, "observation")
        yield Turn("tool" if is_tool else "user", [piece], name=name, call_id=result.tool_call_id)


def _answered(calls: tuple[ToolCall, ...], number: int, result: Observation) -> ToolCall | None:
    """The call that a result answers, by id, else by place."""
    if result.tool_call_id is not None:
        return next((call for call in calls if call.tool_call_id == result.tool_call_id), None)
    return calls[number] if number < len(calls) else None
