"""Text block: one field holds the whole trajectory, flattened (think tags, ReAct labels, code fences, chat layouts)."""

from __future__ import annotations

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

TEXTS = ("text", "trajectory", "response", "output", "raw_text", "completion")


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
    if (system := fields.first_text(record, fields.SYSTEM_FIELDS, used)) is not None and system not in text:
        steps.append(Step("system", system))
    task = fields.first_text(record, fields.TASK_FIELDS, used)
    if task is not None and task not in text:
        extra = fields.first_text(record, ("input",), used) if "instruction" in used else None  # Alpaca
        steps.append(Step("user", task if extra is None else f"{task}\n\n{extra}"))
    steps.append(Step("agent" if steps else "text", text))
    return Trajectory(
        steps=tuple(steps),
        source_format="text",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=fields.metadata_of(record, used),
    )
