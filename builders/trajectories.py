"""The dataset of raw trajectories that we publish: `TrajectoryBuilder` under its published name."""

from __future__ import annotations

from typing import Any

from deepcoder_hf.dataset.builder import TrajectoryBuilder


class Trajectories(TrajectoryBuilder):
    """Raw rows of `deepcoder/trajectories`.

    Example:
        >>> builder = Trajectories(data_files="deepcoder_hf/samples")
        >>> builder.download_and_prepare()  # doctest: +SKIP
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, dataset_name=kwargs.pop("dataset_name", None) or "deepcoder_trajectories", **kwargs)
