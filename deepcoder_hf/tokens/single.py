"""One text -> ProcessedTrajectory: the same steps as the pipeline's, for people and small programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from deepcoder_hf.rendering.clean import clean
from deepcoder_hf.spans.columns import subtype_codes
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.types import TYPE_IDS, Span, check_partition
from deepcoder_hf.tokens.typed import type_tokens
from deepcoder_hf.tokens.types import ProcessedTrajectory, TokenSpan

if TYPE_CHECKING:
    from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer


def tokenize_text(
    tokenizer: TrajectoryTokenizer, text: str, spans: Sequence[Span] | None, trajectory_id: str
) -> ProcessedTrajectory:
    """See `TrajectoryTokenizer.tokenize`."""
    cleaned, _ = clean(text, tokenizer.nfc)
    found = SpanDetector().detect(cleaned) if spans is None else list(spans)
    check_partition(found, len(cleaned))
    tokens = type_tokens(
        [cleaned],
        np.array([0, len(found)], np.int64),
        np.array([span.start_char for span in found], np.int64),
        np.array([span.end_char for span in found], np.int64),
        np.array([TYPE_IDS[span.span_type] for span in found], np.int8),
        subtype_codes(pa.array([span.subtype for span in found], pa.string())),
        np.array([span.confidence for span in found], np.float32),
        tokenizer,
        tokenizer.masks,
    )
    masks = tokens.masks()
    ranges = zip(found, tokens.start_token.tolist(), tokens.end_token.tolist(), strict=True)
    return ProcessedTrajectory(
        trajectory_id=trajectory_id,
        input_ids=tokens.input_ids.tolist(),
        attention_mask=[1] * tokens.input_ids.size,
        reasoning_mask=masks.reasoning_mask.tolist(),
        action_mask=masks.action_mask.tolist(),
        spans=[
            TokenSpan(
                span_type=span.span_type,
                start_token=start,
                end_token=end,
                text=cleaned[span.start_char : span.end_char],
                confidence=span.confidence,
                metadata={
                    "start_char": span.start_char,
                    "end_char": span.end_char,
                    "subtype": span.subtype,
                    "origin": span.origin,
                    "step_id": span.step_id,
                    "pattern": span.pattern,
                },
            )
            for span, start, end in ranges
        ],
        original_text=text,
        metadata={"tokenizer": tokenizer.identity},
        token_types=masks.token_types.tolist(),
        labels=masks.labels.tolist(),
        text=cleaned,
    )
