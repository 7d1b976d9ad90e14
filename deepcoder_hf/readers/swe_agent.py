"""SWE-agent `.traj`: `trajectory` of thought, action, observation, response, and `history` of messages with agent.

The history is what the model saw and said, with the calls as it wrote them; of the trajectory, which repeats it, is
read what the history does not tell (readers/swe_agent_turns.py). A demonstration is context that this agent did not
write: it is not trained, nor are the turns that the harness writes itself when a run ends early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.readers import fields, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.swe_agent_turns import COMMAND, OMITTED, Telling, strings_in
from deepcoder_hf.trajectory import Trajectory

STEP_KEYS = frozenset(("thought", "action", "observation"))
STEP_MARKS = frozenset(("response", "state", "query", "execution_time"))
QUERIES = ("query", "messages")
"""Keys of an entry under which newer versions repeat what the model was given."""
CHOSEN = "again: the attempt that was chosen"
AGAIN = "the history again, as each call was given it"
_MESSAGES = ("history", "trajectory[].query", "trajectory[].messages")
IGNORED = {
    "**trajectory[].state": "the state of the shell after the step",
    **{f"**{name}[].agent": "the name of the harness's agent" for name in _MESSAGES},
    **{f"**{name}[].{key}": "structure, not text" for name in _MESSAGES for key in ("message_type", "tags")},
    **{f"**{name}[].cache_control": "a setting of the request" for name in _MESSAGES},
    **{f"**{name}[].tool_call_ids": "an id" for name in _MESSAGES},
    "info.*": "results of the run: patch, edited files, statistics",
    "replay_config.*": "configuration of the run",
    "swe_agent_version": "version of the harness",
    "swe_rex_version": "version of the harness",
    "environment": "name of the environment",
    "attempts[].info.*": "results of an attempt",
    "attempts[].replay_config.*": "configuration of an attempt",
}


def matches(record: Record) -> bool:
    """Steps with thought, action, observation and response or state, or messages with agent and a SWE-agent type."""
    steps, history = turns.objects_of(record.get("trajectory")), turns.objects_of(record.get("history"))
    if steps and set(steps[0]) >= STEP_KEYS and (not STEP_MARKS.isdisjoint(steps[0]) or history):
        return True
    if turns.objects_of(record.get("attempts")) and isinstance(record.get("trajectory"), list):
        return any(matches(attempt) for attempt in turns.objects_of(record["attempts"]) if "attempts" not in attempt)
    return any("role" in message and "agent" in message for message in history)


def read(record: Record) -> Trajectory | list[Trajectory]:
    """Read one record.

    Raises:
        RecordError: No turn of the agent (`no_assistant_turn`), or what `turns.steps_of` refuses.
    """
    attempts = [a for a in turns.objects_of(record.get("attempts")) if a.get("trajectory") or a.get("history")]
    if not attempts:
        return _one(record)
    chosen = record if record.get("history") or record.get("trajectory") else attempts[-1]
    main = _one({**record, **chosen})
    others = [a for a in attempts if a is not chosen and a.get("trajectory") != chosen.get("trajectory")]
    found = [main]
    for attempt in others:
        side = _one(attempt)
        facts = {**side.metadata, "kind": "attempt"}
        found.append(replace(side, metadata=facts, parent_id=main.trajectory_id, group_id=main.group_id))
    return found


def left_out(record: Record) -> list[tuple[Any, str]]:
    """What is told twice: a turn by the history and by the trajectory, and the history again with each call."""
    attempts = turns.objects_of(record.get("attempts"))
    chosen = record.get("trajectory") or (attempts[-1].get("trajectory") if attempts else None)
    found: list[tuple[Any, str]] = [(a, CHOSEN) for a in attempts if a.get("trajectory") == chosen]
    for run in (record, *attempts):
        found += _told(run, {}).left_out
        known = {text for name in ("history", "trajectory") for text in _own_strings(run.get(name))}
        for entry in turns.objects_of(run.get("trajectory")):
            again = [text for name in QUERIES for text in strings_in(entry.get(name))]
            found += [(text, AGAIN) for text in again if text in known or OMITTED.search(text)]
            for message in (item for name in QUERIES for item in turns.objects_of(entry.get(name))):
                found += [(message.get("action"), COMMAND)] if message.get("tool_calls") else []
    return found


def _own_strings(listed: Any) -> Iterator[str]:
    """The strings of a history or a trajectory, without those that its entries repeat of it."""
    for item in turns.objects_of(listed):
        yield from strings_in({key: value for key, value in item.items() if key not in QUERIES})


def _told(record: Record, counts: dict[str, Any]) -> Telling:
    listed, history = record.get("trajectory"), record.get("history")
    entries = listed if isinstance(listed, list) else []
    messages = history if isinstance(history, list) else []
    telling = Telling(counts)
    telling.tell(messages or _given(entries), entries)
    return telling


def _given(entries: list[Any]) -> list[Any]:
    """What the last call was given, where no history tells it; results that were omitted stand in the entries."""
    last = entries[-1] if entries and isinstance(entries[-1], Mapping) else {}
    given: list[Any] = next((last[name] for name in QUERIES if isinstance(last.get(name), list)), [])
    return [m for m in given if not any(OMITTED.search(text) for text in strings_in(turns.object_of(m).get("content")))]


def _one(record: Record) -> Trajectory:
    counts: dict[str, Any] = {}
    steps = _told(record, counts).steps
    turns.require_agent(steps)
    info = turns.object_of(record.get("info"))
    problem = turns.object_of(turns.object_of(record.get("replay_config")).get("problem_statement"))
    facts = fields.metadata_of(record, ("trajectory", "history", "info", "replay_config", "attempts", "environment"))
    facts.pop("unread_fields", None)
    if isinstance(info.get("exit_status"), str):
        facts["exit_status"] = info["exit_status"]
    return Trajectory(
        steps=tuple(steps),
        source_format="swe_agent",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS) or fields.identifier(problem, ("id",)),
        metadata={**facts, **counts},
    )
