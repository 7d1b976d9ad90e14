"""Every container and every way to say what is trained gives the same report; bad rows are counted, never a crash."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from chat_rows import ASK, DONE, HEADER, QWEN3, RESULT, STOP, THINK, Row, audit, found, good, reader, row, write
from datasets import Dataset, DatasetDict

from deepcoder_hf.audit.run import audit_dataset
from deepcoder_hf.errors import InputError


def rows() -> list[Row]:
    return [good(), row(ASK, HEADER, (THINK + DONE + STOP, 1), "\n", (RESULT, 1)), row(ASK, HEADER, DONE + STOP + "\n")]


def saved(folder: Path) -> Path:
    Dataset.from_list(rows()).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def splits(folder: Path) -> Path:
    parts = {"train": Dataset.from_list(rows()[:2]), "validation": Dataset.from_list(rows()[2:])}
    DatasetDict(parts).save_to_disk(str(folder / "splits"))
    return folder / "splits"


def cached(folder: Path) -> Path:
    table = pa.Table.from_pylist(rows())
    (folder / "cache").mkdir()
    with pa.ipc.new_stream(str(folder / "cache" / "cache-0123.arrow"), table.schema) as writer:
        writer.write_table(table)
    return folder / "cache"


def parquet(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist([{**one, "text": "x"} for one in rows()]), folder / "rows.parquet")
    return folder / "rows.parquet"


def shards(folder: Path) -> Path:
    (folder / "shards" / "data").mkdir(parents=True)
    for number, one in enumerate(rows()):
        pq.write_table(pa.Table.from_pylist([one]), folder / "shards" / "data" / f"train-{number}.parquet")
    return folder / "shards"


def zipped(folder: Path) -> Path:
    plain = write(folder / "rows.jsonl", rows()).read_bytes()
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(plain))
    return folder / "rows.jsonl.gz"


def zstd(folder: Path) -> Path:
    plain = write(folder / "rows.jsonl", rows()).read_bytes()
    (folder / "rows.jsonl.zst").write_bytes(zstandard.compress(plain))
    return folder / "rows.jsonl.zst"


@pytest.mark.parametrize("make", [saved, splits, cached, parquet, shards, zipped, zstd], ids=lambda f: f.__name__)
def test_every_container_gives_the_same_report(make: Callable[[Path], Path], tmp_path: Path) -> None:
    expected = audit(tmp_path, *rows())
    report = audit_dataset(make(tmp_path), reader(QWEN3))
    assert {**report, "dataset": ""} == {**expected, "dataset": ""}
    assert set(found(report)) == {"trained_observation", "trained_header", "no_trained_token"}


def masked(one: Row, **columns: Any) -> Row:
    return {"input_ids": one["input_ids"], **columns}


@pytest.mark.parametrize(
    "column", ["assistant_masks", "completion_mask", "response_mask", "loss_mask", "reasoning_mask", "action_mask"]
)
def test_masks_of_other_trainers_say_the_same_as_labels(column: str, tmp_path: Path) -> None:
    expected = audit(tmp_path, *rows())
    report = audit(tmp_path, *(masked(one, **{column: [int(label >= 0) for label in one["labels"]]}) for one in rows()))
    assert report["trained_by"] == [column]
    assert (report["classes"], found(report).keys()) == (expected["classes"], found(expected).keys())


def test_both_masks_of_trl_must_mark_a_token(tmp_path: Path) -> None:
    one = good()
    assistant = [int(label >= 0) for label in one["labels"]]
    completion = [0] * 60 + [1] * (len(assistant) - 60)
    report = audit(tmp_path, masked(one, assistant_masks=assistant, completion_mask=completion))
    assert report["trained_tokens"] == sum(assistant[60:]) < sum(assistant)


def test_prompts_and_responses_of_verl_are_one_row(tmp_path: Path) -> None:
    one = good()
    at = next(at for at, label in enumerate(one["labels"]) if label >= 0)
    flags = [label >= 0 for label in one["labels"][at:]]
    split = {"prompts": one["input_ids"][:at], "responses": one["input_ids"][at:]}
    masked_row = audit(tmp_path, {**split, "response_mask": flags})
    assert masked_row["findings"] == []
    assert masked_row["trained_tokens"] == sum(flags)
    whole = audit(tmp_path, split)  # without a mask the whole response is trained
    assert {"trained_observation", "trained_header"} <= set(found(whole))
    aligned = audit(tmp_path, masked(one, response_mask=flags))
    assert (aligned["trained_tokens"], aligned["findings"]) == (sum(flags), [])


def test_rows_without_any_mask_train_everything(tmp_path: Path) -> None:
    report = audit(tmp_path, masked(good()))
    assert report["trained_tokens"] == report["tokens"]
    assert report["trained_by"] == ["nothing: every token is trained"]
    assert {"trained_observation", "trained_user", "trained_system", "trained_header"} <= set(found(report))


def test_only_so_many_rows_are_read(tmp_path: Path) -> None:
    report = audit(tmp_path, *rows(), limit=2)
    assert report["rows"] == 2
    assert "no_trained_token" not in found(report)


BAD: list[Any] = [
    {"labels": [1]},
    {"input_ids": None, "labels": []},
    {"input_ids": [1, 2], "labels": [1]},
    {"input_ids": [1, None], "labels": [1, 1]},
    {"input_ids": [[1]], "labels": [[1]]},
    {"input_ids": "abc", "labels": [1]},
    {"input_ids": [1.5], "labels": [1]},
    {"input_ids": [2**70], "labels": [1]},
    {"input_ids": [True], "labels": {"a": 1}},
    {},
    [1, 2],
    "text",
    None,
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_row_is_counted_and_the_others_are_read(bad: Any, tmp_path: Path) -> None:
    report = audit(tmp_path, good(), bad, row(ASK, HEADER, (DONE + STOP, 1)))
    assert report["rows"] == 3
    finding = found(report)["unreadable_rows"]
    assert (finding["n"], finding["examples"][0]["row"]) == (1, 1)
    assert report["assistant_turns"] == 3


def test_mutated_rows_never_crash_and_all_are_counted(tmp_path: Path) -> None:
    rng = random.Random(7)
    values: list[Any] = [None, [], [0], [-1, 3], {}, "x", 5, [None], [[1]], [2**63], [1.5], True]
    many = []
    for _ in range(400):
        one = {**good(), "position_ids": list(range(len(good()["labels"])))}
        for name in rng.sample(sorted(one), rng.choice([0, 0, 1, 2])):
            one[name] = rng.choice([*values, one[name][: rng.randrange(90)], rng.sample(one[name], len(one[name]))])
        if rng.random() < 0.3:
            one["seq_lengths"] = rng.choice([[3, 4], [-5], [10**9], None, [0]])
        many.append(one)
    report = audit(tmp_path, *many)
    assert report["rows"] == 400
    assert report["assistant_turns"] > 200
    json.dumps(report)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"messages": []}\n', "got the columns 'messages'"),
        ("a.jsonl", b"not json\n", "no JSON"),
        ("a.parquet", b"PAR1 and then nothing", "cannot be read"),
        ("a.arrow", b"ARROW1\x00\x00 broken", "cannot be read"),
        ("a.gz", b"\x1f\x8b broken", "cannot be read"),
    ],
)
def test_a_file_that_is_no_dataset_is_refused_with_what_to_do(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        audit_dataset(tmp_path / name, reader(QWEN3))


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError, match="expected Arrow"):
            audit_dataset(path, reader(QWEN3))


def test_a_column_of_text_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"input_ids": ["1 2 3"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="input_ids: expected a list of whole numbers"):
        audit_dataset(tmp_path / "a.parquet", reader(QWEN3))
