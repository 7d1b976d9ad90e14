"""Archives `.eval` of Inspect (zip of header.json and samples/*.json, deflated or zstd) -> a record a sample."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.containers.compression import RATIO_AFTER_BYTES, ByteSource
from deepcoder_hf.readers.containers.harness_logs import with_evaluation
from deepcoder_hf.readers.containers.raw_record import RawRecord, RecordDecoder

MAGIC = b"PK\x03\x04"
HEADERS = ("header.json", "_journal/start.json")
"""What says which evaluation it was; the second one is there before the evaluation ends."""
ZSTD = 93
_STORED, _DEFLATED = 0, 8
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_BLOCK_BYTES = 256 << 10


def iter_eval_archive(raw: BinaryIO, decoder: RecordDecoder, limits: ReadersConfig) -> Iterator[RawRecord]:
    """Yield the samples of an archive in its order, one in memory at a time; nothing is extracted to disk.

    Args:
        raw: The archive, which can be read at any place.
        decoder: Decodes a record, and names the file.
        limits: The section `readers` of the configuration.

    Yields:
        Records, numbered by their place, and rejects: `broken_archive` where the zip or an entry is damaged or holds
        no samples, and those of compression and JSON.
    """
    try:
        archive = zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
        yield _broken(decoder, 0, f"expected a whole zip archive, got a damaged one ({error}); copy it again")
        return
    with archive:
        entries = {info.filename: info for info in archive.infolist()}  # a sample that was written twice: the last one
        samples = [info for name, info in entries.items() if name.startswith("samples/") and name.endswith(".json")]
        evaluation = _evaluation(raw, archive, entries, decoder, limits)
        n_left = limits.max_file_bytes
        for number, info in enumerate(samples, start=1):
            row, n_bytes = _sample(raw, archive, info, number, decoder, limits)
            n_left -= n_bytes
            if n_left < 0:
                message = f"{decoder.name}: expected at most {limits.max_file_bytes} bytes, the archive has more"
                yield RawRecord(number, None, "file_too_large", f"{message}; raise readers.max_file_bytes", "")
                return
            yield RawRecord(row.line, with_evaluation(row.record, evaluation)) if row.record is not None else row
    if not samples:
        yield _broken(decoder, 0, "expected samples/*.json of an Inspect log, got a zip without; unpack other archives")


def _evaluation(
    raw: BinaryIO,
    archive: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    decoder: RecordDecoder,
    limits: ReadersConfig,
) -> Any:
    """The evaluation that the header tells, or nothing where it cannot be read: samples stand on their own."""
    for name in HEADERS:
        if name in entries:
            try:
                header = json.loads(_content(raw, archive, entries[name], decoder, limits))
            except (RecordError, ValueError, RecursionError):
                continue
            if isinstance(header, dict) and isinstance(header.get("eval"), dict):
                return header["eval"]
    return None


def _sample(
    raw: BinaryIO,
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    number: int,
    decoder: RecordDecoder,
    limits: ReadersConfig,
) -> tuple[RawRecord, int]:
    """The row of an entry, and how many bytes it has."""
    try:
        content = _content(raw, archive, info, decoder, limits)
    except RecordError as error:
        return RawRecord(number, None, error.reason, f"{decoder.name}:{info.filename}: {error.message}", ""), 0
    return decoder.line(content, number), len(content)


def _content(
    raw: BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo, decoder: RecordDecoder, limits: ReadersConfig
) -> bytes:
    """The bytes of an entry.

    Raises:
        RecordError: It is damaged (`broken_archive`), too large (`record_too_large`) or a bomb (`compression_ratio`).
    """
    found = bytearray()
    try:
        for block in _blocks(raw, archive, info, limits):
            found += block
            if len(found) > limits.max_record_bytes:
                message = f"expected a record of at most {limits.max_record_bytes} bytes, got more"
                raise RecordError(f"{message}; raise readers.max_record_bytes", "record_too_large")
            if len(found) > RATIO_AFTER_BYTES and len(found) > limits.max_compression_ratio * max(
                1, info.compress_size
            ):
                message = f"expected at most {limits.max_compression_ratio:g} bytes for a compressed byte, got more"
                raise RecordError(f"{message}; raise readers.max_compression_ratio", "compression_ratio")
    except RecordError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error) as error:
        message = f"expected a whole entry, got a damaged or encrypted one ({error}); copy the archive again"
        raise RecordError(message, "broken_archive") from error
    return bytes(found)


def _blocks(raw: BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ReadersConfig) -> Iterator[bytes]:
    if info.compress_type == ZSTD:
        yield from _zstd_blocks(raw, info, limits)
        return
    if info.compress_type not in (_STORED, _DEFLATED):
        message = f"expected an entry that is stored, deflated or zstd, got method {info.compress_type}"
        raise RecordError(f"{message}; write the log again", "broken_archive")
    with archive.open(info) as entry:
        while block := entry.read(_BLOCK_BYTES):
            yield block


def _zstd_blocks(raw: BinaryIO, info: zipfile.ZipInfo, limits: ReadersConfig) -> Iterator[bytes]:
    """Blocks of an entry that Python's own zipfile cannot decompress, checked against its CRC."""
    if info.flag_bits & 1:
        raise RuntimeError("encrypted")
    raw.seek(info.header_offset)
    header = raw.read(_LOCAL_HEADER.size)
    fields = _LOCAL_HEADER.unpack(header)
    if fields[0] != MAGIC:
        raise zipfile.BadZipFile("no entry where the directory says")
    raw.seek(fields[-2] + fields[-1], 1)
    source = ByteSource(_Part(raw, info.compress_size), limits)  # type: ignore[arg-type]  # it is read only
    crc = 0
    while block := source.read():
        crc = zlib.crc32(block, crc)
        yield block
    if source.problem is not None:
        raise source.problem
    if crc != info.CRC:
        raise zipfile.BadZipFile(f"bad CRC-32 for {info.filename!r}")


class _Part:
    """The next n bytes of a file."""

    def __init__(self, raw: BinaryIO, n: int) -> None:
        self._raw = raw
        self._n_left = n

    def read(self, n: int) -> bytes:
        data = self._raw.read(min(n, self._n_left))
        self._n_left -= len(data)
        return data


def _broken(decoder: RecordDecoder, line: int, message: str) -> RawRecord:
    return RawRecord(line, None, "broken_archive", f"{decoder.name}: {message}", "")
