"""Harmony, the format of gpt-oss: a text of `<|start|>...<|message|>...<|end|>` messages, or the list of messages.

The analysis channel is reasoning, a message with a recipient is a call, commentary without one is said to the user,
the final channel is the answer. A text that is not harmony from its first to its last character is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import emission, fields, harmony_text, provider_bodies
from deepcoder_hf.readers.emission import Part
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.provider_bodies import text
from deepcoder_hf.readers.text import TEXTS
from deepcoder_hf.trajectory import Observation, Source, Step, ToolCall, Trajectory

CHANNELS = ("analysis", "commentary", "final")
FUNCTIONS = "functions."
"""The namespace of the functions that a developer defines: a part of the format, not of the name."""
ROLES: dict[str, Source] = {"system": "system", "developer": "system", "user": "user"}
IGNORED = {
    **provider_bodies.IGNORED,
    "messages[].channel": "structure, not text",
    "messages[].content_type": "structure, not text",
    "messages[].end": "structure, not text",
    "messages[].recipient": "the name of a call, read without its namespace",
    "messages[].name": "the name of a tool, read without its namespace",
    "messages[].author": "structure, and the name of a tool, read without its namespace",
    "messages[].content[].channel_config": "structure, not text",
}
"""What is left out, with the reason."""


def matches(record: Record) -> bool:
    """A text that is harmony as a whole, or messages of which one has a channel."""
    messages = record.get("messages")
    if isinstance(messages, list) and messages:
        return all(isinstance(m, Mapping) for m in messages) and any(
            m.get("channel") in CHANNELS and _role(m) == "assistant" for m in messages
        )
    return _field(record) is not None


def unpacked(record: Record) -> Record:
    """The record with its text cut into messages, so that each character of it can be followed."""
    name = _field(record)
    if name is None:
        return record
    parsed, taken = _parsed(record, name)
    return {**{key: value for key, value in record.items() if key not in taken}, "messages": list(parsed)}


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: No assistant message (`no_assistant_turn`), one without a role (`missing_role`), of an unknown role
            or channel (`unknown_role`, `unknown_channel`), or with a content that is no text (`missing_content`,
            `unsupported_modality`).
    """
    record = unpacked(record)
    used, tools = ["messages", "tools"], list(provider_bodies.tool_texts(record.get("tools")))
    facts: dict[str, Any] = {}
    steps: list[Step] = []
    if (system := fields.first_text(record, fields.SYSTEM_FIELDS, used)) is not None:
        steps.append(Step("system", system))
    if (task := fields.first_text(record, fields.TASK_FIELDS, used)) is not None:
        steps.append(Step("user", task))
    turn: list[Part] = []
    ended: str | None = None
    for number, message in enumerate(provider_bodies.mappings(record["messages"], "messages", "missing_role")):
        where = f"message {number}"
        role = _role(message)
        if role == "assistant" and message.get("recipient") != "assistant":
            ended = provider_bodies.finish_reason(message.get("end")) if message.get("end") != "end" else None
            turn.append(_part(message, where))
            if message.get("end") not in ("return", "call"):
                continue
        steps += emission.turn_steps(turn, ended)
        turn, ended = [], None
        if role != "assistant" or message.get("recipient") == "assistant":
            steps += _other(message, role, where, tools, facts)
    steps += emission.turn_steps(turn, ended)
    found = provider_bodies.trajectory_of(record, "harmony", steps, used, tools, {})
    return replace(found, metadata={**found.metadata, **facts})


def _field(record: Record) -> str | None:
    """The field whose text is harmony, by itself or after the record's prompt."""
    return next((name for name in TEXTS if _parsed(record, name)[0]), None)


def _parsed(record: Record, name: str) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    """The messages of a field, none where they are not harmony, and the fields that they come from."""
    value, prompt = record.get(name), record.get("prompt")
    if not isinstance(value, str) or "<|message|>" not in value:
        return (), ()
    if isinstance(prompt, str) and harmony_text.START in prompt:
        whole = value if value.startswith(prompt) else prompt + value
        return harmony_text.messages_of(whole), (name, "prompt")
    return harmony_text.messages_of(value), (name,)


def _role(message: Mapping[str, Any]) -> Any:
    author = message.get("author")
    return author.get("role") if isinstance(author, Mapping) else message.get("role")


def _name(message: Mapping[str, Any]) -> str | None:
    author = message.get("author")
    name = text(author.get("name") if isinstance(author, Mapping) else message.get("name"))
    return None if name is None else name.removeprefix(FUNCTIONS)


def _part(message: Mapping[str, Any], where: str) -> Part:
    """What an assistant's message is, by its channel and recipient."""
    said, channel = _text(message.get("content"), where), message.get("channel")
    if (recipient := message.get("recipient")) not in (None, "", "all", "user"):
        return Part(emission.CALL, ToolCall(fields.verbatim(recipient).removeprefix(FUNCTIONS), said))
    if channel not in (*CHANNELS, None, ""):
        known = ", ".join(CHANNELS)
        raise RecordError(f"{where}: unknown channel {channel!r}; known: {known}", "unknown_channel")
    if channel == "analysis":
        return Part(emission.REASONING, said)
    return Part(emission.TEXT, said, answer=channel == "final")


def _other(message: Mapping[str, Any], role: Any, where: str, tools: list[str], facts: dict[str, Any]) -> list[Step]:
    """The step of a message that is not the assistant's."""
    content = message.get("content")
    if role == "tool" or message.get("recipient") == "assistant":
        found = Observation(_text(content, where), None, _name(message))
        return [Step("tool", found.content, name=found.name)]
    if not isinstance(role, str):
        raise RecordError(f"{where}: expected a role, got {role!r}", "missing_role")
    if role not in ROLES:
        raise RecordError(f"{where}: unknown role {role!r}; known: assistant, tool, {', '.join(ROLES)}", "unknown_role")
    said = _text(
        [_instructions(part, tools, facts) for part in content] if isinstance(content, list) else content, where
    )
    return [Step(ROLES[role], said)] if said else []


def _instructions(part: Any, tools: list[str], facts: dict[str, Any]) -> Any:
    """The text of a system or developer content; its tools and settings are put into `tools` and `facts`."""
    if not isinstance(part, Mapping) or part.get("type") not in ("system_content", "developer_content"):
        return part
    spaces = part.get("tools")
    for space in spaces.values() if isinstance(spaces, Mapping) else ():
        if isinstance(space, Mapping):
            tools += provider_bodies.tool_texts(space.get("tools"))
            about = {key: value for key, value in space.items() if key != "tools" and value}
            facts.setdefault("tool_namespaces", []).append(about)
    named = ("type", "tools", "model_identity", "instructions", "channel_config")
    settings = {key: value for key, value in part.items() if key not in named and value not in (None, "", [], {})}
    if settings:
        facts.setdefault("settings", {}).update(settings)
    said = part.get("model_identity") if part["type"] == "system_content" else part.get("instructions")
    return {"type": "text", "text": said if isinstance(said, str) else ""}


def _text(content: Any, where: str) -> str:
    """The text of a content, which is a text or a list of text parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RecordError(f"{where}: expected text or a list of parts, got {type(content).__name__}", "missing_content")
    return fields.text_of_parts(content, where)
