"""Speed of span detection: megabytes per CPU-second on labelled texts, and seconds per byte on hostile inputs.

    python benchmarks/span_speed.py [FILE.jsonl]     # records with a field `text`; default tests/data/gold/gold.jsonl

Detection is linear where a byte of 10 MB costs no more than about a byte of 100 kB: the last column, at most 2. The row
of nested tags holds 200,000 of them, each closed again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deepcoder_hf.spans.detector import SpanDetector

GOLD = Path(__file__).resolve().parents[1] / "tests" / "data" / "gold" / "gold.jsonl"
SMALL, LARGE = 100_000, 10_000_000
"""Bytes of a hostile input."""
N_NESTED = 200_000
BATCH_CHARS = 1_000_000
UNITS = {
    "unclosed <think>": "<think>",
    "<think> lines": "<think>\n",
    "back-ticks": "`",
    "fences": "```\n",
    "{": "{",
    "[": "[",
    "{ lines": "{\n",
    "Action: lines": "Action:\n",
    "Action: lines with text": "Action: look\n",
    "unlisted labels": "Musing: a\nDoing: b\n",
    "orphan </think>": "a</think>\n",
    "unclosed <tool_call>": "<tool_call>\n",
    "unclosed unlisted tags": "<muse>\n",
    "unlisted tokens": "<|zorp|>",
    "prompts with output": "$ ls\na.py\n",
    "here-documents without end": "$ cat <<EOF\n",
    "cells of a notebook": "In [1]: x = 1\n",
    "steps of JSON": '{"thought": "a", "action": {"b": 1}}\n',
    "objects without end": '{"thought": "a"\n',
    "calls and paragraphs": "Action: ls\n\na\n\nb\n\n",
    "short paragraphs": "a\n\n",
    "escapes without end": '\\"',
    "indented cells": " In [1]: x = 1\n",
    "one line of closed calls": "a <tool_call>b</tool_call> c ",
    "examples and labels": "Examples: Thought: a\nUser: b\nAction: c\nObservation: d\n",
    "one line of words": "word ",
    "one line of a letter": "a",
    "one line of quoted markup": '"<think>" Action: ',
}
"""What is repeated up to the size."""
NESTED = {"nested <think>": "think", "nested unlisted tags": "step"}


def nested(name: str, n_tags: int) -> str:
    """Tags, one in the other, all closed."""
    return f"<{name}>" * n_tags + f"</{name}>" * n_tags


def cpu_seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The least CPU time of several runs."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return best


def hostile(detector: SpanDetector) -> None:
    """Print what a byte costs in a small and in a large input of each kind."""
    print(f"{'input':28}{'ns/byte, small':>16}{'large MB':>10}{'ns/byte, large':>16}{'ratio':>8}")
    inputs = {name: [unit * (size // len(unit)) for size in (SMALL, LARGE)] for name, unit in UNITS.items()}
    for name, tag in NESTED.items():
        inputs[name] = [nested(tag, n) for n in (SMALL // len(nested(tag, 1)), N_NESTED)]
    for name, (small, large) in inputs.items():
        costs = [
            1e9 * cpu_seconds(lambda t=text: detector.detect(t), n) / len(text) for text, n in ((small, 5), (large, 1))
        ]  # type: ignore[misc]
        print(f"{name:28}{costs[0]:16.1f}{len(large) / 1e6:10.1f}{costs[1]:16.1f}{costs[1] / costs[0]:8.2f}")


def labelled(detector: SpanDetector, path: Path) -> None:
    """Print the speed on the texts of a file, in batches of about a megabyte and one by one."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    texts = [record["text"] for record in records]
    batches: list[list[str]] = [[]]
    for text in texts:
        if sum(map(len, batches[-1])) >= BATCH_CHARS:
            batches.append([])
        batches[-1].append(text)
    megabytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6
    batched = cpu_seconds(lambda: [detector.detect_batch(batch) for batch in batches])
    single = cpu_seconds(lambda: [detector.detect(text) for text in texts])
    print(f"{path.name}: {len(texts):,} texts, {megabytes:.1f} MB")
    print(f"detect_batch {megabytes / batched:.1f} MB per CPU-second, detect {megabytes / single:.1f}\n")


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLD
    if not file.is_file():
        sys.exit(f"{file} does not exist; name a JSONL file whose records have a field `text`")
    built = SpanDetector()
    labelled(built, file)
    hostile(built)
