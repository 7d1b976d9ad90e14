"""Where the tokens of a row begin in its text, and which of them lie over a border of spans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.errors import RecordError, TokenizerError
from deepcoder_hf.tokens.engines import character_bytes, each_text
from deepcoder_hf.tokens.recorded import vocabulary_of
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer

Int64 = npt.NDArray[np.int64]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenPlaces:
    """The tokens of one row."""

    starts: list[int]
    """Character where each of the T tokens begins, special tokens included; a character belongs to the first token
    that holds a byte of it, so a token that begins inside a character begins after it here."""
    over: list[int]
    """Tokens that lie over a border of spans, ascending."""


@dataclass(frozen=True, slots=True)
class _Account:
    """What a row says about its tokens."""

    tokenizer: TrajectoryTokenizer
    before: int
    after: int
    cuts: list[int]


class TokenPlacer:
    """Tokenises texts again, with the tokenizers that the rows name.

    The reference engine is always taken, so that a page does not depend on what is installed.

    Args:
        model_name: Tokenizer to use instead of the name in the rows.
    """

    def __init__(self, model_name: str | None = None) -> None:
        self._model_name = model_name
        self._tokenizers: dict[tuple[str, bool], TrajectoryTokenizer | str] = {}

    def place(self, rows: Sequence[Row]) -> list[TokenPlaces | str]:
        """The tokens of each row, or in words why they cannot be placed.

        Args:
            rows: Rows with text, input_ids, spans and metadata.
        """
        accounts = [self._account(row) for row in rows]
        found: list[TokenPlaces | str] = [account if isinstance(account, str) else "" for account in accounts]
        groups: dict[int, list[tuple[int, _Account]]] = {}
        for number, account in enumerate(accounts):
            if isinstance(account, _Account):
                groups.setdefault(id(account.tokenizer), []).append((number, account))
        for members in groups.values():
            tokenizer = members[0][1].tokenizer
            texts = [rows[number]["text"] for number, _ in members]
            encoded = tokenizer.encode(texts, [account.cuts for _, account in members])
            for (number, account), one in zip(members, each_text(encoded), strict=True):
                try:
                    found[number] = _places(rows[number], account, one.ids, one.starts, one.ends)
                except IndexError:
                    found[number] = "the row's spans reach beyond its text"
        return found

    def _account(self, row: Row) -> _Account | str:
        try:
            facts = json.loads(row["metadata"])
            added = {"before": 0, "after": 0} | (facts.get("special_tokens") or {})
            name = str(facts.get("tokenizer") or "").rpartition("@")[0]
            cuts = [int(place) for place in facts.get("escaped") or []]
            before, after = int(added["before"]), int(added["after"])
        except (TypeError, ValueError, AttributeError):
            return "the row's metadata does not say how it was tokenised"
        name = self._model_name or name
        if not name:
            return "the row names no tokenizer"
        if cuts and any(b <= a for a, b in pairwise([0, *cuts, len(row["text"])])):
            return "the row's escaped control tokens do not stand in its text"
        tokenizer = self._load(name, bool(before or after))
        return tokenizer if isinstance(tokenizer, str) else _Account(tokenizer, before, after, cuts)

    def _load(self, name: str, special: bool) -> TrajectoryTokenizer | str:
        key = name, special
        if key not in self._tokenizers:
            config = TokensConfig(model_name=name, engine="reference", add_special_tokens=special)
            try:
                self._tokenizers[key] = cached_tokenizer(config)
            except TokenizerError as error:
                self._tokenizers[key] = str(error)
        return self._tokenizers[key]


def _places(row: Row, account: _Account, ids: npt.NDArray[Any], starts: Int64, ends: Int64) -> TokenPlaces | str:
    """Places of the tokens that the tokenizer gives, or of the recorded ones where the row has others."""
    given = np.asarray(row["input_ids"], np.int64)
    inner = given[account.before : given.size - account.after]
    if not np.array_equal(inner, ids):
        try:
            vocabulary = vocabulary_of(account.tokenizer)
            if vocabulary.decode(inner.tolist()) != row["text"]:
                return f"the tokens of the row are not those of {account.tokenizer.identity}"
        except (RecordError, TokenizerError) as error:
            return str(error)
        edges = vocabulary.token_bytes(inner.tolist())
        starts, ends = edges[:-1], edges[1:]
    to_byte = character_bytes(row["text"])
    chars = _first_characters(starts, ends, to_byte)
    over = _over_borders(row["spans"], starts, ends, to_byte) + account.before
    around = np.zeros(account.before, np.int64), np.full(account.after, len(row["text"]), np.int64)
    return TokenPlaces(np.concatenate([around[0], chars, around[1]]).tolist(), over.tolist())


def _first_characters(starts: Int64, ends: Int64, to_byte: Int64 | None) -> Int64:
    """The first character of each token that no token before it holds a byte of, int64 [N]."""
    begins = starts.copy()
    begins[1:] = np.where((starts[1:] == starts[:-1]) & (ends[:-1] > starts[1:]), ends[:-1], starts[1:])
    chars = begins if to_byte is None else np.searchsorted(to_byte, begins, "left").astype(np.int64)
    if chars.size:
        chars[0] = 0  # whitespace that a tokenizer leaves out stands with the token before it, or with the first
    return np.asarray(np.maximum.accumulate(chars))


def _over_borders(spans: Sequence[Row], starts: Int64, ends: Int64, to_byte: Int64 | None) -> Int64:
    """Tokens that hold characters of two spans, int64, ascending."""
    borders = np.array([span["start_char"] for span in spans[1:]], np.int64)
    if to_byte is not None:
        borders = to_byte[borders]
    before = np.searchsorted(starts, borders, "left") - 1
    borders, before = borders[before >= 0], before[before >= 0]
    return np.unique(before[ends[before] > borders]).astype(np.int64)
