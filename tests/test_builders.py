"""The builders of the published datasets: thin, and equal to the pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.sad import Sad
from builders.trajectories import Trajectories
from deepcoder_hf import SAD_FEATURES, TrajectoryProcessor, load_trajectories
from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.settings import recipe_names

SAMPLES = Path(__file__).resolve().parents[1] / "deepcoder_hf" / "samples"


@pytest.fixture(scope="module")
def sad(tmp_path_factory: pytest.TempPathFactory) -> Sad:
    builder = Sad(config_name="qwen3", data_files=str(SAMPLES), cache_dir=str(tmp_path_factory.mktemp("sad")))
    with quiet():
        builder.download_and_prepare()
    return builder


def test_published_rows_equal_those_of_the_pipeline(sad: Sad) -> None:
    rows = sad.as_dataset(split="train")
    expected = TrajectoryProcessor("qwen3").process(load_trajectories(str(SAMPLES)))
    assert rows.features == SAD_FEATURES
    assert rows[:] == expected[:]


def test_the_stream_of_published_rows_equals_the_dataset(sad: Sad) -> None:
    with quiet():
        stream = list(sad.as_streaming_dataset(split="train"))
    assert stream == list(sad.as_dataset(split="train"))


def test_each_recipe_is_a_published_config_with_a_cache_of_its_own(tmp_path: Path) -> None:
    builders = [Sad(config_name=name, data_files=str(SAMPLES), cache_dir=str(tmp_path)) for name in recipe_names()]
    assert [builder.config.name for builder in builders] == recipe_names()
    assert len({builder.cache_dir for builder in builders}) == len(builders)


def test_raw_rows_are_published_under_their_own_name(tmp_path: Path) -> None:
    builder = Trajectories(data_files=str(SAMPLES), cache_dir=str(tmp_path))
    with quiet():
        builder.download_and_prepare()
        rows = builder.as_dataset(split="train")
    assert builder.dataset_name == "deepcoder_trajectories"
    assert len(rows) == len(load_trajectories(str(SAMPLES)))


def test_published_rows_with_two_processes_are_the_same(sad: Sad, tmp_path: Path) -> None:
    builder = Sad(config_name="qwen3", data_files=str(SAMPLES), cache_dir=str(tmp_path))
    with quiet():
        builder.download_and_prepare(num_proc=2)
        assert builder.as_dataset(split="train")[:] == sad.as_dataset(split="train")[:]
