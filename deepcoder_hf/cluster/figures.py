"""The figures of shards as JSON, and their sum: the report is the one that a single process gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.dataset.features import QUALITY_COLUMNS
from deepcoder_hf.dataset.report import ReportBuilder


def state_of(report: ReportBuilder) -> dict[str, Any]:
    """What `merged` needs of a shard whose report is built; the distributions are in its rows."""
    return {
        "n_records": dict(report.n_records),
        "n_trajectories": report.n_trajectories,
        "reasons": {state: dict(counts) for state, counts in report.reasons.items()},
        "formats": dict(report.formats),
        "by_format": {name: dict(counts) for name, counts in report.by_format.items()},
        "sums": dict(report.sums),
        "unread": dict(report.unread),
        "ledger": report.ledger.tolist(),
        "tokens": report.tokens.tolist(),
    }


def merged(states: Iterable[dict[str, Any]], rows: Iterable[Path], masks: MasksConfig) -> ReportBuilder:
    """The figures of all shards.

    Args:
        states: `state_of` of each, in the order of the shards.
        rows: Their Parquet files, in the same order.
        masks: The mask settings of the run.
    """
    report = ReportBuilder(masks)
    for state in states:
        report.n_trajectories += state["n_trajectories"]
        for name in ("n_records", "formats", "sums", "unread"):
            _add(getattr(report, name), state[name])
        for status, counts in state["reasons"].items():
            _add(report.reasons[status], counts)
        for name, counts in state["by_format"].items():
            _add(report.by_format.setdefault(name, Counter()), counts)
        report.ledger += np.array(state["ledger"], np.int64)
        report.tokens += np.array(state["tokens"], np.int64)
    for file in rows:
        table = pq.read_table(file, columns=["length", "quality"])
        if table.num_rows:
            quality = table.column("quality").combine_chunks()
            report.quality.append(np.stack([quality.field(name).to_numpy() for name in QUALITY_COLUMNS]))
            report.lengths.append(table.column("length").to_numpy())
    return report


def _add(total: Counter[str], counts: dict[str, int]) -> None:
    """Add, keeping names whose count is 0 as one process does."""
    for name, count in counts.items():
        total[name] += count
