"""evaluate_spans: hand-computed figures, a count character by character, the reference scorer, odd detectors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from labelled_texts import LETTERS, REACT, REACT_SPANS, Scripted, drawn, labelled_pairs, record, scored

from deepcoder_hf import evaluate_spans
from deepcoder_hf.config import SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.types import Span
from deepcoder_hf.view.worst import stretches

CHECKOUT = Path(__file__).resolve().parents[2]


def test_figures_of_a_small_case_are_those_computed_by_hand() -> None:
    gold, found = "RRRRAAAAOOOO----", "RRRRRRAAOOOOFFFF"
    scores = scored({gold: found}, drawn(gold))
    assert scores.records[0].confusion.tolist() == [[4, 0, 0, 0], [0, 4, 0, 0], [0, 2, 2, 0], [0, 0, 0, 4]]
    macro = scores.macro
    assert macro.reasoning == pytest.approx(2 * 4 / (4 + 6))
    assert macro.action == pytest.approx(2 * 2 / (4 + 2))
    assert (macro.observation, macro.false_positives, macro.exact_records, macro.n_records) == (1.0, 0.0, 0.0, 1)
    assert scores.records[0].n_wrong == 2


def test_false_positives_are_the_share_of_other_and_observation_that_would_be_trained() -> None:
    gold = "OOOO----RR"
    macro = scored({gold: "ORRO---ARR"}, drawn(gold)).macro
    assert macro.false_positives == pytest.approx(3 / 8)


def test_characters_without_label_are_not_scored_and_uncovered_ones_count_as_other() -> None:
    gold = "RR  AA--"
    scores = scored({gold: "RRRRAA  "}, drawn(gold))
    assert scores.macro.exact_records == 1.0
    assert scores.macro.reasoning == scores.macro.action == 1.0
    assert scored({gold: "RR      "}, drawn(gold)).macro.action == 0.0


def test_a_type_that_gold_does_not_hold_has_no_figure() -> None:
    macro = scored({"RR": "RA"}, drawn("RR")).macro
    assert (macro.action, macro.observation, macro.false_positives) == (None, None, None)


@pytest.mark.parametrize(("gold", "found"), [("FFFF", "----"), ("----", "FFFF"), ("FFFF", "FFFF")])
def test_an_answer_counts_as_other_in_gold_and_in_what_is_found(gold: str, found: str) -> None:
    scores = scored({gold: found}, drawn(gold))
    assert scores.macro.exact_records == 1.0
    assert scores.calibration.bins[9].right_ratio == 1.0


def test_the_macro_average_is_over_source_and_style_whatever_their_number_of_records() -> None:
    good, bad = "RRRR", "RRR-RR"
    records = [drawn(good, source="a", style="x")] * 3 + [drawn(bad, source="a", style="y")]
    scores = scored({good: good, bad: "RRR---"}, *records)
    f1 = 2 * 3 / (5 + 3)
    assert scores.macro.reasoning == pytest.approx((1 + f1) / 2)
    assert scores.macro.exact_records == pytest.approx(0.5)
    assert list(scores.groups()) == [("a", "x"), ("a", "y")]
    assert scores.by("source")["a"].reasoning == pytest.approx(2 * 15 / (17 + 15))
    assert scores.by("source")["a"].exact_records == pytest.approx(3 / 4)


def test_groups_that_a_record_does_not_name_are_named_as_such() -> None:
    scores = evaluate_spans([record(REACT, REACT_SPANS), record(REACT, REACT_SPANS, style="react", lang=None)])
    assert list(scores.by("style")) == ["(no style)", "react"]
    assert [list(scores.by(by)) for by in ("source", "lang", "rendering")] == [
        ["(no source)"], ["(no lang)"], ["(no rendering)"]
    ]  # fmt: skip


def test_the_worst_records_come_first_and_right_ones_never() -> None:
    found = {"RRRR": "RRRR", "AAAA": "AA--", "OOOO": "----"}
    scores = scored(found, *(drawn(text, id=text) for text in found))
    assert [score.record.record_id for score in scores.worst(5)] == ["OOOO", "AAAA"]
    assert [score.n_wrong for score in scores.worst(1)] == [4]


def test_a_detector_that_raises_is_counted_and_scores_as_if_it_had_found_nothing() -> None:
    scores = scored({"RR": "RR", "AA": "AA"}, drawn("RR", id="a"), drawn("OO", id="b"), drawn("AA", id="c"))
    assert [(score.record.record_id, score.error) for score in scores.failed] == [("b", "KeyError: 'OO'")]
    assert [score.n_wrong for score in scores.records] == [0, 2, 0]
    assert scores.to_dict()["failed"] == [{"id": "b", "error": "KeyError: 'OO'"}]


def test_batches_hold_about_a_megabyte_and_progress_counts_every_record() -> None:
    sizes: list[int] = []

    class Counting(SpanDetector):
        def detect_batch(self, texts: Sequence[str], roles: Any = None) -> list[list[Span]]:
            sizes.append(len(texts))
            return super().detect_batch(texts, roles)

    done: list[int] = []
    records = [record("x" * 400_000, []) for _ in range(4)] + [record("é", [])]
    scores = evaluate_spans(records, detector=Counting(), progress=done.append)
    assert sizes == done == [3, 2]
    assert scores.n_bytes == 4 * 400_000 + 2
    assert scores.mb_per_cpu_s > 0


def test_an_empty_text_and_a_text_without_labels_are_exact() -> None:
    scores = evaluate_spans([record("", []), record("text", [("reasoning", 2, 2)])])
    assert scores.macro.exact_records == 1.0
    assert scores.calibration.n_spans == 0
    assert scores.calibration.expected_error is None


@settings(deadline=None)
@given(labelled_pairs())
def test_figures_equal_a_count_character_by_character(pair: tuple[str, str]) -> None:
    gold, found = pair
    scores = scored({gold: found}, drawn(gold))
    folded = str.maketrans("F", "-")
    cells = [
        (g, f)
        for g, f in zip(gold.translate(folded), found.translate(folded).replace(" ", "-"), strict=True)
        if g != " "
    ]
    for letter in "RAO":
        n_gold, n_found = (sum(cell[side] == letter for cell in cells) for side in (0, 1))
        n_right = sum(cell == (letter, letter) for cell in cells)
        expected = 2 * n_right / (n_gold + n_found) if n_gold else None
        assert getattr(scores.macro, LETTERS[letter]) == (expected if expected is None else pytest.approx(expected))
    rest = [f for g, f in cells if g in "-O"]
    false = sum(f in "RA" for f in rest) / len(rest) if rest else None
    assert scores.macro.false_positives == (false if false is None else pytest.approx(false))
    assert scores.records[0].n_wrong == sum(g != f for g, f in cells)
    assert scores.outcomes.n_payload.sum() == sum(f != " " and g != " " for g, f in zip(gold, found, strict=True))


@settings(deadline=None)
@given(labelled_pairs())
def test_the_stretches_of_a_record_partition_it_and_hold_its_wrong_characters(pair: tuple[str, str]) -> None:
    gold, found = pair
    (score,) = scored({gold: found}, drawn(gold)).records
    cut = stretches(score)
    assert [part.start for part in cut] == [0, *(part.end for part in cut[:-1])]
    assert cut[-1].end == len(gold)
    assert sum(part.end - part.start for part in cut if part.wrong) == score.n_wrong


@pytest.fixture(scope="module")
def gold_dev(shared_data: Path) -> list[dict[str, Any]]:
    with (shared_data / "gold_dev.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_figure_on_real_text_is_that_of_the_reference_scorer(
    gold_dev: list[dict[str, Any]], shared_data: Path, tmp_path: Path
) -> None:
    program, gold = shared_data.parent / "tools" / "score_spans.py", shared_data / "gold_dev.jsonl"
    if not program.is_file():
        pytest.skip(f"the reference scorer is not here: {program}")
    scores, out = evaluate_spans(gold_dev), tmp_path / "out.json"
    for by in ("style", "source"):
        words = [sys.executable, str(program), str(gold), "--by", by, "--json", str(out)]
        done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=300)
        rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:-1]}
        for name, figures in scores.by(by).items():
            values = (figures.reasoning, figures.action, figures.observation, figures.false_positives)
            assert rows[name] == ["-" if value is None else f"{value:.4f}" for value in values]
    expected = json.loads(out.read_text())
    macro = scores.macro
    for name in ("reasoning", "action", "observation", "false_positives", "exact_records"):
        assert getattr(macro, name) == pytest.approx(expected["total"][name], abs=1e-9)
    assert len(scores.failed) == expected["total"]["failed"]
    found = {"|".join(key): figures for key, figures in scores.groups().items()}
    assert set(found) == set(expected["groups"])
    for name, figures in found.items():
        for key in ("reasoning", "action", "observation", "false_positives"):
            assert getattr(figures, key) == pytest.approx(expected["groups"][name].get(key), abs=1e-9)


def test_a_detector_of_ones_own_has_no_config() -> None:
    for options in ({"config": SpansConfig()}, {"leave_out": "all"}):
        with pytest.raises(ConfigError, match="got both"):
            evaluate_spans([drawn("RR")], detector=Scripted({}), **options)  # type: ignore[arg-type]


def test_all_figures_can_be_written_as_json() -> None:
    scores = evaluate_spans([record(REACT, REACT_SPANS, style="react_plain")], leave_out="all")
    content = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert content["groups"][0]["style"] == "react_plain"
    assert len(content["calibration"]["bins"]) == 10
    assert set(content["left_out"]) == {"react_plain"}
