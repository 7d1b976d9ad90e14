"""A test Hub and a client's process for each module, and processed datasets of a few rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_client import Client
from hub_server import Hub
from pipeline_runs import processor, react, write_jsonl

MakeSad = Callable[..., Path]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A Hub that listens on a free port."""
    with Hub() as found:
        yield found


@pytest.fixture(scope="module")
def client(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A process with the public clients, whose endpoint is the Hub."""
    with Client(hub, tmp_path_factory.mktemp("client") / "home") as found:
        yield found


@pytest.fixture(scope="session")
def make_sad(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSad:
    """Makes the processed folder of the trajectories with some numbers, once each."""
    made: dict[tuple[int, ...], Path] = {}

    def make(*numbers: int) -> Path:
        if numbers not in made:
            folder = tmp_path_factory.mktemp("sad")
            records = write_jsonl(folder / "raw.jsonl", react(*numbers))
            processor(tiny_model).process_files(str(records), str(folder / "sad"))
            made[numbers] = folder / "sad"
        return made[numbers]

    return make
