"""Inputs for the tests of cluster runs, and what must be the same as in one process."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pipeline_runs import REACT, react, write_jsonl

from deepcoder_hf import TrajectoryProcessor

DATA = Path(__file__).parent / "data"
SESSIONS = ("claude_code", "codex", "openhands_events", "smolagents", "inspect_log", "alpaca", "atif")


def settings(model: Path, **filters: Any) -> dict[str, Any]:
    """A configuration that makes windows, drops and rejects."""
    return {"tokens": {"model_name": str(model), "max_length": 900}, "filters": {"max_tokens": 5000, **filters}}


def write_inputs(folder: Path) -> Path:
    """Small and large files of several containers: broken lines, blank lines, sessions, repeated texts."""
    folder.mkdir()
    lines = [json.dumps(record) for record in react(*range(120))]
    lines[7:7] = ["", '{"text": "cut', "[1, 2]", "   "]
    lines += [json.dumps({"id": f"again-{n}", "text": REACT.format(n=n)}) for n in range(0, 120, 5)]
    steps = "\n".join(f"Thought: step {n}.\nAction: look[{n}]\nObservation: {n} is there" for n in range(90))
    lines += [json.dumps({"id": "long", "text": steps}), json.dumps({"text": "no agent wrote this"})]
    (folder / "big.jsonl").write_text("\n".join(lines) + "\n" + lines[3], encoding="utf-8")
    packed = "".join(json.dumps(record) + "\n" for record in react(3, 200, 201))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(packed.encode(), mtime=0))
    for n in range(4):
        write_jsonl(folder / f"small-{n}.jsonl", react(300 + n, 5))
    (folder / "empty.jsonl").write_text("")
    session = json.loads((DATA / "claude_code" / "raw.jsonl").read_text(encoding="utf-8").splitlines()[0])["events"]
    write_jsonl(folder / "session.jsonl", session)
    step = {"step_number": 1, "model_output": "Thought: I look.", "observations": "it is there " * 30}
    write_jsonl(folder / "log.jsonl", [{"system_prompt": "Act."}, {"task": "Find it."}, *[step] * 20])
    for name in SESSIONS:
        for file in sorted((DATA / name).glob("raw*")):
            shutil.copy(file, folder / f"{name}-{file.name}")
    return folder


def in_one_process(inputs: Path, target: Path, config: dict[str, Any]) -> tuple[pa.Table, dict[str, Any], list[str]]:
    report = TrajectoryProcessor(config).process_files(inputs, target)
    rejects = target.with_name(f"{target.stem}.rejected.jsonl")
    return pq.read_table(target), report, rejects.read_text(encoding="utf-8").splitlines()


def of_cluster(output: Path) -> tuple[pa.Table, dict[str, Any], list[str]]:
    rows = pa.concat_tables([pq.read_table(file) for file in sorted(output.glob("data-*.parquet"))])
    rejects = (output / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return rows, json.loads((output / "report.json").read_text(encoding="utf-8")), rejects


def same(cluster: tuple[pa.Table, dict[str, Any], list[str]], one: tuple[pa.Table, dict[str, Any], list[str]]) -> bool:
    """Rows in their order with all columns, the report but for time and shards, and the rejects in their order."""
    assert cluster[0].schema.equals(one[0].schema, check_metadata=True)
    for name in one[0].column_names:
        assert cluster[0].column(name).combine_chunks().equals(one[0].column(name).combine_chunks()), name
    assert cluster[1].keys() == one[1].keys()
    for name in one[1].keys() - {"speed", "shards"}:
        assert json.dumps(cluster[1][name]) == json.dumps(one[1][name]), name  # the order of names too
    assert cluster[2] == one[2]
    return True
