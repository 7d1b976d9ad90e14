"""The report's figures, against a recount of the rows written in the test."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.dataset.report import describe, share

SAMPLES = Path(str(resources.files("deepcoder_hf") / "samples"))
TYPES = ("other", "reasoning", "action", "observation", "answer")


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Report and rows of a run that keeps, drops, fails and cuts."""
    folder = tmp_path_factory.mktemp("report")
    bad = folder / "bad.jsonl"
    bad.write_text(
        '{"foo": 1}\n{"text": "lone \\ud800 surrogate\\nThought: x\\ud801"}\n{"text": "nothing"}\n{"broken\n'
    )
    settings = {
        "tokens": {"model_name": str(tiny_model), "max_length": 3000},
        "filters": {"max_other_ratio": 0.8, "min_reward": None, "min_reasoning_ratio": 0.2},
        "masks": {"answer": "own"},
    }
    report = TrajectoryProcessor(settings).process_files([SAMPLES, bad], folder / "sad")
    return report, load_from_disk(str(folder / "sad")).to_list()


def test_records_are_counted_once_whatever_their_windows(made: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    report, rows = made
    assert report["n_read"] == 36 == report["n_kept"] + report["n_dropped"] + report["n_failed"]
    assert report["n_kept"] == len({row["trajectory_id"] for row in rows}) < report["n_rows"] == len(rows)
    assert report["n_failed"] == 2
    assert report["n_dropped"] > 1
    assert report["n_trajectories"] == 34
    assert report["parsing_success_rate"] == pytest.approx(34 / 36, abs=1e-6)
    assert report["filter_pass_rate"] == pytest.approx(report["n_kept"] / 34, abs=1e-6)
    assert report["reasons"]["failed"] == {"unknown_format": 1, "broken_json": 1}
    assert sum(report["reasons"]["dropped"].values()) == report["n_dropped"]
    assert sum(report["source_formats"].values()) == 36


def test_tokens_are_those_of_the_kept_rows(made: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    report, rows = made
    types = [kind for row in rows for kind in row["token_types"]]
    assert report["tokens"] == {
        "total": len(types),
        "trained": sum(label != -100 for row in rows for label in row["labels"]),
        **{name: types.count(kind) for kind, name in enumerate(TYPES)},
    }
    assert report["token_ratios"] == {
        name: pytest.approx(types.count(kind) / len(types), abs=1e-6) for kind, name in enumerate(TYPES)
    }
    assert sum(report["token_ratios"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", [*TYPES, "mean_confidence"])
def test_row_ratios_are_the_distribution_of_the_quality_column(
    kind: str, made: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    report, rows = made
    values = sorted(row["quality"][kind] for row in rows)
    assert report["row_ratios"][kind]["mean"] == pytest.approx(sum(values) / len(values), abs=2e-6)
    for name, at in (("p05", 0.05), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p95", 0.95)):
        place = at * (len(values) - 1)
        low = int(place)
        high = min(low + 1, len(values) - 1)
        expected = values[low] + (place - low) * (values[high] - values[low])
        assert report["row_ratios"][kind][name] == pytest.approx(expected, abs=2e-6)


def test_quality_is_the_share_of_each_type_in_the_row(made: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    for row in made[1]:
        for kind, name in enumerate(TYPES):
            expected = row["token_types"].count(kind) / row["length"]
            assert row["quality"][name] == pytest.approx(expected, abs=1e-6)


def test_the_other_figures_agree_with_the_rows(made: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    report, rows = made
    assert report["row_lengths"]["mean"] == pytest.approx(sum(row["length"] for row in rows) / len(rows), abs=1e-5)
    assert report["format_validation"] == {"checked": len(rows), "valid": len(rows), "rate": 1.0}
    replaced = {row["trajectory_id"]: json.loads(row["metadata"]).get("replaced_surrogates", 0) for row in rows}
    assert report["replaced_surrogates"] in (0, sum(replaced.values()))
    thinking = {
        row["trajectory_id"]
        for row in rows
        if any(span["span_type"] == "reasoning" and span["subtype"] != "preamble" for span in row["spans"])
    }
    assert report["structured_thinking_rate"] <= share(len(thinking), report["n_kept"])
    assert report["versions"]["deepcoder-hf"]
    assert "dataset" not in report["config"]


def test_a_share_of_nothing_is_zero() -> None:
    assert share(0, 0) == 0.0
    assert share(1, 3) == 0.333333


def test_a_distribution_of_one_value_is_that_value() -> None:
    import numpy as np

    assert set(describe(np.array([0.25], np.float32)).values()) == {0.25}
