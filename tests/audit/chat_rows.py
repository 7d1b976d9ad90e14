"""Rows as a preparation would write them: text pieces, of which some are trained, tokenised as one."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from deepcoder_hf.audit.run import audit_dataset, turn_reader
from deepcoder_hf.audit.turns import TurnReader
from deepcoder_hf.tokens.load import load_backend

QWEN3 = "Qwen/Qwen3-8B"
Row = dict[str, Any]

SYSTEM = "<|im_start|>system\nYou repair Python projects. Tools run in the repository.<|im_end|>\n"
ASK = "<|im_start|>user\nThe date parser fails on leap years, please fix it.<|im_end|>\n"
HEADER = "<|im_start|>assistant\n"
THINK = "<think>\nThe year 1900 is not a leap year; let me read the rule first.\n</think>\n\n"
EMPTY = "<think>\n\n</think>\n\n"
CALL = '<tool_call>\n{"name": "read_file", "arguments": {"path": "dates.py"}}\n</tool_call>'
STOP = "<|im_end|>"
RESULT = "<|im_start|>user\n<tool_response>\ndef is_leap(year): return year % 4 == 0\n</tool_response><|im_end|>\n"
DONE = "I added the century rule to is_leap and the tests pass."


@lru_cache(maxsize=8)
def backend(name: str = QWEN3) -> Any:
    return load_backend(name)[0]


@lru_cache(maxsize=8)
def reader(name: str) -> TurnReader:
    return turn_reader(name)


def row(*pieces: str | tuple[str, int], tokenizer: str = QWEN3) -> Row:
    """A row of pieces; `(text, 1)` is trained, a bare text is not."""
    parts = [(piece, 0) if isinstance(piece, str) else piece for piece in pieces]
    encoding = backend(tokenizer).encode("".join(text for text, _ in parts), add_special_tokens=False)
    is_trained = [flag for text, flag in parts for _ in text]
    labels = [
        number if is_trained[start] else -100 for number, (start, _) in zip(encoding.ids, encoding.offsets, strict=True)
    ]
    return {"input_ids": list(encoding.ids), "labels": labels, "attention_mask": [1] * len(labels)}


def good() -> Row:
    """A conversation of two assistant turns, trained as it should be."""
    return row(SYSTEM, ASK, HEADER, (THINK + CALL + STOP, 1), "\n", RESULT, HEADER, (THINK + DONE + STOP, 1), "\n")


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def audit(folder: Path, *rows: Row, tokenizer: str = QWEN3, **limits: Any) -> dict[str, Any]:
    """The report of rows."""
    return audit_dataset(write(folder / "rows.jsonl", list(rows)), reader(tokenizer), **limits)


def found(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Findings by their code."""
    return {finding["code"]: finding for finding in report["findings"]}
