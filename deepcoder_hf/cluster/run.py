"""run_cluster: plan, run what is missing on an executor, merge. A repeated call does only what is not complete."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepcoder_hf.cluster.merge import merge_shards
from deepcoder_hf.cluster.plan import PLAN, Plan, make_plan, read_plan, write_plan
from deepcoder_hf.cluster.settings import ClusterSettings, cluster_settings
from deepcoder_hf.config import Config
from deepcoder_hf.dataset.builder import Paths
from deepcoder_hf.errors import ConfigError, DeepcoderError, InputError, OutputError
from deepcoder_hf.readers.containers.files import InputFile, find_files
from deepcoder_hf.settings import load_config


@dataclass(frozen=True, slots=True)
class ClusterResult:
    """What a call did."""

    output: Path
    n_shards: int
    n_done_before: int
    """Shards that an earlier call had completed."""
    report: dict[str, Any] | None
    """As report.json holds it; None where Slurm has it still to do."""
    scripts: tuple[Path, ...] = ()
    """Scripts for Slurm: one a step, and `submit.sh`, which hands them in."""
    jobs: tuple[str, ...] = ()
    """What was handed in, a line a step: its name and the ids of its arrays."""


def run_cluster(
    inputs: Paths,
    output: str | Path,
    config: Config | Mapping[str, Any] | str | Path | None = None,
    *,
    overwrite: bool = False,
    on_shards: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> ClusterResult:
    """Process files on datatrove's executors: the same rows in the same order as `TrajectoryProcessor`.

    Args:
        inputs: As for `TrajectoryProcessor.process_files`, without `-`; every machine must see them under their paths.
        output: A folder that every machine sees: a Parquet file a shard, report.json and rejected.jsonl of all,
            `shards/` with those of each, `logs/` with datatrove's completion markers.
        config: As for `TrajectoryProcessor`.
        overwrite: Replace a cluster run of other inputs or settings.
        on_shards: Called with (shards complete, shards) as a local run goes on.
        **settings: Fields of `ClusterSettings`: executor, workers, tasks, shard_bytes, slurm, ...

    Returns:
        What was done, with the report.

    Raises:
        ConfigError: A setting is wrong, or datatrove is not installed.
        InputError: An input is missing, or has changed since the run was planned.
        OutputError: The output holds something else, or a run of other inputs or settings.
        DeepcoderError: A worker was killed or failed; complete shards are kept, and the next call does the rest.
    """
    chosen = cluster_settings(settings)
    if importlib.util.find_spec("datatrove") is None:
        raise ConfigError("a cluster run needs datatrove, which is not installed: pip install 'deepcoder-hf[cluster]'")
    folder = Path(output).absolute()
    files = _find(inputs, folder)
    plan = make_plan(files, config if isinstance(config, Config) else load_config(config), chosen.shard_bytes)
    _prepare(plan, folder, overwrite)
    missing = plan.missing(folder)
    done = tuple(number for number in range(len(plan.shards)) if number not in set(missing))
    if chosen.executor == "slurm":
        return _on_slurm(plan, folder, done, chosen)
    if missing:
        _run_steps(plan, folder, chosen, on_shards or (lambda n_done, n_shards: None))
    report = merge_shards(plan, folder, done)
    if not report["n_read"]:
        raise InputError(f"{', '.join(file.name for file in files[:3])}: expected trajectories, got no record")
    return ClusterResult(folder, len(plan.shards), len(done), report)


def _find(inputs: Paths, output: Path) -> list[InputFile]:
    items = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if any(str(item) == "-" for item in items):
        raise InputError("expected files that every machine can read, got stdin; write it to a file first")
    inside = [item for item in items if output.resolve().is_relative_to(Path(item).resolve())]
    if inside:
        raise OutputError(f"{output} lies within the input {inside[0]}: the next run would read it; name it elsewhere")
    return find_files(items)


def _prepare(plan: Plan, folder: Path, overwrite: bool) -> None:
    """Make the output, or make sure that it holds this run."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / PLAN).is_file())):
        raise OutputError(f"{folder} exists and holds no cluster run; it is not replaced, name another output")
    if (folder / PLAN).is_file():
        before = read_plan(folder)
        wrong = [name for name in ("inputs", "settings", "shard_bytes") if getattr(before, name) != getattr(plan, name)]
        if not wrong:
            return
        if not overwrite:
            what = " and ".join({"settings": "settings, code or tokenizer"}.get(name, name) for name in wrong)
            raise OutputError(f"{folder} holds a run of other {what}; name another output, or replace it (overwrite)")
        shutil.rmtree(folder)
    try:
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        write_plan(plan, folder)
    except OSError as error:
        raise OutputError(f"cannot write in {folder}: {error.strerror or error}; name another output") from None


def _steps(plan: Plan, output: Path) -> list[tuple[str, Any]]:
    """The steps that come before the merge, by the names of their log folders."""
    from deepcoder_hf.cluster.steps import SettleStep, ShardStep

    steps: list[tuple[str, Any]] = [("process", ShardStep(str(output)))]
    if plan.config["filters"]["drop_duplicates"]:
        steps.append(("duplicates", SettleStep(str(output))))
    return steps


def _tasks(plan: Plan, settings: ClusterSettings) -> int:
    return min(settings.tasks or len(plan.shards), len(plan.shards))


def _logs(plan: Plan, output: Path, name: str, step: Any, tasks: int) -> Path:
    """The log folder of a step, without completion markers of tasks that have something to do after all."""
    logs = output / "logs" / f"{name}-{tasks}"
    for marker in (logs / "completions").glob("[0-9]*"):
        mine = range(int(marker.name), len(plan.shards), tasks)
        if not all(step.is_done(plan, number) for number in mine):
            marker.unlink()
    return logs


def _run_steps(plan: Plan, output: Path, settings: ClusterSettings, on_shards: Callable[[int, int], None]) -> None:
    """Run the steps one after the other, each on all shards, and stop where one is not complete."""
    from loguru import logger

    from deepcoder_hf.cluster.executors import LocalExecutor, run_ray

    tasks = _tasks(plan, settings)
    logger.disable("datatrove")  # its progress goes to the log folder; what fails is raised
    try:
        for name, step in _steps(plan, output):
            logs = _logs(plan, output, name, step, tasks)
            if settings.executor == "ray":
                run_ray(step, tasks, logs, settings)
            else:

                def advance(rank: int) -> None:
                    on_shards(len(plan.shards) - len(plan.missing(output)), len(plan.shards))

                LocalExecutor(
                    [step], tasks=tasks, workers=settings.workers, logging_dir=str(logs), on_task=advance
                ).run()
            if missing := [n for n in range(len(plan.shards)) if not step.is_done(plan, n)]:
                from deepcoder_hf.cluster.merge import missing_message

                raise DeepcoderError(missing_message(plan, output, missing))
    finally:
        logger.enable("datatrove")


def _on_slurm(plan: Plan, output: Path, done: tuple[int, ...], settings: ClusterSettings) -> ClusterResult:
    """Write the jobs of what is missing, and hand them in."""
    from loguru import logger

    from deepcoder_hf.cluster.executors import slurm_executor, submit_script
    from deepcoder_hf.cluster.steps import MergeStep

    tasks = _tasks(plan, settings)
    logger.disable("datatrove")
    try:
        jobs = []
        for name, step in _steps(plan, output):
            logs = _logs(plan, output, name, step, tasks)
            executor = slurm_executor(step, tasks, logs, settings.workers, settings.slurm)
            jobs.append(executor.write_job(logs))
        logs = output / "logs" / "merge"
        shutil.rmtree(logs / "completions", ignore_errors=True)  # the merge is quick, and follows the shards
        memory = settings.slurm.model_copy(
            update={"cpus_per_task": 1, "mem_per_cpu_gb": settings.slurm.merge_mem_gb, "tasks_per_job": 1}
        )
        jobs.append(slurm_executor(MergeStep(str(output), done), 1, logs, 1, memory).write_job(logs))
    finally:
        logger.enable("datatrove")
    submit = output / "submit.sh"
    submit.write_text(submit_script(jobs), encoding="utf-8")
    scripts = (*(script for script, arrays in jobs if arrays), submit)
    handed_in: tuple[str, ...] = ()
    if settings.submit:
        if shutil.which("sbatch") is None:
            raise ConfigError(f"executor slurm: no sbatch on this machine; run {submit} where it is, or submit: false")
        made = subprocess.run(["bash", str(submit)], capture_output=True, text=True, env=dict(os.environ))
        if made.returncode:
            raise DeepcoderError(f"{submit} failed: {' '.join(made.stderr.split())}")
        handed_in = tuple(made.stdout.splitlines())
    report = output / "report.json"
    known = (
        json.loads(report.read_text(encoding="utf-8")) if len(done) == len(plan.shards) and report.exists() else None
    )
    return ClusterResult(output, len(plan.shards), len(done), known, scripts, handed_in)
