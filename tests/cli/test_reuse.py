"""The cache: what was computed is not computed again, in whatever process; what changed never comes from it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import load_from_disk

from deepcoder_hf import TrajectoryProcessor

REACT = "Thought: I look at number {n}.\nAction: look[{n}]\nObservation: it is {n}\nThought: Done.\nAction: finish[{n}]"
OWN_PATTERN = {
    "name": "own_label",
    "span_type": "reasoning",
    "kind": "label",
    "open": "Musing:",
    "confidence": 0.9,
    "example": "Musing: hm",
    "counter_example": "amusing",
}


def write(path: Path, numbers: range, n_steps: int = 1) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for n in numbers:
            text = "\n".join(REACT.format(n=f"{n:04d}.{step}") for step in range(n_steps))
            file.write(json.dumps({"id": f"id-{n}", "text": text}) + "\n")
        file.write('{"foo": 1}\n{"broken\n')
    return path


def shard_files(cache: Path) -> dict[str, tuple[int, int]]:
    """Cache files of SAD rows, with their inode and time of change."""
    found = cache.rglob("sad-*/*-*.arrow")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def first(run: Any, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A run in another process: input, cache folder and report."""
    folder = tmp_path_factory.mktemp("reuse")
    inputs, cache = write(folder / "runs.jsonl", range(9)), folder / "cache"
    shards = ("--set", f"dataset.cache_dir={cache}", "--set", "dataset.shard_records=3")
    done = run("process", "-i", inputs, "-o", folder / "sad", "--json", *shards, cwd=folder)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["shards"] == {"total": 4, "from_cache": 0}
    return inputs, cache, report


def again(
    first: tuple[Path, Path, dict[str, Any]], output: Path, model: Path, sections: dict[str, Any], **options: Any
) -> dict[str, Any]:
    inputs, cache, _ = first
    settings = {"tokens": {"model_name": str(model)}, **sections}
    settings["tokens"] = {"model_name": str(model), **settings["tokens"]}
    settings["dataset"] = {"cache_dir": str(cache), "shard_records": 3}
    return TrajectoryProcessor(settings).process_files(options.pop("inputs", inputs), output, **options)


def test_a_second_process_is_served_from_the_cache_with_the_same_report_and_rejects(
    first: tuple[Path, Path, dict[str, Any]], run: Any, tmp_path: Path
) -> None:
    inputs, cache, report = first
    before = shard_files(cache)
    shards = ("--set", f"dataset.cache_dir={cache}", "--set", "dataset.shard_records=3")
    more = ("--num-proc", 2, "--format", "parquet")
    done = run("process", "-i", inputs, "-o", tmp_path / "rows", "--json", *more, *shards, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)
    assert second["shards"] == {"total": 4, "from_cache": 4}
    assert shard_files(cache) == before
    assert len(before) == 4
    assert {**second, "speed": 0, "shards": 0} == {**report, "speed": 0, "shards": 0}
    rejects = (tmp_path / "rows.rejected.jsonl").read_text(encoding="utf-8")
    assert rejects == (inputs.parent / "sad" / "rejected.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["line"] for line in rejects.splitlines()] == [10, 11]


@pytest.mark.parametrize(
    ("sections", "options"),
    [
        ({}, {}),
        ({}, {"num_proc": 2}),
        ({}, {"form": "jsonl"}),
        ({"filters": {"drop_duplicates": True}}, {}),
    ],
    ids=["nothing", "num_proc", "format", "drop_duplicates"],
)
def test_what_changes_no_row_is_no_reason_to_compute(
    sections: dict[str, Any],
    options: dict[str, Any],
    first: tuple[Path, Path, dict[str, Any]],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    before = shard_files(first[1])
    report = again(first, tmp_path / "out", tiny_model, sections, **options)
    assert report["shards"] == {"total": 4, "from_cache": 4}
    assert shard_files(first[1]) == before


@pytest.mark.parametrize(
    "sections",
    [
        {"tokens": {"max_length": 1000}},
        {"tokens": {"overflow": "drop"}},
        {"tokens": {"engine": "reference"}},
        {"masks": {"answer": "none"}},
        {"masks": {"straddle": "majority"}},
        {"spans": {"patterns": [OWN_PATTERN]}},
        {"spans": {"min_confidence": 0.5}},
        {"filters": {"min_reasoning_ratio": 0.1}},
        {"readers": {"licence": "mit"}},
        {"readers": {"max_depth": 10}},
    ],
    ids=lambda sections: ".".join([*sections, *next(iter(sections.values()))]),
)
def test_a_changed_setting_is_computed_anew(
    sections: dict[str, Any], first: tuple[Path, Path, dict[str, Any]], tiny_model: Path, tmp_path: Path
) -> None:
    report = again(first, tmp_path / "out", tiny_model, sections)
    assert report["shards"] == {"total": 4, "from_cache": 0}


def test_changed_content_of_the_same_size_and_time_is_computed_anew(
    first: tuple[Path, Path, dict[str, Any]], tiny_model: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy2(first[0], tmp_path / "runs.jsonl"))
    assert again(first, tmp_path / "same", tiny_model, {}, inputs=path)["shards"]["from_cache"] == 4
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"number 0003", b"number 9999"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert again(first, tmp_path / "changed", tiny_model, {}, inputs=path)["shards"]["from_cache"] == 0
    texts = load_from_disk(str(tmp_path / "changed"))["text"][:]
    assert sum("number 9999" in text for text in texts) == 1


def test_a_changed_tokenizer_of_the_same_name_is_computed_anew(
    first: tuple[Path, Path, dict[str, Any]], tiny_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copy(tiny_model, tmp_path / "tokenizer.json"))
    settings = {"tokens": {"model_name": str(model)}, "dataset": {"cache_dir": str(tmp_path / "cache")}}
    script = (
        "import json, sys; from deepcoder_hf import TrajectoryProcessor as P; settings = json.loads(sys.argv[1]);"
        "print(P(settings).process_files(sys.argv[2], sys.argv[3])['shards']['from_cache'])"
    )

    def from_cache(output: str) -> str:
        words = [sys.executable, "-c", script, json.dumps(settings), str(first[0]), str(tmp_path / output)]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout.strip()

    assert from_cache("one") == "0"
    content = json.loads(model.read_text(encoding="utf-8"))
    content["model"]["merges"] = content["model"]["merges"][:-20]
    model.write_text(json.dumps(content), encoding="utf-8")
    assert from_cache("two") == "0"


def start(folder: Path, model: Path, inputs: Path, n: str) -> subprocess.Popen[str]:
    """A run of many small shards, as the leader of its own process group, with Ctrl-C as a terminal gives it."""
    words = ["process", "-i", inputs, "-o", folder / "sad", "--num-proc", n, "--model", model, "--max-length", 100_000]
    sets = [f"dataset.cache_dir={folder / 'cache'}", "dataset.shard_records=5", "tokens.engine=reference"]
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from deepcoder_hf.cli.main import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words), *(word for s in sets for word in ("--set", s))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_shard(process: subprocess.Popen[str], cache: Path) -> None:
    deadline = time.monotonic() + 60
    while not shard_files(cache):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_run_goes_on_where_it_stopped(tiny_model: Path, tmp_path: Path) -> None:
    inputs, cache = write(tmp_path / "runs.jsonl", range(200), n_steps=60), tmp_path / "cache"
    process = start(tmp_path, tiny_model, inputs, "1")
    wait_for_shard(process, cache)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finished = shard_files(cache)
    assert 0 < len(finished) < 41
    assert not (tmp_path / "sad").exists()

    process = start(tmp_path, tiny_model, inputs, "1")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    after = shard_files(cache)
    assert len(after) == 41
    assert {name: after[name] for name in finished} == finished
    report = json.loads((tmp_path / "sad" / "report.json").read_text())
    assert report["shards"] == {"total": 41, "from_cache": len(finished)}

    tokens = {"model_name": str(tiny_model), "max_length": 100_000, "engine": "reference"}
    undisturbed = TrajectoryProcessor({"tokens": tokens, "dataset": {"cache_dir": str(tmp_path / "other")}})
    undisturbed.process_files(inputs, tmp_path / "undisturbed")
    tables = [load_from_disk(str(tmp_path / name)).with_format("arrow")[:] for name in ("sad", "undisturbed")]
    assert tables[0] == tables[1]
    rejects = [(tmp_path / name / "rejected.jsonl").read_text() for name in ("sad", "undisturbed")]
    assert rejects[0] == rejects[1]


@pytest.mark.parametrize("n", ["1", "2"])
def test_ctrl_c_is_one_line_and_leaves_nothing_half_written(n: str, tiny_model: Path, tmp_path: Path) -> None:
    inputs = write(tmp_path / "runs.jsonl", range(200), n_steps=60)
    process = start(tmp_path, tiny_model, inputs, n)
    wait_for_shard(process, tmp_path / "cache")
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.startswith("error: interrupted")
    assert stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "runs.jsonl"]
    assert len(shard_files(tmp_path / "cache")) < 41


def test_a_killed_worker_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    inputs = write(tmp_path / "runs.jsonl", range(200), n_steps=60)
    process = start(tmp_path, tiny_model, inputs, "2")
    wait_for_shard(process, tmp_path / "cache")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith("error: a worker process was killed")
    assert stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "runs.jsonl"]


def test_two_equal_runs_at_once_do_not_disturb_each_other(tiny_model: Path, tmp_path: Path) -> None:
    inputs = write(tmp_path / "runs.jsonl", range(60))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cache").symlink_to(tmp_path / "shared")
    (tmp_path / "shared").mkdir()
    both = [start(tmp_path / name, tiny_model, inputs, "1") for name in ("a", "b")]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    tables = [load_from_disk(str(tmp_path / name / "sad")).with_format("arrow")[:] for name in ("a", "b")]
    assert tables[0] == tables[1]
    assert tables[0].num_rows == 60


@pytest.mark.parametrize("damage", ["empty", "cut", "without rows"])
def test_a_damaged_shard_is_computed_again(damage: str, tiny_model: Path, tmp_path: Path) -> None:
    inputs, cache = write(tmp_path / "runs.jsonl", range(9)), tmp_path / "cache"
    run = {"cache_dir": str(cache), "shard_records": 3}
    chain = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}, "dataset": run})
    chain.process_files(inputs, tmp_path / "one")
    path = sorted(cache.rglob("sad-*/*-*.arrow"))[1]
    content = path.read_bytes()
    path.unlink()
    if damage == "without rows":
        with pa.ipc.open_stream(content) as stream, pa.ipc.new_stream(str(path), stream.schema):
            pass
    else:
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    report = chain.process_files(inputs, tmp_path / "two")
    assert report["shards"] == {"total": 4, "from_cache": 3}
    tables = [load_from_disk(str(tmp_path / name)).with_format("arrow")[:] for name in ("one", "two")]
    assert tables[0] == tables[1]
