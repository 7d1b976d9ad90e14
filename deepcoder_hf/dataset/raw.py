"""Input files -> raw rows: every record is a trajectory or a reject with its reason, nothing in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import xxhash

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.dataset.features import raw_schema
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import InputFile
from deepcoder_hf.trajectory import to_json

BATCH_ROWS = 1000
BATCH_CHARS = 8 * 1024 * 1024
"""A table is given out at so many rows or characters, whichever comes first."""
MAX_EXCERPT = 10_000
"""Characters of a rejected record that are kept."""

Row = tuple[str, str, str | None, str, int, str, str | None, str | None]
"""The columns of RAW_FEATURES in their order."""


def raw_row(record: Any, path: str, line: int, parser: TrajectoryParser, licence: str | None = None) -> Row:
    """Read one record into a raw row; what cannot be read becomes a reject row.

    Args:
        record: The raw record.
        path: Where it stands, relative.
        line: Its line there.
        parser: The readers.
        licence: Licence to note where the record names none.
    """
    try:
        trajectory = parser.parse(record)
        if licence is not None:
            trajectory.metadata.setdefault("licence", licence)  # type: ignore[attr-defined]
        content = to_json(trajectory)
    except RecordError as error:
        excerpt = json.dumps(record, default=str)[:MAX_EXCERPT]
        return reject_row(path, line, error.reason, f"{path}:{line}: {error}", excerpt)
    except RecursionError:
        return reject_row(path, line, "json_too_deep", f"{path}:{line}: nested too deep to be read", "")
    identity = trajectory.trajectory_id or xxhash.xxh3_128_hexdigest(content.encode())
    return identity, trajectory.group_id or identity, trajectory.source_format, path, line, content, None, None


def reject_row(path: str, line: int, reason: str, message: str, excerpt: str) -> Row:
    """A raw row for a record that no reader could use; its excerpt stands as JSON text in `trajectory`."""
    identity = xxhash.xxh3_128_hexdigest(f"{path}:{line}:{reason}:{excerpt}".encode("utf-8", "surrogatepass"))
    return identity, identity, None, path, line, json.dumps(excerpt), reason, message


def raw_tables(file: InputFile, limits: ReadersConfig, limit: int | None = None) -> Iterator[pa.Table]:
    """The raw rows of one file, a table at a time; memory stays within a table and a record.

    Args:
        file: The file.
        limits: Limits of what is read.
        limit: Most rows; None for all.

    Raises:
        InputError: The file cannot be opened.
    """
    parser = TrajectoryParser()
    rows: list[Row] = []
    n_chars = 0
    for raw in islice(iter_records(file, limits), limit):
        if raw.record is None:
            row = reject_row(file.name, raw.line, raw.reason, raw.message, raw.excerpt)
        else:
            row = raw_row(raw.record, file.name, raw.line, parser, limits.licence)
        rows.append(row)
        n_chars += len(row[5])
        if len(rows) >= BATCH_ROWS or n_chars >= BATCH_CHARS:
            yield table_of(rows)
            rows, n_chars = [], 0
    if rows:
        yield table_of(rows)


def table_of(rows: list[Row]) -> pa.Table:
    """Raw rows as Arrow."""
    schema = raw_schema()
    arrays = []
    for field, values in zip(schema, zip(*rows, strict=True), strict=True):
        storage = pa.string() if field.name == "trajectory" else field.type
        arrays.append(pa.array(values, storage).cast(field.type))
    return pa.table(arrays, schema=schema)
