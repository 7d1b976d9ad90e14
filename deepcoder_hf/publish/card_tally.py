"""Counts rows and tokens of a bundle for its card, batch by batch: memory does not grow with the number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.spans.types import TYPE_IDS, TYPES

Int64 = npt.NDArray[np.int64]
READ = ("token_types", "labels", "spans", "metadata")
BATCH_ROWS = 128
SHARE_BINS = 1_000
"""Bins of the shares over rows: quantiles are right to a tenth of a percent."""
MAX_NAMES = 1_000
"""Different values of a fact that are counted by name; further ones are counted together."""
OTHERS = "(others)"
UNKNOWN = "(unknown)"
GOOD_EXAMPLE = 700
"""Tokens of a trajectory that shows well in a picture: the row nearest to it, in octaves, is drawn."""


@dataclass(slots=True)
class SplitTally:
    """Counts of a split; arrays by type are in the order of `TYPES`."""

    n_rows: int = 0
    tokens: Int64 = field(default_factory=lambda: np.zeros(len(TYPES), np.int64))
    trained: Int64 = field(default_factory=lambda: np.zeros(len(TYPES), np.int64))
    max_length: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of a bundle."""

    splits: dict[str, SplitTally] = field(default_factory=dict)
    shares: Int64 = field(default_factory=lambda: np.zeros((len(TYPES), SHARE_BINS + 1), np.int64))
    """Rows by share of each type: [type, share in thousandths]."""
    share_sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(TYPES)))
    lengths: Int64 = field(default_factory=lambda: np.zeros(1, np.int64))
    """Rows by number of tokens."""
    origins: Counter[str] = field(default_factory=Counter)
    patterns: Counter[str] = field(default_factory=Counter)
    """Spans that a pattern decided, by its name."""
    facts: dict[str, Counter[str]] = field(default_factory=dict)
    """Rows by value of facts of their metadata: tokenizer, template, reasoning, masks, format."""
    example: tuple[str, int] | None = None
    """Split and number of the row that shows best."""
    _example_rank: tuple[int, float] = (0, 0.0)

    @property
    def n_rows(self) -> int:
        """Rows of all splits."""
        return sum(split.n_rows for split in self.splits.values())

    @property
    def tokens(self) -> Int64:
        """Tokens by type, of all splits."""
        return sum((split.tokens for split in self.splits.values()), np.zeros(len(TYPES), np.int64))

    @property
    def trained(self) -> Int64:
        """Trained tokens by type, of all splits."""
        return sum((split.trained for split in self.splits.values()), np.zeros(len(TYPES), np.int64))

    def share_quantile(self, kind: int, q: float) -> float:
        """Quantile of the share of a type over rows, in [0, 1]."""
        return _quantile(self.shares[kind], q) / SHARE_BINS

    def length_quantile(self, q: float) -> int:
        """Quantile of the tokens of a row, rounded."""
        return round(_quantile(self.lengths, q))


def tally(bundle: Bundle) -> Tally:
    """Count what a bundle holds.

    Raises:
        PublishError: A split lacks a column that is counted.
    """
    counts = Tally()
    for name, dataset in bundle.splits.items():
        missing = [column for column in READ if column not in dataset.column_names]
        if missing:
            expected = f"split {name}: expected the columns of a processed dataset, missing: {', '.join(missing)}"
            raise PublishError(f"{expected}; make it with `deepcoder-hf process`")
        split = counts.splits[name] = SplitTally()
        for batch in dataset.select_columns(list(READ)).with_format("arrow").iter(batch_size=BATCH_ROWS):
            _add(counts, name, split, batch)
    return counts


def _add(counts: Tally, name: str, split: SplitTally, batch: pa.Table) -> None:
    columns = {column: batch.column(column).combine_chunks() for column in READ}
    types = columns["token_types"].flatten().to_numpy(zero_copy_only=False)
    labels = columns["labels"].flatten().to_numpy(zero_copy_only=False)
    lengths = pc.fill_null(pc.list_value_length(columns["token_types"]), 0).to_numpy(zero_copy_only=False)
    known = types.size == labels.size == lengths.sum() and (not types.size or 0 <= types.min() <= types.max() < 5)
    if not known:
        place = f"split {name}, rows {split.n_rows} to {split.n_rows + len(lengths) - 1}"
        raise PublishError(f"{place}: token_types and labels differ in length, or hold unknown types; run validate")
    by_row = _by_row(types, lengths)
    split.tokens += by_row.sum(axis=0)
    split.trained += np.bincount(types[labels != -100], minlength=len(TYPES))
    split.max_length = max(split.max_length, int(lengths.max(initial=0)))
    counts.lengths = _added(counts.lengths, np.bincount(lengths))
    shares = by_row / np.maximum(lengths, 1)[:, None]
    counts.share_sums += shares.sum(axis=0)
    bins = np.rint(shares * SHARE_BINS).astype(np.int64)
    for kind in range(len(TYPES)):
        counts.shares[kind] += np.bincount(bins[:, kind], minlength=SHARE_BINS + 1)
    _choose_example(counts, name, split.n_rows, by_row, lengths)
    _count_spans(counts, columns["spans"])
    _count_facts(counts, columns["metadata"])
    split.n_rows += len(lengths)


def _by_row(types: npt.NDArray[np.int8], lengths: npt.NDArray[np.int32]) -> Int64:
    """Tokens by row and type, int64 [R, 5]."""
    rows = np.repeat(np.arange(len(lengths), dtype=np.int32) * len(TYPES), lengths)
    flat: Int64 = np.bincount(rows + types, minlength=len(lengths) * len(TYPES))
    return flat.reshape(len(lengths), len(TYPES))


def _added(sums: Int64, more: Int64) -> Int64:
    if len(more) > len(sums):
        sums, more = more.astype(np.int64), sums
    sums[: len(more)] += more
    return sums


def _choose_example(counts: Tally, split: str, first: int, by_row: Int64, lengths: npt.NDArray[np.int32]) -> None:
    """Keep the row with most of reasoning, action and observation, and of these the one of the best length."""
    if not len(lengths):
        return
    wanted = [TYPE_IDS[name] for name in ("reasoning", "action", "observation")]
    n_kinds = (by_row[:, wanted] > 0).sum(axis=1)
    distance = np.abs(np.log2(np.maximum(lengths, 1) / GOOD_EXAMPLE))
    best = int(np.lexsort((distance, -n_kinds))[0])
    rank = (int(n_kinds[best]), -float(distance[best]))
    if counts.example is None or rank > counts._example_rank:
        counts.example, counts._example_rank = (split, first + best), rank


def _count_spans(counts: Tally, spans: pa.Array) -> None:
    inner = spans.flatten()
    origins, patterns = inner.field("origin"), inner.field("pattern")
    for name, n in _values(origins):
        _count(counts.origins, name, n)
    for name, n in _values(patterns.filter(pc.equal(origins, "pattern"))):
        _count(counts.patterns, name, n)


def _values(array: pa.Array) -> Iterator[tuple[str, int]]:
    for entry in pc.value_counts(array).to_pylist():
        yield str(entry["values"] or UNKNOWN), entry["counts"]


def _count(counter: Counter[str], name: str, n: int = 1) -> None:
    counter[name if name in counter or len(counter) < MAX_NAMES else OTHERS] += n


def _count_facts(counts: Tally, metadata: pa.Array) -> None:
    for text in metadata.to_pylist():
        for fact, value in _facts(text).items():
            _count(counts.facts.setdefault(fact, Counter()), value)


def _facts(text: str | None) -> dict[str, str]:
    try:
        row = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        row = {}
    row = row if isinstance(row, dict) else {}
    rendering = row.get("rendering")
    rendering = rendering if isinstance(rendering, Mapping) else {}
    facts: dict[str, Any] = {
        "tokenizer": row.get("tokenizer"),
        "template": rendering.get("template"),
        "reasoning": rendering.get("reasoning"),
        "format": row.get("source_format"),
        "masks": row.get("masks"),
    }
    return {
        name: value if isinstance(value, str) else orjson.dumps(value).decode() if value is not None else UNKNOWN
        for name, value in facts.items()
    }


def _quantile(histogram: Int64, q: float) -> float:
    """The quantile of whole numbers, given how often each occurs; between two it is interpolated as NumPy does."""
    total = int(histogram.sum())
    if not total:
        return 0.0
    place, ends = q * (total - 1), np.cumsum(histogram)
    low, high = np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right")
    return float(low + (high - low) * (place % 1))
