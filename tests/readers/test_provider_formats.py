"""Formats of providers: no string vanishes in silence, no malformed record crashes, real folders are read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from chat_mutations import ODD, nodes, replaced, without
from mutations import fuzzed, golden, silent_leaves

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import READERS, TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.trajectory import Trajectory, from_json, to_json

FORMATS = ("anthropic", "gemini", "harmony", "openai_responses", "recordings")
PARSER = TrajectoryParser()
LENIENT = TrajectoryParser(ReadersConfig(max_unread_ratio=1.0))


def unpacked(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The record with its packed strings as objects, where the format has such."""
    unpack = getattr(READERS[name], "unpacked", None)
    return dict(unpack(record)) if unpack else record


def parsed(record: Any) -> list[Trajectory]:
    """The trajectories of a record, none where it is a reject; any other exception fails the test."""
    try:
        found = LENIENT.parse_all(record)
    except RecordError as error:
        rejected = error
    else:
        for trajectory in found:
            assert trajectory.steps
            assert from_json(to_json(trajectory), "x").steps == trajectory.steps
        return found
    assert rejected.reason
    assert str(rejected)
    return []


@pytest.mark.parametrize("name", FORMATS)
def test_golden_records_are_taken_by_their_own_reader_and_read_in_full(name: str) -> None:
    for record in golden(name):
        assert PARSER.format_of(record) == name
        facts = PARSER.parse(record).metadata
        assert "unread" not in facts["read"], facts["read"]
        assert "unread_fields" not in facts


@pytest.mark.parametrize("name", FORMATS)
def test_emptying_a_string_changes_the_trajectory_or_its_path_is_known(name: str) -> None:
    records = [record for given in golden(name) for record in (given, unpacked(given, name))]
    assert [silent for record in records for silent in silent_leaves(record, name)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_record_with_any_node_replaced_is_read_or_refused(name: str) -> None:
    n_read = 0
    for record in (unpacked(given, name) for given in golden(name)):
        for path, _ in nodes(record):
            for changed in (*(replaced(record, path, value) for value in ODD), without(record, path)):
                n_read += bool(parsed(changed))
    assert n_read >= 500


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_record_with_several_nodes_replaced_is_read_or_refused(name: str) -> None:
    for seed, record in enumerate(golden(name)):
        for broken in (*fuzzed(record, 150, seed), *fuzzed(unpacked(record, name), 150, seed)):
            parsed(broken)


REAL: dict[str, tuple[dict[str, int], dict[str, int], int]] = {
    "anthropic-http": ({"recordings": 7}, {}, 8),
    "groq-http": ({"recordings": 12}, {"no_assistant_turn": 1}, 12),
    "harmony": ({"harmony": 5, "text": 2}, {"no_assistant_turn": 16}, 7),
}
"""By folder: records by format, rejects by reason, trajectories. The rejects hold no turn of an agent: an error of the
provider, prompts without a completion, a result of a tool alone. The two texts are ids of tokens."""


@pytest.mark.parametrize("folder", sorted(REAL))
def test_real_folders_are_read(folder: str, shared_data: Path) -> None:
    formats: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    n_trajectories = 0
    for file in find_files(shared_data / "trajectories" / folder):
        for raw in iter_records(file, ReadersConfig()):
            assert raw.record is not None, raw.message
            try:
                found = PARSER.parse_all(raw.record)
            except RecordError as error:
                reasons[error.reason] += 1
                continue
            formats[found[0].source_format] += 1
            n_trajectories += len(found)
    assert (dict(formats), dict(reasons), n_trajectories) == REAL[folder]


def test_no_golden_sample_of_another_format_is_taken_for_one_of_a_provider() -> None:
    for name in set(READERS) - set(FORMATS):
        assert {PARSER.format_of(record) for record in golden(name)} == {name}
