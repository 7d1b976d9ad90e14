"""Round trip of many rows: written as published shards and read in another process, equal to the last bit, memory flat.

Run: python benchmarks/publish_roundtrip.py [ROWS] [TOKENS]; it prints one line of JSON. Memory is anonymous memory
(RssAnon of Linux): pages of the mapped Arrow file count as resident too, but the kernel takes them back.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

BATCH_ROWS = 500


class AnonymousMemory:
    """The largest anonymous memory of this process within a block, in MiB, looked at 20 times a second."""

    def __init__(self) -> None:
        self.before = self.peak = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> AnonymousMemory:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now() -> int:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) // 1024 if found else 0


def made_rows(first: int, n_rows: int, n_tokens: int) -> pa.Table:
    """Rows with every column of the features, drawn from a seed of their number; one row in seven has null text."""
    from deepcoder_hf.dataset.features import sad_schema

    random = np.random.default_rng(first)
    columns: dict[str, Any] = {}
    for field in sad_schema():
        if pa.types.is_list(field.type) and pa.types.is_integer(field.type.value_type):
            limit = 150_000 if field.type.value_type == pa.int32() else 2
            values = pa.array(random.integers(0, limit, n_rows * n_tokens), pa.int64()).cast(field.type.value_type)
            offsets = pa.array(np.arange(0, n_rows * n_tokens + 1, n_tokens, dtype=np.int32))
            columns[field.name] = pa.ListArray.from_arrays(offsets, values).cast(field.type)
        else:
            columns[field.name] = pa.array([_value(field.type, first + row) for row in range(n_rows)], field.type)
    return pa.table(columns, schema=sad_schema())


def _value(kind: pa.DataType, number: int) -> Any:
    if pa.types.is_struct(kind):
        return {field.name: _value(field.type, number) for field in kind}
    if pa.types.is_list(kind):
        return [_value(kind.value_type, number + part) for part in range(8)]
    if pa.types.is_string(kind):
        return None if number % 7 == 0 else f"row {number}: naïve 🙂 " * 20
    return number % 100 if pa.types.is_integer(kind) else number / 7


def digest(tables: Iterable[pa.Table]) -> str:
    """One hash over all values, batch by batch, whatever the chunks."""
    whole = hashlib.sha256()
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
            flat = pa.Table.from_batches([pa.concat_batches(table.to_batches())]).replace_schema_metadata()
            writer.write_table(flat.take(pa.array(range(flat.num_rows), pa.int64())))
        whole.update(sink.getvalue())
    return whole.hexdigest()


def batches(dataset: Any) -> Iterator[pa.Table]:
    """The rows of a dataset, as tables."""
    yield from dataset.with_format("arrow").iter(batch_size=BATCH_ROWS)


def written(folder: Path, n_rows: int, n_tokens: int) -> dict[str, Any]:
    """Make an Arrow file of rows and write it as published shards."""
    from datasets import Dataset

    from deepcoder_hf.dataset.features import sad_schema
    from deepcoder_hf.publish.bundle import Bundle
    from deepcoder_hf.publish.parquet import write_parquet

    arrow = folder / "rows.arrow"
    with pa.ipc.new_stream(str(arrow), sad_schema()) as writer:
        for first in range(0, n_rows, BATCH_ROWS):
            writer.write_table(made_rows(first, min(BATCH_ROWS, n_rows - first), n_tokens))
    rows = Dataset.from_file(str(arrow))
    with AnonymousMemory() as memory:
        begin = time.perf_counter()
        shards = write_parquet(Bundle({"train": rows}), folder, "default")["train"]
        seconds = time.perf_counter() - begin
    return {
        "digest": digest(batches(rows)),
        "write_s": round(seconds, 1),
        "write_before_mb": memory.before,
        "write_peak_mb": memory.peak,
        "arrow_mb": arrow.stat().st_size // 10**6,
        "shard_mb": [path.stat().st_size // 10**6 for path in shards],
    }


def read(folder: Path) -> dict[str, Any]:
    """Load the shards with `load_dataset`."""
    from datasets import load_dataset

    from deepcoder_hf.dataset.features import SAD_FEATURES

    files = sorted(str(path) for path in (folder / "default").glob("*.parquet"))
    with AnonymousMemory() as memory:
        rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "cache"))
    return {"digest": digest(batches(rows)), "features": rows.features == SAD_FEATURES, "load_peak_mb": memory.peak}


def main() -> None:
    """Write and read in a process each, and compare."""
    if len(sys.argv) > 3:
        folder, n_rows, n_tokens = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
        print(json.dumps(written(folder, n_rows, n_tokens) if sys.argv[1] == "write" else read(folder)))
        return
    n_rows, n_tokens = (int(word) for word in (*sys.argv[1:], "100000", "500")[:2])
    with tempfile.TemporaryDirectory() as folder:
        words = [folder, str(n_rows), str(n_tokens)]
        found = [
            json.loads(subprocess.run([sys.executable, __file__, step, *words], check=True, capture_output=True).stdout)
            for step in ("write", "read")
        ]
    equal = found[0].pop("digest") == found[1].pop("digest")
    print(json.dumps({"rows": n_rows, "tokens": n_tokens, "equal": equal, **found[0], **found[1]}))


if __name__ == "__main__":
    main()
