"""Stages: one by one, fused and in any batches they give the same rows."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher
from hypothesis import given
from hypothesis import strategies as st
from stage_records import RECORDS, mixed, quick, raw_table

from deepcoder_hf.config import Config, ReadersConfig
from deepcoder_hf.dataset.features import RAW_FEATURES, SHARD_FEATURES
from deepcoder_hf.dataset.raw import reject_row, table_of
from deepcoder_hf.dataset.validate import check_row
from deepcoder_hf.errors import SchemaError
from deepcoder_hf.stages import align_tokens, detect_spans, parse_records, process_records, without_nulls


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    return Config(tokens={"model_name": str(tiny_model), "max_length": 160}, filters={"max_tokens": 1300})  # type: ignore[arg-type]


# --- the same rows, however the work is cut --------------------------------------------------------------------------


def test_records_of_every_outcome_are_in_the_mix(config: Config) -> None:
    outcomes = process_records(raw_table(RECORDS), config=config).column("outcome").to_pylist()
    assert {o["status"] for o in outcomes} == {"kept", "dropped", "failed"}
    reasons = {o["reason"] for o in outcomes}
    assert {"head_too_long", "nothing_to_train", "empty_messages", "unsupported_modality", "unknown_format"} <= reasons
    assert len(outcomes) > len(RECORDS) == sum(o["first"] for o in outcomes)
    assert [o["line"] for o in outcomes if o["first"]] == list(range(1, len(RECORDS) + 1))


@quick
@given(records=mixed)
def test_the_fused_stage_is_the_two_stages(records: list[dict[str, Any]], config: Config) -> None:
    table = raw_table(records)
    fused = process_records(table, config=config)
    assert align_tokens(detect_spans(table, config=config), config=config).equals(fused)
    assert fused.schema.equals(SHARD_FEATURES.arrow_schema)


@quick
@given(records=mixed, data=st.data())
def test_batches_of_any_size_give_the_same_rows(
    records: list[dict[str, Any]], data: st.DataObject, config: Config
) -> None:
    table = raw_table(records)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(records) - 1)))))
    edges = [0, *cuts, len(records)]
    parts = [process_records(table.slice(a, b - a), config=config) for a, b in pairwise(edges) if b > a]
    whole = process_records(table, config=config)
    assert pa.concat_tables(parts).to_pylist() == whole.to_pylist()


@pytest.mark.parametrize("first", range(0, len(RECORDS), 3))
def test_a_slice_of_detected_texts_gives_its_own_rows(first: int, config: Config) -> None:
    table = raw_table(RECORDS)
    found = align_tokens(detect_spans(table, config=config).slice(first, 4), config=config)
    assert found.to_pylist() == process_records(table.slice(first, 4), config=config).to_pylist()


def test_stages_run_as_maps_over_a_dataset_and_give_the_same_rows(config: Config) -> None:
    table = raw_table(RECORDS)
    raw = Dataset.from_list(table.to_pylist(), features=RAW_FEATURES).with_format("arrow")
    names, options = raw.column_names, {"batched": True, "batch_size": 3, "fn_kwargs": {"config": config}}
    found = raw.map(detect_spans, remove_columns=names, **options)
    aligned = found.map(align_tokens, remove_columns=found.column_names, features=SHARD_FEATURES, **options)
    fused = raw.map(process_records, remove_columns=names, features=SHARD_FEATURES, **options)
    expected = process_records(table, config=config).to_pylist()
    assert aligned.with_format("arrow")[:].to_pylist() == expected
    assert fused.with_format("arrow")[:].to_pylist() == expected


def test_kept_rows_hold_together(config: Config) -> None:
    rows = process_records(raw_table(RECORDS), config=config).to_pylist()
    kept = [row for row in rows if row["outcome"]["status"] == "kept"]
    assert len(kept) > 5
    assert [check_row(row) for row in kept] == [[]] * len(kept)


def test_a_record_that_is_not_kept_is_a_row_without_tokens(config: Config) -> None:
    rows = process_records(raw_table(RECORDS), config=config).to_pylist()
    others = [row for row in rows if row["outcome"]["status"] != "kept"]
    assert len(others) > 5
    assert [(row["length"], row["input_ids"], row["spans"]) for row in others] == [(0, [], [])] * len(others)


def test_equal_texts_have_equal_hashes_and_others_do_not(config: Config) -> None:
    table = raw_table([RECORDS[0], {**RECORDS[0], "id": "other"}, RECORDS[4]])
    one, same, other = (o["text_hash"] for o in process_records(table, config=config).column("outcome").to_pylist())
    assert one == same != other


def test_a_table_without_the_columns_of_raw_rows_is_refused(config: Config) -> None:
    with pytest.raises(SchemaError, match=r"missing: group_id, trajectory$"):
        process_records(raw_table(RECORDS[:1]).drop_columns(["group_id", "trajectory"]), config=config)


def test_no_records_give_no_rows(config: Config) -> None:
    empty = raw_table(RECORDS[:1]).slice(0, 0)
    assert process_records(empty, config=config).num_rows == 0
    assert align_tokens(detect_spans(empty, config=config), config=config).num_rows == 0


def test_a_reject_of_a_reader_keeps_its_reason_message_and_excerpt(config: Config) -> None:
    table = table_of([reject_row("in.jsonl", 7, "broken_json", "in.jsonl:7: broken", '{"a": ')])
    (row,) = process_records(table, config=config).to_pylist()
    outcome = row["outcome"]
    assert (outcome["status"], outcome["reason"], outcome["message"]) == ("failed", "broken_json", "in.jsonl:7: broken")
    assert outcome["excerpt"] == '{"a": '
    assert (outcome["line"], outcome["source_path"]) == (7, "in.jsonl")


# --- records in memory -----------------------------------------------------------------------------------------------


def test_records_in_columns_are_read_and_numbered(config: Config) -> None:
    batch = {"text": ["<think>a</think>b", None], "messages": [None, [{"role": "assistant", "content": "hi"}]]}
    table = parse_records(batch, [4, 5], ReadersConfig(licence="MIT"))
    assert table.column("line").to_pylist() == [5, 6]
    assert table.column("source_format").to_pylist() == ["text", "messages"]
    rows = process_records(table, config=config).to_pylist()
    assert [json.loads(row["metadata"])["licence"] for row in rows] == ["MIT", "MIT"]


def test_nulls_that_arrow_invents_go_and_a_null_content_stays() -> None:
    call = {"name": "f", "id": None, "arguments": {"x": None, "y": [1, None]}}
    record = {"note": None, "messages": [{"role": "assistant", "content": None, "tool_calls": [call], "name": None}]}
    kept = {"name": "f", "arguments": {"y": [1, None]}}
    assert without_nulls(record) == {
        "note": None,
        "messages": [{"role": "assistant", "content": None, "tool_calls": [kept]}],
    }


# --- the configuration travels ---------------------------------------------------------------------------------------


def test_a_config_survives_pickling_and_hashes_alike() -> None:
    config = Config(tokens={"max_length": 99}, spans={"families": ("think",)}, filters={"min_reward": 0.5})  # type: ignore[arg-type]
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert hash(copy) == hash(config)
    assert Hasher.hash(copy) == Hasher.hash(config)
    assert Hasher.hash(config) != Hasher.hash(Config())


def test_the_hash_of_a_config_is_the_same_in_another_process() -> None:
    code = (
        "from datasets.fingerprint import Hasher; from deepcoder_hf.config import Config; print(Hasher.hash(Config()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert found.stdout.strip() == Hasher.hash(Config())
