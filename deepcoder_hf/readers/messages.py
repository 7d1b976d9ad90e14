"""Chat messages: `messages` or `conversations` with OpenAI keys (role, content) or ShareGPT keys (from, value)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, json_texts, parts, thinking, turn_facts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import ReasoningKind, Step, ToolCall, Trajectory

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
    **dict.fromkeys(parts.CALL_ROLES, "call"),
}
DIFFS = ("patch", "model_patch", "test_patch")
IGNORED = {
    **dict.fromkeys((f"{name}*" for name in DIFFS), "a diff that the benchmark took or holds, not a turn"),
    **dict.fromkeys(("*[].finish_reason", "*[].stop_reason"), "read in its normal form"),
    "*[].content[].data": "reasoning that the provider keeps to itself",
    "*[].thinking_blocks[].data": "reasoning that the provider keeps to itself",
    "*[].reasoning_details[].data": "reasoning that the provider keeps to itself",
    "*[].reasoning_details[].format": "structure, not text",
}
"""What is no part of a trajectory (readers/claims.py)."""


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
    messages, used = record[name], [name, *DIFFS]
    if not messages:
        raise RecordError("the list of messages is empty; expected at least one assistant turn", "empty_messages")
    steps: list[Step] = []
    if (system := _system(record, used)) is not None:
        steps.append(Step("system", system))
    seen = _Seen()
    for number, message in enumerate(messages):
        _add(steps, message, f"message {number}", seen)
    if not any(step.source == "agent" and _says_something(step) for step in steps):
        roles = ", ".join(sorted({step.source for step in steps if step.source != "agent"})) or "empty messages"
        raise RecordError(
            f"expected an assistant turn, got only {roles}; expected a role assistant with text, reasoning or calls",
            "no_assistant_turn",
        )
    return Trajectory(
        steps=tuple(_ended(steps, turn_facts.finish_reason(record))),
        source_format="messages",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        tools=fields.tools_of(record, used),
        metadata=_facts(record, used, seen),
    )


@dataclass(slots=True)
class _Seen:
    """What messages tell beside their steps."""

    unread: set[str] = field(default_factory=set)
    n_redacted: int = 0
    model: str | None = None


def _facts(record: Record, used: list[str], seen: _Seen) -> dict[str, Any]:
    """The metadata: facts of the record, and those that only its messages know."""
    facts: dict[str, Any] = {}
    if isinstance(switches := record.get("chat_template_kwargs"), Mapping) and switches:
        used.append("chat_template_kwargs")
        facts["chat_template_kwargs"] = dict(switches)
    facts |= fields.metadata_of(record, used, seen.unread)
    if seen.model is not None:
        facts.setdefault("model", seen.model)
    if seen.n_redacted:
        facts["redacted_reasoning"] = seen.n_redacted
    return facts


def _system(record: Record, used: list[str]) -> str | None:
    """The system field: a text, or a list of text parts as Anthropic has it."""
    for name in fields.SYSTEM_FIELDS:
        if isinstance(value := record.get(name), list) and value:
            used.append(name)
            return fields.text_of_parts(value, name)
    return fields.first_text(record, fields.SYSTEM_FIELDS, used)


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts(record, LISTS))


def is_agent(message: Mapping[str, Any]) -> bool:
    """Whether a message is the assistant's, or a call of it."""
    name = _first(message, ("role", "from"))
    return isinstance(name, str) and ROLES.get(name.lower()) in ("agent", "call")


def _list_field(record: Record) -> str | None:
    return next((name for name in LISTS if isinstance(record.get(name), list)), None)


def _says_something(step: Step) -> bool:
    return bool((step.message or "").strip() or step.reasoning_content or step.tool_calls)


def _add(steps: list[Step], message: Any, where: str, seen: _Seen) -> None:
    """Add the steps of a message, and to `seen` its keys that hold something and are not read."""
    if not isinstance(message, Mapping):
        raise RecordError(
            f"{where}: expected an object with role and content, got {type(message).__name__}", "missing_role"
        )
    name = message.get("role")
    if name is None:
        name = message.get("from")
    if not isinstance(name, str):
        raise RecordError(f"{where}: expected a role, got keys {sorted(map(str, message))}", "missing_role")
    role = ROLES.get(name.lower())
    if role is None:
        raise RecordError(f"{where}: unknown role {name!r}; known: {', '.join(sorted(ROLES))}", "unknown_role")
    used = ["content" if message.get("content") is not None else "value"]
    content = message.get(used[0])
    found: list[Step] = []
    if role == "agent":
        found = _agent(message, content, where, used)
        seen.n_redacted += thinking.n_redacted(message, content)
        if isinstance(model := message.get("model"), str) and model:
            seen.model = seen.model or model
    elif role == "call":
        found = [Step("agent", tool_calls=parts.flat_calls(_text(content, where, empty_allowed=False)))]
    elif isinstance(content, list) and any(parts.is_result(part) for part in content):
        found = _results(message, content, where)
    elif role == "tool":
        found = [_tool(message, _result_text(content, where))]
    elif text := _text(content, where, empty_allowed=True):
        found = [Step("system" if role == "system" else "user", text, name=turn_facts.name_of(message))]
    steps += _marked(found, message)
    seen.unread.update(f"messages[].{key}" for key in fields.left_over(message, used))


def _marked(found: list[Step], message: Mapping[str, Any]) -> list[Step]:
    """The steps of an agent's message with what it says of itself: trained or not, why it ended, who speaks."""
    if not found or found[-1].source != "agent":
        return found
    if not turn_facts.is_trained(message):
        found = [replace(step, trained=False) for step in found]
    name, reason = turn_facts.name_of(message), turn_facts.finish_reason(message)
    return (
        found if name is None and reason is None else [*found[:-1], replace(found[-1], name=name, finish_reason=reason)]
    )


def _ended(steps: list[Step], reason: str | None) -> list[Step]:
    """The steps, of which the agent's last ended for the reason that stands beside the messages."""
    last = max(number for number, step in enumerate(steps) if step.source == "agent")
    if reason is not None and steps[last].finish_reason is None:
        steps[last] = replace(steps[last], finish_reason=reason)
    return steps


def _tool(message: Mapping[str, Any], text: str) -> Step:
    """The step of a result, with the id of its call and the name of its tool."""
    number = _first(message, ("tool_call_id", "tool_use_id", "call_id"))
    return Step("tool", text, tool_call_id=None if number is None else str(number), name=turn_facts.name_of(message))


def _result_text(content: Any, where: str) -> str:
    """The text of a result; a list that holds no typed parts is JSON."""
    if isinstance(content, list) and not any(
        isinstance(p, str) or (isinstance(p, Mapping) and "type" in p) for p in content
    ):
        return fields.verbatim(content)
    return _text(content, where, empty_allowed=True)


def _first(message: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((message[name] for name in names if message.get(name) is not None), None)


def _agent(message: Mapping[str, Any], content: Any, where: str, used: list[str]) -> list[Step]:
    """Steps of an assistant message: none if it is empty; the keys that are read are added to `used`."""
    before, reasoning, kind = thinking.of_message(message, where, used)
    used += ["tool_calls", "function_call", "thinking_blocks", "reasoning_details"]
    calls = _calls(message, where)
    refusal = message.get("refusal")
    if content in (None, "") and isinstance(refusal, str) and refusal:
        content = refusal
        used.append("refusal")
    if content is None and not calls and reasoning is None and not thinking.n_redacted(message, content):
        raise RecordError(f"{where}: an assistant turn without content, reasoning and tool calls", "missing_content")
    found = [Step("agent", None, text) for text in before]
    if isinstance(content, list) and any(isinstance(p, Mapping) and not fields.is_text_part(p) for p in content):
        return found + _of_parts(content, where, calls, reasoning, kind)
    text = None if content is None else _text(content, where, empty_allowed=True) or None
    if text or reasoning or calls:
        found.append(Step("agent", text, reasoning, calls, reasoning_kind=kind))
    return found


def _of_parts(
    content: list[Any], where: str, calls: tuple[ToolCall, ...], reasoning: str | None, kind: ReasoningKind
) -> list[Step]:
    """Steps of typed parts, and of the reasoning that stands beside them."""
    found = parts.agent_steps(content, where, calls)
    if found and found[0].reasoning_content is None and any(parts.is_redacted(part) for part in content):
        found[0] = replace(found[0], reasoning_kind="redacted")
    if reasoning is None or any(step.reasoning_content == reasoning for step in found):
        return found
    if found and found[0].reasoning_content is None:
        return [replace(found[0], reasoning_content=reasoning, reasoning_kind=kind), *found[1:]]
    return [Step("agent", None, reasoning, reasoning_kind=kind), *found]


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


def _results(message: Mapping[str, Any], content: list[Any], where: str) -> list[Step]:
    """A message of results with, perhaps, text beside them, which is the user's."""
    steps = []
    for part in content:
        if parts.is_result(part):
            found = parts.result(part, where)
            steps.append(Step("tool", found.content, tool_call_id=found.tool_call_id, name=found.name))
        elif text := fields.text_of_parts([part], where):
            steps.append(Step("user", text, name=turn_facts.name_of(message)))
    return steps


def _text(content: Any, where: str, empty_allowed: bool) -> str:
    if isinstance(content, str) and (content or empty_allowed):
        return content
    if isinstance(content, list):
        content = fields.text_of_parts(content, where)
    if isinstance(content, Mapping):
        content = fields.verbatim(content)
    if not isinstance(content, str) or (not content and not empty_allowed):
        what = "nothing" if content is None or content == "" else type(content).__name__
        raise RecordError(f"{where}: expected content, got {what}", "missing_content")
    return content
