"""Formats of chats and steps: every file of the real folders is read, with the counts that were looked at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

FOLDERS: dict[str, dict[str, int]] = {
    "adp-raw": {"messages": 38, "rendered_messages": 68, "screens": 3, "text": 5},
    "adp-std": {"adp": 56},
    "adp-sft-agentlab": {"messages": 20},
    "adp-sft-openhands": {"messages": 56},
    "adp-sft-sweagent": {"messages": 36},
    "adp-thoughts": {"adp_thoughts": 1},
    "atif": {"atif": 3},
    "fireact": {"messages": 2077, "alpaca": 2063},
    "hermes-fc": {"text": 2},
    "llamafactory": {"messages": 300},
    "webdancer": {"messages": 199},
    "mint-codeact": {"text": 22},
}
"""Records of each folder by the reader that takes them; no record is a reject."""


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_record_of_the_real_folders_is_read_by_its_reader_and_in_full(folder: str, shared_data: Path) -> None:
    root = shared_data / "trajectories" / folder
    parser, counts = TrajectoryParser(), Counter[str]()
    for file in find_files([str(root)]):
        for raw in iter_records(file, ReadersConfig()):
            assert raw.record is not None, (file.name, raw.reason, raw.message)
            try:
                found = parser.parse_all(raw.record)
            except RecordError as error:
                pytest.fail(f"{file.name}:{raw.line}: {error.reason}: {error}")
            counts[found[0].source_format] += 1
            assert found[0].metadata["read"].get("unread", 0) == 0, (file.name, found[0].metadata["read"])
    assert counts == FOLDERS[folder]


def test_calls_and_definitions_of_a_real_sharegpt_file_are_structured(shared_data: Path) -> None:
    (file,) = find_files([str(shared_data / "trajectories" / "llamafactory")])
    parser = TrajectoryParser()
    steps = tools = calls = named = 0
    for raw in iter_records(file, ReadersConfig()):
        found = parser.parse(raw.record)
        steps += len(found.steps)
        tools += len(found.tools)
        calls += sum(len(step.tool_calls) for step in found.steps)
        named += sum(bool(call.function_name) for step in found.steps for call in step.tool_calls)
    assert (steps, calls, named) == (1914, 211, 211)
    assert tools > 200
