"""Gold records: what is taken, and what a wrong one is told."""

from __future__ import annotations

from typing import Any

import pytest
from labelled_texts import REACT, REACT_SPANS, drawn, record

from deepcoder_hf import DeepcoderError, evaluate_spans
from deepcoder_hf.errors import RecordError
from deepcoder_hf.spans.gold import gold_record


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": None}, "missing: id"),
        ({"text": None, "spans": None}, "missing: text, spans; got 'id', 'text', 'spans'"),
        ({"id": 1.5}, "id: expected a string, got a number"),
        ({"id": True}, "id: expected a string, got bool"),
        ({"text": ["a"]}, "text: expected a string, got a list"),
        ({"spans": "a"}, "spans: expected a list, got a string"),
        ({"spans": [3]}, r"spans\.0: expected an object with type, start and end, got a number"),
        ({"spans": [{"type": "action", "start": 0}]}, r"spans\.0\.end: expected a number of characters, got null"),
        ({"spans": [{"type": "action", "start": True, "end": 2}]}, r"spans\.0\.start: expected a number .* got bool"),
        ({"spans": [{"type": "action", "start": 0.0, "end": 2}]}, r"spans\.0\.start: expected a number"),
        ({"spans": [{"type": "acton", "start": 0, "end": 2}]}, r"spans\.0\.type: .*'acton'; did you mean 'action'"),
        ({"spans": [{"type": "Action", "start": 0, "end": 2}]}, "did you mean 'action'"),
        ({"spans": [{"type": "zzz", "start": 0, "end": 2}]}, "known: other, reasoning, action, observation, answer"),
        ({"spans": [{"type": ["action"], "start": 0, "end": 2}]}, "no such type"),
        ({"spans": [{"start": 0, "end": 2}]}, "no such type: None"),
        ({"spans": [{"type": "action", "start": 0, "end": 5}]}, "expected 0 <= start <= end <= 4.* got 0-5"),
        ({"spans": [{"type": "action", "start": -1, "end": 2}]}, "got -1-2"),
        ({"spans": [{"type": "action", "start": 3, "end": 2}]}, "got 3-2"),
        (
            {"spans": [{"type": "action", "start": 1, "end": 3}, {"type": "other", "start": 0, "end": 2}]},
            "spans 0-2 and 1-3 overlap",
        ),
        ({"style": 3}, "style: expected a string, got a number"),
    ],
)
def test_a_record_that_is_wrong_says_where_and_what_was_expected(change: dict[str, Any], problem: str) -> None:
    raw = {**record("text", []), **change}
    with pytest.raises(RecordError, match=problem) as caught:
        gold_record(raw)
    assert caught.value.reason == "bad_gold"
    with pytest.raises(DeepcoderError, match=f"^record 1: .*{problem}"):
        evaluate_spans([drawn("RR"), raw])


def test_no_record_and_what_is_none_are_refused() -> None:
    with pytest.raises(RecordError, match="at least one labelled record, got none"):
        evaluate_spans([])
    with pytest.raises(RecordError, match="record 0: expected a mapping, got a string"):
        evaluate_spans(["text"])  # type: ignore[list-item]


def test_spans_may_stand_in_any_order_and_beside_any_other_key() -> None:
    raw = record(REACT, REACT_SPANS[::-1], outer_start=0, anything={"a": 1})
    assert [span.start_char for span in gold_record(raw).spans] == [9, 23, 39]
    assert evaluate_spans([raw, gold_record(raw)]).macro.exact_records == 1.0
