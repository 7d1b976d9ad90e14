"""The page of a dataset: its trajectories, masks, tokens and rejects in one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import SchemaError
from deepcoder_hf.view.page_charts import charts_of
from deepcoder_hf.view.page_facts import dataset_facts
from deepcoder_hf.view.page_report import summary_of
from deepcoder_hf.view.page_rows import Chunks, packed
from deepcoder_hf.view.page_shell import SCRIPTS, page_with
from deepcoder_hf.view.page_signs import CONTROLS, SIGN_RANGES, sign_names
from deepcoder_hf.view.page_tokens import TokenPlacer

MAX_ROWS = 1000
"""Rows on a page unless more are asked for."""
BATCH_ROWS = 64


def page_of(
    dataset: Any,
    report: Mapping[str, Any] | None = None,
    rejects: Sequence[Mapping[str, Any]] = (),
    name: str = "dataset",
    max_rows: int = MAX_ROWS,
    first_row: int = 0,
    model_name: str | None = None,
    progress: Callable[[int, int], None] = lambda rows, tokens: None,
) -> str:
    """One self-contained HTML page of a processed dataset; the same rows give the same page.

    Args:
        dataset: A `Dataset` with the columns of `SAD_FEATURES`.
        report: `report.json` of its run, for the counts of records and reasons.
        rejects: The objects of its rejected.jsonl.
        name: Name of the dataset, for the title.
        max_rows: Most rows, and most rejects, on the page; of more rows those at equal distances are taken.
        first_row: Number of the row that is open at first; it is on the page in any case.
        model_name: Tokenizer to place the tokens with, instead of the name in the rows.
        progress: Called with (rows, tokens) after each batch.

    Raises:
        SchemaError: Columns are missing, or a row does not hold together.
    """
    if missing := sorted(set(SAD_FEATURES) - set(dataset.column_names)):
        raise SchemaError(f"expected the columns of a SAD dataset, missing: {', '.join(missing)}")
    facts = dataset_facts(dataset, report or {}, rejects)
    numbers = chosen_rows(len(dataset), max_rows, first_row)
    chunks = _chunks(dataset, numbers, list(islice(rejects, max_rows)), model_name, progress)
    index = {
        "items": chunks.items,
        "names": chunks.names,
        "signs": SIGN_RANGES,
        "sign_names": sign_names(),
        "controls": CONTROLS,
        "first": numbers.index(first_row) if first_row in numbers else 0,
    }
    data = {"index": packed(index)}
    for number, (texts, details) in enumerate(zip(chunks.texts, chunks.details, strict=True)):
        data |= {f"texts-{number}": texts, f"details-{number}": details}
    values = {
        "name": name,
        "summary": summary_of(facts),
        "charts": charts_of(facts),
        "shown": len(numbers),
        "rows": len(dataset),
        "shown_rejects": min(len(rejects), max_rows),
        "rejects": len(rejects),
    }
    return page_with("page_inspect.html", f"{name}: trajectories", values, data, SCRIPTS)


def chosen_rows(n_rows: int, max_rows: int, first_row: int = 0) -> list[int]:
    """Numbers of the rows on a page: all, or `max_rows` at equal distances and the one that is opened first."""
    if n_rows <= max_rows:
        return list(range(n_rows))
    spread = {place * n_rows // max_rows for place in range(max_rows)}
    return sorted(spread | {first_row} if 0 <= first_row < n_rows else spread)


def _chunks(
    dataset: Any,
    numbers: Sequence[int],
    rejects: Sequence[Mapping[str, Any]],
    model_name: str | None,
    progress: Callable[[int, int], None],
) -> Chunks:
    placer, chunks = TokenPlacer(model_name), Chunks()
    for batch in _batches(dataset, numbers):
        rows = [row for _, row in batch]
        for (number, row), places in zip(batch, placer.place(rows), strict=True):
            chunks.add_row(number, row, places)
        progress(len(rows), sum(row["length"] for row in rows))
    for reject in rejects:
        chunks.add_reject(reject)
    chunks.close()
    return chunks


def _batches(dataset: Any, numbers: Sequence[int]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Rows with their numbers; none of them lacks a column.

    Raises:
        SchemaError: A row has no value in a column.
    """
    for start in range(0, len(numbers), BATCH_ROWS):
        part = numbers[start : start + BATCH_ROWS]
        table = dataset.select(part).with_format("arrow")[:]
        rows = table.select(list(SAD_FEATURES)).to_pylist()
        for number, row in zip(part, rows, strict=True):
            if absent := [name for name in SAD_FEATURES if row[name] is None and name != "original_text"]:
                raise SchemaError(f"row {number} has no {', '.join(absent)}; see deepcoder-hf validate")
        yield list(zip(part, rows, strict=True))
