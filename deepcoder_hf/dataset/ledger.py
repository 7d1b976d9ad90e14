"""The loss ledger: what the source's words became, character by character, for each row and for a run.

    read         characters of the trajectory that the reader gave, whitespace at the edges of a text left out
    rendered     those of them that stand in the rendered text, under the right type
    tokenised    those of them that stand in the row's tokens (a window or a cut row has only its part)
    trained      those of them that stand in a trained token
    cut          rendered, but in no row

What a template, a label or markup adds is in none of these counts. A trajectory in several rows is read and rendered in
its first row, unless the rows were prompted one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.rendering.rendered import Range
from deepcoder_hf.spans.types import TYPE_IDS, TYPES
from deepcoder_hf.tokens.typed import TypedTokens
from deepcoder_hf.tokens.window import token_characters

Int64 = npt.NDArray[np.int64]
KINDS = ("reasoning", "action", "observation", "answer")
STAGES = ("read", "rendered", "tokenised", "trained", "cut")
EVENTS = ("context_lost", "empty_think", "dropped_turns", "escaped", "tokens_differ", "tokens_missing")
"""Beside these: characters of system and user that the template left out, empty think blocks that it put in, agent
turns in which there was nothing, control tokens that were encoded as ordinary characters; where tokens.source is
`recorded`, rows whose ids are not those of the rendering, and trajectories without ids, which stay as rendered."""
RECORD = ("total", "claimed", "repeated", "noted", "ignored", "unread", "rejected")
"""Characters of the raw record's strings by what its reader did with them (readers/claims.py); last those of a record,
or of one trajectory of it, that could not be used."""
FIELDS = tuple(f"{kind}.{stage}" for kind in KINDS for stage in STAGES) + EVENTS + RECORD
"""The columns of a ledger."""
_PLACE = {name: place for place, name in enumerate(FIELDS)}


def ledger_of(
    read: Sequence[Sequence[int]],
    counts: Sequence[Mapping[str, int]],
    facts: Sequence[Mapping[str, Any]],
    is_first: Sequence[bool],
) -> Int64:
    """The part of the ledger that is known before tokens: int64 [R, len(FIELDS)].

    Args:
        read: Characters by type id that each rendering was to hold.
        counts: What each rendering left out (`missing:<type id>`) and added.
        facts: Metadata of the trajectories, with `read` of the first one of a record.
        is_first: Which renderings are the first of their record.
    """
    ledger = np.zeros((len(read), len(FIELDS)), np.int64)
    for row, (by_type, events) in enumerate(zip(read, counts, strict=True)):
        for kind in KINDS:
            n_read = by_type[TYPE_IDS[kind]]
            ledger[row, _PLACE[f"{kind}.read"]] = n_read
            ledger[row, _PLACE[f"{kind}.rendered"]] = n_read - events.get(f"missing:{TYPE_IDS[kind]}", 0)
        for name in EVENTS:
            ledger[row, _PLACE[name]] = events.get(name, 0)
        ledger[row, _PLACE["context_lost"]] = events.get(f"missing:{TYPE_IDS['other']}", 0)
        ledger[row, _PLACE["rejected"]] = events.get("rejected", 0)
        if is_first[row]:
            for name in RECORD[:-1]:
                ledger[row, _PLACE[name]] = facts[row].get("read", {}).get(name, 0)
    return ledger


def add_tokens(ledger: Int64, payload: Int64, in_row: Int64, trained: Int64) -> None:
    """Add what the tokens of the rows of one trajectory hold, or of trajectories of one row each.

    An escape sequence is longer than the character that it stands for, so characters of the rendering are counted as
    the share of the source's characters that they are.

    Args:
        ledger: [R, len(FIELDS)], changed in place.
        payload: Characters of the rendering's payload by type id, int64 [R, 5].
        in_row: Those that stand in the row's text, int64 [R, 5].
        trained: Those that stand in trained tokens, int64 [R, 5].
    """
    for kind in KINDS:
        number, rendered = TYPE_IDS[kind], ledger[:, _PLACE[f"{kind}.rendered"]]
        whole = payload[:, number]
        tokenised = np.where(whole > 0, in_row[:, number] * rendered // np.maximum(whole, 1), rendered)
        part = np.where(
            trained[:, number] == in_row[:, number], tokenised, trained[:, number] * rendered // np.maximum(whole, 1)
        )
        ledger[:, _PLACE[f"{kind}.tokenised"]] = tokenised
        ledger[:, _PLACE[f"{kind}.trained"]] = np.where(trained[:, number] > 0, np.minimum(part, tokenised), 0)
        ledger[:, _PLACE[f"{kind}.cut"]] = rendered - tokenised


def divide(whole: Int64, payload: Int64, in_rows: Int64, trained: Int64) -> Int64:
    """The ledgers of the windows of one rendering; they add up to the whole one.

    Args:
        whole: The ledger of the rendering, int64 [len(FIELDS)].
        payload: Characters of its payload by type id, int64 [5].
        in_rows: Those that stand in each window's text, int64 [W, 5].
        trained: Those that stand in each window's trained tokens, int64 [W, 5].
    """
    running = np.zeros((len(in_rows), whole.size), np.int64)
    running[:] = whole
    add_tokens(running, np.broadcast_to(payload, in_rows.shape), np.cumsum(in_rows, 0), np.cumsum(trained, 0))
    ledger = np.zeros_like(running)
    ledger[0] = whole
    for kind in KINDS:
        tokenised, part, cut = (_PLACE[f"{kind}.{stage}"] for stage in ("tokenised", "trained", "cut"))
        for place in (tokenised, part):
            ledger[:, place] = np.diff(running[:, place], prepend=0)
        ledger[:, part] = np.minimum(ledger[:, part], ledger[:, tokenised])
        ledger[0, cut] = whole[_PLACE[f"{kind}.rendered"]] - ledger[:, tokenised].sum()
    return ledger


def columns_of(*names: str) -> list[int]:
    """Places of columns in a ledger."""
    return [_PLACE[name] for name in names]


def payload_characters(payload: Sequence[Sequence[Range]]) -> Int64:
    """Characters of payload by type id, int64 [R, 5]."""
    rows, starts, ends, kinds = _flat(payload)
    return _by_type(rows, kinds, ends - starts, len(payload))


def trained_characters(
    texts: Sequence[str], tokens: TypedTokens, payload: Sequence[Sequence[Range]], n_prefix: int
) -> Int64:
    """Characters of payload that stand in trained tokens, by type id, int64 [R, 5].

    Args:
        texts: R texts.
        tokens: Their tokens.
        payload: Where the source's words stand in them.
        n_prefix: Special tokens before each text.
    """
    rows, starts, ends, kinds = _flat(payload)
    base = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    begins, stops = _trained_ranges(texts, tokens, n_prefix, base)
    if not rows.size or not begins.size:
        return np.zeros((len(texts), len(TYPES)), np.int64)
    before = np.concatenate([[0], np.cumsum(stops - begins)]).astype(np.int64)

    def up_to(places: Int64) -> Int64:
        found = np.searchsorted(begins, places, "right")
        beyond = np.maximum(stops[found - 1] - places, 0) * (found > 0)
        return np.asarray(before[found] - beyond)

    counts = up_to(ends + base[rows]) - up_to(starts + base[rows])
    return _by_type(rows, kinds, counts, len(texts))


def _trained_ranges(texts: Sequence[str], tokens: TypedTokens, n_prefix: int, base: Int64) -> tuple[Int64, Int64]:
    """Where the trained spans' tokens begin and end, in characters of all texts together: sorted, disjoint."""
    encoded = tokens.encoded
    owner = np.repeat(np.arange(len(texts)), np.diff(tokens.span_rows))
    low, high = encoded.rows[owner], encoded.rows[owner + 1]
    first = np.clip(tokens.start_token + low - n_prefix, low, high)
    last = np.clip(tokens.end_token + low - n_prefix, first, high)  # special tokens stand for no characters
    chosen = (tokens.training > 0) & (last > first)
    first, last, high, owner = first[chosen], last[chosen], high[chosen], owner[chosen]
    if not owner.size:
        return owner, owner
    edges = np.stack([encoded.starts[first], encoded.starts[np.minimum(last, encoded.ids.size - 1)]])
    edges -= encoded.text_starts[owner]
    sizes = np.diff(base)
    edges[1] = np.where(last == high, 0, edges[1])
    for row in np.unique(owner).tolist():
        if not texts[row].isascii():
            part = slice(*np.searchsorted(owner, [row, row + 1]))
            edges[:, part] = token_characters(texts[row], edges[:, part])
    edges[1] = np.where(last == high, sizes[owner], edges[1])
    return edges[0] + base[owner], edges[1] + base[owner]


def part_of(payload: Sequence[Range], start: int, end: int, shift: int) -> list[Range]:
    """The payload between two characters, moved to the left."""
    return [(max(s, start) - shift, min(e, end) - shift, kind) for s, e, kind in payload if min(e, end) > max(s, start)]


def as_facts(row: Sequence[int]) -> dict[str, Any]:
    """A ledger as JSON: the characters of each type that there is, and the events that there were."""
    facts: dict[str, Any] = {}
    for number, kind in enumerate(KINDS):
        counts = dict(zip(STAGES, row[5 * number : 5 * number + 5], strict=True))
        if any(counts.values()):
            facts[kind] = counts
    facts.update({name: row[_PLACE[name]] for name in EVENTS if row[_PLACE[name]]})
    return facts


def loss_ratio(totals: Mapping[str, int]) -> float:
    """Share of the source's text that is in no row, by no wish of the user's.

    Of reasoning, actions, observations and answers: what rendering left out and what was cut. Beside it: text of system
    and user that a template left out, strings that no reader knows, and records that could not be used. Records that a
    filter dropped are not in it.

    Args:
        totals: Sums of the columns of a run's ledgers.
    """
    read = sum(totals[f"{kind}.read"] for kind in KINDS)
    lost = sum(totals[f"{kind}.read"] - totals[f"{kind}.rendered"] + totals[f"{kind}.cut"] for kind in KINDS)
    outside = totals["unread"] + totals["rejected"] + totals["context_lost"]
    return (outside + lost) / (outside + read) if outside + read else 0.0


def _flat(payload: Sequence[Sequence[Range]]) -> tuple[Int64, Int64, Int64, Int64]:
    flat = np.array([item for row in payload for item in row], np.int64).reshape(-1, 3)
    rows = np.repeat(np.arange(len(payload)), [len(row) for row in payload]).astype(np.int64)
    return rows, flat[:, 0], flat[:, 1], flat[:, 2]


def _by_type(rows: Int64, kinds: Int64, counts: Int64, n_rows: int) -> Int64:
    width = len(TYPES)
    return np.bincount(rows * width + kinds, counts, n_rows * width).astype(np.int64).reshape(n_rows, width)
