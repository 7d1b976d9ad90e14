"""Rows that hold the tasks of a benchmark: by 13-grams of words, and by task ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.errors import ConfigError
from deepcoder_hf.publish.bundle import Bundle

N_WORDS = 13
"""Words in a row that two texts share only if one was copied (GPT-3, arXiv 2005.14165, appendix C)."""
MIN_WORDS = 8
"""A task of fewer words than 13 is looked for as a whole, from this many on; a shorter one would be found anywhere."""
BATCH_ROWS = 64
TASK_ID = re.compile(r"[A-Za-z][\w.+-]*[/_-]\d+")
"""Such as `HumanEval/12`."""
_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
UInt64 = npt.NDArray[np.uint64]


def decontaminate(bundle: Bundle, benchmarks: Mapping[str, Sequence[str]]) -> tuple[Bundle, dict[str, int]]:
    """Take out the trajectories that hold a task of a benchmark.

    A row is a hit if `text` or `original_text` shares 13 words in a row with a text of the benchmark (words: runs of
    letters, digits and underscores, in lower case), or if its ids or metadata name a task id. With a row go
    the other windows of its trajectory.

    Args:
        bundle: Rows of a SAD dataset.
        benchmarks: Name -> texts and task ids (`benchmark_texts` reads them); a text like `HumanEval/12` is a task id.

    Returns:
        The bundle without hits, and for every benchmark the rows that it took out. Memory grows with the
        benchmarks, not with the rows; time with the words of the rows.

    Raises:
        ConfigError: A benchmark holds nothing that can be looked for.
    """
    indexes = {name: _Index(name, texts) for name, texts in benchmarks.items()}
    counts = dict.fromkeys(benchmarks, 0)
    splits = {}
    for split, dataset in bundle.splits.items():
        hit_by: dict[str, set[str]] = {}
        for row in _rows(dataset):
            names = {name for name, index in indexes.items() if index.is_in(row)}
            if names:
                hit_by.setdefault(row["trajectory_id"], set()).update(names)
        ids = dataset.select_columns(["trajectory_id"]).with_format(None)["trajectory_id"] if hit_by else []
        keep = []
        for number, trajectory_id in enumerate(ids):
            if trajectory_id not in hit_by:
                keep.append(number)
            for name in hit_by.get(trajectory_id, ()):
                counts[name] += 1
        splits[split] = dataset.select(keep) if hit_by else dataset
    return Bundle(splits, bundle.report), counts


def words_of(text: str) -> list[str]:
    """The words by which texts are compared."""
    return _WORD.findall(text.lower())


class _Index:
    """The n-grams and task ids of a benchmark.

    Args:
        name: Its name.
        texts: Its texts and task ids.
    """

    def __init__(self, name: str, texts: Sequence[str]) -> None:
        self._grams: dict[int, set[tuple[str, ...]]] = {}
        ids = [text for text in texts if TASK_ID.fullmatch(text.strip())]
        for text in texts:
            words = words_of(text)
            size = min(N_WORDS, len(words))
            if size >= MIN_WORDS:
                grams = self._grams.setdefault(size, set())
                grams.update(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
        if not self._grams and not ids:
            raise ConfigError(
                f"benchmark {name}: expected texts of at least {MIN_WORDS} words or task ids such as HumanEval/12, got "
                f"{len(texts)} texts with neither"
            )
        self._hashes = {
            size: np.unique(np.concatenate([_hashes(list(gram), size) for gram in grams]))
            for size, grams in self._grams.items()
        }
        self._ids = frozenset(_plain_id(one) for one in ids)

    def is_in(self, row: Mapping[str, Any]) -> bool:
        """Whether a row holds any of it."""
        if self._ids and any(_plain_id(one) in self._ids for one in row["task_ids"]):
            return True
        return any(self._shares(words, hashes) for words, hashes in row["words"])

    def _shares(self, words: list[str], hashes: Mapping[int, UInt64]) -> bool:
        for size, known in self._hashes.items():
            if size not in hashes:
                hashes[size] = _hashes(words, size)  # type: ignore[index]
            found = hashes[size]
            places = np.minimum(np.searchsorted(known, found), known.size - 1)
            for at in np.flatnonzero(known[places] == found):  # equal hashes: compare the words themselves
                if tuple(words[at : at + size]) in self._grams[size]:
                    return True
        return False


def _hashes(words: list[str], size: int) -> UInt64:
    """A hash of every `size` words in a row, uint64 [words - size + 1]; equal words, equal hashes (in one process)."""
    if len(words) < size:
        return np.zeros(0, np.uint64)
    single = np.fromiter((hash(word) & 0xFFFFFFFFFFFFFFFF for word in words), np.uint64, len(words))
    n_grams = single.size - size + 1
    made = np.zeros(n_grams, np.uint64)
    for offset in range(size):
        made = made * _MULTIPLIER + single[offset : offset + n_grams]
    return made


def _plain_id(task_id: str) -> str:
    return re.sub(r"[/_-](?=\d+$)", "/", task_id.strip().lower())


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    """Id, task ids and words of each row."""
    names = [
        name
        for name in ("trajectory_id", "group_id", "text", "original_text", "metadata")
        if name in dataset.column_names
    ]
    for table in dataset.select_columns(names).with_format("arrow").iter(batch_size=BATCH_ROWS):
        columns: Mapping[str, Collection[Any]] = {name: table.column(name).to_pylist() for name in names}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            named = "\n".join(str(row.get(name) or "") for name in ("trajectory_id", "group_id", "metadata"))
            texts = [row[name] for name in ("text", "original_text") if row.get(name)]
            yield {
                "trajectory_id": row["trajectory_id"],
                "task_ids": set(TASK_ID.findall(named)),
                "words": [(words_of(text), {}) for text in texts],
            }
