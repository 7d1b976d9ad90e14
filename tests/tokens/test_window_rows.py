"""Windows as rows: every row fits, and what the whole trajectory trains is trained in exactly one window."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from datasets.table import InMemoryTable
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config, TokensConfig
from deepcoder_hf.dataset.features import sad_schema
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.dataset.validate import check_row, validate_rows
from deepcoder_hf.errors import AlignmentError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.stages import process_records
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.window import plan_windows, token_characters

MakeTokenizer = Callable[..., TrajectoryTokenizer]
AGENT = ("reasoning", "action", "answer")
NAMES = ("tiny_bpe", "tiny_nfc", "tiny_wordpiece", "tiny_unigram")
SPACED = (*NAMES, "tiny_prefix_space", "tiny_lstrip")
WORDS = (
    "read the file", "🙂", "🦜🦜🦜", "漢字", "path", "x = f(1)\n", "\r\n", "\n", "\n\n", "\n\n\n\n", " \n", " ", "  ",
    "\t\t", "a", "naïve", "Thought: I need", "12345", "e\u0301",
)  # fmt: skip
passage = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map("".join)
step_record = st.fixed_dictionaries({}, optional={"thought": passage, "action": passage, "observation": passage})
records = st.fixed_dictionaries(
    {"task": st.sampled_from(["Do it.", "Read the 🙂 file."]), "steps": st.lists(step_record, min_size=2, max_size=8)}
).filter(lambda record: any(key in step for step in record["steps"] for key in ("thought", "action")))
slow = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def thinking(thought: str) -> dict[str, Any]:
    return {"task": "hi", "steps": [{"thought": thought, "action": "x"}]}


def raw_table(raw: Sequence[dict[str, Any]]) -> pa.Table:
    parser = TrajectoryParser()
    return table_of([row for n, record in enumerate(raw, 1) for row in raw_rows(record, "x.jsonl", n, parser)])


def config_of(model: Path, **tokens: Any) -> Config:
    return Config(tokens={"model_name": str(model), "engine": "reference", **tokens})  # type: ignore[arg-type]


def sad_dataset(table: pa.Table) -> Dataset:
    return Dataset(InMemoryTable(table.select(sad_schema().names).cast(sad_schema())))


@cache
def reference_of(identity: str) -> TrajectoryTokenizer:
    return TrajectoryTokenizer(TokensConfig(model_name=identity.rpartition("@")[0], engine="reference"))


def trained_characters(row: dict[str, Any]) -> np.ndarray:
    """Which characters stand in a token that has a label, bool [characters]; from the row's ids, not from its spans."""
    tokenizer = reference_of(json.loads(row["metadata"])["tokenizer"])
    encoded = tokenizer.reference.encode([row["text"]])
    n_prefix = len(tokenizer.prefix_ids)
    labels = row["labels"][n_prefix : n_prefix + encoded.ids.size]
    assert row["input_ids"][n_prefix : n_prefix + encoded.ids.size] == encoded.ids.tolist()
    of_byte = np.zeros(len(row["text"].encode()), bool)
    for label, start, end in zip(labels, encoded.starts.tolist(), encoded.ends.tolist(), strict=True):
        of_byte[start:end] |= label != -100
    firsts = np.cumsum([0, *(len(char.encode()) for char in row["text"])])[:-1]
    return of_byte[firsts] if firsts.size else of_byte


def agents(row: dict[str, Any]) -> np.ndarray:
    """Which characters stand in a span of the agent, bool [characters]."""
    counts = [span["end_char"] - span["start_char"] for span in row["spans"]]
    return np.repeat([span["span_type"] in AGENT for span in row["spans"]], counts)


def check_rows_of_one_record(rows: Sequence[dict[str, Any]], whole: dict[str, Any], max_length: int) -> None:
    """Every window fits and has the head; each character that the whole trains is trained in exactly one window."""
    text = whole["text"]
    head = next(span["start_char"] for span in whole["spans"] if span["step_id"] > 0)
    times = np.zeros(len(text), int)
    for index, row in enumerate(rows):
        assert row["length"] <= max_length
        assert row["window"]["index"] == index
        assert row["window"]["n"] == len(rows)
        assert row["text"].startswith(text[:head])
        lost = json.loads(row["metadata"])["window_chars"]
        start, end = head + lost["missing_before"], len(text) - lost["missing_after"]
        assert row["text"][head:] == text[start:end]
        assert row["window"]["start_step"] == next(s["step_id"] for s in whole["spans"] if s["end_char"] > start)
        assert any(label != -100 for label in row["labels"])
        trained = trained_characters(row)
        assert not trained[:head].any()
        times[start:end] += trained[head:]
    expected = trained_characters(whole) & agents(whole)
    assert [n for n in np.flatnonzero(expected) if times[n] != 1] == []
    assert times.max() <= 1


@pytest.mark.parametrize("name", SPACED)
@slow
@example(record=thinking("x\n" * 60), max_length=33)
@example(record=thinking("\n\n a" * 40), max_length=24)
@example(record=thinking("\n\n\n\n🙂" * 40), max_length=30)
@given(record=records, max_length=st.sampled_from([24, 33, 40, 64]))
def test_windows_of_any_trajectory_fit_and_train_each_character_of_the_agent_once(
    name: str, record: dict[str, Any], max_length: int, tiny_folder: Callable[[str], Path]
) -> None:
    model = tiny_folder(name)
    raw = raw_table([{**record, "steps": [step or {"observation": "x"} for step in record["steps"]]}])
    whole = process_records(raw, config=config_of(model)).to_pylist()
    assert len(whole) == 1
    table = process_records(raw, config=config_of(model, max_length=max_length))
    rows = table.to_pylist()
    assert [row["outcome"]["first"] for row in rows] == [True] + [False] * (len(rows) - 1)
    if rows[0]["outcome"]["status"] != "kept":
        assert rows[0]["outcome"]["reason"] == "head_too_long"
        return
    if whole[0]["length"] <= max_length:
        assert [row["window"] for row in rows] == [{"index": 0, "n": 1, "start_step": 0}]
        assert rows[0]["input_ids"] == whole[0]["input_ids"]
    else:
        check_rows_of_one_record(rows, whole[0], max_length)
    assert [check_row(row) for row in rows] == [[]] * len(rows)
    checked = validate_rows(sad_dataset(table))
    assert checked["validation_errors"] == []
    assert checked["valid_trajectories"] == len(rows)


def long_record(n_steps: int = 12) -> dict[str, Any]:
    steps = [{"thought": f"I need file {n}", "action": "read", "observation": f"path {n}"} for n in range(n_steps)]
    return {"id": "long", "task": "Go.", "steps": steps}


def test_a_long_trajectory_becomes_several_windows_that_validate(tiny_folder: Callable[[str], Path]) -> None:
    table = process_records(raw_table([long_record()]), config=config_of(tiny_folder("tiny_bpe"), max_length=100))
    rows = table.to_pylist()
    assert len(rows) > 3
    assert {row["trajectory_id"] for row in rows} == {"long"}
    assert all(row["text"].startswith("User: Go.\n\nThought: ") for row in rows)
    assert validate_rows(sad_dataset(table))["valid_trajectories"] == len(rows)


def test_windows_with_special_tokens_and_eos_fit_too(tiny_folder: Callable[[str], Path]) -> None:
    for name, specials in (("tiny_wordpiece", 2), ("tiny_unigram", 2), ("tiny_bpe", 1)):
        config = config_of(tiny_folder(name), max_length=64, append_eos=True)
        table = process_records(raw_table([long_record()]), config=config)
        rows = table.to_pylist()
        assert len(rows) > 2
        assert max(row["length"] for row in rows) <= 64
        assert validate_rows(sad_dataset(table))["validation_errors"] == []
        facts = json.loads(rows[0]["metadata"])["special_tokens"]
        assert facts["before"] + facts["after"] + 1 == specials
        assert [json.loads(row["metadata"])["special_tokens"]["eos"] for row in rows] == [0] * (len(rows) - 1) + [1]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_longer_than_a_window_is_cut_at_tokens(name: str, tiny_folder: Callable[[str], Path]) -> None:
    record = {"task": "Go.", "steps": [{"thought": "I need to read the file 🙂 12345 " * 30, "action": "x"}]}
    whole = process_records(raw_table([record]), config=config_of(tiny_folder(name))).to_pylist()
    table = process_records(raw_table([record]), config=config_of(tiny_folder(name), max_length=64))
    rows = table.to_pylist()
    assert len(rows) > 3
    check_rows_of_one_record(rows, whole[0], 64)
    assert validate_rows(sad_dataset(table))["validation_errors"] == []


def test_windows_without_anything_to_train_are_left_out(tiny_folder: Callable[[str], Path]) -> None:
    record = {"task": "Go.", "steps": [{"action": "read", "observation": "path " * 200}, {"action": "read"}]}
    config = config_of(tiny_folder("tiny_wordpiece"), max_length=32)
    rows = process_records(raw_table([record]), config=config).to_pylist()
    assert [row["window"]["index"] for row in rows] == [0, 1]
    assert {row["window"]["n"] for row in rows} == {2}
    assert json.loads(rows[1]["metadata"])["window_chars"]["missing_before"] > 900


def test_windows_are_planned_again_where_a_cut_text_has_more_tokens(
    tiny_folder: Callable[[str], Path], tokenizer_of: MakeTokenizer
) -> None:
    """A cut between the bytes of an emoji goes back to its first, so a window gets more tokens than were counted."""
    record = {"task": "Go.", "steps": [{"thought": "🦜" * 100}]}
    raw, model = raw_table([record]), tiny_folder("tiny_bpe")
    whole = process_records(raw, config=config_of(model)).to_pylist()[0]
    tokenizer = tokenizer_of("tiny_bpe")
    chars = token_characters(whole["text"], tokenizer.encode([whole["text"]]).starts)
    fields = ("subtype", "confidence", "pattern", "origin", "step_id")
    spans = [
        (s["start_char"], s["end_char"], TYPE_IDS[s["span_type"]], *(s[name] for name in fields))
        for s in whole["spans"]
    ]
    starts = np.array([s["start_token"] for s in whole["spans"]])
    grown = 0
    for max_length in (40, 41, 42, 43):
        first_plan = plan_windows(whole["text"], spans, starts, chars, max_length)
        grown += max(tokenizer.encode([w.text]).ids.size for w in first_plan) > max_length
        rows = process_records(raw, config=config_of(model, max_length=max_length)).to_pylist()
        assert len(rows) > 1
        check_rows_of_one_record(rows, whole, max_length)
    assert grown


# --- overflow and limits ---------------------------------------------------------------------------------------------


def outcomes(raw: Sequence[dict[str, Any]], config: Config) -> list[tuple[str, str | None]]:
    return [
        (o["status"], o["reason"]) for o in process_records(raw_table(raw), config=config).column("outcome").to_pylist()
    ]


SHORT = {"task": "Go.", "steps": [{"thought": "I need", "action": "read"}]}


def test_a_trajectory_whose_head_takes_more_than_half_the_room_is_dropped(tiny_folder: Callable[[str], Path]) -> None:
    record = {**long_record(), "task": "read the path " * 10}
    config = config_of(tiny_folder("tiny_wordpiece"), max_length=48)
    table = process_records(raw_table([SHORT, record, SHORT]), config=config)
    assert [o["reason"] for o in table.column("outcome").to_pylist()] == [None, "head_too_long", None]
    failed = table.to_pylist()[1]
    assert failed["outcome"]["status"] == "dropped"
    assert "overflow: truncate" in failed["outcome"]["message"]


def test_overflow_drop_drops_the_long_and_keeps_the_short(tiny_folder: Callable[[str], Path]) -> None:
    config = config_of(tiny_folder("tiny_bpe"), max_length=60, overflow="drop")
    assert outcomes([SHORT, long_record(), SHORT], config) == [
        ("kept", None),
        ("dropped", "over_max_length"),
        ("kept", None),
    ]


def test_a_trajectory_of_exactly_max_length_is_not_too_long(tiny_folder: Callable[[str], Path]) -> None:
    model = tiny_folder("tiny_bpe")
    length = process_records(raw_table([SHORT]), config=config_of(model)).column("length")[0].as_py()
    assert outcomes([SHORT], config_of(model, max_length=length, overflow="drop")) == [("kept", None)]
    assert outcomes([SHORT], config_of(model, max_length=length - 1, overflow="drop")) == [
        ("dropped", "over_max_length")
    ]


def test_overflow_error_stops_with_the_place_and_what_to_do(tiny_folder: Callable[[str], Path]) -> None:
    config = config_of(tiny_folder("tiny_bpe"), max_length=60, overflow="error")
    with pytest.raises(
        AlignmentError, match=r"^x\.jsonl:2: \d+ tokens, more than tokens.max_length = 60; set tokens.overflow"
    ):
        process_records(raw_table([SHORT, long_record()]), config=config)


@pytest.mark.parametrize("name", NAMES)
def test_overflow_truncate_keeps_the_beginning_in_one_row(name: str, tiny_folder: Callable[[str], Path]) -> None:
    record = {
        "task": "Go.",
        "steps": [{"thought": "🦜 read the naïve file " * 9, "action": "read", "observation": "x"}] * 4,
    }
    whole = process_records(raw_table([record]), config=config_of(tiny_folder(name))).to_pylist()[0]
    table = process_records(
        raw_table([record]), config=config_of(tiny_folder(name), max_length=50, overflow="truncate")
    )
    (row,) = table.to_pylist()
    assert row["outcome"]["status"] == "kept"
    assert row["window"] == {"index": 0, "n": 1, "start_step": 0}
    assert 45 <= row["length"] <= 50
    assert whole["text"].startswith(row["text"])
    assert json.loads(row["metadata"])["window_chars"] == {
        "missing_before": 0,
        "missing_after": len(whole["text"]) - len(row["text"]),
    }
    assert validate_rows(sad_dataset(table))["validation_errors"] == []


def test_truncating_away_all_that_is_trained_drops_the_record_and_keeps_the_others(
    tiny_folder: Callable[[str], Path],
) -> None:
    record = {**long_record(), "task": "read the path " * 60}
    config = config_of(tiny_folder("tiny_wordpiece"), max_length=48, overflow="truncate")
    assert outcomes([long_record(), record, SHORT], config) == [
        ("kept", None),
        ("dropped", "nothing_to_train"),
        ("kept", None),
    ]
