"""One shard: its pieces to rows, its rows to Parquet, rejects and report, each under its name only when complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcoder_hf.cluster.figures import state_of
from deepcoder_hf.cluster.lines import piece_tables
from deepcoder_hf.cluster.plan import Plan, settings_digest
from deepcoder_hf.config import Config
from deepcoder_hf.dataset.features import shard_schema
from deepcoder_hf.dataset.output import publish, staging, writer_for
from deepcoder_hf.dataset.report import ReportBuilder
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.filters.duplicates import Duplicates
from deepcoder_hf.heap import settled_heap
from deepcoder_hf.run import Run, now
from deepcoder_hf.stages import process_records

Parts = Callable[[], Iterator[pa.Table]]


class ShardRun(Run):
    """A run over tables that are made as they are needed, instead of over cache files.

    Args:
        parts: Gives the rows with their outcome, a table of one chunk at a time.
        config: The configuration.
        seen: Hashes of the texts that earlier shards keep, int64.
    """

    def __init__(self, parts: Parts, config: Config, seen: npt.NDArray[np.int64] | None = None) -> None:
        super().__init__(None, [], config, 0)
        self._make_parts, self._seen = parts, seen

    @property
    def figures(self) -> ReportBuilder:
        """What the rows add up to; to be asked when `tables` is exhausted."""
        assert self._report is not None
        return self._report

    def _parts(self) -> Iterator[pa.Table]:
        yield from self._make_parts()

    def _duplicates(self) -> Duplicates | None:
        duplicates = super()._duplicates()
        if duplicates is not None and self._seen is not None and self._seen.size:
            yes = [True] * self._seen.size
            duplicates.repeated(yes, yes, self._seen.tolist())
        return duplicates


def one_thread() -> None:
    """A task has one CPU: the tokenizers start no threads of their own, unless the environment says otherwise."""
    os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def config_of(plan: Plan) -> Config:
    """The configuration of a plan.

    Raises:
        ConfigError: This machine would make other rows than the one that planned: another version of the package, of
            the tokenizer or of its engine.
    """
    config = Config.model_validate(plan.config)
    if settings_digest(config) != plan.settings:
        raise ConfigError(
            "this machine has another version of deepcoder-hf, of the tokenizer or of fastokens than the one that "
            "planned the run; install the same on all, or plan again with another output"
        )
    return config


@settled_heap()
def process_shard(plan: Plan, number: int, output: Path) -> dict[str, Any]:
    """Process the pieces of a shard; where duplicates are dropped, its rows wait for those of earlier shards.

    Returns:
        The report of the shard; of what waits only `n_read`.
    """
    config = config_of(plan)

    def parts() -> Iterator[pa.Table]:
        for piece in plan.shards[number]:
            for table in piece_tables(piece, config.readers):
                for batch in process_records(table, config=config).combine_chunks().to_batches():
                    yield pa.Table.from_batches([batch])

    if config.filters.drop_duplicates:
        return {"n_read": _hold(plan, number, output, parts)}
    return _write(plan, number, output, ShardRun(parts, config))


@settled_heap()
def settle_shard(plan: Plan, number: int, output: Path) -> dict[str, Any]:
    """Write the rows of a shard that has waited, without those whose text an earlier shard keeps."""
    names = [plan.names(n)["hashes"] for n in range(number + 1)]
    own = np.load(output / names[-1])
    seen = [own[np.isin(own, np.load(output / name))] for name in names[:-1]]
    pending = output / plan.names(number)["pending"]
    run = ShardRun(
        partial(_stored, pending), config_of(plan), np.unique(np.concatenate(seen)) if seen else None
    )  # fmt: skip
    report = _write(plan, number, output, run)
    pending.unlink()
    return report


def _stored(path: Path) -> Iterator[pa.Table]:
    with pa.ipc.open_file(str(path)) as reader:
        for n in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(n)])


def _hold(plan: Plan, number: int, output: Path, parts: Parts) -> int:
    """Write all rows with their outcome, and the hashes of the texts of those that may be kept."""
    names = plan.names(number)
    hashes: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    n_read = 0
    with staging(output / names["pending"]) as folder:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(str(folder / "rows"), shard_schema(), options=options) as writer:
            for table in parts():
                writer.write_table(table)
                outcome = table.column("outcome").combine_chunks()
                first = outcome.field("first").to_numpy(zero_copy_only=False)
                kept = first & (np.array(outcome.field("status").to_pylist()) == "kept")
                hashes.append(outcome.field("text_hash").to_numpy()[kept])
                n_read += int((first & (outcome.field("part").to_numpy() == 0)).sum())
        np.save(folder / "hashes.npy", np.unique(np.concatenate(hashes)))
        publish(folder / "rows", output / names["pending"])
        publish(folder / "hashes.npy", output / names["hashes"])
    return n_read


def _write(plan: Plan, number: int, output: Path, run: ShardRun) -> dict[str, Any]:
    """Write rows, rejects and, last, the report, which says that the shard is complete."""
    began, names = now(), plan.names(number)
    with staging(output / names["report"]) as folder:
        writer = writer_for(folder / "rows", "parquet")
        with (folder / "rejects").open("w", encoding="utf-8", newline="\n") as rejected:
            for table in run.tables(lambda reject: rejected.write(json.dumps(reject, ensure_ascii=False) + "\n")):
                writer.write(table)
        writer.close()
        wall, cpu = now()
        facts = {
            "shard": {
                "number": number,
                "of": len(plan.shards),
                "inputs": sorted({piece.name for piece in plan.shards[number]}),
                "seconds": round(wall - began[0], 3),
                "cpu_seconds": round(cpu - began[1], 3),
            }
        }
        report = run.figures.build(facts)
        report["state"] = state_of(run.figures)
        written = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
        (folder / "report").write_text(written, encoding="utf-8")
        for name in ("rows", "rejects", "report"):
            publish(folder / name, output / names[name])
    (output / names["error"]).unlink(missing_ok=True)
    return report
