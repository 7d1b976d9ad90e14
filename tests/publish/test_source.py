"""Whatever a dataset is named as, its rows arrive by split, with their report; other columns do not leave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict, Value, load_from_disk

from deepcoder_hf.errors import InputError, PublishError, SchemaError
from deepcoder_hf.publish.source import load_bundle


def ids(rows: Dataset) -> list[str]:
    return list(rows["trajectory_id"])


def test_a_folder_is_the_split_train_with_its_report(make_sad: Any) -> None:
    folder = make_sad(1, 2)
    bundle = load_bundle(folder)
    assert {name: ids(rows) for name, rows in bundle.splits.items()} == {"train": ["id-1", "id-2"]}
    assert bundle.report == json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_file_brings_the_report_beside_it(make_sad: Any, tmp_path: Path, suffix: str) -> None:
    rows = load_from_disk(str(make_sad(1, 2)))
    path = tmp_path / f"x.{suffix}"
    getattr(rows, {"parquet": "to_parquet", "jsonl": "to_json"}[suffix])(str(path))
    (tmp_path / "x.report.json").write_text('{"n_read": 2}')
    bundle = load_bundle(str(path))
    assert bundle.splits["train"][:] == rows[:]
    assert bundle.report == {"n_read": 2}


def test_a_folder_of_folders_and_one_of_shards_hold_splits(make_sad: Any, tmp_path: Path) -> None:
    for split, numbers in (("train", (1, 2)), ("test", (3,))):
        shutil.copytree(make_sad(*numbers), tmp_path / "both" / split)
        rows = load_from_disk(str(make_sad(*numbers)))
        (tmp_path / "shards").mkdir(exist_ok=True)
        for row in range(len(rows)):
            name = f"{split}-{row:05d}-of-{len(rows):05d}.parquet"
            rows.select([row]).to_parquet(str(tmp_path / "shards" / name))
    for name in ("both", "shards"):
        splits = load_bundle(tmp_path / name).splits
        assert {split: ids(rows) for split, rows in splits.items()} == {"train": ["id-1", "id-2"], "test": ["id-3"]}


def test_datasets_in_memory_and_mappings_are_taken(make_sad: Any) -> None:
    rows = load_from_disk(str(make_sad(1, 2)))
    assert list(load_bundle(rows).splits) == ["train"]
    assert list(load_bundle(DatasetDict(train=rows, test=rows)).splits) == ["train", "test"]
    mapped = load_bundle({"train": make_sad(1, 2), "validation": rows.select([0])})
    assert {name: len(found) for name, found in mapped.splits.items()} == {"train": 2, "validation": 1}
    assert mapped.report["n_read"] == 2


def test_wrong_columns_are_named(make_sad: Any) -> None:
    rows = load_from_disk(str(make_sad(1, 2)))
    with pytest.raises(SchemaError, match=r"split train: .*spans is missing; note is not known"):
        load_bundle(rows.remove_columns("spans").add_column("note", ["a", "b"]))
    with pytest.raises(SchemaError, match=r"length should be .*int32.*, got .*int64"):
        load_bundle(rows.cast_column("length", Value("int64")))
    weighted = rows.map(lambda row: {"token_weights": [1.0] * row["length"]}, load_from_cache_file=False)
    assert "token_weights" in load_bundle(weighted).splits["train"].column_names
    with pytest.raises(SchemaError, match="different columns"):
        load_bundle({"train": rows, "test": weighted})


def test_what_is_no_dataset_is_one_clear_error(make_sad: Any, tmp_path: Path) -> None:
    rows = load_from_disk(str(make_sad(1, 2)))
    with pytest.raises(InputError, match="does not exist"):
        load_bundle(tmp_path / "nothing")
    with pytest.raises(InputError, match="IterableDataset: write it to disk first"):
        load_bundle(rows.to_iterable_dataset())
    with pytest.raises(PublishError, match="no rows"):
        load_bundle(rows.select([]))
    with pytest.raises(PublishError, match=r"split 'a/b': expected a name"):
        load_bundle({"a/b": rows})
    broken = tmp_path / "x.parquet"
    rows.to_parquet(str(broken))
    (tmp_path / "x.report.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.report\.json: expected the JSON report"):
        load_bundle(broken)
