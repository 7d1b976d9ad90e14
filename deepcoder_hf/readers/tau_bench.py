"""tau-bench: `traj` of chat messages beside task_id and reward; tau2-bench: `simulations`, or one of them.

The simulated user is a user; what it was told to do (`info.task.instruction`) and the right answer are no part of the
trajectory. Calls that the simulated user makes are not the agent's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

SIMULATION = ("termination_reason", "reward_info", "user_cost", "agent_cost", "start_time")
IGNORED = {
    "info.*": "the task as the simulated user knows it, its right answer, and settings of the run",
    "tasks[].*": "the tasks as the simulated user knows them, and their right answers",
    "simulations[].reward_info.*": "how the reward was reckoned",
    "reward_info.*": "how the reward was reckoned",
    "simulations[].review.*": "a review of the conversation",
    "messages[].raw_data": "the answer of the provider again",
    "simulations[].messages[].raw_data": "the answer of the provider again",
    "messages[].requestor": "structure, not text",
    "simulations[].messages[].requestor": "structure, not text",
    "**.tool_calls[].requestor": "structure, not text",
    "**.tool_messages[].requestor": "structure, not text",
    "start_time": "a time",
    "end_time": "a time",
    "termination_reason": "how the run ended, in the metadata",
}


def matches(record: Record) -> bool:
    """`traj` with task_id, reward or trial, or messages of tau2-bench with what its simulations say."""
    if isinstance(record.get("traj"), list):
        return "task_id" in record and ("reward" in record or "trial" in record)
    simulations = turns.objects_of(record.get("simulations"))
    return _is_simulation(record) or (bool(simulations) and _is_simulation(simulations[0]))


def read(record: Record) -> Trajectory | list[Trajectory]:
    """Read one record.

    Raises:
        RecordError: No turn of the agent (`no_assistant_turn`), or what `turns.steps_of` refuses.
    """
    if not isinstance(record.get("simulations"), list):
        return _one(record, "traj" if isinstance(record.get("traj"), list) else "messages")
    info = turns.object_of(turns.object_of(record.get("info")).get("agent_info"))
    found = [_one(item, "messages") for item in turns.objects_of(record["simulations"]) if item.get("messages")]
    if not found:
        raise RecordError("expected simulations with messages, got none; drop the record", "no_assistant_turn")
    model = {"model": info["llm"]} if isinstance(info.get("llm"), str) else {}
    return [
        Trajectory(one.steps, one.source_format, one.trajectory_id, one.group_id, {**model, **one.metadata})
        for one in found
    ]


def _is_simulation(record: Record) -> bool:
    return isinstance(record.get("messages"), list) and "task_id" in record and any(key in record for key in SIMULATION)


def _one(record: Record, name: str) -> Trajectory:
    if not isinstance(record.get(name), list):
        raise RecordError(f"expected a list of messages in {name!r}, got another type", "empty_messages")
    counts: dict[str, Any] = {}
    steps: list[Step] = []
    for number, message in enumerate(record[name]):
        steps += _steps(message, f"{name}[{number}]", counts)
    turns.require_agent(steps)
    used = (name, "info", "reward_info", *fields.GROUP_FIELDS)
    facts = fields.metadata_of(record, used)
    facts.pop("unread_fields", None)
    reward = turns.object_of(record.get("reward_info")).get("reward")
    if isinstance(reward, int | float):
        facts.setdefault("reward", reward)
    return Trajectory(
        steps=tuple(steps),
        source_format="tau_bench",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata={**facts, **counts},
        tools=turns.definitions(record.get("tools")),
    )


def _steps(message: Any, where: str, counts: dict[str, Any]) -> list[Step]:
    if not isinstance(message, Mapping):
        return turns.message_steps(message, where, counts)
    if isinstance(message.get("tool_messages"), list):
        return [
            step
            for number, item in enumerate(message["tool_messages"])
            for step in _steps(item, f"{where}.tool_messages[{number}]", counts)
        ]
    if message.get("requestor") == "user" and message.get("role") == "tool":
        text = turns.text_of(message.get("content"), where)
        return [Step("user", text, name="tool")] if text else []
    found = turns.message_steps(message, where, counts)
    if message.get("role") == "user" and message.get("tool_calls"):
        found.append(Step("user", fields.verbatim(message["tool_calls"]), name="user"))
    return found
