"""Pieces of inputs to raw rows: whole files by their readers, ranges of JSONL by lines, none that has changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import xxhash

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.dataset.raw import BATCH_ROWS, Row, raw_rows, reject_row, table_of
from deepcoder_hf.errors import InputError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import RawRecord, iter_records
from deepcoder_hf.readers.containers.files import InputFile, find_files, text_suffix
from deepcoder_hf.readers.containers.harness_logs import records_of
from deepcoder_hf.readers.containers.raw_record import RecordDecoder
from deepcoder_hf.shards import BATCH_BYTES

if TYPE_CHECKING:
    from deepcoder_hf.cluster.plan import Piece

LINE_SUFFIXES = (".jsonl", ".ndjson")
_PROBE_BYTES = 4 << 20


def is_cut_by_lines(file: InputFile, limits: ReadersConfig) -> bool:
    """Whether a file may be cut between any two of its lines: its reader takes each of the first two as a record.

    The sessions of harnesses are JSONL too, but one record; they are read whole, and so is what is compressed.
    """
    if "://" in file.path or text_suffix(file.name) not in LINE_SUFFIXES or not os.path.isfile(file.path):
        return False
    with open(file.path, "rb") as opened:
        lines = [opened.readline(_PROBE_BYTES) for _ in range(2)]
    if not all(line.startswith(b"{") and line.endswith(b"\n") for line in lines):
        return False
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.jsonl"
        probe.write_bytes(b"".join(lines))
        records = list(iter_records(InputFile(str(probe), file.name, ""), limits))
    return [raw.line for raw in records if raw.record is not None] == [1, 2]


def piece_tables(piece: Piece, limits: ReadersConfig) -> Iterator[pa.Table]:
    """The raw rows of a piece, a batch of whole records at a time.

    Raises:
        InputError: The input is gone, or not what it was when the run was planned.
    """
    parser = TrajectoryParser(limits)
    rows: list[Row] = []
    n_chars = 0
    for raw in _records(piece, limits):
        if raw.record is None:
            found = [reject_row(piece.name, raw.line, raw.reason, raw.message, raw.excerpt)]
        else:
            found = raw_rows(raw.record, piece.name, raw.line, parser)
        rows += found
        n_chars += sum(len(row[6]) for row in found)
        if len(rows) >= BATCH_ROWS or n_chars >= BATCH_BYTES:
            yield table_of(rows)
            rows, n_chars = [], 0
    if rows:
        yield table_of(rows)


def _records(piece: Piece, limits: ReadersConfig) -> Iterator[RawRecord]:
    """The records of a piece; the last one is followed by the proof that the piece is what was planned."""
    if "://" not in piece.path and not os.path.exists(piece.path):
        raise InputError(f"{piece.path} was there when the run was planned and is not now; put it back and run again")
    if piece.stop is None:
        yield from iter_records(piece.file, limits)
        content = piece.digest if "://" in piece.path else find_files(piece.path)[0].digest
        _check(piece, content)
        return
    decoder = RecordDecoder(piece.name, limits)
    # whether the file is a log of one record was asked of its first lines; a range must not ask again of its own
    neutral = RawRecord(0, None)
    rows = records_of(chain([neutral], _lines(piece, decoder)), decoder)
    next(rows)
    yield from rows


def _lines(piece: Piece, decoder: RecordDecoder) -> Iterator[RawRecord]:
    """The lines of a range that are not blank, under their numbers in the file."""
    content = xxhash.xxh3_128()
    with open(piece.path, "rb") as file:
        file.seek(piece.start)
        number, left = piece.first_line, (piece.stop or 0) - piece.start
        while left > 0 and (line := file.readline(left)):
            content.update(line)
            left -= len(line)
            raw = line.removesuffix(b"\n")
            if raw and not raw.isspace():
                yield decoder.line(raw, number)
            number += 1
    _check(piece, content.hexdigest())


def _check(piece: Piece, content: str) -> None:
    if content != piece.digest:
        raise InputError(
            f"{piece.path} has changed since the run was planned; run again with another output, or --overwrite"
        )
