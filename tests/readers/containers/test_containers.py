"""Containers: the same records come out of every container, and each kind of damage has its reason code."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from datasets import Dataset, DatasetDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import InputError
from deepcoder_hf.readers.containers import RawRecord, iter_records
from deepcoder_hf.readers.containers.compression import BLOCK_BYTES, ByteSource
from deepcoder_hf.readers.containers.files import InputFile

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


# --- layouts of text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "records", "lines"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}], [1, 2]),
        ("a.jsonl", '{"a": 1}\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}], [1, 2]),
        ("a.jsonl", '{"a": 1}\n\n  \n{"a": 2}', [{"a": 1}, {"a": 2}], [1, 4]),
        ("a.jsonl", '\n \n  {"a": 1}\n\t{"a": 2} ', [{"a": 1}, {"a": 2}], [3, 4]),
        ("a.jsonl", '\ufeff{"a": 1}\n{"a": 2}', [{"a": 1}, {"a": 2}], [1, 2]),
        ("a.json", '{"a": 1}', [{"a": 1}], [1]),
        ("a.json", '{\n  "a": [\n    {"b": 1}\n  ]\n}\n', [{"a": [{"b": 1}]}], [1]),
        ("a.traj", '{"a": [\n{"b": 1},\n{"b": 2}\n]}', [{"a": [{"b": 1}, {"b": 2}]}], [1]),
        ("a.json", '{\n "a": 1\n}\n{\n "a": 2\n}', [{"a": 1}, {"a": 2}], [1, 4]),
        ("a.json", '{"a": 1}{"a": 2} {"a": 3}', [{"a": 1}, {"a": 2}, {"a": 3}], [1, 1, 1]),
        ("a.json", '[{"a": 1}, {"a": 2},\n {"a": 3}]', [{"a": 1}, {"a": 2}, {"a": 3}], [1, 1, 2]),
        ("a.json", '\ufeff \n[\n{"a": 1}\n,\n{"a": 2}\n]\n', [{"a": 1}, {"a": 2}], [3, 5]),
        ("a.json", "[]", [], []),
        ("a.jsonl", '[{"a": 1}]\n[{"a": 2}]\n', [{"a": 1}, {"a": 2}], [1, 2]),
        ("a.txt", '{"a": 1}\r\nThought: x', [{"text": '{"a": 1}\r\nThought: x'}], [1]),
        ("a.txt", "\ufeff  Thought: x\n", [{"text": "  Thought: x\n"}], [1]),
        ("a.log", " Thought: x\n", [{"text": " Thought: x\n"}], [1]),
        ("stdin", "Thought: x", [{"text": "Thought: x"}], [1]),
    ],
)
@pytest.mark.parametrize("block_bytes", TINY_BLOCKS)
def test_the_layout_of_text_is_decided_by_content(
    tmp_path: Path, name: str, content: str, records: list[Any], lines: list[int], block_bytes: int
) -> None:
    rows = read(tmp_path / name, content.encode(), block_bytes=block_bytes)
    assert good(rows) == records
    assert [row.line for row in rows] == lines


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf\n", gzip.compress(b""), zstd(b"")])
@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.json", "a"])
def test_an_empty_file_yields_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path / name, content) == []


@pytest.mark.parametrize(
    ("messages", "key"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": []}], "messages"),
        ([{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "conversations"),
    ],
)
@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_of_chat_messages_is_one_record(tmp_path: Path, messages: Any, key: str, indent: int | None) -> None:
    content = json.dumps(messages, indent=indent).encode()
    for block_bytes in TINY_BLOCKS:
        assert good(read(tmp_path / "a.json", content, block_bytes=block_bytes)) == [{key: messages}]


def test_each_line_that_is_an_array_of_chat_messages_is_one_record(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert good(read(tmp_path / "a.jsonl", jsonl([messages, messages]))) == [{"messages": messages}] * 2


def test_an_array_of_records_that_have_roles_and_messages_is_many_records(tmp_path: Path) -> None:
    records = [{"role": "x", "content": "y", "messages": []}, {"role": "x", "content": "y", "messages": []}]
    assert good(read(tmp_path / "a.json", json.dumps(records).encode())) == records


def test_lone_surrogate_escapes_survive(tmp_path: Path) -> None:
    content = b'{"a": "\\ud83d", "b": "\\ud83d\\ude00"}\n'
    wanted = [{"a": "\ud83d", "b": "\U0001f600"}]
    assert good(read(tmp_path / "a.jsonl", content * 2)) == wanted * 2
    assert good(read(tmp_path / "a.json", b"[" + content + b"]")) == wanted


def test_numbers_that_json_lacks_become_their_names(tmp_path: Path) -> None:
    content = b'{"a": [NaN, Infinity, -Infinity, 1e999, -1e999, 1e300, -0.5]}\n'
    wanted = {"a": ["NaN", "Infinity", "-Infinity", "Infinity", "-Infinity", 1e300, -0.5]}
    assert good(read(tmp_path / "a.jsonl", content * 2)) == [wanted] * 2
    assert good(read(tmp_path / "a.json", b"[" + content + b"]")) == [wanted]


# --- broken records --------------------------------------------------------------------------------------------------

DEEP = "[" * 10_000 + "]" * 10_000
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("line", "reason", "message"),
    [
        (b'{"a": 1,}', "broken_json", "a.jsonl:2: column 9: expected property name"),
        (b'   {"a": 1,}', "broken_json", "a.jsonl:2: column 12: expected property name"),
        (b'{"a": 1} x', "broken_json", "a.jsonl:2: column 10: expected the end of the record, found 'x'"),
        (b'{"a": "b', "broken_json", "a.jsonl:2: column 7: Unterminated string"),
        (b"hello", "broken_json", "a.jsonl:2: column 1: expected value, found 'hello'"),
        (b"\xa0", "not_utf8", "at 0 of the record"),
        ("\u00a0{}".encode(), "broken_json", "column 1"),
        (b'"a"', "not_an_object", "got a string"),
        (b"12", "not_an_object", "got a number"),
        (b"null", "not_an_object", "got null"),
        (b'[{"a": 1}]', "not_an_object", "got an array"),
        (b'{"a": "\xff\xfe"}', "not_utf8", "a.jsonl:2: expected UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not_utf8", "expected UTF-8"),
        (b'{"a": %s}' % DEEP.encode(), "json_too_deep", "at most 200 levels"),
        (b'{"a": %s}' % (b"[" * 200 + b"]" * 200), "json_too_deep", "at most 200 levels"),
        (b'{"a": %s}' % DIGITS.encode(), "integer_too_long", "at most 4300 digits"),
        (b'{"a": "%s"}' % (b"x" * 70_000), "record_too_large", "at most 65536 bytes, got 70009"),
    ],
)
@pytest.mark.parametrize("block_bytes", [13, 4096, BLOCK_BYTES])
def test_a_broken_line_is_one_reject_and_the_others_are_read(
    tmp_path: Path, line: bytes, reason: str, message: str, block_bytes: int
) -> None:
    content = b'{"n": 1}\n' + line + b'\n{"n": 3}\n'
    first, bad, third = read(tmp_path / "a.jsonl", content, ReadersConfig(max_record_bytes=65_536), block_bytes)
    assert (first.record, third.record) == ({"n": 1}, {"n": 3})
    assert (first.line, bad.line, third.line) == (1, 2, 3)
    assert (bad.record, bad.reason) == (None, reason)
    assert message in bad.message
    assert "\n" not in bad.message
    assert bad.excerpt[:50].strip() == line.decode("utf-8", "replace")[:50].strip()
    assert len(bad.excerpt) <= 10_000


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'"a"', "not_an_object"),
        (b'{"a": "\xff"}', "not_utf8"),
        (b'{"a": %s}' % (b"[" * 300 + b"]" * 300), "json_too_deep"),
        (b'{"a": %s, "b": "]}]\\"]]"}' % DEEP.encode(), "json_too_deep"),
        (b'{"a": "%s\\\\", "b": "}\\""}' % (b"x" * 3_000_000), "record_too_large"),
        (b'{"a": %s}' % DIGITS.encode(), "integer_too_long"),
        (DIGITS.encode(), "integer_too_long"),
        (b'{"a": "%s"}' % (b"x" * 7000), "record_too_large"),
        (('{"a": "' + "\u4e00" * 2000 + '"}').encode(), "record_too_large"),
    ],
)
@pytest.mark.parametrize("block_bytes", [13, 4096, BLOCK_BYTES])
def test_an_array_is_read_on_after_an_element_whose_end_is_known(
    tmp_path: Path, element: bytes, reason: str, block_bytes: int
) -> None:
    # Each limit lies between the characters and the bytes of the element that it is for.
    limits = ReadersConfig(max_record_bytes=5500 if reason == "record_too_large" else 65_536)
    rows = read(tmp_path / "a.json", b'[{"n": 1},\n' + element + b',\n{"n": 3}]', limits, block_bytes)
    assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, reason), (3, "")]


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b'{"a": tru}, {"n": 3}]', "broken_json"),
        (b'{"a": 1} {"n": 3}]', "broken_json"),
        (b'{"a": %s, {"n": 3}' % DEEP.encode(), "json_too_deep"),
        (b'{"a": "%s}, {"n": 3}]' % (b"x" * 3_000_000), "record_too_large"),
    ],
)
@pytest.mark.parametrize("block_bytes", [13, 4096, BLOCK_BYTES])
def test_an_array_that_cannot_be_read_on_says_so(tmp_path: Path, rest: bytes, reason: str, block_bytes: int) -> None:
    limits = ReadersConfig(max_record_bytes=65_536)
    rows = read(tmp_path / "a.json", b'[{"n": 1},\n' + rest, limits, block_bytes)
    assert rows[0].record == {"n": 1}
    assert rows[-1].reason == reason
    assert "the rest of the array was not read" in rows[-1].message


def test_an_array_without_its_end_is_a_reject_after_its_records(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.json", b'[{"n": 1},\n {"n": 2}')
    assert [row.record for row in rows] == [{"n": 1}, {"n": 2}, None]
    assert rows[-1].reason == "broken_json"
    assert "found the end" in rows[-1].message


def test_a_broken_message_rejects_its_conversation_once(tmp_path: Path) -> None:
    content = b'[{"role": "user", "content": "a"}, {"role": "x", "content": "\xff"}, {"role": "y"}, 7]'
    [row] = read(tmp_path / "a.json", content)
    assert (row.line, row.reason) == (1, "not_utf8")
    [row] = read(tmp_path / "a.json", json.dumps([{"role": "a", "content": "x" * 90}] * 20).encode(), SMALL)
    assert row.reason == "record_too_large"


def test_a_first_line_that_is_cut_does_not_hide_the_others(tmp_path: Path) -> None:
    for cut in ('{"a": "b', '{"a": 1,', '{"a": [', "[INFO] started", "{"):
        rows = read(tmp_path / "a.jsonl", f'{cut}\n{{"n": 2}}\n{{"n": 3}}\n'.encode())
        assert [row.reason for row in rows] == ["broken_json", "", ""], cut


def test_a_broken_indented_document_does_not_hide_the_next(tmp_path: Path) -> None:
    content = b'{\n  "a": tru,\n  "b": {\n  }\n}\n{\n  "n": 2\n}\n'
    for block_bytes in TINY_BLOCKS:
        rows = read(tmp_path / "a.json", content, block_bytes=block_bytes)
        assert [(row.line, row.reason) for row in rows] == [(1, "broken_json"), (6, "")]
        assert "a.json:2: column 8" in rows[0].message


def test_a_truncated_last_line_is_broken_json(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.jsonl", b'{"n": 1}\n{"n": 2}\n{"n": 3, "b": ')
    assert [row.reason for row in rows] == ["", "", "broken_json"]
    assert rows[-1].line == 3
    assert "found the end" in rows[-1].message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz", "a.TRAJ"])
def test_prose_in_a_json_file_is_broken_lines(tmp_path: Path, name: str) -> None:
    rows = read(tmp_path / name, b'hello\n{"n": 2}\n')
    assert [row.reason for row in rows] == ["broken_json", ""]


def test_a_text_file_that_is_not_utf8_or_too_large_is_one_reject(tmp_path: Path) -> None:
    assert [row.reason for row in read(tmp_path / "a.txt", b"a\xff")] == ["not_utf8"]
    assert [row.reason for row in read(tmp_path / "a.txt", b"a" * 1025, SMALL)] == ["record_too_large"]
    assert [row.reason for row in read(tmp_path / "a.png", b"\x89PNG\r\n\x1a\n")] == ["not_utf8"]


@pytest.mark.parametrize(("digits", "reason"), [(640, ""), (641, "integer_too_long")])
def test_the_limit_of_digits_is_the_configured_one(tmp_path: Path, digits: int, reason: str) -> None:
    for sign in ("", "-"):
        content = f'{{"a": {sign}{"9" * digits}}}'.encode()
        assert [row.reason for row in read(tmp_path / "a.json", content, ReadersConfig(max_integer_digits=640))] == [
            reason
        ]


@pytest.mark.parametrize(("depth", "reason"), [(10, ""), (11, "json_too_deep")])
def test_the_limit_of_depth_counts_nesting_not_brackets(tmp_path: Path, depth: int, reason: str) -> None:
    record = f'{{"s": "{"[{" * 50}", "w": {[[1]] * 50}, "d": {"[" * (depth - 1)}{"]" * (depth - 1)}}}\n'
    for content in (record * 2, f"[{record}]"):
        rows = read(tmp_path / "a.json", content.encode(), ReadersConfig(max_depth=10))
        assert {row.reason for row in rows} == {reason}


# --- compression -----------------------------------------------------------------------------------------------------


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


# --- Parquet and Arrow -----------------------------------------------------------------------------------------------


def test_nulls_that_arrow_invents_are_dropped_inside_lists_only(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "a", "call": {"x": 1, "y": None}}, {"role": "b"}], "reward": None, "meta": {"k": None}},
        {"messages": [{"role": "c", "items": [None, 1]}], "reward": 1.0, "meta": {"k": "v"}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert good(read(tmp_path / "a.parquet")) == [
        {"messages": [{"role": "a", "call": {"x": 1}}, {"role": "b"}], "reward": None, "meta": {"k": None}},
        {"messages": [{"role": "c", "items": [None, 1]}], "reward": 1.0, "meta": {"k": "v"}},
    ]


def test_values_that_json_lacks_are_written_as_text(tmp_path: Path) -> None:
    import datetime
    import decimal

    table = pa.table(
        {
            "f": [float("nan"), float("inf"), 0.5],
            "b": [b"text", b"\xff", None],
            "t": [datetime.datetime(2026, 1, 2, 3, 4, 5)] * 3,
            "d": [decimal.Decimal("1.50")] * 3,
            "m": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    records = good(read(tmp_path / "a.parquet"))
    json.dumps(records, allow_nan=False)
    assert [record["f"] for record in records if record] == ["NaN", "Infinity", 0.5]
    assert [record["b"] for record in records if record] == ["text", "/w==", None]
    assert records[0]
    assert records[0]["t"] == "2026-01-02T03:04:05"
    assert records[0]["d"] == "1.50"
    assert records[0]["m"] == {"k": 1}


@pytest.mark.parametrize("damage", ["cut", "footer", "pages"])
def test_a_corrupt_parquet_file_is_one_reject(tmp_path: Path, damage: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"s": [os.urandom(50).hex() for _ in range(1000)]}), sink, compression="zstd")
    data = bytearray(sink.getvalue())
    if damage == "cut":
        data = data[:-100]
    elif damage == "footer":
        data[-60:-20] = b"\xff" * 40
    else:
        data[20:4000] = b"\xff" * 3980
    rows = read(tmp_path / "a.parquet", bytes(data))
    assert [row.reason for row in rows if row.reason] == ["broken_parquet"]
    assert rows[-1].line == 0
    assert "\n" not in rows[-1].message


def test_a_text_column_that_is_not_utf8_rejects_its_row_only(tmp_path: Path) -> None:
    bad = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    batch = pa.record_batch({"s": bad})
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "a.parquet")
    with pa.ipc.new_stream(tmp_path / "a.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    for name in ("a.parquet", "a.arrow"):
        rows = read(tmp_path / name)
        assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, "not_utf8"), (3, "")]


def test_arrow_offsets_that_point_outside_are_a_reject_not_a_crash(tmp_path: Path) -> None:
    array = pa.array(["abc", "def"])
    offsets = pa.array([0, 1 << 20, 1 << 30], pa.int32()).buffers()[1]
    batch = pa.record_batch({"s": array})
    with pa.ipc.new_stream(tmp_path / "a.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    data = (tmp_path / "a.arrow").read_bytes()
    wanted = pa.array([0, 3, 6], pa.int32()).buffers()[1].to_pybytes()[:12]
    assert wanted in data
    rows = read(tmp_path / "a.arrow", data.replace(wanted, offsets.to_pybytes()[:12]))
    assert rows
    assert {row.reason for row in rows} == {"broken_arrow"}


@pytest.mark.parametrize("n_bytes", [1025, 200_000])
def test_a_row_past_the_limit_is_a_reject_and_the_others_are_read(tmp_path: Path, n_bytes: int) -> None:
    table = pa.table({"s": ["a", "x" * n_bytes, "c"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        rows = read(tmp_path / name, limits=SMALL)
        assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, "record_too_large"), (3, "")]


def test_a_parquet_bomb_is_stopped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"s": ["x" * 1_000_000] * 200}), tmp_path / "a.parquet", compression="zstd")
    rows = read(tmp_path / "a.parquet")
    assert rows[-1].reason == "compression_ratio"
    assert len(rows) < 200
    rows = read(tmp_path / "a.parquet", limits=ReadersConfig(max_file_bytes=10 << 20))
    assert rows[-1].reason == "file_too_large"


def test_folders_of_save_to_disk_are_read_row_by_row(tmp_path: Path) -> None:
    records = [{"n": i, "messages": [{"role": "a"}]} for i in range(250)]
    dataset = Dataset.from_list(records)
    dataset.save_to_disk(tmp_path / "one", num_shards=3)
    DatasetDict({"train": dataset, "test": dataset.select(range(3))}).save_to_disk(tmp_path / "dict")
    assert good(read(tmp_path / "one")) == records
    rows = read(tmp_path / "dict")
    assert good(rows) == records + records[:3]
    assert [row.line for row in rows] == list(range(1, 254))


@pytest.mark.parametrize("filename", ["../../secret.arrow", "..", "missing.arrow", 7])
def test_a_folder_of_save_to_disk_cannot_name_files_elsewhere(tmp_path: Path, filename: Any) -> None:
    folder = tmp_path / "data" / "one"
    Dataset.from_list([{"n": 1}]).save_to_disk(folder)
    Dataset.from_list([{"n": 666}]).save_to_disk(tmp_path / "other")
    (tmp_path / "secret.arrow").write_bytes(next((tmp_path / "other").glob("*.arrow")).read_bytes())
    state = json.loads((folder / "state.json").read_text())
    state["_data_files"] = [{"filename": filename}]
    (folder / "state.json").write_text(json.dumps(state))
    assert [(row.record, row.reason) for row in read(folder)] == [(None, "broken_arrow")]


# --- properties ------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"text": TEXT, "number": st.integers(-(2**63), 2**63 - 1), "list": st.lists(TEXT, max_size=4)}
    ),
    min_size=1,
    max_size=12,
)
PROPERTY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(records=RECORDS, ascii_only=st.booleans(), block_bytes=st.sampled_from(TINY_BLOCKS))
def test_every_container_gives_the_same_records(
    tmp_path: Path, records: list[dict[str, Any]], ascii_only: bool, block_bytes: int
) -> None:
    lines = "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records).encode()
    array = json.dumps(records, ensure_ascii=ascii_only).encode()
    documents = "\n".join(json.dumps(record, ensure_ascii=ascii_only, indent=2) for record in records).encode()
    table = pa.Table.from_pylist(records)
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    parquet, arrow = (tmp_path / "a.parquet").read_bytes(), (tmp_path / "a.arrow").read_bytes()
    for content in (lines, array, documents, parquet, arrow):
        for compressed in (content, gzip.compress(content), zstd(content)):
            assert good(read(tmp_path / "x.jsonl", compressed, block_bytes=block_bytes)) == records


PIECES = st.sampled_from(
    [
        *(
            b"[",
            b"]",
            b"}",
            b",",
            b"\n",
            b"\r\n",
            b" ",
            b'"',
            b"\\ud83d",
            b"12345",
            b"-",
            b"tru",
            b"NaN",
            b"\xef\xbb\xbf",
        ),
        *(b'{"a": 1}', b'{"a": "\xc3\xa9\xff"}', b'{"b": [1, 2', b'{\n  "c": "x"\n}', b'{"d": [[[[[[]]]]]]}'),
        *(b'{"role": "user", "content": "a"}', b'{"s": "' + b"y" * 1100, b"7" * 700, "\u4e00\U0001f600".encode()),
    ]
)


@settings(PROPERTY, max_examples=300)
@given(pieces=st.lists(PIECES, max_size=14), name=st.sampled_from(["a.jsonl", "a.json", "a.txt", "a"]))
def test_any_bytes_give_the_same_rows_whatever_the_size_of_blocks(
    tmp_path: Path, pieces: list[bytes], name: str
) -> None:
    content = b"".join(pieces)
    limits = ReadersConfig(max_record_bytes=1024, max_depth=5, max_integer_digits=640)
    wanted = read(tmp_path / name, content, limits)
    for row in wanted:
        assert (row.record is None) == bool(row.reason) == bool(row.message)
        json.dumps(row.record, allow_nan=False)
        row.excerpt.encode()
    for block_bytes in (1, 3, 50):
        assert summary(read(tmp_path / name, content, limits, block_bytes)) == summary(wanted)
    for compress in (gzip.compress, zstd):
        assert summary(read(tmp_path / name, compress(content), limits)) == summary(wanted)


@settings(PROPERTY, max_examples=200)
@given(
    content=st.binary(max_size=300),
    magic=st.sampled_from([b"", b"PAR1", b"ARROW1\0\0", b"\xff" * 4, b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]),
)
def test_no_bytes_raise(tmp_path: Path, content: bytes, magic: bytes) -> None:
    for row in read(tmp_path / "a.jsonl", magic + content):
        assert (row.record is None) == bool(row.reason)
