"""Attributes and events of a GenAI span -> the messages that the model was given and gave, as steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepcoder_hf.readers import fields
from deepcoder_hf.readers.otel_spans import Span, decoded, nested
from deepcoder_hf.trajectory import Step, ToolCall

_EVENTS = ("gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message")
_DETAILS = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion")
_ROLES = {"system": "system", "developer": "system", "assistant": "agent", "model": "agent", "ai": "agent"}
_TOOLS = ("tool", "function")
_CALLS = ("tool_call", "tool_use", "function_call", "server_tool_call")
_RESULTS = ("tool_call_response", "tool_result", "function_call_output", "server_tool_call_response")
_REASONING = ("reasoning", "thinking")
_LENGTH = ("length", "max_tokens", "max_output_tokens")


def given_and_said(span: Span) -> tuple[list[Step], list[Step]]:
    """What the model was given in a span, and what it said.

    Raises:
        RecordError: A part has no text (`unsupported_modality`).
    """
    attributes = dict(span.attributes)
    for name, more in span.events:
        if name in _DETAILS:
            attributes.update(more)
    where = f"span {span.name}"
    given, said = _messages(attributes, ("input", "prompt")), _messages(attributes, ("output", "completion"))
    for name, more in span.events:
        if name in _EVENTS:
            given.append({"role": name.split(".")[1], **more})
        elif name == "gen_ai.choice":
            said.append(_choice(more))
    before = [step for message in given for step in _steps(message, where)]
    system = attributes.get("gen_ai.system_instructions")
    prompts = [Step("system", text) for text in _instructions(system, where)]
    own = [step for message in said[:1] for step in _steps({"role": "assistant", **message}, where)]
    return [*prompts, *before], _with_reason(own, attributes)


def tools_of(span: Span) -> tuple[str, ...]:
    """Definitions of the tools that the model had."""
    found = decoded(span.attributes.get("gen_ai.tool.definitions"))
    if not isinstance(found, list):
        listed = nested(span.attributes, "llm.tools")
        found = [inner for item in listed if (inner := _schema(item)) is not None]
        found = found or nested(span.attributes, "llm.request.functions")
    return tuple(fields.verbatim(item) for item in found if isinstance(item, str | Mapping))


def _schema(item: Any) -> Any:
    tool = item.get("tool") if isinstance(item, Mapping) else None
    return tool.get("json_schema") if isinstance(tool, Mapping) else None


def _messages(attributes: Mapping[str, Any], names: tuple[str, str]) -> list[Mapping[str, Any]]:
    """Messages in the first of the ways in which they are written that a span has."""
    new, old = names
    for key in (f"gen_ai.{new}.messages", f"gen_ai.{new}_messages", f"gen_ai.{old}"):
        found = decoded(attributes.get(key))
        if isinstance(found, Mapping):
            found = [found]
        if isinstance(found, list) and found:
            return [item for item in found if isinstance(item, Mapping)]
    if found := nested(attributes, f"gen_ai.{old}"):
        return [item for item in found if isinstance(item, Mapping)]
    listed = nested(attributes, f"llm.{new}_messages")
    inner = [item.get("message", item) for item in listed if isinstance(item, Mapping)]
    return [item for item in inner if isinstance(item, Mapping)]


def _choice(more: Mapping[str, Any]) -> dict[str, Any]:
    message = decoded(more.get("message"))
    flat = {key.removeprefix("message."): value for key, value in more.items() if key.startswith("message.")}
    inner = message if isinstance(message, Mapping) else flat or {"content": message}
    reasons = {key: more[key] for key in ("finish_reason",) if key in more}
    return {**inner, **reasons, **({"tool_calls": more["tool_calls"]} if "tool_calls" in more else {})}


def _instructions(value: Any, where: str) -> list[str]:
    value = decoded(value)
    if isinstance(value, list):
        return [text for part in value if (text := _text(part, where))]
    return [value] if isinstance(value, str) and value else []


def _steps(message: Mapping[str, Any], where: str) -> list[Step]:
    """The steps of a message: results stand alone, everything else is one step."""
    role = message.get("role")
    contents = message.get("parts") or message.get("contents") or message.get("content")
    contents = decoded(contents) if role not in _TOOLS else contents
    parts = contents if isinstance(contents, list) else [] if contents in (None, "") else [contents]
    parts = [_plain(part) for part in parts]
    if role in _TOOLS and not any(_kind(part) in _RESULTS for part in parts):
        text = "".join(_text(part, where) for part in parts)
        return [Step("tool", text, tool_call_id=_id(message), name=_name(message))]
    steps = [_result(part) for part in parts if _kind(part) in _RESULTS]
    source = _ROLES.get(role, "user") if isinstance(role, str) else "user"
    texts = [text for part in parts if _kind(part) not in (*_CALLS, *_RESULTS, *_REASONING)
             and (text := _text(part, where))]  # fmt: skip
    if source != "agent":
        return [*(Step("system" if source == "system" else "user", text) for text in texts), *steps]
    reasoning = [_text(part, where) for part in parts if _kind(part) in _REASONING]
    beside = [message.get(key) for key in ("reasoning", "reasoning_content")]
    reasoning += [text for text in beside if isinstance(text, str)]
    calls = [_call(part) for part in parts if _kind(part) in _CALLS] + _listed_calls(message)
    reason = message.get("finish_reason")
    turn = Step(
        "agent", "".join(texts) or None, "\n\n".join(text for text in reasoning if text) or None, tuple(calls),
        finish_reason=_reason(reason) if isinstance(reason, str) and reason else None,
    )  # fmt: skip
    return [turn, *steps] if turn.message or turn.reasoning_content or turn.tool_calls else steps


def _plain(part: Any) -> Any:
    """A part with its wrapper taken off: OpenInference writes `message_content` around each."""
    inner = part.get("message_content") if isinstance(part, Mapping) else None
    return inner if isinstance(inner, Mapping) else part


def _kind(part: Any) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _text(part: Any, where: str) -> str:
    if isinstance(part, Mapping):
        if "message" in part and isinstance(part["message"], str):
            return str(part["message"])
        for key in ("content", "text", "thinking"):
            if _kind(part) in ("", "text", *_REASONING) and isinstance(part.get(key), str):
                return str(part[key])
        raise fields.refused_part(part, where)
    return part if isinstance(part, str) else fields.verbatim(part)


def _call(part: Mapping[str, Any]) -> ToolCall:
    inner = part.get("tool_call", part)
    inner = inner if isinstance(inner, Mapping) else part
    function = inner.get("function")
    inner = {**inner, **function} if isinstance(function, Mapping) else inner
    given = next((inner[key] for key in ("arguments", "input") if inner.get(key) is not None), None)
    name = inner.get("name")
    return ToolCall(name if isinstance(name, str) else "", "" if given is None else fields.verbatim(given), _id(inner))


def _listed_calls(message: Mapping[str, Any]) -> list[ToolCall]:
    calls = decoded(message.get("tool_calls"))
    return [_call(call) for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []


def _result(part: Mapping[str, Any]) -> Step:
    keys = ("response", "result", "content", "output")
    content = next((part[key] for key in keys if part.get(key) is not None), "")
    return Step("tool", fields.verbatim(content), tool_call_id=_id(part), name=_name(part))


def _id(part: Mapping[str, Any]) -> str | None:
    keys = ("tool_call_id", "id", "call_id", "tool_use_id")
    return next((str(part[key]) for key in keys if isinstance(part.get(key), str | int) and part[key] != ""), None)


def _name(part: Mapping[str, Any]) -> str | None:
    name = part.get("name")
    return name if isinstance(name, str) and name else None


def _reason(reason: str) -> str:
    return "length" if reason in _LENGTH else reason


def _with_reason(steps: Sequence[Step], attributes: Mapping[str, Any]) -> list[Step]:
    reasons = decoded(attributes.get("gen_ai.response.finish_reasons"))
    reason = reasons[0] if isinstance(reasons, list | tuple) and reasons else reasons
    last = next((n for n in reversed(range(len(steps))) if steps[n].source == "agent"), None)
    found = list(steps)
    if last is not None and isinstance(reason, str) and reason and found[last].finish_reason is None:
        found[last] = replace(found[last], finish_reason=_reason(reason))
    return found
