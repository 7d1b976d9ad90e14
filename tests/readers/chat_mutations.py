"""Mutations of chat records: every node with its path, replaced or taken away."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
ODD: tuple[Any, ...] = (None, 3, 0.5, True, "", "x", [], {}, [None], ["x"], [[]], [{}], {"a": 1}, {"type": "image_url"})
"""What a node is replaced by."""


def nodes(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every node of a record with its path, leaves included."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from nodes(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from nodes(item, (*path, number))


def replaced(record: Any, path: Path, value: Any) -> Any:
    """A copy of a record with another node at a path."""
    changed = copy.deepcopy(record)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = copy.deepcopy(value)
    return changed


def without(record: Any, path: Path) -> Any:
    """A copy of a record without the key or element at a path."""
    changed = copy.deepcopy(record)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def claim_path(path: Path) -> str:
    """The path as readers/claims.py writes it."""
    return "".join("[]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
