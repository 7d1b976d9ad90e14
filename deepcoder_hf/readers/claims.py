"""What of a raw record its reader took: every string leaf is claimed, a repetition, known to be ignored, or unread.

The denominator is the record itself, not what a reader chose to look at. A leaf is claimed where the very string
object stands in a trajectory, or where its text stands inside a text that the reader put together (arguments written
as JSON, parts joined). A leaf whose text a claimed leaf has too is a repetition. What a reader leaves out on purpose
stands in a table of path patterns with the reason, or, where only the content can tell (an abandoned branch), is
named by the reader object by object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from deepcoder_hf.readers.fields import Written
from deepcoder_hf.trajectory import Step, Trajectory

Status = Literal["claimed", "repeated", "ignored", "unread"]
LeftOut = Iterable[tuple[Any, str]]
"""Objects of a record, each with the reason why its text is in no trajectory."""
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
    """Why it is ignored."""


@dataclass(slots=True)
class Claims:
    """Characters of a record's string leaves by what became of them."""

    total: int = 0
    claimed: int = 0
    repeated: int = 0
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
            for name in ("total", "claimed", "repeated", "ignored", "unread")
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
    taken = _Taken(trajectories)
    claims, names = Claims(), _anywhere(tuple(ignored.items()))
    if not left_out and _count_known(record, taken.objects, names, claims):
        return claims
    claims = Claims()
    for leaf in leaves(record, trajectories, ignored, taken, left_out):
        claims.add(leaf)
    return claims


@lru_cache(maxsize=256)
def _anywhere(table: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The keys that are ignored at any depth."""
    return frozenset(pattern for pattern, _ in table if "." not in pattern and "*" not in pattern)


def leaves(
    record: Any,
    trajectories: Sequence[Trajectory],
    ignored: Mapping[str, str],
    taken: _Taken | None = None,
    left_out: LeftOut = (),
) -> Iterator[Leaf]:
    """Every string leaf of a record with what became of it; see `claims_of`."""
    taken = taken or _Taken(trajectories)
    table = tuple(ignored.items())
    reasons = {id(text): reason for part, reason in left_out for _, text in _walk(part, "")}
    objects = taken.leaf_objects()
    for path, text in _walk(record, ""):
        n_chars = len(text)
        if not text.strip() or id(text) in objects:
            yield Leaf(path, n_chars, "claimed")
        elif reason := reason_to_ignore(path, table) or reasons.get(id(text), ""):
            yield Leaf(path, n_chars, "ignored", reason)
        elif text in taken.texts:
            yield Leaf(path, n_chars, "repeated", "the same text stands elsewhere in the record and is read there")
        elif taken.holds(text):
            yield Leaf(path, n_chars, "claimed")
        else:
            yield Leaf(path, n_chars, "unread")


@lru_cache(maxsize=65_536)
def reason_to_ignore(path: str, table: tuple[tuple[str, str], ...]) -> str:
    """The reason of the first pattern that a path matches, or nothing.

    A pattern is a path in which `*` stands for one key or index and `**` for any number of them; it also covers what
    lies below it. A pattern without a dot, `timestamp`, matches a key of that name at any depth.
    """
    return next((reason for pattern, reason in table if _expression(pattern).fullmatch(path)), "")


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    below = r"(?:[.\[].*)?"
    if "." not in pattern and "*" not in pattern:
        return re.compile(rf"(?:.*\.)?{re.escape(pattern)}{below}", re.DOTALL)
    parts = re.split(r"(\*\*|\*)", pattern)
    names = {"**": r".*", "*": r"[^.\[\]]*"}
    return re.compile("".join(names.get(part) or re.escape(part) for part in parts) + below, re.DOTALL)


class _Taken:
    """The strings that trajectories hold."""

    def __init__(self, trajectories: Sequence[Trajectory]) -> None:
        found = [text for trajectory in trajectories for text in _texts(trajectory)]
        self.objects = {id(text) for text in found}
        written = [text.source for text in found if type(text) is Written]
        self.objects.update(id(source) for source in written)
        self._written = written
        self.texts = set(found)
        self._joined: str | None = None
        self._found = found

    def leaf_objects(self) -> set[int]:
        """The strings by identity, those inside objects that were written as JSON too."""
        return self.objects | {id(leaf) for source in self._written for _, leaf in _walk(source, "")}

    def holds(self, text: str) -> bool:
        """Whether a text stands inside a text of the trajectories, as it is or as JSON writes it."""
        if self._joined is None:
            self._joined = "\0".join(self._found)
        stripped = text.strip()
        if stripped in self._joined:
            return True
        return any(json.dumps(stripped, ensure_ascii=ascii)[1:-1] in self._joined for ascii in (False, True))


def _texts(trajectory: Trajectory) -> Iterator[str]:
    for step in trajectory.steps:
        yield from _step_texts(step)
    yield from trajectory.tools
    yield from (text for text in (trajectory.trajectory_id, trajectory.group_id, trajectory.parent_id) if text)
    yield from (text for _, text in _walk(trajectory.metadata, ""))


def _step_texts(step: Step) -> Iterator[str]:
    given: Iterable[str | None] = (
        *(step.message, step.reasoning_content, step.tool_call_id, step.name, step.finish_reason),
        *(text for call in step.tool_calls for text in (call.function_name, call.arguments, call.tool_call_id)),
        *(call.language for call in step.tool_calls),
        *(text for result in step.observations for text in (result.content, result.tool_call_id, result.name)),
    )
    return (text for text in given if text)


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str | Mapping | list | tuple):
                yield from _walk(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, f"{path}[]")


def _count_known(record: Any, objects: set[int], ignored: frozenset[str], claims: Claims) -> bool:
    """Count the leaves of a record if each is the very object of a trajectory or below a key that is ignored anywhere.

    Nearly all records are like that, and need no paths.

    Returns:
        False where some leaf needs a closer look; what was counted then says nothing.
    """
    stack: list[tuple[Any, bool | None]] = [(record, None)]
    while stack:
        item, claimed = stack.pop()
        kind = type(item)
        if kind is str:
            size = len(item)
            claims.total += size
            if claimed or id(item) in objects or not item or item.isspace():
                claims.claimed += size
            elif claimed is None:
                return False
            else:
                claims.ignored += size
        elif kind is dict:
            whole = True if id(item) in objects else claimed
            if whole is None:
                stack += [(value, False if key in ignored else None) for key, value in item.items()]
            else:
                stack += [(value, whole) for value in item.values()]
        elif kind is list:
            whole = True if id(item) in objects else claimed
            stack += [(value, whole) for value in item]
        elif isinstance(item, str | Mapping | tuple | list):
            return False
    return True
