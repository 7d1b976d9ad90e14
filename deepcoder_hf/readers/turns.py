"""Chat messages as the logs of harnesses hold them -> steps: parts, tool calls, tool errors, redacted reasoning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, parts
from deepcoder_hf.trajectory import ReasoningKind, Step, ToolCall

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "agent",
    "model": "agent",
    "tool": "tool",
    "function": "tool",
    "tool-call": "agent",
    "tool-response": "tool",
}
REASONING = ("reasoning_content", "reasoning", "thinking")
REDACTED = ("redacted_thinking", "redacted_reasoning")


def object_of(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def objects_of(value: Any) -> list[Mapping[str, Any]]:
    """The objects among the elements of a list; nothing where the value is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def string_of(value: Any) -> str | None:
    """The value if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def add(counts: dict[str, Any], name: str, n: int = 1) -> None:
    """Raise a count of the metadata."""
    if n:
        counts[name] = counts.get(name, 0) + n


def text_of(content: Any, where: str) -> str:
    """The text of a message's content: a string, text parts, nothing, or JSON."""
    if content is None:
        return ""
    if isinstance(content, list):
        return fields.text_of_parts(content, where)
    if isinstance(content, Mapping) and "text" in content and fields.is_text_part(content):
        return fields.text_of_parts([content], where)
    return fields.verbatim(content)


def steps_of(messages: Iterable[Any], where: str, counts: dict[str, Any], *, trained: bool = True) -> list[Step]:
    """Steps of messages in order; those that say nothing are left out.

    Args:
        messages: The messages.
        where: What to name in errors, such as `messages`.
        counts: Metadata; redacted and encrypted reasoning is counted there.
        trained: Whether what an assistant says is trained.

    Raises:
        RecordError: A message is no object or has no known role (`missing_role`, `unknown_role`), a part has no text
            (`unsupported_modality`), calls are none (`bad_tool_calls`).
    """
    steps: list[Step] = []
    for number, message in enumerate(messages):
        steps += message_steps(message, f"{where}[{number}]", counts, trained=trained)
    return steps


def message_steps(message: Any, where: str, counts: dict[str, Any], *, trained: bool = True) -> list[Step]:
    """Steps of one message; see `steps_of`."""
    name = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(name, str):
        got = f"keys {sorted(map(str, message))}" if isinstance(message, Mapping) else type(message).__name__
        raise RecordError(f"{where}: expected an object with a role, got {got}", "missing_role")
    role = ROLES.get(name)
    if role is None:
        raise RecordError(f"{where}: unknown role {name!r}; known: {', '.join(sorted(ROLES))}", "unknown_role")
    if role == "agent":
        return agent_steps(message, where, counts, trained=trained)
    if role == "tool":
        return tool_steps(message, where)
    text = text_of(message.get("content"), where)
    return [Step("system" if role == "system" else "user", text)] if text else []


def agent_steps(
    message: Mapping[str, Any],
    where: str,
    counts: dict[str, Any],
    *,
    trained: bool = True,
    finish_reason: str | None = None,
) -> list[Step]:
    """Steps of an assistant message: reasoning, text, calls; more than one where its parts demand it."""
    content = message.get("content")
    listed: list[Any] = list(content) if isinstance(content, list) else []
    if not isinstance(content, list) and (text := text_of(content, where) or string_of(message.get("refusal"))):
        listed = [{"type": "text", "text": text}]
    key = next((key for key in REASONING if string_of(message.get(key))), None)
    blocks = objects_of(message.get("thinking_blocks"))
    if key is not None and not any(_thinking(part) == message[key] for part in listed):
        listed.insert(0, {"type": "thinking", "thinking": message[key]})
        blocks = [block for block in blocks if block.get("type") in REDACTED]
    listed = [*blocks, *listed] if not any(_is_thinking(part) for part in listed) or blocks else listed
    plain, kind, summaries, n_hidden = _without_hidden(listed)
    add(counts, f"{kind}_reasoning" if kind in ("redacted", "encrypted") else "", n_hidden if kind != "summary" else 0)
    found = parts.agent_steps(plain, where, _calls(message, where))
    if kind:
        found = _with_kind(found, kind, "".join(summaries) or None)
    if found and finish_reason is not None:
        found[-1] = replace(found[-1], finish_reason=finish_reason)
    return found if trained else [replace(step, trained=False) for step in found]


def tool_steps(message: Mapping[str, Any], where: str) -> list[Step]:
    """The result of a call, and its error where that says something else."""
    texts = [text_of(message.get("content"), where)]
    error = message.get("error")
    told = error.get("message") if isinstance(error, Mapping) else error
    if isinstance(told, str) and told and told not in texts[0]:
        texts = [text for text in (*texts, told) if text]
    number = next((message[key] for key in ("tool_call_id", "call_id", "id") if message.get(key) is not None), None)
    name = string_of(message.get("name")) or string_of(message.get("function"))
    number = None if number is None else fields.verbatim(number)
    return [Step("tool", text, tool_call_id=number, name=name) for text in texts]


def require_agent(steps: Sequence[Step]) -> None:
    """Refuse what no agent said anything in.

    Raises:
        RecordError: `no_assistant_turn`.
    """
    if any(s.source == "agent" and ((s.message or "").strip() or s.reasoning_content or s.tool_calls) for s in steps):
        return
    sources = ", ".join(sorted({step.source for step in steps if step.source != "agent"})) or "nothing"
    raise RecordError(
        f"expected a turn of the agent with text, reasoning or a call, got only {sources}; drop the record",
        "no_assistant_turn",
    )


def definitions(tools: Any) -> tuple[str, ...]:
    """Tool definitions as JSON texts, as they stand in the source; what is no object is left out."""
    return tuple(fields.verbatim(dict(tool)) for tool in objects_of(tools))


def _calls(message: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
    raw = message.get("tool_calls") or []
    if not isinstance(raw, list) or not all(isinstance(call, Mapping) for call in raw):
        raise RecordError(f"{where}: expected tool_calls to be a list of objects, got {raw!r:.200}", "bad_tool_calls")
    old = object_of(message.get("function_call"))
    if not any(value is not None for value in old.values()):
        return tuple(parts.tool_call(call, where) for call in raw)
    calls = [parts.tool_call(call, where) for call in raw]
    single = parts.tool_call(old, where)
    return tuple(calls if any(parts.same_call(single, call) for call in calls) else [*calls, single])


def _is_thinking(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in (*parts.THINKING, *REDACTED)


def _thinking(part: Any) -> Any:
    return part.get("thinking", part.get("reasoning")) if _is_thinking(part) else None


def _without_hidden(listed: Sequence[Any]) -> tuple[list[Any], ReasoningKind, list[str], int]:
    """The parts that can be read, and what the others are: their kind, their summaries, their number."""
    plain: list[Any] = []
    summaries: list[str] = []
    kind: ReasoningKind = ""
    n_hidden = 0
    for part in listed:
        if not isinstance(part, Mapping):
            plain.append(part)
            continue
        thought = _thinking(part)
        summary = string_of(part.get("summary"))
        if part.get("type") in REDACTED or part.get("redacted") is True:
            kind, n_hidden = "redacted", n_hidden + 1
            summaries += [summary] if summary else []
        elif part.get("type") == "refusal" and isinstance(part.get("refusal"), str):
            plain.append({"type": "text", "text": part["refusal"]})
        elif thought == "" and not summary:
            continue
        elif summary and not thought:
            kind = kind or "summary"
            summaries.append(summary)
        elif part.get("type") == "tool_use" and "tool_type" in part:
            plain += _server_tool(part)
        else:
            plain.append(part)
    return plain, kind, summaries, n_hidden


def _server_tool(part: Mapping[str, Any]) -> list[Any]:
    """A call that the provider ran itself, and its result."""
    result = [text for text in (part.get("result"), part.get("error")) if isinstance(text, str) and text]
    call = {key: part[key] for key in ("type", "id", "name", "arguments") if part.get(key) is not None}
    return [call, *({"type": "tool_result", "tool_use_id": part.get("id"), "content": text} for text in result)]


def _with_kind(found: list[Step], kind: ReasoningKind, summary: str | None) -> list[Step]:
    if found and found[0].reasoning_content is None:
        return [replace(found[0], reasoning_content=summary, reasoning_kind=kind), *found[1:]]
    if found and summary is None:  # it is counted, and nothing of it can be read
        return found
    return [Step("agent", None, summary, reasoning_kind=kind), *found]
