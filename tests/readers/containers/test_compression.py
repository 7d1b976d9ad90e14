"""Compressed, cut and oversized files: the reason code of each, in bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard
from raw_files import LIMITS, good, jsonl, read, zstd

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import InputError
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.compression import BLOCK_BYTES, ByteSource
from deepcoder_hf.readers.containers.files import InputFile


@pytest.mark.parametrize("block_bytes", [5, BLOCK_BYTES])
def test_compression_is_recognised_by_content_and_parts_are_joined(tmp_path: Path, block_bytes: int) -> None:
    skippable = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"
    parts = [b'{"n": 1}\n{"n"', b": 2}\n", b"", b'{"n": 3}\n']
    for content in (
        b"".join(gzip.compress(part) for part in parts),
        b"".join(gzip.compress(part) for part in parts) + b"\0" * 512,
        b"".join(zstd(part) for part in parts),
        skippable + b"".join(zstd(part, write_checksum=True) + skippable for part in parts),
    ):
        rows = read(tmp_path / "a.jsonl", content, block_bytes=block_bytes)
        assert good(rows) == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize("compress", [gzip.compress, lambda data: zstd(data, write_checksum=True)])
@pytest.mark.parametrize("cut", [1, 3, 7, 2000])
def test_a_truncated_file_yields_its_records_and_one_reject(tmp_path: Path, compress: Any, cut: int) -> None:
    records = [{"n": i, "s": os.urandom(200).hex()} for i in range(2000)]
    rows = read(tmp_path / "a.jsonl", compress(jsonl(records))[:-cut])
    assert [row.reason for row in rows[-1:]] == ["truncated_file"]
    assert rows[-1].line == 0
    kept = good(rows[:-1])
    assert kept == records[: len(kept)]
    assert len(kept) > 1000
    assert (cut >= 2000) == (len(kept) < 2000 and cut >= 2000)


@pytest.mark.parametrize("content", [b"[%s", b'{"x": [%s', b'[{"role": "user", "content": "a"}, %s'])
def test_a_truncated_array_or_document_is_truncated_not_broken(tmp_path: Path, content: bytes) -> None:
    data = content % b", ".join(json.dumps({"s": os.urandom(100).hex()}).encode() for _ in range(5000))
    rows = read(tmp_path / "a.json", gzip.compress(data)[:-9])
    assert {row.reason for row in rows[:-1]} <= {""}
    assert rows[-1].reason == "truncated_file"
    assert [row.reason for row in read(tmp_path / "a.txt", gzip.compress(data)[:-9])] == ["truncated_file"]


@pytest.mark.parametrize("compress", [gzip.compress, lambda data: zstd(data, write_checksum=True)])
def test_damaged_compression_is_one_reject(tmp_path: Path, compress: Any) -> None:
    data = bytearray(compress(jsonl([{"s": os.urandom(50).hex()} for _ in range(100)])))
    data[-5] ^= 0xFF
    assert read(tmp_path / "a.jsonl", bytes(data))[-1].reason == "broken_compression"
    rows = read(tmp_path / "a.jsonl", compress(b'{"n": 1}\n') + b"garbage")
    assert [row.reason for row in rows] == ["", "broken_compression"]


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.json"])
def test_a_bomb_is_stopped_by_its_ratio_in_bounded_memory(tmp_path: Path, compress: Any, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(compress(b'{"n": 1}\n' + b"[" + b" " * (300 << 20)))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    limits = ReadersConfig(max_record_bytes=1 << 20)
    rows = list(iter_records(InputFile(str(path), name, ""), limits))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if name == "a.txt":
        assert [row.reason for row in rows] == ["record_too_large"]
    else:
        assert rows[0].record == {"n": 1}
        assert rows[-1].reason == "compression_ratio"
    assert peak < 16 << 20


def test_a_zstd_bomb_of_run_length_blocks_stays_in_bounded_memory(tmp_path: Path) -> None:
    n_blocks = 20_000  # 80 kB that stand for 2.6 GB
    run = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b" "
    header = b"\x28\xb5\x2f\xfd" + bytes([0x00, 0x38])
    path = tmp_path / "a.jsonl"
    path.write_bytes(header + run * n_blocks)
    tracemalloc.start()
    rows = read(path, limits=ReadersConfig(max_record_bytes=1 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.reason for row in rows] == ["compression_ratio"]
    assert peak < 8 << 20


def test_a_large_zstd_window_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = compressor.compress(b'{"n": 1}\n') + compressor.flush()
    assert [row.reason for row in read(tmp_path / "a.jsonl", content)] == ["zstd_window"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd])
def test_a_file_past_max_file_bytes_yields_what_came_before(tmp_path: Path, compress: Any) -> None:
    records = [{"n": i} for i in range(100, 900)]
    limits = ReadersConfig(max_file_bytes=1024)
    for block_bytes in (7, BLOCK_BYTES):
        rows = read(tmp_path / "a.jsonl", compress(jsonl(records)), limits, block_bytes)
        assert rows[-1].reason == "file_too_large"
        assert good(rows[:-1]) == records[: 1024 // 11]


def test_a_record_of_200_mb_is_skipped_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"n": 1}\n{"s": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"n": 3}\n')
    limits = ReadersConfig(max_record_bytes=1 << 20)
    tracemalloc.start()
    rows = list(iter_records(InputFile(str(path), "a.jsonl", ""), limits))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, "record_too_large"), (3, "")]
    assert str((200 << 20) + 9) in rows[1].message
    assert peak < 8 << 20


@pytest.mark.slow
def test_a_real_record_of_200_mb_is_read_where_the_limit_allows_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl([{"n": 1}, {"s": "x" * 200_000_000}, {"n": 3}]))
    file = InputFile(str(path), "a.jsonl", "")
    assert [row.reason for row in iter_records(file, LIMITS)] == ["", "record_too_large", ""]
    rows = list(iter_records(file, ReadersConfig(max_record_bytes=1 << 30)))
    assert len(rows[1].record["s"]) == 200_000_000  # type: ignore[index]


def test_reading_stops_with_a_reject_where_the_disk_or_network_fails(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 300:
                raise ConnectionResetError("gone")
            return super().read(size)

    source = ByteSource(Failing(b'{"n": 1}\n' * 100), LIMITS, block_bytes=100)
    n = 0
    while block := source.read():
        n += len(block)
    assert 300 <= n < 900
    assert source.problem is not None
    assert source.problem.reason == "read_error"


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No such file.*a\.jsonl"):
        read(tmp_path / "a.jsonl")
