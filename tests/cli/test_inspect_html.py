"""`deepcoder-hf inspect --html`: the page of a run, with its rejects, and what goes wrong in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def processed(runs: Path, call: Any, tmp_path: Path) -> Path:
    assert call("process", "-i", runs, "-o", "sad").exit_code == 0
    return tmp_path / "sad"


def test_the_page_holds_rows_and_rejects(processed: Path, call: Any, tmp_path: Path) -> None:
    result = call("inspect", "sad", "--html", "page.html", "--id", "id-2")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("page.html: 3 of 3 rows, 1 of 1 rejected records, 0.")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "unknown_format (failed)" in page  # in its chart
    assert page.count('type="text/plain"') == 3
    call("inspect", "sad", "--html", "again.html", "--row", "2")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_parquet_file_has_its_report_and_rejects_beside_it(runs: Path, call: Any, tmp_path: Path) -> None:
    call("process", "-i", runs, "-o", "rows.parquet")
    result = call("inspect", "rows.parquet", "--html", "page.html", "--rows", "2")
    assert result.stdout.startswith("page.html: 2 of 3 rows, 1 of 1 rejected records")
    assert "4 read = 3 kept" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_rejects_are_shown_where_nothing_was_kept(call: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"foo": 1}\n')
    call("process", "-i", "bad.jsonl", "-o", "none")
    result = call("inspect", "none", "--html", "page.html")
    assert result.stdout.startswith("page.html: 0 of 0 rows, 1 of 1 rejected records"), result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone", "--html", "p.html"], "gone does not exist"),
        (["sad", "--html", "missing/p.html"], "missing/p.html cannot be written"),
        (["sad", "--html", "p.html", "--row", "3"], "expected a row below 3, got 3"),
        (["sad", "--html", "p.html", "--id", "x"], "no trajectory has the id 'x'"),
        (["sad", "--html", "p.html", "--json"], "leave out --compare, --full and --json"),
        (["sad", "--html", "p.html", "--compare", "trl"], "leave out --compare, --full and --json"),
        (["sad", "--html", "."], "is a directory"),
        (["bare.jsonl", "--html", "p.html"], "missing: "),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], message: str, processed: Path, call: Any, tmp_path: Path
) -> None:
    (tmp_path / "bare.jsonl").write_text(json.dumps({"text": "a", "length": 1}) + "\n")
    result = call("inspect", *words)
    assert result.exit_code == 2
    (line,) = [line for line in result.output.splitlines() if message in line]
    assert line.lower().startswith("error: ")
    assert not list(tmp_path.glob("*p.html*"))


def test_rejects_that_cannot_be_read_are_named(processed: Path, call: Any) -> None:
    (processed / "rejected.jsonl").write_text('{"a": 1}\n{broken\n')
    result = call("inspect", "sad", "--html", "p.html")
    assert result.exit_code == 2
    assert "rejected.jsonl:2: expected a JSON object a line" in result.output
