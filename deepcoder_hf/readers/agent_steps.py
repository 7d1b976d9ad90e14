"""Agent steps: `{"steps": [{"thought", "action", "action_input", "observation"}, ...]}` and its usual variants.

Variants: the list under `trajectory` or `agent_steps`; `step_number`; a task under one of the usual names;
`final_answer` of the record or of a step; `action` as a name, as a call with its input, or as
`{"name": ..., "arguments": ...}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

LISTS = ("steps", "trajectory", "agent_steps")
THOUGHTS = ("thought", "thoughts", "reasoning", "thinking", "reasoning_content")
ACTIONS = ("action", "tool", "tool_name", "tool_call")
INPUTS = ("action_input", "tool_input", "arguments", "args", "input", "code", "command")
OBSERVATIONS = ("observation", "observations", "result", "output", "tool_output")
ANSWERS = ("final_answer", "answer")
NAMES = ("name", "tool", "tool_name", "function", "type")
MARKS = frozenset({*THOUGHTS, *ACTIONS, "observation", "final_answer"})


def matches(record: Record) -> bool:
    """A list of steps in which some step has a thought, an action or an observation, and none has a role or source."""
    name = _list_field(record)
    steps = record[name] if name else None
    if steps is None or not all(isinstance(step, Mapping) for step in steps):
        return False
    return not steps or (
        any(not MARKS.isdisjoint(step) for step in steps)
        and not any("role" in step or "from" in step or "source" in step for step in steps)
    )


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: There are no steps (`empty_record`), or one holds nothing that is known (`bad_step`).
    """
    name = _list_field(record)
    assert name is not None
    if not record[name]:
        raise RecordError(
            f"the list {name!r} is empty; expected steps with thought, action or observation", "empty_record"
        )
    used = [name]
    steps: list[Step] = []
    if (system := fields.first_text(record, fields.SYSTEM_FIELDS, used)) is not None:
        steps.append(Step("system", system))
    if (task := fields.first_text(record, fields.TASK_FIELDS, used)) is not None:
        steps.append(Step("user", task))
    for number, raw in enumerate(record[name], start=1):
        steps.append(_step(raw, number))
    if (answer := _answer(record, ANSWERS, used)) is not None:
        steps.append(Step("agent", answer, answer=True))
    return Trajectory(
        steps=tuple(steps),
        source_format="agent_steps",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=fields.metadata_of(record, used),
    )


def _list_field(record: Record) -> str | None:
    return next((name for name in LISTS if isinstance(record.get(name), list)), None)


def _step(raw: Mapping[str, Any], number: int) -> Step:
    thought = _text(raw, THOUGHTS, number)
    observation = _text(raw, OBSERVATIONS, number)
    answer = _answer(raw, ("final_answer",), [])
    call = _call(raw)
    if thought is None and observation is None and answer is None and call is None:
        raise RecordError(
            f"step {number}: expected one of thought, action, observation or final_answer, got {sorted(raw)}",
            "bad_step",
        )
    return Step(
        source="agent",
        message=answer,
        reasoning_content=thought,
        tool_calls=() if call is None else (call,),
        observations=() if observation is None else (observation,),
        answer=answer is not None,
    )


def _text(raw: Mapping[str, Any], names: tuple[str, ...], number: int) -> str | None:
    """The first of some fields that is there; an empty text counts as absent, structured values become JSON."""
    for name in names:
        value = raw.get(name)
        if value is None or value == "":
            continue
        if isinstance(value, list):
            return fields.text_of_parts(value, f"step {number}: {name}") if _is_parts(value) else fields.verbatim(value)
        return fields.verbatim(value)
    return None


def _answer(raw: Mapping[str, Any], names: tuple[str, ...], used: list[str]) -> str | None:
    """The first of some fields that holds an answer: text, or what becomes JSON; its name is added to `used`."""
    for name in names:
        value = raw.get(name)
        if value is None or isinstance(value, bool) or value in ([], {}, "") or not str(value).strip():
            continue
        used.append(name)
        return fields.verbatim(value)
    return None


def _is_parts(value: list[Any]) -> bool:
    return all(isinstance(part, Mapping) and "type" in part for part in value)


def _call(raw: Mapping[str, Any]) -> ToolCall | None:
    action = next((raw[name] for name in ACTIONS if raw.get(name) not in (None, "", {})), None)
    given = next((raw[name] for name in INPUTS if raw.get(name) is not None), None)
    if isinstance(action, Mapping):
        name = next((action[key] for key in NAMES if isinstance(action.get(key), str)), None)
        arguments = next((action[key] for key in INPUTS if action.get(key) is not None), given)
        if name is None or arguments is None:
            return ToolCall("", fields.verbatim(action))
        return ToolCall(name, fields.verbatim(arguments))
    if action is None:
        return None if given is None else ToolCall("", fields.verbatim(given))
    if given is None:
        return ToolCall("", fields.verbatim(action))
    return ToolCall(fields.verbatim(action), fields.verbatim(given))
