"""`deepcoder-hf evaluate`: floors, settings, containers, malformed gold, wrong usage, progress."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from labelled_texts import RECORDS, numbered, write

OWN_PATTERN = """
spans:
  patterns:
    - name: house_plan
      span_type: reasoning
      kind: tag
      open: "<house:plan>"
      close: "</house:plan>"
      confidence: 0.99
      styles: [house]
      example: "<house:plan>Read it.</house:plan>\\n<tool_call>{}</tool_call>"
      counter_example: "A plan."
"""


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Three records in which the detector is right, and one in whose labels two characters are wrong."""
    return write(tmp_path / "gold.jsonl", *RECORDS)


def figures(result: Any, name: str) -> list[str]:
    """The cells of a row of the table."""
    (row,) = [line.split() for line in result.stdout.splitlines() if line.split()[:1] == [name]]
    return row[1:]


@pytest.mark.parametrize(
    ("floors", "code", "problem"),
    [
        (["reasoning=0.9", "observation=1"], 0, ""),
        (["exact_records=0.9"], 1, "exact_records is 0.7500, less than --fail-under exact_records=0.9"),
        (["reasoning=1", "exact_records=0.7"], 1, "reasoning is 0.9583, less than --fail-under reasoning=1"),
    ],
)
def test_a_figure_below_its_floor_exits_with_1(
    floors: list[str], code: int, problem: str, call: Any, gold: Path
) -> None:
    words = [word for floor in floors for word in ("--fail-under", floor)]
    result = call("evaluate", "gold.jsonl", *words)
    assert result.exit_code == code
    assert result.stderr == (f"error: {problem}\n" if problem else "")
    assert "macro" in result.stdout


def test_a_floor_of_a_type_that_is_not_labelled_fails(call: Any, tmp_path: Path) -> None:
    write(tmp_path / "gold.jsonl", RECORDS[2])
    result = call("evaluate", "gold.jsonl", "--fail-under", "action=0")
    assert result.exit_code == 1
    assert result.stderr == "error: --fail-under action=0: no labelled character has this type\n"


def test_patterns_and_settings_of_ones_own_are_scored(call: Any, tmp_path: Path) -> None:
    text = "<house:plan>Read it.</house:plan>\n<tool_call>{}</tool_call>"
    write(tmp_path / "gold.jsonl", numbered(0, text, [("reasoning", 12, 20)], style="house"))
    (tmp_path / "own.yaml").write_text(OWN_PATTERN)
    result = call("evaluate", "gold.jsonl", "--config", "own.yaml", "--by", "pattern")
    assert figures(result, "house_plan")[:3] == ["reasoning", "1", "1.0000"]
    content = json.loads(call("evaluate", "gold.jsonl", "-c", "own.yaml", "--json", "--leave-out", "house").stdout)
    assert content["leave_out"]["left_out"] == {"house": 1}
    result = call("evaluate", "gold.jsonl", "-c", "own.yaml", "--set", "spans.min_confidence=1", "--json")
    assert json.loads(result.stdout)["scores"]["macro"]["reasoning"] == 0.0


def test_gold_may_be_compressed_or_come_from_stdin(run: Any, gold: Path, tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl.gz").write_bytes(gzip.compress(gold.read_bytes()))
    outputs = [
        json.loads(run("evaluate", name, "--json", cwd=tmp_path, stdin=gold.read_text()).stdout)["scores"]["macro"]
        for name in ("gold.jsonl", "gold.jsonl.gz", "-")
    ]
    assert outputs[0] == outputs[1] == outputs[2]


def test_malformed_records_are_counted_and_named_with_their_line(call: Any, tmp_path: Path) -> None:
    bad = [{"id": "x"}, numbered(1, "text", [("action", 0, 9)]), numbered(2, "text", [("acton", 0, 1)])]
    path = write(tmp_path / "gold.jsonl", RECORDS[0], *bad)
    path.write_text(path.read_text() + '{"id": \n' + "17\n" + json.dumps(RECORDS[2]) + "\n")
    result = call("evaluate", "gold.jsonl")
    assert result.exit_code == 0
    assert "2 records, 0.0 MB, 5 malformed" in result.stdout
    lines = result.stderr.splitlines()
    assert lines[0] == "warning: 5 records are malformed and not scored:"
    assert lines[1].startswith("  gold.jsonl:2: expected the keys id, text and spans, missing: text, spans")
    assert lines[2].startswith("  gold.jsonl:3: spans.0: expected 0 <= start <= end <= 4")
    assert lines[3].startswith("  gold.jsonl:4: spans.0.type: no such type: 'acton'")
    assert lines[4].startswith("  gold.jsonl:5: ")
    assert lines[5].startswith("  gold.jsonl:6: expected a JSON object, got a number")
    content = json.loads(call("evaluate", "gold.jsonl", "--json").stdout)
    assert (content["n_malformed"], len(content["malformed"])) == (5, 5)
    write(path, RECORDS[0], *([bad[0]] * 30))
    result = call("evaluate", "gold.jsonl")
    assert result.stderr.splitlines()[-1] == "  and 20 more; --json lists all"


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("missing.jsonl", "'missing.jsonl' which does not exist"),
        ("empty.jsonl", r"empty\.jsonl: the file is empty; expected a labelled text a line"),
        ("words.jsonl", r"none of 2 records can be used; first: words\.jsonl:1: column 1"),
        ("binary.jsonl", r"none of 1 records can be used; first: binary\.jsonl:1: expected UTF-8"),
        ("prose.md", "missing: id, spans; got 'text'"),
        ("raw.jsonl", "none of 1 records can be used; first: raw.jsonl:1: .*missing: spans; got 'id', 'text'"),
        ("gold.jsonl --leave-out react_plian", "did you mean 'react_plain'"),
        ("gold.jsonl --leave-out hermes_chatml", "no record is of this style; styles of the records: house_react"),
        ("gold.jsonl -c nope", "config 'nope': No such file"),
        ("gold.jsonl --set spans.min_confidence=2", "spans.min_confidence"),
        ("gold.jsonl --set spans.leave_out=[nonsense]", "nonsense"),
    ],
)
def test_wrong_setup_and_files_without_gold_exit_with_2_and_one_line(
    words: str, pattern: str, call: Any, gold: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "words.jsonl").write_text("some words\nand more\n")
    (tmp_path / "binary.jsonl").write_bytes(b"\x7fELF\xff\xfe\x00" * 20)
    (tmp_path / "prose.md").write_text("# Title\nprose\n")
    write(tmp_path / "raw.jsonl", {"id": "1", "text": "Thought: a"})
    result = call("evaluate", *words.split())
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert re.search(pattern, result.stderr), result.stderr


@pytest.mark.parametrize(
    "words",
    [
        "",
        "gold.jsonl more.jsonl",
        "gold.jsonl --by text",
        "gold.jsonl --worst 0",
        "gold.jsonl --fail-under 0.9",
        "gold.jsonl --fail-under false_positives=0.1",
        "gold.jsonl --fail-under action=high",
        "gold.jsonl --fail-under action=nan",
        "gold.jsonl --fail-under action=2",
    ],
)
def test_wrong_usage_exits_with_2(words: str, call: Any, gold: Path) -> None:
    result = call("evaluate", *words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_progress_goes_to_stderr_alone_and_only_to_a_terminal(gold: Path, tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    words = [sys.executable, "-m", "deepcoder_hf", "evaluate", "gold.jsonl"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, text=True) as done:
        os.close(end)
        shown = b""
        try:
            while block := os.read(terminal, 4096):
                shown += block
        except OSError:  # the terminal is closed when the process ends
            os.close(terminal)
        assert done.stdout is not None
        assert "macro" in done.stdout.read()
    assert done.returncode == 0
    assert b"scoring" in shown
