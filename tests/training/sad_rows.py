"""Rows for the tests of training, and what the collator must make of them, written in the plainest way."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np
from hypothesis import strategies as st

from deepcoder_hf.dataset.features import SAD_FEATURES

Row = dict[str, Any]
PER_TOKEN = ("input_ids", "attention_mask", "labels", "reasoning_mask", "action_mask", "token_types")
FEATURES = datasets.Features(
    {
        "trajectory_id": datasets.Value("string"),
        **{name: SAD_FEATURES[name] for name in PER_TOKEN},
        "row_weight": datasets.Value("float32"),
        "text": datasets.Value("string"),
        "token_weights": datasets.List(datasets.Value("float32")),
        "teacher_logprobs": datasets.List(datasets.Value("float32")),
        "teacher_topk_ids": datasets.List(datasets.List(datasets.Value("int32"))),
        "teacher_topk_logprobs": datasets.List(datasets.List(datasets.Value("float16"))),
    }
)
"""What a collator meets of a scored dataset; the type of the log-probabilities is the stored one."""


@st.composite
def sad_row(draw: st.DrawFn) -> Row:
    """A row of 1 to 12 tokens with every column that a collator takes."""
    kinds = draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    ids = [draw(st.integers(0, 151_935)) for _ in kinds]
    widths = [draw(st.integers(0, 3)) if kind in (1, 2) else 0 for kind in kinds]
    return {
        "trajectory_id": "t",
        "input_ids": ids,
        "attention_mask": [1] * len(ids),
        "labels": [token if kind in (1, 2) else -100 for token, kind in zip(ids, kinds, strict=True)],
        "reasoning_mask": [int(kind == 1) for kind in kinds],
        "action_mask": [int(kind == 2) for kind in kinds],
        "token_types": kinds,
        "row_weight": draw(st.sampled_from([0.5, 1.0, 2.0])),
        "text": "x",
        "token_weights": [draw(st.sampled_from([0.0, 0.25, 1.0])) for _ in kinds],
        "teacher_logprobs": [-float(kind) for kind in kinds],
        "teacher_topk_ids": [[draw(st.integers(0, 151_935)) for _ in range(width)] for width in widths],
        "teacher_topk_logprobs": [[-0.5 * place for place in range(width)] for width in widths],
    }


def expected_padded(rows: list[Row], pad: int, multiple: int | None) -> dict[str, list[Any]]:
    """Padded tensors as nested lists, value by value."""
    longest = max(len(row["input_ids"]) for row in rows)
    while multiple and longest % multiple:
        longest += 1
    width = max(len(entry) for row in rows for entry in row["teacher_topk_ids"])
    fills = {"input_ids": pad, "labels": -100}
    found: dict[str, list[Any]] = {}
    for name in (*PER_TOKEN, "token_weights", "teacher_logprobs"):
        found[name] = [row[name] + [fills.get(name, 0)] * (longest - len(row[name])) for row in rows]
    found["row_weight"] = [
        [row["row_weight"]] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows
    ]
    for name, fill in (("teacher_topk_ids", 0), ("teacher_topk_logprobs", -np.inf)):
        found[name] = [
            [entry + [fill] * (width - len(entry)) for entry in row[name] + [[]] * (longest - len(row[name]))]
            for row in rows
        ]
    return found


def expected_packed(rows: list[Row], pad: int, multiple: int | None) -> dict[str, list[Any]]:
    """Packed tensors as nested lists: the rows behind one another, and what the first token of each loses."""
    ready = [{**row, "row_weight": [row["row_weight"]] * len(row["input_ids"])} for row in rows]
    for row in ready:
        row["labels"] = [-100, *row["labels"][1:]]
        for name in ("reasoning_mask", "action_mask", "token_weights", "row_weight"):
            row[name] = [0, *row[name][1:]]
    width = max(len(entry) for row in rows for entry in row["teacher_topk_ids"])
    total = sum(len(row["input_ids"]) for row in rows)
    extra = 0
    while multiple and (total + extra) % multiple:
        extra += 1
    fills: dict[str, Any] = {"input_ids": pad, "labels": -100}
    fills |= {"teacher_topk_ids": [0] * width, "teacher_topk_logprobs": [-np.inf] * width}
    found: dict[str, list[Any]] = {}
    for name in ready[0]:
        if name in ("attention_mask", "trajectory_id", "text"):
            continue
        values = [value for row in ready for value in row[name]]
        if name.startswith("teacher_topk"):
            values = [entry + [fills[name][0]] * (width - len(entry)) if width else [] for entry in values]
        found[name] = [values + [fills.get(name, 0)] * extra]
    found["position_ids"] = [[t for row in rows for t in range(len(row["input_ids"]))] + list(range(extra))]
    return found
