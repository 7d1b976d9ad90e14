"""The texts and task ids of benchmarks, from files that the user names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepcoder_hf.errors import InputError

TEXT_FIELDS = ("prompt", "text", "question", "problem", "problem_statement", "instruction", "description", "content")
"""Fields that hold a task, in HumanEval (`prompt`), MBPP (`text`, sanitized `prompt`), GSM8K, SWE-bench and their kin.

Solutions and tests are left out: thirteen words of a sorting loop are in many programs that never saw the benchmark."""
ID_FIELDS = ("task_id", "instance_id", "question_id", "problem_id")


def benchmark_texts(path: str | Path) -> list[str]:
    """Read a benchmark: JSON Lines, JSON, Parquet, or plain text (tasks divided by empty lines).

    Args:
        path: A file. A task id that is a mere number gets the name of the file before it: `gsm8k.jsonl` gives
            `gsm8k/11`, any file of MBPP `mbpp/11`.

    Returns:
        The tasks, and their ids where they have some.

    Raises:
        InputError: The file is not there, cannot be read, or holds no task.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"{file}: expected a benchmark file (JSONL, JSON, Parquet or text), found none")
    try:
        records = list(_records(file))
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: cannot be read as a benchmark: {error}") from None
    stem = "mbpp" if "mbpp" in file.name.lower() else file.name.partition(".")[0]
    texts = [text for record in records for text in _texts(record, stem)]
    if not texts:
        raise InputError(f"{file}: no task in it; expected records with one of {', '.join(TEXT_FIELDS)}")
    return texts


def _records(file: Path) -> Iterator[Any]:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()
        return
    text = file.read_text(encoding="utf-8")
    if file.suffix in (".jsonl", ".ndjson"):
        yield from (json.loads(line) for line in text.splitlines() if line.strip())
    elif file.suffix == ".json":
        data = json.loads(text)
        yield from data if isinstance(data, list) else data.values() if isinstance(data, dict) else [data]
    else:
        yield from (part.strip() for part in text.split("\n\n") if part.strip())


def _texts(record: Any, stem: str) -> Iterator[str]:
    if isinstance(record, str):
        yield record
    elif isinstance(record, Mapping):
        yield from (record[name] for name in TEXT_FIELDS if isinstance(record.get(name), str) and record[name].strip())
        for name in ID_FIELDS:
            value = record.get(name)
            if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
                yield f"{stem}/{value}"
            elif isinstance(value, str) and value:
                yield value
    elif isinstance(record, list):
        for one in record:
            yield from _texts(one, stem)
