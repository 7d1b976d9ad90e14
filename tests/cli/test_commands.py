"""The commands as a user meets them: help, a run, and what goes to stdout and to stderr."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from deepcoder_hf.cli.main import COMMANDS

HEAVY = ("datasets", "transformers", "torch", "pyarrow", "pydantic", "rich", "numpy", "tokenizers")
SCRIPT = shutil.which("deepcoder-hf") or str(Path(sys.executable).with_name("deepcoder-hf"))


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_every_help_has_an_example_that_names_the_command(name: str | None, call: Any) -> None:
    result = call(*([name] if name else []), "--help")
    assert result.exit_code == 0
    assert f"Example:\n    deepcoder-hf {name or 'demo'}".replace("    ", "  ") in re.sub(
        r"\n +", "\n  ", result.stdout
    )
    assert result.stdout == call(*([name] if name else []), "-h").stdout


def test_the_help_lists_every_command_with_a_whole_sentence(call: Any) -> None:
    listed = call("--help").stdout.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    from importlib import import_module

    command = import_module(COMMANDS[name]).command
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help, f"{name} {option.name}"
            assert option.help.endswith("."), option.help


def test_help_and_import_load_no_heavy_package() -> None:
    code = (
        "import sys; from deepcoder_hf.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    for words in (["--help"], ["--version"], ["process", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert done.stdout
        assert done.stderr.strip() == "[]", words


def test_the_version_is_that_of_the_package(call: Any) -> None:
    assert call("--version").stdout == f"deepcoder-hf, version {version('deepcoder-hf')}\n"


def test_the_module_is_the_command(tmp_path: Path) -> None:
    for words in (["--version"], ["process", "--help"], ["process", "-i", "nope", "-o", "x"]):
        outcomes = []
        for program in ([SCRIPT], [sys.executable, "-m", "deepcoder_hf"]):
            done = subprocess.run([*program, *words], capture_output=True, text=True, cwd=tmp_path)
            stdout = done.stdout.replace("python -m deepcoder_hf", "deepcoder-hf")
            outcomes.append((done.returncode, stdout.split(), done.stderr))
        assert outcomes[0] == outcomes[1]


def test_a_run_succeeds_with_0_and_says_where_its_output_is(call: Any, runs: Path, tmp_path: Path) -> None:
    result = call("process", "-i", runs, "-o", "sad")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert "4 read = 3 kept + 0 dropped + 1 failed" in result.stdout
    assert "unknown_format" in result.stdout
    assert result.stdout.endswith("written to sad\n")
    assert call("validate", "-i", "sad").stdout == "3 of 3 rows are valid\n"
    shown = call("inspect", "sad", "--row", "1")
    assert shown.exit_code == 0
    assert "id-1" in shown.stdout
    assert "Thought: I look at number 1." in shown.stdout
    assert call("inspect", "sad", "--id", "id-1").stdout == shown.stdout


def test_debug_shows_the_traceback(run: Any, tmp_path: Path) -> None:
    done = run("--debug", "process", "-i", "missing", "-o", "sad", cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("Traceback")
    assert "InputError" in done.stderr


@pytest.mark.parametrize("command", ["process", "validate", "inspect", "demo"])
def test_json_is_all_that_stands_on_stdout(command: str, call: Any, runs: Path) -> None:
    if command == "demo":
        result = call("demo", "--sample-size", "2", "--json", "-o", "shown")
        assert json.loads(result.stdout)["n_read"] == 2
        return
    result = call("process", "-i", runs, "-o", "sad", "--json")
    if command == "process":
        assert json.loads(result.stdout) == json.loads(Path("sad/report.json").read_text())
    elif command == "validate":
        assert json.loads(call("validate", "-i", "sad", "--json").stdout)["valid_trajectories"] == 3
    else:
        row = json.loads(call("inspect", "sad", "--json", "--row", "2").stdout)
        assert row == load_from_disk("sad")[2]
    assert result.exit_code == 0
    assert result.stderr == ""


def test_progress_goes_to_stderr_alone_and_only_to_a_terminal(runs: Path, tiny_model: Path, tmp_path: Path) -> None:
    import os
    import pty

    terminal, end = pty.openpty()
    words = [sys.executable, "-m", "deepcoder_hf", "process", "-i", runs, "-o", "sad", "--model", tiny_model, "--json"]
    with subprocess.Popen([*map(str, words)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, text=True) as done:
        os.close(end)
        shown = b""
        try:
            while block := os.read(terminal, 4096):
                shown += block
        except OSError:  # the terminal is closed when the process ends
            os.close(terminal)
        assert done.stdout is not None
        assert json.loads(done.stdout.read())["n_kept"] == 3
    assert done.returncode == 0
    assert b"processing" in shown or b"reading" in shown


def test_trajectories_may_come_from_stdin(run: Any, runs: Path, tmp_path: Path) -> None:
    done = run("process", "-i", "-", "-o", "sad", "--json", "--num-proc", 2, cwd=tmp_path, stdin=runs.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["n_kept"] == 3
    rows = load_from_disk(str(tmp_path / "sad"))
    assert {json.loads(row["metadata"])["source"]["path"] for row in rows} == {"stdin"}
    done = run("process", "-i", "-", "-o", "none", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: -: expected trajectories, got no record; the files are empty\n"


def test_the_demo_uses_the_shipped_samples_with_the_default_tokenizer(call: Any, tmp_path: Path) -> None:
    result = call("demo")
    assert result.exit_code == 0, result.stderr
    assert "32 read = 32 kept + 0 dropped + 0 failed" in result.stdout
    assert "Qwen/Qwen3-30B-A3B@" in result.stdout
    assert call("demo").exit_code == 0  # again, over its own output
    assert call("validate", "-i", "deepcoder-demo").stdout == "32 of 32 rows are valid\n"
    assert call("demo", "--sample-size", "3", "-o", "three").exit_code == 0
    assert len(load_from_disk("three")) == 3


def test_flags_win_over_settings_and_settings_over_files(call: Any, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("tokens: {max_length: 111}\nmasks: {straddle: none}\n")
    (tmp_path / "b.yaml").write_text("tokens: {max_length: 222}\n")
    words = ["process", "-i", runs, "-c", "a.yaml", "-c", "b.yaml", "--json"]
    config = json.loads(call(*words, "-o", "one").stdout)["config"]
    assert (config["tokens"]["max_length"], config["masks"]["straddle"]) == (222, "none")
    words += ["--set", "tokens.max_length=333"]
    assert json.loads(call(*words, "-o", "two").stdout)["config"]["tokens"]["max_length"] == 333
    words += ["--max-length", "444"]
    assert json.loads(call(*words, "-o", "three").stdout)["config"]["tokens"]["max_length"] == 444


def test_several_inputs_and_a_glob_are_one_dataset(call: Any, runs: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    for n in (7, 8):
        (more / f"part-{n}.jsonl").write_text(json.dumps({"id": f"id-{n}", "text": f"Thought: {n}\nAction: a"}) + "\n")
    result = call("process", "-i", runs, "-i", "more/*.jsonl", "-o", "sad", "--limit", "5", "--json")
    assert json.loads(result.stdout)["n_read"] == 5
    assert load_from_disk("sad")["trajectory_id"][:] == ["id-0", "id-1", "id-2", "id-7"]


def test_the_reader_of_stdout_may_go_away(run: Any, runs: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = f"{sys.executable} -m deepcoder_hf inspect sad --full | head -c 10"
    assert run("process", "-i", runs, "-o", "sad", cwd=tmp_path).returncode == 0
    done = subprocess.run(words, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert len(done.stdout) == 10
    assert "Traceback" not in done.stderr
