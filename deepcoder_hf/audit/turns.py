"""Tokens -> turns and a class for every token, for a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from deepcoder_hf.audit.events import Event, MarkerFinder
from deepcoder_hf.audit.grammar import Grammar, Kind
from deepcoder_hf.audit.headers import Header, HeaderReader
from deepcoder_hf.audit.structure import Structure
from deepcoder_hf.audit.vocabulary import Vocabulary
from deepcoder_hf.audit.walk import Walk

Int64 = npt.NDArray[np.int64]


class TurnReader:
    """Reads the turns of batches; made once for a tokenizer."""

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary) -> None:
        self.grammar = grammar
        self.vocabulary = vocabulary
        self._finder = MarkerFinder(grammar, vocabulary)
        self._headers = HeaderReader(grammar, vocabulary)

    def read(self, ids: Int64, bounds: Int64, blob: bytes, starts: Int64) -> Structure:
        """Classify tokens.

        Args:
            ids: Token ids in range [N].
            bounds: Where each of the S sequences begins, without gap [S + 1].
            blob: The bytes of all tokens.
            starts: Where each token's bytes begin [N + 1].
        """
        events = self._finder.find(ids, blob, starts)
        headers = self._read_headers(events, blob, starts)
        n_text = np.concatenate(([0], np.cumsum(~self.vocabulary.is_space[ids]))).astype(np.int64)
        walk = Walk(self.grammar, n_text, headers)
        owner = np.searchsorted(bounds, [event.start for event in events], "right") - 1
        by_sequence = {
            number: [event for event, _ in group]
            for number, group in groupby(zip(events, owner.tolist(), strict=True), key=lambda pair: pair[1])
        }
        ends = bounds.tolist()
        turns = [
            walk.sequence(ends[number], ends[number + 1], by_sequence.get(number, ()))
            for number in range(len(ends) - 1)
        ]
        lengths = np.diff(np.array([0, *walk.ends], np.int64)).astype(np.int64)
        classes = np.repeat(np.array(walk.classes, np.uint8), lengths)
        return Structure(classes, turns, walk.stray, walk.unclosed)

    def _read_headers(self, events: Sequence[Event], blob: bytes, starts: Int64) -> dict[int, tuple[Header, int]]:
        """The headers by their first token, with the token after their last one."""
        opening = [event.start for event in events if event.marker.kind is Kind.OPEN]
        if not opening:
            return {}
        places = starts[opening]
        read = [self._headers.read(blob, place) for place in places.tolist()]
        lengths = np.array([header.n_bytes if header else 0 for header in read], np.int64)
        ends = np.searchsorted(starts, places + lengths, "left").tolist()
        return {at: (header, end) for at, header, end in zip(opening, read, ends, strict=True) if header is not None}
