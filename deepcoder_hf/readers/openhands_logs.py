"""OpenHands LLM log: one call of a model, with `messages` or `input`, `response`, and kwargs, timestamp or latency_sec.

The response is the turn of this call. What the messages hold of earlier turns is context: a session writes one log a
call, so each turn is trained once, by its own log. Where a model was prompted in text (`fncall_messages`), the calls
are read from where they stand as calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, logged_items, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

MARKS = ("kwargs", "args", "latency_sec", "context_window", "fncall_messages", "llm_path")
IGNORED = {
    "kwargs.*": "settings of the request; its tools are those of the record",
    "args.*": "settings of the request",
    "messages[].content": "the conversation as text; its calls and results are read from fncall_messages",
    "response.choices[].message": "the answer as text; its calls are read from fncall_response",
    "response.choices[].finish_reason": "why the model stopped, as fncall_response says too",
    "raw_response.*": "the answer before its calls were read from its text",
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
    structured = isinstance(record.get("fncall_messages"), list) and isinstance(record.get("fncall_response"), Mapping)
    response = turns.object_of(record["fncall_response" if structured else "response"])
    steps: list[Step] = []
    if isinstance(response.get("output"), list):
        steps += _given(record, counts)
        said = logged_items.steps_of(response["output"], "response.output", counts)
    else:
        asked = record["fncall_messages"] if structured else record.get("messages") or record.get("input")
        steps += turns.steps_of(asked if isinstance(asked, list) else [], "messages", counts, trained=False)
        said = _chosen(response, counts)
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
