"""A bad record stays alone: its neighbours become the rows of a file without it, and it is a reject or a right row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from deepcoder_hf import TrajectoryProcessor

MIXED = Path(__file__).resolve().parents[1] / "data" / "bad_rows" / "mixed.jsonl"
MODEL = "Qwen/Qwen3-0.6B"
BAD = 11
"""The line of the bad record in each file of the shared data."""
CALL = '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>'
OUTCOMES: dict[str, str | list[str]] = {
    "bad_args_json_string": [CALL, "<tool_response>\no\n</tool_response>", "ok<|im_end|>"],
    "bad_brokenline": "broken_json",
    "bad_content_list": ["<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nok<|im_end|>"],
    "bad_content_null": [CALL, "<tool_response>\no\n</tool_response>", "ok<|im_end|>"],
    "bad_empty": "empty_messages",
    "bad_no_assistant": "no_assistant_turn",
    "bad_role_missing": "missing_role",
}
"""What becomes of the bad record: the reason of its reject, or what its row says, in order."""
MIXED_REJECTS = {2: "broken_json", 3: "missing_role", 5: "empty_messages", 6: "no_assistant_turn"}
MIXED_ROWS = {
    8: ['{"name": "run", "arguments": {"command": "git tag"}}', "v1.4", "One: v1.4.<|im_end|>"],
    9: ["<|im_start|>user\nWhich Python?<|im_end|>\n<|im_start|>assistant\n3.12.<|im_end|>"],
    10: ['{"name": "run", "arguments": {"command": "df -h /"}}', "61% used", "39 %.<|im_end|>"],
}
"""Lines of the shipped file whose records look odd and are right."""


def processed(lines: list[str], folder: Path) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """Rows and reject reasons by line."""
    folder.mkdir()
    file = folder / "in.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    report = TrajectoryProcessor({"tokens": {"model_name": MODEL}}).process_files(file, folder / "out", form="dataset")
    rows = load_from_disk(str(folder / "out")).to_list()
    rejected = [
        json.loads(line) for line in (folder / "out" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert report["n_read"] == report["n_kept"] + report["n_dropped"] + report["n_failed"] == len(lines)
    return {_line(row): row for row in rows}, {reject["line"]: reject["reason"] for reject in rejected}


def _line(row: dict[str, Any]) -> int:
    """The line of a row, whose metadata then says nothing of it."""
    metadata = json.loads(row["metadata"])
    number: int = metadata.pop("source")["line"]
    row["metadata"] = metadata
    return number


def says(row: dict[str, Any], texts: list[str]) -> bool:
    """Whether a row says these texts in this order, with something of them trained."""
    at = 0
    for text in texts:
        found = row["text"].find(text, at)
        if found < 0:
            return False
        at = found + len(text)
    return any(row["reasoning_mask"]) or any(row["action_mask"])


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_the_neighbours_of_a_bad_record_are_the_rows_of_a_clean_file(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    lines = (shared_data / "bad_rows" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 21
    clean, none = processed([line for number, line in enumerate(lines, 1) if number != BAD], tmp_path / "clean")
    rows, rejected = processed(lines, tmp_path / "bad")
    bad, outcome = rows.pop(BAD, None), OUTCOMES[name]
    assert none == {}
    assert len(clean) == 20
    assert list(rows.values()) == list(clean.values())
    assert rejected == ({BAD: outcome} if isinstance(outcome, str) else {})
    assert (bad is None) if isinstance(outcome, str) else (bad is not None and says(bad, outcome))


def test_good_records_among_bad_ones_are_the_rows_of_a_clean_file(tmp_path: Path) -> None:
    lines = MIXED.read_text(encoding="utf-8").splitlines()
    odd = {*MIXED_REJECTS, *MIXED_ROWS}
    clean, none = processed([line for number, line in enumerate(lines, 1) if number not in odd], tmp_path / "clean")
    rows, rejected = processed(lines, tmp_path / "mixed")
    right = {number: rows.pop(number) for number in MIXED_ROWS}
    assert none == {}
    assert len(clean) == 4
    assert list(rows.values()) == list(clean.values())
    assert rejected == MIXED_REJECTS
    assert all(says(row, MIXED_ROWS[number]) for number, row in right.items())
