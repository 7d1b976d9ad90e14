"""Entries of a Pi session -> steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepcoder_hf.readers import fields, parts, sessions
from deepcoder_hf.trajectory import ReasoningKind, Step

FAILED = "a turn that the API refused, and in which the model said nothing"
_SUMMARIES = ("branchSummary", "compactionSummary")


def steps_of(entries: Iterable[tuple[Mapping[str, Any], bool]], counts: Counter[str]) -> list[Step]:
    """Turn entries of one context into steps.

    Args:
        entries: Entries in order, each with whether what the agent says there is trained.
        counts: Gets the numbers of parts of redacted and of encrypted reasoning.

    Raises:
        RecordError: A part has no text (`unsupported_modality`), or a call says nothing (`bad_tool_calls`).
    """
    steps: list[Step] = []
    for event, trained in entries:
        kind, message = event.get("type"), event.get("message")
        where = f"entry {event.get('id') or kind}"
        if kind in ("compaction", "branch_summary"):
            steps += _user(event.get("summary"), where)
        elif kind == "custom_message":
            steps += _user(event.get("content"), where)
        elif isinstance(message, Mapping):
            found = _message(message, where, counts)
            steps += found if trained else [_untrained(step) for step in found]
    return steps


def is_outside(event: Mapping[str, Any]) -> bool:
    """Whether an entry is a command that the user ran without showing it to the model."""
    message = event.get("message")
    return isinstance(message, Mapping) and bool(message.get("excludeFromContext"))


def is_empty_failure(message: Mapping[str, Any]) -> bool:
    """Whether a message of the assistant is only the notice that the turn failed."""
    return message.get("stopReason") in ("error", "aborted") and not message.get("content")


def models_of(events: Sequence[Mapping[str, Any]]) -> str:
    """The models that spoke, in order."""
    messages = (event.get("message") for event in events)
    return sessions.names_said(message.get("model") for message in messages if isinstance(message, Mapping))


def _untrained(step: Step) -> Step:
    return replace(step, trained=False) if step.source == "agent" else step


def _message(message: Mapping[str, Any], where: str, counts: Counter[str]) -> list[Step]:
    role = message.get("role")
    if role == "assistant":
        return _agent(message, where, counts)
    if role == "toolResult":
        number, name = message.get("toolCallId"), message.get("toolName")
        text = "".join(_texts(message.get("content"), where))
        return [
            Step("tool", text, tool_call_id=number if isinstance(number, str) else None,
                 name=name if isinstance(name, str) else None)
        ]  # fmt: skip
    if role == "bashExecution":
        command, output = (fields.verbatim(message.get(key) or "") for key in ("command", "output"))
        return [Step("user", fields.Written(f"Ran `{command}`\n```\n{output}\n```", (command, output)))]
    if role in _SUMMARIES:
        return _user(message.get("summary"), where)
    return _user(message.get("content"), where)


def _agent(message: Mapping[str, Any], where: str, counts: Counter[str]) -> list[Step]:
    content = message.get("content")
    given: list[Any] = [content] if isinstance(content, str) else content if isinstance(content, list) else []
    readable: list[Any] = []
    kind: ReasoningKind = ""
    for part in given:
        name = part.get("type") if isinstance(part, Mapping) else None
        if name == "thinking" and (part.get("redacted") or not part.get("thinking")):
            kind = "redacted" if part.get("redacted") else "encrypted"
            counts[f"{kind}_reasoning"] += 1
            if not part.get("thinking"):
                continue
        readable.append({**part, "type": "tool_call"} if name == "toolCall" else part)
    steps = parts.agent_steps(readable, where)
    if kind and steps and (kind == "redacted" or steps[0].reasoning_content is None):
        steps[0] = replace(steps[0], reasoning_kind=kind)
    reason = message.get("stopReason")
    if steps and isinstance(reason, str) and reason:
        steps[-1] = replace(steps[-1], finish_reason="aborted" if reason == "error" else reason)
    return steps


def _user(content: Any, where: str) -> list[Step]:
    return [Step("user", text) for text in _texts(content, where) if text]


def _texts(content: Any, where: str) -> list[str]:
    if isinstance(content, list):
        return [fields.text_of_parts([part], where) for part in content]
    return [] if content is None else [fields.verbatim(content)]
