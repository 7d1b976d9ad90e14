"""Agent steps: `{"steps": [{"thought", "action", "action_input", "observation"}, ...]}` and its usual variants.

Variants: the list under `trajectory` or `agent_steps`; `step_number`; a task under one of the usual names;
`final_answer` of the record or of a step; `action` as a name, as a call with its input, or as
`{"name": ..., "arguments": ...}`; `tool_calls` as in chat messages; `message` or `content` as what the agent says;
`error` as a further observation. The `answer` of a record is no part of its text: it is often the label of the task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, json_texts, parts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

LISTS = ("steps", "trajectory", "agent_steps")
THOUGHTS = ("thought", "thoughts", "reasoning", "thinking", "reasoning_content")
ACTIONS = ("action", "tool", "tool_name", "tool_call")
INPUTS = ("action_input", "tool_input", "arguments", "args", "input", "code", "command")
OBSERVATIONS = ("observation", "observations", "result", "output", "tool_output")
MESSAGES = ("message", "content")
NAMES = ("name", "tool", "tool_name", "function", "type")
STEP_ANSWERS = ("final_answer", "answer")
"""The answer of a step is the agent's own; that of a record is often the label of its task."""
IGNORED = {"final_answer": "again: the answer that a step says"}
"""What may be said twice (readers/claims.py)."""
MARKS = frozenset({*THOUGHTS, *ACTIONS, "tool_calls", "observation", "final_answer"})


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
        RecordError: There are no steps (`empty_record`), one holds nothing that is known (`bad_step`), or calls that
            are none (`bad_tool_calls`).
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
    unread: set[str] = set()
    for number, raw in enumerate(record[name], start=1):
        steps += _steps(raw, f"step {number}", unread)
    if (answer := _answer(record, used)) is not None and not _is_said(steps[-1], answer):
        steps.append(Step("agent", answer, answer=True))
    return Trajectory(
        steps=tuple(steps),
        source_format="agent_steps",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        tools=fields.tools_of(record, used),
        metadata=fields.metadata_of(record, used, unread),
    )


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts(record))


def _list_field(record: Record) -> str | None:
    return next((name for name in LISTS if isinstance(record.get(name), list)), None)


def _steps(raw: Mapping[str, Any], where: str, unread: set[str]) -> list[Step]:
    """One step, and a second one for its final answer where it does more; keys not read are added to `unread`."""
    used: list[str] = []
    thought = _text(raw, THOUGHTS, where, used)
    calls = _calls(raw, where, used, unread)
    observations = _observations(raw, where, used)
    message = fields.first_text({key: raw[key] for key in MESSAGES if key in raw}, MESSAGES, used)
    answer = _answer(raw, used, STEP_ANSWERS)
    unread.update(f"steps[].{key}" for key in fields.left_over(raw, used))
    if thought is None and message is None and answer is None and not calls and not observations:
        raise RecordError(
            f"{where}: expected one of thought, action, observation or final_answer, got {sorted(raw)}", "bad_step"
        )
    if answer is None:
        return [Step("agent", message, thought, calls, observations)]
    if message in (None, answer) and not calls and not observations:
        return [Step("agent", answer, thought, answer=True)]
    message = None if message == answer else message
    return [Step("agent", message, thought, calls, observations), Step("agent", answer, answer=True)]


def _text(raw: Mapping[str, Any], names: tuple[str, ...], where: str, used: list[str]) -> str | None:
    """The first of some fields that is there; an empty text counts as absent, structured values become JSON."""
    for name in names:
        value = raw.get(name)
        if value is None or value == "":
            continue
        used.append(name)
        if isinstance(value, list):
            return fields.text_of_parts(value, f"{where}: {name}") if _is_parts(value) else fields.verbatim(value)
        return fields.verbatim(value)
    return None


def _observations(raw: Mapping[str, Any], where: str, used: list[str]) -> tuple[Observation, ...]:
    """What the step saw, and its error if that is another text."""
    has_error = raw.get("error") and not isinstance(raw["error"], bool)
    found = [_text(raw, OBSERVATIONS, where, used), _text(raw, ("error",), where, used) if has_error else None]
    return tuple(Observation(text) for text in dict.fromkeys(text for text in found if text is not None))


def _answer(raw: Mapping[str, Any], used: list[str], names: tuple[str, ...] = ("final_answer",)) -> str | None:
    """The final answer: text, or what becomes JSON; its name is added to `used`."""
    for name in names:
        value = raw.get(name)
        if value is None or isinstance(value, bool) or value in ([], {}, "") or not str(value).strip():
            continue
        used.append(name)
        return fields.verbatim(value)
    return None


def _is_said(last: Step, answer: str) -> bool:
    """Whether the last step ends in that answer."""
    return not last.tool_calls and last.message is not None and last.message.strip() == answer.strip()


def _is_parts(value: list[Any]) -> bool:
    return all(isinstance(part, Mapping) and "type" in part for part in value)


def _calls(raw: Mapping[str, Any], where: str, used: list[str], unread: set[str]) -> tuple[ToolCall, ...]:
    """The calls of `tool_calls`, else the one of the action; an action that repeats one of `tool_calls` is read."""
    given = raw.get("tool_calls")
    if not given:
        own = _call(raw, where, used, unread)
        return () if own is None else (own,)
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, list) or not all(isinstance(call, Mapping) for call in listed):
        raise RecordError(f"{where}: expected tool_calls to be a list of objects, got {given!r:.200}", "bad_tool_calls")
    calls = tuple(parts.tool_call(call, where) for call in listed)
    used.append("tool_calls")
    also: list[str] = []
    own = _call(raw, where, also, set())
    if own is not None and any(parts.same_call(own, call) for call in calls):
        used += also
    names = {call.function_name for call in calls}
    used += [key for key in ACTIONS if isinstance(raw.get(key), str) and raw[key] in names]
    return calls


def _call(raw: Mapping[str, Any], where: str, used: list[str], unread: set[str]) -> ToolCall | None:
    """The call of `action` and `action_input` or their variants."""
    action_key = next((key for key in ACTIONS if raw.get(key) not in (None, "", {}, [])), None)
    input_key = _input_key(raw)
    given = None if input_key is None else fields.verbatim(raw[input_key])
    if action_key is None:
        if input_key is None or given is None or raw[input_key] in ("", {}, []):
            return None
        used.append(input_key)
        return ToolCall("", given)
    used.append(action_key)
    action = raw[action_key]
    if isinstance(action, Mapping):
        call, left, took_given = _structured_call(action, given, where)
        unread.update(f"steps[].{action_key}.{key}" for key in left)
    else:
        text, took_given = fields.verbatim(action), True
        call = ToolCall("", text) if given is None else ToolCall(text, given)
    if took_given and input_key is not None:
        used.append(input_key)
    return call


def _structured_call(action: Mapping[str, Any], given: str | None, where: str) -> tuple[ToolCall, Sequence[str], bool]:
    """The call of an action that is an object, its keys that are not read, and whether it took the step's input."""
    if isinstance(action.get("function"), Mapping):
        return parts.tool_call(action, where), (), False
    inner_key = _input_key(action)
    name = next((action[key] for key in NAMES if isinstance(action.get(key), str)), None)
    arguments = given if inner_key is None else fields.verbatim(action[inner_key])
    if name is None or arguments is None:
        return ToolCall("", fields.verbatim(action)), (), False
    left = fields.left_over(action, [*NAMES, *([] if inner_key is None else [inner_key])])
    return ToolCall(name, arguments), left, inner_key is None


def _input_key(raw: Mapping[str, Any]) -> str | None:
    """The first input that holds something, else the first that is there."""
    there = [key for key in INPUTS if raw.get(key) is not None]
    return next((key for key in there if raw[key] not in ("", {}, [])), there[0] if there else None)
