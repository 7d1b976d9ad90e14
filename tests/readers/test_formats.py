"""Formats: golden samples, ids and facts, and real data are read as they should be."""

from __future__ import annotations

import json
import runpy
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from reading import LENIENT, REPLY, USER, chat, read, read_all

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import READERS
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory, from_json, to_json

GOLDEN = Path(__file__).resolve().parents[1] / "data"


# --- golden samples and shipped samples ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(READERS))
def test_golden_samples_are_read_as_expected(name: str) -> None:
    """A reader without `tests/data/<format>/` fails here; `python -m tests.regenerate` writes expected.json."""
    expected_text = runpy.run_path(str(GOLDEN.parent / "regenerate.py"))["expected_text"]
    raw = GOLDEN / name / "raw.jsonl"
    found, expected = expected_text(raw), (GOLDEN / name / "expected.json").read_text(encoding="ascii")
    assert json.loads(found) == json.loads(expected)
    assert found == expected
    assert {trajectory["source_format"] for trajectory in json.loads(found)} == {name}
    assert len(json.loads(found)) >= 3


def test_no_golden_sample_is_without_a_reader() -> None:
    assert {path.parent.name for path in GOLDEN.glob("*/raw.jsonl")} == set(READERS)


def test_every_shipped_sample_is_read() -> None:
    files = [f for f in (resources.files("deepcoder_hf") / "samples").iterdir() if f.name.endswith(".jsonl")]
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            trajectory = read(json.loads(line))
            assert trajectory.trajectory_id
            assert any(step.source in ("agent", "text") for step in trajectory.steps)


# --- ids and facts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "trajectory_id", "group_id"),
    [
        ({"trajectory_id": "a", "id": "b", "group_id": "g"}, "a", "g"),
        ({"id": 7, "problem_id": 0}, "7", "0"),
        ({"uid": "u", "task_id": "t"}, "u", "t"),
        ({"uuid": "u", "instance_id": "i"}, "u", "i"),
        ({"id": "", "question_id": True}, None, None),
        ({"id": {"$oid": 1}}, None, None),
        ({"id": "a\ud800"}, "a\\ud800", None),
    ],
)
def test_ids_are_taken_as_text(fields: dict[str, Any], trajectory_id: str | None, group_id: str | None) -> None:
    for record in (chat(USER, REPLY), {"text": "x"}, {"content": "x"}, {"steps": [{"thought": "x"}]}):
        found = read({**record, **fields})
        assert (found.trajectory_id, found.group_id) == (trajectory_id, group_id)


def test_small_facts_are_carried_along_and_large_ones_are_named() -> None:
    record = {
        "text": "x",
        "reward": 0.5,
        "license": "MIT",
        "n": 3,
        "long": "y" * 201,
        "nan": float("nan"),
        "list": [1],
        "no": None,
    }
    expected = {"reward": 0.5, "licence": "MIT", "extra": {"n": 3}, "unread_fields": ["list", "long"]}
    found = dict(LENIENT.parse(record).metadata)
    assert found.pop("read") == {"total": 205, "claimed": 1, "noted": 3, "unread": 201, "unread_paths": {"long": 201}}
    assert found == expected
    with pytest.raises(RecordError, match=r"98\.0% of the record's text .* long \(201 characters\)") as caught:
        read(record)
    assert caught.value.reason == "unread_fields"


@pytest.mark.parametrize("name", sorted(READERS))
def test_trajectories_survive_the_json_of_the_cache(name: str) -> None:
    for line in (GOLDEN / name / "raw.jsonl").read_text(encoding="utf-8").splitlines():
        for trajectory in read_all(json.loads(line)):
            text = to_json(trajectory)
            assert text.encode()  # Arrow stores UTF-8, which has no place for a lone surrogate
            back = from_json(text, name)
            assert back.steps == trajectory.steps
            assert back.tools == trajectory.tools
            assert dict(back.metadata) == dict(trajectory.metadata)


# --- real data -------------------------------------------------------------------------------------------------------

TOOL_STEPS = [
    Step("user", "q"),
    Step("agent", None, None, (ToolCall("bash", "{\"command\": \"ls\"}", "a"),)),
    Step("tool", "o", tool_call_id="a"),
    Step("agent", "ok"),
]  # fmt: skip
BAD_ROWS: dict[str, str | list[Step]] = {
    "bad_args_json_string": TOOL_STEPS,
    "bad_brokenline": "broken_json",
    "bad_content_list": [Step("user", "q"), Step("agent", "ok")],
    "bad_content_null": TOOL_STEPS,
    "bad_empty": "empty_messages",
    "bad_no_assistant": "no_assistant_turn",
    "bad_role_missing": "missing_role",
}
"""What becomes of the broken row of each file: its reject reason, or its steps."""


def bad_file(shared_data: Path, name: str) -> list[Trajectory | str]:
    """Every line of a file as its trajectory, or as the reason of its reject."""
    found: list[Trajectory | str] = []
    for line in (shared_data / "bad_rows" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            found.append(read(json.loads(line)))
        except json.JSONDecodeError:
            found.append("broken_json")
        except RecordError as error:
            found.append(error.reason)
    return found


@pytest.mark.parametrize("name", sorted(BAD_ROWS))
def test_a_broken_row_is_what_it_should_be_and_its_neighbours_are_untouched(name: str, shared_data: Path) -> None:
    found, others = bad_file(shared_data, name), bad_file(shared_data, "bad_empty")
    broken, expected = found[10], BAD_ROWS[name]
    assert (list(broken.steps) if isinstance(broken, Trajectory) else broken) == expected
    good = found[:10] + found[11:]
    assert len(good) == 20
    assert all(isinstance(trajectory, Trajectory) for trajectory in good)
    assert good == others[:10] + others[11:]


def test_every_file_of_bad_rows_is_tested(shared_data: Path) -> None:
    assert {path.stem for path in (shared_data / "bad_rows").glob("*.jsonl")} == set(BAD_ROWS)


@pytest.mark.parametrize("answer", ["response", "output"])
@pytest.mark.parametrize("context", ["It opened in 1937.", "It opened in 1937. " * 40])
def test_the_context_of_a_question_is_part_of_what_was_asked(answer: str, context: str) -> None:
    found = read({"instruction": "When did it open?", "context": context, answer: "In 1937."})
    assert [(step.source, step.message) for step in found.steps] == [
        ("user", f"When did it open?\n\n{context}"),
        ("agent", "In 1937."),
    ]
