"""TrajectoryTokenizer.tokenize: one text, the same result as the pipeline's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import Dataset

from deepcoder_hf import ProcessedTrajectory, Span, SpanType, TrajectoryProcessor, TrajectoryTokenizer
from deepcoder_hf.config import MasksConfig, TokensConfig
from deepcoder_hf.errors import SpanError

TEXT = (
    "Read it.\nThought: I need the file \u2014 e\u0301.\nAction: read[path]\n"
    "Observation: \U0001f642 text\nFinal Answer: done"
)


@pytest.mark.parametrize("name", ["tiny_bpe", "tiny_wordpiece", "tiny_unigram"])
def test_one_text_gives_the_row_that_the_pipeline_gives(name: str, tiny_folder: Callable[[str], Path]) -> None:
    model = str(tiny_folder(name))
    rows = TrajectoryProcessor({"tokens": {"model_name": model}}).process(Dataset.from_list([{"text": TEXT}]))
    expected = ProcessedTrajectory.from_row(rows[0])
    found = TrajectoryTokenizer(TokensConfig(model_name=model)).tokenize(TEXT)
    for column in ("input_ids", "attention_mask", "reasoning_mask", "action_mask", "token_types", "labels", "text"):
        assert getattr(found, column) == getattr(expected, column)
    assert [(s.span_type, s.start_token, s.end_token, s.text) for s in found.spans] == [
        (s.span_type, s.start_token, s.end_token, s.text) for s in expected.spans
    ]
    assert found.original_text == TEXT


def test_spans_of_ones_own_decide_the_masks(tiny_folder: Callable[[str], Path]) -> None:
    spans = [Span(0, 5, SpanType.REASONING, "mine", 1.0), Span(5, 9, SpanType.ANSWER, "mine", 1.0)]
    config = TokensConfig(model_name=str(tiny_folder("tiny_wordpiece")), add_special_tokens=False)
    found = TrajectoryTokenizer(config, MasksConfig(answer="none")).tokenize("read path", spans)
    assert found.reasoning_mask == [1, 0]
    assert found.action_mask == [0, 0]
    assert found.token_types == [1, 4]


def test_spans_that_leave_a_gap_are_refused(tiny_folder: Callable[[str], Path]) -> None:
    tokenizer = TrajectoryTokenizer(TokensConfig(model_name=str(tiny_folder("tiny_wordpiece"))))
    with pytest.raises(SpanError, match="cover the whole text: they end at character 5 of 9"):
        tokenizer.tokenize("read path", [Span(0, 5, SpanType.REASONING, "mine", 1.0)])
