"""Detected: a batch between span detection and tokenisation, in memory or as an Arrow table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from deepcoder_hf.rendering.rendered import Range
from deepcoder_hf.spans.columns import SpanColumns, take_rows, type_names
from deepcoder_hf.spans.types import TYPE_IDS

FRAME = ("trajectory_id", "group_id", "source_format", "source_path", "line", "part", "reject_reason", "reject_message")
"""Columns that pass from raw rows unchanged."""

SPAN_FIELDS = ("span_type", "subtype", "start_char", "end_char", "confidence", "origin", "step_id", "pattern")


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one text came about, and what stands in it."""

    view: tuple[int, int] = (0, 1)
    """Which rendering of its trajectory it is, and of how many."""
    templated: bool = False
    """Whether a chat template wrote it: then no special tokens are put around it."""
    cuts: Sequence[int] = ()
    """Characters before which the text is cut before it is encoded."""
    payload: Sequence[Range] = ()
    """Where the source's words stand."""
    read: Sequence[int] = (0, 0, 0, 0, 0)
    """Characters of the source's words by type id."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was left out and added (dataset/ledger.py)."""
    ids: Sequence[int] = ()
    """The tokens, where they are recorded ones that the tokenizer would not give."""


@dataclass(frozen=True, slots=True)
class Detected:
    """R renderings with their text and spans; a rejected record has an empty text and no span."""

    frame: dict[str, list[Any]]
    """The columns of `FRAME`, each of length R."""
    excerpts: list[str | None]
    """The beginning of each record, for its reject: as it was read, or raw where it could not be."""
    texts: list[str]
    """Clean text, ready for the tokenizer."""
    originals: list[str | None]
    """The source's text where cleaning changed it."""
    metadata: list[dict[str, Any]]
    """What the reader knows of the record."""
    n_replaced: list[int]
    """Lone surrogates that became U+FFFD."""
    spans: SpanColumns
    renderings: list[Rendering]
    """How each text came about."""

    def take(self, rows: Sequence[int]) -> Detected:
        """Some of the renderings, in the order of `rows`."""
        return Detected(
            {name: [values[n] for n in rows] for name, values in self.frame.items()},
            [self.excerpts[n] for n in rows],
            [self.texts[n] for n in rows],
            [self.originals[n] for n in rows],
            [self.metadata[n] for n in rows],
            [self.n_replaced[n] for n in rows],
            take_rows(self.spans, rows),
            [self.renderings[n] for n in rows],
        )

    def to_table(self) -> pa.Table:
        """As Arrow: the stage `detect_spans` gives this."""
        spans = self.spans
        fields = [
            type_names(spans.kinds),
            spans.subtypes,
            pa.array(spans.start_char.astype(np.int32)),
            pa.array(spans.end_char.astype(np.int32)),
            pa.array(spans.confidence),
            spans.origins,
            pa.array(spans.steps),
            spans.patterns,
        ]
        struct = pa.StructArray.from_arrays(fields, list(SPAN_FIELDS))
        columns = {name: pa.array(values) for name, values in self.frame.items()}
        columns["excerpt"] = pa.array(self.excerpts, pa.string())
        columns["text"] = pa.array(self.texts, pa.string())
        columns["original_text"] = pa.array(self.originals, pa.string())
        columns["metadata"] = pa.array([json.dumps(m) for m in self.metadata], pa.string())
        columns["rendering"] = pa.array([json.dumps(asdict(r)) for r in self.renderings], pa.string())
        columns["n_replaced"] = pa.array(self.n_replaced, pa.int32())
        columns["spans"] = pa.ListArray.from_arrays(pa.array(spans.rows.astype(np.int32)), struct)
        for name in ("trajectory_id", "group_id", "source_format", "source_path", "reject_reason", "reject_message"):
            columns[name] = columns[name].cast(pa.string())
        columns["line"] = columns["line"].cast(pa.int64())
        columns["part"] = columns["part"].cast(pa.int32())
        return pa.table(columns)

    @classmethod
    def from_table(cls, table: pa.Table) -> Detected:
        """From what `to_table` gave."""
        lists = table.column("spans").combine_chunks()
        struct = lists.flatten()
        rows = lists.offsets.to_numpy().astype(np.int64)
        names = {name: struct.field(name) for name in SPAN_FIELDS}
        kinds = [TYPE_IDS[kind] for kind in names["span_type"].to_pylist()]
        spans = SpanColumns(
            rows=rows - rows[0] if rows.size else np.zeros(1, np.int64),
            start_char=names["start_char"].to_numpy().astype(np.int64),
            end_char=names["end_char"].to_numpy().astype(np.int64),
            kinds=np.array(kinds, np.int8),
            subtypes=names["subtype"],
            confidence=names["confidence"].to_numpy(),
            patterns=names["pattern"],
            origins=names["origin"],
            steps=names["step_id"].to_numpy(),
        )
        return cls(
            frame={name: table.column(name).to_pylist() for name in FRAME},
            excerpts=table.column("excerpt").to_pylist(),
            texts=table.column("text").to_pylist(),
            originals=table.column("original_text").to_pylist(),
            metadata=[json.loads(text) for text in table.column("metadata").to_pylist()],
            n_replaced=table.column("n_replaced").to_pylist(),
            spans=spans,
            renderings=[Rendering(**json.loads(text)) for text in table.column("rendering").to_pylist()],
        )
