"""Columns of anybody's rows -> flat arrays: token ids, which of them are trained, and where sequences begin."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepcoder_hf.audit.load import RawBatch
from deepcoder_hf.errors import InputError

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
IGNORED = -100
_PAIRS = (("prompts", "responses"), ("prompt_ids", "completion_ids"))
_RIGHT_ALIGNED = ("response_mask", "loss_mask", "completion_mask")
"""Masks that may be as long as the response alone; they lie at the right end of the row."""
_BOTH = ("assistant_masks", "completion_mask")
"""TRL trains what all of these mark."""


@dataclass(slots=True)
class TokenBatch:
    """R rows with N tokens in S sequences (a packed row holds several).

    Args:
        ids: Token ids, int64 [N].
        bounds: Where each row begins, [R + 1].
        numbers: Number of each row in the dataset [R].
        trained: Whether a token is trained [N].
        trained_by: The columns that say so.
        labels: The labels, where there is such a column [N].
        attention: attention_mask, where there is one [N].
        types: Our own token_types, where there are any [N].
        sequences: Where each sequence begins, [S + 1]; contains `bounds`.
        bad: Rows that could not be used: (number, why).
    """

    ids: Int64
    bounds: Int64
    numbers: Int64
    trained: Bool
    trained_by: str
    labels: Int64 | None
    attention: Int64 | None
    types: Int64 | None
    sequences: Int64
    bad: list[tuple[int, str]] = field(default_factory=list)


def token_batch(raw: RawBatch) -> TokenBatch:
    """Make arrays of a batch; rows that do not fit are set aside with a reason.

    Raises:
        InputError: A column has the wrong type.
    """
    columns = {name: _lists(raw.columns, name) for name in raw.columns.schema.names}
    columns = _joined(columns)
    if "input_ids" not in columns:
        raise InputError("expected input_ids, or prompts and responses, got neither of them whole")
    problems = _problems(columns, raw.columns.num_rows)
    keep = np.array([not problem for problem in problems], bool)
    bad = [*raw.bad, *((int(n), p) for n, p in zip(raw.numbers, problems, strict=True) if p)]
    flat = {name: _flat(array.filter(pa.array(keep)) if not keep.all() else array) for name, array in columns.items()}
    ids, bounds = flat["input_ids"]
    trained, trained_by, labels = _trained(flat, ids, bounds)
    attention = flat["attention_mask"][0] if "attention_mask" in flat else None
    return TokenBatch(
        ids=ids,
        bounds=bounds,
        numbers=raw.numbers[keep],
        trained=trained,
        trained_by=trained_by,
        labels=labels,
        attention=attention,
        types=flat["token_types"][0] if "token_types" in flat else None,
        sequences=_sequences(flat, attention, bounds, ids.size),
        bad=bad,
    )


def _lists(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column as lists of int64; booleans and floats of masks become 0 and 1."""
    column = batch.column(name)
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.list_(pa.int64()))
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    inner = kind.value_type if is_list else None
    if inner is None or not (pa.types.is_integer(inner) or pa.types.is_boolean(inner) or pa.types.is_floating(inner)
                             or pa.types.is_null(inner)):  # fmt: skip
        raise InputError(f"column {name}: expected a list of whole numbers a row, got {kind}")
    if pa.types.is_floating(inner) or pa.types.is_boolean(inner):
        return column.cast(pa.list_(inner)).cast(pa.list_(pa.float64() if pa.types.is_floating(inner) else inner))
    return column.cast(pa.list_(pa.int64()))


def _joined(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """input_ids of a prompt column and a response column where the row has none; else these only say it again."""
    if "input_ids" in columns:
        parts = {name for pair in _PAIRS if all(side in columns for side in pair) for name in pair}
        return {name: array for name, array in columns.items() if name not in parts}
    for left, right in _PAIRS:
        if left in columns and right in columns:
            prompts, responses = columns[left].to_pylist(), columns[right].to_pylist()
            both = [None if a is None or b is None else a + b for a, b in zip(prompts, responses, strict=True)]
            masks = [None if a is None or b is None else [0] * len(a) + [1] * len(b)
                     for a, b in zip(prompts, responses, strict=True)]  # fmt: skip
            rest = {name: array for name, array in columns.items() if name not in (left, right)}
            if not any(name in rest for name in ("labels", "response_mask", "loss_mask", "completion_mask")):
                rest["completion_mask"] = pa.array(masks, pa.list_(pa.int64()))
            return {"input_ids": pa.array(both, pa.list_(pa.int64())), **rest}
    return columns


def _problems(columns: dict[str, pa.Array], n_rows: int) -> list[str]:
    """Why each row cannot be used, or an empty text."""
    problems = [""] * n_rows
    lengths = pc.list_value_length(columns["input_ids"]).fill_null(-1).to_numpy(zero_copy_only=False)
    for name, array in columns.items():
        if name == "seq_lengths":
            continue
        own = pc.list_value_length(array).fill_null(-1).to_numpy(zero_copy_only=False)
        fits = (own <= lengths) & (own >= 0) if name in _RIGHT_ALIGNED else own == lengths
        wrong = np.flatnonzero(~fits | (own < 0))
        if array.flatten().null_count:
            wrong = np.union1d(wrong, [i for i, row in enumerate(array.to_pylist()) if row and None in row])
        for row in wrong.astype(np.int64).tolist():
            problems[row] = problems[row] or (
                f"{name}: expected {max(int(lengths[row]), 0)} whole numbers as input_ids has, got "
                f"{'null' if own[row] < 0 else int(own[row])}"
            )
    return problems


def _flat(array: pa.Array) -> tuple[npt.NDArray[np.int64], Int64]:
    """The values of all rows, and where each row begins [R + 1]."""
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    bounds = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    values = array.flatten()
    if not pa.types.is_int64(values.type):
        values = (
            pc.not_equal(values, 0).cast(pa.int64()) if pa.types.is_floating(values.type) else values.cast(pa.int64())
        )
    return values.to_numpy(zero_copy_only=False), bounds


def _trained(flat: dict[str, tuple[Int64, Int64]], ids: Int64, bounds: Int64) -> tuple[Bool, str, Int64 | None]:
    """Which tokens are trained, and by which columns."""
    if "labels" in flat:
        labels = flat["labels"][0]
        return labels >= 0, "labels", labels
    masks = {name: _aligned(name, flat, bounds) for name in (*_BOTH, "response_mask", "loss_mask") if name in flat}
    if masks:
        return np.logical_and.reduce(list(masks.values())), " and ".join(masks), None
    own = [name for name in ("reasoning_mask", "action_mask") if name in flat]
    if own:
        return np.logical_or.reduce([flat[name][0] > 0 for name in own]), " or ".join(own), None
    return np.ones(ids.size, bool), "nothing: every token is trained", None


def _aligned(name: str, flat: dict[str, tuple[Int64, Int64]], bounds: Int64) -> Bool:
    """A mask over the whole rows; a shorter one lies at their right ends."""
    values, own = flat[name]
    if values.size == bounds[-1]:
        return values > 0
    whole = np.zeros(int(bounds[-1]), bool)
    lengths = np.diff(own)
    whole[np.repeat(bounds[1:] - own[1:], lengths) + np.arange(values.size)] = values > 0
    return whole


def _sequences(flat: dict[str, tuple[Int64, Int64]], attention: Int64 | None, bounds: Int64, n_tokens: int) -> Int64:
    """Where sequences begin: from position_ids, seq_lengths, or an attention_mask that numbers them."""
    starts = [bounds]
    if "position_ids" in flat:
        positions = flat["position_ids"][0]
        jumps = np.flatnonzero((positions[1:] == 0) & (positions[:-1] > 0)) + 1
        starts.append(jumps)
    if "seq_lengths" in flat:
        lengths, own = flat["seq_lengths"]
        ends = np.cumsum(lengths)
        before = np.concatenate(([0], ends))[own[:-1]]
        inside = np.repeat(bounds[:-1] - before, np.diff(own)) + ends
        starts.append(inside[(inside >= 0) & (inside <= n_tokens)])
    if attention is not None and attention.size and attention.max(initial=0) > 1:
        starts.append(np.flatnonzero((attention[1:] != attention[:-1]) & (attention[1:] > 1)) + 1)
    return np.unique(np.concatenate(starts)).astype(np.int64)
