"""Notebooks: printed logs are read as printed, an episode a trajectory; notebooks without one are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mutations import changed, golden
from reading import PARSER

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.containers.files import find_files

EPISODES, COLOURS, RESULT = golden("notebook")


def printed(record: object) -> str:
    return "".join(step.message or "" for one in PARSER.parse_all(record) for step in one.steps)


def test_episodes_are_cut_and_nothing_between_them_is_lost() -> None:
    outputs = EPISODES["cells"][1]["outputs"]
    assert printed(EPISODES) == "".join(line for output in outputs for line in output["text"])
    assert len(PARSER.parse_all(EPISODES)) == 2


def test_colours_of_a_terminal_are_taken_out_only_where_they_hide_a_label() -> None:
    coloured = "".join(COLOURS["cells"][0]["outputs"][0]["text"])
    (found,) = PARSER.parse_all(COLOURS)
    assert found.steps[0].message == re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert found.metadata["terminal_escapes_removed"] == coloured.count("\x1b")
    plain = [coloured.replace("\x1b[32;1m\x1b[1;3mThought: I need", "Thought: \x1b[32mI need")]
    kept = changed(COLOURS, ("cells", 0, "outputs", 0, "text"), plain)
    assert printed(kept) == plain[0]


def test_a_result_that_a_cell_shows_is_read_too() -> None:
    assert printed(RESULT) == RESULT["cells"][0]["outputs"][0]["data"]["text/plain"]


def test_a_notebook_without_outputs_is_refused() -> None:
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(changed(RESULT, ("cells", 0, "outputs"), []))
    assert caught.value.reason == "no_assistant_turn"


def test_notebooks_and_archives_are_taken_from_a_folder(tmp_path: Path) -> None:
    for name in ("a.ipynb", "b.eval", "c.png"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert [file.name for file in find_files(tmp_path)] == ["a.ipynb", "b.eval"]
