"""The row that tests of validation damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset
from sad_row import TEXT, Row

from deepcoder_hf import TrajectoryProcessor


@pytest.fixture(scope="module")
def row(tiny_model: Path) -> Row:
    """A valid row with tokens of every type."""
    rows = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}}).process(Dataset.from_list([{"text": TEXT}]))
    assert set(rows[0]["token_types"]) == {0, 1, 2, 3, 4}
    found: Row = rows[0]
    return found
