"""Where the markers of a grammar stand in a batch of tokens: by id where a marker is one token, else in the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deepcoder_hf.audit.grammar import CALL_PAIRS, RESULT_PAIRS, THINK_PAIRS, Grammar, Kind
from deepcoder_hf.audit.vocabulary import Vocabulary

Int64 = npt.NDArray[np.int64]
_PAIRS = (
    (THINK_PAIRS, Kind.THINK_OPEN, Kind.THINK_CLOSE),
    (CALL_PAIRS, Kind.CALL_OPEN, Kind.CALL_CLOSE),
    (RESULT_PAIRS, Kind.RESULT_OPEN, Kind.RESULT_CLOSE),
)


@dataclass(frozen=True, slots=True)
class Marker:
    """A text with a meaning.

    Args:
        text: The text.
        kind: What it does.
        pair: Opener and closer of one wrapper have the same number.
        closes: Whether an opener has a closer.
        is_token: Whether the tokenizer has it as one token: then other tokens of the same text are only text.
    """

    text: str
    kind: Kind
    pair: int = -1
    closes: bool = True
    is_token: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """A marker that stands in the tokens `[start, end)` of a batch."""

    start: int
    end: int
    marker: Marker


class MarkerFinder:
    """Finds the markers of a grammar; made once for a tokenizer."""

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary) -> None:
        self.grammar = grammar
        self._markers = list(_markers(grammar, vocabulary))
        self._lut = np.zeros(vocabulary.size, np.uint8)
        self._texts: list[tuple[bytes, int]] = []
        for number, marker in enumerate(self._markers, start=1):
            if marker.is_token:
                self._lut[vocabulary.added[marker.text]] = number
            else:
                self._texts.append((marker.text.encode(), number))

    def find(self, ids: Int64, blob: bytes, starts: Int64) -> list[Event]:
        """Events in the order of their tokens.

        Args:
            ids: Token ids, all in range [N].
            blob: Their bytes.
            starts: Where each token's bytes begin [N + 1].
        """
        codes = self._lut[ids]
        where = np.flatnonzero(codes)
        found = [
            Event(at, at + 1, self._markers[code - 1])
            for at, code in zip(where.tolist(), codes[where].tolist(), strict=True)
        ]
        in_text: list[Event] = []
        for text, number in self._texts:
            places = np.fromiter(_places(blob, text), np.int64)
            if places.size:
                first = np.searchsorted(starts, places, "right") - 1
                last = np.searchsorted(starts, places + len(text), "left")
                marker = self._markers[number - 1]
                in_text += [Event(a, b, marker) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        return sorted(found + in_text, key=lambda event: (event.start, event.end)) if in_text else found


def _places(blob: bytes, text: bytes) -> Iterator[int]:
    at = blob.find(text)
    while at >= 0:
        yield at
        at = blob.find(text, at + len(text))


def _markers(grammar: Grammar, vocabulary: Vocabulary) -> Iterator[Marker]:
    opening = {first_token(text, vocabulary) for text, _ in grammar.openers}
    if grammar.frame:
        opening.add(first_token(grammar.frame[0], vocabulary))
    for text in sorted(opening):
        yield Marker(text, Kind.OPEN, is_token=text in vocabulary.added)
    for text in grammar.stops:
        if text in vocabulary.added and text not in opening:
            yield Marker(text, Kind.STOP)
    pair = 0
    for pairs, opens, closes in _PAIRS:
        for opener, closer in pairs:
            pair += 1
            if opener not in opening and opener in vocabulary.added:
                yield Marker(opener, opens, pair, bool(closer))
            elif opener.startswith("<") and "｜" not in opener and "<|" not in opener:  # may be written as plain text
                yield Marker(opener, opens, pair, bool(closer), is_token=False)
            if closer and closer in vocabulary.added and closer not in opening:
                yield Marker(closer, closes, pair)
            elif closer.startswith("<") and "｜" not in closer and "|" not in closer:
                yield Marker(closer, closes, pair, is_token=False)


def first_token(text: str, vocabulary: Vocabulary) -> str:
    """The added token that a header begins with, else the header up to white space."""
    matching = [token for token in vocabulary.added if token and text.startswith(token)]
    return max(matching, key=len) if matching else text.rstrip()
