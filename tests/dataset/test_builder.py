"""TrajectoryBuilder: a real `datasets` builder, map-style, streaming and through load_dataset."""

from __future__ import annotations

import gzip
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, DatasetDict, IterableDataset, load_dataset

import deepcoder_hf
from deepcoder_hf import TrajectoryBuilder, errors, load_trajectories
from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.dataset.features import RAW_FEATURES
from deepcoder_hf.errors import DeepcoderError, InputError, RecordError


def record(n: int) -> dict[str, Any]:
    return {"id": f"id-{n}", "text": f"Thought: {n}\nAction: look[{n}]"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of two records each, one of them compressed, and a broken record in the last."""
    runs = tmp_path / "runs"
    runs.mkdir()
    lines = [json.dumps(record(n)) + "\n" for n in range(6)]
    (runs / "a.jsonl").write_text("".join(lines[:2]))
    (runs / "b.jsonl.gz").write_bytes(gzip.compress("".join(lines[2:4]).encode()))
    (runs / "c.jsonl").write_text(lines[4] + "{broken\n" + lines[5])
    return runs


EXPECTED = ["id-0", "id-1", "id-2", "id-3", "id-4", None, "id-5"]


def ids(rows: Any) -> list[str | None]:
    return [None if row["reject_reason"] else row["trajectory_id"] for row in rows]


@pytest.mark.parametrize("num_proc", [None, 2])
def test_the_builder_prepares_every_record_in_order(num_proc: int | None, folder: Path, tmp_path: Path) -> None:
    builder = TrajectoryBuilder(data_files=str(folder), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare(num_proc=num_proc)
    rows = builder.as_dataset(split="train")
    assert isinstance(rows, Dataset)
    assert rows.features == RAW_FEATURES
    assert ids(rows) == EXPECTED
    assert rows["line"][:] == [1, 2, 1, 2, 1, 2, 3]
    assert rows["source_path"][:] == ["a.jsonl"] * 2 + ["b.jsonl.gz"] * 2 + ["c.jsonl"] * 3
    assert rows[5]["reject_reason"] == "broken_json"
    assert rows[5]["reject_message"].count("c.jsonl:2:") == 1


def test_the_builder_streams_the_rows_that_it_prepares(folder: Path, tmp_path: Path) -> None:
    builder = TrajectoryBuilder(data_files=str(folder), cache_dir=str(tmp_path / "cache"))
    stream = builder.as_streaming_dataset(split="train")
    assert isinstance(stream, IterableDataset)
    builder.download_and_prepare()
    assert list(stream) == list(builder.as_dataset(split="train"))


def test_a_mapping_of_splits_gives_each_split_its_files(folder: Path, tmp_path: Path) -> None:
    files = {"train": [str(folder / "a.jsonl"), str(folder / "b.jsonl.gz")], "test": str(folder / "c.jsonl")}
    loaded = load_trajectories(files, split=None, cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded, DatasetDict)
    assert {name: ids(rows) for name, rows in loaded.items()} == {"train": EXPECTED[:4], "test": EXPECTED[4:]}
    assert ids(load_trajectories(files, split="test", cache_dir=str(tmp_path / "cache"))) == EXPECTED[4:]
    assert ids(load_trajectories(files, split="train[1:3]", cache_dir=str(tmp_path / "cache"))) == EXPECTED[1:3]


def test_a_split_without_records_is_an_empty_dataset(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    files = {"train": str(folder / "a.jsonl"), "test": str(tmp_path / "empty.jsonl")}
    loaded = load_trajectories(files, split=None, cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 2, "test": 0}
    assert loaded["test"].features == RAW_FEATURES
    assert list(load_trajectories(str(tmp_path / "empty.jsonl"), streaming=True)) == []


def test_the_rows_of_unchanged_files_come_from_the_cache_and_changed_files_do_not(folder: Path, tmp_path: Path) -> None:
    def load(**options: Any) -> Dataset:
        return load_trajectories(folder, cache_dir=str(tmp_path / "cache"), **options)

    first = load()
    (file,) = {entry["filename"] for entry in first.cache_files}
    written = Path(file).stat().st_mtime_ns
    assert {entry["filename"] for entry in load(num_proc=2).cache_files} == {file}
    assert Path(file).stat().st_mtime_ns == written
    assert load()._fingerprint == first._fingerprint
    (folder / "a.jsonl").write_text(json.dumps(record(7)) + "\n")
    changed = load()
    assert ids(changed) == ["id-7", *EXPECTED[2:]]
    limited = load(readers=ReadersConfig(max_depth=7))
    assert limited._fingerprint != changed._fingerprint


def test_files_are_read_with_the_limits_that_were_given(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps({"text": "x" * 2000}) + "\n" + json.dumps(record(1)) + "\n")
    rows = load_trajectories(path, readers=ReadersConfig(max_record_bytes=1024), cache_dir=str(tmp_path / "cache"))
    assert rows["reject_reason"][:] == ["record_too_large", None]


@pytest.mark.parametrize("data_files", [None, [], "missing.jsonl"])
def test_missing_input_is_an_input_error(data_files: Any) -> None:
    with pytest.raises(InputError):
        TrajectoryBuilder(data_files=data_files)


def test_register_lets_load_dataset_find_the_builder(folder: Path, tmp_path: Path) -> None:
    deepcoder_hf.register()
    deepcoder_hf.register()  # again is harmless
    try:
        options = {"data_files": str(folder / "*"), "split": "train", "cache_dir": str(tmp_path / "cache")}
        rows = load_dataset("trajectories", **options)
        assert ids(rows) == EXPECTED
        assert rows.features == RAW_FEATURES
        stream = load_dataset("trajectories", streaming=True, **options)
        assert ids(stream) == EXPECTED
    finally:
        datasets.packaged_modules._PACKAGED_DATASETS_MODULES.pop("trajectories")


CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, DeepcoderError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_exception_survives_pickling_with_its_attributes(kind: type[DeepcoderError]) -> None:
    """One that does not would make Dataset.map(num_proc=2) wait for ever."""
    made = [kind(), kind("what was expected")]
    if issubclass(kind, RecordError):
        made.append(kind("what was expected", "the_reason"))
    for error in made:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def test_every_exception_is_also_its_built_in() -> None:
    assert len(CLASSES) >= 10
    for kind in CLASSES:
        assert issubclass(kind, ValueError | OSError | RuntimeError) or kind is DeepcoderError


def raise_record_error(row: dict[str, Any]) -> dict[str, Any]:
    raise RecordError("line 3 is broken", "broken_json")


@pytest.mark.slow
def test_an_exception_of_ours_leaves_a_map_with_two_processes() -> None:
    with pytest.raises(RecordError, match="line 3 is broken") as caught:
        Dataset.from_dict({"n": [1, 2, 3, 4]}).map(raise_record_error, num_proc=2)
    assert caught.value.reason == "broken_json"
