"""The documents say what is true: snippets run, tables name what exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from deepcoder_hf import __all__ as public_names
from deepcoder_hf.cli.main import COMMANDS
from deepcoder_hf.config import Config
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.readers import READERS
from deepcoder_hf.settings import recipe_names
from deepcoder_hf.spans.library import builtin_patterns

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SAYS = {"first_steps": "rows kept", "publish_and_load": "tokens are trained"}
"""What a notebook prints, by its name."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"## {title}\n")[1], flags=re.M)[0]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", text, re.M)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "deepcoder_hf").mkdir()
    (folder / "deepcoder_hf" / "samples").symlink_to(ROOT / "deepcoder_hf" / "samples")
    return folder


def test_the_formats_table_names_every_reader() -> None:
    assert sorted(first_column(section("What comes in"))) == sorted(READERS)


def test_the_columns_table_names_every_column_in_order() -> None:
    assert first_column(section("What comes out")) == list(SAD_FEATURES)


def test_the_commands_table_names_every_command() -> None:
    assert first_column(section("Commands")) == [f"deepcoder-hf {name}" for name in COMMANDS]


def test_the_configuration_table_names_every_section() -> None:
    assert sorted(first_column(section("Configuration"))) == sorted(Config.model_fields)


def test_every_public_name_is_in_the_readme() -> None:
    words = set(re.findall(r"\w+", README))
    assert [name for name in public_names if name not in words | {"Span", "__version__"}] == []


def test_the_number_of_patterns_and_the_recipes_are_true() -> None:
    assert f"{len(builtin_patterns())} patterns" in README
    assert all(f"`{name}`" in README for name in recipe_names())


def test_python_snippets_of_the_readme_run(workspace: Path) -> None:
    script = "\n".join(blocks("python"))
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts, *spans = done.stdout.splitlines()
    assert re.fullmatch(r"\d+ \d+ \d+", counts)
    assert [span.split()[0] for span in spans] == ["reasoning", "action"]


def test_shell_snippets_of_the_readme_run(workspace: Path) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("deepcoder-hf")]
    assert len(lines) >= 3
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "deepcoder_hf", *arguments],
            cwd=workspace,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_demo_prints_what_the_readme_shows(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "deepcoder_hf", "demo", "-o", "demo"],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = {line.rstrip() for line in done.stdout.splitlines()}
    (shown,) = blocks("text")
    assert [line for line in shown.splitlines() if line.rstrip() not in printed] == []


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert SAYS[path.stem] in str([cell.outputs for cell in code])
