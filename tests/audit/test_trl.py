"""What TRL itself prepares from real conversations, audited: needs an interpreter with trl."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_rows import found

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from audit_trl import audited

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("DEEPCODER_HF_TRL_PYTHON", sys.executable)
"""Interpreter that has trl, where it is not the one of the tests."""
N_CONVERSATIONS = 12
Prepare = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def prepare(shared_data: Path) -> Prepare:
    """Conversations of a source as TRL prepares them, audited."""
    if subprocess.run([PYTHON, "-c", "import trl"], capture_output=True).returncode:
        pytest.skip("trl is not installed here (pip install 'deepcoder-hf[bench]'), nor at DEEPCODER_HF_TRL_PYTHON")
    tokenizer = shared_data / "tokenizers" / "qwen3"

    def prepare(source: str, **settings: Any) -> dict[str, Any]:
        return audited(shared_data / "trajectories" / source, N_CONVERSATIONS, tokenizer, PYTHON, settings)

    return prepare


def test_trl_trains_everything_unless_it_is_told_otherwise(prepare: Prepare) -> None:
    report = prepare("webdancer")
    assert report["failed"]
    assert report["trained_by"] == ["labels"]
    assert report["trained_tokens"] == report["tokens"]
    findings = found(report)
    assert {"trained_observation", "trained_user", "trained_system", "trained_header"} <= set(findings)
    assert all(findings[code]["n_rows"] == N_CONVERSATIONS for code in ("trained_observation", "trained_user"))
    assert findings["trained_observation"]["share"] > 0.4
    assert "<tool_response>" in findings["trained_observation"]["examples"][0]["marked"]


def test_its_training_template_trains_the_assistant_and_the_newline_after_the_stop(prepare: Prepare) -> None:
    report = prepare("webdancer", assistant_only_loss=True)
    assert not report["failed"]
    findings = found(report)
    assert findings["trained_newline"]["n"] == report["assistant_turns"]
    assert report["trained_turns"] == report["assistant_turns"]
    assert findings["control_tokens_in_text"]["n"] == N_CONVERSATIONS  # the prompt shows <think> and <tool_call>
    trained = {name for name, counts in report["classes"].items() if counts["trained"]}
    assert trained == {"reasoning", "call", "text", "stop", "newline"}


def test_its_training_template_injects_empty_think_blocks_and_trains_them(prepare: Prepare) -> None:
    findings = found(report := prepare("llamafactory", assistant_only_loss=True))
    assert findings["empty_think"]["n"] == report["assistant_turns"]
    assert findings["trained_empty_think"]["n"] == 4 * report["assistant_turns"]
    assert findings["trained_empty_think"]["examples"][0]["marked"] == "<think>\n\n</think>\n\n"


def test_arrow_invents_null_arguments_that_trl_trains(prepare: Prepare) -> None:
    finding = found(prepare("llamafactory", assistant_only_loss=True))["null_keys"]
    assert finding["details"]["keys, trained"] > 20
    assert finding["examples"][0]["marked"].endswith(": null")


def test_rows_that_trl_packed_are_read_sequence_by_sequence(prepare: Prepare) -> None:
    report = prepare("llamafactory", assistant_only_loss=True, packing=True, max_length=4096)
    findings = found(report)
    assert findings["packed_rows"]["n"] == report["rows"] < N_CONVERSATIONS
    assert "unclosed_turns" not in findings
