"""Texts with spans -> typed tokens: encoding, alignment and the counts of each row, for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.spans.columns import SpanColumns, subtype_codes
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.align import Int64, align_spans
from deepcoder_hf.tokens.engines import Encoded, character_bytes
from deepcoder_hf.tokens.masks import Int8, TokenMasks, token_masks, training_of
from deepcoder_hf.tokens.recorded import encode_recorded
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, with_added


@dataclass(frozen=True, slots=True)
class TypedTokens:
    """Typed tokens of R texts with S spans; N tokens in all, special tokens included."""

    input_ids: npt.NDArray[np.int32]
    """int32 [N]."""
    rows: Int64
    """Where each row's tokens begin, int64 [R + 1]."""
    span_rows: Int64
    """Where each row's spans begin, int64 [R + 1]."""
    kinds: Int8
    """Type id of each span, int8 [S]."""
    training: Int8
    """How each span is trained (tokens/masks.py), int8 [S]."""
    start_token: Int64
    """First token of each span in its row, int64 [S]."""
    end_token: Int64
    """Token after the last one, int64 [S]."""
    n_by_type: Int64
    """Tokens of each type in each row, int64 [R, 5]; special tokens count as other."""
    n_trained: Int64
    """Trained tokens of each row, int64 [R]."""
    n_straddled: Int64
    """Tokens over a border between two spans, int64 [R]."""
    mean_confidence: npt.NDArray[np.float64]
    """Mean span confidence by tokens, float64 [R]; 0 for a row without tokens."""
    encoded: Encoded
    """The tokens without special tokens, with their places."""

    def masks(self) -> TokenMasks:
        """Per-token columns, flat, of length N."""
        shift = np.repeat(self.rows[:-1], np.diff(self.span_rows))
        return token_masks(self.input_ids, self.start_token + shift, self.end_token + shift, self.kinds, self.training)

    def trained_characters(self, row: int, text: str, n_prefix: int) -> npt.NDArray[np.bool_]:
        """Which characters of a row's text stand in a trained token, bool [characters].

        Args:
            row: Which of the R rows.
            text: Its text.
            n_prefix: Special tokens before each text.
        """
        part, spans = slice(*self.encoded.rows[row : row + 2]), slice(*self.span_rows[row : row + 2])
        begin, end = ((edge[part] - self.encoded.text_starts[row]) for edge in (self.encoded.starts, self.encoded.ends))
        is_trained = np.zeros(begin.size, bool)
        ranges = zip(self.start_token[spans] - n_prefix, self.end_token[spans] - n_prefix, strict=True)
        for (first, last), training in zip(ranges, self.training[spans], strict=True):
            is_trained[first:last] = training > 0
        to_byte = character_bytes(text)
        depth = np.zeros((len(text) if to_byte is None else int(to_byte[-1])) + 1, np.int64)
        np.add.at(depth, begin[is_trained], 1)
        np.add.at(depth, end[is_trained], -1)
        covered = np.cumsum(depth)[:-1] > 0
        return covered if to_byte is None else covered[to_byte[:-1]]

    def only(self, keep: npt.NDArray[np.bool_]) -> TypedTokens:
        """The same R rows, but those that are not kept have no tokens and no spans."""
        of_span = np.repeat(keep, np.diff(self.span_rows))
        return replace(
            self,
            input_ids=self.input_ids[np.repeat(keep, np.diff(self.rows))],
            rows=emptied(self.rows, keep),
            span_rows=emptied(self.span_rows, keep),
            kinds=self.kinds[of_span],
            training=self.training[of_span],
            start_token=self.start_token[of_span],
            end_token=self.end_token[of_span],
        )


def emptied(rows: Int64, keep: npt.NDArray[np.bool_]) -> Int64:
    """Row offsets in which the rows that are not kept have no length, int64 [R + 1]."""
    offsets = np.zeros_like(rows)
    np.cumsum(np.diff(rows) * keep, out=offsets[1:])
    return offsets


def type_spans(
    texts: Sequence[str],
    spans: SpanColumns,
    tokenizer: TrajectoryTokenizer,
    masks: MasksConfig,
    ends: npt.NDArray[np.bool_] | None = None,
    cuts: Sequence[Sequence[int]] | None = None,
    ids: Sequence[Sequence[int]] | None = None,
) -> TypedTokens:
    """`type_tokens` of texts whose spans are columns already."""
    codes = subtype_codes(spans.subtypes)
    columns = (spans.rows, spans.start_char, spans.end_char, spans.kinds, codes, spans.confidence)
    return type_tokens(texts, *columns, tokenizer, masks, ends, cuts, ids)


def type_tokens(
    texts: Sequence[str],
    span_rows: Int64,
    start_char: Int64,
    end_char: Int64,
    kinds: Int8,
    codes: Int8,
    confidence: npt.NDArray[np.float32],
    tokenizer: TrajectoryTokenizer,
    masks: MasksConfig,
    ends: npt.NDArray[np.bool_] | None = None,
    cuts: Sequence[Sequence[int]] | None = None,
    ids: Sequence[Sequence[int]] | None = None,
) -> TypedTokens:
    """Tokenise texts and mark what each token is and how it is trained.

    Args:
        texts: R clean texts (no lone surrogates, normalised where the tokenizer would).
        span_rows: Where each text's spans begin, int64 [R + 1].
        start_char: First character of each span, int64 [S]; spans partition their text.
        end_char: Character after the last one, int64 [S].
        kinds: Type ids, int8 [S].
        codes: What the spans' subtypes say (`spans.columns.subtype_codes`), int8 [S].
        confidence: float32 [S].
        tokenizer: The tokenizer.
        masks: What is trained.
        ends: Which texts end their trajectory, bool [R]: only they get an appended EOS. None for all.
        cuts: Characters of each text over which no token may reach: escaped control tokens. None for none.
        ids: Recorded ids of each text, which decode to it; empty where it is to be encoded. None for none.
    """
    encoded = tokenizer.encode(texts, cuts) if ids is None else encode_recorded(tokenizer, texts, cuts, ids)
    n_prefix, n_texts = len(tokenizer.prefix_ids), len(texts)
    aligned = align_spans(texts, encoded, span_rows, start_char, end_char, masks.straddle, n_prefix)
    eos_id = tokenizer.eos_id
    input_ids, rows = with_added(encoded, tokenizer.prefix_ids, tokenizer.suffix_ids, eos_id, ends)
    row_of = np.repeat(np.arange(n_texts), np.diff(span_rows))
    start, end = aligned.start_token, aligned.end_token
    training = training_of(kinds, codes, span_rows, masks)
    has_eos = np.full(n_texts, eos_id is not None) if ends is None or eos_id is None else ends
    marked_end = _with_eos(end, training, span_rows, rows, has_eos)
    width = marked_end - start
    by_type = np.bincount(row_of * len(TYPE_IDS) + kinds, width, n_texts * len(TYPE_IDS)).astype(np.int64)
    by_type = by_type.reshape(n_texts, len(TYPE_IDS))
    by_type[:, 0] += np.diff(rows) - by_type.sum(axis=1)
    covered = np.bincount(row_of, width, n_texts)
    weighed = np.bincount(row_of, width * confidence, n_texts)
    return TypedTokens(
        input_ids=input_ids,
        rows=rows,
        span_rows=span_rows,
        kinds=kinds,
        training=training,
        start_token=start,
        end_token=marked_end,
        n_by_type=by_type,
        n_trained=np.bincount(row_of, width * (training > 0), n_texts).astype(np.int64),
        n_straddled=aligned.n_straddled,
        mean_confidence=np.divide(weighed, covered, out=np.zeros(n_texts), where=covered > 0),
        encoded=encoded,
    )


def _with_eos(end: Int64, training: Int8, span_rows: Int64, rows: Int64, has_eos: npt.NDArray[np.bool_]) -> Int64:
    """An appended EOS, and what the tokenizer puts before it, belong to the last span where that one is trained."""
    last = span_rows[1:] - 1
    chosen = np.flatnonzero(has_eos & (np.diff(span_rows) > 0))
    chosen = chosen[training[last[chosen]] > 0]
    if not chosen.size:
        return end
    end = end.copy()
    end[last[chosen]] = np.diff(rows)[chosen]
    return end
