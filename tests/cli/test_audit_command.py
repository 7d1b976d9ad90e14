"""`deepcoder-hf audit` as a user meets it: exit codes, JSON, the page, and text of the data that cannot act."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from deepcoder_hf.tokens.load import load_backend

QWEN3 = "Qwen/Qwen3-8B"
HEAD = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
HOSTILE = "\x1b[2J<script>alert(1)</script>[red]{{ 7 * 7 }}\u202e"
KEYS = {
    "dataset", "tokenizer", "turn_markers", "rows", "tokens", "trained_tokens", "trained_rows", "turns",
    "assistant_turns", "trained_turns", "rows_of_several_turns", "trained_by", "classes", "findings", "failed",
}  # fmt: skip
FINDING_KEYS = {
    "code", "severity", "meaning", "n", "unit", "n_rows", "share", "of", "max_share", "over_limit", "details",
    "examples",
}  # fmt: skip


def prepared(path: Path, question: str, trains_question: bool = False) -> Path:
    backend, _ = load_backend(QWEN3)
    head = backend.encode(HEAD.format(question), add_special_tokens=False).ids
    answer = backend.encode("It is fixed.<|im_end|>", add_special_tokens=False).ids
    labels = (head if trains_question else [-100] * len(head)) + answer
    path.write_text(json.dumps({"input_ids": head + answer, "labels": labels}) + "\n")
    return path


def test_clean_rows_end_with_0_and_errors_with_1(call: Any, tmp_path: Path) -> None:
    clean = call("audit", prepared(tmp_path / "a.jsonl", "Fix it."), "--tokenizer", QWEN3)
    assert clean.exit_code == 0, clean.output
    assert "no finding over its limit" in clean.stdout
    assert "chatml: built-in table" in clean.stdout
    wrong = call("audit", prepared(tmp_path / "b.jsonl", "Fix it.", True), "-t", QWEN3)
    assert wrong.exit_code == 1
    assert "trained_user" in wrong.stdout
    assert "2 findings over their limit" in wrong.stdout
    passed = call("audit", "b.jsonl", "-t", QWEN3, "--max-share", "trained_user=0.9", "--max-share", "0.9")
    assert passed.exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["a.jsonl"],
        ["nothing", "-t", QWEN3],
        ["a.jsonl", "-t", "./nothing"],
        ["a.jsonl", "-t", QWEN3, "--max-share", "2"],
        ["a.jsonl", "-t", QWEN3, "--max-share", "trained_users=0.1"],
        ["a.jsonl", "-t", QWEN3, "--max-share", "nan"],
        ["a.jsonl", "-t", QWEN3, "--rows", "0"],
        ["a.jsonl", "-t", QWEN3, "--html", "missing/page.html"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(words: list[str], call: Any, tmp_path: Path) -> None:
    prepared(tmp_path / "a.jsonl", "Fix it.")
    result = call("audit", *words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


def test_json_has_the_documented_keys_and_stands_alone(call: Any, tmp_path: Path) -> None:
    result = call("audit", prepared(tmp_path / "a.jsonl", HOSTILE, True), "-t", QWEN3, "--json")
    assert result.exit_code == 1
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    report = json.loads(result.stdout)
    assert set(report) == KEYS
    assert all(set(finding) == FINDING_KEYS for finding in report["findings"])
    user = next(finding for finding in report["findings"] if finding["code"] == "trained_user")
    assert user["examples"][0]["marked"] == HOSTILE


def test_text_of_the_data_cannot_paint_the_terminal(call: Any, tmp_path: Path) -> None:
    shown = call("audit", prepared(tmp_path / "a.jsonl", HOSTILE, True), "-t", QWEN3).stdout
    assert not re.search("[\x1b\u202e]", shown)
    assert "[red]" in shown


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_self_contained_and_escapes_the_data(call: Any, tmp_path: Path) -> None:
    call("audit", prepared(tmp_path / "a.jsonl", HOSTILE, True), "-t", QWEN3, "--html", "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    parser = _Tags()
    parser.feed(page)
    assert "script" not in {tag for tag, _ in parser.tags}
    assert not [attributes for _, attributes in parser.tags if {"src", "href", "onload"} & set(attributes)]
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page
    assert "\x1b" not in page
    assert "<mark>" in page
    assert "trained_user" in page


def test_rows_that_process_wrote_have_no_error(call: Any, tmp_path: Path) -> None:
    import deepcoder_hf

    samples = Path(deepcoder_hf.__path__[0]) / "samples"
    assert call("process", "-i", samples, "-o", "sad", "--config", "qwen3", "--model", QWEN3).exit_code == 0
    result = call("audit", "sad", "-t", QWEN3, "--json")
    report = json.loads(result.stdout)
    assert [f for f in report["findings"] if f["severity"] == "error"] == []
    assert result.exit_code == 0
    assert report["rows"] == len(load_from_disk("sad")) > 0
    assert report["trained_tokens"] > 0
