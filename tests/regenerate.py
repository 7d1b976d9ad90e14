"""Write the golden files of the readers again: `python -m tests.regenerate [FORMAT ...]`, then review the diff.

For each `tests/data/<format>/raw.jsonl`, `expected.json` is the list of the trajectories of its records, without the
fields that are at their default.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from deepcoder_hf.readers import TrajectoryParser

DATA = Path(__file__).resolve().parent / "data"


def expected_text(raw: Path) -> str:
    """What `expected.json` beside a raw file must hold: ASCII JSON, because a surrogate is no UTF-8."""
    parser = TrajectoryParser()
    records = [json.loads(line) for line in raw.read_text(encoding="utf-8").splitlines()]
    trajectories = [_shown(found) for record in records for found in parser.parse_all(record)]
    return json.dumps(trajectories, indent=1, sort_keys=True) + "\n"


def _shown(value: Any) -> Any:
    """A dataclass as an object of what is not at its default; other values as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: _shown(item) for f, item in given if item != f.default and item != ()}
    return [_shown(item) for item in value] if isinstance(value, tuple | list) else value


def main() -> None:
    """Write the golden files of the formats that are named, or of all."""
    for raw in sorted(DATA.glob("*/raw.jsonl")):
        if sys.argv[1:] and raw.parent.name not in sys.argv[1:]:
            continue
        target = raw.with_name("expected.json")
        target.write_text(expected_text(raw), encoding="ascii")
        print(target)


if __name__ == "__main__":
    main()
