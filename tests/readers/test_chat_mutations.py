"""Formats of chats and steps: no mutation of a record crashes its reader, and no text of it can go missing unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_mutations import ODD, claim_path, nodes, replaced, without
from reading import LENIENT

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import READERS, TrajectoryParser, fields
from deepcoder_hf.readers.claims import leaves
from deepcoder_hf.trajectory import Trajectory, from_json, to_json

GOLDEN = Path(__file__).resolve().parents[1] / "data"
FORMATS = (
    *("messages", "rendered_messages", "agent_steps", "content", "text"),
    *("atif", "adp", "adp_thoughts", "screens", "alpaca", "completion"),
)
PARSER = TrajectoryParser(ReadersConfig(max_unread_ratio=1.0))


def records(name: str) -> list[dict[str, Any]]:
    lines = (GOLDEN / name / "raw.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def parsed(record: Any) -> list[Trajectory] | str:
    """The trajectories of a record, or the reason of its reject; any other exception fails the test."""
    try:
        return PARSER.parse_all(record)
    except RecordError as error:
        rejected = error
    assert rejected.reason
    assert str(rejected)
    assert "\n" not in str(rejected)
    return rejected.reason


def shown(found: list[Trajectory] | str) -> Any:
    """What a reader made of a record, without what claims say of it."""
    if isinstance(found, str):
        return found
    ids = [(t.trajectory_id, t.group_id, t.parent_id, t.tools, t.steps) for t in found]
    facts = [{key: value for key, value in t.metadata.items() if key != "read"} for t in found]
    return ids, json.dumps(facts, sort_keys=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_record_is_a_trajectory_or_a_reject(name: str) -> None:
    n_read = 0
    for record in records(name):
        for path, _ in nodes(record):
            for changed in (*(replaced(record, path, value) for value in ODD), without(record, path)):
                found = parsed(changed)
                for trajectory in found if isinstance(found, list) else ():
                    n_read += 1
                    assert trajectory.steps
                    assert from_json(to_json(trajectory), name).steps == trajectory.steps
    assert n_read >= 20


@pytest.mark.parametrize("name", FORMATS)
def test_each_text_of_a_record_changes_its_trajectory_or_is_known_to_be_left_out(name: str) -> None:
    ignored = {**fields.IGNORED, **getattr(READERS[name], "IGNORED", {})}
    left_out = getattr(READERS[name], "left_out", lambda record: ())
    for record in records(name):
        found = LENIENT.parse_all(record)
        texts = [(path, value) for path, value in nodes(record) if isinstance(value, str)]
        seen = leaves(record, found, ignored, left_out=left_out(record))
        for (path, value), leaf in zip(texts, seen, strict=True):
            assert leaf.path == claim_path(path)
            assert leaf.status != "unread", leaf
            if leaf.status == "claimed" and value.strip():
                assert shown(parsed(replaced(record, path, ""))) != shown(found), f"{name}: {leaf.path} {value!r:.60}"
