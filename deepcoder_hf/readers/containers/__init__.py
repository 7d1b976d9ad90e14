"""Bytes to raw records: recognises compression and container by content and streams the records out.

| container | recognised by | records |
|---|---|---|
| gzip, zstd | their magic numbers | those of the content |
| Parquet | `PAR1` | rows |
| Inspect log `.eval` | `PK` | samples of the archive |
| YAML | its suffix, `.yaml` or `.yml` | documents, or elements of a list |
| Arrow file, Arrow stream | `ARROW1`, `ff ff ff ff` | rows |
| folder of `save_to_disk` | its state.json or dataset_dict.json | rows |
| text | anything else | JSONL lines, JSON documents, elements of JSON arrays, or the whole text |

Reason codes of rejects of one record: `not_utf8`, `broken_json`, `not_an_object`, `record_too_large`,
`json_too_deep`, `integer_too_long`; of the rest of a file: `truncated_file`, `broken_compression`, `compression_ratio`,
`zstd_window`, `file_too_large`, `read_error`, `broken_parquet`, `broken_arrow`, `broken_archive`,
`broken_yaml`, `yaml_too_deep`, `yaml_alias_bomb`, and the first list where an array cannot be read on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers.containers.columnar import iter_arrow, iter_arrow_folder, iter_parquet
from deepcoder_hf.readers.containers.compression import BLOCK_BYTES, ByteSource
from deepcoder_hf.readers.containers.eval_archive import MAGIC as _ZIP_MAGIC
from deepcoder_hf.readers.containers.eval_archive import iter_eval_archive
from deepcoder_hf.readers.containers.files import InputFile, open_file, text_suffix
from deepcoder_hf.readers.containers.harness_logs import records_of
from deepcoder_hf.readers.containers.json_stream import iter_text
from deepcoder_hf.readers.containers.raw_record import RawRecord, RecordDecoder, clean_excerpt
from deepcoder_hf.readers.containers.yaml_documents import YAML_SUFFIXES, iter_yaml

__all__ = ["RawRecord", "iter_records"]

_PARQUET_MAGIC = b"PAR1"
_ARROW_MAGICS = (b"ARROW1", b"\xff\xff\xff\xff")


def iter_records(file: InputFile, limits: ReadersConfig, *, block_bytes: int = BLOCK_BYTES) -> Iterator[RawRecord]:
    """Yield the records of a file in order, without ever holding the file in memory.

    Bad data never raises: each problem is a `RawRecord` with a reason, and reading goes on where it can. A file of
    0 bytes or of white space yields nothing.

    Args:
        file: A file, folder or URL as `find_files` gives it.
        limits: The section `readers` of the configuration.
        block_bytes: Bytes read at a time; the records are the same for any value.

    Yields:
        Records (`reason` is empty) and rejects.

    Raises:
        InputError: The file cannot be opened; raised when the first record is asked for.
    """
    if os.path.isdir(file.path):
        yield from iter_arrow_folder(Path(file.path), file.name, limits)
        return
    with open_file(file) as raw:
        source = ByteSource(raw, limits, block_bytes)
        head = source.peek(6)
        if head.startswith((_PARQUET_MAGIC, *_ARROW_MAGICS, _ZIP_MAGIC)):
            yield from _iter_seekable(raw, source, file.name, limits)
        elif text_suffix(file.name) in YAML_SUFFIXES:
            yield from iter_yaml(source, RecordDecoder(file.name, limits), limits.max_depth)
        else:
            decoder = RecordDecoder(file.name, limits)
            yield from records_of(iter_text(source, decoder), decoder)
        if source.problem is not None:
            message = f"{file.name}: {source.problem.message}"
            yield RawRecord(0, None, source.problem.reason, message, clean_excerpt(source.leftover))


def _iter_seekable(raw: BinaryIO, source: ByteSource, name: str, limits: ReadersConfig) -> Iterator[RawRecord]:
    """Read what has its directory at the end; a stream that cannot be read at any place is spooled first."""
    head = source.peek(4)
    if not source.compressed and raw.seekable():
        raw.seek(0)
        yield from _read_seekable(raw, head, name, limits)
        return
    with tempfile.TemporaryFile() as spooled:
        while block := source.read():
            spooled.write(block)
        if source.problem is None:
            spooled.seek(0)
            yield from _read_seekable(cast(BinaryIO, spooled), head, name, limits)


def _read_seekable(raw: BinaryIO, head: bytes, name: str, limits: ReadersConfig) -> Iterator[RawRecord]:
    if head == _ZIP_MAGIC:
        return iter_eval_archive(raw, RecordDecoder(name, limits), limits)
    return (iter_parquet if head == _PARQUET_MAGIC else iter_arrow)(raw, name, limits)
