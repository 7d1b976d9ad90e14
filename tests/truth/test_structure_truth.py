"""The masks match the structure of the source: compared with a second reader that knows nothing of the package.

`python -m pytest -s tests/truth/test_structure_truth.py` prints the figures of each format.
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from characters import TokenBytes
from comparison import Figures, compare
from datasets import Dataset, load_from_disk
from extract import EXTRACTS, trajectories

from deepcoder_hf import TrajectoryProcessor

HERE = Path(__file__).resolve().parent
NO_WINDOWS = 50_000_000
MODELS = {"the project's ChatML": "Qwen/Qwen3-0.6B", "the published template": None}
"""Tokenizers by what renders with them; None is the folder of the shared data, which brings Qwen3's own template."""
AT_LEAST = {
    "adp-std": (56, 70_000, 110_000),
    "atif": (3, 100, 500),
    "swe-agent-traj": (11, 20_000, 7_000),
    "tau-bench": (200, 18_000, 170_000),
    "openhands-llm-logs": (7, 1_500, 1_800),
    "claude-code": (9, 8_000, 140_000),
    "openhands-events": (3, 20_000, 19_000),
    "fireact": (4140, 1_400_000, 300_000),
    "react-notebooks": (500, 110_000, 26_000),
    "webdancer": (199, 860_000, 42_000),
    "llamafactory": (300, 0, 19_000),
    "mint-codeact": (22, 12_000, 14_000),
    "anthropic-http": (8, 1_600, 1_200),
}
"""Trajectories (exact), characters of reasoning and of action that the second reader must find at least."""


@pytest.fixture(scope="module")
def spelling(shared_data: Path) -> TokenBytes:
    return TokenBytes(shared_data / "tokenizers" / "qwen3" / "tokenizer.json")


def rows_by_file(dataset: Dataset) -> dict[str, list[list[int]]]:
    """The rows of each file, the views of a trajectory together."""
    found: dict[str, list[list[int]]] = defaultdict(list)
    for number, (metadata, window) in enumerate(zip(dataset["metadata"], dataset["window"], strict=True)):
        views = found[json.loads(metadata)["source"]["path"]]
        views += [] if window["index"] else [[]]
        views[-1].append(number)
    return found


def figures_of(folder: Path, model: str, spelling: TokenBytes, output: Path) -> Figures:
    """Process a folder and compare each of its rows."""
    settings: dict[str, Any] = {"tokens": {"model_name": model, "max_length": NO_WINDOWS}}
    TrajectoryProcessor(settings).process_files(folder, output, form="dataset")
    dataset = load_from_disk(str(output))
    rows, figures = rows_by_file(dataset), Figures()
    for file in sorted(folder.iterdir()):
        expected, found = trajectories(file), rows.pop(file.name, [])
        if len(expected) != len(found):
            figures.note(f"{file.name}: expected {len(expected)} trajectories, got {len(found)}")
            continue
        for wanted, views in zip(expected, found, strict=True):
            compare([dataset[number] for number in views], wanted, spelling, figures)
    if rows:
        figures.note(f"rows of files that the second reader does not know: {sorted(rows)}")
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("layout", MODELS)
@pytest.mark.parametrize("name", EXTRACTS)
def test_every_payload_stands_under_its_mask_and_nothing_else_does(
    name: str, layout: str, shared_data: Path, spelling: TokenBytes, tmp_path: Path
) -> None:
    model = MODELS[layout] or str(shared_data / "tokenizers" / "qwen3")
    figures = figures_of(shared_data / "trajectories" / name, model, spelling, tmp_path / "out")
    print(f"{layout}: {figures.line(name)}")
    assert not figures.problems, "\n".join(figures.problems)
    assert all(figures.right[kind] == n for kind, n in figures.characters.items() if kind in figures.TRAINED)
    assert not any(figures.wrong.values())
    n_trajectories, n_reasoning, n_action = AT_LEAST[name]
    assert figures.n_trajectories == n_trajectories
    assert figures.characters.get("reasoning", 0) >= n_reasoning
    assert figures.characters["action"] >= n_action


@pytest.mark.parametrize(
    "change",
    [
        {"reasoning_mask": 0},
        {"action_mask": 0},
        {"reasoning_mask": 1},
        {"action_mask": 1},
        {"text": "check your calendar"},
    ],
    ids=str,
)
def test_a_wrong_mask_or_a_lost_text_is_noticed(
    change: dict[str, Any], shared_data: Path, spelling: TokenBytes, tmp_path: Path
) -> None:
    file = shared_data / "trajectories" / "atif" / "atif_multiagent.json"
    TrajectoryProcessor({"tokens": {"model_name": "Qwen/Qwen3-0.6B"}}).process_files(file, tmp_path / "out")
    (row,), (expected,) = load_from_disk(str(tmp_path / "out")).to_list(), trajectories(file)
    before, after = Figures(), Figures()
    compare([row], expected, spelling, before)
    for name, value in change.items():
        assert name != "text" or value in row["text"]
        row[name] = row["text"].replace(value, "") if name == "text" else [value] * row["length"]
    compare([row], expected, spelling, after)
    assert before.problems == []
    assert after.problems != []


def test_the_second_reader_imports_nothing_of_the_package() -> None:
    for file in (*HERE.glob("extract*.py"), HERE / "stretches.py", HERE / "places.py", HERE / "characters.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("deepcoder") for name in names), file.name
