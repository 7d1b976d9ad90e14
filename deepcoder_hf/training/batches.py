"""Batches of SAD rows as flat NumPy views: from Arrow without Python lists, or from rows as any trainer gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset

from deepcoder_hf.errors import InputError, SchemaError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a batch, its rows one behind the other."""

    values: Array
    """All values, 1-D; a view of the Arrow buffer wherever the batch is one piece of it."""
    rows: Array
    """int64 [n_rows + 1]: row i has the entries rows[i]:rows[i + 1]. An entry is a value, or a list of values."""
    entries: Array | None = None
    """int64: entry t has the values entries[t]:entries[t + 1]; None where every entry is one value."""

    @property
    def lengths(self) -> Array:
        """Entries of each row, int64 [n_rows]."""
        lengths: Array = np.diff(self.rows)
        return lengths


Batch = Mapping[str, Column]


class ArrowRows(Dataset):  # type: ignore[misc]  # datasets ships no types
    """A `Dataset` whose batches reach the collator as Arrow slices instead of lists of Python objects.

    `torch.utils.data.DataLoader`, `Trainer` and `SFTTrainer` take it as any `Dataset`, and every method of `Dataset`
    works as before; only what a DataLoader fetches is different, and `SadCollator` takes that.

        rows = ArrowRows.of(load_sad("deepcoder/sad", split="train"))
        trainer = Trainer(model, args, train_dataset=rows, data_collator=SadCollator(tokenizer.pad_token_id))

    Methods that make a new dataset out of it (`select`, `shuffle`, `map`) may give a plain `Dataset`: the collator
    takes its rows as well, at the speed of lists. So wrap last.
    """

    @classmethod
    def of(cls, dataset: Dataset) -> ArrowRows:
        """Wrap a `Dataset`: the same table, order, features and cache, nothing copied.

        Raises:
            InputError: It is something else; a streamed dataset needs no wrapper, `with_format("arrow")` does it.
        """
        if not isinstance(dataset, Dataset):
            raise InputError(
                f"ArrowRows.of: expected a datasets.Dataset, got {type(dataset).__name__}; take one split of a "
                'DatasetDict, and give a streamed dataset to the DataLoader as dataset.with_format("arrow")'
            )
        return cls(dataset.data, dataset.info, dataset.split, dataset._indices, dataset._fingerprint)

    def __getitems__(self, keys: list[int]) -> list[Any]:
        """The rows as one table in a list: what is fetched for a batch."""
        return [self._getitem(list(keys), format_type="arrow")]


def read_batch(batch: Any, wanted: Callable[[str], bool]) -> Batch:
    """Read the columns of a batch, whatever form it has.

    Args:
        batch: A pyarrow Table or RecordBatch, a `Dataset`, a mapping of columns, or a sequence of rows: mappings, or
            tables, which stand one behind the other.
        wanted: Whether a column is to be read, by its name.

    Returns:
        The wanted columns that are there, with the same number of rows each.

    Raises:
        InputError: The batch has no row, or is none of these.
        SchemaError: A column does not hold numbers, holds nulls, or is not in every row.
    """
    if isinstance(batch, Dataset):
        batch = batch.with_format("arrow")[:]
    if isinstance(batch, pa.Table | pa.RecordBatch):
        batch = [batch]
    if isinstance(batch, Mapping):
        if len(ids := batch.get("input_ids", ())) and isinstance(ids[0], int | np.integer):
            raise InputError("expected columns of rows, got one row as a mapping: put it in a list")
        columns = {name: _from_rows(name, list(values)) for name, values in batch.items() if wanted(name)}
    elif isinstance(batch, Sequence) and all(isinstance(part, pa.Table | pa.RecordBatch) for part in batch):
        columns = _from_tables(batch, wanted)
    elif isinstance(batch, Sequence) and all(isinstance(row, Mapping) for row in batch):
        columns = _from_mappings(batch, wanted)
    else:
        kinds = sorted({type(part).__name__ for part in batch}) if isinstance(batch, Sequence) else []
        raise InputError(
            "expected a batch of rows: a pyarrow Table, a Dataset, a mapping of columns, or a sequence of tables or "
            f"mappings, got {type(batch).__name__}{' of ' + ', '.join(kinds) if kinds else ''}"
        )
    if not len(batch) or not all(len(column.rows) > 1 for column in columns.values()):
        raise InputError("expected at least one row in the batch, got none")
    return columns


def _from_tables(tables: Sequence[Any], wanted: Callable[[str], bool]) -> dict[str, Column]:
    if not tables:
        return {}
    names = [name for name in tables[0].schema.names if wanted(name)]
    _check_same(names, [table.schema.names for table in tables])
    found = {}
    for name in names:
        chunks = [chunk for table in tables for chunk in _chunks(table.column(name))]
        # Rows that were gathered are a chunk each: joined once in C++, they cost less than views of each in Python.
        array = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], pa.int64())
        found[name] = _from_array(name, array)
    return found


def _chunks(column: Any) -> Sequence[Any]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _from_array(name: str, array: Any) -> Column:
    """Views of a list array, or of a list of lists, or of plain numbers (then each row is one entry)."""
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise SchemaError(
            f"row {row} of the batch: {name} is null; fill it in every row, or leave it out with columns="
        )
    if not _is_list(array.type):
        return Column(_numbers(name, array), np.arange(len(array) + 1))
    rows, array = _offsets(array)
    if not _is_list(array.type):
        return Column(_numbers(name, array), rows)
    entries, array = _offsets(array)
    return Column(_numbers(name, array), rows, entries)


def _offsets(array: Any) -> tuple[Array, Any]:
    """Offsets from 0 on, int64, and the values that they cut."""
    offsets = array.offsets.to_numpy().astype(np.int64)
    first = int(offsets[0])
    return offsets - first, array.values.slice(first, int(offsets[-1]) - first)


def _numbers(name: str, array: Any) -> Array:
    number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if not number or array.null_count:
        came = f"{array.null_count} nulls" if number else str(array.type)
        raise SchemaError(f"{name}: expected numbers in every place, got {came}; load_sad restores the types of a row")
    values: Array = array.to_numpy(zero_copy_only=True)
    return values


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _from_mappings(rows: Sequence[Mapping[str, Any]], wanted: Callable[[str], bool]) -> dict[str, Column]:
    names = [name for name in rows[0] if wanted(name)] if rows else []
    _check_same(names, [list(row) for row in rows])
    return {name: _from_rows(name, [row[name] for row in rows]) for name in names}


def _check_same(names: Collection[str], of_each: Sequence[Collection[str]]) -> None:
    for number, there in enumerate(of_each):
        missing = sorted(set(names) - set(there))
        if missing:
            raise SchemaError(f"row {number} of the batch has no {', '.join(missing)}, which the first row has")


def _from_rows(name: str, rows: Sequence[Any]) -> Column:
    """From Python lists, NumPy arrays or tensors; NumPy gives lists the type int64 or float64."""
    if not rows or not _is_many(rows[0]):
        return Column(_as_numbers(name, rows), np.arange(len(rows) + 1))
    if any(row is None for row in rows):
        raise SchemaError(f"{name} is null in a row; fill it in every row, or leave it out with columns=")
    if not any(len(row) and _is_many(row[0]) for row in rows):
        return Column(_joined(name, rows), _bounds(rows))
    entries = [entry for row in rows for entry in row]
    return Column(_joined(name, entries), _bounds(rows), _bounds(entries))


def _is_many(value: Any) -> bool:
    return value.ndim > 0 if hasattr(value, "ndim") else isinstance(value, Sequence)


def _bounds(parts: Sequence[Any]) -> Array:
    return np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)


def _joined(name: str, parts: Sequence[Any]) -> Array:
    arrays = [_as_numbers(name, part) for part in parts if len(part)]
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)


def _as_numbers(name: str, values: Any) -> Array:
    array = np.asarray(values)
    if array.size and (array.dtype.kind not in "iuf" or array.ndim != 1):
        raise SchemaError(f"{name}: expected numbers in every row, got values of type {array.dtype}")
    return array
