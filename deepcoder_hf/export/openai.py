"""OpenAI fine-tuning: JSONL of `messages`, `tools` and `parallel_tool_calls`, with `weight` 0 or 1 on assistant turns.

Arguments are the source's string, verbatim. `weight` is written where a trajectory has an untrained turn, on every
assistant message; `parallel_tool_calls` is written where there are tools, and says whether a turn has several calls.
Definitions in the shapes of other providers become functions (`input_schema` -> `parameters`). Calls and results need
ids: where the source has none they are made up, results in the order of the calls.

Not held: reasoning of any kind, ids, metadata, marks on turns (final answer, why the model stopped), recorded token
ids. A result that answers no call of the turn before it is the reject `result_without_call`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.turns import Holds, Turn, call_name, turns_of, with_ids
from deepcoder_hf.trajectory import Trajectory

INPUT = "trajectories"
SUFFIXES = ("jsonl",)
HOLDS: Holds = frozenset(("name", "untrained_turn", "result_id"))


def export(trajectory: Trajectory, losses: Losses) -> dict[str, Any]:
    """One trajectory as a line of a training file.

    Raises:
        RecordError: It has no turns, or a result without its call.
    """
    turns = with_ids(turns_of(trajectory, HOLDS, losses), losses)
    weighted = any(not turn.trained for turn in turns)
    record: dict[str, Any] = {"messages": [_message(turn, weighted, losses) for turn in turns]}
    n_calls = sum(len(turn.calls) for turn in turns)
    if unanswered := n_calls - sum(turn.role == "tool" for turn in turns):
        losses.add("unanswered_call", n=unanswered)
    if trajectory.tools:
        record["tools"] = [_function(json.loads(tool)) for tool in trajectory.tools]
        record["parallel_tool_calls"] = any(len(turn.calls) > 1 for turn in turns)
    return record


def _message(turn: Turn, weighted: bool, losses: Losses) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": call_name(call, losses), "arguments": call.arguments},
            }
            for call in turn.calls
        ]
        if not turn.content:
            del message["content"]  # the API takes a call without content, but no empty one
    if turn.tool_call_id is not None:
        message["tool_call_id"] = turn.tool_call_id
    if turn.name is not None:
        message["name"] = turn.name
    if weighted and turn.role == "assistant":
        message["weight"] = int(turn.trained)
    return message


def _function(definition: Any) -> Any:
    """A tool definition with OpenAI's keys; one that is not known stays as it is."""
    if not isinstance(definition, Mapping) or "function" in definition or not isinstance(definition.get("name"), str):
        return definition
    inner = {key: value for key, value in definition.items() if key not in ("type", "input_schema")}
    if "input_schema" in definition:
        inner.setdefault("parameters", definition["input_schema"])
    return {"type": "function", "function": inner}
