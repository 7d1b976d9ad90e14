"""Arithmetic of runs: where the marked stretches of a text are after it was cut, moved, stepped through or stretched.

A run is (start, end, mark): half-open character positions and who wrote them. Runs are sorted, not empty, and do not
overlap; characters in no run are the template's own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from operator import itemgetter

Run = tuple[int, int, Hashable]
Runs = tuple[Run, ...]

_END = itemgetter(1)


def cut(runs: Runs, start: int, end: int) -> Runs:
    """The runs of text[start:end]; costs the logarithm of the runs outside."""
    if not runs:
        return ()
    if len(runs) == 1:
        ((first, last, mark),) = runs
        first, last = max(first, start), min(last, end)
        return ((first - start, last - start, mark),) if first < last else ()
    found = []
    for index in range(bisect_right(runs, start, key=_END), len(runs)):
        first, last, mark = runs[index]
        if first >= end:
            break
        found.append((max(first, start) - start, min(last, end) - start, mark))
    return tuple(found)


def stepped(runs: Runs, indices: range) -> Runs:
    """The runs of the text made of these positions, in the order of the range."""
    ascending = indices if indices.step > 0 else indices[::-1]
    first, step, size = ascending.start, ascending.step, len(ascending)
    found: list[Run] = []
    for start, end, mark in runs:
        low, high = (min(max(-((first - bound) // step), 0), size) for bound in (start, end))
        if low < high:
            found.append((low, high, mark) if indices.step > 0 else (size - high, size - low, mark))
    return tuple(found if indices.step > 0 else found[::-1])


def stretched(runs: Runs, size: Callable[[int, int], int]) -> Runs:
    """The runs after every stretch of the text took another length.

    Args:
        runs: Runs of the text before.
        size: The new length of text[start:end]; asked for adjoining stretches from left to right.
    """
    found = []
    source = target = 0
    for start, end, mark in runs:
        if source < start:
            target += size(source, start)
        length = size(start, end)
        if length:
            found.append((target, target + length, mark))
        source, target = end, target + length
    return tuple(found)
