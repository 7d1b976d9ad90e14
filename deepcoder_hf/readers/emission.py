"""Parts of an agent's turn in the order of emission -> steps; a part that cannot follow in a step begins the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deepcoder_hf.readers import fields
from deepcoder_hf.trajectory import Observation, ReasoningKind, Step, ToolCall

REASONING, TEXT, CALL, RESULT = range(4)
"""Order of the parts of a step."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a turn holds."""

    place: int
    """`REASONING`, `TEXT`, `CALL` or `RESULT`."""
    value: str | ToolCall | Observation
    """The text of reasoning or of a message, a call, or a result."""
    kind: ReasoningKind = ""
    """Of reasoning: what it is where it is not the model's own."""
    joins: bool = False
    """The text goes on the part of the same place and kind right before it."""
    answer: bool = False
    """The text is known to be the final answer."""


def turn_steps(parts: Sequence[Part], finish_reason: str | None = None, trained: bool = True) -> list[Step]:
    """Steps of one turn of an agent.

    A text before a call is preamble and stands in the step of that call. Where reasoning, a result or another text
    lies between them it becomes reasoning of a step of its own, since the order is kept; final answers never do.

    Args:
        parts: The parts in order; empty texts are left out.
        finish_reason: Why the turn ended; it stands in the last step.
        trained: Whether the steps may be trained.

    Returns:
        Steps of source agent, each with its parts in the order reasoning, message, calls, results.
    """
    said = _joined(parts)
    groups: list[list[Part]] = []
    for part, early in zip(said, _early(said), strict=True):
        if early:
            part = replace(part, place=REASONING)
        before = groups[-1][-1].place if groups else RESULT
        if not groups or part.place == REASONING or part.place < before or part.place == before == TEXT:
            groups.append([])
        groups[-1].append(part)
    steps = [_step(group, trained) for group in groups]
    if steps and finish_reason:
        steps[-1] = replace(steps[-1], finish_reason=finish_reason)
    return steps


def _joined(parts: Sequence[Part]) -> list[Part]:
    said: list[Part] = []
    for part in parts:
        if part.value == "":
            continue
        last = said[-1] if said else None
        follows = last is not None and (last.place, last.kind, last.answer) == (part.place, part.kind, part.answer)
        if part.joins and last and follows and isinstance(last.value, str) and isinstance(part.value, str):
            said[-1] = replace(last, value=fields.joined((last.value, part.value)))
        else:
            said.append(part)
    return said


def _early(parts: Sequence[Part]) -> list[bool]:
    """For each part, whether it is a text before a call of the turn, and a result or a text lies between."""
    early = []
    has_call, following = False, RESULT
    for part in reversed(parts):
        early.append(part.place == TEXT and not part.answer and has_call and following not in (CALL, REASONING))
        has_call = has_call or part.place == CALL
        following = part.place
    return early[::-1]


def _step(group: Sequence[Part], trained: bool) -> Step:
    texts = {part.place: part for part in group if isinstance(part.value, str)}
    thought, said = texts.get(REASONING), texts.get(TEXT)
    reasoning, message = (part.value if part and isinstance(part.value, str) else None for part in (thought, said))
    return Step(
        "agent",
        message,
        reasoning,
        tuple(part.value for part in group if isinstance(part.value, ToolCall)),
        tuple(part.value for part in group if isinstance(part.value, Observation)),
        answer=said is not None and said.answer,
        reasoning_kind="" if thought is None else thought.kind,
        trained=trained,
    )
