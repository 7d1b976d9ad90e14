"""Parquet and Arrow: their values become JSON, and damage is a reject."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict
from raw_files import SMALL, good, read

from deepcoder_hf.config import ReadersConfig


def test_nulls_that_arrow_invents_are_dropped_inside_lists_only(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "a", "call": {"x": 1, "y": None}}, {"role": "b"}], "reward": None, "meta": {"k": None}},
        {"messages": [{"role": "c", "items": [None, 1]}], "reward": 1.0, "meta": {"k": "v"}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert good(read(tmp_path / "a.parquet")) == [
        {"messages": [{"role": "a", "call": {"x": 1}}, {"role": "b"}], "reward": None, "meta": {"k": None}},
        {"messages": [{"role": "c", "items": [None, 1]}], "reward": 1.0, "meta": {"k": "v"}},
    ]


def test_values_that_json_lacks_are_written_as_text(tmp_path: Path) -> None:
    import datetime
    import decimal

    table = pa.table(
        {
            "f": [float("nan"), float("inf"), 0.5],
            "b": [b"text", b"\xff", None],
            "t": [datetime.datetime(2026, 1, 2, 3, 4, 5)] * 3,
            "d": [decimal.Decimal("1.50")] * 3,
            "m": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    records = good(read(tmp_path / "a.parquet"))
    json.dumps(records, allow_nan=False)
    assert [record["f"] for record in records if record] == ["NaN", "Infinity", 0.5]
    assert [record["b"] for record in records if record] == ["text", "/w==", None]
    assert records[0]
    assert records[0]["t"] == "2026-01-02T03:04:05"
    assert records[0]["d"] == "1.50"
    assert records[0]["m"] == {"k": 1}


@pytest.mark.parametrize("damage", ["cut", "footer", "pages"])
def test_a_corrupt_parquet_file_is_one_reject(tmp_path: Path, damage: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"s": [os.urandom(50).hex() for _ in range(1000)]}), sink, compression="zstd")
    data = bytearray(sink.getvalue())
    if damage == "cut":
        data = data[:-100]
    elif damage == "footer":
        data[-60:-20] = b"\xff" * 40
    else:
        data[20:4000] = b"\xff" * 3980
    rows = read(tmp_path / "a.parquet", bytes(data))
    assert [row.reason for row in rows if row.reason] == ["broken_parquet"]
    assert rows[-1].line == 0
    assert "\n" not in rows[-1].message


def test_a_text_column_that_is_not_utf8_rejects_its_row_only(tmp_path: Path) -> None:
    bad = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    batch = pa.record_batch({"s": bad})
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "a.parquet")
    with pa.ipc.new_stream(tmp_path / "a.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    for name in ("a.parquet", "a.arrow"):
        rows = read(tmp_path / name)
        assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, "not_utf8"), (3, "")]


def test_arrow_offsets_that_point_outside_are_a_reject_not_a_crash(tmp_path: Path) -> None:
    array = pa.array(["abc", "def"])
    offsets = pa.array([0, 1 << 20, 1 << 30], pa.int32()).buffers()[1]
    batch = pa.record_batch({"s": array})
    with pa.ipc.new_stream(tmp_path / "a.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    data = (tmp_path / "a.arrow").read_bytes()
    wanted = pa.array([0, 3, 6], pa.int32()).buffers()[1].to_pybytes()[:12]
    assert wanted in data
    rows = read(tmp_path / "a.arrow", data.replace(wanted, offsets.to_pybytes()[:12]))
    assert rows
    assert {row.reason for row in rows} == {"broken_arrow"}


@pytest.mark.parametrize("n_bytes", [1025, 200_000])
def test_a_row_past_the_limit_is_a_reject_and_the_others_are_read(tmp_path: Path, n_bytes: int) -> None:
    table = pa.table({"s": ["a", "x" * n_bytes, "c"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        rows = read(tmp_path / name, limits=SMALL)
        assert [(row.line, row.reason) for row in rows] == [(1, ""), (2, "record_too_large"), (3, "")]


def test_a_parquet_bomb_is_stopped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"s": ["x" * 1_000_000] * 200}), tmp_path / "a.parquet", compression="zstd")
    rows = read(tmp_path / "a.parquet")
    assert rows[-1].reason == "compression_ratio"
    assert len(rows) < 200
    rows = read(tmp_path / "a.parquet", limits=ReadersConfig(max_file_bytes=10 << 20))
    assert rows[-1].reason == "file_too_large"


def test_folders_of_save_to_disk_are_read_row_by_row(tmp_path: Path) -> None:
    records = [{"n": i, "messages": [{"role": "a"}]} for i in range(250)]
    dataset = Dataset.from_list(records)
    dataset.save_to_disk(tmp_path / "one", num_shards=3)
    DatasetDict({"train": dataset, "test": dataset.select(range(3))}).save_to_disk(tmp_path / "dict")
    assert good(read(tmp_path / "one")) == records
    rows = read(tmp_path / "dict")
    assert good(rows) == records + records[:3]
    assert [row.line for row in rows] == list(range(1, 254))


@pytest.mark.parametrize("filename", ["../../secret.arrow", "..", "missing.arrow", 7])
def test_a_folder_of_save_to_disk_cannot_name_files_elsewhere(tmp_path: Path, filename: Any) -> None:
    folder = tmp_path / "data" / "one"
    Dataset.from_list([{"n": 1}]).save_to_disk(folder)
    Dataset.from_list([{"n": 666}]).save_to_disk(tmp_path / "other")
    (tmp_path / "secret.arrow").write_bytes(next((tmp_path / "other").glob("*.arrow")).read_bytes())
    state = json.loads((folder / "state.json").read_text())
    state["_data_files"] = [{"filename": filename}]
    (folder / "state.json").write_text(json.dumps(state))
    assert [(row.record, row.reason) for row in read(folder)] == [(None, "broken_arrow")]
