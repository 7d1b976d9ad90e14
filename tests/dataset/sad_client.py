"""A process that loads with load_sad and prints what it got: one JSON line for each call in its argument."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Call = dict[str, Any]


def loaded(env: dict[str, str], *calls: Call) -> list[dict[str, Any]]:
    """Make the calls in a new process with this environment."""
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps(calls)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def cached(home: str) -> dict[str, int]:
    """Arrow files of a cache with the time of their last change."""
    return {str(path): path.stat().st_mtime_ns for path in Path(home).rglob("*.arrow")}


def described(found: Any) -> dict[str, Any]:
    """What a test compares: kind, splits, columns, ids, a digest of all values, and whether the types are ours."""
    from deepcoder_hf.dataset.features import SAD_FEATURES

    if isinstance(found, dict):
        return {"kind": type(found).__name__, "splits": {name: described(rows) for name, rows in found.items()}}
    rows = list(found)
    typed = all(kind == found.features[name] for name, kind in SAD_FEATURES.items() if name in found.features)
    return {
        "kind": type(found).__name__,
        "columns": list(found.features),
        "typed": typed,
        "ids": [row.get("trajectory_id") for row in rows],
        "digest": hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
    }


def main() -> None:
    """Load and print."""
    from deepcoder_hf.dataset.sad import load_sad

    home = os.environ["HF_HOME"]
    for call in json.loads(sys.argv[1]):
        before = cached(home)
        try:
            result = described(load_sad(call.pop("source"), **call))
        except Exception as error:
            result = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps({**result, "written": sorted(set(cached(home).items()) - set(before.items()))}), flush=True)


if __name__ == "__main__":
    main()
