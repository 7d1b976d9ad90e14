"""Typed tokens -> rows of the SAD dataset as an Arrow table, without a Python object per token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcoder_hf.dataset.features import QUALITY_COLUMNS, sad_schema
from deepcoder_hf.spans.columns import SpanColumns, type_names
from deepcoder_hf.tokens.typed import TypedTokens

QUALITY_TYPES = (1, 2, 3, 4, 0)
"""Type ids in the order of the ratios in `quality`."""


@dataclass(frozen=True, slots=True)
class RowFrame:
    """What a row has beside its tokens and spans, for R rows."""

    trajectory_ids: Sequence[str]
    group_ids: Sequence[str]
    windows: Sequence[tuple[int, int, int]]
    texts: Sequence[str]
    original_texts: Sequence[str | None]
    metadata: Sequence[str]


def type_ratios(tokens: TypedTokens) -> npt.NDArray[np.float64]:
    """Share of each type in each row's tokens, float64 [R, 5]; rows of no token are 0."""
    lengths = np.diff(tokens.rows)[:, None]
    return np.divide(tokens.n_by_type, lengths, out=np.zeros(tokens.n_by_type.shape), where=lengths > 0)


def sad_table(frame: RowFrame, spans: SpanColumns, tokens: TypedTokens) -> pa.Table:
    """Rows with the columns of `SAD_FEATURES`.

    Args:
        frame: Ids, texts and metadata of R rows.
        spans: Their S spans.
        tokens: Their tokens.

    Returns:
        A table of R rows whose list columns share their buffers with `tokens`.
    """
    schema = sad_schema()
    offsets = pa.array(tokens.rows.astype(np.int32))

    def per_token(values: npt.NDArray[np.int8] | npt.NDArray[np.int32]) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, pa.array(values))

    masks = tokens.masks()
    windows = np.array(frame.windows, np.int32).reshape(-1, 3)
    ratios = type_ratios(tokens)
    quality = [ratios[:, kind].astype(np.float32) for kind in QUALITY_TYPES]
    quality.append(tokens.mean_confidence.astype(np.float32))
    n_rows = len(frame.texts)
    columns = {
        "trajectory_id": pa.array(frame.trajectory_ids, pa.string()),
        "group_id": pa.array(frame.group_ids, pa.string()),
        "window": pa.StructArray.from_arrays(
            [pa.array(np.ascontiguousarray(windows[:, n])) for n in range(3)], ["index", "n", "start_step"]
        ),
        "length": pa.array(np.diff(tokens.rows).astype(np.int32)),
        "input_ids": per_token(tokens.input_ids),
        "attention_mask": per_token(np.ones(tokens.input_ids.size, np.int8)),
        "token_types": per_token(masks.token_types),
        "reasoning_mask": per_token(masks.reasoning_mask),
        "action_mask": per_token(masks.action_mask),
        "labels": per_token(masks.labels),
        "spans": span_array(spans, tokens),
        "text": pa.array(frame.texts, pa.string()),
        "original_text": pa.array(frame.original_texts, pa.string()),
        "quality": pa.StructArray.from_arrays([pa.array(q) for q in quality], list(QUALITY_COLUMNS)),
        "row_weight": pa.array(np.ones(n_rows, np.float32)),
        "metadata": pa.array(frame.metadata, pa.string()),
    }
    return pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)


def span_array(spans: SpanColumns, tokens: TypedTokens) -> pa.ListArray:
    """The column `spans`."""
    fields = {
        "span_type": type_names(spans.kinds),
        "subtype": spans.subtypes,
        "start_token": pa.array(tokens.start_token.astype(np.int32)),
        "end_token": pa.array(tokens.end_token.astype(np.int32)),
        "start_char": pa.array(spans.start_char.astype(np.int32)),
        "end_char": pa.array(spans.end_char.astype(np.int32)),
        "confidence": pa.array(spans.confidence),
        "origin": spans.origins,
        "step_id": pa.array(spans.steps),
        "pattern": spans.patterns,
    }
    struct = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    return pa.ListArray.from_arrays(pa.array(spans.rows.astype(np.int32)), struct)
