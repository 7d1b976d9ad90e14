"""What `audit` says of real conversations that TRL itself prepared, one line a source and setting.

    python benchmarks/audit_trl.py [--conversations 20] [--data FOLDER] [--trl-python PYTHON]

TRL's SFTTrainer prepares the rows in a process of its own (`prepare_with_trl.py`), whose interpreter must have trl:
this one after `make bench`, or another one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from deepcoder_hf.audit.run import audit_dataset, turn_reader
from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

ROLES = {"agent": "assistant"}
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("webdancer", {}),
    ("webdancer", {"assistant_only_loss": True}),
    ("llamafactory", {"assistant_only_loss": True}),
    ("tau-bench", {}),
)
"""Sources, as folders of real trajectories, and settings of SFTConfig."""


def conversations(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """The trajectories of a folder as chat messages."""
    for file in find_files(folder):
        for raw in iter_records(file, ReadersConfig()):
            for trajectory in TrajectoryParser().parse_all(raw.record or {}):
                yield [message for step in trajectory.steps for message in _messages(step)]


def _messages(step: Any) -> Iterator[dict[str, Any]]:
    message: dict[str, Any] = {"role": ROLES.get(step.source, step.source), "content": step.message or ""}
    if step.tool_calls:
        message["tool_calls"] = [
            {"type": "function", "function": {"name": call.function_name, "arguments": json.loads(call.arguments)}}
            for call in step.tool_calls
        ]
    yield message
    for result in step.observations:
        yield {"role": "tool", "content": result.content}


def audited(source: Path, n: int, tokenizer: Path, python: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The audit of the first conversations of a source as TRL prepares them.

    Raises:
        RuntimeError: TRL failed; its last words are in the message.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [{"messages": one} for one in islice(conversations(source), n)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
        script = Path(__file__).with_name("prepare_with_trl.py")
        words = [python, script, folder / "rows.jsonl", tokenizer, folder / "out", "qwen3.jinja", json.dumps(settings)]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise RuntimeError(f"TRL failed: {done.stderr[-3000:]}")
        return audit_dataset(folder / "out", turn_reader(str(tokenizer)))


def line(report: dict[str, Any]) -> str:
    """Trained tokens, where they come from, and the findings."""
    trained = report["trained_tokens"]
    shares = [(name, counts["trained"] / trained) for name, counts in report["classes"].items() if counts["trained"]]
    classes = ", ".join(f"{name} {share:.1%}" for name, share in sorted(shares, key=lambda item: -item[1]))
    findings = "; ".join(_finding(found) for found in report["findings"])
    return f"trained {trained:,} of {report['tokens']:,} tokens: {classes}\n  {findings}"


def _finding(found: dict[str, Any]) -> str:
    details = ", ".join(f"{name}: {value}" for name, value in found["details"].items())
    return f"{found['code']} {found['n']:,} {found['unit']}" + (f" ({details})" if details else "")


def main() -> None:
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=20)
    parser.add_argument(
        "--data", type=Path, default=root, help="a folder with trajectories/SOURCE and tokenizers/qwen3"
    )
    parser.add_argument("--trl-python", default=os.environ.get("DEEPCODER_HF_TRL_PYTHON", sys.executable))
    given = parser.parse_args()
    tokenizer = given.data / "tokenizers" / "qwen3"
    if not tokenizer.is_dir():
        sys.exit(f"{tokenizer}: expected a folder with the Qwen3 tokenizer; name the folder of the data: --data")
    for source, settings in CASES:
        folder = given.data / "trajectories" / source
        try:
            report = audited(folder, given.conversations, tokenizer, given.trl_python, settings)
        except RuntimeError as error:
            sys.exit(str(error))
        print(f"{source}, {', '.join(settings) or 'default'}: {line(report)}", flush=True)


if __name__ == "__main__":
    main()
