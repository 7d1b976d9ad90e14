"""Anthropic Messages API: a request (`system`, `messages` of content blocks), a response (`type: message`), or both.

Thinking blocks are reasoning, tools that the provider runs (web search, code execution, MCP) have their results inside
the turn. A record that could as well be another chat is left to the reader of messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import emission, fields, parts, provider_bodies, turn_facts
from deepcoder_hf.readers.emission import Part
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Observation, Step, Trajectory

ROLES = {"user": "user", "human": "user", "assistant": "agent", "system": "system", "developer": "system"}
TYPED = ("tool_use", "tool_result", "thinking", "redacted_thinking")
"""Blocks that make a record with a `system` field Anthropic's."""
OWN = ("redacted_thinking", "server_tool_use", "mcp_tool_use", "mcp_tool_result", "container_upload")
"""Blocks that nobody else has; also every `*_tool_result`."""
IGNORED = {
    **provider_bodies.IGNORED,
    "messages[].content[].data": "opaque data of the provider",
    "content[].data": "opaque data of the provider",
    "stop_sequence": "which of the request's own strings ended the turn",
    "messages[].content[].source.media_type": "structure, not text",
}
"""What is left out, with the reason."""


def matches(record: Record) -> bool:
    """Blocks, fields or tool definitions that only this API has."""
    if _is_message(record):
        return True
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, Mapping) for m in messages):
        return False
    if any(m.get("role") not in ("user", "assistant", "system") for m in messages):
        return False
    blocks = [block for m in messages for block in _blocks(m.get("content")) if isinstance(block, Mapping)]
    kinds = {kind for block in blocks if isinstance(kind := block.get("type"), str)}
    if any(kind in OWN or kind.endswith("_tool_result") for kind in kinds):
        return True
    if any(_is_message(m) and "stop_reason" in m for m in messages) or _is_tool_list(record.get("tools")):
        return True
    return not kinds.isdisjoint(TYPED) and isinstance(record.get("system"), str | list)


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: No assistant turn (`no_assistant_turn`), a message of unknown role (`unknown_role`), a block of
            unknown type (`unknown_block`) or without text (`unsupported_modality`), or something that is not what the
            API has there (`missing_content`, `bad_tool_calls`, `bad_tools`).
    """
    counts: Counter[str] = Counter()
    used = ["messages", "system", "tools", "content", "role", "type", "stop_reason", "stop_sequence", "stop_details"]
    steps: list[Step] = []
    system = record.get("system")
    if system not in (None, "", []):
        steps.append(Step("system", _text(system, "system")))
    messages = record.get("messages")
    if messages is not None:
        for number, message in enumerate(provider_bodies.mappings(messages, "messages", "missing_role")):
            steps += message_steps(message, f"message {number}", counts)
    if _is_message(record):
        steps += message_steps(record, "content", counts)
    tools = provider_bodies.tool_texts(record.get("tools"))
    return provider_bodies.trajectory_of(record, "anthropic", steps, used, tools, counts)


def message_steps(message: Mapping[str, Any], where: str, counts: Counter[str]) -> list[Step]:
    """Steps of a message, or of a response body; what is redacted or failed is added to `counts`.

    Raises:
        RecordError: See `read`.
    """
    role = message.get("role")
    source = ROLES.get(role) if isinstance(role, str) else None
    if source is None:
        raise RecordError(f"{where}: expected a role user or assistant, got {role!r}", "unknown_role")
    content = message.get("content")
    if source == "system":
        text = _text(content, where)
        return [Step("system", text)] if text else []
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list):
        raise RecordError(
            f"{where}: expected text or a list of blocks, got {type(content).__name__}", "missing_content"
        )
    if source == "user":
        return _user_steps(blocks, where, counts)
    said = [part for block in blocks if (part := _part(block, where, counts)) is not None]
    reason = provider_bodies.finish_reason(message.get("stop_reason"))
    return emission.turn_steps(said, reason, trained=turn_facts.is_trained(message))


def _is_message(record: Mapping[str, Any]) -> bool:
    """Whether this is the body of a response."""
    content = record.get("content")
    return (
        record.get("type") == "message"
        and record.get("role") == "assistant"
        and isinstance(content, list)
        and ("stop_reason" in record or "usage" in record)
        and all(isinstance(block, Mapping) and block.get("type") != "output_text" for block in content)
    )


def _is_tool_list(tools: Any) -> bool:
    return isinstance(tools, list) and any(isinstance(tool, Mapping) and "input_schema" in tool for tool in tools)


def _blocks(content: Any) -> Sequence[Any]:
    return content if isinstance(content, list) else ()


def _user_steps(blocks: Sequence[Any], where: str, counts: Counter[str]) -> list[Step]:
    """Results and text of a user message, in order; texts that follow each other are one."""
    steps: list[Step] = []
    joins = False
    for block in blocks:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if isinstance(kind, str) and kind.endswith("tool_result"):
            found = _result(block, where, counts)
            steps.append(Step("tool", found.content, tool_call_id=found.tool_call_id, name=found.name))
            joins = False
        elif text := _text([block], where):
            before = [steps.pop().message or ""] if joins else []
            steps.append(Step("user", fields.joined((*before, text))))
            joins = True
    return steps


def _part(block: Any, where: str, counts: Counter[str]) -> Part | None:
    """What a block of the assistant is; None for what has no readable text."""
    kind = block.get("type") if isinstance(block, Mapping) else None
    if isinstance(block, str) or kind == "text":
        return Part(emission.TEXT, _text([block], where), joins=True)
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        if not block["thinking"]:
            counts["redacted_reasoning"] += bool(block.get("signature"))
            return None
        return Part(emission.REASONING, block["thinking"])
    if kind == "redacted_thinking":
        counts["redacted_reasoning"] += 1
        return None
    if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        return Part(emission.CALL, parts.tool_call(_call(block), where))
    if isinstance(kind, str) and kind.endswith("tool_result"):
        return Part(emission.RESULT, _result(block, where, counts))
    if kind in ("image", "document", "container_upload", "thinking") or not isinstance(kind, str):
        raise fields.refused_part(block, where)
    raise RecordError(
        f"{where}: unknown block of type {kind!r}; expected text, thinking, tool_use or tool_result", "unknown_block"
    )


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block with the MCP server before the name of its tool, since servers share names."""
    server, name = block.get("server_name"), block.get("name")
    if isinstance(server, str) and server and isinstance(name, str):
        return {**block, "name": f"{server}.{name}"}
    return dict(block)


def _result(block: Mapping[str, Any], where: str, counts: Counter[str]) -> Observation:
    """A result, of the client's tools or of the provider's."""
    counts["tool_errors"] += block.get("is_error") is True
    content = block.get("content")
    found = parts.result({**block, "content": ""}, where)
    shown = _text(content, where) if isinstance(content, list | str) else fields.verbatim(_clear(content or ""))
    return Observation(shown, found.tool_call_id, found.name)


def _text(content: Any, where: str) -> str:
    """Text of a string or of blocks; blocks with fields of their own (search results, references) as JSON."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RecordError(
            f"{where}: expected text or a list of blocks, got {type(content).__name__}", "missing_content"
        )
    texts = []
    for block in content:
        if isinstance(block, str):
            texts.append(block)
        elif not isinstance(block, Mapping):
            raise fields.refused_part(block, where)
        elif isinstance(block.get("text"), str) and fields.is_text_part(block):
            texts.append(block["text"])
        elif block.get("type") == "document" and isinstance(source := block.get("source"), Mapping):
            texts.append(_document(block, source, where))
        elif block.get("type") in ("web_search_result", "search_result", "tool_reference", "web_fetch_result"):
            texts.append(fields.verbatim(_clear(block)) + "\n")
        else:
            raise fields.refused_part(block, where)
    return fields.joined(texts)


def _document(block: Mapping[str, Any], source: Mapping[str, Any], where: str) -> str:
    """The text of a document, with its title and context before it."""
    data, content = source.get("data"), source.get("content")
    if source.get("type") == "text" and isinstance(data, str):
        found = data
    elif source.get("type") == "content" and content is not None:
        found = _text(content, where)
    else:
        raise fields.refused_part({"type": "document"}, where)
    heads = [block[key] for key in ("title", "context") if isinstance(block.get(key), str)]
    return fields.joined([*heads, found, ""], "\n")


def _clear(value: Any) -> Any:
    """A value without the opaque data of the provider."""
    if isinstance(value, Mapping):
        return {key: _clear(item) for key, item in value.items() if key not in ("encrypted_content", "cache_control")}
    return [_clear(item) for item in value] if isinstance(value, list) else value
