"""recompute: a row that agrees with itself, but not with what its text, spans and settings give, is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from datasets import Dataset
from sad_row import TEXT, Row, validate

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.config import MasksConfig
from deepcoder_hf.spans.types import TYPE_IDS


def untrain(kind: int | None = None, every: int = 1) -> Callable[[Row], None]:
    """Train every n-th trained token of a type (None: of all) as nothing, consistently."""

    def change(row: Row) -> None:
        chosen = [n for n, label in enumerate(row["labels"]) if label != -100 and kind in (None, row["token_types"][n])]
        assert len(chosen) >= every
        for n in chosen[every - 1 :: every]:
            row["reasoning_mask"][n], row["action_mask"][n], row["labels"][n] = 0, 0, -100

    return change


def reasoning_as_action(row: Row) -> None:
    for n in [n for n, kind in enumerate(row["token_types"]) if kind == 1]:
        row["reasoning_mask"][n], row["action_mask"][n] = 0, 1


def shift_borders(by: int) -> Callable[[Row], None]:
    """Every border between spans moves by some tokens; types, masks and labels follow."""

    def change(row: Row) -> None:
        trained = {1: (1, 0), 2: (0, 1), 4: (0, 1)}
        for left, right in pairwise(row["spans"]):
            left["end_token"] = right["start_token"] = right["start_token"] + by
        for span in row["spans"]:
            kind = TYPE_IDS[span["span_type"]]
            for n in range(span["start_token"], span["end_token"]):
                row["token_types"][n] = kind
                row["reasoning_mask"][n], row["action_mask"][n] = trained.get(kind, (0, 0))
                row["labels"][n] = row["input_ids"][n] if kind in trained else -100
        with_true_ratios(row)

    return change


def without_tokens(*numbers: int) -> Callable[[Row], None]:
    """Spans own no token; what were theirs are of type other and untrained."""

    def change(row: Row) -> None:
        for span in [row["spans"][n] for n in numbers] or row["spans"]:
            for n in range(span["start_token"], span["end_token"]):
                row["token_types"][n] = row["reasoning_mask"][n] = row["action_mask"][n] = 0
                row["labels"][n] = -100
            span["end_token"] = span["start_token"] if numbers else 0
            span["start_token"] = span["end_token"]
        with_true_ratios(row)

    return change


def with_true_ratios(row: Row) -> None:
    for name, kind in TYPE_IDS.items():
        row["quality"][name] = row["token_types"].count(kind) / row["length"]


CONSISTENT: dict[str, tuple[Callable[[Row], None], str]] = {
    "nothing trained": (untrain(), "reasoning_mask"),
    "reasoning untrained": (untrain(1), "reasoning_mask"),
    "reasoning in action_mask": (reasoning_as_action, "reasoning_mask"),
    "every second action token untrained": (untrain(2, 2), "action_mask"),
    "answer untrained": (untrain(4), "action_mask"),
    "borders a token late": (shift_borders(1), "token_types"),
    "borders a token early": (shift_borders(-1), "token_types"),
    "a span without tokens": (without_tokens(1), "token_types"),
    "all spans without tokens": (without_tokens(), "token_types"),
    "attention_mask all 0": (lambda row: row.update(attention_mask=[0] * row["length"]), "attention_mask"),
}
"""Changes after which a row still agrees with itself, and the column that the message names first."""


@pytest.mark.parametrize(("change", "column"), CONSISTENT.values(), ids=CONSISTENT.keys())
def test_a_row_that_agrees_with_itself_but_not_with_its_text_and_spans_is_found(
    change: Callable[[Row], None], column: str, row: Row
) -> None:
    damaged = copy.deepcopy(row)
    change(damaged)
    assert damaged != row
    result = validate(row, damaged, row)
    assert result["valid_trajectories"] == 2
    (error,) = result["validation_errors"]
    assert error["row"] == 1
    first_problem = error["problems"][0]
    assert first_problem.startswith(f"{column}: expected ")
    wrong = [n for n, (a, b) in enumerate(zip(row[column], damaged[column], strict=True)) if a != b]
    assert f"at token {wrong[0]}" in first_problem
    if column != "attention_mask":
        assert f"expected {row[column][wrong[0]]} at token {wrong[0]}, got {damaged[column][wrong[0]]}" in first_problem


def test_a_span_whose_tokens_alone_are_wrong_is_named(row: Row) -> None:
    damaged = copy.deepcopy(row)
    span = damaged["spans"][2]
    right = (span["start_token"], span["end_token"])
    span["end_token"] -= 1
    (error,) = validate(damaged)["validation_errors"]
    assert error["problems"] == [
        f"span 2: expected tokens {right[0]}-{right[1]}, got {right[0]}-{right[1] - 1}",
    ]


def test_a_row_of_an_older_version_without_mask_settings_is_a_problem_that_says_so(row: Row) -> None:
    damaged = copy.deepcopy(row)
    facts = json.loads(damaged["metadata"])
    del facts["masks"]
    damaged["metadata"] = json.dumps(facts)
    (error,) = validate(damaged)["validation_errors"]
    assert error["problems"] == [
        f"metadata.masks: expected the mask settings ({', '.join(MasksConfig.model_fields)}), got None; a row of an "
        "older version must be processed again"
    ]


@pytest.mark.parametrize("straddle", ["first", "majority", "none"])
@pytest.mark.parametrize("answer", ["action", "own", "none"])
def test_rows_of_every_mask_setting_are_valid_side_by_side(
    straddle: str, answer: str, tiny_model: Path, row: Row
) -> None:
    settings = {"straddle": straddle, "answer": answer, "preamble": "none"}
    chain = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}, "masks": settings})
    made = chain.process(Dataset.from_list([{"text": TEXT}]))[0]
    assert json.loads(made["metadata"])["masks"] == MasksConfig(**settings).model_dump()  # type: ignore[arg-type]
    assert validate(row, made, row)["validation_errors"] == []
