"""Records that cannot be read: each kind of damage has its reason code, and the others are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from raw_files import SMALL, TINY_BLOCKS, read

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers.containers.compression import BLOCK_BYTES

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
