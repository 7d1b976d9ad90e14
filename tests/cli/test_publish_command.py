"""`deepcoder-hf publish` as a user meets it: the list of a dry run, a push, exit codes and one line for an error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import environment
from hub_server import WRITER, Hub
from pipeline_runs import processor, react, write_jsonl


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as found:
        yield found


@pytest.fixture(scope="module")
def sad(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sad")
    processor(tiny_model).process_files(str(write_jsonl(folder / "raw.jsonl", react(1, 2))), str(folder / "sad"))
    return folder / "sad"


def run(hub: Hub, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deepcoder_hf", "publish", *words],
        env=environment(hub.url, home), capture_output=True, text=True, timeout=120, cwd=home.parent,
    )  # fmt: skip


def test_a_dry_run_lists_files_and_a_push_says_where_it_is(hub: Hub, sad: Path, tmp_path: Path) -> None:
    words = (str(sad), "deepcoder/sad", "--license", "apache-2.0", "--acknowledge-rights")
    dry = run(hub, tmp_path / "home", *words, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert [line.split()[-1] for line in dry.stdout.splitlines()[:2]] == [
        "default/train-00000-of-00001.parquet", "README.md",
    ]  # fmt: skip
    assert "2 rows  default/train" in dry.stdout
    assert dry.stdout.endswith("2 rows; nothing was sent\n")
    assert not hub.store.repositories
    done = run(hub, tmp_path / "home", *words, "--tag", "v1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["n_rows"], result["tag"], result["dry_run"]) == (2, "v1", False)
    files = hub.files("deepcoder/sad", "v1")
    assert [file["path"] for file in result["files"]] == sorted(files, key=lambda path: (path[0] != "d", path))
    card = files["README.md"].decode()
    assert "deepcoder-hf publish sad deepcoder/sad --license apache-2.0" in card
    assert WRITER not in card + done.stdout + done.stderr + dry.stdout + dry.stderr


def test_an_error_is_one_line_and_exit_2(hub: Hub, sad: Path, tmp_path: Path) -> None:
    found = run(hub, tmp_path / "home", str(sad), "somebody/sad", "--license", "mit", "--acknowledge-rights")
    assert found.returncode == 2
    assert found.stderr == (
        "error: the token has no right to write to somebody/sad: use one of its owner, with write access\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sad", "deepcoder/sad"), "--license is needed"),
        (("deepcoder/sad", "--license", "mit"), "expected DATASET and OWNER/NAME, got 1 arguments"),
        (("sad", "deepcoder/sad", "--remove", "id-1"), "expected OWNER/NAME alone with --remove, got 2 arguments"),
    ],
)
def test_wrong_usage_is_exit_2(call_publish: Any, words: tuple[str, ...], message: str) -> None:
    found = call_publish(*words)
    assert found.exit_code == 2
    assert message in found.output


@pytest.fixture
def call_publish() -> Any:
    from click.testing import CliRunner

    from deepcoder_hf.cli.publish import command

    return lambda *words: CliRunner().invoke(command, list(words))
