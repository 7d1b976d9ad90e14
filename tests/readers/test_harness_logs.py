"""Harness logs: no string vanishes in silence, no malformed record crashes, real folders are read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from mutations import fuzzed, golden, silent_leaves

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.trajectory import from_json, to_json

FORMATS = (
    "swe_agent",
    "mini_swe_agent",
    "openhands_events",
    "openhands_logs",
    "tau_bench",
    "smolagents",
    "inspect_log",
    "notebook",
)
PARSER = TrajectoryParser()


@pytest.mark.parametrize("name", FORMATS)
def test_golden_records_are_taken_by_their_own_reader(name: str) -> None:
    assert {PARSER.format_of(record) for record in golden(name)} == {name}


@pytest.mark.parametrize("name", FORMATS)
def test_emptying_a_string_changes_the_trajectory_or_its_path_is_known(name: str) -> None:
    assert [silent for record in golden(name) for silent in silent_leaves(record, name)] == []


@pytest.mark.parametrize("name", FORMATS)
def test_malformed_records_are_refused_and_never_crash(name: str) -> None:
    reasons: set[str] = set()
    for seed, record in enumerate(golden(name)):
        for broken in fuzzed(record, 300, seed):
            if PARSER.format_of(broken) != name:  # it became a record of another format, or of none
                continue
            try:
                found = PARSER.parse_all(broken)
            except RecordError as error:
                reasons.add(error.reason)
                continue
            for trajectory in found:
                assert from_json(to_json(trajectory), name).steps == trajectory.steps
    assert len(reasons) > 1


REAL = {
    "swe-agent-traj": ({"swe_agent": 10}, {}, 10),
    "mini-swe-agent": ({"mini_swe_agent": 1}, {}, 1),
    "openhands-events": ({"openhands_events": 3}, {}, 3),
    "openhands-llm-logs": ({"openhands_logs": 6, "messages": 1}, {}, 7),
    "tau-bench": ({"tau_bench": 200}, {}, 200),
    "inspect": ({"inspect_log": 13}, {"no_assistant_turn": 1}, 13),
    "react-notebooks": ({"notebook": 1}, {"no_assistant_turn": 1}, 500),
}
"""By folder: records by format, rejects by reason, trajectories. The rejects hold no turn of an agent: a log of a
tool's error alone, and a notebook that was saved without outputs."""


@pytest.mark.parametrize("folder", sorted(REAL))
def test_real_folders_are_read(folder: str, shared_data: Path) -> None:
    formats: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    n_trajectories = n_unread = n_chars = 0
    for file in find_files(shared_data / "trajectories" / folder):
        if file.name.endswith((".yaml", ".yml")):
            continue
        for row in iter_records(file, ReadersConfig()):
            assert row.record is not None, row.message
            try:
                found = PARSER.parse_all(row.record)
            except RecordError as error:
                refused[error.reason] += 1
                continue
            formats[found[0].source_format] += 1
            n_trajectories += len(found)
            n_chars += found[0].metadata["read"]["total"]
            n_unread += found[0].metadata["read"].get("unread", 0)
    assert (dict(formats), dict(refused), n_trajectories) == REAL[folder]
    assert n_unread <= 0.001 * n_chars
