"""Containers: the same records come out of every container, and content decides how text is laid out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_files import TINY_BLOCKS, good, jsonl, read, summary, zstd

from deepcoder_hf.config import ReadersConfig

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


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf\n", gzip.compress(b"", mtime=0), zstd(b"")])
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
