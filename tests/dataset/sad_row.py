"""A text with tokens of every type, and the rows made of it put before `validate`."""

from __future__ import annotations

from typing import Any

from datasets import Dataset

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.validate import validate_rows

TEXT = (
    "User: what is it?\nThought: I look.\nAction: look[it]\nObservation: it is 7 🙂\nThought: Done, naïve.\n"
    "Action: finish[7]\nFinal Answer: 7"
)
Row = dict[str, Any]


def validate(*rows: Row) -> dict[str, Any]:
    return validate_rows(Dataset.from_list(list(rows), features=SAD_FEATURES))
