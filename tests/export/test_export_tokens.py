"""Formats that take tokens hold exactly the ids and the trained tokens of a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exported import PARTS, Part, sad_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from deepcoder_hf.errors import RecordError
from deepcoder_hf.export import exporter
from deepcoder_hf.export.losses import Losses

Row = dict[str, Any]
TOKEN_FORMATS = ("trl-tokenized", "axolotl", "verl")


def exported(row: Row, name: str) -> tuple[Row, set[str]]:
    losses = Losses()
    return exporter(name).export(row, losses), set(losses.facts())


def as_axolotl(record: Row, model: Path) -> tuple[list[int], list[int]]:
    """Ids and labels as axolotl's input_output strategy makes them: every segment alone, no special tokens added."""
    backend = Tokenizer.from_file(str(model))
    ids: list[int] = []
    labels: list[int] = []
    for segment in record["segments"]:
        found = backend.encode(segment["text"], add_special_tokens=False).ids
        ids += found
        labels += found if segment["label"] else [-100] * len(found)
    return ids, labels


def test_trl_gets_ids_and_labels_as_they_are(tiny_model: Path) -> None:
    row = sad_row(tiny_model)
    record, lost = exported(row, "trl-tokenized")
    assert (record["input_ids"], record["labels"]) == (row["input_ids"], row["labels"])
    assert record["assistant_masks"] == [int(label != -100) for label in row["labels"]]
    assert lost == {"token_types"}


def test_verl_gets_prompt_and_response_of_the_same_tokens(tiny_model: Path) -> None:
    row = sad_row(tiny_model)
    record, _ = exported(row, "verl")
    n_prompt, n_tokens = len(record["prompts"]), len(row["input_ids"])
    assert record["prompts"] + record["responses"] == record["input_ids"] == row["input_ids"]
    assert len(record["response_mask"]) == len(record["responses"])
    mask = [0] * n_prompt + record["response_mask"]
    assert mask == record["loss_mask"] == [int(label != -100) for label in row["labels"]]
    assert record["response_mask"][0] == 1
    assert record["attention_mask"] == [1] * n_tokens
    assert record["position_ids"] == list(range(n_tokens))


def test_axolotl_trains_the_same_tokens(tiny_model: Path) -> None:
    row = sad_row(tiny_model)
    record, lost = exported(row, "axolotl")
    assert as_axolotl(record, tiny_model) == (row["input_ids"], row["labels"])
    assert "".join(segment["text"] for segment in record["segments"]) == row["text"]
    assert [segment["label"] for segment in record["segments"]] == [False, True, False, True]
    assert lost == {"token_types"}


def test_special_tokens_around_the_text_become_text_for_axolotl(tiny_model: Path) -> None:
    row = sad_row(tiny_model)
    number = Tokenizer.from_file(str(tiny_model)).token_to_id("<think>")  # stands for a token that begins every text
    for name, before, after in (("input_ids", number, number), ("labels", -100, number)):
        row[name] = [before, *row[name], after]
    for span in row["spans"]:
        span["start_token"] += 1
        span["end_token"] += 1
    record, lost = exported(row, "axolotl")
    assert as_axolotl(record, tiny_model) == (row["input_ids"], row["labels"])
    assert lost == {"token_types"}


def test_rows_that_axolotl_tokenises_otherwise_are_counted(tiny_model: Path) -> None:
    """A control token of the text was escaped, so the row holds its characters and axolotl would make it one token."""
    row = sad_row(tiny_model, (("User: what does <think> do?\n", "other", False), *PARTS[1:]))
    backend = Tokenizer.from_file(str(tiny_model))
    special = backend.token_to_id("<think>")
    place = row["input_ids"].index(special)
    for name in ("input_ids", "labels", "reasoning_mask", "action_mask"):
        row[name][place : place + 1] = [5, 6, 7] if name == "input_ids" else [row[name][place]] * 3
    for before, span in enumerate(row["spans"]):
        span["start_token"] += 2 * (before > 0)
        span["end_token"] += 2
    record, lost = exported(row, "axolotl")
    assert lost == {"token_types", "other_tokens"}
    assert [segment["label"] for segment in record["segments"]] == [False, True, False, True]


PIECES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=15)
SPANS = st.lists(st.tuples(PIECES, st.sampled_from(["reasoning", "other", "action"])), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SPANS)
def test_any_row_keeps_its_tokens_or_is_counted(tiny_model: Path, found: list[tuple[str, str]]) -> None:
    import unicodedata

    parts: list[Part] = [(unicodedata.normalize("NFC", text), kind, kind != "other") for text, kind in found]
    row = sad_row(tiny_model, tuple(part for part in parts if part[0]))
    if unicodedata.normalize("NFC", row["text"]) != row["text"] or all(label == -100 for label in row["labels"]):
        return
    wanted = (row["input_ids"], row["labels"])
    record, lost = exported(row, "axolotl")
    assert (as_axolotl(record, tiny_model) == wanted) == ("other_tokens" not in lost)
    assert exported(row, "verl")[0]["input_ids"] == row["input_ids"]


@pytest.mark.parametrize("name", TOKEN_FORMATS)
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("labels", [1, 2], "bad_row"),
        ("labels", None, "bad_row"),
        ("input_ids", ["a"], "bad_row"),
        ("input_ids", None, "bad_row"),
        ("reasoning_mask", "x", "bad_row"),
        ("labels", -100, "nothing_to_train"),
    ],
)
def test_a_damaged_row_is_a_reject(tiny_model: Path, name: str, column: str, value: Any, reason: str) -> None:
    row = sad_row(tiny_model)
    row[column] = [value] * len(row["input_ids"]) if value == -100 else value
    with pytest.raises(RecordError) as caught:
        exported(row, name)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("column", "value"),
    [("text", None), ("spans", []), ("spans", [{}]), ("spans", [None]), ("metadata", "{}"), ("metadata", None)],
)
def test_axolotl_needs_text_spans_and_the_name_of_the_tokenizer(tiny_model: Path, column: str, value: Any) -> None:
    row = {**sad_row(tiny_model), column: value}
    with pytest.raises(RecordError) as caught:
        exported(row, "axolotl")
    assert caught.value.reason == "bad_row"


def test_weights_are_counted(tiny_model: Path) -> None:
    row = {**sad_row(tiny_model), "row_weight": 0.5, "token_weights": [0.5]}
    assert exported(row, "trl-tokenized")[1] == {"token_types", "row_weight", "token_weights"}
    assert json.loads(row["metadata"])["tokenizer"].startswith(str(tiny_model))
