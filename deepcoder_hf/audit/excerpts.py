"""A short piece of a row's text with the tokens in question marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

AROUND_BYTES = 80
MARKED_BYTES = 160


@dataclass(slots=True)
class Excerpts:
    """Cuts excerpts out of a batch.

    Args:
        blob: The bytes of all tokens.
        starts: Where each token's bytes begin [N + 1].
        bounds: Where each row begins [R + 1].
        numbers: Number of each row [R].
    """

    blob: bytes
    starts: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    def of(self, first: int, last: int) -> dict[str, Any]:
        """The tokens [first, last) of the batch with what stands around them in their row."""
        row = int(np.searchsorted(self.bounds, first, "right")) - 1
        low, high = self.starts[self.bounds[row]], self.starts[self.bounds[row + 1]]
        begin, end = int(self.starts[first]), int(self.starts[last])
        marked = self.blob[begin:end]
        long = len(marked) > MARKED_BYTES
        before = self.blob[max(int(low), begin - AROUND_BYTES) : begin]
        return {
            "row": int(self.numbers[row]),
            "token": first - int(self.bounds[row]),
            "n_tokens": last - first,
            "before": _text(before),
            "marked": _text(marked[:MARKED_BYTES]) + ("…" if long else ""),
            "after": "" if long else _text(self.blob[end : min(int(high), end + AROUND_BYTES)]),
        }

    def row(self, row: int) -> dict[str, Any]:
        """The beginning of a row."""
        first = int(self.bounds[row])
        return self.of(first, min(first + 40, int(self.bounds[row + 1])))


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")
