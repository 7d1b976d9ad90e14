"""Load a processed dataset from its folder, Parquet or JSONL, with the types that it was written with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from datasets import Dataset, Features, load_dataset, load_from_disk
from datasets.exceptions import DatasetGenerationError

from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import InputError

EXPECTED = "expected a dataset folder, .parquet or .jsonl that `process` wrote"


def read_rows(path: Path) -> Any:
    """Load a processed dataset; what a file holds is seen from its content, not from its name.

    Args:
        path: A dataset folder, a Parquet file, a JSONL file, or a folder of Parquet files.

    Returns:
        A `Dataset` with the columns of `SAD_FEATURES` that are there.

    Raises:
        InputError: Nothing is there, or it is none of these, or it is damaged.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; {EXPECTED}")
    try:
        with quiet():
            return _load(path)
    except (DatasetGenerationError, pa.ArrowException, OSError, ValueError, KeyError) as error:
        cause = error.__cause__ if isinstance(error, DatasetGenerationError) and error.__cause__ else error
        if isinstance(cause, InputError):
            raise cause from None
        problem = " ".join(str(cause).split()) or type(cause).__name__
        raise InputError(f"{path} cannot be read: {problem}; {EXPECTED}") from None


def _load(path: Path) -> Any:
    if path.is_dir() and (path / "state.json").exists():
        return load_from_disk(str(path))
    parquet = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if _first_bytes(path, 4) == b"PAR1" else []
    if parquet and not sum(pq.read_metadata(file).num_rows for file in parquet):
        return Dataset(pq.read_table(parquet[0]))  # `datasets` refuses to load a split without rows
    if parquet:
        return load_dataset("parquet", data_files=[str(file) for file in parquet], split="train")
    if path.is_dir():
        raise InputError(f"{path}: {EXPECTED}, got a folder with neither")
    return load_jsonl(path)


def _first_bytes(path: Path, n: int) -> bytes:
    with path.open("rb") as file:
        return file.read(n)


def load_jsonl(path: Path) -> Dataset:
    """Load rows from JSONL with their exact types (the generic reader would make every mask int64).

    The cache is keyed by the content of the file: `datasets` would serve a changed file from it.
    """
    first = next(jsonl_rows(str(path), ""), None)
    if first is None:
        return Dataset(SAD_FEATURES.arrow_schema.empty_table())
    features = Features({name: kind for name, kind in SAD_FEATURES.items() if name in first})
    if not features:
        raise InputError(f"{path}:1: {EXPECTED}, got an object with the keys {', '.join(map(repr, list(first)[:12]))}")
    content = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    source = {"path": str(path), "digest": content.hexdigest()}
    return Dataset.from_generator(jsonl_rows, features=features, gen_kwargs=source, keep_in_memory=False)


def jsonl_rows(path: str, digest: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file; `digest` is there for the cache key alone.

    Raises:
        InputError: A line is not UTF-8 or holds no object.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}:{number}: expected a JSON object a line, got {error}; {EXPECTED}") from None
            if not isinstance(row, dict):
                raise InputError(
                    f"{path}:{number}: expected a JSON object a line, got {type(row).__name__}; {EXPECTED}"
                )
            yield row
