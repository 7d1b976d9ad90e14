"""Speed of span detection: seconds per byte on hostile inputs, and megabytes per CPU-second on real text.

python benchmarks/span_speed.py [FILE.jsonl]     # records with a field `text`, or one text a line
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deepcoder_hf.spans.detector import SpanDetector

HOSTILE = {
    "unclosed <think>": "<think>",
    "<think> lines": "<think>\n",
    "backticks": "`",
    "fences": "```\n",
    "braces": "{",
    "Action: lines": "Action:\n",
    "orphan </think>": "a</think>\n",
    "unclosed <tool_call>": "<tool_call>\n",
}


def cpu_seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The least CPU time of several runs."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return best


def hostile(detector: SpanDetector) -> None:
    print(f"{'input':24}{'ns/byte 100 kB':>16}{'ns/byte 10 MB':>16}{'ratio':>8}")
    for name, unit in HOSTILE.items():
        costs = []
        for size in (100_000, 10_000_000):
            text = unit * (size // len(unit))
            seconds = cpu_seconds(lambda text=text: detector.detect(text), 3 if size < 1_000_000 else 1)  # type: ignore[misc]
            costs.append(1e9 * seconds / len(text))
        print(f"{name:24}{costs[0]:16.1f}{costs[1]:16.1f}{costs[1] / costs[0]:8.2f}")
    text = "<think>" * 200_000 + "</think>" * 200_000
    print(f"200,000 nested tags: {cpu_seconds(lambda: detector.detect(text), 1):.2f} s")


def real(detector: SpanDetector, path: Path) -> None:
    texts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line) if line.startswith("{") else line
        texts.append(record["text"] if isinstance(record, dict) else record)
    megabytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6
    batches = [texts[at : at + 100] for at in range(0, len(texts), 100)]
    batched = cpu_seconds(lambda: [detector.detect_batch(batch) for batch in batches])
    single = cpu_seconds(lambda: [detector.detect(text) for text in texts])
    print(f"{path.name}: {len(texts)} texts, {megabytes:.1f} MB")
    print(f"detect_batch {megabytes / batched:.1f} MB/CPU-s, detect {megabytes / single:.1f} MB/CPU-s")


if __name__ == "__main__":
    built = SpanDetector()
    hostile(built)
    if len(sys.argv) > 1:
        real(built, Path(sys.argv[1]))
