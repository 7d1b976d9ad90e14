"""Leaving a convention out: what is switched off, what is scored, and patterns of one's own."""

from __future__ import annotations

import pytest
from labelled_texts import REACT, REACT_SPANS, record

from deepcoder_hf import evaluate_spans
from deepcoder_hf.config import Config, PatternConfig, SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.leave_out import known_styles, n_left_out, without_style

HOUSE = PatternConfig(
    name="house_plan", span_type="reasoning", kind="tag", open="<house:plan>", close="</house:plan>", confidence=0.99,
    styles=("house",), example="<house:plan>Read it.</house:plan>\n<tool_call>{}</tool_call>", counter_example="Plan.",
)  # fmt: skip
HOUSE_TEXT = "<house:plan>Read it.</house:plan>\n<tool_call>{}</tool_call>"


def test_a_pattern_of_ones_own_is_scored() -> None:
    own = SpansConfig(patterns=(HOUSE,))
    gold = record(HOUSE_TEXT, [("reasoning", 12, 20)])
    for config in (own, Config(spans=own)):
        scores = evaluate_spans([gold], config)
        assert scores.macro.reasoning == 1.0
        assert [score.pattern for score in scores.patterns()] == ["house_plan"]


def test_a_style_that_is_left_out_is_scored_without_its_patterns_and_without_the_other_records() -> None:
    own = SpansConfig(patterns=(HOUSE,))
    records = [
        record(REACT, REACT_SPANS, style="react_plain", id="a"),
        record(HOUSE_TEXT, [("reasoning", 12, 20)], style="house", id="b"),
        record(REACT, REACT_SPANS, style="odd", id="c"),
        record(REACT, REACT_SPANS, style="react_plain", id="d"),
    ]
    one = evaluate_spans(records, own, leave_out=("house",))
    assert [score.record.record_id for score in one.records] == ["b"]
    assert one.left_out == {"house": 1}
    assert "house_plan" not in {span.pattern for span in one.records[0].spans}

    two = evaluate_spans(records, own, leave_out=["react_plain", "house"])
    assert [score.record.record_id for score in two.records] == ["a", "b", "d"]
    alone = SpanDetector(without_style(own, "react_plain")).detect(REACT)
    assert list(two.records[0].spans) == alone
    assert not {"thought_label", "action_label"} & {span.pattern for span in alone}

    every = evaluate_spans(records, own, leave_out="all")
    assert [score.record.record_id for score in every.records] == ["a", "b", "c", "d"]
    assert every.left_out["odd"] == 0
    assert every.left_out["react_plain"] == n_left_out(own, "react_plain") > 0
    assert every.by("style")["odd"] == evaluate_spans(records, own).by("style")["odd"]
    assert list(every.records[2].spans) == SpanDetector(own).detect(REACT)


def test_leaving_out_a_style_that_a_pattern_names_switches_something_off() -> None:
    config = SpansConfig()
    styles = sorted(known_styles(config))
    assert "react_plain" in styles
    assert [style for style in styles[::7] if not n_left_out(config, style)] == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("react_plian", "no pattern or rule names it; did you mean 'react_plain'"),
        ("zzz", "styles of the records: mine, react_plain"),
        ("hermes_chatml", "no record is of this style; styles of the records: mine, react_plain"),
    ],
)
def test_a_style_that_is_not_in_the_records_cannot_be_left_out(name: str, problem: str) -> None:
    records = [record(REACT, REACT_SPANS, style=style) for style in ("mine", "react_plain")]
    with pytest.raises(ConfigError, match=problem):
        evaluate_spans(records, leave_out=[name])
