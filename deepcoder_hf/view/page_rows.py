"""SAD rows and rejected records as what the page embeds: an index, and compressed chunks of texts and of details."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.errors import SchemaError
from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.view.page_tokens import TokenPlaces

CHUNK_CHARS = 200_000
"""Characters of texts in a chunk: what is decompressed when one of its trajectories is opened (about 5 ms)."""
SPAN_NUMBERS = ("start_token", "end_token", "start_char", "end_char", "step_id")
SPAN_NAMES = ("span_type", "subtype", "origin", "pattern")
ARRAYS = ("input_ids", "token_types", "reasoning_mask", "action_mask", "labels")
Row = Mapping[str, Any]
Int64 = npt.NDArray[np.int64]


def packed(value: Any) -> str:
    """A JSON value, deflated, in base64: no character of it can act in a page. NaN and infinity become null."""
    text = json.dumps(_finite(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")


@dataclass(slots=True)
class Chunks:
    """Gathers rows and rejects in the order in which the page lists them."""

    items: list[dict[str, Any]] = field(default_factory=list)
    """One entry a row or reject, for the list and its filters."""
    names: list[str] = field(default_factory=list)
    """Names of types, subtypes, origins and patterns; spans hold their numbers."""
    texts: list[str] = field(default_factory=list)
    """Packed chunks of texts: what search reads."""
    details: list[str] = field(default_factory=list)
    """Packed chunks of everything else, chunk by chunk the same items."""
    _numbers: dict[str, int] = field(default_factory=dict)
    _open: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _n_chars: int = 0

    def add_row(self, number: int, row: Row, places: TokenPlaces | str) -> None:
        """Add a row.

        Args:
            number: Its number in the dataset.
            row: A row with the columns of `SAD_FEATURES`.
            places: Its tokens in its text, or why they are not known.

        Raises:
            SchemaError: The row does not hold together.
        """
        try:
            item, detail = self._item(number, row, places), self._detail(row, places)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise SchemaError(f"row {number} cannot be shown ({problem}); see deepcoder-hf validate") from None
        self._add(item, row["text"], detail)

    def add_reject(self, reject: Row) -> None:
        """Add a record that was not kept: an object of rejected.jsonl."""
        place = f"{reject.get('source') or '?'}:{reject.get('line') or '?'}"
        part = reject.get("part")
        status = "dropped" if reject.get("status") == "dropped" else "failed"
        item = {
            "id": place + (f" part {part}" if isinstance(part, int) and part else ""),
            "status": status,
            "reason": str(reject.get("reason") or ""),
            "note": str(reject.get("message") or ""),
        }
        record = reject.get("record")
        text = record if isinstance(record, str) else "" if record is None else json.dumps(record, ensure_ascii=False)
        self._add(item, text, {"reject": {str(key): value for key, value in reject.items() if key != "record"}})

    def close(self) -> None:
        """Pack what is not packed yet."""
        if self._open:
            self.texts.append(packed([text for text, _ in self._open]))
            self.details.append(packed([detail for _, detail in self._open]))
        self._open, self._n_chars = [], 0

    def _add(self, item: dict[str, Any], text: str, detail: dict[str, Any]) -> None:
        self.items.append(item | {"chunk": len(self.texts), "place": len(self._open)})
        self._open.append((text, detail))
        self._n_chars += len(text)
        if self._n_chars >= CHUNK_CHARS:
            self.close()

    def _item(self, number: int, row: Row, places: TokenPlaces | str) -> dict[str, Any]:
        facts = json.loads(row["metadata"])
        labels, window = np.asarray(row["labels"]), row["window"]
        return {
            "id": row["trajectory_id"],
            "row": number,
            "status": "kept",
            "format": str(facts.get("source_format") or "unknown"),
            "length": row["length"],
            "trained": int((labels != -100).sum()),
            "shares": [round(float(row["quality"][name]), 4) for name in TYPES],
            "confidence": round(float(row["quality"]["mean_confidence"]), 4),
            "over": None if isinstance(places, str) else len(places.over),
            "window": [window["index"] + 1, window["n"]] if window["n"] > 1 else None,
        }

    def _detail(self, row: Row, places: TokenPlaces | str) -> dict[str, Any]:
        columns = {name: np.asarray(row[name]) for name in ARRAYS}
        sizes = {name: len(values) for name, values in columns.items() if len(values) != row["length"]}
        if sizes:
            raise ValueError(f"{row['length']} tokens, but {sizes}")
        units = utf16_places(row["text"])
        ids, labels = columns["input_ids"], columns["labels"]
        other = np.flatnonzero((labels != -100) & (labels != ids)).tolist()
        return {
            "spans": [self._span(span, units) for span in row["spans"]],
            "ids": ids.tolist(),
            "runs": _runs(columns),
            "labels": {str(token): int(labels[token]) for token in other},
            "starts": places if isinstance(places, str) else _steps(places.starts, units),
            "over": [] if isinstance(places, str) else places.over,
            "group": row["group_id"],
            "quality": dict(row["quality"]),
            "weight": row["row_weight"],
            "window": row["window"],
            "metadata": row["metadata"],
            "original": row["original_text"],
        }

    def _span(self, span: Row, units: Int64 | None) -> list[Any]:
        numbers = [span[name] for name in SPAN_NUMBERS]
        if units is not None:
            numbers[2], numbers[3] = int(units[numbers[2]]), int(units[numbers[3]])
        confidence = float(span["confidence"])
        return [*(self._number(span[name]) for name in SPAN_NAMES), *numbers, round(confidence, 4)]

    def _number(self, name: str | None) -> int:
        name = name or ""
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def utf16_places(text: str) -> Int64 | None:
    """Place of each character in UTF-16 units, which browsers count, and the size, int64 [chars + 1]; None if equal."""
    if not text or max(text) <= "\uffff":
        return None
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return np.concatenate([[0], np.cumsum(1 + (codes > 0xFFFF))]).astype(np.int64)


def _steps(starts: Sequence[int], units: Int64 | None) -> list[int]:
    """Places as differences, which are small."""
    places = np.asarray(starts, np.int64)
    return list(np.diff(places if units is None else units[places], prepend=0).tolist())


def _runs(columns: Mapping[str, npt.NDArray[Any]]) -> list[int]:
    """Type and masks of the tokens as runs: number of tokens, code, number, code, ...

    The code is 8 times the type, plus 1 where there is a label, 2 in reasoning_mask, 4 in action_mask.
    """
    codes = 8 * columns["token_types"].astype(np.int64) + (columns["labels"] != -100)
    codes += 2 * (columns["reasoning_mask"] == 1) + 4 * (columns["action_mask"] == 1)
    edges = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(edges, append=codes.size)
    return list(np.stack([sizes, codes[edges]], axis=1).reshape(-1).tolist())


def _finite(value: Any) -> Any:
    """A JSON value with null for numbers that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return value if _are_whole(value) else [_finite(inner) for inner in value]
    return value


def _are_whole(values: Iterable[Any]) -> bool:
    return all(type(value) is int for value in values)
