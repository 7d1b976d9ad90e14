"""Wall time and cost of a cluster run, worked out from figures that are measured here.

    python benchmarks/cluster_cost.py [--trajectories 10000000] [--nodes 16] [--cores 32] [--price 1.60]

Measured, for texts (corpus.py) and for tool conversations (conversation_speed.py): what a worker needs to start, its
CPU-seconds for a trajectory, bytes read and written, planning a gigabyte of input, merging a shard and a row. Then the
sum for so many trajectories on so many nodes, and the same sum for a run with two workers on this machine beside the
time that it really takes. Assumed: a core is as fast as one here, all run at once, the queue is empty, and each node
reads and writes shared storage at --node-rate.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import conversation_speed
from corpus import default_steps, write_corpus

from deepcoder_hf.cluster import run_cluster
from deepcoder_hf.cluster.merge import merge_shards
from deepcoder_hf.cluster.plan import make_plan, read_plan, write_plan
from deepcoder_hf.config import Config
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.settings import load_config

ONE_SHARD = 1 << 40
N_LINKED = 250
PLAN_BYTES = 1 << 29
WORKER = """
import sys, time, os
from deepcoder_hf.cluster.steps import ShardStep
ShardStep(sys.argv[2]).run()
started, cpu = time.time() - float(sys.argv[1]), sum(os.times()[:4])
ShardStep(sys.argv[3]).run()
print(started, cpu, sum(os.times()[:4]) - cpu, time.time() - float(sys.argv[1]) - started)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind of trajectory costs; seconds of one core."""

    name: str
    tokens: float
    """Tokens a trajectory."""
    start_s: float
    """Wall seconds from nothing to a worker that has processed its first 20 records."""
    cpu_s: float
    """CPU-seconds a trajectory."""
    read_bytes: float
    written_bytes: float
    row_bytes: float
    plan_s: float
    """Seconds a byte of input."""
    merge_shard_s: float
    merge_row_s: float
    rows: float
    """Rows a trajectory."""


def run_worker(small: Path, large: Path, config: Config, folder: Path) -> tuple[list[float], dict[str, Any]]:
    """Start a worker that does a small shard and then a large one; returns its figures and the large one's report."""
    outs = [folder / "small", folder / "large"]
    for file, out in zip((small, large), outs, strict=True):
        settings = {"executor": "slurm", "slurm": {"partition": "any"}, "submit": False, "shard_bytes": ONE_SHARD}
        run_cluster(file, out, config, **settings)
    words = [sys.executable, "-c", WORKER, str(time.time()), *map(str, outs)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    for out in outs:
        merge_shards(read_plan(out), out)
    figures = [float(word) for word in done.stdout.split()]
    return figures, merge_shards(read_plan(outs[1]), outs[1])


def merge_seconds(output: Path, folder: Path) -> tuple[float, int]:
    """Seconds to merge one shard N_LINKED times, and its rows."""
    plan = read_plan(output)
    many = replace(plan, shards=plan.shards * N_LINKED)
    (folder / "shards").mkdir(parents=True)
    write_plan(many, folder)
    for number in range(N_LINKED):
        for name in ("rows", "rejects", "report"):
            os.link(output / plan.names(0)[name], folder / many.names(number)[name])
    began = time.perf_counter()
    report = merge_shards(many, folder)
    return time.perf_counter() - began, report["n_rows"]


def plan_seconds(file: Path, config: Config, folder: Path) -> float:
    """Seconds to plan a byte of input (read from memory: its pages are cached)."""
    content = file.read_bytes()
    big = folder / "big.jsonl"
    with big.open("wb") as written:
        for _ in range(PLAN_BYTES // len(content)):
            written.write(content)
    began = time.perf_counter()
    make_plan(find_files(big), config, 128 << 20)
    seconds = (time.perf_counter() - began) / big.stat().st_size
    big.unlink()
    return seconds


def measure(name: str, small: Path, large: Path, config: Config, folder: Path) -> Measured:
    """All figures of one kind of trajectory."""
    figures, report = run_worker(small, large, config, folder)
    small_s, _ = merge_seconds(folder / "small", folder / "linked-small")
    large_s, n_rows = merge_seconds(folder / "large", folder / "linked-large")
    written = sum(file.stat().st_size for file in (folder / "large").glob("*.parquet"))
    side = sum(file.stat().st_size for file in (folder / "large" / "shards").iterdir())
    n = report["n_read"]
    return Measured(
        name=name,
        tokens=report["tokens"]["total"] / n,
        start_s=figures[0],
        cpu_s=figures[2] / n,
        read_bytes=large.stat().st_size / n,
        written_bytes=(written + side) / n,
        row_bytes=written / report["n_rows"],
        plan_s=plan_seconds(large, config, folder),
        merge_shard_s=small_s / N_LINKED,
        merge_row_s=max(large_s - small_s, 0.0) / n_rows,
        rows=report["n_rows"] / n,
    )


def seconds_of(m: Measured, given: argparse.Namespace) -> dict[str, float]:
    """Wall seconds of each part of a run; a wave lasts as long as a whole shard."""
    n, rate = given.trajectories, given.node_rate * 1e6
    shards = math.ceil(n * m.read_bytes / given.shard_bytes)
    waves = math.ceil(shards / (given.nodes * given.cores))
    moved = n * (m.read_bytes + m.written_bytes) / (rate * given.nodes)
    return {
        "shards": shards,
        "plan": n * m.read_bytes * max(m.plan_s, 1 / rate),
        "process": max(waves * (m.start_s + n / shards * m.cpu_s), moved),
        "merge": m.start_s + shards * m.merge_shard_s + n * m.rows * m.merge_row_s,
    }


def show(m: Measured, given: argparse.Namespace) -> None:
    """Print the figures and the sum."""
    n, parts = given.trajectories, seconds_of(m, given)
    wall = parts["plan"] + parts["process"] + parts["merge"]
    money = given.nodes * given.price * wall / 3600
    per_token = m.row_bytes * m.rows / m.tokens
    for name, value in (
        (f"{m.name}, a trajectory", f"{m.tokens:,.0f} tokens, {m.read_bytes:,.0f} bytes read"),
        ("tokens per CPU-second of a worker", f"{m.tokens / m.cpu_s:,.0f}"),
        ("start of a worker", f"{m.start_s:.1f} s"),
        ("written", f"{m.row_bytes:,.0f} bytes a row, {per_token:.2f} a token"),
        ("planning", f"{m.plan_s * 1e9:.2f} s a GB of input"),
        ("merging", f"{m.merge_shard_s * 1e3:.1f} ms a shard, {m.merge_row_s * 1e6:.2f} s a million rows"),
        ("trajectories", f"{n:,} in {parts['shards']:,} shards, {given.nodes} nodes of {given.cores} cores"),
        ("work", f"{n * m.cpu_s / 3600:.1f} CPU-hours"),
        ("data", f"{n * m.read_bytes / 1e9:.0f} GB in, {n * m.written_bytes / 1e9:.0f} GB out"),
        ("wall", f"plan {parts['plan']:.0f} s, shards {parts['process']:.0f} s, merge {parts['merge']:.0f} s"),
        ("together", f"{wall / 60:.1f} min, {money:.2f} at {given.price:.2f} a node-hour"),
    ):
        print(f"{name:<36}{value}")


def check(m: Measured, file: Path, config: Config, folder: Path, n: int) -> None:
    """A run with two workers here beside the sum that says how long it takes."""
    shard_bytes = file.stat().st_size // 8
    began = time.perf_counter()
    run_cluster(file, folder / "check", config, workers=2, shard_bytes=shard_bytes, tasks=2)
    took = time.perf_counter() - began
    # two tasks, each of which starts once and does half
    told = m.start_s + n / 2 * m.cpu_s + 8 * m.merge_shard_s + file.stat().st_size * m.plan_s
    print(f"{'here, 2 workers':<36}{n:,} trajectories: worked out {told:.1f} s, took {took:.1f} s")
    print(f"{'load of this machine':<36}{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=10_000_000)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--cores", type=int, default=32, help="of a node")
    parser.add_argument("--price", type=float, default=1.60, help="of a node-hour, in any currency")
    parser.add_argument("--shard-bytes", type=int, default=128 << 20)
    parser.add_argument("--node-rate", type=float, default=500, help="MB/s that a node reads and writes")
    parser.add_argument("--n", type=int, default=8000, help="texts to measure with; conversations are a quarter")
    parser.add_argument("--tokenizer", default="", help="tokenizer with its chat template; default: that of the config")
    parser.add_argument("--steps", type=Path, default=default_steps())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        os.environ["FASTOKENS_BPE_THREADS"] = "1"
        tokens = {"max_length": 1_000_000} | ({"model_name": given.tokenizer} if given.tokenizer else {})
        config = load_config({"tokens": tokens})
        for name in ("texts", "tool conversations"):
            folder = root / name.replace(" ", "-")
            folder.mkdir()
            large, small, n = folder / "large.jsonl", folder / "small.jsonl", given.n
            if name == "texts":
                write_corpus(given.steps, n, large, recur=False)
            else:
                n = conversation_speed.N = given.n // 4
                conversation_speed.write_conversations([given.steps], config, large)
            lines = large.read_bytes().splitlines(keepends=True)
            small.write_bytes(b"".join(lines[:20]))
            measured = measure(name, small, large, config, folder)
            show(measured, given)
            check(measured, large, config, folder, len(lines))


if __name__ == "__main__":
    main()
