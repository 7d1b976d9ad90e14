"""What a row of a SAD dataset trains, checked, for the formats that take tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.export.losses import Losses

NEEDED = ("trajectory_id", "group_id", "input_ids", "labels", "reasoning_mask", "action_mask", "row_weight")
IGNORED_LABEL = -100
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a row, lists of length T."""

    input_ids: list[int]
    labels: list[int]
    trained: list[int]
    """1 where a label is not -100."""


def tokens_of(row: Row, losses: Losses) -> Tokens:
    """The tokens of a row; what its masks and weights say beyond trained or not is counted as lost.

    Raises:
        RecordError: A column is no list of integers or has another length (`bad_row`), or nothing is trained
            (`nothing_to_train`).
    """
    ids, labels = _integers(row, "input_ids"), _integers(row, "labels")
    if len(ids) != len(labels):
        raise RecordError(f"expected {len(ids)} labels, got {len(labels)}; see deepcoder-hf validate", "bad_row")
    trained = [int(label != IGNORED_LABEL) for label in labels]
    if not any(trained):
        raise RecordError("expected a trained token, got none; drop the row", "nothing_to_train")
    if any(_integers(row, "reasoning_mask")) and any(_integers(row, "action_mask")):
        losses.add("token_types")
    if row.get("row_weight") not in (None, 1.0):
        losses.add("row_weight")
    if row.get("token_weights"):
        losses.add("token_weights")
    return Tokens(ids, labels, trained)


def ids_of(row: Row) -> dict[str, Any]:
    """The ids of a row."""
    return {"trajectory_id": row["trajectory_id"], "group_id": row["group_id"]}


def _integers(row: Row, name: str) -> list[int]:
    values = row.get(name)
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise RecordError(
            f"{name}: expected a list of integers, got {values!r:.60}; see deepcoder-hf validate", "bad_row"
        )
    return values
