"""Text block: one field holds the whole trajectory, flattened (think tags, ReAct labels, code fences, chat layouts)."""

from __future__ import annotations

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, flattened, json_texts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Trajectory

TEXTS = ("text", "trajectory", "response", "output", "raw_text", "completion", "example")


def matches(record: Record) -> bool:
    """One of the text fields is a string, and there are no messages."""
    return any(isinstance(record.get(name), str) for name in TEXTS)


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts(record))


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: The text is empty (`empty_record`).
    """
    names = [name for name in TEXTS if isinstance(record.get(name), str)]
    name = next((name for name in names if record[name].strip()), names[0])
    text: str = record[name]
    if not text.strip():
        raise RecordError(f"the field {name!r} is empty; expected the text of a trajectory", "empty_record")
    used = [name]
    steps = flattened.steps_of(record, text, used)
    return Trajectory(
        steps=tuple(steps),
        source_format="text",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        tools=fields.tools_of(record, used),
        metadata=fields.metadata_of(record, used),
    )
