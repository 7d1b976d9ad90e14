"""Published shards: small, the same bytes each time, never beyond the limit, and equal to the rows to the last bit."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, concatenate_datasets, load_dataset, load_from_disk

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.parquet import ids_encoding, write_parquet


@pytest.fixture
def rows(make_sad: Any) -> Dataset:
    return load_from_disk(str(make_sad(*range(40))))


def table(found: Dataset) -> pa.Table:
    return found.with_format("arrow")[:].combine_chunks()


def test_shards_give_back_the_rows_and_their_features(rows: Dataset, tmp_path: Path) -> None:
    written = write_parquet(Bundle({"train": rows, "test": rows.select([3])}), tmp_path, "qwen3")
    assert [path.relative_to(tmp_path).as_posix() for path in written["train"]] == [
        "qwen3/train-00000-of-00001.parquet"
    ]
    found = load_dataset("parquet", data_files={k: [str(p) for p in v] for k, v in written.items()})
    assert found["train"].features == SAD_FEATURES
    assert table(found["train"]).equals(table(rows), check_metadata=True)
    assert found["test"][:] == rows.select([3])[:]
    assert list(tmp_path.rglob(".*")) == []


def test_no_shard_goes_beyond_the_limit_and_order_is_kept(rows: Dataset, tmp_path: Path) -> None:
    many = concatenate_datasets([rows] * 10)
    files = write_parquet(Bundle({"train": many}), tmp_path, "default", 120_000)["train"]
    assert len(files) > 3
    assert [path.name for path in files] == [f"train-{n:05d}-of-{len(files):05d}.parquet" for n in range(len(files))]
    assert max(path.stat().st_size for path in files) <= 120_000
    found = pa.concat_tables([pq.read_table(path) for path in files])
    assert found.combine_chunks().equals(table(many))


def test_the_same_rows_give_the_same_bytes(rows: Dataset, tmp_path: Path) -> None:
    (first,) = write_parquet(Bundle({"train": rows}), tmp_path / "a", "default")["train"]
    shuffled = rows.select(list(range(len(rows)))[::-1]).select(list(range(len(rows)))[::-1])
    (second,) = write_parquet(Bundle({"train": shuffled.with_format("numpy")}), tmp_path / "b", "default")["train"]
    assert first.read_bytes() == second.read_bytes()


def test_files_are_zstd_with_page_index_and_chunking(rows: Dataset, tmp_path: Path) -> None:
    (path,) = write_parquet(Bundle({"train": rows}), tmp_path, "default")["train"]
    meta = pq.read_metadata(path)
    columns = [meta.row_group(0).column(n) for n in range(meta.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert all(column.has_offset_index and column.has_column_index for column in columns)
    by_name = {column.path_in_schema: column.encodings for column in columns}
    assert "RLE_DICTIONARY" in by_name["token_types.list.element"]
    assert "RLE_DICTIONARY" not in by_name["input_ids.list.element"]
    assert b"content_defined_chunking" in (pq.read_metadata(path).metadata or {})
    assert b"huggingface" in pq.read_schema(path).metadata


def test_byte_stream_split_is_taken_only_where_it_pays() -> None:
    random = np.random.default_rng(0)
    varied = [random.integers(0, 150_000, 2000).astype(np.int32) for _ in range(40)]
    phrases = [random.integers(0, 150_000, 50).astype(np.int32) for _ in range(40)]
    repeated = [np.concatenate([phrases[k] for k in random.integers(0, 40, 40)]) for _ in range(40)]
    schema = pa.schema({"input_ids": pa.list_(pa.int32())})
    split = {"input_ids.list.element": "BYTE_STREAM_SPLIT"}
    assert ids_encoding(pa.table({"input_ids": pa.array(varied, pa.list_(pa.int32()))}), schema) == split
    assert ids_encoding(pa.table({"input_ids": pa.array(repeated, pa.list_(pa.int32()))}), schema) == {}


def test_a_full_disk_is_one_clear_line(rows: Dataset, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / ".train-00000.tmp").symlink_to(full)
    with pytest.raises(PublishError, match=r"the disk is full .*free some space"):
        write_parquet(Bundle({"train": rows}), tmp_path, "default")
    with pytest.raises(OSError, match="No space") as raised, full.open("wb", buffering=0) as file:
        file.write(b"x")
    assert raised.value.errno == errno.ENOSPC
