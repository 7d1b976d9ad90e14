"""Lists of typed content parts -> steps: text, thinking / reasoning, tool_use / tool_call, tool_result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepcoder_hf.readers import fields
from deepcoder_hf.trajectory import Step, ToolCall

THINKING = ("thinking", "reasoning")
CALLS = ("tool_use", "tool_call", "function_call")
RESULTS = ("tool_result", "function_call_output", "tool_response")


def agent_steps(content: Sequence[Any], where: str) -> list[Step]:
    """Steps of an agent whose turns stand in one list; a part that cannot follow in a step begins the next.

    Args:
        content: The parts, in order.
        where: What to name in errors.

    Returns:
        Steps of source agent, in the order reasoning, message, calls, results; text is kept verbatim.

    Raises:
        RecordError: A part has no text (`unsupported_modality`).
    """
    steps: list[Step] = []
    stage = 4
    reasoning: str | None = None
    message: str | None = None
    calls: list[ToolCall] = []
    results: list[str] = []

    def close() -> None:
        nonlocal reasoning, message
        if reasoning is not None or message is not None or calls or results:
            steps.append(Step("agent", message, reasoning, tuple(calls), tuple(results)))
        reasoning, message = None, None
        calls.clear()
        results.clear()

    for part in content:
        rank = _rank(part, where)
        if rank < stage or (rank == stage and rank < 2):
            close()
        stage = rank
        if rank == 0:
            reasoning = _thinking_text(part, where)
        elif rank == 1:
            message = part if isinstance(part, str) else part["text"]
        elif rank == 2:
            calls.append(tool_call(part))
        else:
            results.append(result_text(part, where))
    close()
    return steps


def _rank(part: Any, where: str) -> int:
    if isinstance(part, str) or (
        isinstance(part, Mapping) and fields.is_text_part(part) and isinstance(part.get("text"), str)
    ):
        return 1
    kind = part.get("type") if isinstance(part, Mapping) else None
    for rank, kinds in ((0, THINKING), (2, CALLS), (3, RESULTS)):
        if kind in kinds:
            return rank
    raise fields.refused_part(part, where)


def _thinking_text(part: Mapping[str, Any], where: str) -> str:
    for name in ("thinking", "reasoning", "text", "value", "content"):
        if isinstance(part.get(name), str):
            return str(part[name])
    raise fields.refused_part(part, where)


def tool_call(part: Mapping[str, Any]) -> ToolCall:
    """A call from any of the usual shapes: flat, or with its `function`; arguments stay verbatim."""
    inner = part.get("function") if isinstance(part.get("function"), Mapping) else part
    assert isinstance(inner, Mapping)
    name = inner.get("name") or inner.get("function_name") or ""
    given = next(
        (inner[key] for key in ("arguments", "input", "parameters", "args") if inner.get(key) is not None), None
    )
    number = part.get("id") or part.get("call_id") or part.get("tool_call_id")
    return ToolCall(str(name), "" if given is None else fields.verbatim(given), None if number is None else str(number))


def result_text(part: Mapping[str, Any], where: str) -> str:
    """The text of a result, whose content is a string, a list of text parts, or JSON."""
    content = next((part[key] for key in ("content", "output", "result", "text") if part.get(key) is not None), "")
    if isinstance(content, list):
        return fields.text_of_parts(content, where)
    return fields.verbatim(content)
