"""One run: raw rows cut into shards of records, one fused map and one cache file each, and what came of them.

An interrupted run starts again after the last finished shard; a finished one is served from the cache.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.ledger import FIELDS, columns_of
from deepcoder_hf.dataset.report import ReportBuilder
from deepcoder_hf.filters.duplicates import REASON, Duplicates
from deepcoder_hf.fingerprint import code_digest
from deepcoder_hf.shards import Shard, fill_cache, plan_shards
from deepcoder_hf.tokens.tokenizer import cached_tokenizer

OnReject = Callable[[dict[str, Any]], Any]
PACKAGES = ("datasets", "transformers", "tokenizers", "pyarrow", "numpy")


def now() -> tuple[float, float]:
    """Wall seconds, and CPU-seconds of this process and of the workers that have ended."""
    return time.perf_counter(), sum(os.times()[:4])


def run_shards(raw: Dataset, config: Config, num_proc: int | None, progress: Callable[[int, int], None] | None) -> Run:
    """Process all shards, with one process or several; see `fill_cache`."""
    shards = plan_shards(raw, config)
    return Run(raw, shards, config, fill_cache(raw, shards, config, num_proc, progress))


class Run:
    """What came of a run; reading it twice gives the same.

    Args:
        raw: The raw rows.
        shards: Shards in order, all of them cached.
        config: The configuration.
        n_cached: Shards that were in the cache before.
    """

    def __init__(self, raw: Dataset, shards: list[Shard], config: Config, n_cached: int) -> None:
        self.raw, self.shards, self.config, self.n_cached = raw, shards, config, n_cached
        self._report: ReportBuilder | None = None

    def tables(self, on_reject: OnReject | None = None) -> Iterator[pa.Table]:
        """Kept rows with the columns of `SAD_FEATURES`, a bounded table at a time; fills the report on the way.

        Args:
            on_reject: Called with each record that was not kept; see `rejects`.
        """
        report, duplicates = ReportBuilder(self.config.masks), self._duplicates()
        for part in self._parts():
            kept, keep = self._judge(part, report, duplicates, on_reject)
            report.add_rows(kept)
            if keep.any():
                yield kept.drop_columns(["outcome"])
        self._report = report

    def dataset(self) -> Dataset:
        """The kept rows as one `Dataset` over the cache files, without a copy."""
        report, duplicates = ReportBuilder(self.config.masks), self._duplicates()
        keeps = [self._judge(part, report, duplicates)[1] for part in self._parts()]
        if not self.shards:
            return Dataset.from_dict({name: [] for name in SAD_FEATURES}, features=SAD_FEATURES)
        rows = concatenate_datasets([Dataset.from_file(shard.cache_file) for shard in self.shards])
        keep = np.concatenate(keeps)
        if not keep.all():
            rows = rows.select(np.flatnonzero(keep))
        return rows.remove_columns("outcome")

    def report(self, began: tuple[float, float] | None = None) -> dict[str, Any]:
        """The figures of the run; `began` is what `now` said at its start."""
        if self._report is None:
            for _ in self.tables():
                pass
        assert self._report is not None
        tokenizer = cached_tokenizer(self.config.tokens)
        facts: dict[str, Any] = {
            "tokenizer": tokenizer.identity,
            "engine": f"{tokenizer.engine.name} ({tokenizer.engine_version})",
            "digests": {"stage sources and patterns": code_digest()},
            "versions": {
                "deepcoder-hf": metadata.version("deepcoder-hf"),
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in PACKAGES},
            },
            "config": self.config.model_dump(mode="json", exclude={"dataset"}),
            "shards": {"total": len(self.shards), "from_cache": self.n_cached},
        }
        report = self._report.build(facts)
        if began is not None:
            wall, cpu = now()
            seconds = wall - began[0]
            report["speed"] = {
                "seconds": round(seconds, 3),
                "cpu_seconds": round(cpu - began[1], 3),
                "trajectories_per_hour": round(report["n_read"] / seconds * 3600),
                "rows_per_s": round(report["n_rows"] / seconds, 1),
                "tokens_per_s": round(report["tokens"]["total"] / seconds, 1),
            }
        return report

    def rejects(self) -> list[dict[str, Any]]:
        """Records that were not kept: source, line, status, reason, message and, where reading failed, an excerpt."""
        found: list[dict[str, Any]] = []
        report, duplicates = ReportBuilder(self.config.masks), self._duplicates()
        for part in self._parts():
            self._judge(part, report, duplicates, found.append)
        return found

    def _duplicates(self) -> Duplicates | None:
        return Duplicates() if self.config.filters.drop_duplicates else None

    def _parts(self) -> Iterator[pa.Table]:
        """The cached rows, a record batch at a time: mapped from disk, neither loaded nor copied."""
        for shard in self.shards:
            for batch in Dataset.from_file(shard.cache_file).data.table.to_batches():
                yield pa.Table.from_batches([batch])

    def _judge(
        self,
        part: pa.Table,
        report: ReportBuilder,
        duplicates: Duplicates | None,
        on_reject: OnReject | None = None,
    ) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
        """The kept rows of a part and which they are; records and rejects are counted."""
        outcome = part.column("outcome").combine_chunks()
        status: list[str] = outcome.field("status").to_pylist()
        reasons: list[str | None] = outcome.field("reason").to_pylist()
        first = outcome.field("first").to_numpy(zero_copy_only=False)
        if duplicates is not None:
            kept = [state == "kept" for state in status]
            repeated = duplicates.repeated(kept, first.tolist(), outcome.field("text_hash").to_pylist())
            status = ["dropped" if again else state for state, again in zip(status, repeated, strict=True)]
            reasons = [REASON if again else reason for reason, again in zip(reasons, repeated, strict=True)]
        keep = np.array([state == "kept" for state in status], bool)
        begins = np.flatnonzero(first)
        formats, parts = (outcome.field(name).to_pylist() for name in ("source_format", "part"))
        report.add_records(status, reasons, formats, first.tolist(), parts)
        failed = first & np.array([state == "failed" for state in status], bool)
        if failed.any():
            ledger = outcome.field("ledger").flatten().to_numpy().reshape(-1, len(FIELDS))
            report.add_rejected(int(ledger[failed, columns_of("rejected")].sum()))
        if on_reject is not None:
            for n in begins[~keep[begins]].tolist():
                on_reject(_reject(outcome[n].as_py(), status[n], reasons[n]))
        return _select(part, keep), keep


def _reject(row: dict[str, Any], status: str, reason: str | None) -> dict[str, Any]:
    return {
        "source": row["source_path"],
        "line": row["line"],
        "part": row["part"],
        "status": status,
        "reason": reason,
        "message": row["message"] or "exactly the text of an earlier trajectory",
        "record": row["excerpt"],
    }


def _select(part: pa.Table, keep: npt.NDArray[np.bool_]) -> pa.Table:
    """The kept rows of one record batch; lists of rows that have nothing to drop are not copied."""
    if keep.all():
        return part
    chosen = pa.array(keep)
    columns = []
    for column in part.columns:
        array = column.combine_chunks()
        offsets = array.offsets.to_numpy() if pa.types.is_list(column.type) else None
        if offsets is None or np.diff(offsets)[~keep].any():
            columns.append(array.filter(chosen))
        else:
            begins = np.append(offsets[:-1][keep], offsets[-1]).astype(np.int32)
            columns.append(pa.ListArray.from_arrays(pa.array(begins), array.values, type=column.type))
    return pa.table(columns, schema=part.schema)
