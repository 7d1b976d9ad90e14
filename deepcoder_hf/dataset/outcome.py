"""What becomes of each record of a batch, and the column `outcome` that says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.features import OUTCOME_FEATURES, shard_schema
from deepcoder_hf.spans.columns import SpanColumns, marked_reasoning
from deepcoder_hf.tokens.typed import TypedTokens
from deepcoder_hf.tokens.window import Window


@dataclass(slots=True)
class Verdict:
    """What becomes of one rendering."""

    status: str = "kept"
    reason: str | None = None
    message: str | None = None
    windows: list[Window] = field(default_factory=list)
    """The record's rows, where it is not one row as it stands."""

    def reject(self, status: str, reason: str, message: str) -> None:
        """Keep no row, for a reason."""
        self.status, self.reason, self.message = status, reason, message


class OutcomeColumn:
    """Builds the column `outcome`."""

    def __init__(self, detected: Detected, verdicts: list[Verdict]) -> None:
        self.detected, self.verdicts = detected, verdicts
        self.counts = [1] * len(verdicts)

    def repeat(self, record: int, n_rows: int) -> None:
        """Say that a record has several rows."""
        self.counts[record] = n_rows

    def join(
        self,
        table: pa.Table,
        order: list[int],
        computed: list[tuple[TypedTokens, SpanColumns]],
        ledger: npt.NDArray[np.int64],
    ) -> pa.Table:
        """Add the outcome to rows.

        Args:
            table: Rows with the columns of `SAD_FEATURES`.
            order: Which computed row each of them is.
            computed: Tokens and spans of the computed rows.
            ledger: Ledgers of the computed rows, int64 [rows, len(ledger.FIELDS)].
        """
        records = [n for n, count in enumerate(self.counts) for _ in range(count)]
        views = [rendering.view[0] for rendering in self.detected.renderings]
        first = [k == 0 and not views[n] for n, count in enumerate(self.counts) for k in range(count)]
        n_trained = np.concatenate([tokens.n_trained for tokens, _ in computed])
        n_straddled = np.concatenate([tokens.n_straddled for tokens, _ in computed])
        marked = np.concatenate([marked_reasoning(spans) for _, spans in computed])
        by_reference = np.concatenate([tokens.encoded.by_reference for tokens, _ in computed])
        picked = np.array(order, np.int64)
        frame = self.detected.frame
        hashes = [_text_hash(text) for text in self.detected.texts]
        judged = [(n, self.verdicts[n]) for n in records]
        values: dict[str, Any] = {
            "status": [self.verdicts[n].status for n in records],
            "reason": [self.verdicts[n].reason for n in records],
            "message": [self.verdicts[n].message for n in records],
            "source_path": [frame["source_path"][n] for n in records],
            "line": [frame["line"][n] for n in records],
            "part": [frame["part"][n] for n in records],
            "source_format": [frame["source_format"][n] for n in records],
            "first": first,
            "text_hash": [hashes[n] for n in records],
            "excerpt": [None if v.status == "kept" else self.detected.excerpts[n] for n, v in judged],
            "n_trained": n_trained[picked].astype(np.int32),
            "n_straddled": n_straddled[picked].astype(np.int32),
            "n_replaced": [self.detected.n_replaced[n] for n in records],
            "has_thinking": marked[picked],
            "by_reference": by_reference[picked],
            "ledger": ledger[picked].tolist(),
        }
        kind = shard_schema().field("outcome").type
        arrays = [pa.array(values[name], kind.field(name).type) for name in OUTCOME_FEATURES]
        outcome = pa.StructArray.from_arrays(arrays, list(OUTCOME_FEATURES))
        columns = [*table.itercolumns(), outcome]
        return pa.table([c.cast(f.type) for c, f in zip(columns, shard_schema(), strict=True)], schema=shard_schema())


def _text_hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode()) - (1 << 63)
