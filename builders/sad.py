"""The SAD dataset that we publish: the pipeline over raw trajectories, one config a tokenizer or convention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.builder import Key

from builders.trajectories import Trajectories
from deepcoder_hf import SAD_FEATURES, Config, load_config, process_records
from deepcoder_hf.dataset.builder import Paths
from deepcoder_hf.dataset.raw import raw_tables
from deepcoder_hf.filters.duplicates import Duplicates
from deepcoder_hf.fingerprint import digest
from deepcoder_hf.readers.containers.files import InputFile
from deepcoder_hf.settings import recipe_names


@dataclass
class SadConfig(datasets.BuilderConfig):
    """One published config: the recipe of the same name."""

    settings: Config = field(default_factory=lambda: Config())
    """The pipeline's configuration."""
    files: dict[str, list[InputFile]] = field(default_factory=dict)
    """Raw files of each split."""


class Sad(datasets.ArrowBasedBuilder):
    """Kept rows of `deepcoder/sad`, with the columns of `SAD_FEATURES`.

    Args:
        config_name: Name of a recipe; `qwen3` by default.
        data_files: The raw trajectories, as `load_trajectories` takes them.
        **kwargs: What `datasets.DatasetBuilder` takes.

    Example:
        >>> builder = Sad(config_name="qwen3", data_files="deepcoder_hf/samples")
        >>> builder.download_and_prepare()  # doctest: +SKIP
        >>> rows = builder.as_dataset(split="train")  # doctest: +SKIP
    """

    BUILDER_CONFIG_CLASS = SadConfig
    BUILDER_CONFIGS: ClassVar[list[SadConfig]] = [
        SadConfig(name=name, description=f"Recipe {name}", settings=load_config(name)) for name in recipe_names()
    ]
    DEFAULT_CONFIG_NAME = "qwen3"

    def __init__(
        self, *args: Any, data_files: Paths | Mapping[str, Paths], config_name: str | None = None, **kwargs: Any
    ) -> None:
        raw = Trajectories(data_files=data_files, cache_dir=kwargs.get("cache_dir"))
        settings = load_config(config_name or self.DEFAULT_CONFIG_NAME)
        identity = digest([raw.config_id, settings.model_dump(mode="json", exclude={"dataset"})])
        super().__init__(
            *args,
            config_name=config_name,
            dataset_name=kwargs.pop("dataset_name", None) or "deepcoder_sad",
            hash=kwargs.pop("hash", None) or raw.hash,
            config_id=f"{config_name or self.DEFAULT_CONFIG_NAME}-{identity}",
            **kwargs,
        )
        self.config.files = raw.config.files

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=SAD_FEATURES)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"files": list(files)})
            for split, files in self.config.files.items()
        ]

    def _generate_tables(self, files: list[InputFile]) -> Iterator[tuple[Key, pa.Table]]:
        settings: Config = self.config.settings
        duplicates = Duplicates() if settings.filters.drop_duplicates else None
        for number, file in enumerate(files):
            for part, raw in enumerate(raw_tables(file, settings.readers)):
                rows = process_records(raw, config=settings)
                yield Key(number, part), _kept(rows, duplicates)


def _kept(rows: pa.Table, duplicates: Duplicates | None) -> pa.Table:
    outcome = rows.column("outcome").combine_chunks()
    keep = pc.equal(outcome.field("status"), "kept")
    if duplicates is not None:
        repeated = duplicates.repeated(
            *(c.to_pylist() for c in (keep, outcome.field("first"), outcome.field("text_hash")))
        )
        keep = pc.and_(keep, pc.invert(pa.array(repeated, pa.bool_())))
    return rows.filter(keep).drop_columns(["outcome"])
