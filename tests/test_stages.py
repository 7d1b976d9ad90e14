"""Stages: one by one, fused and in any batches they give the same rows, and text is stored as it was tokenised."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unicodedata import is_normalized, normalize

import pyarrow as pa
import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.features import RAW_FEATURES, SHARD_FEATURES
from deepcoder_hf.dataset.raw import raw_row, reject_row, table_of
from deepcoder_hf.dataset.validate import check_row
from deepcoder_hf.errors import SchemaError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.rendering.clean import clean, normalize_across
from deepcoder_hf.rendering.plain import Piece
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.stages import _assemble, align_tokens, detect_spans, parse_records, process_records, without_nulls

NFD = "e\u0301"
LONG = [{"thought": f"I need file {n}", "action": "read", "observation": "path " * n} for n in range(14)]
RECORDS: list[dict[str, Any]] = [
    {"text": "Thought: look\nAction: read[x]\nObservation: naïve 🙂\nThought: done\nAction: finish[1]"},
    {"text": f"<think>caf{NFD} \ud800</think>\n\nok"},
    {"text": "no markup at all"},
    {"text": "  "},
    {
        "messages": [
            {"role": "user", "content": "hi <think>no</think>"},
            {"role": "assistant", "content": "<think>a</think>b"},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": NFD, "reasoning_content": "\u0301x"},
        ]
    },
    {"messages": []},
    {"messages": [{"role": "user", "content": "hi"}]},
    {"id": "long", "task": "Go.", "steps": LONG, "reward": 0.5},
    {"task": "Go." * 40, "steps": LONG},
    {"task": "Go.", "steps": [{"observation": "nothing of the agent"}]},
    {"content": [{"type": "thinking", "thinking": "漢字"}, {"type": "tool_use", "name": "f", "input": {"a": None}}]},
    {"content": [{"type": "image"}]},
    {"unknown": 1},
]
"""Records of every kind of outcome: kept, cut into windows, dropped, failed while reading and while rendering."""

mixed = st.lists(st.sampled_from(RECORDS), min_size=1, max_size=8)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def raw_table(records: Sequence[dict[str, Any]]) -> pa.Table:
    parser = TrajectoryParser()
    rows = [raw_row(record, "in.jsonl", line, parser) for line, record in enumerate(records, start=1)]
    return table_of(rows)


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    return Config(tokens={"model_name": str(tiny_model), "max_length": 160}, filters={"max_tokens": 1300})  # type: ignore[arg-type]


def rows_of(record: dict[str, Any], config: Config) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = process_records(raw_table([record]), config=config).to_pylist()
    return rows


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
    assert json.loads(outcome["excerpt"]) == '{"a": '
    assert (outcome["line"], outcome["source_path"]) == (7, "in.jsonl")


# --- text: surrogates and composed characters ------------------------------------------------------------------------


def test_lone_surrogates_become_replacement_characters_and_are_counted(config: Config) -> None:
    (row,) = rows_of({"text": "<think>a\ud800b\udfff</think>\n\nok 🙂"}, config)
    assert row["text"] == "<think>a\ufffdb\ufffd</think>\n\nok 🙂"
    assert row["original_text"] == "<think>a\\ud800b\\udfff</think>\n\nok 🙂"
    assert row["outcome"]["n_replaced"] == 2
    assert json.loads(row["metadata"])["replaced_surrogates"] == 2
    assert check_row(row) == []


def test_surrogates_of_all_messages_are_counted(config: Config) -> None:
    messages = [
        {"role": "user", "content": "\ud800\ud801"},
        {"role": "assistant", "content": "a\ud800", "reasoning": "b"},
    ]
    (row,) = rows_of({"messages": messages}, config)
    assert row["outcome"]["n_replaced"] == 3
    assert row["text"] == "User: \ufffd\ufffd\n\nThought: b\nAssistant: a\ufffd\n\n"
    assert row["original_text"] is None


@pytest.mark.parametrize("field", ["id", "group_id", "note", "licence", "k\ud800"])
def test_a_lone_surrogate_in_another_field_stops_nothing(field: str, config: Config) -> None:
    rows = process_records(raw_table([RECORDS[0], {**RECORDS[0], field: "a\ud800b"}]), config=config).to_pylist()
    assert [row["outcome"]["status"] for row in rows] == ["kept", "kept"]
    facts = json.loads(rows[1]["metadata"])
    places = {**facts, **facts.get("extra", {}), "id": rows[1]["trajectory_id"], "group_id": rows[1]["group_id"]}
    assert places[field] in ("a\ud800b", "a\\ud800b")


def test_decomposed_text_is_composed_and_its_original_is_kept(config: Config) -> None:
    text = f"<think>caf{NFD} {NFD}</think>\n\nna\u0131\u0308ve {NFD}"
    (row,) = rows_of({"text": text}, config)
    assert row["text"] == normalize("NFC", text) != text
    assert row["original_text"] == text
    assert check_row(row) == []
    assert [row["text"][s["start_char"] : s["end_char"]] for s in row["spans"]] == [
        "<think>café é</think>\n\n",
        normalize("NFC", f"na\u0131\u0308ve {NFD}"),
    ]


def test_composed_text_stores_no_original(config: Config) -> None:
    (row,) = rows_of({"text": "<think>café</think>\n\nok"}, config)
    assert row["original_text"] is None


def test_a_tokenizer_that_does_not_normalise_gets_the_text_unchanged(shared_data: Path) -> None:
    model = shared_data / "tokenizers" / "smollm2"
    text = f"<think>caf{NFD}</think>\n\nok"
    (row,) = rows_of({"text": text}, Config(tokens={"model_name": str(model)}))  # type: ignore[arg-type]
    assert row["text"] == text
    assert row["original_text"] is None


def test_a_combining_mark_that_joins_the_piece_before_it_moves_the_border_behind_it() -> None:
    reasoning, action = TYPE_IDS["reasoning"], TYPE_IDS["action"]
    plan = [Piece("<a>", reasoning), Piece("\u0338", action), Piece("\u0338e", None), Piece("\u0301x", action)]
    found = iter([[(0, 2, reasoning, "", 1.0, "", "pattern", 0)]])
    text, spans = _assemble(plan, found, nfc=True)
    assert text == normalize("NFC", "<a>\u0338\u0338e\u0301x")
    assert [(span[2], text[span[0] : span[1]]) for span in spans] == [
        (reasoning, "<a\u226f"),
        (reasoning, "\u0338é"),
        (action, "x"),
    ]


def test_a_combining_mark_at_the_start_of_a_message_stays_with_its_message(config: Config) -> None:
    messages = [
        {"role": "user", "content": "\u0338x"},
        {"role": "assistant", "content": "\u0301a", "reasoning_content": "\u0301"},
    ]
    (row,) = rows_of({"messages": messages}, config)
    assert is_normalized("NFC", row["text"])
    assert check_row(row) == []
    by_type = [(s["span_type"], row["text"][s["start_char"] : s["end_char"]]) for s in row["spans"]]
    assert [kind for kind, _ in by_type] == ["other", "reasoning", "answer"]
    assert "".join(text for _, text in by_type) == row["text"]


def test_a_combining_mark_after_a_detected_message_keeps_the_spans_together(config: Config) -> None:
    messages = [
        {"role": "user", "content": "\u0301" * 3},
        {"role": "assistant", "content": f"\u0301<think>{NFD}</think>\u0301 {NFD}"},
    ]
    (row,) = rows_of({"messages": messages}, config)
    assert is_normalized("NFC", row["text"])
    assert check_row(row) == []


decomposed = st.text(st.sampled_from("aeo\u0301\u0308\u0323\u1112\u1161\u11ab g"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(decomposed, min_size=1, max_size=6))
def test_normalising_across_borders_gives_the_normal_text_and_ascending_borders(parts: list[str]) -> None:
    text = "".join(parts)
    borders = [sum(map(len, parts[:n])) for n in range(len(parts) + 1)]
    whole, moved = normalize_across(text, borders)
    assert whole == normalize("NFC", text)
    assert moved[0] == 0
    assert moved[-1] == len(whole)
    assert len(moved) == len(borders)
    assert moved == sorted(moved)


def test_a_border_inside_a_composed_character_goes_behind_it() -> None:
    assert normalize_across("ae\u0301b", [0, 2, 3, 4]) == ("aéb", [0, 2, 2, 3])


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(), max_size=20), nfc=st.booleans())
def test_clean_text_is_storable_and_cleaning_it_again_changes_nothing(text: str, nfc: bool) -> None:
    once, n_replaced = clean(text, nfc)
    once.encode()
    assert n_replaced == sum("\ud800" <= char <= "\udfff" for char in text)
    assert clean(once, nfc) == (once, 0)
    assert not nfc or is_normalized("NFC", once)
    assert nfc or len(once) == len(text)


# --- records in memory -----------------------------------------------------------------------------------------------


def test_records_in_columns_are_read_and_numbered(config: Config) -> None:
    batch = {"text": ["<think>a</think>b", None], "messages": [None, [{"role": "assistant", "content": "hi"}]]}
    table = parse_records(batch, [4, 5], licence="MIT")
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
