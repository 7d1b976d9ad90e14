"""Events of an Inspect sample: references resolved, and conversations that the sample's messages do not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.readers import turns

ATTACHMENT = "attachment://"
TEXT_KEYS = ("messages", "input", "output", "events", "events_data")


@dataclass(frozen=True, slots=True)
class Side:
    """A conversation of a model that is not the sample's own."""

    messages: list[Any]
    role: str = ""
    tools: list[Any] = field(default_factory=list)


def resolved(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The sample with the texts of its attachments in place of the references to them."""
    attachments = turns.object_of(sample.get("attachments"))
    if not attachments:
        return dict(sample)
    return {
        key: _resolved(value, attachments) if key in TEXT_KEYS else value
        for key, value in sample.items()
    }  # fmt: skip


def references(value: Any) -> list[str]:
    """The references to attachments inside a value."""
    if isinstance(value, str):
        return [value] if value.startswith(ATTACHMENT) else []
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [reference for item in inside for reference in references(item)]


def _resolved(value: Any, attachments: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        found = attachments.get(value[len(ATTACHMENT) :]) if value.startswith(ATTACHMENT) else None
        return found if isinstance(found, str) else value
    if isinstance(value, Mapping):
        return {key: _resolved(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, attachments) for item in value]
    return value


def side_conversations(sample: Mapping[str, Any], messages: Sequence[Any]) -> tuple[list[Side], list[Any]]:
    """Conversations in the model events whose answer is not among the messages, and the tools of the others.

    A call whose answer a later call was given as context is part of that later conversation.

    Args:
        sample: The sample, references resolved.
        messages: Its messages.
    """
    known = {key for message in messages if (key := _key(message)) is not None}
    pool = turns.object_of(sample.get("events_data")).get("messages")
    sides: dict[Any, Side] = {}
    tools: list[Any] = []
    for event in turns.objects_of(sample.get("events")):
        if event.get("event") != "model":
            continue
        given = _input(event, pool if isinstance(pool, list) else [])
        offered = event["tools"] if isinstance(event.get("tools"), list) else []
        choice = next(iter(turns.objects_of(turns.object_of(event.get("output")).get("choices"))), {})
        key = _key(choice.get("message"))
        if key is None:
            continue
        if key in known:
            tools += [tool for tool in offered if tool not in tools]
            continue
        for message in given:
            sides.pop(_key(message), None)
        sides[key] = Side([*given, choice["message"]], turns.string_of(event.get("role")) or "", offered)
    return list(sides.values()), tools


def _input(event: Mapping[str, Any], pool: list[Any]) -> list[Any]:
    """What a call was given; newer logs refer to ranges of messages that the events share."""
    refs = event.get("input_refs")
    given = event.get("input")
    if not isinstance(refs, list) or not refs:
        return given if isinstance(given, list) else []
    found: list[Any] = []
    for ref in refs:
        if isinstance(ref, list) and len(ref) == 2 and all(isinstance(end, int) for end in ref):
            found += pool[max(0, ref[0]) : max(0, ref[1])]
    return found


def _key(message: Any) -> Any:
    """What tells an assistant's message: its text and calls, whatever ids a provider gave it."""
    if not isinstance(message, Mapping) or message.get("role") != "assistant":
        return None
    calls = turns.objects_of(message.get("tool_calls"))
    content, told = message.get("content"), [str((call.get("id"), call.get("function"))) for call in calls]
    if content in (None, "", []) and not told:
        return None
    return repr(content), *told
