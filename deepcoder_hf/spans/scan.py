"""Find the markers of a whole batch of texts in one pass over one joined blob of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from deepcoder_hf.spans.library import Library

Hit = tuple[int, int, int]
"""Start byte, end byte (half-open, without the newline that anchors a line), marker number."""

SEPARATOR = b"\n\xff\n"
"""Between texts: newlines, so that a line's start has a literal first byte and a text's end looks like a line's end
everywhere, and a byte that no UTF-8 text contains, so that no marker reaches from one text into the next."""


def join(encoded: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Join UTF-8 texts into one blob.

    Returns:
        The blob, and the byte where each text starts in it.
    """
    starts = list(accumulate((len(data) + len(SEPARATOR) for data in encoded), initial=1))
    return b"".join((b"\n", SEPARATOR.join(encoded), SEPARATOR)), starts[:-1]


def find_hits(blob: bytes, library: Library) -> list[Hit]:
    """All markers in a blob, sorted by start; of two at one start the longer comes first."""
    hits: list[Hit] = []
    for expression, numbers, after_newline in library.groups:
        shift = 1 if after_newline else 0
        hits += [
            (match.start() + shift, match.end(), numbers[(match.lastindex or 1) - 1])
            for match in expression.finditer(blob)
        ]
    hits.sort(key=itemgetter(1), reverse=True)
    hits.sort(key=itemgetter(0))
    return hits


def characters_before(data: bytes) -> npt.NDArray[np.int64]:
    """For each byte position in a text, how many characters begin before it, int64 [bytes + 1]."""
    counts = np.zeros(len(data) + 1, np.int64)
    np.cumsum((np.frombuffer(data, np.uint8) & 0xC0) != 0x80, out=counts[1:])
    return counts
