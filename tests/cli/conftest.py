"""Running the command as a user does: in a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

REACT = "Thought: I look at number {n}.\nAction: look[{n}]\nObservation: it is {n}\nThought: Done.\nAction: finish[{n}]"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(tiny_model: Path) -> Run:
    """Run `deepcoder-hf` with arguments; `process` gets the tiny tokenizer unless a model is named."""

    def run(*args: object, cwd: Path, stdin: str | None = "", env: dict[str, str] | None = None) -> Any:
        words = [str(arg) for arg in args]
        if "process" in words and "--model" not in words and "--help" not in words:
            words += ["--model", str(tiny_model)]
        return subprocess.run(
            [sys.executable, "-m", "deepcoder_hf", *words],
            cwd=cwd,
            input=stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )

    return run


@pytest.fixture
def call(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command in this process and in `tmp_path`: quicker, where the process itself is not under test."""
    from deepcoder_hf.cli.main import main

    monkeypatch.chdir(tmp_path)

    def call(*args: object) -> Result:
        words = [str(arg) for arg in args]
        if "process" in words and "--model" not in words:
            words += ["--model", str(tiny_model)]
        return CliRunner().invoke(main, words)

    return call


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three records that can be used and one that cannot."""
    records = [{"id": f"id-{n}", "text": REACT.format(n=n)} for n in range(3)]
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in [*records, {"foo": 1}]))
    return path
