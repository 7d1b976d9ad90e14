"""How a cluster run is spread: executor, workers, size of a shard, what Slurm wants to know. No row depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from deepcoder_hf.config import Section
from deepcoder_hf.errors import ConfigError

EXECUTORS = ("local", "slurm", "ray")


class SlurmSettings(Section):
    """Directives of the jobs; see `sbatch`."""

    partition: str = Field(default="", pattern=r"^[\w.,@+-]*$")
    """Partition; needed for executor slurm."""
    time: str = Field(default="24:00:00", pattern=r"^[\d:-]+$")
    """Time limit of a job."""
    cpus_per_task: int = Field(default=1, ge=1)
    """CPUs of a task; it uses one, more of them only give it their memory."""
    mem_per_cpu_gb: int = Field(default=4, ge=1)
    """Memory of a CPU, in GiB."""
    merge_mem_gb: int = Field(default=16, ge=1)
    """Memory of the last job, in GiB; it holds 28 bytes a row and 8 more for each trajectory."""
    qos: str = ""
    """Quality of service; empty leaves it to the cluster."""
    job_name: str = Field(default="deepcoder-hf", pattern=r"^[\w.-]+$")
    """Name of the jobs."""
    tasks_per_job: int = Field(default=1, ge=1)
    """Tasks that one job of the array does, one after the other."""
    max_array_size: int = Field(default=1001, ge=1)
    """Most jobs of an array (`scontrol show config | grep MaxArraySize`); more tasks become several arrays."""
    env_command: str = ""
    """Shell line that makes the environment; empty puts the folder of this Python in front of PATH."""
    srun: bool = True
    """Start the task by `srun`."""
    sbatch_args: dict[str, str] = Field(default={})
    """Further directives, such as `account: research`."""


class ClusterSettings(Section):
    """Settings of `run_cluster`; `configs/cluster/slurm.yaml` is an example."""

    executor: str = "local"
    """local, slurm or ray."""
    workers: int = Field(default=2, ge=1)
    """Tasks that run at a time."""
    tasks: int | None = Field(default=None, ge=1)
    """Tasks, each of which does every tasks-th shard; null means a task a shard."""
    shard_bytes: int = Field(default=128 * 1024 * 1024, ge=1024)
    """Bytes of input a shard, as stored: small files are put together, JSONL files that are larger are cut."""
    mem_per_cpu_gb: float = Field(default=2.0, gt=0)
    """Memory that a Ray task asks for, in GiB."""
    ray_address: str | None = None
    """A Ray cluster that runs (`auto`, `ray://host:10001`); null starts one here, or uses what `ray.init` was given."""
    slurm: SlurmSettings = SlurmSettings()
    submit: bool = True
    """Hand the Slurm jobs in; false writes the scripts alone."""


def cluster_settings(values: Mapping[str, Any]) -> ClusterSettings:
    """Check settings.

    Raises:
        ConfigError: One or several are wrong; each is named with its path.
    """
    try:
        settings = ClusterSettings.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        known = ", ".join(ClusterSettings.model_fields)
        raise ConfigError(f"cluster settings: {problems} (known: {known})") from None
    if settings.executor not in EXECUTORS:
        raise ConfigError(f"executor: expected {', '.join(EXECUTORS)}, got {settings.executor!r}")
    if settings.executor == "slurm" and not settings.slurm.partition:
        raise ConfigError("slurm.partition: expected the name of a partition (`sinfo` lists them), got none")
    return settings


def load_cluster_settings(path: str | Path) -> dict[str, Any]:
    """Read settings from a YAML file; they are checked when they are used.

    Raises:
        ConfigError: It cannot be read, or is no mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ConfigError(f"{path}: expected a YAML file with cluster settings, got {problem}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of cluster settings, got {type(values).__name__}")
    return values
