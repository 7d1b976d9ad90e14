"""Replace secrets and personal data in a bundle, and make the tokens, masks and spans of the changed rows again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import SchemaError
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.redact_names import Names, redacted
from deepcoder_hf.publish.redact_rows import RowMaker
from deepcoder_hf.publish.scan import text_of_rows

BATCH_ROWS = 64


def redact(bundle: Bundle, allow: Collection[str] = ()) -> tuple[Bundle, dict[str, int]]:
    """Replace what `scan` finds by placeholders such as `<EMAIL_1>`.

    The same value has the same placeholder in every row, column and split. Text, original_text, metadata, ids and other
    strings are replaced; changed rows are tokenised again, and their spans, masks, labels and quality derived again, so
    that `validate_rows` proves them. Rows without findings stay as they are, to the last bit.

    Args:
        bundle: Splits with the columns of `SAD_FEATURES`.
        allow: Digests of findings that stay.

    Returns:
        The new bundle, and counts: `rows` that changed, replacements by kind (SECRET, EMAIL, USER, HOST), and `columns`
        that were dropped: teacher columns and others of a value a token, which no longer fit. The same bundle and no
        counts where nothing was found.

    Raises:
        SchemaError: A split is no SAD dataset.
        TokenizerError: A changed row's tokenizer cannot be loaded, or is another than the row says.
        PublishError: A row cannot be made again.
    """
    names = Names(allow)
    changed = {split: _rows_with_findings(split, dataset, names) for split, dataset in bundle.splits.items()}
    if not names.found_any:
        return bundle, {}
    for split, dataset in bundle.splits.items():
        changed[split] = sorted({*changed[split], *_rows_that_mention(dataset, names)})
    counts: Counter[str] = Counter()
    dropped: set[str] = set()
    splits: dict[str, Dataset] = {}
    for split, dataset in bundle.splits.items():
        unfit = [
            name for name, kind in dataset.features.items() if name not in SAD_FEATURES and _is_per_token(name, kind)
        ]
        dropped.update(unfit)
        splits[split] = _redacted_split(dataset.remove_columns(unfit), changed[split], names, counts)
    counts["rows"] = sum(map(len, changed.values()))
    if dropped:
        counts["columns"] = len(dropped)
    return Bundle(splits, _redacted_report(bundle.report, names)), dict(counts)


def _rows_with_findings(split: str, dataset: Dataset, names: Names) -> list[int]:
    missing = sorted(set(SAD_FEATURES) - set(dataset.column_names))
    if missing:
        raise SchemaError(f"split {split}: expected the columns of a SAD dataset, missing: {', '.join(missing)}")
    rows: set[int] = set()
    for row, text in text_of_rows(dataset):
        if names.learn(text):
            rows.add(row)
    return sorted(rows)


def _rows_that_mention(dataset: Dataset, names: Names) -> Iterator[int]:
    """Rows in which a secret stands without the context that gives it away elsewhere."""
    if names.has_secrets:
        for row, text in text_of_rows(dataset):
            if names.mentions(text):
                yield row


def _is_per_token(name: str, kind: Any) -> bool:
    return name.startswith("teacher_") or hasattr(kind, "feature") or isinstance(kind, list)


def _redacted_split(dataset: Dataset, rows: list[int], names: Names, counts: Counter[str]) -> Dataset:
    """The split with those rows made again, in their places."""
    if not rows:
        return dataset
    maker = RowMaker(names, counts)
    schema = dataset.features.arrow_schema
    made: list[pa.Table] = []
    for first in range(0, len(rows), BATCH_ROWS):
        table = dataset.select(rows[first : first + BATCH_ROWS]).with_format("arrow")[:]
        made.append(maker.make(table).cast(schema))
    fresh = Dataset(pa.concat_tables(made).replace_schema_metadata(schema.metadata), split=dataset.split)
    order = list(range(len(dataset)))
    for number, row in enumerate(rows):
        order[row] = len(dataset) + number
    joined = concatenate_datasets([dataset, fresh.cast(dataset.features)])
    return joined.select(order)


def _redacted_report(value: Any, names: Names) -> Any:
    """The report without what the rows no longer say."""
    if isinstance(value, str):
        return redacted(value, names, Counter())[0]
    if isinstance(value, Mapping):
        return {_redacted_report(key, names): _redacted_report(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted_report(one, names) for one in value]
    return value
