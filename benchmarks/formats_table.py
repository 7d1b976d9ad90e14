"""What a folder of trajectories holds and what becomes of it: one line a format, as a Markdown table.

    python benchmarks/formats_table.py [FOLDER] [--model TOKENIZER] [--json]

Records, trajectories, rows, and the records that gave no row with their reasons; characters of the source as the
reader gave them. `lost` is the share of the source's text that is in no row (`ledger.loss_ratio` of the report).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from corpus import default_steps

from deepcoder_hf import TrajectoryProcessor


def measure(folder: Path, model: str) -> dict[str, Any]:
    """The report of a run over a folder, and its rejects."""
    with tempfile.TemporaryDirectory() as out:
        processor = TrajectoryProcessor({"tokens": {"model_name": model}})
        report = processor.process_files(folder, Path(out, "sad"))
        lines = Path(out, "sad", "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return {"report": report, "rejects": [{**json.loads(line), "record": None} for line in lines]}


def table(report: dict[str, Any]) -> list[str]:
    """Markdown lines."""
    lines = [
        "| format | records | rows | without a row | reasoning | action | observation | answer |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    kinds = ("reasoning", "action", "observation", "answer")
    sums = dict.fromkeys(("records", "rows", "none", *kinds), 0)
    for name, counts in report["formats"].items():
        none = counts.get("n_failed", 0) + counts.get("n_dropped", 0)
        chars = {kind: counts.get(f"{kind}_chars", 0) for kind in kinds}
        line = {"records": counts.get("records", 0), "rows": counts.get("rows", 0), "none": none, **chars}
        sums = {key: sums[key] + value for key, value in line.items()}
        lines.append(f"| `{name}` | " + " | ".join(f"{value:,}" for value in line.values()) + " |")
    lines.append("| all | " + " | ".join(f"{value:,}" for value in sums.values()) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_steps())
    parser.add_argument("--model", default="Qwen/Qwen3-0.6B")
    parser.add_argument("--json", action="store_true", help="print the report and the rejects instead")
    given = parser.parse_args()
    found = measure(given.folder, given.model)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    report = found["report"]
    print("\n".join(table(report)))
    reasons = {reason: n for counts in report["reasons"].values() for reason, n in counts.items()}
    print(f"\n{report['n_read']:,} records, {report['n_trajectories']:,} trajectories, {report['n_rows']:,} rows")
    print(f"without a row: {', '.join(f'{reason} {n}' for reason, n in reasons.items()) or 'none'}")
    print(f"lost: {report['ledger']['loss_ratio']:.4%}; rows valid: {report['format_validation']['rate']:.2%}")


if __name__ == "__main__":
    main()
