"""The pipeline as datatrove steps: process shards, settle duplicates, merge. A task does every world_size-th shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from deepcoder_hf.cluster.merge import merge_shards
from deepcoder_hf.cluster.plan import Plan, read_plan
from deepcoder_hf.cluster.shard import one_thread, process_shard, settle_shard


class ShardStep(PipelineStep):
    """Processes the shards of a task that are not there yet.

    Args:
        output: The output folder, which holds the plan and is shared by all machines.
    """

    name = "deepcoder_hf shards"
    type = "SAD"

    def __init__(self, output: str) -> None:
        super().__init__()
        self.output = output

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Do the shards `rank`, `rank + world_size`, ..."""
        one_thread()
        output = Path(self.output)
        plan = read_plan(output)
        for number in range(rank, len(plan.shards), world_size):
            if self.is_done(plan, number):
                continue
            try:
                with self.track_time("shard"):
                    report = self.work(plan, number, output)
            except Exception as error:
                message = f"shard {number}: {type(error).__name__}: {error}"
                (output / plan.names(number)["error"]).write_text(message, encoding="utf-8")
                raise
            self.stat_update("records", value=report["n_read"], unit="shard")

    def is_done(self, plan: Plan, number: int) -> bool:
        """Whether a shard is complete, or waits with the others for its duplicates."""
        names = plan.names(number)
        output = Path(self.output)
        waits = (output / names["pending"]).exists() and (output / names["hashes"]).exists()
        return waits or plan.is_complete(output, number)

    def work(self, plan: Plan, number: int, output: Path) -> dict[str, Any]:
        """Process one shard."""
        return process_shard(plan, number, output)


class SettleStep(ShardStep):
    """Drops what earlier shards keep already; begins when all shards are processed."""

    name = "deepcoder_hf duplicates"

    def is_done(self, plan: Plan, number: int) -> bool:
        """Whether a shard is complete."""
        return plan.is_complete(Path(self.output), number)

    def work(self, plan: Plan, number: int, output: Path) -> dict[str, Any]:
        """Settle one shard."""
        return settle_shard(plan, number, output)


class MergeStep(PipelineStep):
    """Sums the shards up, in one task.

    Args:
        output: The output folder.
        done_before: Shards that were complete when the run began.
    """

    name = "deepcoder_hf merge"
    type = "SAD"

    def __init__(self, output: str, done_before: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.output, self.done_before = output, done_before

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Write report.json and rejected.jsonl."""
        output = Path(self.output)
        merge_shards(read_plan(output), output, self.done_before)
