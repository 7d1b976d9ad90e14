"""Records that were changed: each string emptied in turn, values replaced by others of any type."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import READERS, TrajectoryParser, fields
from deepcoder_hf.readers.claims import leaves

GOLDEN = Path(__file__).resolve().parents[1] / "data"
LENIENT = TrajectoryParser(ReadersConfig(max_unread_ratio=1.0))
ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    [[]],
    {"a": None},
    ["x"],
    [{}],
    {"type": "image"},
)


def golden(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / name / "raw.jsonl").read_text(encoding="utf-8").splitlines()]


def content_of(record: Any, name: str) -> Any:
    """What a record says, without the counts of what was read; the reason where it is refused."""
    try:
        found = READERS[name].read(record) if READERS[name].matches(record) else LENIENT.parse_all(record)
    except RecordError as error:
        return error.reason
    listed = found if isinstance(found, list) else [found]
    return [(t.steps, t.tools, t.trajectory_id, t.group_id, t.parent_id, without_read(t.metadata)) for t in listed]


def without_read(metadata: Any) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "read"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a record has values, from the outside in; strings in the order in which claims see them."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def changed(record: Any, path: tuple[Any, ...], new: Any) -> Any:
    twin = copy.deepcopy(record)
    at(twin, path[:-1])[path[-1]] = new
    return twin


def silent_leaves(record: dict[str, Any], name: str) -> list[str]:
    """Strings that are claimed or unread and whose loss changes nothing, though no other string says the same."""
    reader = READERS[name]
    found = reader.read(record)
    table = {**fields.IGNORED, **getattr(reader, "IGNORED", {})}
    left_out = getattr(reader, "left_out", None)
    listed = found if isinstance(found, list) else [found]
    given = list(leaves(record, listed, table, left_out=left_out(record) if left_out else ()))
    strings = [path for path in places(record) if isinstance(at(record, path), str)]
    assert len(strings) == len(given)
    before = content_of(record, name)
    said = Counter(at(record, path).strip() for path in strings)
    return [
        f"{leaf.status} {leaf.path}: {at(record, path)!r:.60}"
        for path, leaf in zip(strings, given, strict=True)
        if leaf.status in ("claimed", "unread")
        and at(record, path).strip()
        and said[at(record, path).strip()] == 1
        and content_of(changed(record, path, ""), name) == before
    ]


def fuzzed(record: dict[str, Any], n: int, seed: int) -> Iterator[dict[str, Any]]:
    """The record with one to three values replaced, removed or doubled."""
    dice = random.Random(seed)
    for _ in range(n):
        twin = copy.deepcopy(record)
        for _ in range(dice.randint(1, 3)):
            path = dice.choice(list(places(twin)) or [()])
            if not path:
                break
            parent, key = at(twin, path[:-1]), path[-1]
            kind = dice.random()
            if kind < 0.7:
                parent[key] = copy.deepcopy(dice.choice(ODD))
            elif kind < 0.85:
                del parent[key]
            elif isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
        yield twin
