"""The view of a run and of a trajectory: every span with its type, its text and what of it is trained."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from rich.console import Console

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.view.terminal import summary, trajectory

TEXT = "User: what?\nThought: I look.\nAction: look[it]\nObservation: seven\nThought: Done.\nFinal Answer: 7"


@pytest.fixture(scope="module")
def run(tiny_model: Path) -> Any:
    texts = [TEXT, "no structure", "Thought: " + "long " * 400 + "\nAction: look[x]"]
    settings = {"tokens": {"model_name": str(tiny_model)}, "masks": {"answer": "none"}}
    return TrajectoryProcessor(settings).run(Dataset.from_list([{"text": text} for text in texts]))


def shown(part: Any, colour: bool = False) -> str:
    file = io.StringIO()
    Console(
        file=file, width=120, markup=False, force_terminal=colour, color_system="standard" if colour else None
    ).print(part)
    return file.getvalue()


def test_every_span_is_shown_with_its_type_and_text(run: Any) -> None:
    row = run.dataset()[0]
    text = shown(trajectory(row))
    for span in row["spans"]:
        assert span["span_type"] in text
        assert TEXT[span["start_char"] : span["end_char"]].strip() in text
    assert f"{row['length']:,} tokens" in text
    assert f"reasoning_mask {sum(row['reasoning_mask'])}, action_mask {sum(row['action_mask'])}" in text


def test_trained_and_masked_spans_are_told_apart(run: Any) -> None:
    row = run.dataset()[0]
    words = shown(trajectory(row)).split()
    n_trained = sum(any(x != -100 for x in row["labels"][s["start_token"] : s["end_token"]]) for s in row["spans"])
    assert words.count("trained") == n_trained
    assert words.count("masked") == len(row["spans"]) - n_trained
    assert "\x1b[2" in shown(trajectory(row), colour=True)  # dim


def test_long_spans_are_cut_unless_asked_for_whole(run: Any) -> None:
    row = run.dataset()[1]
    assert "more characters" in shown(trajectory(row))
    assert shown(trajectory(row)).count("long") < 200
    assert shown(trajectory(row, None)).count("long") == 400


def test_the_summary_names_counts_shares_and_reasons(run: Any) -> None:
    text = shown(summary(run.report()))
    assert "3 read = 2 kept + 1 dropped + 0 failed" in text
    assert "nothing_to_train" in text
    for kind in ("reasoning", "action", "observation", "answer", "other"):
        assert kind in text


def test_a_summary_of_nothing_kept_has_no_ratios(tiny_model: Path) -> None:
    run = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}}).run(Dataset.from_list([{"foo": 1}]))
    text = shown(summary(run.report()))
    assert "1 read = 0 kept + 0 dropped + 1 failed" in text
    assert "share of tokens" not in text
