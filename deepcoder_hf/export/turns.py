"""Trajectory -> turns of a chat: the common ground of the chat formats, each of which says what it can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from deepcoder_hf.errors import RecordError
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

Role = Literal["system", "user", "assistant", "tool"]
Holds = frozenset[str]
"""What a format holds, of: reasoning, reasoning_mark, name, untrained_turn, finish_reason, result_id, ids, metadata."""
DERIVED = ("read", "calls_without_result", "results_without_call", "unread_fields")
"""Facts in a trajectory's metadata that a reader works out again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one participant says in a chat."""

    role: Role
    content: str
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    trained: bool = True
    finish_reason: str | None = None
    reasoning_kind: str = ""


def turns_of(trajectory: Trajectory, holds: Holds, losses: Losses) -> list[Turn]:
    """The turns of a trajectory in order, results as turns of their own.

    Args:
        trajectory: What to export.
        holds: What the format has a place for; the rest is counted.
        losses: Gets what is lost.

    Raises:
        RecordError: The trajectory is flattened text (`not_structured`), or the agent says nothing
            (`no_assistant_turn`).
    """
    check_structured(trajectory)
    turns = [turn for step in trajectory.steps for turn in _turns(step, holds, losses)]
    if not any(turn.role == "assistant" for turn in turns):
        raise RecordError("nothing that the agent says is left in this format; choose another", "no_assistant_turn")
    if "ids" not in holds and any((trajectory.trajectory_id, trajectory.group_id, trajectory.parent_id)):
        losses.add("ids")
    if "metadata" not in holds and (n := len(facts_of(trajectory))):
        losses.add("metadata", n=n)
    return turns


def check_structured(trajectory: Trajectory) -> None:
    """Refuse what has no turns or no agent.

    Raises:
        RecordError: `not_structured` or `no_assistant_turn`.
    """
    if any(step.source == "text" for step in trajectory.steps):
        raise RecordError(
            "expected turns, got one flattened text; process it first and export its rows (trl-tokenized, axolotl, "
            "verl)",
            "not_structured",
        )
    if not any(step.source == "agent" for step in trajectory.steps):
        raise RecordError("expected an assistant turn, got none", "no_assistant_turn")


def facts_of(trajectory: Trajectory) -> dict[str, object]:
    """The metadata of a trajectory without what a reader works out again."""
    return {key: value for key, value in trajectory.metadata.items() if key not in DERIVED}


def call_name(call: ToolCall, losses: Losses) -> str:
    """The name of a call; one without a name is called after its language."""
    if call.function_name:
        if call.language:
            losses.add("language")
        return call.function_name
    losses.add("nameless_call")
    return call.language or "code"


def _turns(step: Step, holds: Holds, losses: Losses) -> Iterator[Turn]:
    name = step.name
    if name and "name" not in holds:
        losses.add("name", name)
        name = None
    if step.source == "tool":
        yield _result(step.message or "", step.tool_call_id, name, holds, losses)
        return
    if step.source in ("system", "user"):
        yield Turn("system" if step.source == "system" else "user", step.message or "", name=name)
        return
    turn = replace(_agent(step, holds, losses), name=name)
    if turn.content or turn.reasoning or turn.calls:
        yield turn
    elif not step.observations:
        losses.add("empty_turn")
    for result in step.observations:
        result_name = result.name if "name" in holds else None
        if result.name and result_name is None:
            losses.add("name", result.name)
        yield _result(result.content, result.tool_call_id, result_name, holds, losses)


def _result(content: str, number: str | None, name: str | None, holds: Holds, losses: Losses) -> Turn:
    if number is not None and "result_id" not in holds:
        losses.add("result_id")
        number = None
    return Turn("tool", content, tool_call_id=number, name=name)


def _agent(step: Step, holds: Holds, losses: Losses) -> Turn:
    reasoning, finish_reason = step.reasoning_content or None, step.finish_reason
    if step.reasoning_kind and "reasoning_mark" not in holds:  # it must not be trained as the model's own
        losses.add("reasoning_kind", reasoning)
        reasoning = None
    elif reasoning and "reasoning" not in holds:
        losses.add("reasoning", reasoning)
        reasoning = None
    if not step.trained and "untrained_turn" not in holds:
        losses.add("untrained_turn")
    if finish_reason and "finish_reason" not in holds:
        losses.add("finish_reason")
        finish_reason = None
    if step.answer:
        losses.add("answer_mark")
    if step.prompt_token_ids or step.completion_token_ids:
        losses.add("token_ids")
    return Turn(
        "assistant",
        step.message or "",
        reasoning,
        step.tool_calls,
        trained=step.trained,
        finish_reason=finish_reason,
        reasoning_kind=step.reasoning_kind,
    )


def with_ids(turns: Sequence[Turn], losses: Losses) -> list[Turn]:
    """Give calls and results without an id one, results in the order of the calls that wait for them.

    Raises:
        RecordError: A result answers no call (`result_without_call`).
    """
    taken = {call.tool_call_id for turn in turns for call in turn.calls}
    waiting: list[str] = []
    done: list[Turn] = []
    for turn in turns:
        if turn.calls:
            turn = replace(turn, calls=tuple(_with_id(call, taken, losses) for call in turn.calls))
            waiting = [call.tool_call_id for call in turn.calls if call.tool_call_id]
        elif turn.role == "tool":
            number = turn.tool_call_id or (waiting[0] if waiting else None)
            if number is None or number not in waiting:
                raise RecordError(
                    f"a result ({turn.content[:60]!r}) answers no call of the turn before it; this format needs one",
                    "result_without_call",
                )
            waiting.remove(number)
            turn = replace(turn, tool_call_id=number)
        done.append(turn)
    return done


def _with_id(call: ToolCall, taken: set[str | None], losses: Losses) -> ToolCall:
    if call.tool_call_id:
        return call
    number = next(f"call_{n}" for n in range(1, len(taken) + 2) if f"call_{n}" not in taken)
    taken.add(number)
    losses.add("made_up_id")
    return replace(call, tool_call_id=number)
