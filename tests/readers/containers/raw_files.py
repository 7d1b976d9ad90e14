"""Raw files for the tests of this folder: how they are written, compressed, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zstandard

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers.containers import RawRecord, iter_records
from deepcoder_hf.readers.containers.compression import BLOCK_BYTES
from deepcoder_hf.readers.containers.files import InputFile

LINE = b'{"n": 1}\n'
LIMITS = ReadersConfig()
SMALL = ReadersConfig(max_record_bytes=1024)
TINY_BLOCKS = (1, 2, 3, 7, 64, BLOCK_BYTES)


def read(
    path: Path, content: bytes | None = None, limits: ReadersConfig = LIMITS, block_bytes: int = BLOCK_BYTES
) -> list[RawRecord]:
    if content is not None:
        path.write_bytes(content)
    file = InputFile(str(path), path.name, "")
    return list(iter_records(file, limits, block_bytes=block_bytes))


def good(rows: list[RawRecord]) -> list[dict[str, Any] | None]:
    assert [row.reason for row in rows] == [""] * len(rows), rows
    return [row.record for row in rows]


def summary(rows: list[RawRecord]) -> list[tuple[int, Any, str, str]]:
    return [(row.line, row.record, row.reason, row.excerpt) for row in rows]


def zstd(content: bytes, **kwargs: Any) -> bytes:
    return zstandard.ZstdCompressor(**kwargs).compress(content)


def jsonl(records: list[Any], end: str = "\n") -> bytes:
    return "".join(json.dumps(record) + end for record in records).encode()


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINE + name.encode())


def names(files: list[InputFile]) -> list[str]:
    return [file.name for file in files]
