"""TRL: `messages` and `tools` for SFTTrainer and its relatives (conversational format, tool calling).

Arguments that are a JSON object are written as that object, since chat templates expect one; any other arguments stay
the string that they are. Keys that a message does not have are not written: no null is invented. JSONL is for
`load_dataset("json")`, which keeps differing arguments apart since datasets 4.7 (what TRL 1.16 demands); Parquet holds
`messages` and `tools` as lists of the feature type `Json`, so that arguments come back as they are there too.

Not held: marks on turns (untrained, final answer, why the model stopped), recorded token ids, metadata; reasoning that
is a summary, redacted or encrypted is left out, since TRL would train it. Results are messages of their own.
"""

from __future__ import annotations

import json
from typing import Any

from deepcoder_hf.export.json_text import json_object, same_spelling
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.turns import Holds, Turn, call_name, turns_of
from deepcoder_hf.trajectory import ToolCall, Trajectory

INPUT = "trajectories"
SUFFIXES = ("jsonl", "parquet")
HOLDS: Holds = frozenset(("reasoning", "name", "result_id", "ids"))
JSON_COLUMNS = ("messages", "tools")
"""Lists whose elements differ from row to row."""


def export(trajectory: Trajectory, losses: Losses) -> dict[str, Any]:
    """One trajectory as a record.

    Raises:
        RecordError: It has no turns.
    """
    turns = turns_of(trajectory, HOLDS, losses)
    record: dict[str, Any] = {"messages": [message_of(turn, losses) for turn in turns]}
    if trajectory.tools:
        record["tools"] = [json.loads(tool) for tool in trajectory.tools]
    return {**record, **ids_of(trajectory)}


def ids_of(trajectory: Trajectory) -> dict[str, str]:
    """The ids that a trajectory has."""
    ids = {
        "trajectory_id": trajectory.trajectory_id,
        "group_id": trajectory.group_id,
        "parent_id": trajectory.parent_id,
    }
    return {name: value for name, value in ids.items() if value is not None}


def message_of(turn: Turn, losses: Losses) -> dict[str, Any]:
    """A turn as a message with OpenAI's keys, and `reasoning_content`."""
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.reasoning:
        message["reasoning_content"] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = [_call(call, losses) for call in turn.calls]
    if turn.tool_call_id is not None:
        message["tool_call_id"] = turn.tool_call_id
    if turn.name is not None:
        message["name"] = turn.name
    return message


def _call(call: ToolCall, losses: Losses) -> dict[str, Any]:
    arguments: Any = json_object(call.arguments)
    if arguments is None:
        arguments = call.arguments
    elif not same_spelling(arguments, call.arguments):
        losses.add("argument_spelling")
    number = {} if call.tool_call_id is None else {"id": call.tool_call_id}
    return {**number, "type": "function", "function": {"name": call_name(call, losses), "arguments": arguments}}
