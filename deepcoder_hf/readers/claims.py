"""What of a raw record its reader took: every string is claimed, repeated, noted, known to be ignored, or unread.

The denominator is the record itself, not what a reader chose to look at. A string is

- claimed where the very object stands in a step, a tool or an id of a trajectory, or where its text stands inside a
  text that the reader put together (arguments written as JSON, parts joined);
- repeated where a whole text of a step has the same text, or its own message says it too;
- noted where it is a small fact (an id, a name, a score) that stands in the metadata only; a text there, or words of a
  model, are unread, for no row trains them;
- ignored where a table of path patterns gives the reason why the reader leaves it out (`reason_to_ignore`), or, where
  only the content can tell (an abandoned branch), the reader names the object.

A short text that stands somewhere in the trajectory may have been said by somebody else: it counts only if the steps
of its own message have it (readers/taken.py). A reason that begins with `again:` is a claim that can be checked: it is
honoured, as a repetition, only for a text that stands in a trajectory, whole or line by line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from deepcoder_hf.readers.taken import LONG, Taken, is_small
from deepcoder_hf.trajectory import Trajectory

Status = Literal["claimed", "repeated", "noted", "ignored", "unread"]
LeftOut = Iterable[tuple[Any, str]]
"""Objects of a record, each with the reason why its text is in no trajectory."""
_String = tuple[str, str, tuple[Any, ...]]
"""A path, the string there, and the objects that it stands in, the innermost last."""
AGAIN = "again:"
"""How the reason begins for what says once more what was read: it holds only for a text that was read indeed."""
SMALL, LABEL = "=", "^"
"""What patterns begin with that cover less; see `reason_to_ignore`."""
MAX_NAMED = 20
"""Paths of unread leaves that are kept."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A string of the record."""

    path: str
    """Its keys joined by dots, `[]` for the elements of a list: `messages[].content`."""
    n_chars: int
    status: Status
    reason: str = ""
    """Why it is ignored, or said to be a repetition."""


@dataclass(slots=True)
class Claims:
    """Characters of a record's string leaves by what became of them."""

    total: int = 0
    claimed: int = 0
    repeated: int = 0
    noted: int = 0
    ignored: int = 0
    unread: int = 0
    unread_paths: dict[str, int] = field(default_factory=dict)
    """Characters by path of what no field, repetition or table accounts for."""

    def add(self, leaf: Leaf) -> None:
        """Count a leaf."""
        self.total += leaf.n_chars
        setattr(self, leaf.status, getattr(self, leaf.status) + leaf.n_chars)
        if leaf.status == "unread":
            self.unread_paths[leaf.path] = self.unread_paths.get(leaf.path, 0) + leaf.n_chars

    def facts(self) -> dict[str, Any]:
        """As JSON, for a row's metadata."""
        facts: dict[str, Any] = {
            name: value
            for name in ("total", "claimed", "repeated", "noted", "ignored", "unread")
            if (value := getattr(self, name)) or name == "total"
        }
        if self.unread_paths:
            largest = sorted(self.unread_paths.items(), key=lambda item: -item[1])[:MAX_NAMED]
            facts["unread_paths"] = dict(largest)
        return facts


def claims_of(
    record: Any,
    trajectories: Sequence[Trajectory],
    ignored: Mapping[str, str],
    left_out: LeftOut = (),
) -> Claims:
    """Add up the string leaves of a record.

    Args:
        record: The raw record.
        trajectories: What its reader made of it.
        ignored: Path patterns and reasons; see `reason_to_ignore`.
        left_out: Objects inside the record that the reader leaves out whole, each with the reason.
    """
    taken = Taken(trajectories)
    claims, left_out = Claims(), list(left_out)
    spared = {id(text) for part, why in left_out if not why.startswith(AGAIN) for _, text, _ in _walk(part, "", ())}
    if _count_known(record, taken, _names(tuple(ignored.items())), spared, claims):
        return claims
    for leaf in leaves(record, trajectories, ignored, taken, left_out):
        claims.add(leaf)
    return claims


def leaves(
    record: Any,
    trajectories: Sequence[Trajectory],
    ignored: Mapping[str, str],
    taken: Taken | None = None,
    left_out: LeftOut = (),
) -> Iterator[Leaf]:
    """Every string leaf of a record with what became of it; see `claims_of`."""
    taken = taken or Taken(trajectories)
    table = tuple(ignored.items())
    reasons = {id(text): reason for part, reason in left_out for _, text, _ in _walk(part, "", ())}
    strings = list(_walk(record, "", ()))
    found = [_status(path, text, around, taken, table, reasons) for path, text, around in strings]
    open_ = [place for place, (status, _) in enumerate(found) if status == "unread"]
    for place in _joined(strings, open_, taken) if open_ else ():
        found[place] = ("claimed", "")
    for (path, text, _), (status, reason) in zip(strings, found, strict=True):
        yield Leaf(path, len(text), status, reason)


def _joined(strings: Sequence[_String], places: Sequence[int], taken: Taken) -> Iterator[int]:
    """The short texts that were joined with their neighbours in a list: parts of a message, lines of a text."""
    lists: dict[tuple[str, int], list[str]] = {}
    for path, text, around in strings:
        lists.setdefault((path, _list_of(path, around)), []).append(text)
    for place in places:
        path, text, around = strings[place]
        pieces = lists[path, _list_of(path, around)]
        if "[]" in path and len(pieces) > 1 and len(text.strip()) < LONG:
            own = next(number for number, piece in enumerate(pieces) if piece is text)
            if any(taken.holds_run(pieces, own, between) for between in ("", "\n", "\n\n")):
                yield place


def _list_of(path: str, around: Sequence[Any]) -> int:
    """Identity of the object that has the list of a string, or of the part that the string is in."""
    depth = 1 if path.endswith("[]") else 2
    return id(around[-depth]) if len(around) >= depth else 0


def _status(
    path: str, text: str, around: Sequence[Any], taken: Taken, table: tuple[tuple[str, str], ...], left_out: Any
) -> tuple[Status, str]:
    """What became of a string, and the reason."""
    if not text.strip() or id(text) in taken.leaf_objects():
        return "claimed", ""
    for reason in (reason_to_ignore(path, table, text), left_out.get(id(text), "")):
        if reason and not reason.startswith(AGAIN):
            return "ignored", reason
        if reason and taken.says_again(text):
            return "repeated", reason
    if taken.is_noted(text):
        return "noted", ""
    if len(text.strip()) < LONG:
        return ("repeated", "its own message says it too") if taken.holds_short(text, around) else ("unread", "")
    if taken.is_whole(text):
        return "repeated", "the same text stands elsewhere in the record and is read there"
    return ("claimed" if taken.holds(text) else "unread"), ""


def reason_to_ignore(path: str, table: tuple[tuple[str, str], ...], text: str = "") -> str:
    """The reason of the first pattern that covers a string, or nothing.

    A pattern is a path in which `*` stands for one key or index and `**` for any number of them; it also covers what
    lies below it. A pattern without a dot, `timestamp`, matches a key of that name at any depth. `=timestamp` covers
    less: only a string directly there, and only one that is a value rather than a text (`is_small`). `^answer` covers
    a string of any length directly at that key of the record itself, or in lists there.

    Args:
        path: Where the string stands.
        table: Patterns with their reasons.
        text: The string.
    """
    small = is_small(text)
    return next((reason for reason, needs_small in _reasons(path, table) if small or not needs_small), "")


@lru_cache(maxsize=65_536)
def _reasons(path: str, table: tuple[tuple[str, str], ...]) -> tuple[tuple[str, bool], ...]:
    """The reasons of the patterns that match a path, each with whether it holds for values only."""
    found = ((reason, pattern) for pattern, reason in table if _expression(pattern).fullmatch(path))
    return tuple((reason, pattern.startswith(SMALL)) for reason, pattern in found)


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    if pattern.startswith(LABEL):
        return re.compile(re.escape(pattern[1:]) + r"(?:\[\])*")
    below = "" if pattern.startswith(SMALL) else r"(?:[.\[].*)?"
    pattern = pattern.removeprefix(SMALL)
    if "." not in pattern and "*" not in pattern:
        return re.compile(rf"(?:.*\.)?{re.escape(pattern)}{below}", re.DOTALL)
    parts = re.split(r"(\*\*|\*)", pattern)
    names = {"**": r".*", "*": r"[^.\[\]]*"}
    return re.compile("".join(names.get(part) or re.escape(part) for part in parts) + below, re.DOTALL)


def _walk(value: Any, path: str, around: tuple[Any, ...]) -> Iterator[_String]:
    """The strings of a value."""
    if isinstance(value, str):
        yield path, value, around
    elif isinstance(value, Mapping):
        inside = (*around, value)
        for key, item in value.items():
            if isinstance(item, str | Mapping | list | tuple):
                yield from _walk(item, f"{path}.{key}" if path else str(key), inside)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, f"{path}[]", around)


@dataclass(frozen=True, slots=True)
class _Names:
    """The keys of a table that are ignored at any depth."""

    whole: frozenset[str]
    """With all that lies below."""
    small: frozenset[str]
    """Where a value stands directly there."""
    labels: frozenset[str]
    """Where a string stands directly there in the record itself."""


@lru_cache(maxsize=256)
def _names(table: tuple[tuple[str, str], ...]) -> _Names:
    plain = [pattern for pattern, reason in table if not reason.startswith(AGAIN)]
    plain = [pattern for pattern in plain if "." not in pattern and "*" not in pattern]
    whole = frozenset(pattern for pattern in plain if pattern[:1] not in (SMALL, LABEL))
    small, labels = (frozenset(p[1:] for p in plain if p[:1] == marker) for marker in (SMALL, LABEL))
    return _Names(whole, small, labels)


def _count_known(record: Any, taken: Taken, names: _Names, spared: Collection[int], claims: Claims) -> bool:
    """Count the leaves of a record if each is the very object of a trajectory or at a key that is ignored anywhere.

    Nearly all records are like that, and need no paths.

    Args:
        record: The raw record.
        taken: What the trajectories hold.
        names: Keys that are ignored.
        spared: Identities of the strings that the reader leaves out.
        claims: What is counted.

    Returns:
        False where some leaf needs a closer look; nothing is counted then.
    """
    objects, noted, whole, small = taken.objects, taken.noted, names.whole, names.small
    top = record if isinstance(record, Mapping) else {}
    claimed = ignored = n_noted = 0
    stack: list[tuple[Any, str, bool | None]] = [(record, "", None)]
    while stack:
        item, key, state = stack.pop()
        kind = type(item)
        if kind is str:
            if state or id(item) in objects or not item or item.isspace():
                claimed += len(item)
            elif (
                state is False
                or (key in small and is_small(item))
                or (key in names.labels and id(item) == id(top.get(key)))
                or id(item) in spared
            ):
                ignored += len(item)
            elif id(item) in noted:
                n_noted += len(item)
            else:
                return False
        elif kind is dict:
            if id(item) in objects:
                state = True
            for name, value in item.items():
                if type(value) is str and id(value) in objects:
                    claimed += len(value)
                elif value is not None:
                    stack.append((value, name, False if state is None and name in whole else state))
        elif kind is list:
            if id(item) in objects:
                state = True
            stack += [(value, "", state) for value in item]
        elif isinstance(item, str | Mapping | tuple | list):
            return False
    claims.claimed, claims.ignored, claims.noted = claimed, ignored, n_noted
    claims.total = claimed + ignored + n_noted
    return True
