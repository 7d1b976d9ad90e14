"""Nulls that Arrow invents: the one rule that tells them from the nulls of the source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def without_invented(value: Any, scalar: Callable[[Any], Any] | None = None, depth: int = 0) -> Any:
    """A value of a column without the keys that Arrow gave it.

    Arrow invents a null for each key that another element of the same list has: keys that are None are dropped from
    objects inside lists. Columns, and the fields of an object that is a column, are the same for all rows and stay;
    so does the `content` of an object that stands directly in a column's list, where null says that a chat message
    has calls only. Arguments of tools stand deeper.

    Args:
        value: What `to_pylist` or `Dataset.map` gives for a column; a map, a list of pairs, becomes an object.
        scalar: What to make of other values; None leaves them as they are.
        depth: How many lists the value stands in, and one more for an object inside an object of a list.
    """
    if isinstance(value, dict):
        below = depth + 1 if depth else 0
        return {
            key: without_invented(item, scalar, below)
            for key, item in value.items()
            if item is not None or not depth or (depth == 1 and key == "content")
        }
    if isinstance(value, list):
        if value and isinstance(value[0], tuple):
            return {str(key): without_invented(item, scalar, depth) for key, item in value}
        return [without_invented(item, scalar, depth + 1) for item in value]
    return value if scalar is None else scalar(value)
