"""Alpaca: `instruction`, `input` and `output`, with `system`, `history` and `tools` as LLaMA-Factory has them."""

from __future__ import annotations

from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, flattened, json_texts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

SYSTEM = fields.SYSTEM_FIELDS


def matches(record: Record) -> bool:
    """An output that is text, beside an instruction or an input that are text or absent."""
    asked = (record.get("instruction"), record.get("input"))
    return isinstance(record.get("output"), str) and any(asked) and all(isinstance(text, str | None) for text in asked)


def read(record: Record) -> Trajectory:
    """Read one record; an output with turns of its own is left to the detection of spans as a whole.

    Raises:
        RecordError: The output is empty (`empty_record`), or the history holds no pairs of texts (`bad_history`).
    """
    output: str = record["output"]
    if not output.strip():
        raise RecordError("the field 'output' is empty; expected what the assistant says", "empty_record")
    used = ["instruction", "input", "output", "history"]
    steps: list[Step] = []
    if (system := fields.first_text(record, SYSTEM, used)) is not None:
        steps.append(Step("system", system))
    steps += _history(record.get("history"))
    asked = (record.get("instruction"), record.get("input"), fields.first_text(record, ("context",), used))
    task = fields.joined((text for text in asked if text is not None and text.strip()), "\n\n")
    if task:
        steps.append(Step("user", task))
    own = flattened.TURN.search(output) is None
    steps.append(Step("agent" if own and task else "text", output))
    return Trajectory(
        steps=tuple(steps),
        source_format="alpaca",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        tools=fields.tools_of(record, used),
        metadata=fields.metadata_of(record, used),
    )


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts(record))


def _history(value: Any) -> list[Step]:
    """Earlier turns: pairs of what the user and the assistant said."""
    if value is None or value == "":
        return []
    steps: list[Step] = []
    for number, pair in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise RecordError(
                f"history {number}: expected a pair of texts, got {type(pair).__name__}; write [user, assistant]",
                "bad_history",
            )
        steps += [Step("user", pair[0])] if pair[0] else []
        steps += [Step("agent", pair[1])] if pair[1] else []
    return steps
