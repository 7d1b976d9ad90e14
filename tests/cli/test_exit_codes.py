"""Exit codes: 1 where data failed, 2 for wrong usage or setup, each with one line a problem on stderr."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk


def check_error(result: Any, code: int, pattern: str, n_lines: int = 1) -> None:
    """An error is one line a problem on stderr, and nothing else anywhere."""
    assert (result.exit_code, result.stdout) == (code, ""), result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == n_lines, result.stderr
    assert all(line.startswith("error: ") for line in lines)
    assert re.search(pattern, result.stderr), result.stderr


def test_a_run_that_keeps_nothing_exits_with_1_and_names_the_rejects(call: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"foo": 1}\n')
    result = call("process", "-i", "bad.jsonl", "-o", "sad")
    assert result.exit_code == 1
    assert result.stderr == "error: none of 1 records was kept; see sad/rejected.jsonl for each reason\n"
    result = call("process", "-i", "bad.jsonl", "-o", "rows.parquet")
    assert "see rows.rejected.jsonl for" in result.stderr
    assert (tmp_path / "rows.rejected.jsonl").exists()


@pytest.mark.parametrize(("ratio", "code"), [("0", 1), ("0.2", 1), ("0.25", 0), ("1", 0)])
def test_too_many_rejects_exit_with_1(ratio: str, code: int, call: Any, runs: Path) -> None:
    result = call("process", "-i", runs, "-o", "sad", "--max-reject-ratio", ratio)
    assert result.exit_code == code
    problem = f"error: 1 of 4 records failed, more than --max-reject-ratio {float(ratio)}; see sad/rejected.jsonl\n"
    assert result.stderr == (problem if code else "")


def test_an_invalid_row_exits_with_1_and_is_named(call: Any, runs: Path, tmp_path: Path) -> None:
    call("process", "-i", runs, "-o", "sad.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "sad.jsonl").read_text().splitlines()]
    rows[1]["text"] += "!"
    (tmp_path / "sad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = call("validate", "-i", "sad.jsonl")
    assert result.exit_code == 1
    assert result.stdout.startswith("2 of 3 rows are valid\nrow 1 (id-1): ")
    result = call("validate", "-i", "sad.jsonl", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["invalid_trajectories"] == 1


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("process -i missing -o sad", "'missing' which does not exist"),
        ("process -i empty -o sad", "expected trajectories in the folder"),
        ("process -i empty.jsonl -o sad", r"empty\.jsonl: expected trajectories, got no record"),
        ("process -i *.nothing -o sad", "expected files that match"),
        ("process -i runs.jsonl -o sad.csv", r"no output format is known for '\.csv'"),
        ("process -i runs.jsonl -o runs.jsonl", r"runs\.jsonl"),
        ("process -i runs.jsonl -o runs.jsonl --overwrite", r"runs\.jsonl exists and was not written by deepcoder-hf"),
        ("process -i runs.jsonl -o there", "there exists"),
        ("process -i runs.jsonl -o sad -c nope", "config 'nope': No such file.*recipes .*qwen3"),
        ("process -i runs.jsonl -o sad -c list.yaml", "expected sections such as"),
        ("process -i runs.jsonl -o sad -c broken.yaml", "not valid YAML"),
        ("process -i runs.jsonl -o sad --set tokens", "expected dotted.path=value"),
        ("process -i runs.jsonl -o sad --set tokens.max_lenght=5", "tokens.max_lenght: .*did you mean 'max_length'"),
        ("process -i runs.jsonl -o sad --model nope", "tokenizer 'nope': no such file or folder"),
        ("process -i runs.jsonl -o sad --model someone/something", "'someone/something' cannot be loaded"),
        ("process -i runs.jsonl -o sad --model runs.jsonl", r"runs\.jsonl: expected a tokenizer\.json"),
        ("process -i runs.jsonl -o sad --model slow", "'slow'"),
        ("validate -i missing", "missing does not exist"),
        ("validate -i empty", "expected a dataset folder"),
        ("validate -i broken.yaml", r"broken\.yaml:1: expected a JSON object"),
        ("inspect missing", "missing does not exist"),
        ("inspect runs.jsonl", "missing: action_mask"),
    ],
)
def test_wrong_setup_exits_with_2_and_one_line(words: str, pattern: str, call: Any, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "there").write_text("mine")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "broken.yaml").write_text("a: [1\nb: {")
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "vocab.txt").write_text("[UNK]\na\nb\n")
    (tmp_path / "slow" / "tokenizer_config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    before = sorted(tmp_path.rglob("*"))
    check_error(call(*words.split()), 2, pattern)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        "proces",
        "process",
        "process -i runs.jsonl",
        "process -i runs.jsonl -o sad --limit 0",
        "process -i runs.jsonl -o sad --num-proc 0",
        "process -i runs.jsonl -o sad --max-length 1",
        "process -i runs.jsonl -o sad --format csv",
        "process -i runs.jsonl -o sad --max-reject-ratio 2",
        "inspect",
        "inspect sad --row -1",
        "demo --sample-size 0",
    ],
)
def test_wrong_usage_exits_with_2(words: str, call: Any) -> None:
    result = call(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_config_names_all_problems_with_paths_and_nearest_names(call: Any, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("tokens: {max_lenght: 5}\nmaks: {answer: own}\nfilters: {min_tokens: many}\n")
    result = call("process", "-i", runs, "-o", "sad", "-c", "own.yaml", "--set", "masks.answer=both")
    check_error(result, 2, "tokens.max_lenght: .*did you mean 'max_length'", n_lines=4)
    assert "maks: no such setting; did you mean 'masks'?" in result.stderr
    assert "filters.min_tokens: " in result.stderr
    assert "masks.answer: " in result.stderr


def test_a_row_that_does_not_exist_exits_with_2(call: Any, runs: Path) -> None:
    call("process", "-i", runs, "-o", "sad")
    check_error(call("inspect", "sad", "--row", "3"), 2, "expected a row below 3, got 3")
    check_error(call("inspect", "sad", "--id", "nobody"), 2, "no trajectory has the id 'nobody'.* id-0, id-1, id-2")


def test_a_too_long_trajectory_stops_the_run_only_where_that_was_asked_for(call: Any, runs: Path) -> None:
    sets = ("--max-length", "16", "--set", "tokens.overflow=error")
    check_error(call("process", "-i", runs, "-o", "sad", *sets), 1, r"runs\.jsonl:1: \d+ tokens, more than")


def test_overwrite_replaces_an_output_of_its_own(call: Any, runs: Path) -> None:
    assert call("process", "-i", runs, "-o", "sad").exit_code == 0
    check_error(call("process", "-i", runs, "-o", "sad"), 2, "sad exists already; .*--overwrite")
    assert call("process", "-i", runs, "-o", "sad", "--overwrite", "--limit", "1").exit_code == 0
    assert len(load_from_disk("sad")) == 1
