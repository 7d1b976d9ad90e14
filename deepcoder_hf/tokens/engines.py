"""Text -> ids and where each token begins: a reference engine for every fast tokenizer, and an exact quick one.

The quick engine (`fastokens`, extra `fast`) gives ids only. A byte-level BPE token has a fixed byte length, so a running
sum of lengths gives every token's place without offset objects. That holds where the normaliser leaves the text alone,
so texts are NFC before they come here, and a row whose byte sum is not its size goes to the reference engine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    starts: Int64
    """First byte of each token within its own text, int64 [N]; may lie inside a character."""
    ends: Int64
    """Byte after the last one of each token within its own text, int64 [N]."""
    by_reference: npt.NDArray[np.bool_]
    """Whether the reference engine encoded a text, bool [R]."""


class Engine(Protocol):
    """What turns texts into tokens; engines differ in speed only."""

    name: str

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts without adding special tokens."""


def _char_to_byte(text: str) -> Int64 | None:
    """Byte where each character of a text begins, and its size, int64 [chars + 1]; None for ASCII."""
    if text.isascii():
        return None
    begins = (np.frombuffer(text.encode(), np.uint8) & 0xC0) != 0x80
    return np.append(np.flatnonzero(begins), begins.size).astype(np.int64)


def _ascending(starts: Int64) -> Int64:
    """Starts that never go back, also where a tokenizer gives an inserted token no place of its own."""
    return np.maximum.accumulate(starts) if starts.size else starts


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
        for text, encoding, first, last in zip(texts, encodings, rows[:-1].tolist(), rows[1:].tolist(), strict=True):
            ids[first:last] = encoding.ids
            offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            to_byte = _char_to_byte(text)
            starts[first:last] = offsets[:, 0] if to_byte is None else to_byte[offsets[:, 0]]
            ends[first:last] = offsets[:, 1] if to_byte is None else to_byte[offsets[:, 1]]
        starts = np.concatenate([_ascending(starts[a:b]) for a, b in pairwise(rows.tolist())]) if len(texts) else starts
        return Encoded(ids, rows, starts, ends, np.ones(len(texts), bool))


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
        sizes = np.fromiter((len(t) if t.isascii() else len(t.encode()) for t in texts), np.int64, len(texts))
        flat_ids, flat_rows = self._engine.encode_batch_flat(list(texts))[:2]
        ids = np.frombuffer(flat_ids, np.uint32).view(np.int32)
        rows = np.frombuffer(flat_rows, np.uint64).view(np.int64)
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < self._lengths.size:
            return self._reference.encode(texts)
        sums = np.concatenate([[0], np.cumsum(self._lengths[ids])])
        base = np.repeat(sums[rows[:-1]], np.diff(rows))
        wrong = np.flatnonzero(sums[rows[1:]] - sums[rows[:-1]] != sizes)
        encoded = Encoded(ids, rows, sums[:-1] - base, sums[1:] - base, np.zeros(len(texts), bool))
        return encoded if not wrong.size else self._replace(encoded, texts, wrong)

    def _replace(self, encoded: Encoded, texts: Sequence[str], wrong: Int64) -> Encoded:
        right = self._reference.encode([texts[i] for i in wrong])
        counts = np.diff(encoded.rows)
        counts[wrong] = np.diff(right.rows)
        pieces = [slice(a, b) for a, b in zip(encoded.rows[:-1], encoded.rows[1:], strict=True)]
        sources: list[tuple[Encoded, slice]] = [(encoded, piece) for piece in pieces]
        for n, index in enumerate(wrong.tolist()):
            sources[index] = (right, slice(right.rows[n], right.rows[n + 1]))

        def gather(column: str) -> Any:
            return np.concatenate([getattr(source, column)[piece] for source, piece in sources])

        rows = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        by_reference = encoded.by_reference.copy()
        by_reference[wrong] = True
        return Encoded(gather("ids"), rows, gather("starts"), gather("ends"), by_reference)


def byte_lengths(spec: dict[str, Any]) -> Int64:
    """Byte length of every id of a byte-level BPE `tokenizer.json`, int64 [largest id + 1]; ids without a token are 0.

    One printable character stands for one byte (GPT-2); added tokens count their own UTF-8 bytes.

    Raises:
        ValueError: The model is not a byte-level BPE whose normaliser is none or NFC.
    """
    if not is_byte_level(spec):
        raise ValueError("not a byte-level BPE tokenizer with normaliser none or NFC")
    vocab, added = spec["model"]["vocab"], spec["added_tokens"]
    lengths = np.zeros(max([*vocab.values(), *(token["id"] for token in added)]) + 1, np.int64)
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
