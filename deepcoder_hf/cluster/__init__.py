"""Past one machine: the pipeline on datatrove's executors (local, Slurm, Ray), one output a shard.

    inputs ─plan▶ shards ─ShardStep (datatrove task)▶ Parquet + report + rejects a shard ─MergeStep▶ report, rejects

The shards follow from the inputs alone, so the rows are those of one process, in the same order, whatever the executor
and the number of workers. A shard's files appear under their names only when they are complete; a run that was killed
goes on with what is missing.
"""

from __future__ import annotations

from deepcoder_hf.cluster.run import ClusterResult, run_cluster
from deepcoder_hf.cluster.settings import EXECUTORS, ClusterSettings, SlurmSettings, load_cluster_settings

__all__ = ["EXECUTORS", "ClusterResult", "ClusterSettings", "SlurmSettings", "load_cluster_settings", "run_cluster"]
