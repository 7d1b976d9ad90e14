"""TrajectoryBuilder: files of trajectories -> a dataset of raw rows, cached, streamed, or read with several processes.

Loading scripts are gone since datasets 4.0 and there is no supported plugin hook, so `load_trajectories` is the door;
`register()` opts in to `load_dataset("trajectories", data_files=...)`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.builder import Key
from datasets.data_files import DataFilesDict, DataFilesList

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.dataset.features import RAW_FEATURES
from deepcoder_hf.dataset.raw import raw_tables
from deepcoder_hf.errors import ConfigError, DeepcoderError, InputError, OutputError
from deepcoder_hf.fingerprint import code_digest, digest
from deepcoder_hf.readers.containers.files import InputFile, find_files

NAME = "trajectories"
Paths = str | Path | Sequence[str | Path]


@dataclass
class TrajectoryConfig(datasets.BuilderConfig):
    """Settings of a raw dataset."""

    readers: ReadersConfig = field(default_factory=lambda: ReadersConfig())
    """Limits of what is read."""
    files: dict[str, list[InputFile]] = field(default_factory=dict)
    """Files of each split, resolved from `data_files`."""
    limit: int | None = None
    """Most records of a split."""


class TrajectoryBuilder(datasets.ArrowBasedBuilder):
    """Build raw rows (`RAW_FEATURES`) from files of any known format and container.

    Args:
        data_files: A file, a folder, a glob, an `hf://` path, `-`, a list of these, or a mapping from split to these.
        readers: Limits of what is read.
        limit: Most records of a split; read with one process then.
        **kwargs: What `datasets.DatasetBuilder` takes: cache_dir, hash, dataset_name, config_name, ...

    Raises:
        InputError: A path does not exist, holds no trajectories, or leads out of its folder.

    Example:
        >>> builder = TrajectoryBuilder(data_files="runs/*.jsonl")  # doctest: +SKIP
        >>> builder.download_and_prepare(num_proc=2)  # doctest: +SKIP
        >>> dataset = builder.as_dataset(split="train")  # doctest: +SKIP
    """

    BUILDER_CONFIG_CLASS = TrajectoryConfig
    BUILDER_CONFIGS: ClassVar[list[datasets.BuilderConfig]] = []

    def __init__(
        self,
        *args: Any,
        data_files: Paths | Mapping[str, Paths] | None = None,
        readers: ReadersConfig | None = None,
        limit: int | None = None,
        hash: str | None = None,
        dataset_name: str | None = None,
        config_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if data_files is None:
            raise InputError(
                "TrajectoryBuilder: expected data_files (a file, folder, glob or mapping of splits), got none"
            )
        splits = data_files if isinstance(data_files, Mapping) else {"train": data_files}
        files = {str(split): find_files(paths) for split, paths in splits.items()}
        limits = readers or ReadersConfig()
        identity = [[split, [[f.name, f.digest] for f in found]] for split, found in files.items()]
        resolved = DataFilesDict(
            {
                split: DataFilesList([file.path for file in found], [(file.name, file.digest) for file in found])
                for split, found in files.items()
            }
        )
        super().__init__(
            *args,
            data_files=resolved,
            hash=f"{hash or 'own'}-{code_digest()}",
            dataset_name=dataset_name or NAME,
            config_id=config_id or f"files-{digest([identity, limits.model_dump(mode='json'), limit])}",
            readers=limits,
            files=files,
            limit=limit,
            **kwargs,
        )

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=RAW_FEATURES)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"files": list(files)})
            for split, files in self.config.files.items()
        ]

    def _generate_tables(self, files: list[InputFile]) -> Iterator[tuple[Key, pa.Table]]:
        n_tables, left = 0, self.config.limit
        for number, file in enumerate(files):
            for table in raw_tables(file, self.config.readers, left):
                yield Key(number, n_tables), table
                n_tables += 1
                left = None if left is None else left - pc.sum(pc.equal(table.column("part"), 0)).as_py()
        if not n_tables:  # a builder must write something; an empty table tells the caller that nothing was there
            yield Key(0, 0), RAW_FEATURES.arrow_schema.empty_table()


def load_trajectories(
    data_files: Paths | Mapping[str, Paths],
    split: str | None = "train",
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | None = None,
    readers: ReadersConfig | None = None,
    limit: int | None = None,
) -> Any:
    """Load trajectory files as raw rows, from the Arrow cache where they have not changed.

    Args:
        data_files: A file, a folder, a glob, an `hf://` path, `-`, a list of these, or a mapping from split to these.
        split: The split to return; None returns all as a DatasetDict or IterableDatasetDict.
        streaming: Return an IterableDataset that reads the files as it goes, without a cache.
        num_proc: Processes that read; each takes whole files.
        cache_dir: Folder of the cache; None uses HF_DATASETS_CACHE.
        readers: Limits of what is read.
        limit: Most records of a split; the rest is not read.

    Returns:
        A Dataset (or IterableDataset) with the columns of `RAW_FEATURES`. Records that could not be read are rows with
        a `reject_reason`.

    Raises:
        InputError: A path does not exist, holds no trajectories, or cannot be read.
        OutputError: The cache folder cannot be written.
    """
    _check_cache(cache_dir or str(datasets.config.HF_DATASETS_CACHE))
    builder = TrajectoryBuilder(data_files=data_files, readers=readers, limit=limit, cache_dir=cache_dir)
    if streaming:
        return builder.as_streaming_dataset(split=split)
    n_files = max(len(files) for files in builder.config.files.values())
    parallel = num_proc and num_proc > 1 and n_files > 1 and limit is None
    workers = min(num_proc or 1, n_files) if parallel else None
    was_cached = Path(builder.cache_dir).exists()
    with quiet():
        try:
            builder.download_and_prepare(num_proc=workers)
            if not was_cached:
                _check_unchanged(builder)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, DeepcoderError | OSError):
                raise error.__cause__ from None
            raise
        return _as_dataset(builder, split)


def _check_unchanged(builder: TrajectoryBuilder) -> None:
    """What was read must be what the cache is named after; a file may have changed in between."""
    for before in (file for files in builder.config.files.values() for file in files):
        if "://" in before.path or find_files(before.path)[0].digest == before.digest:
            continue
        shutil.rmtree(builder.cache_dir, ignore_errors=True)
        raise InputError(f"{before.name} changed while it was read; run again when nothing writes to it")


def _check_cache(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write the cache in {folder}: {error.strerror or error}; name another folder with "
            "HF_DATASETS_CACHE or dataset.cache_dir"
        ) from None


def _as_dataset(builder: TrajectoryBuilder, split: str | None) -> Any:
    """The prepared dataset; `datasets` itself refuses a split without rows."""
    sizes = {str(name): info.num_examples for name, info in builder.info.splits.items()}
    if split is None and not all(sizes.values()):
        return datasets.DatasetDict({name: _as_dataset(builder, name) for name in sizes})
    if split is not None and sizes.get(split) == 0:
        return datasets.Dataset(RAW_FEATURES.arrow_schema.empty_table())
    return builder.as_dataset(split=split)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars of `datasets`, which would stand between our own."""
    was_on = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if was_on:
            datasets.enable_progress_bars()


def register() -> None:
    """Let `load_dataset("trajectories", data_files=...)` find this builder (experimental).

    It writes into a private table of `datasets`, whose layout was checked for versions 4 and 5. `load_dataset` takes
    files and globs (`runs/*`), not a folder.

    Raises:
        ConfigError: This version of `datasets` is another one, or keeps the table elsewhere.
    """
    from datasets import packaged_modules

    major = int(datasets.__version__.split(".")[0])
    table = getattr(packaged_modules, "_PACKAGED_DATASETS_MODULES", None)
    if major not in (4, 5) or not isinstance(table, dict):
        raise ConfigError(
            f"register() knows datasets 4 and 5, got {datasets.__version__}; use deepcoder_hf.load_trajectories(...)"
        )
    table[NAME] = (__name__, code_digest())
