"""ms-swift agent format: `messages` of system, user, assistant, tool_call and tool, with `loss` a message; `tools`.

A call is a message of role tool_call whose content is `{"name": ..., "arguments": ...}` as JSON text (arguments spelled
as in the source; a string where they are no object); calls that follow each other are parallel. A result is role
`tool` (ms-swift also calls it tool_response). `loss` stands on every assistant and tool_call message, so that the
masks do not depend on `--loss_scale`. Reasoning stands in the assistant message that comes before the calls, inside
`<think>` tags as ms-swift's templates expect it. `tools` is JSON text.

Not held: ids of calls and results (results follow in the order of the calls), names, metadata, marks on turns (final
answer, why the model stopped), recorded token ids; reasoning that is a summary, redacted or encrypted is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deepcoder_hf.export.json_text import call_text
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.trl import ids_of
from deepcoder_hf.export.turns import Holds, Turn, call_name, turns_of
from deepcoder_hf.trajectory import Trajectory

INPUT = "trajectories"
SUFFIXES = ("jsonl",)
HOLDS: Holds = frozenset(("reasoning", "untrained_turn", "ids"))


def export(trajectory: Trajectory, losses: Losses) -> dict[str, Any]:
    """One trajectory as a record.

    Raises:
        RecordError: It has no turns.
    """
    turns = turns_of(trajectory, HOLDS, losses)
    record: dict[str, Any] = {"messages": [message for turn in turns for message in _messages(turn, losses)]}
    if trajectory.tools:
        record["tools"] = f"[{', '.join(trajectory.tools)}]"
    return {**record, **ids_of(trajectory)}


def thought(turn: Turn) -> str:
    """What the agent says, with its reasoning in think tags before it."""
    return f"<think>\n{turn.reasoning}\n</think>\n\n{turn.content}" if turn.reasoning else turn.content


def _messages(turn: Turn, losses: Losses) -> Iterator[dict[str, Any]]:
    if turn.role != "assistant":
        yield {"role": turn.role, "content": turn.content}
        return
    if "</think>" in turn.content or "</think>" in (turn.reasoning or ""):
        losses.add("think_tag")
    if (said := thought(turn)) or not turn.calls:
        yield {"role": "assistant", "content": said, "loss": turn.trained}
    for call in turn.calls:
        if call.tool_call_id:
            losses.add("result_id")
        text = call_text(call_name(call, losses), call.arguments)
        yield {"role": "tool_call", "content": text, "loss": turn.trained}
