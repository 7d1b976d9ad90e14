"""Content field: `content` as a string, or a list of parts (text, thinking, tool_use, tool_result), without a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, parts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory


def matches(record: Record) -> bool:
    """A `content` that is a string or a list, and no role: a message of a chat is not a trajectory."""
    return isinstance(record.get("content"), str | list) and "role" not in record and "from" not in record


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: The content is empty (`empty_record`) or has a part without text (`unsupported_modality`).
    """
    content = record["content"]
    if not content or (isinstance(content, str) and not content.strip()):
        raise RecordError("the field 'content' is empty; expected text or a list of parts", "empty_record")
    steps: list[Step] = []
    used = ["content"]
    task = fields.first_text(record, fields.TASK_FIELDS, used)
    if (system := fields.first_text(record, fields.SYSTEM_FIELDS, used)) is not None:
        steps.append(Step("system", system))
    if task is not None and not (isinstance(content, str) and task in content):
        steps.append(Step("user", task))
    if isinstance(content, list) and _typed(content):
        steps += parts.agent_steps(content, "content")
    else:
        text = content if isinstance(content, str) else fields.text_of_parts(content, "content")
        steps.append(Step("agent" if steps else "text", text))
    return Trajectory(
        steps=tuple(steps),
        source_format="content",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=fields.metadata_of(record, used),
    )


def _typed(content: list[Any]) -> bool:
    """Whether a list says what is reasoning or a call; a list of plain text parts is one flattened text."""
    return any(isinstance(part, Mapping) and not fields.is_text_part(part) for part in content)
