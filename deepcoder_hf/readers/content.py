"""Content field: `content` as a string, or a list of parts (text, thinking, tool_use, tool_result), without a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, flattened, json_texts, parts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

IGNORED = {"content[].data": "reasoning that the provider keeps to itself"}
"""What is no part of a trajectory (readers/claims.py)."""


def matches(record: Record) -> bool:
    """A `content` that is a string or a list, and no role: a message of a chat is not a trajectory."""
    return isinstance(record.get("content"), str | list) and "role" not in record and "from" not in record


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts({**record, "messages": [record]}, ("messages",)))


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: The content is empty (`empty_record`) or has a part without text (`unsupported_modality`).
    """
    content = record["content"]
    if not content or (isinstance(content, str) and not content.strip()):
        raise RecordError("the field 'content' is empty; expected text or a list of parts", "empty_record")
    used = ["content"]
    if isinstance(content, list) and _typed(content):
        steps = [*_given(record, used), *parts.agent_steps(content, "content", one_turn=False)]
    else:
        text = content if isinstance(content, str) else fields.text_of_parts(content, "content")
        steps = flattened.steps_of(record, text, used)
    if not any(step.source in ("agent", "text") for step in steps):
        raise RecordError("the parts of 'content' are empty; expected text, reasoning or calls", "empty_record")
    return Trajectory(
        steps=tuple(steps),
        source_format="content",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        tools=fields.tools_of(record, used),
        metadata=_facts(record, used),
    )


def _facts(record: Record, used: list[str]) -> dict[str, Any]:
    """The metadata, with how many pieces of reasoning the provider kept to itself."""
    content = record["content"]
    n_redacted = sum(parts.is_redacted(part) for part in content) if isinstance(content, list) else 0
    facts = fields.metadata_of(record, used)
    return {**facts, "redacted_reasoning": n_redacted} if n_redacted else facts


def _given(record: Record, used: list[str]) -> list[Step]:
    """The system field and the task, as steps before a list of parts."""
    system = fields.first_text(record, fields.SYSTEM_FIELDS, used)
    task = fields.first_text(record, fields.TASK_FIELDS, used)
    steps = [] if system is None else [Step("system", system)]
    return steps if task is None else [*steps, Step("user", task)]


def _typed(content: list[Any]) -> bool:
    """Whether a list says what is reasoning or a call; a list of plain text parts is one flattened text."""
    return any(isinstance(part, Mapping) and not fields.is_text_part(part) for part in content)
