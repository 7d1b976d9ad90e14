"""What somebody names as their dataset -> a `Bundle`: rows by split, checked column by column, and the run's report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.load import read_rows
from deepcoder_hf.errors import InputError, PublishError, SchemaError
from deepcoder_hf.publish.bundle import Bundle

OPTIONAL_COLUMNS = frozenset({"token_weights", "teacher_topk_ids", "teacher_topk_logprobs", "teacher_logprobs"})
"""Columns that may stand beside those of `SAD_FEATURES`; others are unknown to the scan and do not leave."""
SPLIT = re.compile(r"\w+(\.\w+)*")
_SHARD = re.compile(r"(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}\.parquet")
EXPECTED = "expected a folder, .parquet or .jsonl that `process` wrote, a Dataset, a DatasetDict or a mapping of splits"


def load_bundle(dataset: str | Path | Dataset | DatasetDict | Mapping[str, Any]) -> Bundle:
    """Load what is to be published and check its columns.

    Args:
        dataset: A processed folder, a folder with one such folder a split, a folder of Parquet shards named
            `<split>-00000-of-00001.parquet`, a Parquet or JSONL file, a `Dataset`, or splits by name, each any of
            these. A single dataset without a split's name is `train`.

    Returns:
        The rows by split, and the `report.json` beside them where there is exactly one.

    Raises:
        InputError: Nothing is there, or it is none of these.
        SchemaError: A column is missing, has another type, or is not known.
        PublishError: A split's name is not one that `datasets` takes, or there is no row at all.
    """
    splits, reports = _load(dataset)
    for split, rows in splits.items():
        if not SPLIT.fullmatch(split):
            raise PublishError(f"split {split!r}: expected a name of letters, digits and _, such as train")
        check_columns(rows, split)
    if not sum(map(len, splits.values())):
        raise PublishError("the dataset has no rows: there is nothing to publish")
    if len({tuple(sorted(rows.column_names)) for rows in splits.values()}) > 1:
        raise SchemaError(f"the splits {', '.join(splits)} have different columns: expected the same in each")
    return Bundle({name: rows for name, rows in splits.items() if len(rows)}, reports[0] if len(reports) == 1 else {})


def check_columns(rows: Dataset, split: str) -> None:
    """Make sure that rows have the columns of `SAD_FEATURES`, with their types, and none that is not known.

    Raises:
        SchemaError: They do not; the message lists every difference.
    """
    problems = [f"{name} is missing" for name in SAD_FEATURES if name not in rows.features]
    for name, kind in rows.features.items():
        if name not in SAD_FEATURES:
            problems += [] if name in OPTIONAL_COLUMNS else [f"{name} is not known (remove it with remove_columns)"]
        elif kind != SAD_FEATURES[name]:
            problems.append(f"{name} should be {SAD_FEATURES[name]}, got {kind}")
    if problems:
        raise SchemaError(f"split {split}: expected the columns of a SAD dataset: {'; '.join(problems)}")


def _load(dataset: Any) -> tuple[dict[str, Dataset], list[dict[str, Any]]]:
    """Rows by split, and every report that stands beside them."""
    if isinstance(dataset, str | Path):
        return _from_path(Path(dataset))
    if isinstance(dataset, Dataset):
        return {str(dataset.split or "train"): dataset}, []
    if isinstance(dataset, IterableDataset | IterableDatasetDict):
        raise InputError(f"{EXPECTED}, got an {type(dataset).__name__}: write it to disk first")
    if not isinstance(dataset, Mapping) or not dataset:
        raise InputError(f"{EXPECTED}, got {type(dataset).__name__}")
    splits: dict[str, Dataset] = {}
    reports: list[dict[str, Any]] = []
    for name, part in dataset.items():
        found, beside = _load(part)
        if len(found) != 1:
            raise InputError(f"split {name}: expected one dataset, got the splits {', '.join(found)}")
        splits[str(name)] = next(iter(found.values()))
        reports += beside
    return splits, reports


def _from_path(path: Path) -> tuple[dict[str, Dataset], list[dict[str, Any]]]:
    parts = _parts(path) if path.is_dir() else {}
    if not parts:
        return {"train": read_rows(path)}, _reports(path)
    splits: dict[str, Dataset] = {}
    reports = _reports(path)
    for name, files in parts.items():
        if isinstance(files, Path):
            splits[name] = read_rows(files)
            reports += _reports(files)
        else:
            splits[name] = _read_shards(files)
    return splits, reports


def _parts(folder: Path) -> dict[str, Path | list[Path]]:
    """Splits of a folder that holds several: folders by name, or shards of Parquet."""
    if (folder / "state.json").exists():
        return {}
    inner = {child.name: child for child in sorted(folder.iterdir()) if (child / "state.json").exists()}
    if inner:
        return dict(inner)
    shards: dict[str, Path | list[Path]] = {}
    for file in sorted(folder.glob("*.parquet")):
        if (named := _SHARD.fullmatch(file.name)) is None:
            return {}
        found = shards.setdefault(named["split"], [])
        assert isinstance(found, list)
        found.append(file)
    return shards


def _read_shards(files: list[Path]) -> Dataset:
    """Shards of one split, in the order of their names."""
    from datasets import concatenate_datasets

    return concatenate_datasets([read_rows(file) for file in files])


def _reports(path: Path) -> list[dict[str, Any]]:
    """The report of the run that wrote an output, where it stands in its place."""
    file = path / "report.json" if path.is_dir() else path.with_name(f"{path.stem}.report.json")
    if not file.is_file():
        return []
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected the JSON report of a run, got {error}; remove it or repair it") from None
    if not isinstance(report, dict):
        raise InputError(f"{file}: expected a JSON object, got {type(report).__name__}; remove it or repair it")
    return [report]
