"""Complete shards to one dataset: the report of one process, the rejects in order, nothing unfinished left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepcoder_hf.cluster.figures import merged
from deepcoder_hf.cluster.plan import Plan
from deepcoder_hf.cluster.shard import config_of
from deepcoder_hf.config import Config
from deepcoder_hf.dataset.output import REJECTS, REPORT, publish, staging
from deepcoder_hf.dataset.report import ReportBuilder
from deepcoder_hf.errors import DeepcoderError
from deepcoder_hf.run import Run


class MergedRun(Run):
    """A run whose figures are known."""

    def __init__(self, figures: ReportBuilder, config: Config, n_shards: int, n_cached: int) -> None:
        super().__init__(None, [], config, n_cached)
        self._report, self._n_shards = figures, n_shards

    def report(self, began: tuple[float, float] | None = None) -> dict[str, Any]:
        """The figures with the facts of the run; shards are those of the plan."""
        report = super().report(began)
        report["shards"]["total"] = self._n_shards
        return report


def merge_shards(plan: Plan, output: Path, done_before: Sequence[int] = ()) -> dict[str, Any]:
    """Write report.json and rejected.jsonl of a run whose shards are complete.

    Args:
        plan: The plan.
        output: The output folder.
        done_before: Shards that an earlier call had completed.

    Returns:
        The report. `speed` has the sums over the shards: seconds of one worker, not of the clock.

    Raises:
        DeepcoderError: A shard is missing; the message has what the worker said.
    """
    if missing := plan.missing(output):
        raise DeepcoderError(missing_message(plan, output, missing))
    names = [plan.names(number) for number in range(len(plan.shards))]
    reports = [json.loads((output / name["report"]).read_text(encoding="utf-8")) for name in names]
    config = config_of(plan)
    rows = [output / name["rows"] for name in names]
    figures = merged((report["state"] for report in reports), rows, config.masks)
    report = MergedRun(figures, config, len(names), len(done_before)).report()
    report["speed"] = _speed(report, [shard["shard"] for shard in reports])
    with staging(output / "merged") as folder:
        with (folder / REJECTS).open("wb") as rejected:
            for name in names:
                with (output / name["rejects"]).open("rb") as file:
                    shutil.copyfileobj(file, rejected, 1 << 20)
        written = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        (folder / REPORT).write_text(written, encoding="utf-8")
        for side in (REJECTS, REPORT):
            publish(folder / side, output / side)
    for left in (output / "shards").glob(".*.tmp"):  # what workers that were killed had begun
        shutil.rmtree(left, ignore_errors=True)
    return report


def missing_message(plan: Plan, output: Path, missing: Sequence[int]) -> str:
    """Which shards are missing, what the first worker that failed said, and what to do."""
    said = (output / plan.names(number)["error"] for number in missing)
    first = next((file.read_text(encoding="utf-8").strip() for file in said if file.exists()), "")
    because = f": {first}" if first else "; their workers were killed, for want of memory or time perhaps"
    shown = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
    return (
        f"{len(missing)} of {len(plan.shards)} shards are missing ({shown}){because}; what is complete is kept: run "
        f"again for the rest (logs: {output / 'logs'})"
    )


def _speed(report: dict[str, Any], shards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = max(sum(shard["seconds"] for shard in shards), 1e-9)
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(sum(shard["cpu_seconds"] for shard in shards), 3),
        "trajectories_per_hour": round(report["n_read"] / seconds * 3600),
        "rows_per_s": round(report["n_rows"] / seconds, 1),
        "tokens_per_s": round(report["tokens"]["total"] / seconds, 1),
    }
