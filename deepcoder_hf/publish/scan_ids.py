"""What the token ids of rows say where that is not their text: ids can carry what the text does not show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.errors import TokenizerError
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer


class IdReader:
    """Decodes ids with the tokenizers that the rows name."""

    def __init__(self) -> None:
        self._tokenizers: dict[str, TrajectoryTokenizer | str] = {}
        self._problems: dict[str, str] = {}

    @property
    def problems(self) -> Mapping[str, str]:
        """Tokenizers whose ids could not be read, and why."""
        return self._problems

    def differing(self, rows: Mapping[str, Sequence[Any]], column: str) -> list[str | None]:
        """For each row what its ids say, where that is not its text.

        Args:
            rows: Columns metadata, text and `column`.
            column: A column of ids, `input_ids` or `labels`; labels count where they are neither -100 nor the id.
        """
        made: list[str | None] = [None] * len(rows["text"])
        groups: dict[str, list[int]] = {}
        for number, metadata in enumerate(rows["metadata"]):
            groups.setdefault(_identity(metadata), []).append(number)
        for identity, numbers in groups.items():
            ids = {number: _ids(rows, column, number) for number in numbers}
            ids = {number: values for number, values in ids.items() if values}
            if ids:
                texts = self._decoded(identity, list(ids.values()))
                for number, text in zip(ids, texts, strict=True):
                    made[number] = text if text is not None and text != rows["text"][number] else None
        return made

    def _decoded(self, identity: str, ids: list[list[int]]) -> Sequence[str | None]:
        tokenizer = self._load(identity)
        if isinstance(tokenizer, str):
            self._problems[identity] = tokenizer
            return [None] * len(ids)
        size = tokenizer.backend.get_vocab_size(with_added_tokens=True)
        known = [[token for token in row if 0 <= token < size] for row in ids]
        decoded: list[str] = tokenizer.backend.decode_batch(known, skip_special_tokens=False)
        return decoded

    def _load(self, identity: str) -> TrajectoryTokenizer | str:
        if identity not in self._tokenizers:
            name, _, digest = identity.rpartition("@")
            try:
                found = cached_tokenizer(TokensConfig(model_name=name, engine="reference"))
                is_same = found.digest == digest
                self._tokenizers[identity] = found if is_same else f"its digest is {found.digest}, not {digest}"
            except (TokenizerError, ValueError) as error:
                self._tokenizers[identity] = str(error) or "metadata names no tokenizer"
        return self._tokenizers[identity]


def _identity(metadata: str | None) -> str:
    """`name@digest` of the tokenizer of a row."""
    try:
        return str(json.loads(metadata or "{}").get("tokenizer", ""))
    except (ValueError, AttributeError):
        return ""


def _ids(rows: Mapping[str, Sequence[Any]], column: str, number: int) -> list[int]:
    values = np.asarray(rows[column][number] if rows[column][number] is not None else [], np.int64)
    if column == "labels":
        given = np.asarray(rows["input_ids"][number] if rows["input_ids"][number] is not None else [], np.int64)
        same = values == given if values.size == given.size else np.zeros(values.size, bool)
        values = values[(values != -100) & ~same]
    found: list[int] = values.tolist()
    return found
