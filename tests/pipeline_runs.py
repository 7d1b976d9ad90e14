"""Runs of the pipeline for the tests: a processor with a tiny tokenizer, records, and the invariant of its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deepcoder_hf import TrajectoryProcessor

REACT = "Thought: I look at number {n}.\nAction: look[{n}]\nObservation: it is {n}\nThought: Done.\nAction: finish[{n}]"


def processor(model: Path, **sections: dict[str, Any]) -> TrajectoryProcessor:
    tokens = {"model_name": str(model), "max_length": 1_000_000, **sections.pop("tokens", {})}
    return TrajectoryProcessor({"tokens": tokens, **sections})


def write_jsonl(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def react(*numbers: int) -> list[dict[str, str]]:
    return [{"id": f"id-{n}", "text": REACT.format(n=n)} for n in numbers]


def counted(report: dict[str, Any]) -> bool:
    """The invariant of every run."""
    failed, dropped = (sum(report["reasons"][state].values()) for state in ("failed", "dropped"))
    whole = report["n_read"] == report["n_kept"] + report["n_dropped"] + report["n_failed"]
    return whole and failed == report["n_failed"] and dropped == report["n_dropped"]
