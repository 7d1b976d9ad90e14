"""Characters -> tokens, for a whole batch at once: which tokens each span owns, by the straddle policy.

A token that lies over a border between two spans belongs to the span of its first character (`first`), to the span of
most of its characters, the earlier one on a tie (`majority`), or to nobody (`none`). Such tokens stand at 1-2 % of the
borders, always at ends such as `>\\n\\n`, never at starts (measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from deepcoder_hf.errors import AlignmentError
from deepcoder_hf.tokens.engines import Encoded, character_bytes

Int64 = npt.NDArray[np.int64]
Straddle = Literal["first", "majority", "none"]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Token ranges of the S spans of R texts, within their own rows, special tokens counted."""

    start_token: Int64
    """First token of each span, int64 [S]."""
    end_token: Int64
    """Token after the last one of each span, int64 [S]; equal to the start where a span owns no token."""
    n_straddled: Int64
    """Tokens over a border between two spans, int64 [R]."""


def align_spans(
    texts: Sequence[str],
    encoded: Encoded,
    span_rows: Int64,
    start_char: Int64,
    end_char: Int64,
    straddle: Straddle,
    n_prefix: int = 0,
) -> Aligned:
    """Give every span its tokens.

    Args:
        texts: R texts.
        encoded: Their tokens, without special tokens.
        span_rows: Where each text's spans begin in the span arrays, int64 [R + 1].
        start_char: First character of each span, int64 [S]; the spans of a text partition it.
        end_char: Character after the last one of each span, int64 [S].
        straddle: Who owns a token over a border.
        n_prefix: Special tokens before each text; they belong to no span.

    Returns:
        Token ranges: sorted, disjoint, and with `first` and `majority` without a gap within a text.

    Raises:
        AlignmentError: The arrays do not belong to each other.
    """
    n_texts = len(texts)
    if not n_texts == encoded.rows.size - 1 == span_rows.size - 1:
        raise AlignmentError(
            f"expected tokens and spans of {n_texts} texts, got {encoded.rows.size - 1} and {span_rows.size - 1}"
        )
    row_of = np.repeat(np.arange(n_texts), np.diff(span_rows))
    maps = _character_maps(texts)
    border = _to_bytes(start_char, span_rows, maps) + encoded.text_starts[row_of]
    first = np.searchsorted(encoded.starts, border, "left").astype(np.int64)
    is_lead = np.zeros(border.size, bool)
    is_lead[span_rows[:-1][np.diff(span_rows) > 0]] = True
    first[is_lead] = encoded.rows[row_of[is_lead]]  # tokens of no width may stand before the first character
    last = np.append(first[1:], 0)
    final = np.append(is_lead[1:], True) if is_lead.size else is_lead
    last[final] = encoded.rows[row_of[final] + 1]
    over = _straddlers(first, is_lead, encoded, border, row_of)
    if straddle != "first" and over.size:
        _move(over, straddle, first, last, encoded, border, row_of, maps)
    shift = encoded.rows[row_of] - n_prefix
    n_straddled = np.bincount(row_of[over], minlength=n_texts).astype(np.int64)
    return Aligned(first - shift, np.maximum(first, last) - shift, n_straddled)


def _character_maps(texts: Sequence[str]) -> dict[int, Int64]:
    """For the texts that are not ASCII: where each character begins, in bytes, and the size, int64 [chars + 1]."""
    maps = ((row, character_bytes(text)) for row, text in enumerate(texts))
    return {row: to_byte for row, to_byte in maps if to_byte is not None}


def _to_bytes(chars: Int64, span_rows: Int64, maps: dict[int, Int64]) -> Int64:
    result = chars.astype(np.int64, copy=True)
    for row, to_byte in maps.items():
        part = slice(span_rows[row], span_rows[row + 1])
        result[part] = to_byte[chars[part]]
    return result


def _straddlers(
    first: Int64,
    is_lead: npt.NDArray[np.bool_],
    encoded: Encoded,
    border: Int64,
    row_of: Int64,
) -> Int64:
    """Spans whose first border lies inside the token before it; of several borders in one token each counts once."""
    candidates = np.flatnonzero(~is_lead & (first > encoded.rows[row_of]))
    over = candidates[encoded.ends[first[candidates] - 1] > border[candidates]]
    return over[np.append(True, np.diff(first[over]) != 0)] if over.size else over


def _move(
    over: Int64,
    straddle: Straddle,
    first: Int64,
    last: Int64,
    encoded: Encoded,
    border: Int64,
    row_of: Int64,
    maps: dict[int, Int64],
) -> None:
    """Move straddling tokens to the span of most of their characters, or to nobody; changes `first` and `last`."""
    for span in over.tolist():
        token, row = int(first[span]) - 1, int(row_of[span])
        if straddle == "none":
            last[span - 1] = token
            continue
        stop = span
        while stop < first.size and row_of[stop] == row and first[stop] == token + 1:
            stop += 1
        base = int(encoded.text_starts[row])
        low, high = _characters(int(encoded.starts[token]) - base, int(encoded.ends[token]) - base, maps.get(row))
        cuts = [low, *(_character(int(border[s]) - base, maps.get(row)) for s in range(span, stop)), high]
        shares = [min(right, high) - left for left, right in pairwise(cuts)]
        winner = span - 1 + shares.index(max(shares))
        if winner >= span:
            last[span - 1 : winner] = token
            first[span : winner + 1] = token


def _characters(start: int, end: int, to_byte: Int64 | None) -> tuple[int, int]:
    """The characters that a range of bytes touches."""
    if to_byte is None:
        return start, end
    return int(np.searchsorted(to_byte, start, "right")) - 1, int(np.searchsorted(to_byte, end, "left"))


def _character(byte: int, to_byte: Int64 | None) -> int:
    return byte if to_byte is None else int(np.searchsorted(to_byte, byte, "left"))
