"""Find the markers of a whole batch of texts in one pass over one joined blob of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

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
    """All markers in a blob, sorted by start; of two at one start the longer comes first.

    What overlaps a marker of the user's own patterns is left out.
    """
    hits: list[Hit] = []
    for expression, numbers, after_newline in library.groups:
        of_group = (0, *numbers)  # `lastindex` counts from 1
        if after_newline:
            hits += [(m.start() + 1, m.end(), of_group[m.lastindex]) for m in expression.finditer(blob)]  # type: ignore[index]
        else:
            hits += [(*m.span(), of_group[m.lastindex]) for m in expression.finditer(blob)]  # type: ignore[index]
    hits.sort()
    if any(before[0] == after[0] for before, after in pairwise(hits)):
        hits.sort(key=lambda hit: (hit[0], -hit[1]))
    return _own_first(hits, library.own) if library.own else hits


def _own_first(hits: Sequence[Hit], own: frozenset[int]) -> list[Hit]:
    """Hits without those that overlap one of the user's own markers."""
    firsts = [hit for hit in hits if hit[2] in own]
    kept: list[Hit] = []
    at = 0
    for hit in hits:
        while at < len(firsts) and firsts[at][1] <= hit[0]:
            at += 1
        if hit[2] in own or at == len(firsts) or firsts[at][0] >= hit[1]:
            kept.append(hit)
    return kept


def character_starts(data: bytes) -> npt.NDArray[np.int64]:
    """Where each character of a UTF-8 text begins, in bytes, int64 [chars]."""
    return np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)
