"""Peak anonymous memory (RssAnon) of `process`, sampled from outside, for a smaller and a larger corpus.

python benchmarks/memory.py [--sizes 20000 100000] [--num-proc N]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpus import default_steps, write_corpus

SAMPLE_S = 0.02


def rss_anon_bytes(pid: int) -> int:
    """RssAnon of a process and its children, from /proc."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "status").read_text()
        except OSError:
            continue
        parent = re.search(r"^PPid:\s+(\d+)", status, re.M)
        if int(folder.name) == pid or (parent and int(parent[1]) == pid):
            found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)
            total += int(found[1]) * 1024 if found else 0
    return total


def peak(corpus: Path, num_proc: int) -> tuple[int, float]:
    """Peak RssAnon in bytes and wall seconds of one `process` run with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "deepcoder_hf", "process", "-i", str(corpus), "-o", f"{folder}/sad"]
        command += ["--config", "qwen3", "--quiet", "--num-proc", str(num_proc)]
        began, highest = time.perf_counter(), 0
        with subprocess.Popen(
            command, env=os.environ | {"HF_DATASETS_CACHE": f"{folder}/cache"}, stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                highest = max(highest, rss_anon_bytes(process.pid))
                time.sleep(SAMPLE_S)
        if process.returncode:
            sys.exit(f"process failed with exit code {process.returncode}")
        return highest, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20_000, 100_000])
    parser.add_argument("--num-proc", type=int, default=1)
    parser.add_argument("--steps", type=Path, default=default_steps())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            corpus = Path(folder, f"{size}.jsonl")
            write_corpus(given.steps, size, corpus, recur=True)
            highest, seconds = peak(corpus, given.num_proc)
            megabytes = corpus.stat().st_size / 1e6
            print(
                f"{size:8,} trajectories ({megabytes:,.0f} MB): peak RssAnon {highest / 2**30:.2f} GiB, {seconds:.0f} s"
            )


if __name__ == "__main__":
    main()
