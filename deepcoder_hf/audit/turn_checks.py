"""Checks of a batch turn by turn: stops, turns partly trained, cut rows, deleted reasoning, control tokens in texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from deepcoder_hf.audit.checks import Checked, count_rows, count_tokens
from deepcoder_hf.audit.grammar import Grammar, Role
from deepcoder_hf.audit.rows import Bool, Int64
from deepcoder_hf.audit.structure import Structure, TokenClass, Turn
from deepcoder_hf.audit.tally import Tally

_WRITTEN = (TokenClass.REASONING, TokenClass.CALL, TokenClass.TEXT)
_NULL_KEY = re.compile(rb'"((?:[^"\\\n]|\\.){1,64})"\s{0,4}:\s{0,4}$')
_KEY_BYTES = 160
_NAMES = {
    TokenClass.REASONING: "reasoning",
    TokenClass.CALL: "call",
    TokenClass.TEXT: "text",
    TokenClass.OBSERVATION: "tool result",
    TokenClass.USER: "user message",
    TokenClass.SYSTEM: "system message",
    TokenClass.OTHER: "turn of an unknown role",
}


def _sums(mask: Bool) -> Int64:
    sums = np.zeros(mask.size + 1, np.int64)
    np.cumsum(mask, out=sums[1:])
    return sums


def check_turns(tally: Tally, checked: Checked, structure: Structure, grammar: Grammar, is_space: Bool) -> None:
    """Look at every turn of a batch.

    Args:
        tally: Where findings are counted.
        checked: The batch.
        structure: Its turns.
        grammar: How turns look.
        is_space: Whether a token is white space [N].
    """
    sequences = [turns for turns in structure.turns if turns]
    assistant = [turn for turns in sequences for turn in turns if _is_written(turn)]
    tally.totals["turns"] += sum(map(len, sequences))
    tally.totals["assistant_turns"] += len(assistant)
    _check_trained_turns(tally, checked, assistant, is_space)
    _check_cut(tally, checked, structure, grammar)
    _check_reasoning(tally, checked, sequences)
    _check_stray(tally, checked, structure)
    _check_null_keys(tally, checked)
    _check_empty_think(tally, checked)


def _is_written(turn: Turn) -> bool:
    return turn.role is Role.ASSISTANT and (turn.content_end > turn.content or turn.stop >= 0)


def _check_trained_turns(tally: Tally, checked: Checked, turns: Sequence[Turn], is_space: Bool) -> None:
    """Stops and texts of turns that are trained."""
    if not turns:
        return
    written = np.isin(checked.classes, _WRITTEN) & ~is_space
    n_written, n_trained = _sums(written), _sums(written & checked.trained)
    begin = np.array([turn.content for turn in turns], np.int64)
    end = np.array([turn.content_end for turn in turns], np.int64)
    stop = np.array([turn.stop for turn in turns], np.int64)
    total, trained = n_written[end] - n_written[begin], n_trained[end] - n_trained[begin]
    is_trained = trained > 0
    tally.totals["trained_turns"] += int(is_trained.sum())
    bare = np.flatnonzero(is_trained & (stop >= 0) & ~checked.trained[np.maximum(stop, 0)])
    _count_turns(tally, "untrained_stop", stop[bare], stop[bare] + 1, checked)
    # A think tag that the prompt already holds may be left out: it is the first token that is written.
    lead = np.array([_leading(checked, turn) for turn in turns], np.int64)
    partly = np.flatnonzero(is_trained & (trained < total - lead))
    _count_turns(tally, "partly_trained", begin[partly], end[partly], checked)


def _leading(checked: Checked, turn: Turn) -> int:
    at = turn.content
    if at >= turn.content_end or checked.classes[at] != TokenClass.REASONING or checked.trained[at]:
        return 0
    return 1


def _count_turns(tally: Tally, code: str, first: Int64, last: Int64, checked: Checked) -> None:
    if first.size:
        rows = np.searchsorted(checked.batch.bounds, first, "right")
        tally.add(code, first.size, np.unique(rows).size)
        pairs = zip(first.tolist(), last.tolist(), strict=True)
        tally.example(code, (partial(checked.excerpts.of, a, b) for a, b in pairs))


def _check_cut(tally: Tally, checked: Checked, structure: Structure, grammar: Grammar) -> None:
    """Rows whose last turn has no stop, and turns without one before another turn."""
    kinds: Counter[str] = Counter()
    places: list[int] = []
    for turns in structure.turns:
        if grammar.stops and turns and turns[-1].stop < 0 and (_is_written(turns[-1]) or grammar.frame):
            last = turns[-1]
            if last.content_end > last.content:  # a header alone is a prompt
                kinds[f"inside {_NAMES.get(last.ends_as, 'turn')}"] += 1
                places.append(last.content_end - 1)
    if places:
        rows = np.unique(np.searchsorted(checked.batch.bounds, places, "right"))
        tally.add("cut_rows", rows.size, rows.size, kinds)
        tally.example("cut_rows", (partial(checked.excerpts.of, at, at + 1) for at in places))
    if structure.unclosed:
        at = np.array([place for place, _ in structure.unclosed], np.int64)
        _count_turns(tally, "unclosed_turns", at, at + 1, checked)


def _check_reasoning(tally: Tally, checked: Checked, sequences: Sequence[Sequence[Turn]]) -> None:
    """Conversations whose earlier turns have no reasoning while the last ones have."""
    rows = []
    for turns in sequences:
        thinks: list[bool] = []
        previous = Role.UNKNOWN
        for turn in turns:
            if turn.role is Role.ASSISTANT and _is_written(turn):
                if previous is Role.ASSISTANT and thinks:  # several messages of one turn
                    thinks[-1] = thinks[-1] or turn.thinks
                else:
                    thinks.append(turn.thinks)
            previous = turn.role
        if len(thinks) > 1:
            tally.totals["rows_of_several_turns"] += 1
            if thinks[-1] and not thinks[0] and sorted(thinks) == thinks:
                rows.append(int(np.searchsorted(checked.batch.bounds, turns[0].header, "right")) - 1)
    count_rows(tally, "dropped_reasoning", np.unique(np.array(rows, np.int64)), checked)


def _check_stray(tally: Tally, checked: Checked, structure: Structure) -> None:
    if structure.stray:
        rows = np.unique(np.searchsorted(checked.batch.bounds, [first for first, _, _ in structure.stray], "right"))
        kinds = Counter(kind for _, _, kind in structure.stray)
        tally.add("control_tokens_in_text", rows.size, rows.size, kinds)
        tally.example(
            "control_tokens_in_text", (partial(checked.excerpts.of, first, last) for first, last, _ in structure.stray)
        )
    outside = checked.classes == TokenClass.OTHER
    if structure.turns and outside.any():
        has_turns = np.repeat([bool(turns) for turns in structure.turns], np.diff(checked.batch.sequences))
        count_tokens(tally, "trained_outside_turns", outside & checked.trained & has_turns, checked)


def _check_null_keys(tally: Tally, checked: Checked) -> None:
    """`"key": null` inside calls and system messages."""
    blob, starts = checked.excerpts.blob, checked.excerpts.starts
    found: list[tuple[int, int]] = []
    kinds: Counter[str] = Counter()
    at = blob.find(b"null")
    while at >= 0:
        key = _NULL_KEY.search(blob, max(0, at - _KEY_BYTES), at)
        if key is not None:
            first = int(np.searchsorted(starts, key.start(), "right")) - 1
            last = int(np.searchsorted(starts, at + 4, "left"))
            inside = checked.classes[last - 1]
            if inside in (TokenClass.CALL, TokenClass.SYSTEM):
                trained = bool(checked.trained[last - 1])
                found.append((first, last))
                kinds["keys, trained" if trained else "keys, not trained"] += 1
                kinds["tokens, trained"] += (last - first) * trained
                kinds[f"key {key[1].decode('utf-8', 'replace')}"] += 1
        at = blob.find(b"null", at + 4)
    if found:
        rows = np.unique(np.searchsorted(checked.batch.bounds, [first for first, _ in found], "right"))
        tally.add("null_keys", rows.size, rows.size, kinds)
        tally.example("null_keys", (partial(checked.excerpts.of, a, b) for a, b in found))


def _check_empty_think(tally: Tally, checked: Checked) -> None:
    empty = checked.classes == TokenClass.EMPTY_THINK
    if not empty.any():
        return
    begins = np.flatnonzero(empty & ~np.append(False, empty[:-1]))
    ends = np.flatnonzero(empty & ~np.append(empty[1:], False)) + 1
    _count_turns(tally, "empty_think", begins, ends, checked)
