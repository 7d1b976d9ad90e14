"""Prove processed rows again from what they hold: nothing is taken on trust from the run that wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.recompute import Recomputation
from deepcoder_hf.spans.types import TYPE_IDS

PER_TOKEN = ("input_ids", "attention_mask", "token_types", "reasoning_mask", "action_mask", "labels")
MAX_ERRORS = 100
MAX_RATIO_ERROR = 1e-5
"""Largest difference of a ratio, which float32 holds to 6e-8."""
BATCH_ROWS = 64
Problem = dict[str, Any]


def validate_rows(
    dataset: Any, model_name: str | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Check every row of a SAD dataset.

    Proven for each row: columns and types are right; per-token columns have `length` entries; attention_mask is 1
    everywhere; window, row_weight and the ratios of quality are right; spans partition the text; the tokenizer of the
    row is known by its digest; and the ids, the token types, both masks, the labels and the spans' token ranges are
    exactly those that text, spans and the row's mask settings give (dataset/recompute.py); recorded ids that differ
    from the tokenizer's (metadata.tokens) are proven to decode to the text instead. Taken from the row as they are:
    the spans' characters, types and confidences.

    Args:
        dataset: A `Dataset` with the columns of `SAD_FEATURES`.
        model_name: Tokenizer to use instead of the name in the rows; its digest must be the one in the rows.
        progress: Called with (rows, tokens) after each batch.

    Returns:
        total_checked, valid_trajectories, invalid_trajectories (rows), and validation_errors: row number, id and
        problems of the first 100 invalid rows.
    """
    missing = sorted(set(SAD_FEATURES) - set(dataset.column_names))
    if missing:
        problem = f"expected the columns of a SAD dataset, missing: {', '.join(missing)}"
        errors: list[Problem] = [{"row": None, "trajectory_id": None, "problems": [problem]}]
        return _result(len(dataset), 0, errors)
    wrong_types = [
        f"column {name}: expected {SAD_FEATURES[name]}, got {dataset.features[name]}"
        for name in SAD_FEATURES
        if dataset.features[name] != SAD_FEATURES[name]
    ]
    recomputation = Recomputation(model_name)
    n_valid, errors = 0, []
    for number, row, problems in _checked(dataset, recomputation, progress or (lambda rows, tokens: None)):
        problems = [*wrong_types, *problems]
        if not problems:
            n_valid += 1
        elif len(errors) < MAX_ERRORS:
            errors.append({"row": number, "trajectory_id": row["trajectory_id"], "problems": problems[:5]})
    return _result(len(dataset), n_valid, errors)


def _result(n_rows: int, n_valid: int, errors: list[Problem]) -> dict[str, Any]:
    return {
        "total_checked": n_rows,
        "valid_trajectories": n_valid,
        "invalid_trajectories": n_rows - n_valid,
        "validation_errors": errors,
    }


def _checked(
    dataset: Any, recomputation: Recomputation, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    number = 0
    for table in dataset.with_format("arrow").iter(batch_size=BATCH_ROWS):
        columns = {name: _values(table.column(name).combine_chunks()) for name in table.column_names}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        problems = [_guarded(check_row, row) for row in rows]
        sound = [row for row, found in zip(rows, problems, strict=True) if not found]
        of_tokens = iter(recomputation.check(sound))
        for row, found in zip(rows, problems, strict=True):
            yield number, row, found or next(of_tokens)
            number += 1
        progress(len(rows), sum(len(row["input_ids"]) for row in sound))


def _guarded(check: Callable[..., list[str]], *arguments: Any) -> list[str]:
    """The problems that a check finds; what it cannot even look at is a problem too."""
    try:
        return check(*arguments)
    except (TypeError, KeyError, ValueError) as error:
        return [f"not a SAD row: {type(error).__name__}: {error}"]


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; lists of whole numbers as NumPy arrays, without a Python object a token."""
    is_numbers = pa.types.is_list(column.type) and pa.types.is_integer(column.type.value_type)
    if not is_numbers or column.null_count or column.flatten().null_count:
        return list(column.to_pylist())
    offsets = column.offsets.to_numpy()
    return np.split(column.values.to_numpy()[offsets[0] : offsets[-1]], offsets[1:-1] - offsets[0])


def check_row(row: Mapping[str, Any]) -> list[str]:
    """Everything that can be proven without the tokenizer; returns the problems, in words."""
    absent = [name for name in SAD_FEATURES if row[name] is None and name != "original_text"]
    if absent:
        return [f"{', '.join(absent)}: null"]
    columns = {name: np.array(row[name], np.int64) for name in PER_TOKEN}
    wrong = [
        f"{name}: {a.size} entries, length is {row['length']}" for name, a in columns.items() if a.size != row["length"]
    ]
    return wrong or [*_check_masks(columns), *_check_spans(row), *_check_facts(row, columns)]


def _check_masks(columns: dict[str, Any]) -> Iterator[str]:
    """What the columns say of themselves; which tokens they should mark is recomputed afterwards."""
    if (columns["attention_mask"] != 1).any():
        token = int(np.flatnonzero(columns["attention_mask"] != 1)[0])
        yield f"attention_mask: expected 1 everywhere, got {columns['attention_mask'][token]} at token {token}"
    reasoning, action = columns["reasoning_mask"], columns["action_mask"]
    for name in ("reasoning_mask", "action_mask"):
        if not np.isin(columns[name], (0, 1)).all():
            yield f"{name}: expected 0 and 1 only"
    if (reasoning & action).any():
        yield f"masks overlap at token {int(np.flatnonzero(reasoning & action)[0])}"
    wrong = (columns["labels"] != -100) & (columns["labels"] != columns["input_ids"])
    if wrong.any():
        yield f"labels differ from input_ids where they are not -100, at token {int(np.flatnonzero(wrong)[0])}"


def _check_spans(row: Mapping[str, Any]) -> Iterator[str]:
    char = 0
    for number, span in enumerate(row["spans"]):
        if span["start_char"] != char or span["end_char"] <= char:
            yield f"span {number}: starts at character {span['start_char']}, expected {char}: spans do not partition"
            return
        if not 0.0 <= span["confidence"] <= 1.0 or span["span_type"] not in TYPE_IDS:
            yield f"span {number}: type {span['span_type']!r} or confidence {span['confidence']} is not known"
            return
        char = span["end_char"]
    if char != len(row["text"]):
        yield f"spans end at character {char} of {len(row['text'])}"


def _check_facts(row: Mapping[str, Any], columns: dict[str, Any]) -> Iterator[str]:
    window, quality, weight = row["window"], row["quality"], row["row_weight"]
    if not (0 <= window["index"] < window["n"] and window["start_step"] >= 0):
        yield f"window: expected index in 0..n-1 and start_step from 0, got {window}"
    for name, kind in TYPE_IDS.items():
        share = float((columns["token_types"] == kind).sum()) / max(row["length"], 1)
        if not abs(quality[name] - share) < MAX_RATIO_ERROR:
            yield f"quality.{name}: expected {share:.6f}, the share of these tokens, got {quality[name]}"
    if not 0.0 <= weight < float("inf"):
        yield f"row_weight: expected a finite number from 0, got {weight}"
