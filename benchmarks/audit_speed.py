"""Tokens per CPU-second and peak memory of the audit, on Arrow rows of tool conversations.

    python benchmarks/audit_speed.py [--rows 2000 100000]

Each number of rows is audited in a process of its own; memory that does not grow with the rows shows that they stream.
Loading the tokenizer is timed apart.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

MODEL = "Qwen/Qwen3-8B"
WORDS = "the parser reads each line of a file and keeps what it found in order for later"
WORD_LIST = WORDS.split(" ")


def conversation(rng: random.Random, turns: int) -> str:
    """A conversation of reasoning, calls and results of about 170 tokens a turn."""

    def prose(n: int) -> str:
        return " ".join(rng.choice(WORD_LIST) for _ in range(n))

    parts = [f"<|im_start|>system\n{prose(40)}<|im_end|>\n<|im_start|>user\n{prose(30)}<|im_end|>\n"]
    for _ in range(turns):
        call = json.dumps(
            {"name": "read_file", "arguments": {"path": f"src/{prose(1)}.py", "limit": rng.randrange(999)}}
        )
        parts.append(
            f"<|im_start|>assistant\n<think>\n{prose(40)}\n</think>\n\n<tool_call>\n{call}\n</tool_call><|im_end|>\n"
        )
        parts.append(f"<|im_start|>user\n<tool_response>\n{prose(70)}\n</tool_response><|im_end|>\n")
    return "".join([*parts, f"<|im_start|>assistant\n{prose(30)}<|im_end|>\n"])


def write_rows(path: Path, n_rows: int) -> None:
    """An Arrow stream of rows; 200 conversations, told apart by one word, are used again."""
    from deepcoder_hf.tokens.load import load_backend

    rng = random.Random(0)
    backend, _ = load_backend(MODEL)
    texts = [conversation(rng, rng.randrange(4, 16)) for _ in range(200)]
    ids = [np.array(encoding.ids, np.int32) for encoding in backend.encode_batch(texts, add_special_tokens=False)]
    schema = pa.schema({"input_ids": pa.list_(pa.int32()), "labels": pa.list_(pa.int64())})
    with pa.ipc.new_stream(str(path), schema) as writer:
        for begin in range(0, n_rows, 200):
            batch = []
            for number in range(begin, min(begin + 200, n_rows)):
                one = ids[number % 200].copy()
                one[4], one[5] = 1000 + number % 997, 2000 + number // 997
                batch.append(one)
            columns = [pa.array(batch, schema.field(0).type), pa.array(batch, schema.field(1).type)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def measure(path: Path) -> None:
    """Audit a file in this process and print its figures."""
    from deepcoder_hf.audit.run import audit_dataset, turn_reader

    begin = time.process_time()
    reader = turn_reader(MODEL)
    loaded = time.process_time()
    report = audit_dataset(path, reader)
    seconds = time.process_time() - loaded
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed = report["tokens"] / seconds / 1e6
    print(
        f"{report['rows']:>8,} rows {report['tokens']:>12,} tokens  {speed:5.2f} M tokens/CPU-s"
        f"  (tokenizer {loaded - begin:.2f} s)  peak {peak:,.0f} MiB  findings {len(report['findings'])}"
    )


def main(rows: list[int]) -> None:
    """Write the rows and audit them."""
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in rows:
            path = Path(folder) / f"{n_rows}.arrow"
            write_rows(path, n_rows)
            subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True)
            path.unlink()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, nargs="+", default=[2_000, 100_000])
    arguments.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        measure(given.measure)
    else:
        main(given.rows)
