"""The same stages on an `IterableDataset`: kept rows as they come; what is not kept is counted and said at the end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from datasets import IterableDataset

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.features import RAW_FEATURES, SAD_FEATURES
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.filters.duplicates import REASON, Duplicates
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.stages import process_records, without_nulls

logger = logging.getLogger("deepcoder_hf")
BATCH_ROWS = 64
"""Records that are processed together; a stream has no sizes to plan with."""


def stream_rows(dataset: IterableDataset, config: Config) -> IterableDataset:
    """Kept rows of a stream.

    Args:
        dataset: Raw rows (`load_trajectories(..., streaming=True)`), or records of any known format.
        config: The configuration.

    Returns:
        An `IterableDataset` with the columns of `SAD_FEATURES`. When it is exhausted, a warning on the logger
        `deepcoder_hf` says how many records gave no row, by reason.
    """
    return IterableDataset.from_generator(
        _rows, features=SAD_FEATURES, gen_kwargs={"dataset": dataset, "config": config}
    )


def _rows(dataset: IterableDataset, config: Config) -> Iterator[dict[str, Any]]:
    duplicates = Duplicates() if config.filters.drop_duplicates else None
    reasons: Counter[str] = Counter()
    n_read = 0
    for raw in _raw_tables(dataset, config):
        table = process_records(raw, config=config)
        outcome = table.column("outcome").combine_chunks()
        status, first = outcome.field("status").to_pylist(), outcome.field("first").to_pylist()
        keep = [state == "kept" for state in status]
        reason_of = outcome.field("reason").to_pylist()
        if duplicates is not None:
            repeated = duplicates.repeated(keep, first, outcome.field("text_hash").to_pylist())
            keep = [kept and not again for kept, again in zip(keep, repeated, strict=True)]
            reason_of = [REASON if again else reason for reason, again in zip(reason_of, repeated, strict=True)]
        n_read += sum(first)
        reasons.update(r for r, kept, begins in zip(reason_of, keep, first, strict=True) if begins and not kept)
        yield from table.filter(pa.array(keep, pa.bool_())).drop_columns(["outcome"]).to_pylist()
    if reasons:
        counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        logger.warning("%d of %d records gave no row: %s", sum(reasons.values()), n_read, counts)


def _raw_tables(dataset: IterableDataset, config: Config) -> Iterator[pa.Table]:
    parser, position = TrajectoryParser(config.readers), 0
    if dataset.column_names and set(dataset.column_names) == set(RAW_FEATURES):
        yield from dataset.with_format("arrow").iter(batch_size=BATCH_ROWS)
        return
    for batch in dataset.iter(batch_size=BATCH_ROWS):
        names = list(batch)
        records = [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        found = [raw_rows(without_nulls(record), "", position + n + 1, parser) for n, record in enumerate(records)]
        position += len(records)
        yield table_of([row for rows in found for row in rows])
