"""Sessions in files: one record a file from every container, broken lines named, limits kept, other JSONL streamed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from raw_files import SMALL, TINY_BLOCKS, good, jsonl, read, zstd

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.dataset.raw import raw_tables
from deepcoder_hf.readers.containers.files import find_files

CLAUDE: list[dict[str, Any]] = [
    {"type": "user", "uuid": "1", "parentUuid": None, "sessionId": "s", "message": {"role": "user", "content": "q"}},
    {"type": "assistant", "uuid": "2", "parentUuid": "1", "sessionId": "s",
     "message": {"id": "m", "role": "assistant", "content": [{"type": "text", "text": "answer – ü"}]}},
    {"type": "user", "uuid": "3", "parentUuid": "2", "sessionId": "s", "message": {"role": "user", "content": "r"}},
    {"type": "assistant", "uuid": "4", "parentUuid": "3", "sessionId": "s",
     "message": {"id": "n", "role": "assistant", "content": [{"type": "text", "text": "bye"}]}},
]  # fmt: skip
CODEX = [
    {"type": "session_meta", "payload": {"id": "c"}},
    {"type": "response_item", "payload": {"type": "message", "role": "assistant", "content": "hi"}},
]
PI = [
    {"type": "session", "id": "p", "cwd": "/"},
    {"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}},
]
PLAIN = [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}] * 3


@pytest.mark.parametrize("events", [CLAUDE, CODEX, PI, CLAUDE[:1]])
@pytest.mark.parametrize("block_bytes", TINY_BLOCKS)
def test_a_session_is_one_record_from_every_container(
    tmp_path: Path, events: list[dict[str, Any]], block_bytes: int
) -> None:
    lines, array = jsonl(events), json.dumps(events, indent=1).encode()
    documents = "\n".join(json.dumps(event, indent=2) for event in events).encode()
    for content in (lines, array, documents, b"\n\n" + lines.rstrip()):
        for compressed in (content, gzip.compress(content), zstd(content)):
            rows = read(tmp_path / "a.jsonl", compressed, block_bytes=block_bytes)
            assert good(rows) == [{"events": events}]


def test_the_record_stands_at_the_first_line_and_other_files_stay_records_of_their_own(tmp_path: Path) -> None:
    assert [row.line for row in read(tmp_path / "a.jsonl", jsonl(CLAUDE))] == [1]
    assert good(read(tmp_path / "a.jsonl", jsonl(PLAIN))) == PLAIN
    mixed = [*PLAIN, *CLAUDE]  # what the first line is decides
    assert good(read(tmp_path / "a.jsonl", jsonl(mixed))) == mixed


@pytest.mark.parametrize("bad", [b'{"type": "user", "uu\n', b"\xff\xfe{}\n", b"[1]\n"])
def test_a_broken_line_is_named_and_the_session_is_read(tmp_path: Path, bad: bytes) -> None:
    lines = jsonl(CLAUDE).splitlines(keepends=True)
    for place in range(len(lines) + 1):
        content = b"".join([*lines[:place], bad, *lines[place:]])
        session, broken = sorted(read(tmp_path / "a.jsonl", content), key=lambda row: bool(row.reason))
        assert session.record == {"events": CLAUDE, "broken_lines": 1, "first_broken_line": place + 1}
        assert broken.line == place + 1
        assert broken.reason in ("broken_json", "not_utf8", "not_an_object")


def test_a_broken_element_of_an_array_is_named_and_the_session_is_read(tmp_path: Path) -> None:
    session, broken = read(tmp_path / "a.json", json.dumps([*CLAUDE[:2], 7, *CLAUDE[2:]]).encode())
    assert session.record == {"events": CLAUDE, "broken_lines": 1, "first_broken_line": 1}
    assert broken.reason == "not_an_object"


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_session_may_be_as_large_as_any_record(tmp_path: Path, suffix: str) -> None:
    events = [{**CLAUDE[0], "n": number} for number in range(30)]
    content = jsonl(events) if suffix == ".jsonl" else json.dumps(events).encode()
    for block_bytes in TINY_BLOCKS:
        (row,) = read(tmp_path / f"a{suffix}", content, SMALL, block_bytes)
        assert (row.line, row.reason, row.record) == (1, "record_too_large", None)
        assert "at most 1024 bytes" in row.message
    small = [event for event in events if event["n"] < 5]
    assert good(read(tmp_path / "b.jsonl", jsonl(small), SMALL)) == [{"events": small}]


def test_a_session_that_breaks_off_is_read_as_far_as_it_goes_and_named(tmp_path: Path) -> None:
    whole = gzip.compress(jsonl([{**CLAUDE[0], "n": number} for number in range(4000)]))
    session, *problems = read(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2])
    assert session.record is not None
    assert len(session.record["events"]) > 100
    assert [row.reason for row in problems] == ["truncated_file"]


def test_a_mixed_folder_gives_rows_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "claude.jsonl").write_bytes(jsonl(CLAUDE[:2]) + b'{"type": "us\n' + jsonl(CLAUDE[2:]))
    (tmp_path / "rollout-1.jsonl.gz").write_bytes(gzip.compress(jsonl(CODEX)))
    (tmp_path / "pi.jsonl").write_bytes(jsonl(PI))
    (tmp_path / "chats.jsonl").write_bytes(jsonl(PLAIN))
    rows = []
    for file in find_files(tmp_path):
        for table in raw_tables(file, ReadersConfig()):
            rows += [(r["source_path"], r["line"], r["source_format"], r["reject_reason"]) for r in table.to_pylist()]
    assert sorted(rows, key=str) == [
        *[("chats.jsonl", line, "messages", None) for line in (1, 2, 3)],
        ("claude.jsonl", 1, "claude_code", None),
        ("claude.jsonl", 3, None, "broken_json"),
        ("pi.jsonl", 1, "pi", None),
        ("rollout-1.jsonl.gz", 1, "codex", None),
    ]
