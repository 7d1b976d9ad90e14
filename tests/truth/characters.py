"""The masks of a row by character, from the bytes of its tokens alone: no span or offset of the package is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Flags = npt.NDArray[np.bool_]


def byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level BPE writes bytes: printable ones are themselves, the rest from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(256 + n): byte for n, byte in enumerate(rest)}}


class TokenBytes:
    """The bytes of each token of a byte-level vocabulary.

    Args:
        file: A tokenizer.json.
    """

    def __init__(self, file: Path) -> None:
        tokenizer = Tokenizer.from_file(str(file))
        alphabet = byte_alphabet()
        added = {number: token.content for number, token in tokenizer.get_added_tokens_decoder().items()}
        vocabulary = {number: token for token, number in tokenizer.get_vocab(with_added_tokens=False).items()}
        self._bytes = {number: bytes(alphabet[letter] for letter in token) for number, token in vocabulary.items()}
        self._bytes.update({number: content.encode() for number, content in added.items()})

    def masks(self, row: Mapping[str, Any], *names: str) -> list[tuple[Flags, Flags]]:
        """Masks of a row by character.

        Args:
            row: With `text`, `input_ids` and the masks.
            names: Columns of masks.

        Returns:
            For each column, which characters are whole under it, and which in any part: the bytes of a character may
            stand in several tokens.
        """
        tokens = [self._bytes[number] for number in row["input_ids"]]
        encoded = row["text"].encode()
        assert b"".join(tokens) == encoded, "the tokens do not spell the text"
        sizes = np.fromiter(map(len, tokens), np.int64, len(tokens))
        starts = np.flatnonzero((np.frombuffer(encoded, np.uint8) & 0xC0) != 0x80)
        found = []
        for name in names:
            by_byte = np.repeat(np.asarray(row[name], np.bool_), sizes)
            found.append((np.logical_and.reduceat(by_byte, starts), np.logical_or.reduceat(by_byte, starts)))
        return found
