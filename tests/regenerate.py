"""Write the golden files of the readers again: `python -m tests.regenerate`, then review the diff.

For each `tests/data/<format>/raw.jsonl`, `expected.json` is the list of its records as trajectories.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from deepcoder_hf.readers import TrajectoryParser

DATA = Path(__file__).resolve().parent / "data"


def expected_text(raw: Path) -> str:
    """What `expected.json` beside a raw file must hold: ASCII JSON, because a surrogate is no UTF-8."""
    parser = TrajectoryParser()
    lines = raw.read_text(encoding="utf-8").splitlines()
    trajectories = [dataclasses.asdict(parser.parse(json.loads(line))) for line in lines]
    return json.dumps(trajectories, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write every golden file."""
    for raw in sorted(DATA.glob("*/raw.jsonl")):
        target = raw.with_name("expected.json")
        target.write_text(expected_text(raw), encoding="ascii")
        print(target)


if __name__ == "__main__":
    main()
