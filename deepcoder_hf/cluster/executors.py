"""datatrove's executors as a run needs them: a local pool that notices a killed worker, Ray, and Slurm's scripts."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import dill
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats
from dill import CONTENTS_FMODE

from deepcoder_hf.cluster.settings import ClusterSettings, SlurmSettings
from deepcoder_hf.errors import ConfigError, DeepcoderError


class LocalExecutor(LocalPipelineExecutor):
    """datatrove's local executor on a pool that ends when a worker is killed; its own waits for the task for ever.

    Args:
        on_task: Called with the rank of each task that is done.
        **options: Those of `LocalPipelineExecutor`.
    """

    def __init__(self, *args: Any, on_task: Callable[[int], None] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._on_task = on_task

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_on_task": None}  # workers have no use for it, and it may not pickle

    def run(self) -> None:
        """Run the tasks that are not complete; one that fails does not stop the others.

        Raises:
            DeepcoderError: A worker was killed.
            Exception: The first that a task raised, when the others are done.
        """
        ranks = self.get_incomplete_ranks()
        if not ranks:
            return
        self.save_executor_as_json()
        context = multiprocessing.get_context(self.start_method)
        if self.start_method == "forkserver":
            context.set_forkserver_preload(["deepcoder_hf.cluster.steps"])
        workers = min(self.workers, len(ranks))
        stats, failed = PipelineStats(), None
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
        try:
            waiting = {pool.submit(self._run_for_rank, rank): rank for rank in ranks}
            for future in as_completed(waiting):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise DeepcoderError(
                        "a worker was killed (out of memory?); complete shards are kept: run again, with fewer workers"
                    ) from None
                if error is not None:
                    failed = failed or error
                    continue
                stats += future.result()
                if self._on_task is not None:
                    self._on_task(waiting[future])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if failed is not None:
            raise failed
        with self.logging_dir.open("stats.json", "wt") as file:
            stats.save_to_disk(file)


def _start_worker() -> None:
    """Log to the files of the tasks alone: what goes wrong is raised where the run was started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker at once: its shard is begun again
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def run_ray(step: PipelineStep, tasks: int, logs: Path, settings: ClusterSettings) -> None:
    """Run a step on Ray; a cluster is started here where none was named or initialised.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
        from datatrove.executor.ray import RayPipelineExecutor
    except ImportError:
        raise ConfigError("executor ray needs Ray, which is not installed: pip install 'ray>=2.40'") from None
    started = not ray.is_initialized()
    if started:
        size = {} if settings.ray_address else {"num_cpus": settings.workers, "include_dashboard": False}
        try:
            ray.init(address=settings.ray_address or "local", log_to_driver=False, logging_level="ERROR", **size)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(f"ray_address: cannot reach {settings.ray_address}: {error}") from None
    try:
        executor = RayPipelineExecutor(
            [step], tasks=tasks, workers=settings.workers, logging_dir=str(logs), mem_per_cpu_gb=settings.mem_per_cpu_gb
        )
        executor.run()
    finally:
        if started:
            ray.shutdown()


class SlurmExecutor(SlurmPipelineExecutor):
    """datatrove's Slurm executor that writes what it would hand in, to be read, kept and handed in later."""

    def write_job(self, folder: Path) -> tuple[Path, int]:
        """Write the job: pickled executor, ranks, and the script for `sbatch`.

        Returns:
            The script, and how many arrays of `max_array_size` it needs (`RUN_OFFSET` numbers them); 0 where every
            task is complete.
        """
        ranks = self.get_incomplete_ranks()
        if not ranks:
            return folder / "launch_script.slurm", 0
        with self.logging_dir.open("executor.pik", "wb") as file:
            dill.dump(self, file, fmode=CONTENTS_FMODE)
        self.save_executor_as_json()
        with self.logging_dir.open("ranks_to_run.json", "w") as file:
            json.dump(ranks, file)
        jobs = math.ceil(len(ranks) / self.tasks_per_job)
        start = f"launch_pickled_pipeline {shlex.quote(str(folder / 'executor.pik'))}"
        script = self.get_launch_file_contents(
            self.get_sbatch_args(min(jobs, self.max_array_size)), f"srun -l -n 1 {start}" if self.with_srun else start
        )
        path = folder / "launch_script.slurm"
        path.write_text(script, encoding="utf-8")
        return path, math.ceil(jobs / self.max_array_size)


def slurm_executor(step: PipelineStep, tasks: int, logs: Path, workers: int, settings: SlurmSettings) -> SlurmExecutor:
    """The executor of one step."""
    logs.mkdir(parents=True, exist_ok=True)
    own_python = f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH"
    return SlurmExecutor(
        [step],
        tasks=tasks,
        time=settings.time,
        partition=settings.partition,
        cpus_per_task=settings.cpus_per_task,
        mem_per_cpu_gb=settings.mem_per_cpu_gb,
        workers=workers,
        job_name=f"{settings.job_name}-{logs.name}",
        qos=settings.qos,
        env_command=settings.env_command or own_python,
        sbatch_args=dict(settings.sbatch_args),
        max_array_size=settings.max_array_size,
        tasks_per_job=settings.tasks_per_job,
        logging_dir=str(logs),
        slurm_logs_folder=str(logs / "slurm_logs"),
        with_srun=settings.srun,
    )


def submit_script(jobs: Sequence[tuple[Path, int]]) -> str:
    """A shell script that hands jobs in, each to begin when all arrays of the one before have succeeded.

    Args:
        jobs: Script and number of arrays, in order; a job without arrays is complete already.
    """
    lines = ["#!/bin/bash", "set -euo pipefail", 'after=""']
    for script, arrays in jobs:
        if not arrays:
            continue
        quoted = shlex.quote(str(script))
        lines.append('ids=""')
        lines += [
            f"ids=$ids:$(sbatch --parsable --export=ALL,RUN_OFFSET={n} $after {quoted} | cut -d';' -f1)"
            for n in range(arrays)
        ]
        lines.append('after="--dependency=afterok$ids"')
        lines.append(f'echo {shlex.quote(script.parent.name)} "${{ids#:}}"')
    return "\n".join(lines) + "\n"
