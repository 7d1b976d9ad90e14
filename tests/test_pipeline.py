"""The pipeline over samples and real data: every row is valid, and how it runs changes no row."""

from __future__ import annotations

import json
import logging
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_from_disk
from pipeline_runs import REACT, counted, processor, react, write_jsonl

from deepcoder_hf import load_trajectories
from deepcoder_hf.dataset.features import SAD_FEATURES

REAL = ("webdancer", "fireact", "hermes-fc", "mint-codeact", "llamafactory", "tau-bench")
SAMPLES = Path(str(resources.files("deepcoder_hf") / "samples"))


def table(rows: Dataset) -> Any:
    return rows.with_format("arrow")[:]


@pytest.fixture(scope="module")
def samples(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The shipped samples, processed with one process."""
    output = tmp_path_factory.mktemp("samples") / "sad"
    return output, processor(tiny_model).process_files(SAMPLES, output)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path, Path, dict[str, Any]]:
    """Real files of six sources, processed with one process: inputs, tokenizer, output and report."""
    inputs = [shared_data / "trajectories" / name for name in REAL]
    model = shared_data / "tokenizers" / "smollm2" / "tokenizer.json"
    output = tmp_path_factory.mktemp("real") / "sad"
    return inputs, model, output, processor(model).process_files(inputs, output)


def test_every_shipped_sample_is_a_valid_row(samples: tuple[Path, dict[str, Any]], tiny_model: Path) -> None:
    output, report = samples
    assert counted(report)
    assert (report["n_read"], report["n_kept"], report["n_rows"]) == (32, 32, 32)
    assert report["format_validation"] == {"checked": 32, "valid": 32, "rate": 1.0}
    result = processor(tiny_model).validate_processed_trajectories(output)
    assert (result["total_checked"], result["valid_trajectories"], result["validation_errors"]) == (32, 32, [])


def test_every_shipped_sample_trains_reasoning_and_actions(samples: tuple[Path, dict[str, Any]]) -> None:
    for row in load_from_disk(str(samples[0])):
        assert sum(row["reasoning_mask"]), row["trajectory_id"]
        assert sum(row["action_mask"]), row["trajectory_id"]


def test_every_real_record_is_a_row_or_a_counted_reject(real: tuple[list[Path], Path, Path, dict[str, Any]]) -> None:
    _, _, output, report = real
    assert counted(report)
    assert (report["n_read"], report["n_kept"], report["n_rows"]) == (4863, 4861, 4861)
    assert report["reasons"] == {"dropped": {"nothing_to_train": 2}, "failed": {}}
    rejects = [json.loads(line) for line in (output / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(r["source"], r["status"], r["reason"]) for r in rejects] == [
        ("few_shot.json", "dropped", "nothing_to_train")
    ] * 2
    assert all(reject["message"] and reject["line"] > 0 for reject in rejects)


def test_every_real_row_is_valid(real: tuple[list[Path], Path, Path, dict[str, Any]]) -> None:
    _, model, output, report = real
    assert report["format_validation"]["rate"] == 1.0
    result = processor(model).validate_processed_trajectories(output)
    assert result["validation_errors"] == []
    assert result["valid_trajectories"] == result["total_checked"] == 4861


def test_two_processes_give_the_same_rows_in_the_same_order(
    real: tuple[list[Path], Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    inputs, model, output, report = real
    run = {"cache_dir": str(tmp_path / "cache"), "shard_records": 700}
    again = processor(model, dataset=run).process_files(inputs, tmp_path / "sad", num_proc=2)
    assert again["shards"]["total"] > 4
    assert again["shards"]["from_cache"] == 0
    assert table(load_from_disk(str(tmp_path / "sad"))) == table(load_from_disk(str(output)))
    assert (tmp_path / "sad" / "rejected.jsonl").read_text() == (output / "rejected.jsonl").read_text()
    same = [key for key in report if key not in ("speed", "shards")]
    assert {key: again[key] for key in same} == {key: report[key] for key in same}


def test_a_stream_gives_the_rows_of_the_map_style_run(samples: tuple[Path, dict[str, Any]], tiny_model: Path) -> None:
    stream = processor(tiny_model).process(load_trajectories(SAMPLES, streaming=True))
    assert stream.features == SAD_FEATURES
    assert list(stream) == load_from_disk(str(samples[0])).to_list()


def test_a_stream_of_records_gives_the_rows_of_the_same_dataset(tiny_model: Path) -> None:
    records = Dataset.from_list([{"text": REACT.format(n=n)} for n in range(150)])
    rows = processor(tiny_model).process(records)
    assert list(processor(tiny_model).process(records.to_iterable_dataset())) == rows.to_list()


def test_an_exhausted_stream_says_what_gave_no_row(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_jsonl(tmp_path / "runs.jsonl", [*react(1, 2, 1), {"foo": 1}])
    stream = load_trajectories(path, streaming=True)
    with caplog.at_level(logging.WARNING, logger="deepcoder_hf"):
        rows = list(processor(tiny_model, filters={"drop_duplicates": True}).process(stream))
    assert [row["trajectory_id"] for row in rows] == ["id-1", "id-2"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("2 of 4 records gave no row:")
    assert "duplicate 1" in message
    assert "unknown_format 1" in message


@pytest.mark.parametrize(("name", "column"), [("chat_messages", "messages"), ("text_blocks", "text")])
def test_records_in_memory_give_the_rows_of_their_file(
    name: str, column: str, tiny_model: Path, tmp_path: Path
) -> None:
    lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if column in record]
    assert len(records) > 2
    chain = processor(tiny_model)
    from_file = chain.process(load_trajectories(write_jsonl(tmp_path / "runs.jsonl", records)))
    in_memory = chain.process(Dataset.from_list(records))
    assert len(from_file) == len(records)
    for ours, theirs in zip(in_memory, from_file, strict=True):
        ours["metadata"], theirs["metadata"] = json.loads(ours["metadata"]), json.loads(theirs["metadata"])
        assert theirs["metadata"].pop("source")["path"] == "runs.jsonl"
        assert ours["metadata"].pop("source")["path"] == ""
        assert ours == theirs


def test_a_setting_of_the_readers_reaches_records_in_memory(tiny_model: Path, tmp_path: Path) -> None:
    Dataset.from_list([{"text": REACT.format(n=1)}]).save_to_disk(str(tmp_path / "records"))
    for licence in ("mit", "apache-2.0", None):
        records = load_from_disk(str(tmp_path / "records"))  # from disk, where `map` may be served from a cache
        (row,) = processor(tiny_model, readers={"licence": licence}).process(records)
        assert json.loads(row["metadata"]).get("licence") == licence


def test_a_processor_takes_a_raw_dataset(samples: tuple[Path, dict[str, Any]], tiny_model: Path) -> None:
    rows = processor(tiny_model).process(load_trajectories(SAMPLES))
    assert rows.features == SAD_FEATURES
    assert table(rows) == table(load_from_disk(str(samples[0])))


def test_the_report_and_rejects_of_a_run_in_memory_are_those_of_its_files(tiny_model: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "runs.jsonl", [*react(1), {"foo": 1}, "x"])
    chain = processor(tiny_model)
    run = chain.run(load_trajectories(path))
    report = chain.process_files(path, tmp_path / "sad")
    assert {k: v for k, v in report.items() if k not in ("speed", "shards")} == {
        k: v for k, v in run.report().items() if k != "shards"
    }
    lines = (tmp_path / "sad" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == run.rejects()
    assert [(r["line"], r["reason"]) for r in run.rejects()] == [(2, "unknown_format"), (3, "not_an_object")]


def test_long_trajectories_become_windows_that_train_the_same_characters_once(
    samples: tuple[Path, dict[str, Any]], tiny_model: Path, tmp_path: Path
) -> None:
    whole = {row["trajectory_id"]: row for row in load_from_disk(str(samples[0]))}
    chain = processor(tiny_model, tokens={"max_length": 4000})
    report = chain.process_files(SAMPLES, tmp_path / "sad")
    assert counted(report)
    assert report["n_rows"] > report["n_kept"] == 32
    assert chain.validate_processed_trajectories(tmp_path / "sad")["validation_errors"] == []
    windows: dict[str, list[dict[str, Any]]] = {}
    for row in load_from_disk(str(tmp_path / "sad")):
        assert row["length"] <= 4000
        windows.setdefault(row["trajectory_id"], []).append(row)
    assert list(windows) == list(whole)
    for name, rows in windows.items():
        assert [(row["window"]["index"], row["window"]["n"]) for row in rows] == [
            (n, len(rows)) for n in range(len(rows))
        ]
        assert "".join(trained_text(row) for row in rows) == trained_text(whole[name])


def trained_text(row: dict[str, Any]) -> str:
    parts = []
    for span in row["spans"]:
        labels = row["labels"][span["start_token"] : span["end_token"]]
        if any(label != -100 for label in labels):
            parts.append(row["text"][span["start_char"] : span["end_char"]])
    return "".join(parts)


@pytest.mark.parametrize(
    ("name", "value", "reason", "drops"),
    [
        ("min_reasoning_ratio", 0.27, "low_reasoning_ratio", lambda row: row["quality"]["reasoning"] < 0.27),
        ("min_action_ratio", 0.4, "low_action_ratio", lambda row: row["quality"]["action"] < 0.4),
        ("max_other_ratio", 0.05, "high_other_ratio", lambda row: row["quality"]["other"] > 0.05),
        ("min_tokens", 2500, "too_short", lambda row: row["length"] < 2500),
        ("max_tokens", 2500, "too_long", lambda row: row["length"] > 2500),
        ("min_reward", 0.5, "no_reward", lambda row: "reward" not in json.loads(row["metadata"])),
    ],
)
def test_a_filter_drops_exactly_the_rows_beyond_its_threshold(
    name: str, value: float, reason: str, drops: Any, samples: tuple[Path, dict[str, Any]], tiny_model: Path
) -> None:
    rows = load_from_disk(str(samples[0]))
    expected = [row["trajectory_id"] for row in rows if drops(row)]
    run = processor(tiny_model, filters={name: value}).run(load_trajectories(SAMPLES))
    report = run.report()
    assert counted(report)
    assert 0 < len(expected) < 32
    assert report["reasons"]["dropped"][reason] == len(expected)
    kept = run.dataset()["trajectory_id"][:]
    assert not set(kept) & set(expected)
    assert report["n_failed"] == 0
    assert len(kept) == report["n_kept"]


def test_filters_that_give_several_reasons_count_each_record_once(tiny_model: Path) -> None:
    filters = {"min_reasoning_ratio": 0.25, "min_action_ratio": 0.4, "min_tokens": 2000, "min_reward": 0.5}
    report = processor(tiny_model, filters=filters).run(load_trajectories(SAMPLES)).report()
    assert counted(report)
    assert len(report["reasons"]["dropped"]) >= 3
    assert report["filter_pass_rate"] == pytest.approx(report["n_kept"] / 32, abs=1e-6)
