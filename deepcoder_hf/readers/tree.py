"""Sessions are trees: which of their entries lie on the branch that was followed to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """An entry of a session with its place in the tree."""

    event: Mapping[str, Any]
    number: int
    """Place in the file, from 0."""
    key: str
    """Its id, or one made of its place."""
    parent: Entry | None = None


def link(entries: Sequence[Entry], parents: Sequence[str | None]) -> int:
    """Set the parents of entries.

    An entry whose parent is not there (its line was broken or filtered out) follows the entry before it, so that one
    missing line does not cut off all that came before.

    Args:
        entries: Entries in the order of the file.
        parents: For each the key of its parent; None for a root.

    Returns:
        How many parents were missing.
    """
    by_key: dict[str, Entry] = {}
    for entry in entries:
        by_key.setdefault(entry.key, entry)
    n_missing = 0
    for place, (entry, parent) in enumerate(zip(entries, parents, strict=True)):
        if parent is None:
            continue
        entry.parent = by_key.get(parent)
        if entry.parent is None and place:
            n_missing += 1
            entry.parent = entries[place - 1]
    return n_missing


def path_to(leaf: Entry) -> list[Entry]:
    """The entries from the root to a leaf; where parents go round in a circle it begins after the repetition."""
    path = [leaf]
    seen = {id(leaf)}
    while (parent := path[-1].parent) is not None and id(parent) not in seen:
        seen.add(id(parent))
        path.append(parent)
    return path[::-1]


def with_siblings(path: Sequence[Entry], siblings: Sequence[Entry]) -> list[Entry]:
    """A branch with entries that belong to it and hang beside it, each after the last entry that it comes from.

    Args:
        path: The branch, from its root.
        siblings: Entries beside it; those that come from nowhere on it are put at its end.
    """
    places = {id(entry): place for place, entry in enumerate(path)}

    def rank(entry: Entry) -> tuple[int, int]:
        if (place := places.get(id(entry))) is not None:
            return place, -1
        above: Entry | None = entry
        while above is not None and id(above) not in places:
            above = above.parent
        return len(path) if above is None else places[id(above)], entry.number

    return sorted([*path, *siblings], key=rank)


def n_chars(value: Any) -> int:
    """Characters of all strings inside a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(n_chars(item) for item in value.values())
    return sum(n_chars(item) for item in value) if isinstance(value, list | tuple) else 0
