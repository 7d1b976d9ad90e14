"""The audit of a dataset from its files to its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deepcoder_hf.audit.checks import (
    Checked,
    check_duplicates,
    check_tokens,
    count_rows,
    count_tokens,
    known_ids,
    padding,
    unshifted,
)
from deepcoder_hf.audit.excerpts import Excerpts
from deepcoder_hf.audit.load import find_files, iter_batches
from deepcoder_hf.audit.probe import grammar_of
from deepcoder_hf.audit.rows import TokenBatch, token_batch
from deepcoder_hf.audit.structure import Structure, TokenClass
from deepcoder_hf.audit.tally import Tally
from deepcoder_hf.audit.turn_checks import check_turns
from deepcoder_hf.audit.turns import TurnReader
from deepcoder_hf.audit.vocabulary import load_vocabulary

_OWN_TYPES = np.array(
    [TokenClass.OTHER, TokenClass.REASONING, TokenClass.CALL, TokenClass.OBSERVATION, TokenClass.TEXT], np.uint8
)
"""Classes of the values of our column token_types."""


def audit_dataset(
    path: Path,
    tokenizer: str | TurnReader,
    limit: int | None = None,
    max_share: float = 0.0,
    max_shares: Mapping[str, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Say what the rows of a prepared dataset train.

    Args:
        path: Arrow folder or cache, Parquet, JSONL, or a folder of such.
        tokenizer: Tokenizer that the rows were made with: bundled name, folder, tokenizer.json or Hub name; or what
            `turn_reader` made of it.
        limit: Rows to read, None for all.
        max_share: Share up to which errors are let pass.
        max_shares: Own limits by the code of a finding, for any severity.
        progress: Called with (rows, tokens) after each batch.

    Returns:
        The report: dataset, tokenizer, turns (the grammar), totals, classes, findings, failed.

    Raises:
        InputError: There is nothing to read, or no column of token ids.
        TokenizerError: The tokenizer cannot be loaded.
    """
    files = find_files(path)
    reader = turn_reader(tokenizer) if isinstance(tokenizer, str) else tokenizer
    tally = Tally()
    for raw in iter_batches(files, limit):
        batch = token_batch(raw)
        check_batch(tally, batch, reader)
        if progress is not None:
            progress(batch.bounds.size - 1, batch.ids.size)
    grammar = reader.grammar
    head = {
        "dataset": str(path),
        "tokenizer": reader.vocabulary.name,
        "turn_markers": {"family": grammar.name, "source": grammar.source, "stops": list(grammar.stops)},
    }
    return {**head, **tally.report(max_share, max_shares or {})}


def turn_reader(tokenizer: str) -> TurnReader:
    """What knows how a tokenizer's turns look.

    Raises:
        TokenizerError: The tokenizer cannot be loaded.
    """
    vocabulary = load_vocabulary(tokenizer)
    return TurnReader(grammar_of(vocabulary), vocabulary)


def check_batch(tally: Tally, batch: TokenBatch, reader: TurnReader) -> None:
    """Run every check on a batch."""
    vocabulary = reader.vocabulary
    tally.totals["rows"] += batch.bounds.size - 1 + len(batch.bad)
    tally.totals["tokens"] += batch.ids.size
    tally.trained_by.add(batch.trained_by)
    if batch.bad:
        tally.add("unreadable_rows", len(batch.bad), len(batch.bad))
        tally.example("unreadable_rows", (partial(_bad_row, n, why) for n, why in batch.bad))
    if batch.bounds.size == 1:
        return
    ids = known_ids(tally, batch, vocabulary)
    blob, starts = vocabulary.decode(ids)
    stops = {vocabulary.added.get(stop) for stop in reader.grammar.stops} | {vocabulary.eos}
    is_padding = padding(batch, ids, vocabulary.pad, vocabulary.pad in stops)
    if is_padding.any():  # padding is a sequence of its own, so that no turn reaches into it
        edges = np.flatnonzero(is_padding[1:] != is_padding[:-1]) + 1
        batch.sequences = np.union1d(batch.sequences, edges)
    structure = reader.read(ids, batch.sequences, blob, starts)
    trained, wrong, shifted = unshifted(batch)
    classes = _classes(batch, structure, is_padding)
    checked = Checked(batch, trained, classes, Excerpts(blob, starts, batch.bounds, batch.numbers))
    count_tokens(tally, "label_mismatch", wrong, checked)
    count_rows(tally, "shifted_labels", shifted, checked)
    check_tokens(tally, checked)
    check_duplicates(tally, checked)
    check_turns(tally, checked, structure, reader.grammar, vocabulary.is_space[ids])
    _check_sequences(tally, checked, structure, is_padding)


def _bad_row(number: int, why: str) -> dict[str, Any]:
    return {"row": number, "token": 0, "n_tokens": 0, "before": "", "marked": why, "after": ""}


def _classes(batch: TokenBatch, structure: Structure, is_padding: Any) -> Any:
    """Classes by the turns; of rows without turns by our own token_types where the row has them."""
    classes = structure.classes
    if batch.types is not None:
        has_turns = np.repeat([bool(turns) for turns in structure.turns], np.diff(batch.sequences))
        known = (batch.types >= 0) & (batch.types < _OWN_TYPES.size)
        own = _OWN_TYPES[np.where(known, batch.types, 0)]
        classes = np.where(has_turns, classes, own)
    classes[is_padding] = TokenClass.PADDING
    return classes


def _check_sequences(tally: Tally, checked: Checked, structure: Structure, is_padding: Any) -> None:
    """Rows of several sequences, and rows without any turn."""
    batch = checked.batch
    starts = batch.sequences[:-1]
    owners = np.searchsorted(batch.bounds, starts, "right") - 1
    real = ~is_padding[starts]
    per_row = np.bincount(owners[real], minlength=batch.bounds.size - 1)
    count_rows(tally, "packed_rows", np.flatnonzero(per_row > 1), checked)
    with_turns = np.zeros(batch.bounds.size - 1, bool)
    with_turns[owners[[bool(turns) for turns in structure.turns]]] = True
    count_rows(tally, "no_turns", np.flatnonzero(~with_turns), checked)
