"""LLaMA-Factory ShareGPT: `conversations` of human, gpt, function_call and observation, `system`, `tools`.

LLaMA-Factory takes turns of the two sides in strict alternation and skips every other record with a warning, so:
messages of one side that follow each other are joined (a blank line between them), results of parallel calls become one
observation (joined as its own converter of OpenAI messages does), what follows the last turn of the agent is left out,
and a record that still does not alternate is the reject `not_alternating`. The value of a function_call is JSON text:
an object, or a list for parallel calls; arguments are spelled as in the source. Reasoning stands in front in `<think>`
tags; text before a call stands in front of the JSON, which then is in `<tool_call>` tags (only versions whose templates
have `tool_call_words` read that). The entry for dataset_info.json is written beside the output; an output without a
suffix is a folder that holds the records and a dataset_info.json.

Not held: ids of calls and results, names, metadata, marks on turns (untrained, final answer, why the model stopped),
recorded token ids; reasoning that is a summary, redacted or encrypted is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.export.json_text import call_text
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.ms_swift import thought
from deepcoder_hf.export.trl import ids_of
from deepcoder_hf.export.turns import Holds, Turn, call_name, turns_of
from deepcoder_hf.trajectory import Trajectory

INPUT = "trajectories"
SUFFIXES = ("jsonl",)
HOLDS: Holds = frozenset(("reasoning", "ids"))
BETWEEN_RESULTS = "\n</tool_response>\n<tool_response>\n"
BETWEEN_MESSAGES = "\n\n"
AGENT = ("gpt", "function_call")


@dataclass(slots=True)
class _Message:
    speaker: str
    value: str


def export(trajectory: Trajectory, losses: Losses) -> dict[str, Any]:
    """One trajectory as a record.

    Raises:
        RecordError: It has no turns (`not_structured`, `no_assistant_turn`), or they do not alternate
            (`not_alternating`).
    """
    turns = turns_of(trajectory, HOLDS, losses)
    system = [turn.content for turn in turns if turn.role == "system"]
    messages: list[_Message] = []
    for turn in turns:
        if turn.role != "system":
            _add(messages, _message(turn, losses), losses)
    while messages and messages[-1].speaker not in AGENT:
        losses.add("trailing_turn", messages.pop().value)
    _check_alternation(messages)
    record: dict[str, Any] = {"conversations": [{"from": m.speaker, "value": m.value} for m in messages]}
    if len(system) > 1:
        losses.add("joined_messages", n=len(system) - 1)
    record["system"] = BETWEEN_MESSAGES.join(system)
    record["tools"] = f"[{', '.join(trajectory.tools)}]" if trajectory.tools else ""
    return {**record, **ids_of(trajectory)}


def side_file(file_name: str) -> dict[str, Any]:
    """The entry of dataset_info.json for an output."""
    entry = {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
    }
    return {file_name.split(".")[0]: entry}


def _message(turn: Turn, losses: Losses) -> _Message:
    if turn.role == "user":
        return _Message("human", turn.content)
    if turn.role == "tool":
        return _Message("observation", turn.content)
    if not turn.calls:
        return _Message("gpt", thought(turn))
    losses.add("result_id", n=sum(call.tool_call_id is not None for call in turn.calls))
    calls = [call_text(call_name(call, losses), call.arguments) for call in turn.calls]
    text = calls[0] if len(calls) == 1 else f"[{', '.join(calls)}]"
    return _Message("function_call", thought(turn) + (f"<tool_call>{text}</tool_call>" if turn.content else text))


def _add(messages: list[_Message], message: _Message, losses: Losses) -> None:
    """Add a message, or join it to the one before where the same speaker goes on."""
    before = messages[-1] if messages else None
    if before is None or before.speaker != message.speaker or message.speaker == "function_call":
        messages.append(message)
    elif message.speaker == "observation":
        losses.add("joined_results")
        before.value += BETWEEN_RESULTS + message.value
    else:
        losses.add("joined_messages")
        before.value += BETWEEN_MESSAGES + message.value


def _check_alternation(messages: Sequence[_Message]) -> None:
    for number, message in enumerate(messages):
        if (message.speaker in AGENT) != bool(number % 2):
            expected = "the agent" if number % 2 else "the user or a result"
            raise RecordError(
                f"message {number}: LLaMA-Factory expects turns in alternation, here {expected}, got "
                f"{message.speaker}; choose another format",
                "not_alternating",
            )
    if not messages:
        raise RecordError("expected a turn of the user and one of the agent, got none", "not_alternating")
