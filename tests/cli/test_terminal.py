"""What data holds never acts on the terminal: escape sequences, control and direction characters, markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\x00\u202etxt\u2066[bold red]m[/bold red]:smile:\rback"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Escape sequences in ids, keys, texts, calls, file names and broken lines."""
    folder = tmp_path / "runs\x1b[31m"
    folder.mkdir()
    records = [
        {"id": f"id{EVIL}", "text": f"Thought: {EVIL}\nAction: look[{EVIL}]\nObservation: {EVIL}", "model": EVIL},
        {EVIL: 1},
        {"messages": [{"role": EVIL, "content": EVIL}]},
    ]
    lines = [json.dumps(record) for record in records]
    (folder / "evil\x1b[31m.jsonl").write_text("\n".join([*lines, f'{{"{EVIL}', ""]), encoding="utf-8")
    return folder


def safe(text: str) -> str:
    found = ACTS.search(text)
    assert found is None, (found, text[max(0, found.start() - 80) : found.end() + 20])
    return text


def test_no_command_lets_data_act_on_the_terminal(evil: Path, call: Any, tmp_path: Path) -> None:
    result = call("process", "-i", evil, "-o", "sad.jsonl")
    assert result.exit_code == 0, result.stderr
    safe(result.stdout + result.stderr)
    for words in (
        ["inspect", "sad.jsonl", "--full"],
        ["inspect", "sad.jsonl", "--json"],
        ["validate", "-i", "sad.jsonl"],
    ):
        result = call(*words)
        assert result.exit_code == 0, result.stderr
        safe(result.stdout + result.stderr)
    assert "[bold red]m[/bold red]:smile:" in call("inspect", "sad.jsonl", "--full").stdout
    assert json.loads(call("inspect", "sad.jsonl", "--json").stdout)["trajectory_id"] == f"id{EVIL}"


def test_no_error_lets_data_act_on_the_terminal(evil: Path, call: Any, tmp_path: Path) -> None:
    assert call("process", "-i", evil, "-o", "sad.jsonl").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "sad.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[0]["spans"][0]["span_type"] = EVIL
    (tmp_path / "sad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for words, code in (
        (["validate", "-i", "sad.jsonl"], 1),
        (["validate", "-i", "sad.jsonl", "--json"], 1),
        (["inspect", "sad.jsonl", "--id", "nobody"], 2),
        (["process", "-i", f"missing{EVIL.replace(chr(0), '')}", "-o", "x"], 2),
        (["process", "-i", evil, "-o", "x", "--set", f"tokens.{EVIL}=1"], 2),
        (["process", "-i", evil, "-o", "x", "--model", "no\x1b[31m"], 2),
    ):
        result = call(*words)
        assert result.exit_code == code, (words, result.stderr, result.exception)
        safe(result.stdout + result.stderr)
        assert result.stdout + result.stderr
