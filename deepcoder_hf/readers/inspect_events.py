"""Events of an Inspect sample: references resolved, and conversations that the sample's messages do not hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.readers import turns
from deepcoder_hf.trajectory import Step

ATTACHMENT = "attachment://"
PARSE_ERROR = re.compile(r"tool call arguments:\s*\n\n(.*)\n\nError details:", re.DOTALL)
"""What Inspect says of a call that it could not parse: `Error parsing the following tool call arguments:` ..."""
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
    known = {key for message in messages if (key := key_of(message)) is not None}
    pool = turns.object_of(sample.get("events_data")).get("messages")
    sides: dict[Any, Side] = {}
    tools: list[Any] = []
    for event in turns.objects_of(sample.get("events")):
        if event.get("event") != "model":
            continue
        given = _input(event, pool if isinstance(pool, list) else [])
        offered = event["tools"] if isinstance(event.get("tools"), list) else []
        role = turns.string_of(event.get("role")) or ""
        for number, choice in enumerate(choices_of(event)):
            key = key_of(choice.get("message"))
            if key is None:
                continue
            if key in known:
                tools += [tool for tool in offered if tool not in tools]
                continue
            for message in given if number == 0 else ():
                sides.pop(key_of(message), None)
            sides[key] = Side([*given, choice["message"]], role, offered)
    for choice in choices_of(sample)[1:]:  # answers that were sampled beside the one that was taken
        key = key_of(choice.get("message"))
        if key is not None and key not in known:
            sides.setdefault(key, Side([*_before_last(messages), choice["message"]], "", tools))
    return list(sides.values()), tools


def choices_of(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The answers in the output of a sample or an event."""
    return turns.objects_of(turns.object_of(holder.get("output")).get("choices"))


def told(messages: Sequence[Any], where: str, counts: dict[str, Any], known: Any = ()) -> list[Step]:
    """Steps of messages, with the arguments of calls as the model wrote them where the harness could not parse them.

    Args:
        messages: The messages.
        where: What to name in errors.
        counts: Metadata; see `turns.steps_of`.
        known: Keys of messages that are trained elsewhere; None for a conversation that is not trained at all.
    """
    steps: list[Step] = []
    for number, message in enumerate(messages):
        whole, is_known = _with_raw(message)
        trained = is_known and known is not None and key_of(message) not in known
        steps += turns.message_steps(whole, f"{where}[{number}]", counts, trained=trained)
    return steps


def _with_raw(message: Any) -> tuple[Any, bool]:
    """A message with the raw arguments of calls that could not be parsed; whether all of them are known."""
    calls = turns.objects_of(message.get("tool_calls")) if isinstance(message, Mapping) else []
    if not any(call.get("parse_error") for call in calls):
        return message, True
    whole, all_known = [], True
    for call in calls:
        found = PARSE_ERROR.search(turns.string_of(call.get("parse_error")) or "")
        if call.get("parse_error") and call.get("arguments") in (None, "", {}):
            all_known = all_known and found is not None
            call = {**call, "arguments": found[1] if found else ""}
        whole.append(call)
    return {**message, "tool_calls": whole}, all_known


def _before_last(messages: Sequence[Any]) -> list[Any]:
    """The messages before the last one of the agent."""
    last = next((n for n in reversed(range(len(messages))) if key_of(messages[n]) is not None), len(messages))
    return list(messages[:last])


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


def key_of(message: Any) -> Any:
    """What tells an assistant's message: its text and calls, whatever ids a provider gave it."""
    if not isinstance(message, Mapping) or message.get("role") != "assistant":
        return None
    calls = turns.objects_of(message.get("tool_calls"))
    content, told = message.get("content"), [str((call.get("id"), call.get("function"))) for call in calls]
    if content in (None, "", []) and not told:
        return None
    texts = [part.get("text") for part in turns.objects_of(content) if part.get("type") == "text"]
    said = "".join(text for text in texts if isinstance(text, str))
    return said or (content if isinstance(content, str) else repr(content)), *told
