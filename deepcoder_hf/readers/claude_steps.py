"""Lines of a Claude Code chain -> steps: one API message spread over several lines is one turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deepcoder_hf.readers import fields, parts
from deepcoder_hf.readers.claude_tree import blocks_of, is_boundary, message_of
from deepcoder_hf.trajectory import ReasoningKind, Step

INTERRUPTED = "[Request interrupted by user]"
"""What the harness writes after a turn that the user stopped while the model was writing."""
_RESULTS = ("tool_result", "mcp_tool_result")
_SERVER_CALLS = ("server_tool_use", "mcp_tool_use")


@dataclass(slots=True)
class _Turn:
    """An API message of which more lines may follow, with the results that came in between."""

    name: str | None
    trained: bool
    blocks: list[Any] = field(default_factory=list)
    results: list[Step] = field(default_factory=list)
    finish_reason: str | None = None


def steps_of(lines: Iterable[tuple[Mapping[str, Any], bool]], counts: Counter[str]) -> list[Step]:
    """Turn the lines of one context into steps.

    Args:
        lines: Lines in order, each with whether what the agent says there is trained.
        counts: Gets the numbers of blocks of redacted and of encrypted reasoning.

    Raises:
        RecordError: A block has no text (`unsupported_modality`), or a call says nothing (`bad_tool_calls`).
    """
    steps: list[Step] = []
    turn: _Turn | None = None
    for event, trained in lines:
        where = f"line {event.get('uuid') or event.get('type')}"
        if event.get("type") == "assistant":
            name = _name(event)
            if turn is None or name is None or turn.name != name:
                steps += _finished(turn, counts)
                turn = _Turn(name, trained)
            turn.blocks += blocks_of(event)
            turn.finish_reason = _finish_reason(event) or turn.finish_reason
            continue
        for step in _given(event, where):
            if step.source == "tool" and turn is not None:
                turn.results.append(step)
                continue
            if turn is not None and step.message == INTERRUPTED and turn.finish_reason is None:
                turn.finish_reason = "aborted"
            steps += [*_finished(turn, counts), step]
            turn = None
    return [*steps, *_finished(turn, counts)]


def _name(event: Mapping[str, Any]) -> str | None:
    name = message_of(event).get("id") or event.get("requestId")
    return name if isinstance(name, str) else None


def _finish_reason(event: Mapping[str, Any]) -> str | None:
    reason = message_of(event).get("stop_reason")
    if reason == "max_tokens" or event.get("apiError") == "max_output_tokens":
        return "length"
    return reason if isinstance(reason, str) and reason else None


def _finished(turn: _Turn | None, counts: Counter[str]) -> list[Step]:
    """The steps of an API message, then the results of its calls."""
    if turn is None:
        return []
    blocks, results, kind = _readable(turn.blocks, counts)
    found = parts.agent_steps(blocks, "an assistant message")
    if kind and found and not any(step.reasoning_content for step in found):
        found[0] = replace(found[0], reasoning_kind=kind)
    found = [step if turn.trained else replace(step, trained=False) for step in found]
    if found and turn.finish_reason:
        found[-1] = replace(found[-1], finish_reason=turn.finish_reason)
    return [*found, *results, *turn.results]


def _readable(blocks: Sequence[Any], counts: Counter[str]) -> tuple[list[Any], list[Step], ReasoningKind]:
    """The blocks of a message that have text, results of calls that the server ran, and what reasoning is hidden."""
    readable: list[Any] = []
    results: list[Step] = []
    kind: ReasoningKind = ""
    for block in blocks:
        name = block.get("type") if isinstance(block, Mapping) else None
        if name == "redacted_thinking":
            counts["redacted_reasoning"] += 1
            kind = "redacted"
        elif name == "thinking" and not block.get("thinking"):
            counts["encrypted_reasoning"] += 1
            kind = kind or "encrypted"
        elif name in _SERVER_CALLS:
            readable.append({**block, "type": "tool_use"})
        elif isinstance(name, str) and name.endswith("_tool_result"):
            results.append(_result(block, "a result of the server"))
        else:
            readable.append(block)
    return readable, results, kind


def _given(event: Mapping[str, Any], where: str) -> list[Step]:
    """What the model was given by a line: results and text."""
    if event.get("type") == "attachment":
        return _attached(event.get("attachment"))
    if event.get("type") == "system":
        text = event.get("content")
        return [Step("user", text)] if isinstance(text, str) and text and not is_boundary(event) else []
    steps = []
    for block in blocks_of(event):
        if isinstance(block, Mapping) and block.get("type") in _RESULTS:
            steps.append(_result(block, where))
        elif text := _text(block, where):
            steps.append(Step("user", text))
    return steps


def _attached(attachment: Any) -> list[Step]:
    """What the harness put before the model beside the conversation: its text, or all of it as JSON."""
    if not isinstance(attachment, Mapping):
        return []
    text = next((attachment[key] for key in ("prompt", "content") if isinstance(attachment.get(key), str)), None)
    others = [value for key, value in attachment.items() if key not in ("type", "prompt", "content") and value]
    if text is None or any(isinstance(value, str | list | Mapping) for value in others):
        text = fields.verbatim(attachment)
    return [Step("user", text)] if text else []


def _result(block: Mapping[str, Any], where: str) -> Step:
    content, number = block.get("content"), block.get("tool_use_id")
    if isinstance(content, list):
        text = "".join(_text(part, where) for part in content)
    else:
        text = "" if content is None else fields.verbatim(content)
    return Step("tool", text, tool_call_id=number if isinstance(number, str) and number else None)


def _text(part: Any, where: str) -> str:
    """The text of a part; what names a tool or a page is given as JSON."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("tool_reference", "web_search_result", "search_result"):
        return fields.verbatim(part)
    return fields.text_of_parts([part], where)
