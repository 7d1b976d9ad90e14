"""Trajectory, Step, ToolCall and Observation: the record that travels between reading and rendering.

Field names follow ATIF (Agent Trajectory Interchange Format): `steps`, `source`, `message`, `reasoning_content`,
`tool_calls`, `observation.results`. One thing is added: `source="text"` marks a step whose text came flattened, roles
and all, so that only span detection can tell what is what.

Steps, calls and results are never changed, `dataclasses.replace` makes others; they are not frozen, since making a
frozen one of twelve fields takes seven times as long, and a run makes two for every turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal

import orjson

NOT_ORJSON = " "
"""Before JSON with what orjson refuses (lone surrogates) or would round (integers of more than 64 bits)."""

Source = Literal["system", "user", "agent", "tool", "text"]
ReasoningKind = Literal["", "summary", "redacted", "encrypted"]


@dataclass(slots=True, unsafe_hash=True)
class ToolCall:
    """One call of a tool, as the model wrote it."""

    function_name: str
    """Name of the tool; empty where the source has code or a command and no name."""
    arguments: str
    """The arguments verbatim: JSON text, code or a command line, also when it is not valid JSON."""
    tool_call_id: str | None = None
    """Id that a result refers to, where the source has one."""
    language: str | None = None
    """Language of the code of a call without a name, where the source says it."""


@dataclass(slots=True, unsafe_hash=True)
class Observation:
    """One result of a call."""

    content: str
    """What came back, verbatim."""
    tool_call_id: str | None = None
    """The call that it answers, where the source says so."""
    name: str | None = None
    """Name of the tool, where the source says so."""


@dataclass(slots=True, unsafe_hash=True)
class Step:
    """One turn: what one participant said, thought, called and saw."""

    source: Source
    """Who speaks: `tool` is a result that stands alone, `text` a whole flattened trajectory."""
    message: str | None = None
    """Visible text, verbatim; the result itself where the source is `tool`."""
    reasoning_content: str | None = None
    """Reasoning that the source keeps apart from the message, verbatim."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls in the order of emission."""
    observations: tuple[Observation, ...] = ()
    """Results of this step's calls; where ids say which call they answer, in the order of the calls."""
    answer: bool = False
    """The message is known to be the final answer."""
    tool_call_id: str | None = None
    """For source `tool`: the call that it answers."""
    name: str | None = None
    """For source `tool`: name of the tool. Else the name of the participant, where the source has one."""
    reasoning_kind: ReasoningKind = ""
    """What `reasoning_content` is where it is not the model's own reasoning: it is never trained by default."""
    trained: bool = True
    """False for what an agent said elsewhere (copied context) or what the source excludes (weight 0)."""
    finish_reason: str | None = None
    """Why the model stopped, where the source says so; `length` and `aborted` mean that the turn is not whole."""
    prompt_token_ids: tuple[int, ...] = ()
    """Ids that the model was given for this step, where they were recorded."""
    completion_token_ids: tuple[int, ...] = ()
    """Ids that the model gave for this step, where they were recorded."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One trajectory as its reader understood it, before any rendering."""

    steps: tuple[Step, ...]
    """Turns in order; at least one."""
    source_format: str
    """Name of the reader in `READERS`."""
    trajectory_id: str | None = None
    """Id that the source gives; None lets the pipeline derive one from the content."""
    group_id: str | None = None
    """The problem that was solved, where the source names it."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Facts that JSON can hold: reward, model, licence, and the small scalar fields of the record under `extra`."""
    tools: tuple[str, ...] = ()
    """Definitions of the tools that the agent had, each a JSON object as text."""
    parent_id: str | None = None
    """For a side chain, a sub-agent or a continued session: id of the trajectory it belongs to."""


def to_json(trajectory: Trajectory) -> str:
    """Serialise the content of a trajectory, without its ids and format, to compact JSON.

    A lone surrogate that a source contained is written as its escape, since UTF-8 cannot hold it.
    """
    content: dict[str, Any] = {"steps": [_compact(step) for step in trajectory.steps]}
    content["metadata"] = dict(trajectory.metadata)
    if trajectory.tools:
        content["tools"] = list(trajectory.tools)
    try:
        return orjson.dumps(content).decode()
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        return NOT_ORJSON + json.dumps(content, separators=(",", ":"))


def n_characters(trajectory: Trajectory) -> int:
    """Characters of what was said, thought, called and seen."""
    texts = [text for step in trajectory.steps for text in (step.message, step.reasoning_content) if text]
    texts += [text for s in trajectory.steps for c in s.tool_calls for text in (c.function_name, c.arguments)]
    texts += [result.content for step in trajectory.steps for result in step.observations]
    return sum(map(len, texts))


def from_json(text: str, source_format: str) -> Trajectory:
    """Read back what `to_json` wrote.

    Raises:
        ValueError: The text is not what `to_json` writes.
    """
    content = json.loads(text) if text.startswith(NOT_ORJSON) else orjson.loads(text)
    return Trajectory(
        steps=tuple(_step(step) for step in content["steps"]),
        source_format=source_format,
        metadata=content["metadata"],
        tools=tuple(content.get("tools", ())),
    )


_STEP_FIELDS = tuple((f.name, f.default) for f in fields(Step) if f.name not in ("tool_calls", "observations"))
_STEP_VALUES = attrgetter(*(name for name, _ in _STEP_FIELDS))
_CALL_FIELDS = tuple(f.name for f in fields(ToolCall))
_OBSERVATION_FIELDS = tuple(f.name for f in fields(Observation))


def _compact(step: Step) -> dict[str, Any]:
    """A step without what is at its default; calls and results as short lists."""
    written = {
        name: value
        for (name, default), value in zip(_STEP_FIELDS, _STEP_VALUES(step), strict=True)
        if value is not default and value != default
    }
    if step.tool_calls:
        written["tool_calls"] = [_row(call, _CALL_FIELDS) for call in step.tool_calls]
    if step.observations:
        written["observations"] = [_row(result, _OBSERVATION_FIELDS) for result in step.observations]
    return written


def _row(item: ToolCall | Observation, names: tuple[str, ...]) -> list[str | None]:
    values = [getattr(item, name) for name in names]
    while values[-1] is None:
        values.pop()
    return values


def _step(written: dict[str, Any]) -> Step:
    for name in ("prompt_token_ids", "completion_token_ids"):
        if name in written:
            written[name] = tuple(written[name])
    if "tool_calls" in written:
        written["tool_calls"] = tuple(ToolCall(*call) for call in written["tool_calls"])
    if "observations" in written:
        written["observations"] = tuple(Observation(*result) for result in written["observations"])
    return Step(**written)
