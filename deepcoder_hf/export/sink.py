"""Where exported records go: JSONL, Parquet, a folder of files, or stdout; under their name only when complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import xxhash

from deepcoder_hf.dataset.output import publish, staging
from deepcoder_hf.errors import OutputError
from deepcoder_hf.export import SPLIT_FILES, Exporter
from deepcoder_hf.export.json_text import dump
from deepcoder_hf.export.losses import Losses

BATCH_ROWS = 1000
Record = dict[str, Any]
STDOUT = "-"


class Sink(Protocol):
    """Takes exported records one by one."""

    def write(self, records: Sequence[Record], name: str) -> None:
        """Write a record, or the lines of a file of that name."""

    def close(self) -> None:
        """Finish the output; a second time it does nothing."""


class JsonlSink:
    """One record a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, records: Sequence[Record], name: str) -> None:
        self._file.writelines(dump(record) + "\n" for record in records)

    def close(self) -> None:
        self._file.close()


class FolderSink:
    """A file a trajectory, named after its id."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path
        self._names: set[str] = set()

    def write(self, records: Sequence[Record], name: str) -> None:
        suffix = ".json" if len(records) == 1 else ".jsonl"
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._")[:80]
        if not stem or stem != name or stem.lower() in self._names:
            stem = f"{stem or 'trajectory'}-{xxhash.xxh3_64_hexdigest(f'{len(self._names)} {name}'.encode())}"
        self._names.add(stem.lower())
        text = "".join(dump(record) + "\n" for record in records)
        (self._path / f"{stem}{suffix}").write_text(text, encoding="utf-8", newline="\n")

    def close(self) -> None:
        pass


class ParquetSink:
    """One Parquet file that `load_dataset("parquet", data_files=...)` reads with its features."""

    def __init__(self, path: Path, module: Exporter, losses: Losses) -> None:
        import pyarrow.parquet as pq

        self._features = features_of(module)
        self._schema = self._features.arrow_schema
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Record] = []
        self._losses = losses

    def write(self, records: Sequence[Record], name: str) -> None:
        self._rows += [_storable(record, self._losses) for record in records]
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        from datasets import Dataset

        if self._rows:
            rows = {name: [row.get(name) for row in self._rows] for name in self._features}
            self._writer.write_table(Dataset.from_dict(rows, features=self._features).data.table)
            self._rows = []


def features_of(module: Exporter) -> Any:
    """The columns of a format in Parquet."""
    from datasets import Features, Json, List, Value

    columns: dict[str, Any] = {name: List(Json()) for name in getattr(module, "JSON_COLUMNS", ())}
    columns |= {name: List(Value(kind)) for name, kind in getattr(module, "COLUMNS", {}).items()}
    if module.__name__.endswith(".axolotl"):  # type: ignore[attr-defined]
        columns["segments"] = List({"label": Value("bool"), "text": Value("string")})
    names = ["trajectory_id", "group_id", *(["parent_id"] if module.INPUT == "trajectories" else [])]
    return Features({**columns, **dict.fromkeys(names, Value("string"))})


def form_of(output: str, name: str, module: Exporter, split_files: bool) -> str:
    """How an output is written: jsonl, parquet or folder.

    Raises:
        OutputError: The format cannot be written that way.
    """
    if split_files:
        if name not in SPLIT_FILES:
            raise OutputError(f"--split-files is for {' and '.join(SPLIT_FILES)}, not for {name}")
        if output == STDOUT:
            raise OutputError("--split-files needs a folder, stdout is none")
        return "folder"
    suffix = "jsonl" if output == STDOUT else Path(output).suffix.lower().lstrip(".")
    if not suffix and hasattr(module, "side_file"):
        return "with side file"
    if suffix not in module.SUFFIXES:
        known = ", ".join(f".{known}" for known in module.SUFFIXES)
        raise OutputError(f"{output}: {name} is written as {known} or - (stdout), got {suffix or 'no suffix'!r}")
    return suffix


def check_target(output: str, overwrite: bool) -> None:
    """Make sure that an output can be written, before any work is done.

    Raises:
        OutputError: It exists and may not be replaced, or its folder cannot be written.
    """
    if output == STDOUT:
        return
    path = Path(output)
    if path.is_dir() and any(path.iterdir()):
        raise OutputError(f"{output} is a folder with something in it; name another output")
    if os.path.lexists(path) and not path.is_dir() and not overwrite:
        raise OutputError(f"{output} exists already; name another output, or replace it with --overwrite")
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write in {path.absolute().parent}: {error.strerror or error}") from None
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"cannot write in {path.absolute().parent}; name an output elsewhere")


class Target:
    """An output that is being written beside its place."""

    def __init__(self, output: str, form: str, module: Exporter, folder: Path, losses: Losses) -> None:
        self._output, self._module, self._form = output, module, form
        self._staged = folder / (Path(output).name if output != STDOUT else "stdout.jsonl")
        self._path = self._staged
        if form == "with side file":
            self._staged.mkdir()
            self._path = self._staged / f"{Path(output).name}.jsonl"
        self.sink: Sink
        if form == "parquet":
            self.sink = ParquetSink(self._path, module, losses)
        else:
            self.sink = FolderSink(self._path) if form == "folder" else JsonlSink(self._path)

    def publish(self) -> None:
        """Give the output its name, or print it; the entry beside it comes last."""
        if self._output == STDOUT:
            with self._staged.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
            return
        entry = getattr(self._module, "side_file", lambda name: None)(self._path.name)
        if entry is not None and self._form == "with side file":
            _write_entry(self._staged / "dataset_info.json", entry)
        publish(self._staged, Path(self._output))
        if entry is not None and self._form != "with side file":
            beside = Path(self._output).with_suffix(".dataset_info.json")
            _write_entry(self._staged.with_name(beside.name), entry)
            publish(self._staged.with_name(beside.name), beside)


@contextmanager
def target(output: str, form: str, module: Exporter, losses: Losses) -> Iterator[Target]:
    """An output to write to; what is not published at the end is removed."""
    with staging(Path(tempfile.gettempdir(), "stdout") if output == STDOUT else Path(output)) as folder:
        place = Target(output, form, module, folder, losses)
        try:
            yield place
        finally:
            place.sink.close()


def _write_entry(path: Path, entry: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(entry, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _storable(value: Any, losses: Losses) -> Any:
    """A value without halves of character pairs, which become their escapes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            losses.add("lone_surrogate")
            return value.encode("utf-8", "backslashreplace").decode()
    elif isinstance(value, list):
        return [_storable(item, losses) for item in value] if value and not isinstance(value[0], int) else value
    elif isinstance(value, dict):
        return {_storable(key, losses): _storable(item, losses) for key, item in value.items()}
    return value
