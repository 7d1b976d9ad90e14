"""Outputs: under their name only when complete, and nothing that this tool did not write is ever replaced."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.dataset.load import read_rows
from deepcoder_hf.errors import InputError, OutputError

OUTPUTS = ["sad", "sad.parquet", "sad.jsonl"]


@pytest.fixture(scope="module")
def chain(tiny_model: Path) -> TrajectoryProcessor:
    return TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}})


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    path = tmp_path / "runs.jsonl"
    records = [{"id": f"id-{n}", "text": f"Thought: {n}\nAction: look[{n}]\nObservation: {n}"} for n in range(3)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sad", ["runs.jsonl", "sad"]),
        ("sad.parquet", ["runs.jsonl", "sad.parquet", "sad.rejected.jsonl", "sad.report.json"]),
        ("sad.jsonl", ["runs.jsonl", "sad.jsonl", "sad.rejected.jsonl", "sad.report.json"]),
    ],
)
def test_a_run_leaves_the_output_its_report_its_rejects_and_nothing_else(
    name: str, expected: list[str], chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    report = chain.process_files(runs, tmp_path / name)
    assert names(tmp_path) == expected
    if name == "sad":
        sides = ["report.json", "rejected.jsonl"]
        assert names(tmp_path / name) == ["data-00000-of-00001.arrow", "dataset_info.json", *sides[::-1], "state.json"]
        assert json.loads((tmp_path / "sad" / "report.json").read_text()) == report
    else:
        assert json.loads((tmp_path / "sad.report.json").read_text()) == report


def test_an_output_may_be_an_empty_folder_or_in_folders_that_do_not_exist(
    chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    chain.process_files(runs, tmp_path / "empty")
    assert len(load_from_disk(str(tmp_path / "empty"))) == 3
    chain.process_files(runs, tmp_path / "new" / "folders" / "sad.parquet")
    assert len(read_rows(tmp_path / "new" / "folders" / "sad.parquet")) == 3


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_existing_output_is_replaced_only_when_asked_for(
    name: str, chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    chain.process_files(runs, tmp_path / name)
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        chain.process_files(runs, tmp_path / name, limit=1)
    assert snapshot(tmp_path) == before
    chain.process_files(runs, tmp_path / name, limit=1, overwrite=True)
    assert read_rows(tmp_path / name)["trajectory_id"][:] == ["id-0"]
    assert names(tmp_path) == sorted({Path(path).parts[0] for path in before})


def test_a_folder_of_somebody_else_is_never_replaced(chain: TrajectoryProcessor, runs: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not written by deepcoder-hf"):
            chain.process_files(runs, theirs, overwrite=overwrite)
    assert snapshot(theirs) == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize("inner", ["notes.md", "model/weights.bin", ".git/config"])
def test_an_output_folder_with_something_else_in_it_is_not_replaced(
    inner: str, chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    chain.process_files(runs, tmp_path / "sad")
    (tmp_path / "sad" / inner).parent.mkdir(exist_ok=True)
    (tmp_path / "sad" / inner).write_text("mine")
    before = snapshot(tmp_path / "sad")
    with pytest.raises(OutputError, match=f"'{Path(inner).parts[0]}', which deepcoder-hf did not write"):
        chain.process_files(runs, tmp_path / "sad", overwrite=True)
    assert snapshot(tmp_path / "sad") == before


def test_a_file_of_somebody_else_is_never_replaced(chain: TrajectoryProcessor, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.parquet").write_bytes(b"PAR1 years of work")
    with pytest.raises(OutputError, match="not written by deepcoder-hf"):
        chain.process_files(runs, tmp_path / "theirs.parquet", overwrite=True)
    assert (tmp_path / "theirs.parquet").read_bytes() == b"PAR1 years of work"


@pytest.mark.parametrize(("there", "wanted"), [("sad", "parquet"), ("sad.parquet", "dataset")])
def test_a_folder_is_not_replaced_by_a_file_nor_a_file_by_a_folder(
    there: str, wanted: str, chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    chain.process_files(runs, tmp_path / there)
    with pytest.raises(OutputError, match="folder"):
        chain.process_files(runs, tmp_path / there, form=wanted, overwrite=True)
    assert len(read_rows(tmp_path / there)) == 3


def test_an_unknown_suffix_is_an_error_that_names_the_known_ones(
    chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"'\.csv'.*\.parquet.*--format"):
        chain.process_files(runs, tmp_path / "sad.csv")
    chain.process_files(runs, tmp_path / "sad.csv", form="parquet")
    assert len(read_rows(tmp_path / "sad.csv")) == 3
    with pytest.raises(OutputError, match="'csv'"):
        chain.process_files(runs, tmp_path / "x", form="csv")


@pytest.mark.parametrize("parent", ["/proc/nowhere", "runs.jsonl"])
def test_a_parent_that_cannot_be_written_is_found_before_any_work(
    parent: str, chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"cannot write in .*; name an output elsewhere"):
        chain.process_files(tmp_path / "not looked at", tmp_path / parent / "sad")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_parent_is_found_before_any_work(chain: TrajectoryProcessor, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        chain.process_files(runs, tmp_path / "locked" / "sad")


def test_a_write_that_fails_leaves_nothing_under_the_final_name(tiny_model: Path, tmp_path: Path) -> None:
    """The operating system refuses files beyond a size, as a full disk does in the middle of a write."""
    inputs, work = tmp_path / "runs.jsonl", tmp_path / "work"
    work.mkdir()
    noise = [os.urandom(40_000).hex() for _ in range(60)]
    inputs.write_text("".join(json.dumps({"text": f"Thought: {text}\nAction: look[1]"}) + "\n" for text in noise))
    settings = ["--model", tiny_model, "--max-length", 10_000_000, "--set", f"dataset.cache_dir={tmp_path / 'cache'}"]
    settings += ["--set", "dataset.shard_records=5"]
    words = [sys.executable, "-m", "deepcoder_hf", "process", "-i", inputs, "-o", work / "sad", *settings]
    limit = 6_000_000

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([*map(str, words)], capture_output=True, text=True, preexec_fn=limit_files, timeout=120)
    assert done.returncode == 1, done.stderr[-2000:]
    assert len(list((tmp_path / "cache").rglob("sad-*/*-*.arrow"))) == 12  # the output is what could not be written
    assert done.stderr.startswith("error: ")
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert names(work) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_one_line_and_leaves_nothing(name: str, tiny_model: Path, tmp_path: Path) -> None:
    disk, inputs = tmp_path / "disk", tmp_path / "runs.jsonl"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        text = os.urandom(200_000).hex()
        inputs.write_text(json.dumps({"text": f"Thought: {text}\nAction: look[1]"}) + "\n")
        settings = ["--model", tiny_model, "--max-length", 10_000_000]
        words = [sys.executable, "-m", "deepcoder_hf", "process", "-i", inputs, "-o", disk / name, *settings]
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 1, done.stderr[-2000:]
        assert done.stderr.startswith("error: the disk is full")
        assert done.stderr.count("\n") == 1
        assert names(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.jsonl", b'{"text": "a"\n', r"x\.jsonl:1: expected a JSON object"),
        ("x.jsonl", b'{"text": "a"}\n[1]\n', r"x\.jsonl:2: expected a JSON object a line, got list"),
        ("x.jsonl", b"\xff\xfe\n", r"x\.jsonl:1: expected a JSON object"),
        ("x.jsonl", b"[" * 100_000 + b"\n", r"x\.jsonl:1: expected a JSON object"),
        ("x.jsonl", b'{"foo": 1}\n', r"x\.jsonl:1: .* got an object with the keys 'foo'"),
        ("x.jsonl", b'{"length": "many"}\n', r"x\.jsonl cannot be read"),
        ("x.parquet", b"PAR1 and then nothing", r"x\.parquet cannot be read"),
        ("x.parquet", b"not parquet", r"x\.parquet:1: expected a JSON object"),
    ],
)
def test_what_is_no_processed_dataset_is_an_input_error(
    name: str, content: bytes, problem: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem) as caught:
        read_rows(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_or_foreign_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_rows(tmp_path / "missing")
    with pytest.raises(InputError, match="expected a dataset folder"):
        read_rows(tmp_path)
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path)


def test_a_changed_jsonl_file_is_never_read_from_the_cache(
    chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    chain.process_files(runs, tmp_path / "sad.jsonl")
    assert read_rows(tmp_path / "sad.jsonl")["row_weight"][:] == [1.0, 1.0, 1.0]
    content = (tmp_path / "sad.jsonl").read_text()
    (tmp_path / "sad.jsonl").write_text(content.replace('"row_weight": 1.0', '"row_weight": 2.0'))
    assert read_rows(tmp_path / "sad.jsonl")["row_weight"][:] == [2.0, 2.0, 2.0]


def test_several_parquet_files_in_a_folder_are_one_dataset(
    chain: TrajectoryProcessor, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows").mkdir()
    for n, limit in ((0, 1), (1, 3)):
        chain.process_files(runs, tmp_path / "rows" / f"part-{n}.parquet", limit=limit)
    rows: Any = read_rows(tmp_path / "rows")
    assert rows["trajectory_id"][:] == ["id-0", "id-0", "id-1", "id-2"]
