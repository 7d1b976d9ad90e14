"""The spans of a batch as columns: what the pipeline passes on instead of objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepcoder_hf.spans.resolve import SpanTuple
from deepcoder_hf.spans.types import PREAMBLE, SUBTYPES, TYPE_IDS, TYPES

_DECIDING = pa.array(list(SUBTYPES), pa.string())
TYPE_NAMES = pa.array([str(kind) for kind in TYPES])


@dataclass(frozen=True, slots=True)
class SpanColumns:
    """S spans of R texts."""

    rows: npt.NDArray[np.int64]
    """Where each text's spans begin, int64 [R + 1]."""
    start_char: npt.NDArray[np.int64]
    end_char: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int8]
    """Type ids, int8 [S]."""
    subtypes: pa.StringArray
    confidence: npt.NDArray[np.float32]
    patterns: pa.StringArray
    origins: pa.StringArray
    steps: npt.NDArray[np.int32]


def take_rows(spans: SpanColumns, rows: Sequence[int]) -> SpanColumns:
    """The spans of some of the texts, in the order of `rows`."""
    parts = [np.arange(spans.rows[row], spans.rows[row + 1]) for row in rows]
    chosen = np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)
    taken = pa.array(chosen)
    return SpanColumns(
        rows=np.concatenate([[0], np.cumsum([part.size for part in parts])]).astype(np.int64),
        start_char=spans.start_char[chosen],
        end_char=spans.end_char[chosen],
        kinds=spans.kinds[chosen],
        subtypes=spans.subtypes.take(taken),
        confidence=spans.confidence[chosen],
        patterns=spans.patterns.take(taken),
        origins=spans.origins.take(taken),
        steps=spans.steps[chosen],
    )


def only(spans: SpanColumns, keep: npt.NDArray[np.bool_]) -> SpanColumns:
    """The same R texts, but those that are not kept have no spans; bool [R]."""
    counts = np.diff(spans.rows)
    of_span = np.repeat(keep, counts)
    chosen = pa.array(of_span)
    rows = np.zeros_like(spans.rows)
    np.cumsum(counts * keep, out=rows[1:])
    return SpanColumns(
        rows=rows,
        start_char=spans.start_char[of_span],
        end_char=spans.end_char[of_span],
        kinds=spans.kinds[of_span],
        subtypes=spans.subtypes.filter(chosen),
        confidence=spans.confidence[of_span],
        patterns=spans.patterns.filter(chosen),
        origins=spans.origins.filter(chosen),
        steps=spans.steps[of_span],
    )


def from_tuples(rows: Sequence[Sequence[SpanTuple]]) -> SpanColumns:
    """Columns of the spans of R texts."""
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = [span for row in rows for span in row]  # a list a column: zip(*flat) would take ten times as long
    return SpanColumns(
        rows=offsets,
        start_char=np.array([span[0] for span in flat], np.int64),
        end_char=np.array([span[1] for span in flat], np.int64),
        kinds=np.array([span[2] for span in flat], np.int8),
        subtypes=pa.array([span[3] for span in flat], pa.string()),
        confidence=np.array([span[4] for span in flat], np.float32),
        patterns=pa.array([span[5] for span in flat], pa.string()),
        origins=pa.array([span[6] for span in flat], pa.string()),
        steps=np.array([span[7] for span in flat], np.int32),
    )


def type_names(kinds: npt.NDArray[np.int8]) -> pa.StringArray:
    """Names of type ids, as the column `span_type` holds them."""
    return TYPE_NAMES.take(pa.array(kinds))


def subtype_codes(subtypes: pa.StringArray) -> npt.NDArray[np.int8]:
    """What subtypes say about training, as codes of `SUBTYPES` (0: nothing), int8 [S]."""
    places = pc.index_in(subtypes, value_set=_DECIDING).fill_null(-1)
    codes: npt.NDArray[np.int8] = places.to_numpy(zero_copy_only=False).astype(np.int8) + np.int8(1)
    return codes


def marked_reasoning(spans: SpanColumns) -> npt.NDArray[np.bool_]:
    """Whether a text has reasoning that is marked as such, not mere preamble, bool [R]."""
    n_rows = spans.rows.size - 1
    row_of = np.repeat(np.arange(n_rows), np.diff(spans.rows))
    marked = (spans.kinds == TYPE_IDS["reasoning"]) & (subtype_codes(spans.subtypes) != PREAMBLE)
    return np.bincount(row_of[marked], minlength=n_rows) > 0
