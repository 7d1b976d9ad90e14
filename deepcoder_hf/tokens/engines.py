"""Text -> ids and where each token begins: a reference engine for every fast tokenizer, and an exact quick one.

The quick engine (`fastokens`, extra `fast`) gives ids only. A byte-level BPE token has a fixed byte length, so a
running sum of lengths gives every token's place without offset objects. That holds where the normaliser leaves the
text alone, so texts are NFC before they come here, and a row whose byte sum is not its size goes to the reference
engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of R texts, flat; N is the number of all their tokens, special tokens left out."""

    ids: Int32
    """Token ids, int32 [N]."""
    rows: Int64
    """Where each text's tokens begin in `ids`, int64 [R + 1]."""
    text_starts: Int64
    """Where each text begins if all are put end to end, in UTF-8 bytes, int64 [R + 1]; the last is their size."""
    starts: Int64
    """First byte of each token among all texts end to end, int64 [N]; it may lie inside a character."""
    ends: Int64
    """Byte after the last one of each token, int64 [N]."""
    by_reference: npt.NDArray[np.bool_]
    """Whether the reference engine encoded a text, bool [R]."""


def each_text(encoded: Encoded) -> Iterator[Encoded]:
    """The tokens of each text as a batch of its own."""
    for row, (first, last) in enumerate(pairwise(encoded.rows.tolist())):
        base = encoded.text_starts[row]
        yield Encoded(
            ids=encoded.ids[first:last],
            rows=np.array([0, last - first]),
            text_starts=encoded.text_starts[row : row + 2] - base,
            starts=encoded.starts[first:last] - base,
            ends=encoded.ends[first:last] - base,
            by_reference=encoded.by_reference[row : row + 1],
        )


class Engine(Protocol):
    """What turns texts into tokens; engines differ in speed only."""

    name: str

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts without adding special tokens."""


def byte_sizes(texts: Sequence[str]) -> Int64:
    """UTF-8 size of each text, int64 [R]."""
    return np.fromiter((len(t) if t.isascii() else len(t.encode()) for t in texts), np.int64, len(texts))


def _offsets(sizes: Int64 | Int32) -> Int64:
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def character_bytes(text: str) -> Int64 | None:
    """Byte where each character of a text begins, and its size, int64 [chars + 1]; None for ASCII."""
    if text.isascii():
        return None
    begins = (np.frombuffer(text.encode(), np.uint8) & 0xC0) != 0x80
    return np.append(np.flatnonzero(begins), begins.size).astype(np.int64)


def encode_cut(engine: Engine, texts: Sequence[str], cuts: Sequence[Sequence[int]]) -> Encoded:
    """Encode texts in parts, as if no token could reach over a cut.

    Args:
        engine: What encodes the parts.
        texts: R texts.
        cuts: Characters of each text, ascending, before which it is cut.
    """
    parts: list[str] = []
    counts = []
    for text, places in zip(texts, cuts, strict=True):
        borders = [0, *places, len(text)]
        parts += [text[start:end] for start, end in pairwise(borders)]
        counts.append(len(borders) - 1)
    encoded = engine.encode(parts)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    by_reference = np.logical_or.reduceat(encoded.by_reference, first[:-1]) if texts else encoded.by_reference
    return Encoded(
        encoded.ids, encoded.rows[first], encoded.text_starts[first], encoded.starts, encoded.ends, by_reference
    )


class ReferenceEngine:
    """Ids and offsets from `tokenizers` itself.

    Args:
        tokenizer: The tokenizer; its post-processor is not used, so offsets are not trimmed.
    """

    name = "reference"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts one batch at a time."""
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        rows = np.concatenate([[0], np.cumsum([len(e) for e in encodings])]).astype(np.int64)
        n_tokens = int(rows[-1])
        ids, starts, ends = np.empty(n_tokens, np.int32), np.empty(n_tokens, np.int64), np.empty(n_tokens, np.int64)
        text_starts = _offsets(byte_sizes(texts))
        for row, (encoding, (first, last)) in enumerate(zip(encodings, pairwise(rows.tolist()), strict=True)):
            ids[first:last] = encoding.ids
            offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            to_byte = character_bytes(texts[row])
            offsets = offsets if to_byte is None else to_byte[offsets]
            # a token that a tokenizer inserts without a place of its own may go back: `accumulate` below mends it
            starts[first:last], ends[first:last] = (offsets + text_starts[row]).T
        return Encoded(ids, rows, text_starts, np.maximum.accumulate(starts), ends, np.ones(len(texts), bool))


class FastEngine:
    """Ids from `fastokens`, places from byte lengths, rows that do not add up from the reference engine.

    Args:
        tokenizer_json: The tokenizer as `Tokenizer.to_str()` writes it.
        reference: The engine for the rows whose byte sum is wrong.

    Raises:
        ImportError: `fastokens` is not installed.
        ValueError: The tokenizer is not a byte-level BPE that `fastokens` can load.
    """

    name = "fast"

    def __init__(self, tokenizer_json: str, reference: ReferenceEngine) -> None:
        import fastokens

        self._engine = fastokens.Tokenizer.from_json_str(tokenizer_json)
        self._lengths = byte_lengths(json.loads(tokenizer_json))
        self._reference = reference

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts; `by_reference` tells which took the reference path."""
        sizes = byte_sizes(texts)
        try:
            flat_ids, flat_rows = self._engine.encode_batch_flat(list(texts))[:2]
        except (
            ValueError
        ):  # a byte that the vocabulary does not have, such as 0xf1 in SmolLM2; tokenizers leaves it out
            return self._in_halves(texts)
        ids = np.frombuffer(flat_ids, np.uint32).view(np.int32)
        rows = np.frombuffer(flat_rows, np.uint64).view(np.int64)
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < self._lengths.size:
            return self._reference.encode(texts)
        sums = _offsets(self._lengths[ids])
        wrong = np.flatnonzero(np.diff(sums[rows]) != sizes)
        encoded = Encoded(ids, rows, sums[rows], sums[:-1], sums[1:], np.zeros(len(texts), bool))
        return encoded if not wrong.size else self._replace(encoded, texts, wrong, _offsets(sizes))

    def _in_halves(self, texts: Sequence[str]) -> Encoded:
        """Encode a batch in which some text cannot be encoded; only that text takes the reference path."""
        half = len(texts) // 2
        if not half:
            return self._reference.encode(texts)
        one, other = self.encode(texts[:half]), self.encode(texts[half:])
        n_bytes = one.text_starts[-1]
        return Encoded(
            np.concatenate([one.ids, other.ids]),
            np.concatenate([one.rows, other.rows[1:] + one.rows[-1]]),
            np.concatenate([one.text_starts, other.text_starts[1:] + n_bytes]),
            np.concatenate([one.starts, other.starts + n_bytes]),
            np.concatenate([one.ends, other.ends + n_bytes]),
            np.concatenate([one.by_reference, other.by_reference]),
        )

    def _replace(self, encoded: Encoded, texts: Sequence[str], wrong: Int64, text_starts: Int64) -> Encoded:
        """Put the rows of the reference engine in the place of those that do not add up."""
        right = self._reference.encode([texts[i] for i in wrong])
        counts = np.diff(encoded.rows)
        counts[wrong] = np.diff(right.rows)
        rows = _offsets(counts)
        ids = np.empty(int(rows[-1]), np.int32)
        starts, ends = np.empty(ids.size, np.int64), np.empty(ids.size, np.int64)
        place = dict(zip(wrong.tolist(), range(wrong.size), strict=True))
        for row in range(len(texts)):
            source, n = (right, place[row]) if row in place else (encoded, row)
            part, target = slice(source.rows[n], source.rows[n + 1]), slice(rows[row], rows[row + 1])
            shift = text_starts[row] - source.text_starts[n]
            ids[target] = source.ids[part]
            starts[target], ends[target] = source.starts[part] + shift, source.ends[part] + shift
        by_reference = encoded.by_reference.copy()
        by_reference[wrong] = True
        return Encoded(ids, rows, text_starts, starts, ends, by_reference)


def byte_lengths(spec: dict[str, Any]) -> Int32:
    """Byte length of every id of a byte-level BPE `tokenizer.json`, int32 [largest id + 1]; ids without a token are 0.

    One printable character stands for one byte (GPT-2); added tokens count their own UTF-8 bytes.

    Raises:
        ValueError: The model is not a byte-level BPE whose normaliser is none or NFC.
    """
    if not is_byte_level(spec):
        raise ValueError("not a byte-level BPE tokenizer with normaliser none or NFC")
    vocab, added = spec["model"]["vocab"], spec["added_tokens"]
    lengths = np.zeros(max([*vocab.values(), *(token["id"] for token in added)]) + 1, np.int32)
    for piece, number in vocab.items():
        lengths[number] = len(piece)
    for token in added:
        lengths[token["id"]] = len(token["content"].encode())
    return lengths


def is_byte_level(spec: dict[str, Any]) -> bool:
    """Whether the running sum of byte lengths can give a tokenizer's offsets."""
    model, normalizer = spec["model"], spec.get("normalizer")
    plain = normalizer is None or normalizer["type"] == "NFC" or normalizer == {"type": "Sequence", "normalizers": []}
    steps = spec.get("pre_tokenizer") or {}
    byte_steps = [s for s in steps.get("pretokenizers", [steps]) if s.get("type") == "ByteLevel"]
    return (
        model.get("type", "BPE") == "BPE"
        and plain
        and len(byte_steps) == 1
        and not byte_steps[0]["add_prefix_space"]
        and not any(model.get(key) for key in ("byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"))
    )


def same_ids(one: Encoded, other: Encoded) -> bool:
    """Whether two engines gave every text the same ids; equal ids of byte-level BPE begin at the same bytes."""
    return np.array_equal(one.rows, other.rows) and np.array_equal(one.ids, other.ids)
