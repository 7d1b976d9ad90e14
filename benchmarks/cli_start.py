"""CPU-seconds of `deepcoder-hf --help`: median of new processes."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys


def main(runs: int = 15) -> None:
    seconds = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "deepcoder_hf", "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(f"deepcoder-hf --help: median {statistics.median(seconds):.3f} CPU-s of {runs} runs")


if __name__ == "__main__":
    main()
