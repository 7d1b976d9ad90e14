"""validate: every kind of damage to a row is found, one field at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, List, Value
from sad_row import TEXT, Row, validate

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.validate import validate_rows


def first_token(row: Row, kind: int) -> int:
    return int(row["token_types"].index(kind))


def with_token(column: str, kind: int, value: int) -> Callable[[Row], None]:
    """Set one column at the first token of a type."""

    def change(row: Row) -> None:
        row[column][first_token(row, kind)] = value

    return change


def with_span(number: int, field: str, value: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row["spans"][number][field] = value(row["spans"][number][field]) if callable(value) else value

    return change


def with_column(column: str, value: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row[column] = value(row[column]) if callable(value) else value

    return change


def with_metadata(change_facts: Callable[[dict[str, Any]], None]) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        facts = json.loads(row["metadata"])
        change_facts(facts)
        row["metadata"] = json.dumps(facts)

    return change


def both_masks(row: Row) -> None:
    row["reasoning_mask"][first_token(row, 2)] = 1


def swap_types(row: Row) -> None:
    """Reasoning that is called action everywhere but in its span."""
    n = first_token(row, 1)
    row["token_types"][n], row["reasoning_mask"][n], row["action_mask"][n] = 2, 0, 1


def move_span_border(row: Row) -> None:
    """Two spans and the types exchange a token, so that everything agrees but the text."""
    left, right = row["spans"][1], row["spans"][2]
    token = right["start_token"]
    assert (left["span_type"], right["span_type"]) == ("reasoning", "action")
    left["end_token"] = right["start_token"] = token + 3
    for n in range(token, token + 3):
        row["token_types"][n], row["reasoning_mask"][n], row["action_mask"][n] = 1, 1, 0


def train_observation(row: Row) -> None:
    n = first_token(row, 3)
    row["action_mask"][n], row["labels"][n] = 1, row["input_ids"][n]


DAMAGE: dict[str, Callable[[Row], None]] = {
    "length too large": with_column("length", lambda n: n + 1),
    "length null": with_column("length", None),
    "an id more": with_column("input_ids", lambda ids: [*ids, 5]),
    "an id less": with_column("input_ids", lambda ids: ids[:-1]),
    "another id where nothing is trained": with_token("input_ids", 0, 3),
    "ids null": with_column("input_ids", None),
    "attention 0 under a mask": with_token("attention_mask", 1, 0),
    "attention 2": with_token("attention_mask", 0, 2),
    "attention too short": with_column("attention_mask", lambda mask: mask[1:]),
    "reasoning_mask 2": with_token("reasoning_mask", 1, 2),
    "reasoning_mask -1": with_token("reasoning_mask", 3, -1),
    "reasoning not trained, but labelled": with_token("reasoning_mask", 1, 0),
    "action not trained, but labelled": with_token("action_mask", 2, 0),
    "action_mask too long": with_column("action_mask", lambda mask: [*mask, 0]),
    "masks overlap": both_masks,
    "observation masked as action": with_token("action_mask", 3, 1),
    "observation trained": train_observation,
    "user trained": with_token("labels", 0, 7),
    "label of another token": with_token("labels", 2, 3),
    "label missing": with_token("labels", 1, -100),
    "labels null": with_column("labels", None),
    "type unknown": with_token("token_types", 1, 5),
    "type negative": with_token("token_types", 0, -1),
    "type of another span": with_token("token_types", 0, 3),
    "type and masks of another span": swap_types,
    "span border in tokens": move_span_border,
    "span starts late": with_span(0, "start_char", 1),
    "span leaves a gap": with_span(1, "start_char", lambda c: c + 1),
    "span overlaps": with_span(1, "end_char", lambda c: c + 1),
    "span empty": with_span(1, "end_char", lambda c: 0),
    "span beyond the text": with_span(-1, "end_char", lambda c: c + 1),
    "span ends early": with_span(-1, "end_char", lambda c: c - 1),
    "span tokens beyond the row": with_span(-1, "end_token", lambda t: t + 1),
    "span tokens in disorder": with_span(2, "start_token", 0),
    "span type unknown": with_span(1, "span_type", "musing"),
    "span type another": with_span(1, "span_type", "action"),
    "span type null": with_span(1, "span_type", None),
    "confidence above 1": with_span(1, "confidence", 1.5),
    "confidence below 0": with_span(1, "confidence", -0.1),
    "confidence NaN": with_span(1, "confidence", float("nan")),
    "spans lost": with_column("spans", []),
    "a span lost": with_column("spans", lambda spans: spans[1:]),
    "spans null": with_column("spans", None),
    "text changed": with_column("text", lambda text: text.replace("7", "8")),
    "text longer": with_column("text", lambda text: text + "!"),
    "text empty": with_column("text", ""),
    "text null": with_column("text", None),
    "metadata null": with_column("metadata", None),
    "metadata no JSON": with_column("metadata", "{"),
    "metadata no object": with_column("metadata", "[]"),
    "window beyond their number": with_column("window", {"index": 1, "n": 1, "start_step": 0}),
    "window negative": with_column("window", {"index": -1, "n": 1, "start_step": 0}),
    "window null": with_column("window", None),
    "ratio of another row": with_column("quality", lambda quality: {**quality, "action": quality["action"] + 0.01}),
    "ratio NaN": with_column("quality", lambda quality: {**quality, "other": float("nan")}),
    "ratio null": with_column("quality", lambda quality: {**quality, "other": None}),
    "mean confidence above 1": with_column("quality", lambda quality: {**quality, "mean_confidence": 1.1}),
    "row_weight negative": with_column("row_weight", -1.0),
    "row_weight infinite": with_column("row_weight", float("inf")),
    "trajectory_id null": with_column("trajectory_id", None),
    "group_id null": with_column("group_id", None),
    "tokenizer not named": with_metadata(lambda facts: facts.pop("tokenizer")),
    "tokenizer of another digest": with_metadata(
        lambda facts: facts.update(tokenizer=facts["tokenizer"][:-16] + "0" * 16)
    ),
    "mask settings not named": with_metadata(lambda facts: facts.pop("masks")),
    "mask settings of another run": with_metadata(lambda facts: facts["masks"].update(answer="none")),
    "mask settings unknown": with_metadata(lambda facts: facts["masks"].update(answer="maybe")),
    "mask settings incomplete": with_metadata(lambda facts: facts["masks"].pop("straddle")),
    "mask settings no object": with_metadata(lambda facts: facts.update(masks=[])),
    "mean confidence another": with_column("quality", lambda q: {**q, "mean_confidence": q["mean_confidence"] / 2}),
    "tokenizer not there": with_metadata(lambda facts: facts.update(tokenizer="/nowhere/t.json@" + "0" * 16)),
}


def test_an_untouched_row_is_valid(row: Row) -> None:
    result = validate(row, row)
    assert result == {
        "total_checked": 2,
        "valid_trajectories": 2,
        "invalid_trajectories": 0,
        "validation_errors": [],
    }


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_every_damage_is_found_in_its_row_alone(damage: Callable[[Row], None], row: Row) -> None:
    damaged = copy.deepcopy(row)
    damage(damaged)
    assert damaged != row
    result = validate(row, damaged, row)
    assert (result["valid_trajectories"], result["invalid_trajectories"]) == (2, 1)
    (error,) = result["validation_errors"]
    assert error["row"] == 1
    assert error["trajectory_id"] == damaged["trajectory_id"]
    assert all(error["problems"])


def test_a_missing_column_is_named(row: Row) -> None:
    rows = Dataset.from_list([row], features=SAD_FEATURES).remove_columns(["labels", "spans"])
    result = validate_rows(rows)
    assert result["valid_trajectories"] == 0
    assert result["validation_errors"][0]["problems"] == [
        "expected the columns of a SAD dataset, missing: labels, spans"
    ]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("reasoning_mask", List(Value("int64"))),
        ("token_types", List(Value("int32"))),
        ("labels", List(Value("int64"))),
        ("length", Value("int64")),
        ("row_weight", Value("float64")),
    ],
)
def test_a_column_of_another_type_is_found_though_its_values_are_right(column: str, kind: Any, row: Row) -> None:
    rows = Dataset.from_list([row], features=Features({**SAD_FEATURES, column: kind}))
    result = validate_rows(rows)
    assert result["valid_trajectories"] == 0
    assert result["validation_errors"][0]["problems"][0].startswith(f"column {column}: expected ")


def test_another_tokenizer_may_be_named_if_its_digest_is_that_of_the_rows(
    row: Row, tiny_model: Path, tmp_path: Path
) -> None:
    rows = Dataset.from_list([row], features=SAD_FEATURES)
    same, other = tmp_path / "same.json", tmp_path / "other.json"
    same.write_bytes(tiny_model.read_bytes())
    spec = json.loads(tiny_model.read_text(encoding="utf-8"))
    spec["model"]["merges"] = spec["model"]["merges"][:-1]
    other.write_text(json.dumps(spec), encoding="utf-8")
    assert validate_rows(rows, str(same))["valid_trajectories"] == 1
    result = validate_rows(rows, str(other))
    assert result["valid_trajectories"] == 0
    assert "digest" in result["validation_errors"][0]["problems"][0]


def test_only_the_first_hundred_errors_are_listed_but_all_are_counted(row: Row) -> None:
    damaged = copy.deepcopy(row)
    damaged["length"] += 1
    result = validate(*[damaged] * 130)
    assert result["invalid_trajectories"] == 130
    assert [error["row"] for error in result["validation_errors"]] == list(range(100))


def test_rows_with_special_tokens_around_the_text_are_valid_and_proven(tiny_model: Path, tmp_path: Path) -> None:
    spec = json.loads(tiny_model.read_text(encoding="utf-8"))
    bos = {"id": len(spec["model"]["vocab"]) + 4, "content": "<s>", "special": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    spec["added_tokens"].append({**bos, **flags})
    spec["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [bos["id"]], "tokens": ["<s>"]}},
    }
    model = tmp_path / "tokenizer.json"
    model.write_text(json.dumps(spec), encoding="utf-8")
    chain = TrajectoryProcessor({"tokens": {"model_name": str(model)}})
    made = chain.process(Dataset.from_list([{"text": TEXT}]))[0]
    assert made["input_ids"][0] == bos["id"]
    assert validate(made)["valid_trajectories"] == 1
    made["input_ids"][0] = 3
    assert validate(made)["valid_trajectories"] == 0
