"""TrajectoryProcessor: raw trajectories -> SAD dataset, as a chain of `Dataset.map` stages.

    files ─load_trajectories▶ raw rows ─process_records (map, one cache file a shard)▶ rows with outcome ─select▶ output

A record that cannot be used becomes an outcome, never an exception: `n_read == n_kept + n_dropped + n_failed`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset, IterableDataset

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.builder import Paths, load_trajectories, quiet
from deepcoder_hf.dataset.features import RAW_FEATURES
from deepcoder_hf.dataset.load import read_rows
from deepcoder_hf.dataset.output import (
    REJECTS,
    REPORT,
    check_output,
    format_of,
    publish,
    side_file,
    staging,
    writer_for,
)
from deepcoder_hf.dataset.validate import validate_rows
from deepcoder_hf.errors import InputError, OutputError, SchemaError
from deepcoder_hf.fingerprint import parsed_fingerprint
from deepcoder_hf.heap import settled_heap
from deepcoder_hf.run import Run, now, run_shards
from deepcoder_hf.settings import load_config
from deepcoder_hf.shards import cache_root
from deepcoder_hf.stages import parse_records
from deepcoder_hf.streaming import stream_rows

Progress = Callable[[int, int], None]
"""Called with (records done, tokens done) after each shard."""


class TrajectoryProcessor:
    """Turns raw trajectories into SAD rows.

    Args:
        config: A `Config`, a mapping or a YAML file with its sections (or the seed's `trajectory_processing:`), the
            name of a recipe, or None for the defaults.

    Raises:
        ConfigError: The configuration is wrong; every problem is named.

    Example:
        >>> processor = TrajectoryProcessor("qwen3")
        >>> stats = processor.process_trajectory_file("runs.jsonl", "sad/")  # doctest: +SKIP
        >>> stats["processed_successfully"], stats["total_trajectories"]  # doctest: +SKIP
        (1000, 1000)
    """

    def __init__(self, config: Config | Mapping[str, Any] | str | Path | None = None) -> None:
        self.config = config if isinstance(config, Config) else load_config(config)

    def process(self, dataset: Any, num_proc: int | None = None) -> Any:
        """Process a dataset in memory or a stream.

        Args:
            dataset: A `Dataset` or `IterableDataset` of raw rows (from `load_trajectories`), or of records in any known
                format, a column a key.
            num_proc: Processes, for a `Dataset`; a stream is processed where it is read.

        Returns:
            The kept rows (`SAD_FEATURES`), in order: a `Dataset`, or an `IterableDataset` for a stream.

        Raises:
            SchemaError: It is something else, a DatasetDict for example.
            TokenizerError: The tokenizer cannot be used.
        """
        if isinstance(dataset, IterableDataset):
            return stream_rows(dataset, self.config)
        return self.run(dataset, num_proc).dataset()

    def run(self, dataset: Dataset, num_proc: int | None = None, progress: Progress | None = None) -> Run:
        """Process a dataset and keep the outcome of every record.

        Returns:
            The run: `dataset()` gives the kept rows, `report()` the figures, `rejects()` what was not kept and why.
        """
        if not isinstance(dataset, Dataset):
            raise SchemaError(
                f"expected a Dataset or an IterableDataset, got {type(dataset).__name__}; process the splits of a "
                "DatasetDict one by one, and make a Dataset of a list with Dataset.from_list"
            )
        if not len(dataset):
            return Run(dataset, [], self.config, 0)
        if set(RAW_FEATURES) <= set(dataset.column_names):
            dataset = dataset.select_columns(list(RAW_FEATURES))
        else:
            fingerprint = parsed_fingerprint(dataset._fingerprint, self.config.readers)
            cache_file = cache_root(self.config) / f"raw-{fingerprint}.arrow"  # workers map the file; memory they copy
            cache_file.parent.mkdir(parents=True, exist_ok=True)
            with quiet():
                dataset = dataset.with_format(None).map(
                    parse_records,
                    batched=True,
                    with_indices=True,
                    remove_columns=dataset.column_names,
                    features=RAW_FEATURES,
                    fn_kwargs={"readers": self.config.readers},
                    cache_file_name=str(cache_file),
                    new_fingerprint=fingerprint,
                )
        return run_shards(dataset, self.config, num_proc, progress)

    @settled_heap()
    def process_files(
        self,
        inputs: Paths,
        output: str | Path,
        form: str | None = None,
        num_proc: int | None = None,
        limit: int | None = None,
        overwrite: bool = False,
        only_rejected: str | Path | None = None,
        progress: Progress | None = None,
        on_read: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Process files and write the dataset, its report and its rejects.

        Args:
            inputs: A file, a folder, a glob, an `hf://` path, `-`, or a list of these.
            output: A folder, or a file whose suffix names the format.
            form: `dataset`, `parquet` or `jsonl`, instead of the suffix.
            num_proc: Processes.
            limit: Take only so many records.
            overwrite: Replace an output that this tool wrote.
            only_rejected: The rejects of an earlier run (its rejected.jsonl, or its output folder): take only the
                records that stand in it, by file and line.
            progress: Called after each shard.
            on_read: Called with the number of records once they are read.

        Returns:
            The report, as `report.json` holds it.

        Raises:
            InputError: An input is missing, or holds no trajectories.
            OutputError: The output exists or cannot be written.
        """
        began = now()
        target = Path(output)
        kind = format_of(target, "dataset" if form is None and str(output).endswith("/") else form)
        check_output(target, kind, overwrite)
        _check_inputs(inputs, target)
        readers, cache_dir = self.config.readers, self.config.dataset.cache_dir
        raw = load_trajectories(inputs, num_proc=num_proc, cache_dir=cache_dir, readers=readers, limit=limit)
        if not len(raw):
            raise InputError(f"{_names(inputs)}: expected trajectories, got no record; the files are empty")
        if only_rejected is not None:
            raw = _rejected_rows(raw, Path(only_rejected))
        if on_read is not None:
            on_read(len(raw))
        run = self.run(raw, num_proc, progress)
        return _write(run, target, kind, began)

    def process_trajectory_file(
        self, input_file: str | Path, output_file: str | Path, **options: Any
    ) -> dict[str, Any]:
        """Process one file.

        Args:
            input_file: The raw trajectories.
            output_file: Where the rows go; see `process_files` for this and for the options.

        Returns:
            The report with the keys `total_trajectories`, `processed_successfully`, `filtered_out` and `failed` beside
            those of `report.json`. Counts are of records.
        """
        return seed_statistics(self.process_files(input_file, output_file, **options))

    def process_trajectory_directory(
        self, input_dir: str | Path, output_dir: str | Path, **options: Any
    ) -> dict[str, Any]:
        """Process every trajectory file below a folder into one dataset; see `process_trajectory_file`."""
        if not Path(input_dir).is_dir():
            raise InputError(
                f"expected a folder of trajectories, got {str(input_dir)!r}; for a file use process_trajectory_file"
            )
        return seed_statistics(self.process_files(input_dir, output_dir, **options))

    def validate_processed_trajectories(self, path: str | Path | Dataset) -> dict[str, Any]:
        """Prove every row of a processed dataset again.

        Args:
            path: A dataset folder, .parquet or .jsonl that was written, or the rows themselves.

        Returns:
            `total_checked`, `valid_trajectories`, `invalid_trajectories` and `validation_errors` (row, id and problem
            of the first hundred); see `validate_rows` for what is proven.
        """
        return validate_rows(path if isinstance(path, Dataset) else read_rows(Path(path)))


def _names(inputs: Paths) -> str:
    return ", ".join(map(str, [inputs] if isinstance(inputs, str | Path) else inputs))


def _write(
    run: Run, target: Path, kind: Literal["dataset", "parquet", "jsonl"], began: tuple[float, float]
) -> dict[str, Any]:
    """Write the rows of a run with its report and its rejects; returns the report."""
    with staging(target) as folder:
        staged = folder / (target.name or "dataset")
        writer = writer_for(staged, kind)
        with (folder / REJECTS).open("w", encoding="utf-8", newline="\n") as rejected:
            for table in run.tables(lambda reject: rejected.write(json.dumps(reject, ensure_ascii=False) + "\n")):
                writer.write(table)
        writer.close()
        report = run.report(began)
        written = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        (folder / REPORT).write_text(written, encoding="utf-8")
        sides = {name: folder / name for name in (REPORT, REJECTS)}
        if kind == "dataset":
            for name, path in sides.items():
                path.replace(staged / name)
        else:
            for name, path in sides.items():
                publish(path, side_file(target, name, kind))
        publish(staged, target)
    return report


def _rejected_rows(raw: Dataset, rejects: Path) -> Dataset:
    """The raw rows of the records that an earlier run rejected.

    Raises:
        InputError: The file names no record of this input.
    """
    file = rejects / REJECTS if rejects.is_dir() else rejects
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        wanted = {(line["source"], line["line"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file}: expected the rejected.jsonl of an earlier run ({type(error).__name__}: {error})"
        ) from None
    columns = raw.with_format("arrow").select_columns(["source_path", "line"])[:]
    places = zip(columns.column("source_path").to_pylist(), columns.column("line").to_pylist(), strict=True)
    chosen = [number for number, place in enumerate(places) if place in wanted]
    if not chosen:
        raise InputError(
            f"{file}: none of its {len(wanted)} records stands in this input; name the same files or folder as in the "
            "run that rejected them"
        )
    return raw.select(chosen)


def _check_inputs(inputs: Paths, target: Path) -> None:
    """An output must never replace what it is made of, nor be read as input the next time."""
    final = target.resolve()
    for item in [inputs] if isinstance(inputs, str | Path) else inputs:
        given = Path(item).resolve()
        if given == final:
            raise OutputError(f"{target} is also an input; name another output")
        if (given.is_dir() and final.is_relative_to(given)) or fnmatch(str(final), str(given)):
            raise OutputError(f"{target} lies within the input {item}: the next run would read it; name it elsewhere")


def seed_statistics(report: dict[str, Any]) -> dict[str, Any]:
    """The report with the statistics under the names of the first design."""
    return {
        "total_trajectories": report["n_read"],
        "processed_successfully": report["n_kept"],
        "filtered_out": report["n_dropped"],
        "failed": report["n_failed"],
        **report,
    }


def create_trajectory_processor(config: Config | Mapping[str, Any] | str | Path | None = None) -> TrajectoryProcessor:
    """A processor for a configuration; the same as `TrajectoryProcessor(config)`."""
    return TrajectoryProcessor(config)
