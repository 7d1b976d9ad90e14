"""Files of prepared rows, batch by batch: Arrow folders and caches, Parquet, JSONL, or a folder of such."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from deepcoder_hf.errors import InputError

ID_COLUMNS = ("input_ids", "prompts", "responses", "prompt_ids", "completion_ids")
LABEL_COLUMNS = ("labels", "assistant_masks", "completion_mask", "response_mask", "loss_mask", "reasoning_mask",
                 "action_mask")  # fmt: skip
PER_TOKEN = ("attention_mask", "position_ids", "token_types")
COLUMNS = (*ID_COLUMNS, *LABEL_COLUMNS, *PER_TOKEN, "seq_lengths")
"""Columns that the audit reads; all others are not even decoded where the container allows it."""

EXPECTED = "expected Arrow (save_to_disk, a datasets cache), Parquet or JSONL files with input_ids"
BATCH_ROWS = 512
BATCH_BYTES = 8 << 20
_BROKEN = (pa.ArrowException, OSError, EOFError, zlib.error, zstandard.ZstdError, ValueError, KeyError, TypeError)
_SUFFIXES = (".arrow", ".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".json")


@dataclass(slots=True)
class RawBatch:
    """Some rows of a file.

    Args:
        columns: The known columns.
        numbers: Number of each row in the dataset, from 0, int64 [R].
        bad: Rows that could not be read: (number, why).
    """

    columns: pa.RecordBatch
    numbers: npt.NDArray[np.int64]
    bad: list[tuple[int, str]] = field(default_factory=list)


def find_files(path: Path) -> list[Path]:
    """The data files of a dataset, in order.

    Raises:
        InputError: Nothing is there.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; {EXPECTED}")
    if path.is_file():
        return [path]
    if (path / "dataset_dict.json").is_file():
        return [file for folder in _splits(path) for file in find_files(folder)]
    if (path / "state.json").is_file():
        return _saved(path)
    root = path.resolve()
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.name.endswith(_SUFFIXES) and file.is_file() and file.resolve().is_relative_to(root)
        and not file.name.endswith(("_info.json", "state.json", "report.json", "dataset_dict.json"))
    ]  # fmt: skip
    columnar = [file for file in files if file.suffix in (".arrow", ".parquet")]
    files = columnar or [file for file in files if not file.name.startswith("rejected")]
    if not files:
        raise InputError(f"{path}: {EXPECTED}, got a folder without such a file")
    return files


def _splits(path: Path) -> list[Path]:
    return [folder for folder in sorted(path.iterdir()) if (folder / "state.json").is_file()]


def _saved(path: Path) -> list[Path]:
    """The files that `Dataset.save_to_disk` lists."""
    try:
        names = [
            Path(entry["filename"]).name for entry in json.loads((path / "state.json").read_bytes())["_data_files"]
        ]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{path}/state.json: expected the list of a saved dataset's files, got {error!r}") from None
    return [path / name for name in names]


def iter_batches(files: list[Path], limit: int | None = None) -> Iterator[RawBatch]:
    """The rows of files, numbered over all of them.

    Args:
        files: As `find_files` gives them.
        limit: Rows to read, None for all.

    Raises:
        InputError: A file cannot be read, or has no column of token ids.
    """
    number = 0
    for file in files:
        try:
            for batch in _batches(file, number):
                n_rows = batch.columns.num_rows + len(batch.bad)
                if limit is not None and number + n_rows > limit:
                    batch = _head(batch, limit)
                yield batch
                number += n_rows
                if limit is not None and number >= limit:
                    return
        except _BROKEN as error:
            if isinstance(error, InputError):
                raise
            problem = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(f"{file} cannot be read: {problem}; {EXPECTED}") from None


def _head(batch: RawBatch, limit: int) -> RawBatch:
    n_kept = int((batch.numbers < limit).sum())
    return RawBatch(
        batch.columns.slice(0, n_kept), batch.numbers[:n_kept], [bad for bad in batch.bad if bad[0] < limit]
    )


def _batches(file: Path, first: int) -> Iterator[RawBatch]:
    with file.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic[:4] == b"PAR1":
            yield from _columnar(_parquet(raw, file), first)
        elif magic == b"ARROW1" or magic[:4] == b"\xff\xff\xff\xff":
            yield from _columnar(_arrow(file, magic == b"ARROW1"), first)
        else:
            yield from _jsonl(_decompressed(raw, magic), file, first)


def _parquet(raw: BinaryIO, file: Path) -> Iterator[pa.RecordBatch]:
    parquet = pq.ParquetFile(raw, pre_buffer=False)
    names = _known(parquet.schema_arrow.names, file)
    n_bytes = sum(parquet.metadata.row_group(i).total_byte_size for i in range(parquet.metadata.num_row_groups))
    n_rows = max(1, min(BATCH_ROWS, BATCH_BYTES * parquet.metadata.num_rows // max(1, n_bytes)))
    return iter(parquet.iter_batches(batch_size=n_rows, columns=names, use_threads=False))


def _arrow(file: Path, is_file: bool) -> Iterator[pa.RecordBatch]:
    # Read, not mapped: pages of a mapped file count as this process's memory until somebody else wants them.
    with pa.OSFile(str(file)) as source:
        open_reader = pa.ipc.open_file if is_file else pa.ipc.open_stream
        present = open_reader(source).schema.names
        names = _known(present, file)
        fields = [number for number, name in enumerate(present) if name in names]
        source.seek(0)
        reader = open_reader(source, options=pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False))
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
        for batch in batches:
            few = batch.select(names)
            few.validate(full=True)  # offsets of a file from elsewhere may point anywhere
            n_rows = max(1, min(BATCH_ROWS, BATCH_BYTES * few.num_rows // max(1, few.nbytes)))
            for begin in range(0, few.num_rows, n_rows):
                yield few.slice(begin, n_rows)


def _known(names: list[str], file: Path) -> list[str]:
    known = [name for name in COLUMNS if name in names]
    if not set(known) & set(ID_COLUMNS):
        raise InputError(f"{file}: {EXPECTED}, got the columns {', '.join(map(repr, names[:12]))}; {_ADVICE}")
    return known


_ADVICE = "audit reads rows that are tokenised: save what your trainer prepared (for example trainer.train_dataset)"


def _columnar(batches: Iterator[pa.RecordBatch], first: int) -> Iterator[RawBatch]:
    for batch in batches:
        yield RawBatch(batch, np.arange(first, first + batch.num_rows))
        first += batch.num_rows


def _decompressed(raw: BinaryIO, magic: bytes) -> BinaryIO:
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw))
    return raw


def _jsonl(lines: BinaryIO, file: Path, number: int) -> Iterator[RawBatch]:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: list[tuple[int, str]] = []
    n_bytes = 0
    for line_number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row, problem = _object(line)
        if problem and line_number == 1:
            raise InputError(f"{file}:1: {EXPECTED}, got {problem}")
        if not number and not numbers and not bad:
            _known(list(row), file)
        if problem:
            bad.append((number, f"line {line_number}: {problem}"))
        else:
            rows.append(row)
            numbers.append(number)
        number, n_bytes = number + 1, n_bytes + len(line)
        if n_bytes >= BATCH_BYTES or len(numbers) >= BATCH_ROWS:
            yield _table(rows, numbers, bad)
            rows, numbers, bad, n_bytes = [], [], [], 0
    if rows or bad:
        yield _table(rows, numbers, bad)


def _object(line: bytes) -> tuple[dict[str, Any], str]:
    try:
        row = orjson.loads(line)
    except ValueError as error:
        return {}, f"no JSON: {error}"
    return (row, "") if isinstance(row, dict) else ({}, f"{type(row).__name__} instead of an object")


def _table(rows: list[dict[str, Any]], numbers: list[int], bad: list[tuple[int, str]]) -> RawBatch:
    """Rows as Arrow; a row with a value that is no list of whole numbers is bad."""
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    kind = pa.list_(pa.int64())
    try:
        columns = [pa.array([row.get(name) for row in rows], kind) for name in names]
        good = numbers
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        rows = [_as_masks(row) for row in rows]
        problems = [_problem(row, kind) for row in rows]
        kept = [row for row, problem in zip(rows, problems, strict=True) if not problem]
        good = [number for number, problem in zip(numbers, problems, strict=True) if not problem]
        bad = bad + [(number, problem) for number, problem in zip(numbers, problems, strict=True) if problem]
        columns = [pa.array([row.get(name) for row in kept], kind) for name in names]
    if not names:
        return RawBatch(pa.record_batch({"input_ids": pa.nulls(len(good), kind)}), np.array(good, np.int64), bad)
    return RawBatch(pa.RecordBatch.from_arrays(columns, names), np.array(good, np.int64), bad)


def _as_masks(row: dict[str, Any]) -> dict[str, Any]:
    """The row with masks of true and false, or of 1.0 and 0.0, as whole numbers."""
    masks = {
        name: [int(flag != 0) for flag in row[name]]
        for name in LABEL_COLUMNS[1:]
        if isinstance(row.get(name), list) and all(isinstance(flag, bool | float | int) for flag in row[name])
    }
    return {**row, **masks}


def _problem(row: dict[str, Any], kind: pa.DataType) -> str:
    for name in COLUMNS:
        try:
            pa.array([row.get(name)], kind)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return f"{name}: expected a list of whole numbers"
    return ""
