"""Checks of a batch token by token: what is trained that should not be, and labels that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import xxhash

from deepcoder_hf.audit.excerpts import Excerpts
from deepcoder_hf.audit.rows import IGNORED, Bool, Int64, TokenBatch
from deepcoder_hf.audit.structure import TokenClass
from deepcoder_hf.audit.tally import Tally
from deepcoder_hf.audit.vocabulary import Vocabulary

_TRAINED = {
    "trained_observation": TokenClass.OBSERVATION,
    "trained_user": TokenClass.USER,
    "trained_system": TokenClass.SYSTEM,
    "trained_header": TokenClass.HEADER,
    "trained_padding": TokenClass.PADDING,
    "trained_empty_think": TokenClass.EMPTY_THINK,
    "trained_newline": TokenClass.NEWLINE,
}
_N_CLASSES = len(TokenClass)
SHIFTED_SHARE = 0.9
"""A row is called shifted if so many of its labels are the next token, and fewer are their own."""


@dataclass(slots=True)
class Checked:
    """A batch with all that the checks look at.

    Args:
        batch: The rows.
        trained: What is trained; labels that were found shifted are put right [N].
        classes: Class of each token [N].
        excerpts: Cuts examples.
    """

    batch: TokenBatch
    trained: Bool
    classes: npt.NDArray[np.uint8]
    excerpts: Excerpts


def runs(mask: Bool, bounds: Int64) -> Iterator[tuple[int, int]]:
    """The first run of marked tokens of each row that has any."""
    last_row = -1
    for at in np.flatnonzero(mask).tolist():
        row = int(np.searchsorted(bounds, at, "right"))
        if row != last_row:
            last_row, end, limit = row, at + 1, int(bounds[row])
            while end < limit and mask[end]:
                end += 1
            yield at, end


def per_row(mask: Bool, bounds: Int64) -> Int64:
    """How many tokens of each row are marked, int64 [R]."""
    sums = np.zeros(mask.size + 1, np.int64)
    np.cumsum(mask, out=sums[1:])
    return np.diff(sums[bounds])


def count_tokens(tally: Tally, code: str, mask: Bool, checked: Checked) -> None:
    """Count marked tokens under a finding."""
    n = int(mask.sum())
    if not n:
        return
    bounds = checked.batch.bounds
    tally.add(code, n, int((per_row(mask, bounds) > 0).sum()))
    if tally.wants_example(code):
        tally.example(code, (partial(checked.excerpts.of, a, b) for a, b in runs(mask, bounds)))


def count_rows(tally: Tally, code: str, rows: Int64, checked: Checked) -> None:
    """Count rows under a finding."""
    if rows.size:
        tally.add(code, rows.size, rows.size)
        tally.example(code, (partial(checked.excerpts.row, row) for row in rows.tolist()))


def known_ids(tally: Tally, batch: TokenBatch, vocabulary: Vocabulary) -> Int64:
    """The ids with those that the tokenizer does not have replaced, which are counted."""
    known = (batch.ids >= 0) & (batch.ids < vocabulary.size)
    ids = batch.ids if known.all() else np.where(known, batch.ids, 0)
    known &= vocabulary.known[ids]
    if known.all():
        return ids
    wrong = np.flatnonzero(~known)
    rows = np.searchsorted(batch.bounds, wrong, "right") - 1
    tally.add("out_of_vocabulary", wrong.size, np.unique(rows).size)
    for at, row in zip(wrong[:3].tolist(), rows[:3].tolist(), strict=True):
        found = {"row": int(batch.numbers[row]), "token": at - int(batch.bounds[row]), "n_tokens": 1}
        shown = {"before": "", "marked": str(int(batch.ids[at])), "after": f"(the tokenizer has {vocabulary.size} ids)"}
        tally.example("out_of_vocabulary", [partial(dict, found | shown)])
    return ids


def unshifted(batch: TokenBatch) -> tuple[Bool, Bool, Int64]:
    """What is trained, with shifted labels put right.

    Returns:
        The trained tokens [N], the labels that are wrong [N], and the rows that are shifted.
    """
    none: Int64 = np.zeros(0, np.int64)
    if batch.labels is None:
        return batch.trained, np.zeros(batch.ids.size, bool), none
    wrong = (batch.labels != IGNORED) & (batch.labels != batch.ids)
    if not wrong.any():
        return batch.trained, wrong, none
    following = np.append(batch.ids[1:], -1)
    following[batch.bounds[1:][batch.bounds[1:] > 0] - 1] = -1  # a row's last token has none
    is_next = batch.trained & (batch.labels == following)
    n_trained, n_wrong = per_row(batch.trained, batch.bounds), per_row(wrong, batch.bounds)
    rows = np.flatnonzero(
        (per_row(is_next, batch.bounds) > SHIFTED_SHARE * n_trained) & (n_wrong > (1 - SHIFTED_SHARE) * n_trained)
    )
    trained, in_shifted = batch.trained.copy(), np.zeros(batch.ids.size, bool)
    for row in rows.tolist():
        begin, end = int(batch.bounds[row]), int(batch.bounds[row + 1])
        trained[begin + 1 : end] = batch.trained[begin : end - 1]
        trained[begin] = False
        in_shifted[begin:end] = True
    return trained, wrong & ~in_shifted, rows


def check_tokens(tally: Tally, checked: Checked) -> None:
    """Count every token by class, and those that are trained and should not be."""
    classes, trained, batch = checked.classes, checked.trained, checked.batch
    counts = np.bincount(classes + _N_CLASSES * trained.astype(np.uint8), minlength=2 * _N_CLASSES)
    for kind in range(_N_CLASSES):
        tally.by_class[kind] += int(counts[kind] + counts[kind + _N_CLASSES])
        tally.trained_by_class[kind] += int(counts[kind + _N_CLASSES])
    for code, of in _TRAINED.items():
        if counts[of + _N_CLASSES]:
            count_tokens(tally, code, trained & (classes == of), checked)
    if batch.attention is not None:
        count_tokens(tally, "label_under_zero_attention", trained & (batch.attention == 0), checked)
    n_trained = per_row(trained, batch.bounds)
    tally.totals["trained_tokens"] += int(n_trained.sum())
    tally.totals["trained_rows"] += int((n_trained > 0).sum())
    count_rows(tally, "no_trained_token", np.flatnonzero(n_trained == 0), checked)


def check_duplicates(tally: Tally, checked: Checked) -> None:
    """Count rows whose ids an earlier row had; a row is remembered by 64 bits."""
    batch = checked.batch
    ids = np.ascontiguousarray(batch.ids)
    bounds = batch.bounds.tolist()
    for row, number in enumerate(batch.numbers.tolist()):
        key = xxhash.xxh3_64_intdigest(ids[bounds[row] : bounds[row + 1]].data)
        first = tally.seen.setdefault(key, number)
        if first != number:
            tally.add("duplicate_rows", 1, 1)
            found = partial(_duplicate, checked.excerpts, row, first)
            tally.example("duplicate_rows", [found])


def _duplicate(excerpts: Excerpts, row: int, first: int) -> dict[str, object]:
    return {**excerpts.row(row), "same_as_row": first}


def padding(batch: TokenBatch, ids: Int64, pad: int, keeps_first: bool) -> Bool:
    """Padding tokens: a run of the padding token at either end of a row, or one that attention leaves out.

    Args:
        batch: The rows.
        ids: Their ids.
        pad: Id of the padding token, -1 if there is none.
        keeps_first: Whether the first one of a run after a text ends that text (the padding token is a stop as well).
    """
    is_pad = ids == pad
    if pad < 0 or not is_pad.any():
        return np.zeros(ids.size, bool)
    result = is_pad & (batch.attention == 0) if batch.attention is not None else np.zeros(ids.size, bool)
    begins, ends = batch.bounds[:-1], batch.bounds[1:]
    texts = np.concatenate((np.flatnonzero(~is_pad), [ids.size]))
    first = np.minimum(texts[np.searchsorted(texts, begins)], ends)
    place = np.searchsorted(texts, ends) - 1
    last = np.where(place >= 0, texts[place], -1)
    last = np.maximum(last + 1, begins)
    some = np.flatnonzero((first > begins) | (last < ends)).tolist()
    for row in some:
        result[begins[row] : first[row]] = True
        kept = 1 if keeps_first and last[row] > begins[row] else 0
        result[min(last[row] + kept, ends[row]) : ends[row]] = True
    return result
