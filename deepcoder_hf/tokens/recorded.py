"""Recorded token ids: the rows that they make, the text that they decode to, and where their tokens lie in it.

Only byte-level BPE can do this: each of its tokens is a fixed sequence of bytes, whatever stands around it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from deepcoder_hf.errors import RecordError
from deepcoder_hf.tokens.engines import Encoded, Int64, byte_sizes, character_bytes
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, require_byte_level
from deepcoder_hf.trajectory import Step, Trajectory

REASON = "recorded_tokens"
"""Reason code of a trajectory whose ids cannot be used."""
Places = Sequence[tuple[int, int]]
"""Half-open ranges of tokens or characters, ascending, disjoint."""


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """One sequence of ids: a prompt, a completion, what came back, the next completion, ..."""

    ids: tuple[int, ...]
    completions: tuple[tuple[int, int], ...]
    """Where the model's own tokens stand in `ids`."""


def recorded_rows(trajectory: Trajectory) -> list[RecordedRow] | None:
    """The rows that a trajectory's recorded ids make, or None where a step to be trained has none.

    A step whose prompt begins with the sequence before goes on with its row; any other begins a new one, so that each
    completion stands in exactly one row as such. Reasoning alone before another step of the agent shares its ids.
    """
    rows: list[RecordedRow] = []
    for step, after in pairwise([*trajectory.steps, None]):
        assert step is not None
        if step.source == "text":
            return None
        if step.source != "agent" or not step.trained:
            continue
        prompt, completion = step.prompt_token_ids, step.completion_token_ids
        if not prompt or not completion:
            if _goes_on(step, after):
                continue
            return None
        row = RecordedRow(prompt, ())
        if rows and prompt[: len(rows[-1].ids)] == rows[-1].ids:
            row = RecordedRow(prompt, rows.pop().completions)
        made = (len(prompt), len(prompt) + len(completion))
        rows.append(RecordedRow(prompt + completion, (*row.completions, made)))
    return rows or None


def _goes_on(step: Step, after: Step | None) -> bool:
    """Whether the step after this one is of the same completion, or this one says nothing."""
    if step.message or step.tool_calls:
        return False
    return not step.reasoning_content or (after is not None and after.source == "agent" and not step.observations)


class Vocabulary:
    """The bytes of each token.

    Args:
        tokenizer: A byte-level BPE tokenizer.

    Raises:
        TokenizerError: It is none.
    """

    def __init__(self, tokenizer: TrajectoryTokenizer) -> None:
        spec = json.loads(tokenizer.backend.to_str())
        require_byte_level(tokenizer.name, spec)
        self._name = tokenizer.name
        vocab, added = spec["model"]["vocab"], spec["added_tokens"]
        size = max([*vocab.values(), *(token["id"] for token in added)]) + 1
        self._bytes: list[bytes | None] = [None] * size
        to_byte = _byte_alphabet()
        for piece, number in vocab.items():
            try:
                self._bytes[number] = piece.translate(to_byte).encode("latin-1")
            except UnicodeEncodeError:  # a special token, which stands among the added ones too
                continue
        for token in added:
            self._bytes[token["id"]] = token["content"].encode()
        self._lengths = np.array([len(data or b"") for data in self._bytes], np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids stand for, byte for byte.

        Raises:
            RecordError: An id is not in the vocabulary, or the bytes are not UTF-8 from end to end (`recorded_tokens`).
        """
        known = self._bytes
        parts = [known[n] if 0 <= n < len(known) else None for n in ids]
        if None in parts:
            raise RecordError(
                f"the recorded token id {ids[parts.index(None)]} is not in the vocabulary of {self._name}; set "
                "tokens.model_name to the model that made them, or tokens.source to rendered",
                REASON,
            )
        data = b"".join(part for part in parts if part is not None)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise RecordError(
                f"the recorded token ids are not UTF-8 at byte {error.start} of {len(data)}: a completion that was cut "
                "off inside a character has no text; set tokens.source to rendered",
                REASON,
            ) from None

    def token_bytes(self, ids: Sequence[int]) -> Int64:
        """Where each token of known ids begins in their text, and where the last one ends, in bytes, int64 [T + 1]."""
        places = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(self._lengths[np.asarray(ids, np.int64)], out=places[1:])
        return places


@lru_cache(maxsize=4)
def vocabulary_of(tokenizer: TrajectoryTokenizer) -> Vocabulary:
    """The vocabulary of a tokenizer, made once a process."""
    return Vocabulary(tokenizer)


def encode_recorded(
    tokenizer: TrajectoryTokenizer,
    texts: Sequence[str],
    cuts: Sequence[Sequence[int]] | None,
    ids: Sequence[Sequence[int]],
) -> Encoded:
    """Encode texts, but for those whose ids are known.

    Args:
        tokenizer: The tokenizer.
        texts: R texts.
        cuts: As for `TrajectoryTokenizer.encode`.
        ids: The ids of each text, which decode to it; none where it is to be encoded.
    """
    if not any(map(len, ids)):
        return tokenizer.encode(texts, cuts)
    unknown = [text if not len(known) else "" for text, known in zip(texts, ids, strict=True)]
    places = None if cuts is None else [() if len(known) else cut for cut, known in zip(cuts, ids, strict=True)]
    encoded = tokenizer.encode(unknown, places)
    vocabulary, base = vocabulary_of(tokenizer), _offsets(byte_sizes(texts))
    parts: list[tuple[Int64, Int64, Int64]] = []
    for row, known in enumerate(ids):
        if len(known):
            edges = vocabulary.token_bytes(known) + base[row]
            parts.append((np.asarray(known, np.int64), edges[:-1], edges[1:]))
        else:
            part, shift = slice(*encoded.rows[row : row + 2]), base[row] - encoded.text_starts[row]
            parts.append((encoded.ids[part].astype(np.int64), encoded.starts[part] + shift, encoded.ends[part] + shift))
    numbers, starts, ends = (np.concatenate(column) for column in zip(*parts, strict=True))
    is_known = np.array([bool(len(known)) for known in ids])
    rows = _offsets(np.array([part[0].size for part in parts], np.int64))
    return Encoded(numbers.astype(np.int32), rows, base, starts, ends, encoded.by_reference & ~is_known)


def character_places(text: str, token_bytes: Int64, tokens: Places) -> list[tuple[int, int]]:
    """Ranges of tokens as ranges of characters; a character that is only partly inside is left out.

    Args:
        text: The text of the tokens.
        token_bytes: From `Vocabulary.token_bytes`.
        tokens: Ranges of tokens.

    Returns:
        Ranges of characters that hold something.
    """
    edges = token_bytes[np.array(tokens, np.int64).reshape(-1, 2)]
    to_byte = character_bytes(text)
    if to_byte is not None:
        first = np.searchsorted(to_byte, edges[:, 0], "left")
        last = np.searchsorted(to_byte, edges[:, 1], "right") - 1
        edges = np.stack([first, last], axis=1)
    return [(int(start), int(end)) for start, end in edges if end > start]


def _offsets(sizes: Int64) -> Int64:
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _byte_alphabet() -> dict[int, int]:
    """Code points of byte-level BPE -> the byte that each stands for; what stands for none goes beyond a byte.

    A printable byte stands for itself, each of the others has the next code point from 256.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return dict.fromkeys(others, 256) | {256 + n: byte for n, byte in enumerate(others)}
