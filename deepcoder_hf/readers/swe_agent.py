"""SWE-agent `.traj`: `trajectory` of thought, action, observation, response, and `history` of messages with agent.

The history is what the model saw and said, with the calls as it wrote them; the trajectory repeats it, and is read
where the history is missing or shorter. A demonstration is context that this agent did not write: it is not trained,
nor are the turns that the harness writes itself when a run ends early.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, parts, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

EXIT = re.compile(r"Exit(?:ed)? (?:due to|\(|because)")  # "Exit due to cost limit": the harness says so, not the model
STEP_KEYS = frozenset(("thought", "action", "observation"))
STEP_MARKS = frozenset(("response", "state", "query", "execution_time"))
IGNORED = {
    "**trajectory[].response": "the thought and the action again, with their fence",
    "**trajectory[].action": "the command that the harness made of a call",
    "**trajectory[].observation": "the observation of the history again, without the prompt around it",
    "**trajectory[].state": "the state of the shell after the step",
    "**trajectory[].query": "the history again, as each call was given it",
    "**trajectory[].messages": "the history again, as each call was given it",
    "**trajectory[].extra_info": "notes of the harness",
    "**history[].thought": "the thought of the trajectory again",
    "**history[].action": "the command that the harness made of a call",
    "**history[].content": "the thought and the action again, with their fence",
    "**history[].agent": "the name of the harness's agent",
    "**history[].message_type": "structure, not text",
    "**history[].tags": "structure, not text",
    "**history[].cache_control": "a setting of the request",
    "**history[].tool_call_ids": "an id",
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


def _one(record: Record) -> Trajectory:
    counts: dict[str, Any] = {}
    listed = record.get("trajectory")
    if not isinstance(listed, list):
        listed = []
    history = record.get("history")
    history = history if isinstance(history, list) else []
    n_said = sum(_is_agents(message) for message in history)
    if n_said == len(listed):
        history = _with_thoughts(history, listed)
    steps = _of_history(history if n_said >= len(listed) else _before_agent(history), counts)
    if n_said < len(listed):
        steps = [*steps, *(step for n, raw in enumerate(listed) for step in _of_step(raw, f"trajectory[{n}]"))]
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


def _is_agents(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "assistant" and not message.get("is_demo")


def _before_agent(history: list[Any]) -> list[Any]:
    """What was given to the agent before its first turn."""
    return history[: next((n for n, message in enumerate(history) if _is_agents(message)), len(history))]


def _with_thoughts(history: list[Any], listed: list[Any]) -> list[Any]:
    """The history with the thoughts of the trajectory, which stay what the model said where a history was edited."""
    thoughts = iter([turns.object_of(step).get("thought") for step in listed])
    told = []
    for message in history:
        thought = next(thoughts) if _is_agents(message) else None
        if isinstance(thought, str):
            again = {"content": thought} if message.get("content") == message.get("thought") else {}
            message = {**message, "thought": thought, **again}
        told.append(message)
    return told


def _of_history(history: list[Any], counts: dict[str, Any]) -> list[Step]:
    steps: list[Step] = []
    for number, message in enumerate(history):
        where = f"history[{number}]"
        role = message.get("role") if isinstance(message, Mapping) else None
        demo = isinstance(message, Mapping) and bool(message.get("is_demo"))
        if role == "assistant":
            found = _agent(message, where, counts)
        elif role == "tool":
            found = _tool(message, where)
        else:
            found = turns.message_steps(message, where, counts)
            kind = message.get("message_type", "observation")
            if role == "user" and kind == "observation" and not demo and steps and _acts(steps[-1]):
                last = steps.pop()
                seen = tuple(Observation(step.message or "") for step in found)
                found = [replace(last, observations=(*last.observations, *seen))]
        steps += [replace(step, trained=False) for step in found] if demo else found
    return steps


def _acts(step: Step) -> bool:
    return step.source == "agent" and bool(step.tool_calls) and not step.observations


def _agent(message: Mapping[str, Any], where: str, counts: dict[str, Any]) -> list[Step]:
    """The step of an assistant message of the history."""
    thought, action = turns.string_of(message.get("thought")), turns.string_of(message.get("action"))
    called = bool(message.get("tool_calls"))
    if thought is None or not (called or (action and action.strip())):
        return _unless_exit(turns.agent_steps(message, where, counts))
    beside = {key: value for key, value in message.items() if key != "content"}
    found = turns.agent_steps(beside, where, counts)
    content = message.get("content")
    if called and isinstance(content, str) and content.strip() and thought.strip() not in content:
        return _unless_exit(turns.agent_steps(message, where, counts))
    head = found[-1] if found else Step("agent")
    if not called:
        head = replace(head, tool_calls=(ToolCall("", action or "", language="bash"),))
    hidden = len(found) > 1 or head.reasoning_content is not None or head.reasoning_kind
    told = replace(head, message=thought) if hidden else replace(head, reasoning_content=thought)
    return _unless_exit([*found[:-1], told])


def _unless_exit(steps: list[Step]) -> list[Step]:
    """Steps, not trained where the harness wrote them to say that the run ended."""
    said = [step.message or step.reasoning_content or "" for step in steps]
    ended = len(steps) == 1 and not steps[0].tool_calls and EXIT.match(said[0])
    return [replace(steps[0], trained=False, finish_reason="aborted")] if ended else steps


def _tool(message: Mapping[str, Any], where: str) -> list[Step]:
    ids = message.get("tool_call_ids")
    first = ids[0] if isinstance(ids, list) and ids else None
    beside = {key: value for key, value in message.items() if key != "id"}
    return turns.tool_steps({"tool_call_id": first, **beside} if first is not None else beside, where)


def _of_step(raw: Any, where: str) -> list[Step]:
    """The step of an entry of the trajectory."""
    if not isinstance(raw, Mapping):
        raise RecordError(
            f"{where}: expected an object with thought, action and observation, got {type(raw).__name__}", "bad_step"
        )
    thought, action, response = (turns.string_of(raw.get(name)) for name in ("thought", "action", "response"))
    seen = raw.get("observation")
    observations = () if seen is None or seen == "" else (Observation(turns.text_of(seen, where)),)
    if action is None or not action.strip():
        said = response if isinstance(raw.get("response"), str) else thought
        return _unless_exit([Step("agent", said, observations=observations)] if said or observations else [])
    call = ToolCall("", action, language="bash")
    given = turns.objects_of(raw.get("tool_calls"))
    calls = tuple(parts.tool_call(item, where) for item in given) or (call,)
    return [Step("agent", None, thought, calls, observations)]
