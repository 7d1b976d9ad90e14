"""SadCollator: rows of a SAD dataset -> tensors of a batch, padded or packed, without Python lists in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from deepcoder_hf.errors import ConfigError, SchemaError
from deepcoder_hf.training.batches import Array, Batch, Column, read_batch

IGNORED = -100
"""Label of a token that no loss counts."""
REQUIRED = ("input_ids", "labels")
USUAL = (*REQUIRED, "attention_mask", "reasoning_mask", "action_mask", "token_types", "token_weights", "row_weight")
TEACHER = "teacher_"
TRAINED = ("reasoning_mask", "action_mask", "token_weights", "row_weight")
"""Columns that make a token count: 0 for the first token of a packed trajectory, which nothing predicts."""
WIDE = ("input_ids", "labels", "attention_mask")
"""Columns that models take, as int64; and so are the teacher's ids, with which logits are gathered."""


@dataclass(frozen=True, slots=True)
class SadCollator:
    """Make tensors out of a batch of SAD rows: `data_collator` of a trainer, `collate_fn` of a DataLoader, or called.

    It takes a pyarrow Table or RecordBatch (`dataset.with_format("arrow")[:8]`), a `Dataset`, a list of rows as any
    format of `datasets` gives them, a mapping of columns, and what a DataLoader fetches from `ArrowRows`. Arrow buffers
    are read in place and copied once, into the tensors. All tensors are unshifted; the model or the loss shifts.

    Padded, B rows, T the longest of them (rounded up to `pad_to_multiple_of`), padding on the right:

    - input_ids int64 [B, T], padded with `pad_token_id`; labels int64 [B, T], padded with -100
    - attention_mask int64 [B, T]: 1 for tokens, 0 for padding
    - reasoning_mask, action_mask, token_types int8 [B, T], padded with 0
    - token_weights float32 [B, T], padded with 0; row_weight float32 [B, T]: the row's weight at each of its tokens
    - teacher_logprobs [B, T], padded with 0; teacher_topk_ids int64 [B, T, K] and teacher_topk_logprobs [B, T, K], K
      the widest distribution in the batch: places without a token of the teacher have id 0 and log-probability -inf

    Packed, all rows one behind the other: B is 1 and T their sum. position_ids int64 [1, T] restart at each trajectory
    and there is no attention_mask: so transformers keeps the attention of each trajectory to itself. With a mask, or a
    cache, it ignores the positions and mixes them: trainers switch the cache off, an own loop calls
    `model(**batch, use_cache=False)`. Nothing predicts the first token of a trajectory: its label is -100, its masks
    and weights are 0. Padding at the end is a trajectory of its own, without labels.

    Attributes:
        pad_token_id: `tokenizer.pad_token_id`, or the id of its end-of-sequence token where it has no padding token.
        packing: Put the rows of a batch one behind the other instead of padding them.
        max_length: Most tokens of a row; a longer one is an error, since cutting it would cut its masks too.
        pad_to_multiple_of: Round T up to a multiple of this.
        columns: Columns to make tensors of, beside input_ids and attention_mask; each must be there. None takes labels,
            masks, types, weights and teacher columns, where they are there. Give `("labels",)` to a trainer whose model
            takes no other arguments.

    Raises:
        ConfigError: A setting is wrong, torch is not installed, or a row is longer than `max_length`.
        InputError: The batch is empty, or is no batch of rows.
        SchemaError: A column is missing, or does not fit input_ids.
    """

    pad_token_id: int
    packing: bool = field(default=False, kw_only=True)
    max_length: int | None = field(default=None, kw_only=True)
    pad_to_multiple_of: int | None = field(default=None, kw_only=True)
    columns: Sequence[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        pad = self.pad_token_id
        if not isinstance(pad, int | np.integer) or isinstance(pad, bool) or pad < 0:
            raise ConfigError(
                f"pad_token_id: expected a token id of 0 or more, got {pad!r}; where the tokenizer has no padding "
                "token, give tokenizer.eos_token_id"
            )
        for name in ("max_length", "pad_to_multiple_of"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ConfigError(f"{name}: expected a whole number of 1 or more, or None, got {value!r}")
        if isinstance(self.columns, str):
            raise ConfigError(f"columns: expected a list of names, got {self.columns!r}; give ({self.columns!r},)")

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Collate a batch; the keys of the result are those of the class's documentation."""
        torch = _torch()
        return {name: torch.from_numpy(array) for name, array in self.arrays(batch).items()}

    def arrays(self, batch: Any) -> dict[str, Array]:
        """The same as NumPy arrays: for a loop without torch."""
        columns = read_batch(batch, self._wants)
        lengths = self._check(columns)
        return self._packed(columns, lengths) if self.packing else self._padded(columns, lengths)

    def _wants(self, name: str) -> bool:
        if self.columns is None:
            return name in USUAL or name.startswith(TEACHER)
        return name in self.columns or name in ("input_ids", "attention_mask")

    def _check(self, columns: Batch) -> Array:
        """Tokens of each row, int64 [n_rows]."""
        needed = REQUIRED if self.columns is None else dict.fromkeys(["input_ids", *self.columns])
        missing = [name for name in needed if name not in columns and name != "attention_mask"]
        if missing:
            raise SchemaError(
                f"the batch has no {', '.join(missing)}; it has {', '.join(columns) or 'nothing that a loss takes'}. "
                "A SAD dataset has them (deepcoder-hf process, or load_sad); a Trainer removes columns unless it is "
                "told remove_unused_columns=False"
            )
        lengths = columns["input_ids"].lengths
        if not lengths.all():
            raise SchemaError(f"row {int(np.flatnonzero(lengths == 0)[0])} of the batch has no tokens; leave it out")
        if self.max_length is not None and lengths.max() > self.max_length:
            row = int(np.argmax(lengths))
            raise ConfigError(
                f"row {row} of the batch has {lengths[row]} tokens, max_length is {self.max_length}; raise it, or "
                f"process with tokens.max_length {self.max_length}, which makes windows of long trajectories"
            )
        for name, column in columns.items():
            _check_fit(name, column, columns["input_ids"])
        return lengths

    def _rounded(self, n: int) -> int:
        return -(-n // self.pad_to_multiple_of) * self.pad_to_multiple_of if self.pad_to_multiple_of else n

    def _padded(self, columns: Batch, lengths: Array) -> dict[str, Array]:
        shape = (lengths.size, self._rounded(int(lengths.max())))
        if "attention_mask" not in columns:
            columns = {**columns, "attention_mask": Column(np.ones(lengths.sum(), np.int8), columns["input_ids"].rows)}
        bounds = list(pairwise(columns["input_ids"].rows.tolist()))
        found = {}
        for name, column in _ordered(columns):
            found[name] = out = self._empty(name, column, shape)
            for row, (start, end) in enumerate(bounds):
                if name == "row_weight":
                    out[row, : end - start] = column.values[row]
                else:
                    _fill(out[row, : end - start], column, start, end)
        return found

    def _packed(self, columns: Batch, lengths: Array) -> dict[str, Array]:
        bounds = columns["input_ids"].rows
        n_tokens = int(bounds[-1])
        shape = (1, self._rounded(n_tokens))
        starts = bounds[:-1]
        found = {}
        for name, column in _ordered(columns):
            if name == "attention_mask":
                continue
            found[name] = out = self._empty(name, column, shape)
            if name == "row_weight":
                out[0, :n_tokens] = np.repeat(column.values, lengths)
            else:
                _fill(out[0, :n_tokens], column, 0, n_tokens)
            if name == "labels":
                out[0, starts] = IGNORED
            elif name in TRAINED:
                out[0, starts] = 0
            if name == "input_ids":
                places = np.arange(shape[1])
                places[:n_tokens] -= np.repeat(starts, lengths)
                places[n_tokens:] -= n_tokens
                found["position_ids"] = places[None]
        return found

    def _empty(self, name: str, column: Column, shape: tuple[int, int]) -> Array:
        """The padding of a column, of its final shape and type."""
        is_id = name in WIDE or (name.startswith(TEACHER) and column.values.dtype.kind in "iu")
        kind = np.int64 if is_id else np.int8 if name in _SMALL else column.values.dtype
        if kind == np.float64:  # what Python's floats become; columns hold float32
            kind = np.dtype(np.float32)
        fill = {"input_ids": self.pad_token_id, "labels": IGNORED}.get(name, 0)
        if column.entries is None:
            return np.full(shape, fill, kind)
        width = int(np.diff(column.entries).max(initial=0))
        nothing = -np.inf if name.startswith(TEACHER) and name.endswith("logprobs") else fill
        return np.full((*shape, width), nothing, kind)


_SMALL = ("reasoning_mask", "action_mask", "token_types")


def _check_fit(name: str, column: Column, tokens: Column) -> None:
    """Per-token columns have the rows of input_ids, row_weight has one value a row."""
    n_rows = tokens.rows.size - 1
    if column.rows.size - 1 != n_rows:
        raise SchemaError(f"{name} has {column.rows.size - 1} rows in the batch, input_ids has {n_rows}")
    bounds = np.arange(n_rows + 1) if name == "row_weight" else tokens.rows
    if not (column.rows == bounds).all():
        expected = np.diff(bounds)
        row = int(np.flatnonzero(column.lengths != expected)[0])
        raise SchemaError(
            f"row {row} of the batch: {name} has {column.lengths[row]} entries, expected {expected[row]}; "
            "a column of a SAD row has one entry a token (validate shows which rows do not)"
        )


def _ordered(columns: Batch) -> list[tuple[str, Column]]:
    """The columns in the order in which they are documented, whatever the order in the batch is."""
    return [(name, columns[name]) for name in dict.fromkeys([*USUAL, *sorted(columns)]) if name in columns]


def _fill(out: Array, column: Column, start: int, end: int) -> None:
    """Write the entries start:end to the front of `out` [end - start] or [end - start, K]."""
    if column.entries is None:
        out[:] = column.values[start:end]
        return
    entries = column.entries[start : end + 1]
    widths = np.diff(entries)
    there = np.arange(out.shape[1]) < widths[:, None]
    out[there] = column.values[entries[0] : entries[-1]]


def _torch() -> Any:
    try:
        return import_module("torch")
    except ImportError:
        raise ConfigError("SadCollator makes torch tensors and torch is not installed; pip install torch") from None
