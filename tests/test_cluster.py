"""Cluster runs on this machine: the rows of one process whatever the layout, and only what is missing again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datatrove", reason="cluster runs need datatrove: pip install 'deepcoder-hf[cluster]'")

from cluster_runs import in_one_process, of_cluster, same, settings, write_inputs
from pipeline_runs import counted, react, write_jsonl

from deepcoder_hf.cluster import run_cluster
from deepcoder_hf.cluster.plan import make_plan, read_plan
from deepcoder_hf.cluster.settings import cluster_settings
from deepcoder_hf.config import Config
from deepcoder_hf.dataset.load import read_rows
from deepcoder_hf.errors import ConfigError, DeepcoderError, InputError, OutputError
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.settings import load_config

SHARD_BYTES = 6000


def stamps(output: Path) -> dict[str, int]:
    """Files of the shards with the time of their last change."""
    files = [*output.glob("data-*"), *(output / "shards").iterdir()]
    return {str(file.relative_to(output)): file.stat().st_mtime_ns for file in files}


@pytest.mark.parametrize("drop", [False, True], ids=["all", "without-duplicates"])
def test_a_cluster_run_gives_the_rows_report_and_rejects_of_one_process(
    drop: bool, tiny_model: Path, tmp_path: Path
) -> None:
    inputs, config = write_inputs(tmp_path / "in"), settings(tiny_model, drop_duplicates=drop)
    result = run_cluster(inputs, tmp_path / "out", config, workers=2, shard_bytes=SHARD_BYTES, tasks=5)
    one = in_one_process(inputs, tmp_path / "one.parquet", config)
    assert same(of_cluster(tmp_path / "out"), one)
    assert result.report is not None
    assert counted(result.report)
    assert ("duplicate" in result.report["reasons"]["dropped"]) is drop
    assert {"broken_json", "not_an_object"} <= result.report["reasons"]["failed"].keys()
    assert result.n_shards > 8
    assert result.report["n_rows"] > result.report["n_kept"]  # windows
    assert read_rows(tmp_path / "out").num_rows == one[0].num_rows
    shard = json.loads((tmp_path / "out/shards/00000.report.json").read_text())
    assert shard["shard"]["inputs"]
    assert not list((tmp_path / "out/shards").glob(".*"))

    before = stamps(tmp_path / "out")
    again = run_cluster(inputs, tmp_path / "out", config, workers=2, shard_bytes=SHARD_BYTES, tasks=3)
    assert again.n_done_before == again.n_shards
    assert stamps(tmp_path / "out") == before
    (tmp_path / "out/shards/00002.report.json").unlink()
    next((tmp_path / "out").glob("data-00004-*")).unlink()
    third = run_cluster(inputs, tmp_path / "out", config, workers=2, shard_bytes=SHARD_BYTES, tasks=5)
    changed = {name for name, at in stamps(tmp_path / "out").items() if before[name] != at}
    assert {name.split("/")[-1].removeprefix("data-")[:5] for name in changed} == {"00002", "00004"}
    assert third.report is not None
    assert third.report["shards"] == {"total": third.n_shards, "from_cache": third.n_shards - 2}
    assert same(of_cluster(tmp_path / "out"), one)


@pytest.mark.parametrize("shard_bytes", [1024, 3000, 10**9])
def test_pieces_cover_every_line_once_and_follow_from_the_inputs_alone(
    shard_bytes: int, tiny_model: Path, tmp_path: Path
) -> None:
    files = find_files(write_inputs(tmp_path / "in"))
    config = load_config(settings(tiny_model))
    plan = make_plan(files, config, shard_bytes)
    assert plan == make_plan(files, config, shard_bytes)
    pieces = [piece for shard in plan.shards for piece in shard]
    assert list(dict.fromkeys(piece.name for piece in pieces)) == [file.name for file in files]
    for file in files:
        content = Path(file.path).read_bytes()
        ranges = [(p.start, p.stop, p.first_line) for p in pieces if p.name == file.name]
        if len(ranges) > 1:
            assert b"".join(content[start:stop] for start, stop, _ in ranges) == content
            assert all(line == content[:start].count(b"\n") + 1 for start, _, line in ranges)
    cut = {piece.name for piece in pieces if piece.stop is not None}
    assert "big.jsonl" in cut or shard_bytes == 10**9
    whole = {"session.jsonl", "log.jsonl"}  # one record each
    assert not whole & cut
    assert all((tmp_path / "in" / name).stat().st_size > 3000 for name in whole)
    config_of_plan = Config.model_validate(json.loads(json.dumps(plan.config)))
    assert config_of_plan == config


def small(tmp_path: Path, model: Path) -> tuple[Path, dict[str, Any]]:
    write_jsonl(tmp_path / "in.jsonl", react(*range(40)))
    return tmp_path / "in.jsonl", settings(model)


def planned(inputs: Path, output: Path, config: dict[str, Any]) -> None:
    """What stands when the jobs wait for Slurm."""
    slurm = {"partition": "cpu"}
    run_cluster(inputs, output, config, executor="slurm", slurm=slurm, submit=False, shard_bytes=2000)


@pytest.mark.parametrize("change", ["vanished", "changed"])
def test_an_input_that_is_not_what_was_planned_stops_its_shard_and_says_so(
    change: str, tiny_model: Path, tmp_path: Path
) -> None:
    from deepcoder_hf.cluster.steps import MergeStep, ShardStep

    inputs, config = small(tmp_path, tiny_model)
    planned(inputs, tmp_path / "out", config)
    kept = inputs.read_bytes()
    if change == "vanished":
        inputs.unlink()
    else:
        inputs.write_bytes(kept.replace(b"number 7.", b"number 8."))
    expected = "not now; put it back" if change == "vanished" else "has changed since"
    with pytest.raises(InputError, match=expected):
        ShardStep(str(tmp_path / "out")).run()
    with pytest.raises(DeepcoderError, match=r"shards are missing .*in\.jsonl"):
        MergeStep(str(tmp_path / "out")).run()
    inputs.write_bytes(kept)
    report = run_cluster(inputs, tmp_path / "out", config, shard_bytes=2000).report
    assert report is not None
    assert report["n_kept"] == 40
    assert not list((tmp_path / "out/shards").glob("*.error.txt"))


def test_an_output_of_other_inputs_or_settings_is_refused_and_replaced_on_demand(
    tiny_model: Path, tmp_path: Path
) -> None:
    inputs, config = small(tmp_path, tiny_model)
    output = tmp_path / "out"
    planned(inputs, output, config)
    with pytest.raises(OutputError, match="other settings, code or tokenizer; name another"):
        run_cluster(inputs, output, settings(tiny_model, drop_duplicates=True), shard_bytes=2000)
    with pytest.raises(OutputError, match="a run of other shard_bytes"):
        run_cluster(inputs, output, config, shard_bytes=4000)
    write_jsonl(inputs, react(*range(41)))
    with pytest.raises(OutputError, match="a run of other inputs"):
        run_cluster(inputs, output, config, shard_bytes=2000)
    with pytest.raises(OutputError, match="lies within the input"):
        run_cluster(tmp_path, output, config)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(OutputError, match="holds no cluster run"):
        run_cluster(inputs, tmp_path / "mine", config, overwrite=True)
    report = run_cluster(inputs, output, config, shard_bytes=10**6, overwrite=True).report
    assert report is not None
    assert report["n_read"] == 41


def test_a_machine_with_another_tokenizer_stops_before_the_first_row(tiny_model: Path, tmp_path: Path) -> None:
    from deepcoder_hf.cluster.steps import ShardStep

    inputs, _ = small(tmp_path, tiny_model)
    planned(inputs, tmp_path / "out", settings(tiny_model))
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    plan["settings"] = "0" * 16  # what another version of the package would have written
    (tmp_path / "out/plan.json").write_text(json.dumps(plan))
    with pytest.raises(ConfigError, match="install the same on all"):
        ShardStep(str(tmp_path / "out")).run()
    (tmp_path / "out/plan.json").write_text("{")
    with pytest.raises(OutputError, match="expected the plan of a cluster run"):
        read_plan(tmp_path / "out")


def test_wrong_settings_and_missing_packages_are_one_clear_line(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, config = small(tmp_path, tiny_model)
    with pytest.raises(ConfigError, match="executor: expected local, slurm, ray, got 'spark'"):
        run_cluster(inputs, tmp_path / "out", config, executor="spark")
    with pytest.raises(ConfigError, match=r"wrokers: Extra inputs .*known: executor, workers"):
        run_cluster(inputs, tmp_path / "out", config, wrokers=3)
    with pytest.raises(ConfigError, match=r"slurm\.partition"):
        run_cluster(inputs, tmp_path / "out", config, executor="slurm")
    with pytest.raises(InputError, match="got stdin"):
        run_cluster("-", tmp_path / "out", config)
    assert cluster_settings({}).executor == "local"
    monkeypatch.setitem(sys.modules, "datatrove", None)
    with pytest.raises(ConfigError, match=r"pip install 'deepcoder-hf\[cluster\]'"):
        run_cluster(inputs, tmp_path / "out", config)
    assert not (tmp_path / "out").exists()
