"""No string of a record can be lost unseen: emptied, it changes a row, makes a reject, or is known to be left out.

Ids of calls, names of results and the reason why a turn ended stand in a trajectory for the templates that show them,
and to pair results with calls; rows have no column for them. That they are read is tested beside the readers.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from readers.mutations import GOLDEN, at, changed, golden, places, without_read

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import READERS, TrajectoryParser, fields
from deepcoder_hf.readers.claims import Leaf, leaves
from deepcoder_hf.stages import process_records
from deepcoder_hf.trajectory import Observation, Step

FORMATS = sorted(path.parent.name for path in GOLDEN.glob("*/raw.jsonl"))
PARSER = TrajectoryParser()
CONFIG = Config.model_validate({"tokens": {"model_name": "Qwen/Qwen3-0.6B", "max_length": 1_000_000}})
DERIVED = re.compile(r"[0-9a-f]{32}")
ACCOUNTS = ("ledger", "read", "source", "tokenizer")
"""Metadata that counts what was read, or says where and with what."""
Path_ = tuple[Any, ...]


def strings(record: dict[str, Any]) -> Iterator[tuple[Path_, Leaf]]:
    """The strings of a record with what became of them."""
    name = PARSER.format_of(record)
    assert name is not None
    reader = READERS[name]
    left_out = getattr(reader, "left_out", None)
    ignored = {**fields.IGNORED, **getattr(reader, "IGNORED", {})}
    found = leaves(record, PARSER.parse_all(record), ignored, left_out=left_out(record) if left_out else ())
    paths = [path for path in places(record) if isinstance(at(record, path), str)]
    return zip(paths, found, strict=True)


def told(records: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """What the rows of each record say, without ids and counts that are made of the record as a whole."""
    rows = [row for line, record in enumerate(records) for row in raw_rows(record, "in.jsonl", line, PARSER)]
    by_line: dict[int, list[Any]] = defaultdict(list)
    for row in process_records(table_of(rows), config=CONFIG).to_pylist():
        outcome = row.pop("outcome")
        by_line[outcome["line"]].append(_shown(row, records[outcome["line"]], outcome))
    return [by_line[line] for line in range(len(records))]


def _shown(row: dict[str, Any], record: dict[str, Any], outcome: dict[str, Any]) -> Any:
    if outcome["status"] != "kept":
        return outcome["status"], outcome["reason"]
    metadata = json.loads(row.pop("metadata"))
    facts = {key: value for key, value in metadata.items() if key not in ACCOUNTS}
    text = json.dumps({**row, "metadata": facts}, sort_keys=True, ensure_ascii=False)
    written = json.dumps(record)
    return DERIVED.sub(lambda found: found[0] if found[0] in written else "derived", text)


def unshown(record: dict[str, Any]) -> Any:
    """What a reader makes of a record, without what rows have no column for; the reason of a reject.

    A trajectory in which nothing is trained, such as a grader's, is dropped with that reason and is no row either.
    """
    try:
        found = PARSER.parse_all(record)
    except RecordError as error:
        return error.reason
    kept = [t for t in found if any(step.trained and step.source in ("agent", "text") for step in t.steps)]
    return [(tuple(map(_bare, t.steps)), t.tools, without_read(t.metadata)) for t in kept]


def _bare(step: Step) -> Step:
    calls = tuple(
        replace(call, tool_call_id=None, arguments=call.arguments if call.arguments.strip() else "{}")
        for call in step.tool_calls
    )  # templates write no arguments as {}
    seen = tuple(Observation(result.content) for result in step.observations)
    return replace(step, tool_calls=calls, observations=seen, tool_call_id=None, name=None, finish_reason=None)


@pytest.mark.parametrize("name", FORMATS)
def test_a_string_that_is_read_shows_in_the_rows(name: str) -> None:
    n_emptied = 0
    for record in golden(name):
        read = [(path, leaf) for path, leaf in strings(record) if leaf.status in ("claimed", "unread")]
        texts = [at(record, path) for path, _ in strings(record)]  # one that is said twice is read once
        single = [(path, leaf) for path, leaf in read if texts.count(at(record, path)) == 1]
        emptied = [(changed(record, path, ""), leaf) for path, leaf in single if at(record, path).strip()]
        before, *after = told([record, *(twin for twin, _ in emptied)])
        if not any(isinstance(row, str) for row in before):
            continue
        plain, n_emptied = unshown(record), n_emptied + len(emptied)
        silent = [
            f"{leaf.status} {leaf.path}"
            for (twin, leaf), rows in zip(emptied, after, strict=True)
            if rows == before and unshown(twin) != plain
        ]
        assert silent == []
    assert n_emptied >= 5
