"""OpenHands events: `history`, `events` or `trajectory` of events with source and action, observation or kind.

Events of one answer of the model are one step; results stand with their call, by id or cause. An agent that another
one starts (`delegate`) is a trajectory of its own; a condensation begins a segment in which what is kept is context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, openhands_sdk, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.openhands_actions import Session
from deepcoder_hf.readers.openhands_notes import notes_of
from deepcoder_hf.readers.openhands_turns import Conversation
from deepcoder_hf.trajectory import Step, Trajectory

LISTS = ("history", "events", "trajectory")
IGNORED = {
    "**thinking_blocks[].data": "opaque data of the provider",
    **dict.fromkeys(("llm_metrics", "tool_use_metrics"), "statistics"),
    **dict.fromkeys(("system_fingerprint", "service_tier", "provider_specific_fields"), "opaque data of the provider"),
    **{f"{name}.*": "configuration and results of the run" for name in ("instance", "test_result", "metadata")},
    **{f"{name}.*": "configuration and results of the run" for name in ("metrics", "report", "eval_details")},
    "instruction": "again: the task, which the first message says",
    "error": "an error of the run",
}


def matches(record: Record) -> bool:
    """A list of events in which one has source and args or extras, or a kind of the OpenHands SDK."""
    events = _flat(next((record[name] for name in LISTS if isinstance(record.get(name), list)), []))
    return any(_is_event(event) or openhands_sdk.is_event(event) for event in turns.objects_of(events))


def read(record: Record) -> Trajectory | list[Trajectory]:
    """Read one record.

    Raises:
        RecordError: An event is no object (`bad_event`), no turn of the agent (`no_assistant_turn`), an image
            (`unsupported_modality`), or what `turns.steps_of` refuses.
    """
    name = next(name for name in LISTS if isinstance(record.get(name), list))
    counts: dict[str, Any] = {}
    tools: list[Any] = []
    session = Session(counts, tools)
    events = _in_order(_flat(record[name]))
    for number, event in enumerate(events):
        where = f"{name}[{number}]"
        if not isinstance(event, Mapping):
            raise RecordError(f"{where}: expected an event as an object, got {type(event).__name__}", "bad_event")
        if openhands_sdk.is_event(event):
            openhands_sdk.put(session.talk, event, where, counts, tools)
        else:
            session.put(event, where)
    base = _base(record, (name,), counts, tools, events)
    told = any(event.get("source") == "user" for event in events)
    return _all(session.finished(), base, None if told else turns.string_of(record.get("instruction")))


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Notes of the harness in the events (readers/openhands_notes.py)."""
    name = next(name for name in LISTS if isinstance(record.get(name), list))
    return notes_of(turns.objects_of(_flat(record[name])))


def _all(talks: list[Conversation], base: Trajectory, instruction: str | None) -> list[Trajectory]:
    """The main conversation with its segments, then those of the agents that it started."""
    found: list[Trajectory] = []
    for talk in talks:
        for one in talk.trajectories(base):
            if instruction and not talk.kind and not any(step.source == "user" for step in one.steps):
                at = sum(step.source == "system" for step in one.steps)
                one = replace(one, steps=(*one.steps[:at], Step("user", instruction), *one.steps[at:]))
            found.append(one)
    spoken = [one for one in found if any(step.source == "agent" for step in one.steps)]
    turns.require_agent([step for one in found for step in one.steps])
    return spoken


def _base(
    record: Record, used: tuple[str, ...], counts: dict[str, Any], tools: list[Any], events: list[Any]
) -> Trajectory:
    run = turns.object_of(record.get("metadata"))
    facts = fields.metadata_of(record, (*used, "metadata", "instance", *fields.GROUP_FIELDS))
    facts.pop("unread_fields", None)
    config = turns.object_of(run.get("llm_config"))
    if isinstance(config.get("model"), str):
        facts.setdefault("model", config["model"])
    return Trajectory(
        steps=(),
        source_format="openhands_events",
        trajectory_id=fields.identifier(record, (*fields.ID_FIELDS, "session_id", "conversation_id")),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata={**facts, **counts},
        tools=turns.definitions(tools),
    )


def _is_event(event: Mapping[str, Any]) -> bool:
    """`{"id": 5, "source": "agent", "action": "run", "args": {"command": "ls"}}`, or its observation."""
    if not isinstance(event.get("source"), str):
        return False
    acts = isinstance(event.get("action"), str) and isinstance(event.get("args"), Mapping)
    sees = isinstance(event.get("observation"), str) and ("extras" in event or "cause" in event or "content" in event)
    return acts or sees


def _flat(events: Any) -> list[Any]:
    """The events; older files hold pairs of an action and its observation."""
    if not isinstance(events, list):
        return []
    return [one for event in events for one in (event if isinstance(event, list) else [event])]


def _in_order(events: list[Any]) -> list[Any]:
    """The events by their numbers, where each has one."""
    numbers = [event.get("id") if isinstance(event, Mapping) else None for event in events]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        return events
    return sorted(events, key=lambda event: int(event["id"]))
