"""`deepcoder-hf export`: what it writes, what it says, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from datasets import Dataset
from exported import sad_row

from deepcoder_hf.cli.main import main
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.export import EXPORTERS
from deepcoder_hf.readers import TrajectoryParser

TASK = {"role": "user", "content": "Count the lines of main.py."}
CALL = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"command": "wc -l main.py"}'}}
RUN = {
    "id": "count",
    "messages": [
        TASK,
        {"role": "assistant", "content": "", "reasoning_content": "wc does it.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "42 main.py"},
        {"role": "assistant", "content": "It has 42 lines."},
    ],
}
PLAIN = {"messages": [TASK, {"role": "assistant", "content": "42."}]}
Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, ["export", *map(str, words)])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    path = tmp_path / "runs.jsonl"
    records: list[Any] = [RUN, {"text": "Thought: hm\nAction: look[x]"}, {"foo": 1}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "{broken\n")
    return path


@pytest.fixture
def rows(tmp_path: Path, tiny_model: Path) -> Path:
    found = [sad_row(tiny_model), sad_row(tiny_model, name="again")]
    Dataset.from_list(found, features=SAD_FEATURES).save_to_disk(str(tmp_path / "sad"))
    return tmp_path / "sad"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_every_format_is_written_whole_and_nothing_else_is(
    name: str, call: Call, runs: Path, rows: Path, tmp_path: Path
) -> None:
    source = rows if name in ("trl-tokenized", "axolotl", "verl") else runs
    done = call(source, "--format", name, "--output", tmp_path / "out" / "x.jsonl", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    beside = ["x.dataset_info.json"] if name == "llamafactory" else []
    assert names(tmp_path / "out") == [*beside, "x.jsonl"]
    assert len(lines(tmp_path / "out" / "x.jsonl")) == report["n_exported"]
    if source == runs:
        assert {reason: reject["n"] for reason, reject in report["rejects"].items()} == {
            "not_structured": 1,
            "unknown_format": 1,
            "broken_json": 1,
        }


def test_a_folder_for_llamafactory_is_a_dataset_dir(call: Call, runs: Path, tmp_path: Path) -> None:
    assert call(runs, "-f", "llamafactory", "-o", tmp_path / "count").exit_code == 0
    assert names(tmp_path / "count") == ["count.jsonl", "dataset_info.json"]
    entry = json.loads((tmp_path / "count" / "dataset_info.json").read_text())["count"]
    assert (entry["file_name"], entry["formatting"]) == ("count.jsonl", "sharegpt")
    (record,) = lines(tmp_path / "count" / entry["file_name"])
    assert set(entry["columns"].values()) <= set(record)


@pytest.mark.parametrize("name", ["atif", "session-traces"])
def test_split_files_are_named_after_the_trajectories(name: str, call: Call, tmp_path: Path) -> None:
    records = [RUN, {**RUN, "id": "../../etc/passwd"}, {**RUN, "id": "COUNT"}, PLAIN]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert call("in.jsonl", "-f", name, "-o", "split", "--split-files").exit_code == 0
    found = names(tmp_path / "split")
    assert len(found) == 4
    assert names(tmp_path) == ["in.jsonl", "split"]
    suffix = ".json" if name == "atif" else ".jsonl"
    assert f"count{suffix}" in found
    first = lines(tmp_path / "split" / f"count{suffix}")
    assert len(first) == (1 if name == "atif" else 5)
    if name == "atif":
        assert TrajectoryParser().parse(first[0]).trajectory_id == "count"


def test_stdout_holds_the_records_alone(call: Call, runs: Path) -> None:
    done = call(runs, "-f", "trl", "-o", "-")
    assert done.exit_code == 0
    (record,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert record["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"command": "wc -l main.py"}
    assert "trl: 1 exported, 3 rejected" in done.stderr


def test_losses_are_said_and_strict_refuses_them(call: Call, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(RUN) + "\n")
    done = call("in.jsonl", "-f", "openai", "-o", "x.jsonl", "--strict")
    assert done.exit_code == 1
    assert "lost 1 reasoning (11 characters)" in done.stdout
    assert names(tmp_path) == ["in.jsonl"]
    words = ["--strict", "--allow-loss", "reasoning", "--allow-loss", "ids"]
    assert call("in.jsonl", "-f", "openai", "-o", "x.jsonl", *words).exit_code == 0
    assert call("in.jsonl", "-f", "trl", "-o", "y.jsonl", "--strict").exit_code == 0
    assert call("in.jsonl", "-f", "trl", "-o", "z.jsonl", "--allow-loss", "everything").exit_code == 2


def test_strict_refuses_rejects_too(call: Call, runs: Path, tmp_path: Path) -> None:
    assert call(runs, "-f", "trl", "-o", "x.jsonl", "--strict").exit_code == 1
    assert call(runs, "-f", "trl", "-o", "-", "--strict").stdout == ""
    assert names(tmp_path) == ["runs.jsonl"]


def test_nothing_exported_is_a_failure_that_leaves_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "Thought: hm"}\n')
    done = call("in.jsonl", "-f", "trl", "-o", "x.jsonl")
    assert done.exit_code == 1
    assert "not_structured" in done.stdout
    assert names(tmp_path) == ["in.jsonl"]


def test_limit_takes_the_first_records(call: Call, rows: Path, tmp_path: Path) -> None:
    assert call(rows, "-f", "verl", "-o", "x.jsonl", "--limit", 1).exit_code == 0
    assert [row["trajectory_id"] for row in lines(tmp_path / "x.jsonl")] == ["rename"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["missing.jsonl", "-f", "trl", "-o", "x.jsonl"], "missing.jsonl"),
        (["runs.jsonl", "-f", "trl", "-o", "x.csv"], ".jsonl, .parquet or -"),
        (["runs.jsonl", "-f", "openai", "-o", "x.parquet"], "openai is written as .jsonl"),
        (["runs.jsonl", "-f", "trl", "-o", "x", "--split-files"], "--split-files is for atif"),
        (["runs.jsonl", "-f", "atif", "-o", "-", "--split-files"], "needs a folder"),
        (["runs.jsonl", "-f", "nonsense", "-o", "x.jsonl"], "nonsense"),
        (["runs.jsonl", "-f", "trl", "-o", "runs.jsonl"], "exists already"),
        (["runs.jsonl", "-f", "verl", "-o", "x.parquet"], "runs.jsonl"),
        (["empty.jsonl", "-f", "trl", "-o", "x.jsonl"], "expected records, got none"),
    ],
)
def test_wrong_usage_is_exit_code_2_in_one_line(
    words: list[str], problem: str, call: Call, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == ["empty.jsonl", "runs.jsonl"]


def test_an_output_is_replaced_only_when_asked_for(call: Call, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("mine\n")
    assert call(runs, "-f", "trl", "-o", "x.jsonl").exit_code == 2
    assert (tmp_path / "x.jsonl").read_text() == "mine\n"
    assert call(runs, "-f", "trl", "-o", "x.jsonl", "--overwrite").exit_code == 0
    assert len(lines(tmp_path / "x.jsonl")) == 1
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("years of work")
    assert call(runs, "-f", "atif", "-o", "folder", "--split-files", "--overwrite").exit_code == 2


def test_a_damaged_row_is_counted_and_the_others_are_written(call: Call, tiny_model: Path, tmp_path: Path) -> None:
    damaged = {**sad_row(tiny_model, name="damaged"), "labels": [1]}
    found = [sad_row(tiny_model), damaged]
    Dataset.from_list(found, features=SAD_FEATURES).to_parquet(str(tmp_path / "sad.parquet"))
    done = call("sad.parquet", "-f", "trl-tokenized", "-o", "x.jsonl", "--json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["n_exported"], report["rejects"]["bad_row"]["n"]) == (1, 1)
    assert "row 1" in report["rejects"]["bad_row"]["first"]


def test_the_tokenizer_of_the_rows_can_be_named(call: Call, tiny_model: Path, tmp_path: Path) -> None:
    row = {**sad_row(tiny_model), "metadata": json.dumps({"tokenizer": "somewhere/else@0"})}
    Dataset.from_list([row], features=SAD_FEATURES).to_parquet(str(tmp_path / "sad.parquet"))
    assert call("sad.parquet", "-f", "axolotl", "-o", "x.jsonl").exit_code == 2
    assert call("sad.parquet", "-f", "axolotl", "-o", "x.jsonl", "--model", tiny_model).exit_code == 0
