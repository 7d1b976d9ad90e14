"""A run's shards: ranges of raw rows, one fused map and one cache file each, done by one process or several."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from datasets import config as hf_config

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.dataset.features import SHARD_FEATURES
from deepcoder_hf.errors import DeepcoderError
from deepcoder_hf.fingerprint import rows_fingerprint
from deepcoder_hf.heap import settled_heap
from deepcoder_hf.stages import process_records

BATCH_BYTES = 1536 * 1024
"""Bytes of raw trajectories in one call of the fused stage: large enough to amortise, small enough for memory."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of raw rows and where its SAD rows are cached."""

    start: int
    stop: int
    batch_size: int
    cache_file: str
    fingerprint: str


def cache_root(config: Config) -> Path:
    """Folder for what is made of datasets that have no cache file of their own."""
    return Path(config.dataset.cache_dir or hf_config.HF_DATASETS_CACHE) / "deepcoder_hf"


def plan_shards(raw: Dataset, config: Config) -> list[Shard]:
    """Cut raw rows into shards by records and bytes; the plan depends on the data and the settings alone."""
    sizes, inside = _row_bytes(raw), _inside_record(raw)
    fingerprint = rows_fingerprint(raw._fingerprint, config)
    beside = Path(raw.cache_files[0]["filename"]).parent if raw.cache_files else cache_root(config)
    folder = beside / f"sad-{fingerprint}"
    shards = []
    start, total = 0, len(raw)
    ends = np.cumsum(sizes)
    while start < total:
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + config.dataset.shard_bytes, "right"))
        stop = min(max(stop, start + 1), start + config.dataset.shard_records, total)
        while stop < total and inside[stop]:
            stop += 1
        mean = max(1.0, (int(ends[stop - 1]) - before) / (stop - start))
        batch_size = int(min(max(BATCH_BYTES // mean, 1), 1000))
        name = f"{start:09d}-{stop:09d}"
        shards.append(Shard(start, stop, batch_size, str(folder / f"{name}.arrow"), f"{fingerprint}-{name}"))
        start = stop
    return shards


def _inside_record(raw: Dataset) -> npt.NDArray[np.bool_]:
    """Which raw rows are not the first of their record: a shard never ends before one; bool [rows]."""
    return np.asarray(raw.with_format("numpy")["part"][:]) > 0


def _row_bytes(raw: Dataset) -> npt.NDArray[np.int64]:
    """Bytes of each raw trajectory, int64 [rows]."""
    column = raw.with_format("arrow").data.column("trajectory") if raw._indices is None else None
    if column is None:
        return np.full(len(raw), 8192, np.int64)
    lengths = [pc.binary_length(chunk.cast(pa.string())).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(lengths).astype(np.int64) if lengths else np.zeros(0, np.int64)


@settled_heap()
def run_shard(raw: Dataset, shard: Shard, config: Config) -> tuple[int, int]:
    """Process one shard into its cache file, unless it is there.

    Returns:
        Records and tokens of the shard.
    """
    with quiet():
        rows = (
            raw.select(range(shard.start, shard.stop))
            .with_format("arrow")
            .map(
                process_records,
                batched=True,
                batch_size=shard.batch_size,
                remove_columns=raw.column_names,
                features=SHARD_FEATURES,
                fn_kwargs={"config": config},
                cache_file_name=shard.cache_file,
                new_fingerprint=shard.fingerprint,
            )
        )
    return shard.stop - shard.start, pc.sum(rows.data.column("length")).as_py() or 0


def fill_cache(
    raw: Dataset,
    shards: list[Shard],
    config: Config,
    num_proc: int | None,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Process the shards that are not in the cache, with one process or several.

    Returns:
        How many were in the cache before.

    Raises:
        DeepcoderError: A worker was killed, for want of memory perhaps; finished shards are kept.
    """
    report = progress or (lambda records, tokens: None)
    missing = []
    for shard in shards:
        if _is_whole(shard):
            report(*run_shard(raw, shard, config))
        else:
            missing.append(shard)
    n_cached = len(shards) - len(missing)
    workers = min(num_proc or 1, len(missing))
    if workers > 1:
        _run_pool(raw, missing, config, workers, report)
    else:
        _run_here(raw, missing, config, report)
    return n_cached


def _run_here(raw: Dataset, shards: list[Shard], config: Config, report: Callable[[int, int], None]) -> None:
    """Process shards in this process; Ctrl-C that falls into a finalizer, where it cannot be raised, ends them too."""
    global _interrupted
    _interrupted, hook = False, sys.unraisablehook
    sys.unraisablehook = _note_interrupt
    try:
        for shard in shards:
            report(*run_shard(raw, shard, config))
            if _interrupted:
                raise KeyboardInterrupt
    finally:
        sys.unraisablehook = hook


def _is_whole(shard: Shard) -> bool:
    """Whether a shard's cache file holds every record; one that does not (a power cut leaves such) is removed."""
    if not os.path.exists(shard.cache_file):
        return False
    try:
        outcomes = Dataset.from_file(shard.cache_file).data.column("outcome").chunks
        n_records = sum(pc.sum(outcome.field("first")).as_py() or 0 for outcome in outcomes)
    except (pa.ArrowException, OSError, KeyError):
        n_records = 0
    if n_records == shard.stop - shard.start:
        return True
    Path(shard.cache_file).unlink(missing_ok=True)
    return False


def _run_pool(
    raw: Dataset, shards: list[Shard], config: Config, workers: int, report: Callable[[int, int], None]
) -> None:
    pool = ProcessPoolExecutor(workers, initializer=_start_worker)
    try:
        waiting: set[Future[tuple[int, int]]] = {pool.submit(_work, raw, shard, config) for shard in shards}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                report(*future.result())
    except BrokenProcessPool:
        raise DeepcoderError(
            "a worker process was killed (out of memory?); finished shards are kept: run again, with fewer processes"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Each worker uses one thread: the processes are the parallelism."""
    os.environ["FASTOKENS_BPE_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.unraisablehook = _note_interrupt


def _note_interrupt(unraisable: sys.UnraisableHookArgs) -> None:
    """Ctrl-C in a finalizer cannot be raised: it is remembered, so that the process stops after this shard."""
    global _interrupted
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _interrupted = True
    else:
        sys.__unraisablehook__(unraisable)


_interrupted = False
"""Whether Ctrl-C has reached this process; what still waits for it is not begun."""


def _work(raw: Dataset, shard: Shard, config: Config) -> tuple[int, int]:
    """`run_shard` in a worker: Ctrl-C ends a shard, whose unfinished file is removed, but no worker that waits."""
    global _interrupted
    if _interrupted:
        raise KeyboardInterrupt
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return run_shard(raw, shard, config)
    except KeyboardInterrupt:
        _interrupted = True
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
