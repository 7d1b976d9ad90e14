"""`deepcoder-hf report`: the figures of a dataset in the terminal, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def processed(runs: Path, call: Any, tmp_path: Path) -> Path:
    assert call("process", "-i", runs, "-o", "sad").exit_code == 0
    return tmp_path / "sad"


def test_the_terminal_shows_charts(processed: Path, call: Any) -> None:
    result = call("report", "sad")
    assert result.exit_code == 0, result.output
    assert "4 read = 3 kept + 0 dropped + 1 failed" in result.stdout
    assert "█" in result.stdout
    assert "failed: unknown_format" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_agrees_with_the_report_of_the_run(processed: Path, call: Any) -> None:
    facts = json.loads(call("report", "sad", "--json").stdout)
    report = json.loads((processed / "report.json").read_text())
    assert facts["tokens"]["total"] == report["tokens"]["total"]
    assert facts["tokens"]["trained"] == report["tokens"]["trained"]
    assert facts["rows"] == report["n_rows"]
    assert facts["reasons"] == report["reasons"]
    for kind, found in facts["shares"].items():
        assert found["p50"] == pytest.approx(report["row_ratios"][kind]["p50"], abs=1e-5)


def test_the_page_is_written_and_the_same_each_time(processed: Path, call: Any, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        assert call("report", "sad", "--html", name).exit_code == 0
    page = (tmp_path / "a.html").read_bytes()
    assert page == (tmp_path / "b.html").read_bytes()
    assert b"<svg" in page
    assert b"<script" not in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone"], "gone does not exist"),
        (["bare.jsonl"], "bare.jsonl: expected the columns of a SAD dataset, missing: "),
        (["sad", "--html", "missing/p.html"], "missing/p.html cannot be written"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], message: str, processed: Path, call: Any, tmp_path: Path
) -> None:
    (tmp_path / "bare.jsonl").write_text(json.dumps({"text": "a", "length": 1}) + "\n")
    result = call("report", *words)
    assert result.exit_code == 2
    assert message in result.output.splitlines()[-1]
