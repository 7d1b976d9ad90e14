"""Bad input through the command: counted, named with file and line, and never a traceback."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

GOOD = {"id": "good", "text": "Thought: I look.\nAction: look[it]\nObservation: fine"}
GOOD_LINE = (json.dumps(GOOD) + "\n").encode()


def rejects(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]


def truncated_gzip() -> bytes:
    content = gzip.compress(
        b"".join(json.dumps({**GOOD, "id": os.urandom(8).hex()}).encode() + b"\n" for _ in range(500))
    )
    return content[: len(content) // 2]


def zstd_bomb() -> bytes:
    return zstandard.compress(GOOD_LINE + b'{"text": "' + b"A" * (100 << 20) + b'"}\n')


@pytest.mark.parametrize(
    ("name", "content", "reason", "line"),
    [
        ("runs.jsonl", GOOD_LINE + b'{"text": "broken\n' + GOOD_LINE, "broken_json", 2),
        ("runs.jsonl", GOOD_LINE + b"\xff\xfe{}\n", "not_utf8", 2),
        ("runs.jsonl", GOOD_LINE + b"[" * 10_000 + b"]" * 10_000 + b"\n", "json_too_deep", 2),
        ("runs.jsonl", GOOD_LINE + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n", "json_too_deep", 2),
        ("runs.jsonl", GOOD_LINE + b'{"text": ' + b"9" * 5000 + b"}\n", "integer_too_long", 2),
        ("runs.jsonl", GOOD_LINE + b"17\n", "not_an_object", 2),
        ("runs.jsonl.gz", truncated_gzip(), "truncated_file", 0),
    ],
    ids=["broken_json", "not_utf8", "deep_array", "deep_object", "long_integer", "not_an_object", "truncated_gzip"],
)
def test_a_bad_record_is_one_counted_reject_among_good_rows(
    name: str, content: bytes, reason: str, line: int, call: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    result = call("process", "-i", name, "-o", "sad", "--json")
    assert result.exit_code == 0, result.stderr
    warned = f"warning: the rest of some files was not read ({reason} 1); the rejects name them\n"
    assert result.stderr == (warned if reason == "truncated_file" else "")
    report = json.loads(result.stdout)
    assert report["n_kept"] >= 1
    assert report["n_failed"] == 1
    assert report["reasons"]["failed"] == {reason: 1}
    (reject,) = rejects(tmp_path / "sad")
    where = f"{name}:{line}" if line else name
    assert (reject["source"], reject["line"], reject["reason"]) == (name, line, reason)
    assert reject["message"].startswith(f"{where}:")
    assert reject["message"].count(name) == 1


def test_a_zstd_bomb_is_stopped_and_counted(call: Any, tmp_path: Path) -> None:
    (tmp_path / "bomb.jsonl.zst").write_bytes(zstd_bomb())
    result = call("process", "-i", "bomb.jsonl.zst", "-o", "sad", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["n_kept"] == 1
    assert set(report["reasons"]["failed"]) <= {"record_too_large", "compression_ratio", "truncated_file"}
    assert "compression_ratio" in report["reasons"]["failed"]


def test_a_symlink_out_of_the_folder_is_refused(call: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_bytes(GOOD_LINE)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "good.jsonl").write_bytes(GOOD_LINE)
    (tmp_path / "runs" / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    result = call("process", "-i", "runs", "-o", "sad")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "link.jsonl" in result.stderr
    assert not (tmp_path / "sad").exists()


def test_a_file_that_is_not_what_its_name_says_is_no_traceback(call: Any, tmp_path: Path) -> None:
    for name, content in (
        ("a.parquet", b"PAR1" + b"\0" * 100),
        ("b.arrow", b"ARROW1" + b"\0" * 100),
        ("c.jsonl.gz", b"\x1f\x8b" + b"\0" * 100),
        ("d.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"\0" * 100),
        ("e.json", b"\0" * 100),
    ):
        (tmp_path / name).write_bytes(content)
        result = call("process", "-i", name, "-o", f"out-{name[0]}", "--json")
        assert result.exit_code == 1, (name, result.stderr, result.exception)
        assert "error: none of 1 records was kept" in result.stderr
        assert ("the rest of some files was not read" in result.stderr) == (name != "e.json")
        (reject,) = rejects(tmp_path / f"out-{name[0]}")
        assert reject["source"] == name
        assert reject["message"]


def test_secrets_of_a_url_do_not_reach_the_error(call: Any, tmp_path: Path) -> None:
    result = call("process", "-i", "http://user:hunter2@127.0.0.1:9/runs.jsonl?token=hunter2", "-o", "sad")
    assert result.exit_code == 2
    assert "hunter2" not in result.stdout + result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_record_of_200_megabytes_is_rejected_and_the_next_one_is_kept(run: Any, tmp_path: Path) -> None:
    with (tmp_path / "runs.jsonl").open("wb") as file:
        file.write(GOOD_LINE + b'{"text": "')
        for _ in range(200):
            file.write(b"A" * (1 << 20))
        file.write(b'"}\n' + GOOD_LINE)
    done = run("process", "-i", "runs.jsonl", "-o", "sad", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["n_read"], report["n_kept"], report["reasons"]["failed"]) == (3, 2, {"record_too_large": 1})
    assert (tmp_path / "sad" / "rejected.jsonl").stat().st_size < 100_000
