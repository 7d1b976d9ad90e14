"""ADP thoughts: an object of trajectory ids, each with the reasoning of its steps by number, without their actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory


def matches(record: Record) -> bool:
    """Every value is an object of texts whose keys are the numbers of steps."""
    return bool(record) and all(_numbered(value) for value in record.values())


def read(record: Record) -> list[Trajectory]:
    """Read the thoughts of each trajectory, in the order of their steps, as reasoning of turns without more.

    Raises:
        RecordError: No text has anything in it (`no_assistant_turn`).
    """
    found = [_thoughts(str(name), value) for name, value in record.items()]
    if not any(trajectory.steps for trajectory in found):
        raise RecordError("expected thoughts by id and step, got empty texts only", "no_assistant_turn")
    return [trajectory for trajectory in found if trajectory.steps]


def _thoughts(name: str, value: Mapping[str, Any]) -> Trajectory:
    numbers = sorted((key for key in value if value[key].strip()), key=int)
    return Trajectory(
        steps=tuple(Step("agent", None, value[number]) for number in numbers),
        source_format="adp_thoughts",
        trajectory_id=name.encode("utf-8", "backslashreplace").decode() or None,
        metadata={"kind": "thoughts", "step_numbers": [int(number) for number in numbers]},
    )


def _numbered(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(
            isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10 and isinstance(text, str)
            for key, text in value.items()
        )
    )
