"""Chat messages: `messages` or `conversations` with OpenAI keys (role, content) or ShareGPT keys (from, value)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, parts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

LISTS = ("messages", "conversations", "conversation", "traj", "dialog")
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "agent",
    "gpt": "agent",
    "model": "agent",
    "chatgpt": "agent",
    "bot": "agent",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "function_response": "tool",
    "function_call": "call",
    "tool_call": "call",
}
REASONING = ("reasoning_content", "reasoning", "thinking")


def matches(record: Record) -> bool:
    """A list of objects in which one has a role or a from, or an empty list under one of the usual names."""
    name = _list_field(record)
    if name is None:
        return False
    messages = record[name]
    return not messages or any(isinstance(m, Mapping) and ("role" in m or "from" in m) for m in messages)


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: No messages (`empty_messages`), no assistant turn (`no_assistant_turn`), a message without role
            (`missing_role`), of unknown role (`unknown_role`), without content (`missing_content`), with calls that
            are none (`bad_tool_calls`), or with a part that has no text (`unsupported_modality`).
    """
    name = _list_field(record)
    assert name is not None
    messages, used = record[name], [name]
    if not messages:
        raise RecordError("the list of messages is empty; expected at least one assistant turn", "empty_messages")
    steps: list[Step] = []
    if (system := fields.first_text(record, fields.SYSTEM_FIELDS, used)) is not None:
        steps.append(Step("system", system))
    unread: set[str] = set()
    for number, message in enumerate(messages):
        _add(steps, message, f"message {number}", unread)
    if not any(step.source == "agent" and _says_something(step) for step in steps):
        roles = ", ".join(sorted({step.source for step in steps if step.source != "agent"})) or "empty messages"
        raise RecordError(
            f"expected an assistant turn, got only {roles}; expected a role assistant with text, reasoning or calls",
            "no_assistant_turn",
        )
    return Trajectory(
        steps=tuple(steps),
        source_format="messages",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=fields.metadata_of(record, used, unread),
    )


def _list_field(record: Record) -> str | None:
    return next((name for name in LISTS if isinstance(record.get(name), list)), None)


def _says_something(step: Step) -> bool:
    return bool((step.message or "").strip() or step.reasoning_content or step.tool_calls)


def _add(steps: list[Step], message: Any, where: str, unread: set[str]) -> None:
    """Add the steps of a message, and to `unread` the names of its keys that hold something and are not read."""
    if not isinstance(message, Mapping):
        raise RecordError(
            f"{where}: expected an object with role and content, got {type(message).__name__}", "missing_role"
        )
    name = _first(message, ("role", "from"))
    if not isinstance(name, str):
        raise RecordError(f"{where}: expected a role, got keys {sorted(message)}", "missing_role")
    role = ROLES.get(name.lower())
    if role is None:
        raise RecordError(f"{where}: unknown role {name!r}; known: {', '.join(sorted(ROLES))}", "unknown_role")
    used = ["content" if message.get("content") is not None else "value"]
    content = message.get(used[0])
    if role == "agent":
        steps += _agent(message, content, where, used)
    elif role == "call":
        steps.append(Step("agent", tool_calls=_flat_calls(content, where)))
    elif role == "user" and isinstance(content, list) and any(_is_result(part) for part in content):
        steps += _user_parts(content, where)
    elif (text := _text(content, where, empty_allowed=True)) or role == "tool":
        steps.append(Step("tool" if role == "tool" else "system" if role == "system" else "user", text))
    unread.update(f"messages[].{key}" for key in fields.left_over(message, used))


def _first(message: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((message[name] for name in names if message.get(name) is not None), None)


def _agent(message: Mapping[str, Any], content: Any, where: str, used: list[str]) -> list[Step]:
    """Steps of an assistant message: none if it is empty; the keys that are read are added to `used`."""
    key = next((key for key in REASONING if message.get(key)), None)
    reasoning = None if key is None else _text(message[key], f"{where}: reasoning", empty_allowed=False)
    used += ["tool_calls", "function_call", *([] if key is None else [key])]
    calls = _calls(message, where)
    if content is None and not calls and reasoning is None:
        raise RecordError(f"{where}: an assistant turn without content, reasoning and tool calls", "missing_content")
    if isinstance(content, list) and any(isinstance(p, Mapping) and not fields.is_text_part(p) for p in content):
        found = parts.agent_steps(content, where, calls)
        if reasoning is None or any(step.reasoning_content == reasoning for step in found):
            return found
        if found and found[0].reasoning_content is None:
            return [replace(found[0], reasoning_content=reasoning), *found[1:]]
        return [Step("agent", None, reasoning), *found]
    text = None if content is None else _text(content, where, empty_allowed=True) or None
    return [Step("agent", text, reasoning, calls)] if text or reasoning or calls else []


def _calls(message: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
    """The calls of `tool_calls` and of the older `function_call`, which often repeats one of them."""
    raw, old = message.get("tool_calls") or [], message.get("function_call")
    if isinstance(old, Mapping) and all(value is None for value in old.values()):
        old = None
    if not isinstance(raw, list) or not all(isinstance(call, Mapping) for call in [*raw, *([old] if old else [])]):
        raise RecordError(f"{where}: expected tool_calls to be a list of objects", "bad_tool_calls")
    calls = [parts.tool_call(call, where) for call in raw]
    if old and not any(parts.same_call(parts.tool_call(old, where), other) for other in calls):
        calls.append(parts.tool_call(old, where))
    return tuple(calls)


def _flat_calls(content: Any, where: str) -> tuple[ToolCall, ...]:
    """A ShareGPT function_call turn: JSON of one call or of several; anything else stays verbatim, without a name."""
    text = _text(content, where, empty_allowed=False)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return (ToolCall("", text),)
    calls = value if isinstance(value, list) else [value]
    known = calls and all(isinstance(c, Mapping) and isinstance(c.get("name"), str) and "arguments" in c for c in calls)
    return tuple(parts.tool_call(call, where) for call in calls) if known else (ToolCall("", text),)


def _is_result(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in parts.RESULTS


def _user_parts(content: list[Any], where: str) -> list[Step]:
    """A user message that carries results beside, perhaps, text."""
    steps = []
    for part in content:
        if _is_result(part):
            steps.append(Step("tool", parts.result_text(part, where)))
        elif text := fields.text_of_parts([part], where):
            steps.append(Step("user", text))
    return steps


def _text(content: Any, where: str, empty_allowed: bool) -> str:
    if isinstance(content, list):
        content = fields.text_of_parts(content, where)
    if isinstance(content, Mapping):
        content = fields.verbatim(content)
    if not isinstance(content, str) or (not content and not empty_allowed):
        what = "nothing" if content is None or content == "" else type(content).__name__
        raise RecordError(f"{where}: expected content, got {what}", "missing_content")
    return content
