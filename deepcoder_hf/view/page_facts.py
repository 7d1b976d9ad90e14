"""Figures of a whole dataset for its charts: shares, lengths, confidence by pattern, subtypes, drop reasons."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from deepcoder_hf.dataset.features import QUALITY_COLUMNS, SAD_FEATURES
from deepcoder_hf.dataset.output import REJECTS, REPORT, side_file
from deepcoder_hf.errors import InputError, SchemaError
from deepcoder_hf.spans.types import TYPES

BATCH_ROWS = 500
SHARE_BINS = 20
"""Bins of a distribution of shares: 5 percentage points each."""
LENGTH_BINS = 24
QUANTILES = (0.05, 0.5, 0.95)
COLUMNS = ("length", "token_types", "labels", "spans", "quality", "metadata", "trajectory_id")
Facts = dict[str, Any]
Int64 = npt.NDArray[np.int64]


def dataset_facts(dataset: Any, report: Mapping[str, Any], rejects: Sequence[Mapping[str, Any]]) -> Facts:
    """Count a dataset, a batch of rows at a time.

    Args:
        dataset: A `Dataset` with the columns of `SAD_FEATURES`.
        report: `report.json` of its run; empty where there is none.
        rejects: The objects of its rejected.jsonl.

    Returns:
        What JSON can hold: rows, tokens, lengths, shares, confidence, subtypes, patterns, formats, records, reasons.

    Raises:
        SchemaError: Columns are missing, or rows do not hold together.
    """
    if missing := sorted(set(SAD_FEATURES) - set(dataset.column_names)):
        raise SchemaError(f"expected the columns of a SAD dataset, missing: {', '.join(missing)}")
    count = _Count()
    for table in dataset.select_columns(list(COLUMNS)).with_format("arrow").iter(batch_size=BATCH_ROWS):
        try:
            count.add(table)
        except (pa.ArrowException, ValueError, IndexError, TypeError, AttributeError) as error:
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise SchemaError(f"the rows cannot be counted ({problem}); see deepcoder-hf validate") from None
    return count.facts() | _records(report, rejects)


class _Count:
    """Adds up batches; memory grows by a few numbers a row."""

    def __init__(self) -> None:
        self.by_type = np.zeros(len(TYPES), np.int64)
        self.trained = np.zeros(len(TYPES), np.int64)
        self.lengths: list[Int64] = []
        self.quality: list[npt.NDArray[np.float64]] = []
        self.formats: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.subtypes: dict[tuple[str, str], Int64] = {}
        self.patterns: dict[tuple[str, str, str], list[float]] = {}

    def add(self, table: pa.Table) -> None:
        """Count the rows of a table."""
        types = _flat(table, "token_types").to_numpy().astype(np.int64)
        is_trained = _flat(table, "labels").to_numpy() != -100
        self.by_type += np.bincount(types, minlength=len(TYPES))
        self.trained += np.bincount(types[is_trained], minlength=len(TYPES))
        self.lengths.append(table.column("length").to_numpy().astype(np.int64))
        quality = table.column("quality").combine_chunks()
        self.quality.append(np.stack([quality.field(name).to_numpy().astype(np.float64) for name in QUALITY_COLUMNS]))
        self.ids.update(table.column("trajectory_id").to_pylist())
        for text in table.column("metadata").to_pylist():
            self.formats[str(orjson.loads(text).get("source_format") or "unknown")] += 1
        self._add_spans(table, is_trained)

    def _add_spans(self, table: pa.Table, is_trained: npt.NDArray[np.bool_]) -> None:
        spans = table.column("spans").combine_chunks()
        sizes = np.diff(spans.offsets.to_numpy())
        base = np.repeat(np.concatenate([[0], np.cumsum(self.lengths[-1])])[:-1], sizes)
        flat = spans.flatten()
        start, end = (flat.field(name).to_numpy() + base for name in ("start_token", "end_token"))
        before = np.concatenate([[0], np.cumsum(is_trained)])
        columns = pa.table(
            {name: flat.field(name) for name in ("span_type", "subtype", "origin", "pattern", "confidence")}
            | {"tokens": end - start, "trained": before[end] - before[start]}
        )
        kinds = columns.group_by(["span_type", "subtype"]).aggregate(
            [("tokens", "count"), ("tokens", "sum"), ("trained", "sum")]
        )
        for row in kinds.to_pylist():
            counts = np.array([row["tokens_count"], row["tokens_sum"], row["trained_sum"]], np.int64)
            key = row["span_type"], row["subtype"] or ""
            self.subtypes[key] = self.subtypes.get(key, np.zeros(3, np.int64)) + counts
        self._add_patterns(columns)

    def _add_patterns(self, columns: pa.Table) -> None:
        wanted = [("tokens", "count"), ("tokens", "sum"), ("confidence", "sum"), ("confidence", "min")]
        for row in columns.group_by(["pattern", "origin", "span_type"]).aggregate(wanted).to_pylist():
            key = row["pattern"] or "", row["origin"] or "", row["span_type"]
            old = self.patterns.get(key, [0.0, 0.0, 0.0, 1.0])
            sums = [row["tokens_count"], row["tokens_sum"], row["confidence_sum"]]
            added = [a + b for a, b in zip(old[:3], sums, strict=True)]
            self.patterns[key] = [*added, min(old[3], row["confidence_min"])]

    def facts(self) -> Facts:
        """What was counted."""
        lengths = np.concatenate(self.lengths) if self.lengths else np.zeros(0, np.int64)
        quality = np.concatenate(self.quality, axis=1) if self.quality else np.zeros((len(QUALITY_COLUMNS), 0))
        shares = {name: _distribution(values) for name, values in zip(QUALITY_COLUMNS, quality, strict=True)}
        total = int(self.by_type.sum())
        types = {
            str(kind): {"tokens": int(n), "trained": int(t), "share": round(int(n) / max(total, 1), 6)}
            for kind, n, t in zip(TYPES, self.by_type, self.trained, strict=True)
        }
        return {
            "rows": int(lengths.size),
            "trajectories": len(self.ids),
            "tokens": {"total": total, "trained": int(self.trained.sum()), "by_type": types},
            "lengths": _lengths(lengths),
            "confidence": shares.pop("mean_confidence"),
            "shares": shares,
            "subtypes": self._subtypes(),
            "patterns": self._patterns(),
            "formats": dict(sorted(self.formats.items(), key=lambda item: (-item[1], item[0]))),
        }

    def _subtypes(self) -> list[Facts]:
        ordered = sorted(self.subtypes.items(), key=lambda item: (-item[1][1], item[0]))
        names = ("spans", "tokens", "trained")
        return [
            {"span_type": kind, "subtype": subtype} | dict(zip(names, counts.tolist(), strict=True))
            for (kind, subtype), counts in ordered
        ]

    def _patterns(self) -> list[Facts]:
        ordered = sorted(self.patterns.items(), key=lambda item: (-item[1][1], item[0]))
        return [
            {
                "pattern": pattern,
                "origin": origin,
                "span_type": kind,
                "spans": int(spans),
                "tokens": int(tokens),
                "mean": round(confidence / spans, 4),
                "min": round(least, 4),
            }
            for (pattern, origin, kind), (spans, tokens, confidence, least) in ordered
        ]


def _flat(table: pa.Table, name: str) -> Any:
    return table.column(name).combine_chunks().flatten()


def _quantiles(values: npt.NDArray[Any]) -> dict[str, float]:
    if not values.size:
        return {}
    points = np.quantile(values, QUANTILES)
    names = [f"p{round(100 * q):02d}" for q in QUANTILES]
    return {"mean": round(float(values.mean()), 6)} | {
        name: round(float(v), 6) for name, v in zip(names, points, strict=True)
    }


def _distribution(values: npt.NDArray[np.float64]) -> Facts:
    """Quantiles of shares in [0, 1] and how many lie in each of `SHARE_BINS` bins."""
    finite = values[np.isfinite(values)]
    counts = np.histogram(np.clip(finite, 0.0, 1.0), SHARE_BINS, (0.0, 1.0))[0]
    return _quantiles(finite) | {"counts": counts.tolist()}


def _lengths(lengths: Int64) -> Facts:
    """Quantiles of lengths in tokens and a histogram over bins of equal ratio: lengths spread over decades."""
    if not lengths.size:
        return {"edges": [], "counts": []}
    low, high = max(int(lengths.min()), 1), max(int(lengths.max()), 2) + 1
    edges = np.unique(np.rint(np.geomspace(low, max(high, low + 1), LENGTH_BINS + 1)).astype(np.int64))
    counts = np.histogram(np.maximum(lengths, 1), edges)[0]
    limits = {"min": int(lengths.min()), "max": int(lengths.max())}
    return _quantiles(lengths) | limits | {"edges": edges.tolist(), "counts": counts.tolist()}


def _records(report: Mapping[str, Any], rejects: Sequence[Mapping[str, Any]]) -> Facts:
    """Records read and why they were not kept: from the report, else from the rejects alone."""
    reasons: dict[str, Counter[str]] = {"dropped": Counter(), "failed": Counter()}
    for reject in rejects:
        status = "dropped" if reject.get("status") == "dropped" else "failed"
        reasons[status][str(reject.get("reason") or "unknown")] += 1
    given = report.get("reasons")
    chosen = given if isinstance(given, Mapping) else reasons
    ordered = {
        str(status): dict(sorted(((str(r), int(n)) for r, n in counts.items()), key=lambda item: (-item[1], item[0])))
        for status, counts in chosen.items()
    }
    names = ("n_read", "n_kept", "n_dropped", "n_failed")
    records = {name: report[name] for name in names} if all(name in report for name in names) else None
    return {"records": records, "reasons": ordered, "tokenizer": str(report.get("tokenizer") or "")}


def report_beside(path: Path) -> Facts:
    """`report.json` of a processed dataset; empty where there is none.

    Raises:
        InputError: The file is no JSON object.
    """
    file = side_file(path, REPORT, "dataset" if path.is_dir() else "parquet")
    if not file.is_file():
        return {}
    try:
        report = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {error}; expected the report of a run") from None
    if not isinstance(report, dict):
        raise InputError(f"{file}: expected a JSON object, got {type(report).__name__}")
    return report


def rejects_beside(path: Path) -> list[Facts]:
    """The objects of rejected.jsonl of a processed dataset; none where there is no such file.

    Raises:
        InputError: A line is no JSON object.
    """
    file = side_file(path, REJECTS, "dataset" if path.is_dir() else "parquet")
    found: list[Facts] = []
    if not file.is_file():
        return found
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                reject = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{file}:{number}: expected a JSON object a line, got {error}") from None
            if not isinstance(reject, dict):
                raise InputError(f"{file}:{number}: expected a JSON object a line, got {type(reject).__name__}")
            found.append(reject)
    return found
