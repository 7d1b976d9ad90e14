"""Rows of Parquet files, Arrow files and folders of `Dataset.save_to_disk`, batch by batch."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers.containers.compression import RATIO_AFTER_BYTES
from deepcoder_hf.readers.containers.folders import arrow_files
from deepcoder_hf.readers.containers.raw_record import RawRecord, clean_excerpt
from deepcoder_hf.readers.nulls import without_invented

_BATCH_BYTES = 4 << 20
_MAX_BATCH_ROWS = 64
_BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError)
"""What pyarrow raises on damaged files: its own classes, and the built-in ones that it maps errors to."""


def iter_parquet(raw: BinaryIO, name: str, limits: ReadersConfig) -> Iterator[RawRecord]:
    """Yield the rows of a Parquet file.

    Each row is a dict of its columns, see `iter_batches` for what becomes of its values.

    Args:
        raw: The file, seekable.
        name: Its name, for messages.
        limits: `max_record_bytes` bounds a row, `max_file_bytes` and `max_compression_ratio` all rows.

    Yields:
        Records and rejects; a damaged file ends with one reject `broken_parquet`.
    """
    n_file_bytes = _size(raw)
    rows = _Rows(name, limits, n_file_bytes, "broken_parquet")
    try:
        file = pq.ParquetFile(raw, pre_buffer=False, buffer_size=1 << 20)
        row_groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        n_bytes = sum(group.total_byte_size for group in row_groups)
        n_rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES * file.metadata.num_rows // max(1, n_bytes)))
        yield from rows.read(file.iter_batches(batch_size=n_rows, use_threads=False))
    except _BROKEN as error:
        yield rows.broken(error)


def iter_arrow(raw: BinaryIO, name: str, limits: ReadersConfig, first: int = 1) -> Iterator[RawRecord]:
    """Yield the rows of an Arrow file or stream.

    Args:
        raw: The file, seekable.
        name: Its name, for messages.
        limits: As for `iter_parquet`.
        first: Number of the first row.

    Yields:
        Records and rejects; a damaged file ends with one reject `broken_arrow`.
    """
    rows = _Rows(name, limits, _size(raw), "broken_arrow", first)
    try:
        is_file = raw.read(6) == b"ARROW1"
        raw.seek(0)
        if is_file:
            reader = pa.ipc.open_file(raw)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(raw))
        yield from rows.read(small for batch in batches for small in _slices(batch))
    except _BROKEN as error:
        yield rows.broken(error)


def iter_arrow_folder(folder: Path, name: str, limits: ReadersConfig) -> Iterator[RawRecord]:
    """Yield the rows of a folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`, splits in order.

    Args:
        folder: The folder.
        name: Its name, for messages.
        limits: As for `iter_parquet`, for each file.

    Yields:
        Records, numbered over the whole folder, and rejects `broken_arrow`.
    """
    first = 1
    try:
        files = arrow_files(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{name}: expected a folder of Dataset.save_to_disk, got {_first_line(error)}; save it again"
        yield RawRecord(0, None, "broken_arrow", message)
        return
    for file in files:
        try:
            raw = file.open("rb")
        except OSError as error:
            message = f"{name}: expected the file {file.name}, got {error.strerror}; save the dataset again"
            yield RawRecord(0, None, "broken_arrow", message)
            continue
        with raw:
            for row in iter_arrow(raw, f"{name}/{file.relative_to(folder).as_posix()}", limits, first):
                first += row.line > 0
                yield row


class _Rows:
    """Batches to records: numbers the rows and holds the limits."""

    def __init__(self, name: str, limits: ReadersConfig, n_file_bytes: int, reason: str, first: int = 1) -> None:
        self._name = name
        self._limits = limits
        self._n_file_bytes = max(1, n_file_bytes)
        self._reason = reason
        self._number = first
        self._n_bytes = 0

    def read(self, batches: Iterator[pa.RecordBatch]) -> Iterator[RawRecord]:
        for batch in batches:
            rows = None
            try:
                # Offsets in a file from elsewhere may point anywhere: reading them unchecked crashes the process.
                batch.validate(full=True)
                self._n_bytes += batch.nbytes
                if stop := self._past_limit():
                    yield stop
                    return
                if batch.nbytes <= self._limits.max_record_bytes:
                    rows = self._records(batch)
            except _BROKEN:
                pass  # one row is bad; the others of the batch are read one by one
            yield from rows or (self._row(batch.slice(i, 1), self._number + i) for i in range(batch.num_rows))
            self._number += batch.num_rows

    def broken(self, error: BaseException) -> RawRecord:
        kind = self._reason.removeprefix("broken_").capitalize()
        message = (
            f"{self._name}: expected a complete {kind} file, got {_first_line(error)} after "
            f"{self._number - 1} rows; copy or write it again"
        )
        return RawRecord(0, None, self._reason, message)

    def _records(self, batch: pa.RecordBatch) -> list[RawRecord]:
        names = batch.schema.names
        columns = [
            column
            if _is_plain(column.type)
            else [without_invented(value, _json_scalar) for value in column.to_pylist()]
            for column in batch.columns
        ]
        lists = [column.to_pylist() if isinstance(column, pa.Array) else column for column in columns]
        # Rows of a table without columns are empty objects: zip alone would lose them.
        values_of_rows = zip(*lists, strict=True) if lists else [()] * batch.num_rows
        rows = enumerate(values_of_rows, start=self._number)
        return [RawRecord(number, dict(zip(names, values, strict=True))) for number, values in rows]

    def _row(self, row: pa.RecordBatch, number: int) -> RawRecord:
        where = f"{self._name}: row {number}"
        try:
            row.validate(full=True)
            if row.nbytes <= self._limits.max_record_bytes:
                return RawRecord(number, self._records(row)[0].record)
        except _BROKEN as error:
            is_text = isinstance(error, UnicodeDecodeError) or "UTF8" in str(error)
            wanted = "UTF-8 in text columns" if is_text else "values that JSON can hold"
            message = f"{where}: expected {wanted}, got {_first_line(error)}; write the row again"
            return RawRecord(number, None, "not_utf8" if is_text else self._reason, message)
        message = (
            f"{where}: expected a record of at most {self._limits.max_record_bytes} bytes, got {row.nbytes}; "
            "raise readers.max_record_bytes"
        )
        return RawRecord(number, None, "record_too_large", message)

    def _past_limit(self) -> RawRecord | None:
        limits = self._limits
        if self._n_bytes > limits.max_file_bytes:
            message = f"{self._name}: expected at most {limits.max_file_bytes} bytes; raise readers.max_file_bytes"
            return RawRecord(0, None, "file_too_large", message)
        if self._n_bytes > max(RATIO_AFTER_BYTES, limits.max_compression_ratio * self._n_file_bytes):
            message = (
                f"{self._name}: expected at most {limits.max_compression_ratio:g} bytes for a byte of the file, "
                f"{self._n_file_bytes} bytes gave {self._n_bytes}; the rest was not read; raise "
                "readers.max_compression_ratio if you trust the file"
            )
            return RawRecord(0, None, "compression_ratio", message)
        return None


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    n_rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES * batch.num_rows // max(1, batch.nbytes)))
    return (batch.slice(i, n_rows) for i in range(0, batch.num_rows, n_rows))


def _is_plain(kind: pa.DataType) -> bool:
    """Whether `to_pylist` already gives what `without_invented` would: spares a call for each token id of a list."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    return bool(
        pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_null(kind)
    )


def _json_scalar(value: Any) -> Any:
    """Return a value of `to_pylist` that is no list and no object as JSON can hold it.

    NaN and infinities become their names as in JSON text, times ISO 8601, bytes the text they hold in UTF-8, else
    base64.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _size(raw: BinaryIO) -> int:
    size = raw.seek(0, 2)
    raw.seek(0)
    return size


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return clean_excerpt(f"{type(error).__name__}: {text}"[:300])
