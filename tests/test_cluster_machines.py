"""Cluster runs whose workers are killed, on Ray, and by Slurm's scripts, which a small sbatch here carries out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datatrove", reason="cluster runs need datatrove: pip install 'deepcoder-hf[cluster]'")

import yaml
from click.testing import CliRunner
from cluster_runs import in_one_process, of_cluster, same, settings, write_inputs
from pipeline_runs import react, write_jsonl

from deepcoder_hf.cluster import ClusterResult, load_cluster_settings, run_cluster
from deepcoder_hf.cluster.settings import cluster_settings
from deepcoder_hf.errors import ConfigError

EXAMPLE = Path(__file__).parents[1] / "configs" / "cluster" / "slurm.yaml"


def descendants(pid: int) -> dict[int, int]:
    """Processes below one, with their depth."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, level, depth = {pid: 0}, {pid}, 0
    while level := {child for child, parent in parents.items() if parent in level and child not in found}:
        depth += 1
        found |= dict.fromkeys(level, depth)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
@pytest.mark.parametrize("victim", ["worker", pytest.param("all", marks=pytest.mark.slow)])
def test_a_run_that_was_killed_in_the_middle_of_a_shard_loses_nothing(
    victim: str, tiny_model: Path, tmp_path: Path
) -> None:
    inputs = write_jsonl(tmp_path / "in.jsonl", react(*range(6_000)))
    config, output = settings(tiny_model), tmp_path / "out"
    recipe = tmp_path / "config.yaml"
    recipe.write_text(yaml.safe_dump(config))
    code = (
        "from deepcoder_hf.cli.cluster import command\nfrom deepcoder_hf.cli.main import COMMANDS, main\n"
        "COMMANDS['cluster'] = 'deepcoder_hf.cli.cluster'\nif __name__ == '__main__': main()\n"
    )
    (tmp_path / "main.py").write_text(code)
    options = ["-i", str(inputs), "-o", str(output), "-c", str(recipe), "--shard-bytes", "200000", "--workers", "2"]
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), "cluster", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list((output / "shards").glob(".*.tmp")):
        assert time.monotonic() < deadline, "no shard was begun"
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.002)
    family = descendants(run.pid)
    deepest = max(family.values())
    assert deepest == 2  # the command, datatrove's fork server, its workers
    for pid, depth in family.items():
        if victim == "all" or depth == deepest:
            os.kill(pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=60)
    if victim == "worker":
        assert run.returncode == 1
        assert [line for line in errors.splitlines() if line.startswith("error: a worker was killed")]
    assert not (output / "report.json").exists()
    done = {path.name[5:10] for path in output.glob("data-*.parquet")}

    result = run_cluster(inputs, output, config, shard_bytes=200_000)
    assert result.n_done_before <= len(done) < result.n_shards
    assert same(of_cluster(output), in_one_process(inputs, tmp_path / "one.parquet", config))
    assert not list((output / "shards").glob(".*.tmp"))


SBATCH = """#!/bin/bash
# carries out what it is given, as Slurm would, and writes down how it was called
set -e
echo "$@" >> "$CALLS"
for word in "$@"; do case "$word" in --export=*) offset="${word##*RUN_OFFSET=}";; esac; script="$word"; done
bash -n "$script"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for n in $(seq 0 "$last"); do
  [ -n "$ONLY_CALLS" ] || SLURM_ARRAY_TASK_ID=$n RUN_OFFSET=$offset SLURM_NODELIST=localhost bash "$script" 1>&2
done
echo "$((1000 + $(wc -l < "$CALLS")));cluster"
"""
SRUN = '#!/bin/bash\nshift 3  # -l -n 1\nexec "$@"\n'
SCONTROL = "#!/bin/bash\necho localhost\n"


def with_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three commands of Slurm on PATH; returns the file of calls."""
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(folder / "calls"))
    return folder / "calls"


def on_slurm(inputs: Path, output: Path, config: dict[str, Any], **more: Any) -> ClusterResult:
    slurm = {"partition": "cpu", "time": "01:30:00", "sbatch_args": {"account": "us"}, **more.pop("slurm", {})}
    return run_cluster(inputs, output, config, executor="slurm", slurm=slurm, workers=7, **more)


def test_slurm_scripts_have_the_arrays_and_wait_for_one_another(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = write_jsonl(tmp_path / "in.jsonl", react(*range(60)))
    config = settings(tiny_model, drop_duplicates=True)
    output = tmp_path / "a folder"  # quoting
    result = on_slurm(inputs, output, config, shard_bytes=1500, submit=False, slurm={"max_array_size": 4})
    process, duplicates, merge, submit = result.scripts
    assert result.report is None
    for script in result.scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)
    text = process.read_text()
    assert re.search(r"^#SBATCH --array=0-3%7$", text, re.M)
    for directive in ("partition=cpu", "time=01:30:00", "account=us", "mem-per-cpu=4G", "cpus-per-task=1"):
        assert f"#SBATCH --{directive}\n" in text
    assert "--qos" not in text
    assert "#SBATCH --array=0-0%1\n" in merge.read_text()
    assert "#SBATCH --mem-per-cpu=16G\n" in merge.read_text()

    calls = with_slurm(tmp_path / "bin", monkeypatch)
    monkeypatch.setenv("ONLY_CALLS", "1")
    done = subprocess.run(["bash", str(submit)], capture_output=True, text=True, check=True)
    arrays = -(-result.n_shards // 4)
    assert arrays > 1
    lines = calls.read_text().splitlines()
    assert len(lines) == 2 * arrays + 1
    first, second = (":".join(str(1001 + n + step * arrays) for n in range(arrays)) for step in (0, 1))
    offsets = [re.search(r"RUN_OFFSET=(\d+)", line).group(1) for line in lines]  # type: ignore[union-attr]
    assert offsets == [*map(str, range(arrays)), *map(str, range(arrays)), "0"]
    assert all("--dependency" not in line and line.endswith(str(process)) for line in lines[:arrays])
    waiting = lines[arrays : 2 * arrays]
    assert all(f"--dependency=afterok:{first} " in line and line.endswith(str(duplicates)) for line in waiting)
    assert f"--dependency=afterok:{second} " in lines[-1]
    assert lines[-1].endswith(str(merge))
    assert done.stdout.splitlines()[-1] == f"merge {1001 + 2 * arrays}"


def test_without_sbatch_the_scripts_are_kept_and_the_error_says_where(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = write_jsonl(tmp_path / "in.jsonl", react(1, 2))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no sbatch on this machine; run .*submit\.sh where it is"):
        on_slurm(inputs, tmp_path / "out", settings(tiny_model))
    assert (tmp_path / "out" / "submit.sh").exists()


@pytest.mark.slow
def test_slurm_jobs_give_the_rows_of_one_process(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_slurm(tmp_path / "bin", monkeypatch)
    inputs, config = write_inputs(tmp_path / "in"), settings(tiny_model, drop_duplicates=True)
    result = on_slurm(inputs, tmp_path / "out", config, shard_bytes=6000, tasks=3, slurm={"tasks_per_job": 2})
    assert [line.split()[0] for line in result.jobs] == ["process-3", "duplicates-3", "merge"]
    assert same(of_cluster(tmp_path / "out"), in_one_process(inputs, tmp_path / "one.parquet", config))
    again = on_slurm(inputs, tmp_path / "out", config, shard_bytes=6000, tasks=3, slurm={"tasks_per_job": 2})
    assert [line.split()[0] for line in again.jobs] == ["merge"]
    assert again.report is not None


@pytest.mark.slow
def test_ray_gives_the_rows_of_one_process(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    inputs, config = write_inputs(tmp_path / "in"), settings(tiny_model, drop_duplicates=True)
    code = (
        "import json, sys\nfrom deepcoder_hf.cluster import run_cluster\n"
        "inputs, output, config = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])\n"
        "run_cluster(inputs, output, config, executor='ray', workers=2, shard_bytes=6000, tasks=4)\n"
    )
    # in a process of its own: Ray changes signals and warnings of the one that starts it
    words = [sys.executable, "-c", code, str(inputs), str(tmp_path / "out"), json.dumps(config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert same(of_cluster(tmp_path / "out"), in_one_process(inputs, tmp_path / "one.parquet", config))
    assert len(list((tmp_path / "out/logs/process-4/completions").iterdir())) == 4


def test_the_example_and_the_command_take_the_same_settings(tiny_model: Path, tmp_path: Path) -> None:
    from deepcoder_hf.cli.cluster import command

    assert cluster_settings(load_cluster_settings(EXAMPLE)).slurm.partition == "cpu"
    write_jsonl(tmp_path / "in.jsonl", react(1, 2, 3))
    words = ["-i", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out"), "--set", f"tokens.model_name={tiny_model}"]
    made = CliRunner().invoke(command, [*words, "--cluster", str(EXAMPLE), "--dry-run"], catch_exceptions=False)
    assert made.output.splitlines()[-1] == "1 of 1 shards to do; repeat the command to see the report"
    assert "submit.sh" in made.output
    shown = CliRunner().invoke(command, [*words, "--executor", "local", "--json"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert '"n_kept": 3' in shown.output
    with pytest.raises(ConfigError, match="expected a YAML file with cluster settings"):
        load_cluster_settings(tmp_path / "none.yaml")
