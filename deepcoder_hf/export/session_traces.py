"""Hugging Face session traces: a row a session with the columns that `datasets` gives for agent traces.

A row has harness, session_id, prompt (the first message of the user), messages, tools, metadata, num_user_messages and
num_tool_calls; what a session does not have is left out, no null is written. Messages have OpenAI's keys and
`reasoning_content`. With --split-files every session is a file of its own in the Session Trace Simple Format (a header
line, then a line a message; `reasoningContent`, `toolCalls`, `toolCallId`), which the Hub's trace viewer shows; that
form has no place for tools, nor for arguments other than a string.

Not held: marks on turns (untrained, final answer, summary or redacted reasoning, why the model stopped), recorded token
ids. Results are messages of their own. The simple format does not hold names, tools and metadata either.
"""

from __future__ import annotations

import json
from typing import Any

import xxhash

from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.trl import ids_of, message_of
from deepcoder_hf.export.turns import Holds, Turn, call_name, facts_of, turns_of, with_ids
from deepcoder_hf.trajectory import Trajectory, to_json

INPUT = "trajectories"
SUFFIXES = ("jsonl",)
JSON_COLUMNS = ("messages", "tools")
HOLDS: Holds = frozenset(("reasoning", "reasoning_mark", "name", "result_id", "ids", "metadata"))
HOLDS_SIMPLE: Holds = frozenset(("reasoning", "reasoning_mark", "result_id"))


def export(trajectory: Trajectory, losses: Losses) -> dict[str, Any]:
    """One trajectory as a row of agent traces.

    Raises:
        RecordError: It has no turns.
    """
    turns = _turns(trajectory, HOLDS, losses)
    row: dict[str, Any] = {"harness": _harness(trajectory), "session_id": _session_id(trajectory)}
    users = [turn.content for turn in turns if turn.role == "user"]
    if users:
        row["prompt"] = users[0]
    row["messages"] = [message_of(turn, losses) for turn in turns]
    if trajectory.tools:
        row["tools"] = [json.loads(tool) for tool in trajectory.tools]
    ids = {name: value for name, value in ids_of(trajectory).items() if name != "trajectory_id"}
    if facts := {**ids, **facts_of(trajectory)}:
        row["metadata"] = facts
    return {
        **row,
        "num_user_messages": len(users),
        "num_tool_calls": sum(len(turn.calls) for turn in turns),
    }


def lines(trajectory: Trajectory, losses: Losses) -> list[dict[str, Any]]:
    """One trajectory as the lines of a file in the Session Trace Simple Format.

    Raises:
        RecordError: It has no turns.
    """
    turns = _turns(trajectory, HOLDS_SIMPLE, losses)
    if any(turn.calls for turn in turns):
        turns = with_ids(turns, losses)
    header = {"type": "session", "harness": _harness(trajectory), "id": _session_id(trajectory)}
    return [header, *({"type": "message", "message": _simple(turn, losses)} for turn in turns)]


def _turns(trajectory: Trajectory, holds: Holds, losses: Losses) -> list[Turn]:
    turns = turns_of(trajectory, holds, losses)
    losses.add("reasoning_mark", n=sum(bool(turn.reasoning_kind and turn.reasoning) for turn in turns))
    return turns


def _simple(turn: Turn, losses: Losses) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.reasoning:
        message["reasoningContent"] = turn.reasoning
    if turn.calls:
        message["toolCalls"] = [
            {"id": call.tool_call_id, "function": {"name": call_name(call, losses), "arguments": call.arguments}}
            for call in turn.calls
        ]
    if turn.tool_call_id is not None:
        message["toolCallId"] = turn.tool_call_id
    return message


def _harness(trajectory: Trajectory) -> str:
    for key in ("harness", "agent"):
        if isinstance(trajectory.metadata.get(key), str):
            return str(trajectory.metadata[key])
    return trajectory.source_format


def _session_id(trajectory: Trajectory) -> str:
    return trajectory.trajectory_id or xxhash.xxh3_128_hexdigest(to_json(trajectory).encode("utf-8", "surrogatepass"))
