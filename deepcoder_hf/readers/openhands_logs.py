"""OpenHands LLM log: one call of a model, with `messages` or `input`, `response`, and kwargs, timestamp or latency_sec.

The response is the turn of this call. What the messages hold of earlier turns is context: a session writes one log a
call, so each turn is trained once, by its own log. Where a model was prompted in text (`fncall_messages`), the calls
are read from where they stand as calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, logged_items, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

MARKS = ("kwargs", "args", "latency_sec", "context_window", "fncall_messages", "llm_path")
CALL = re.compile(r"</?function(?:=[^<>]*)?>")
RESULT = re.compile(r"EXECUTION RESULT of \[[^\[\]\n]*\]:")
TOOLS_BEGIN = re.compile(r"You have access to (?:the following|these) functions")
PROMPTED = "the conversation as text; its calls and results are read from where they stand apart"
IGNORED = {
    "kwargs.*": "settings of the request; its tools are those of the record",
    "args.*": "settings of the request",
    "response.choices[].finish_reason": "why the model stopped, as fncall_response says too",
    "raw_response.model": "name of the model",
    "raw_response": "again: the answer before its calls were read from its text",
    "system_fingerprint": "opaque data of the provider",
    "service_tier": "opaque data of the provider",
    "provider_specific_fields": "opaque data of the provider",
    "thought_signature": "opaque data of the provider",
    "cache_control": "a setting of the request",
    "annotations": "sources that the provider notes",
    "response.model": "name of the model",
    "response.object": "structure, not text",
    "include[].*": "settings of the request",
    "llm_path": "structure, not text",
    "latency_sec": "statistics",
}


def matches(record: Record) -> bool:
    """A response with choices or output beside the messages or input of its request, and settings of the call."""
    response = turns.object_of(record.get("response"))
    answered = isinstance(response.get("choices"), list) or isinstance(response.get("output"), list)
    asked = any(isinstance(record.get(name), list) for name in ("messages", "input", "fncall_messages"))
    return answered and asked and any(name in record for name in MARKS)


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: The response holds no turn (`no_assistant_turn`), or what `turns.steps_of` refuses.
    """
    counts: dict[str, Any] = {}
    structured = _is_structured(record)
    response = turns.object_of(record["fncall_response" if structured else "response"])
    steps: list[Step] = []
    if isinstance(response.get("output"), list):
        steps += _given(record, counts)
        said = logged_items.steps_of(response["output"], "response.output", counts)
    else:
        asked = record["fncall_messages"] if structured else record.get("messages") or record.get("input")
        steps += turns.steps_of(asked if isinstance(asked, list) else [], "messages", counts, trained=False)
        said = _chosen(response, counts)
        steps[:0] = [Step("system", text) for text in _tools_told(record)] if structured else []
    turns.require_agent(said)
    used = ("messages", "input", "instructions", "response", "tools", "kwargs", "args", "fncall_messages")
    facts = fields.metadata_of(record, (*used, "fncall_response", "raw_response"))
    facts.pop("unread_fields", None)
    if isinstance(response.get("model"), str):
        facts["model"] = response["model"]
    tools = record.get("tools") or turns.object_of(record.get("kwargs")).get("tools")
    return Trajectory(
        steps=(*steps, *said),
        source_format="openhands_logs",
        trajectory_id=fields.identifier(response, ("id",)),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata={**facts, **counts},
        tools=turns.definitions(tools),
    )


def left_out(record: Record) -> list[tuple[Any, str]]:
    """The conversation and the answer in text, where they say nothing but what is read with calls."""
    found: list[tuple[Any, str]] = []
    if _is_structured(record):
        known = [*_strings(record["fncall_messages"]), *_strings(record["fncall_response"])]
        asked = [turns.object_of(message).get("content") for message in turns.objects_of(record.get("messages"))]
        said = [*asked, *_contents(record.get("response")), *_contents(record.get("raw_response"))]
        found += [(text, PROMPTED) for one in said for text in _strings(one) if _is_prompted(text, known)]
        found += [
            (name, PROMPTED) for name in _strings([m.get("name") for m in turns.objects_of(record.get("messages"))])
        ]
    else:
        known = list(_strings(turns.object_of(record.get("response")).get("choices")))
        found += [(t, PROMPTED) for t in _contents(record.get("raw_response")) if _is_prompted(t, known)]
    return found


def _is_structured(record: Record) -> bool:
    return isinstance(record.get("fncall_messages"), list) and isinstance(record.get("fncall_response"), Mapping)


def _tools_told(record: Record) -> list[str]:
    """What the prompt says of the tools, where their definitions are not recorded."""
    if record.get("tools") or turns.object_of(record.get("kwargs")).get("tools"):
        return []
    told = [text for m in turns.objects_of(record.get("messages")) for text in _strings(m.get("content"))]
    return [text[at.start() :] for text in told if (at := TOOLS_BEGIN.search(text))]


def _contents(response: Any) -> list[str]:
    choices = turns.objects_of(turns.object_of(response).get("choices"))
    return [text for choice in choices for text in _strings(turns.object_of(choice.get("message")).get("content"))]


def _strings(value: Any) -> Iterator[str]:
    """The strings inside a value."""
    if isinstance(value, str):
        yield value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for item in inside:
        yield from _strings(item)


def _is_prompted(text: str, known: list[str]) -> bool:
    """Whether a text says nothing but texts that are read, and calls, results and tools in the harness's markup.

    Args:
        text: `"I look.\\n<function=ls>\\n<parameter=path>src</parameter>\\n</function>"`.
        known: The texts that are read.
    """
    tools_at = TOOLS_BEGIN.search(text)
    rest, arguments = text[: tools_at.start()] if tools_at else text, "\n".join(known)
    for piece in rest.split("<parameter=")[1:]:
        name, _, value = piece.partition("</parameter>")[0].partition(">")
        bare = value.strip("\n")
        if bare not in arguments and json.dumps(bare)[1:-1] not in arguments:
            return False
        rest = rest.replace(f"<parameter={name}>{value}</parameter>", "", 1)
    for one in sorted({one.strip() for one in known if len(one.strip()) > 1}, key=len, reverse=True):
        rest = rest.replace(one, "")
    rest = CALL.sub("", rest)
    return not any(character.isalnum() for character in RESULT.sub("", rest))


def _given(record: Record, counts: dict[str, Any]) -> list[Step]:
    """The context of a call of the Responses API."""
    instructions = turns.string_of(record.get("instructions"))
    items = record.get("input") or record.get("messages")
    found = [] if instructions is None else [Step("system", instructions)]
    return [*found, *logged_items.steps_of(items if isinstance(items, list) else [], "input", counts, trained=False)]


def _chosen(response: Mapping[str, Any], counts: dict[str, Any]) -> list[Step]:
    choices = turns.objects_of(response.get("choices"))
    message = choices[0].get("message") if choices else None
    if not isinstance(message, Mapping):
        raise RecordError(
            f"response.choices: expected a choice with a message, got {len(choices)} choices; drop the record",
            "no_assistant_turn",
        )
    reason = turns.string_of(choices[0].get("finish_reason"))
    return turns.agent_steps(message, "response.choices[0].message", counts, finish_reason=reason)
