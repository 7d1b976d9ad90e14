"""What TRL itself prepares from real conversations, audited: needs an interpreter with trl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from chat_rows import found, reader

from deepcoder_hf.audit.run import audit_dataset
from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("DEEPCODER_HF_TRL_PYTHON", sys.executable)
"""Interpreter that has trl, where it is not the one of the tests."""
N_CONVERSATIONS = 12
ROLES = {"agent": "assistant"}
Prepare = Callable[..., dict[str, Any]]


def messages(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Conversations as chat messages."""
    for file in find_files(folder):
        for raw in iter_records(file, ReadersConfig()):
            for trajectory in TrajectoryParser().parse_all(raw.record or {}):
                yield [message for step in trajectory.steps for message in of_step(step)]


def of_step(step: Any) -> Iterator[dict[str, Any]]:
    message: dict[str, Any] = {"role": ROLES.get(step.source, step.source), "content": step.message or ""}
    if step.tool_calls:
        message["tool_calls"] = [
            {"type": "function", "function": {"name": call.function_name, "arguments": json.loads(call.arguments)}}
            for call in step.tool_calls
        ]
    yield message
    for result in step.observations:
        yield {"role": "tool", "content": result.content}


@pytest.fixture(scope="module")
def prepare(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """Conversations of a source as TRL prepares them, audited."""
    if subprocess.run([PYTHON, "-c", "import trl"], capture_output=True).returncode:
        pytest.skip("trl is not installed here (pip install 'deepcoder-hf[bench]'), nor at DEEPCODER_HF_TRL_PYTHON")
    tokenizer = shared_data / "tokenizers" / "qwen3"

    def prepare(source: str, **settings: Any) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("trl")
        rows = [{"messages": one} for one in islice(messages(shared_data / "trajectories" / source), N_CONVERSATIONS)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
        script = Path(__file__).with_name("prepare_with_trl.py")
        words = [PYTHON, script, folder / "rows.jsonl", tokenizer, folder / "out", "qwen3.jinja", json.dumps(settings)]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
        return audit_dataset(folder / "out", reader(str(tokenizer)))

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
