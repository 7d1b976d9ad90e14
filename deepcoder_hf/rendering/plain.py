"""The plain layout: how a structured trajectory becomes text when no chat template is used.

    System: <system prompt>

    User: <message>

    Thought: <reasoning kept apart by the source>
    Assistant: <visible text before a call: preamble>
    Action: <tool name>
    Action Input: <arguments, verbatim>
    Observation: <result, verbatim>

    Assistant: <visible text without a call: an answer>

    Final Answer: <message that the source marks as final>

A blank line ends what the system, the user or an answer says; one newline ends every other part. A call without a name
is `Action: <code or command>`. An empty message is no part; an empty result or empty arguments are one. Every part is
one span of origin structure with its label inside; what a source left flattened is handed to detection, behind its
header, also where other parts of the trajectory are structured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.trajectory import Step, Trajectory

OTHER, REASONING, ACTION, OBSERVATION, ANSWER = (
    TYPE_IDS[name] for name in ("other", "reasoning", "action", "observation", "answer")
)


CALLING = re.compile(
    r"</?(?:tool_call|tool_code|function_calls?|function=|execute|invoke|action|answer)\b"
    r"|^(?:Thought|Action|Final Answer)[ \d]{0,4}:",
    re.M,
)
THINKING = re.compile(r"</?(?:think|thinking|thought)>")
"""Markup that a parser left in a message: such a message is detected, also where others came structured. Think tags
beside reasoning that the source keeps apart are only text."""
RESULT = re.compile(r"\s*(?:<(?:tool_response|tool_result|observation)\b|Observation[ \d]{0,4}:)")
"""What a user message begins with that carries a result."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of rendered text: of known type, or for detection."""

    text: str
    kind: int | None
    """Type id, or None where detection must look."""
    subtype: str = ""
    role: str | None = None
    """For detection: who wrote the text; None for a whole trajectory."""
    call_follows: bool = False
    """For detection: a structured call follows in the same turn, so visible text is preamble."""


def render_plain(trajectory: Trajectory) -> list[Piece]:
    """Render a trajectory; the texts of the pieces, joined, are the rendered text.

    Args:
        trajectory: Any trajectory.

    Returns:
        Pieces in order, none of them empty.
    """
    structured = any(step.tool_calls or step.observations or step.reasoning_content for step in trajectory.steps)
    return [piece for step in trajectory.steps for piece in _step(step, structured) if piece.text]


def _step(step: Step, structured: bool) -> Iterator[Piece]:
    message = step.message
    if step.source == "text":
        yield Piece(message or "", None)
    elif step.source == "system":
        yield Piece(f"System: {message}\n\n", OTHER, "system")
    elif step.source == "user" and structured and not RESULT.match(message or ""):
        yield Piece(f"User: {message}\n\n", OTHER, "user")
    elif step.source == "user":
        yield Piece("User: ", OTHER, "header")
        yield Piece(f"{message}\n\n", None, role="user")
    elif step.source == "tool":
        yield Piece(f"Observation: {message}\n", OBSERVATION, "observation")
    else:
        yield from _agent_step(step, structured)


def _agent_step(step: Step, structured: bool) -> Iterator[Piece]:
    if step.reasoning_content is not None:
        yield Piece(f"Thought: {step.reasoning_content}\n", REASONING, "thought")
    if step.message:
        yield from _message(step, step.message, structured)
    for call in step.tool_calls:
        head = f"Action: {call.function_name}\nAction Input: " if call.function_name else "Action: "
        yield Piece(f"{head}{call.arguments}\n", ACTION, "tool_call")
    for result in step.observations:
        yield Piece(f"Observation: {result}\n", OBSERVATION, "observation")


def _message(step: Step, message: str, structured: bool) -> Iterator[Piece]:
    calls = bool(step.tool_calls)
    if step.answer:
        yield Piece(f"Final Answer: {message}\n\n", ANSWER, "final_answer")
    elif not structured or CALLING.search(message) or (step.reasoning_content is None and THINKING.search(message)):
        yield Piece("Assistant: ", OTHER, "header")
        yield Piece(f"{message}\n" if calls else f"{message}\n\n", None, role="assistant", call_follows=calls)
    elif calls:
        yield Piece(f"Assistant: {message}\n", REASONING, "preamble")
    else:
        yield Piece(f"Assistant: {message}\n\n", ANSWER, "message")
