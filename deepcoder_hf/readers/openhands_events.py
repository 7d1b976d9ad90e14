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
from deepcoder_hf.readers.openhands_actions import SILENT_ACTIONS, SILENT_RESULTS, Session, thought_by_call
from deepcoder_hf.readers.openhands_turns import Conversation
from deepcoder_hf.trajectory import Step, Trajectory

LISTS = ("history", "events", "trajectory")
_EVENTS = tuple(f"{name}[]{inner}" for name in LISTS for inner in ("", "[]"))
_NOTES = {
    **dict.fromkeys(("message",), "what the user interface shows of the event"),
    **dict.fromkeys(("source", "kind", "action", "observation.kind", "action.kind"), "structure, not text"),
    "extras": "notes of the harness beside a result: exit code, the file before and after an edit, knowledge recalled",
    "args.query": "what the harness looked up for the prompt",
    "args.recall_type": "structure, not text",
    "args.agent_state": "a state of the harness",
    "args.reason": "why the harness changed its state",
    **{f"args.{name}": "a setting of the harness" for name in ("confirmation_state", "impl_source", "cwd")},
    **{f"args.{name}": "a setting of the harness" for name in ("agent_class", "openhands_version", "security_risk")},
    "args.kernel_init_code": "a setting of the harness",
    "security_risk": "a judgement of the harness",
    **{
        f"observation.{name}": "notes of the harness beside a result"
        for name in ("old_content", "new_content", "diff", "metadata", "command", "path", "full_output_save_dir")
    },
    **dict.fromkeys(("key", "value", "code", "detail", "critic_result", "summary"), "a state of the harness"),
    **dict.fromkeys(("action_id", "llm_response_id", "forgotten_event_ids", "activated_skills", "sender"), "an id"),
    "tool_call.origin": "structure, not text",
}  # fmt: skip
IGNORED = {
    **{f"{event}.{name}": reason for event in _EVENTS for name, reason in _NOTES.items()},
    "**thinking_blocks[].data": "opaque data of the provider",
    **dict.fromkeys(("llm_metrics", "tool_use_metrics"), "statistics"),
    **dict.fromkeys(("system_fingerprint", "service_tier", "provider_specific_fields"), "opaque data of the provider"),
    **{f"{name}.*": "configuration and results of the run" for name in ("instance", "test_result", "metadata")},
    **{f"{name}.*": "configuration and results of the run" for name in ("metrics", "report", "eval_details")},
    "instruction": "the task, which the first message says",
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
    """Events of the harness itself, kinds of events, and thoughts that it put together from a text and a call."""
    name = next(name for name in LISTS if isinstance(record.get(name), list))
    events = turns.objects_of(_flat(record[name]))
    found = _thoughts(events)
    for event in events:
        if event.get("action") in SILENT_ACTIONS or event.get("observation") in SILENT_RESULTS:
            found.append((event, "an event of the harness, worded anew for the prompt"))
        elif isinstance(event.get("observation"), str):
            found.append((event["observation"], "structure, not text"))
        elif _is_recorded(event):
            found.append((event.get("args"), "the recorded call again, as the harness understood it"))
        elif turns.object_of(event.get("tool_call")):
            found.append((event.get("action"), "the recorded call again, as the harness understood it"))
    return found


def _thoughts(events: list[Mapping[str, Any]]) -> list[tuple[Any, str]]:
    """The calls by which thoughts were written, and their ids, wherever the answers of the model stand."""
    numbers = {written[1] for event in events if (written := thought_by_call(event))}
    found: list[tuple[Any, str]] = []
    for event in events if numbers else ():
        given = turns.object_of(event.get("tool_call_metadata"))
        if turns.string_of(given.get("tool_call_id")) in numbers:
            found.append((given["tool_call_id"], "an id"))
        for choice in turns.objects_of(turns.object_of(given.get("model_response")).get("choices")):
            message = turns.object_of(choice.get("message"))
            calls = [c for c in turns.objects_of(message.get("tool_calls")) if turns.string_of(c.get("id")) in numbers]
            found += [(call, "the thought again, as the call of a tool") for call in calls]
            found += [(message.get("content"), "what was said before the thought, which repeats it")] if calls else []
    return found


def _is_recorded(event: Mapping[str, Any]) -> bool:
    """Whether the call of an event stands, with its own id, in an answer of the model that is recorded with it."""
    given = turns.object_of(event.get("tool_call_metadata"))
    choices = turns.objects_of(turns.object_of(given.get("model_response")).get("choices"))
    message = turns.object_of(choices[0].get("message")) if choices else {}
    number = given.get("tool_call_id")
    return number is not None and any(call.get("id") == number for call in turns.objects_of(message.get("tool_calls")))


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
