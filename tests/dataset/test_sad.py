"""load_sad from here: rows come back typed, cached for every process, and what is wrong is said in a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, Features, IterableDataset, List, Value
from pipeline_runs import processor, react
from sad_client import described, loaded

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.sad import load_sad
from deepcoder_hf.errors import ConfigError, InputError, SchemaError
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.parquet import write_parquet

TEACHER = {
    "teacher_topk_ids": List(List(Value("int32"))),
    "teacher_topk_logprobs": List(List(Value("float16"))),
    "teacher_logprobs": List(Value("float32")),
}


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> Dataset:
    """Six processed rows."""
    done = processor(tiny_model).process(Dataset.from_list(react(*range(6))))
    assert done.features == SAD_FEATURES
    return done


def write(rows: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(str(path))
    return path


def widened(rows: Dataset) -> pa.Table:
    """The rows as a tool without features writes them: every integer int64, masks bool, floats float64."""
    plain = pa.Table.from_pylist(rows.to_list())
    assert plain.schema.field("input_ids").type == pa.list_(pa.int64())
    masks = pa.array([[bool(value) for value in row] for row in rows["action_mask"]], pa.large_list(pa.bool_()))
    text = plain.column("text").cast(pa.large_string())
    found = plain.set_column(plain.schema.get_field_index("action_mask"), "action_mask", masks)
    return found.set_column(found.schema.get_field_index("text"), "text", text)


def test_what_process_wrote_comes_back_in_every_form(rows: Dataset, tmp_path: Path) -> None:
    rows.save_to_disk(str(tmp_path / "folder"))
    write(rows, tmp_path / "rows.parquet")
    rows.to_json(str(tmp_path / "rows.jsonl"))
    write(rows, tmp_path / "parts" / "part-0.parquet")
    for name in ("folder", "rows.parquet", "rows.jsonl", "parts"):
        found = load_sad(tmp_path / name)
        assert isinstance(found, Dataset), name
        assert found.features == SAD_FEATURES, name
        assert found.to_list() == rows.to_list(), name
        streamed = load_sad(str(tmp_path / name), streaming=True)
        assert isinstance(streamed, IterableDataset), name
        assert list(streamed) == rows.to_list(), name


def test_a_folder_of_splits_gives_them_and_parts_of_them(rows: Dataset, tmp_path: Path) -> None:
    DatasetDict(train=rows, test=rows.select([5])).save_to_disk(str(tmp_path / "splits"))
    write(rows, tmp_path / "clone" / "data" / "train-00000-of-00001.parquet")
    write(rows.select([5]), tmp_path / "clone" / "data" / "test-00000-of-00001.parquet")
    for name in ("splits", "clone"):
        found = load_sad(tmp_path / name)
        assert {key: len(split) for key, split in found.items()} == {"train": 6, "test": 1}
        assert load_sad(tmp_path / name, split="test")["trajectory_id"] == rows["trajectory_id"][5:]
        parts = load_sad(tmp_path / name, split="train[:2]+test")
        assert parts["trajectory_id"][:] == [rows["trajectory_id"][n] for n in (0, 1, 5)]
        with pytest.raises(InputError, match=r'Unknown split "dev"\. Should be one of \[.*train'):
            load_sad(tmp_path / name, split="dev")
    assert len(load_sad(write(rows, tmp_path / "a.parquet"), split="train[50%:]")) == 3


def test_other_integer_widths_are_cast_back_and_teacher_columns_stay(rows: Dataset, tmp_path: Path) -> None:
    scored = rows
    for name, kind in TEACHER.items():
        filled = [[[n] * 2 if "topk" in name else -0.5 for n in range(length)] for length in rows["length"]]
        scored = scored.add_column(name, filled, feature=kind)
    table = widened(rows)
    for name in TEACHER:
        table = table.append_column(name, scored.with_format("arrow")[:].column(name))
    pq.write_table(table.select(sorted(table.column_names)), tmp_path / "wide.parquet")
    for streaming in (False, True):
        found = load_sad(tmp_path / "wide.parquet", streaming=streaming)
        assert found.features == Features({**SAD_FEATURES, **TEACHER})
        assert list(found.features)[: len(SAD_FEATURES)] == list(SAD_FEATURES)
        assert [{name: row[name] for name in SAD_FEATURES} for row in found] == rows.to_list()
        assert [row["teacher_topk_ids"] for row in found] == scored["teacher_topk_ids"][:]
    one = load_sad(tmp_path / "wide.parquet", columns=["teacher_logprobs", "labels"])
    assert list(one.features.items()) == [(n, found.features[n]) for n in ("teacher_logprobs", "labels")]
    assert one["labels"][:] == rows["labels"][:]


def replaced(rows: Dataset, name: str, values: list[Any], kind: pa.DataType) -> pa.Table:
    table = rows.with_format("arrow")[:].replace_schema_metadata(None)
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))


def test_rows_that_are_none_of_sad_are_refused_with_what_is_wrong(rows: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"input_ids": [[1]], "labels": [[1]]}), path)
    with pytest.raises(
        SchemaError, match=r"rows.parquet: .* missing: trajectory_id, group_id, .*; there are input_ids"
    ):
        load_sad(path)
    assert load_sad(path, columns=["labels", "input_ids"]).to_list() == [{"labels": [1], "input_ids": [1]}]
    with pytest.raises(SchemaError, match="missing: teacher_logprobs; there are"):
        load_sad(path, columns=["labels", "teacher_logprobs"])

    pq.write_table(replaced(rows, "labels", [[0.5]] * 6, pa.list_(pa.float32())), path)
    with pytest.raises(SchemaError, match=r"column labels: expected list<.*int32>, got list<.*float>"):
        load_sad(path)
    pq.write_table(replaced(rows, "action_mask", [[300]] * 6, pa.list_(pa.int64())), path)
    with pytest.raises(SchemaError, match=r"does not fit the column's type in a SAD row: .*300"):
        load_sad(path)
    pq.write_table(replaced(rows, "window", [{"index": 0}] * 6, pa.struct({"index": pa.int32()})), path)
    with pytest.raises(SchemaError, match="column window: expected struct<index: int32, n: int32"):
        load_sad(path)


@pytest.mark.parametrize(
    ("source", "more", "error", "message"),
    [
        ("no/such/place", {}, InputError, "no/such/place does not exist; expected a dataset on the Hub"),
        ("gone.parquet", {}, InputError, "gone.parquet does not exist"),
        ("runs/gone.jsonl", {}, InputError, "runs/gone.jsonl does not exist"),
        ("rows.parquet", {"revision": "main"}, ConfigError, "only a dataset on the Hub has revisions"),
        ("rows.parquet", {"name": "qwen3"}, ConfigError, "a published dataset has configurations"),
        ("rows.parquet", {"split": "test"}, InputError, r'Unknown split "test"\. Should be one of \[\'train\'\]'),
        ("rows.parquet", {"split": "test", "streaming": True}, InputError, "Unknown split 'test'"),
        ("broken.parquet", {}, InputError, "broken.parquet cannot be read"),
        ("empty", {}, InputError, "empty: expected a dataset folder"),
        ("some/one", {}, InputError, "some/one: the Hub cannot be reached, .* not in the cache; load it once"),
    ],
)
def test_a_source_that_cannot_be_loaded_is_explained(
    source: str, more: dict[str, Any], error: type[Exception], message: str,
    rows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write(rows, tmp_path / "rows.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message) as caught:
        load_sad(source, **more)
    assert "\n" not in str(caught.value)


def test_a_second_process_finds_the_cast_rows_in_the_cache(rows: Dataset, tmp_path: Path) -> None:
    pq.write_table(widened(rows), tmp_path / "wide.parquet")
    rows.to_json(str(tmp_path / "rows.jsonl"))
    env = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    env.pop("HF_DATASETS_CACHE", None)
    calls = [{"source": str(tmp_path / name)} for name in ("wide.parquet", "rows.jsonl")]
    first, second = loaded(env, *calls), loaded(env, *calls)
    expected = described(rows)
    for before, after in zip(first, second, strict=True):
        assert before["written"] != []
        assert after == {**expected, "written": []}
        assert before == {**expected, "written": before["written"]}


@pytest.mark.slow
def test_published_parquet_loads_under_datasets_4_0_0(rows: Dataset, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
    python = str(home / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "datasets==4.0.0"]
    installed = subprocess.run(pip, capture_output=True, text=True, timeout=900)
    assert installed.returncode == 0, installed.stderr[-3000:]
    (path,) = write_parquet(Bundle({"train": rows}), tmp_path, "default")["train"]
    code = """
import hashlib, json, sys, datasets
rows = datasets.load_dataset("parquet", data_files=sys.argv[1], split="train")
assert datasets.__version__ == "4.0.0"
values = hashlib.sha256(json.dumps(list(rows), sort_keys=True).encode()).hexdigest()
print(json.dumps([values, {f.name: str(f.type) for f in rows.features.arrow_schema}]))
"""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HF_"))} | {
        "HF_HOME": str(tmp_path / "h")
    }
    done = subprocess.run([python, "-c", code, str(path)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    digest, types = json.loads(done.stdout.splitlines()[-1])
    assert digest == described(rows)["digest"]
    assert types == {field.name: str(field.type) for field in SAD_FEATURES.arrow_schema}
