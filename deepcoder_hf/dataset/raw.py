"""Input files -> raw rows: every record is a trajectory or a reject with its reason, nothing in between."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.dataset.features import raw_schema
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import InputFile
from deepcoder_hf.readers.containers.raw_record import EXCERPT_CHARS
from deepcoder_hf.trajectory import Trajectory, to_json

BATCH_ROWS = 1000
BATCH_CHARS = 8 * 1024 * 1024
"""A table is given out at so many rows or characters, whichever comes first."""

Row = tuple[str, str, str | None, str, int, int, str, str | None, str | None]
"""The columns of RAW_FEATURES in their order."""


def raw_rows(record: Any, path: str, line: int, parser: TrajectoryParser) -> list[Row]:
    """Read the trajectories of one record into raw rows; what cannot be read becomes one reject row.

    Args:
        record: The raw record.
        path: Where it stands, relative.
        line: Its line there.
        parser: The readers; its setting `licence` is noted where the record names none.
    """
    try:
        return [
            _row(trajectory, path, line, part, parser.config.licence)
            for part, trajectory in enumerate(parser.parse_all(record))
        ]
    except RecordError as error:
        excerpt = json.dumps(record, default=str)
        name = parser.format_of(record) if isinstance(record, Mapping) else None
        return [reject_row(path, line, error.reason, f"{path}:{line}: {error}", excerpt, name)]
    except RecursionError:
        return [reject_row(path, line, "json_too_deep", f"{path}:{line}: nested too deep to be read", "")]
    except Exception as error:  # a reader met what it was not written for: one record must not end the run
        where = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"{path}:{line}: the reader failed with {type(error).__name__}: {error} ({Path(where.filename).name}:"
            f"{where.lineno}); this is a defect, please report the record"
        )
        excerpt = json.dumps(record, default=str)
        return [reject_row(path, line, "reader_failed", message, excerpt)]


def _row(trajectory: Trajectory, path: str, line: int, part: int, licence: str | None) -> Row:
    facts = dict(trajectory.metadata)
    if licence is not None:
        facts.setdefault("licence", licence)
    if trajectory.parent_id is not None:
        facts["parent_id"] = trajectory.parent_id
    content = to_json(replace(trajectory, metadata=facts))
    identity = trajectory.trajectory_id or xxhash.xxh3_128_hexdigest(content.encode())
    group = trajectory.group_id or trajectory.parent_id or identity
    return identity, group, trajectory.source_format, path, line, part, content, None, None


def reject_row(path: str, line: int, reason: str, message: str, excerpt: str, name: str | None = None) -> Row:
    """A raw row for a record that no reader could use; its beginning and its length stand as JSON in `trajectory`.

    Args:
        path: Where it stands, relative.
        line: Its line there.
        reason: The reason code.
        message: What was expected, what came.
        excerpt: The record as text; its beginning is kept.
        name: The format, where a reader took it and could not use it.
    """
    identity = xxhash.xxh3_128_hexdigest(f"{path}:{line}:{reason}:{excerpt}".encode("utf-8", "surrogatepass"))
    stored = json.dumps({"excerpt": excerpt[:EXCERPT_CHARS], "characters": len(excerpt)})
    return identity, identity, name, path, line, 0, stored, reason, message


def raw_tables(file: InputFile, limits: ReadersConfig, limit: int | None = None) -> Iterator[pa.Table]:
    """The raw rows of one file, a table at a time; memory stays within a table and a record.

    Args:
        file: The file.
        limits: Limits of what is read.
        limit: Most records; None for all.

    Raises:
        InputError: The file cannot be opened.
    """
    parser = TrajectoryParser(limits)
    rows: list[Row] = []
    n_chars = 0
    for raw in islice(iter_records(file, limits), limit):
        if raw.record is None:
            found = [reject_row(file.name, raw.line, raw.reason, raw.message, raw.excerpt)]
        else:
            found = raw_rows(raw.record, file.name, raw.line, parser)
        rows += found
        n_chars += sum(len(row[6]) for row in found)
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
