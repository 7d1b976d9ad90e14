"""Text block: one field holds the whole trajectory, flattened (think tags, ReAct labels, code fences, chat layouts)."""

from __future__ import annotations

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

TEXTS = ("text", "trajectory", "response", "output", "raw_text", "completion")
ALONE = ("text", "trajectory", "raw_text")
"""Fields that hold everything, the task included; beside the others a task stands in a field of its own."""


def matches(record: Record) -> bool:
    """One of the text fields is a string, and there are no messages."""
    return any(isinstance(record.get(name), str) for name in TEXTS)


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: The text is empty (`empty_record`).
    """
    name = next(name for name in TEXTS if isinstance(record.get(name), str))
    text: str = record[name]
    if not text.strip():
        raise RecordError(f"the field {name!r} is empty; expected the text of a trajectory", "empty_record")
    steps: list[Step] = []
    used = [name]
    task = fields.first_text(record, fields.TASK_FIELDS)
    if task is not None and task not in text:
        extra = record.get("input")
        if "instruction" in record and isinstance(extra, str) and extra.strip():  # Alpaca
            task = f"{task}\n\n{extra}"
        if (system := fields.first_text(record, fields.SYSTEM_FIELDS)) is not None:
            steps.append(Step("system", system))
        steps += [Step("user", task), Step("agent", text)]
        used += [*fields.TASK_FIELDS, *fields.SYSTEM_FIELDS, "input"]
    else:
        steps.append(Step("text", text))
    return Trajectory(
        steps=tuple(steps),
        source_format="text",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=fields.metadata_of(record, used),
    )
