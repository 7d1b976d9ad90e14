"""Trajectory, Step and ToolCall: the record that travels between reading and rendering.

Field names follow ATIF (Agent Trajectory Interchange Format): `steps`, `source`, `message`, `reasoning_content`,
`tool_calls`, `observation.results`. One thing is added: `source="text"` marks a step whose text came flattened, roles
and all, so that only span detection can tell what is what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

NOT_ORJSON = " "
"""Before JSON with what orjson refuses (lone surrogates) or would round (integers of more than 64 bits)."""

Source = Literal["system", "user", "agent", "tool", "text"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as the model wrote it."""

    function_name: str
    """Name of the tool; empty where the source has code or a command and no name."""
    arguments: str
    """The arguments verbatim: JSON text, code or a command line, also when it is not valid JSON."""
    tool_call_id: str | None = None
    """Id that a result refers to, where the source has one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One turn: what one participant said, thought, called and saw."""

    source: Source
    """Who speaks: `tool` is a result that stands alone, `text` a whole flattened trajectory."""
    message: str | None = None
    """Visible text, verbatim."""
    reasoning_content: str | None = None
    """Reasoning that the source keeps apart from the message, verbatim."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls in the order of emission."""
    observations: tuple[str, ...] = ()
    """Results of this step's calls, verbatim, in the order in which they came."""
    answer: bool = False
    """The message is known to be the final answer."""


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


def to_json(trajectory: Trajectory) -> str:
    """Serialise the content of a trajectory, without its ids and format, to compact JSON.

    A lone surrogate that a source contained is written as its escape, since UTF-8 cannot hold it.
    """
    steps = [
        {
            key: value
            for key, value in (
                ("source", step.source),
                ("message", step.message),
                ("reasoning_content", step.reasoning_content),
                ("tool_calls", [[c.function_name, c.arguments, c.tool_call_id] for c in step.tool_calls]),
                ("observations", list(step.observations)),
                ("answer", step.answer),
            )
            if value is not None and value is not False and value != []
        }
        for step in trajectory.steps
    ]
    content = {"steps": steps, "metadata": dict(trajectory.metadata)}
    try:
        return orjson.dumps(content).decode()
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        return NOT_ORJSON + json.dumps(content, separators=(",", ":"))


def from_json(text: str, source_format: str) -> Trajectory:
    """Read back what `to_json` wrote.

    Raises:
        ValueError: The text is not what `to_json` writes.
    """
    content = json.loads(text) if text.startswith(NOT_ORJSON) else orjson.loads(text)
    steps = tuple(
        Step(
            source=step["source"],
            message=step.get("message"),
            reasoning_content=step.get("reasoning_content"),
            tool_calls=tuple(ToolCall(*call) for call in step.get("tool_calls", ())),
            observations=tuple(step.get("observations", ())),
            answer=step.get("answer", False),
        )
        for step in content["steps"]
    )
    return Trajectory(steps=steps, source_format=source_format, metadata=content["metadata"])
