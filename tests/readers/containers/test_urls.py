"""URLs as inputs: which files they name, and that their secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from raw_files import LINE, names, write

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import InputError
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.readers.containers.remote_files import redact


@pytest.fixture
def memory() -> str:
    file_system = fsspec.filesystem("memory")
    for name in ("a.jsonl", "b/c.jsonl", "b/.x.jsonl", "README.md", "state.json", "run.log"):
        file_system.pipe(f"/deepcoder/data/{name}", LINE)
    return "memory://deepcoder/data"


@pytest.mark.parametrize(
    ("below", "wanted"),
    [
        ("", ["a.jsonl", "b/c.jsonl"]),
        ("/a.jsonl", ["a.jsonl"]),
        ("/run.log", ["run.log"]),
        ("/*.jsonl", ["a.jsonl"]),
        ("/**/*.jsonl", ["a.jsonl", "b/c.jsonl"]),
        ("/*.log", ["run.log"]),
    ],
)
def test_urls_are_listed_and_read(memory: str, below: str, wanted: list[str]) -> None:
    files = find_files(memory + below)
    assert [name for name in names(files) if "/." not in name] == wanted
    for file in files:
        assert file.path.startswith("memory://")
        assert len(file.digest) == 32
        assert [row.record for row in iter_records(file, ReadersConfig())] == [{"n": 1}]


def test_a_url_that_became_a_path_is_still_a_url(memory: str) -> None:
    assert names(find_files(Path(memory) / "a.jsonl")) == ["a.jsonl"]
    assert str(Path(memory)) == "memory:/deepcoder/data"


def test_a_url_of_the_local_disk_is_a_path(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl")
    assert find_files(f"file://{tmp_path}/a.jsonl") == find_files(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/a.jsonl?sig=secret#x", "https://host/a.jsonl"),
        ("s3://key:secret@bucket/a?.jsonl", "s3://bucket/a?.jsonl"),
        ("hf://datasets/o/n@main/a.jsonl", "hf://datasets/o/n@main/a.jsonl"),
        ("/home/a@b?c", "/home/a@b?c"),
    ],
)
def test_secrets_of_urls_are_not_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_an_error_about_a_url_does_not_show_its_secrets() -> None:
    with pytest.raises(InputError) as raised:
        find_files("nosuch://user:hunter2@host/a.jsonl")
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None
