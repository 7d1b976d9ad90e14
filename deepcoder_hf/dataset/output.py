"""Kept rows -> a Hugging Face dataset folder, Parquet or JSONL; under its name only when it is complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.dataset.features import SAD_FEATURES, sad_schema
from deepcoder_hf.errors import OutputError

Format = Literal["dataset", "parquet", "jsonl"]
SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
MAX_SHARD_BYTES = 500 * 1024 * 1024
"""Largest Arrow file of a dataset folder, before a new one is begun."""
REPORT, REJECTS = "report.json", "rejected.jsonl"
_OURS = frozenset({REPORT, REJECTS, "dataset_info.json", "state.json"})


def format_of(output: Path, wanted: str | None) -> Format:
    """The format of an output: what was asked for, else by suffix; no suffix means a dataset folder.

    Raises:
        OutputError: The suffix is not known and no format was asked for.
    """
    if wanted is not None:
        if wanted not in ("dataset", "parquet", "jsonl"):
            raise OutputError(f"expected --format dataset, parquet or jsonl, got {wanted!r}")
        return wanted  # type: ignore[return-value]
    suffix = output.suffix.lower()
    if output.is_dir() or not re.fullmatch(r"\.[a-z]{2,8}", suffix):  # `sad-0.6B` names a folder, `rows.csv` a file
        return "dataset"
    if suffix not in SUFFIXES:
        raise OutputError(
            f"{output}: no output format is known for {suffix!r}; use .parquet, .jsonl or a folder, or name one "
            "with --format"
        )
    return SUFFIXES[suffix]


def side_file(output: Path, name: str, form: Format) -> Path:
    """Where the report or the rejects of an output stand: in the folder, or beside the file with its name in front."""
    return output / name if form == "dataset" else output.with_name(f"{output.stem}.{name}")


class Writer(Protocol):
    """Takes kept rows, a table at a time."""

    def write(self, table: pa.Table) -> None:
        """Write rows with the columns of `SAD_FEATURES`."""

    def close(self) -> None:
        """Finish the output."""


class FolderWriter:
    """A folder that `datasets.load_from_disk` reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with quiet():
            Dataset.from_dict({name: [] for name in SAD_FEATURES}, features=SAD_FEATURES).save_to_disk(str(folder))
        for file in folder.glob("data-*.arrow"):
            file.unlink()
        self._parts: list[Path] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._n_bytes = 0

    def write(self, table: pa.Table) -> None:
        if self._writer is None or self._n_bytes > MAX_SHARD_BYTES:
            self._finish()
            self._parts.append(self.folder / f"part-{len(self._parts):05d}.arrow")
            self._writer = pa.ipc.new_stream(str(self._parts[-1]), sad_schema())
            self._n_bytes = 0
        self._n_bytes += table.nbytes
        self._writer.write_table(table)

    def close(self) -> None:
        if not self._parts:
            self.write(sad_schema().empty_table())
        self._finish()
        names = [f"data-{n:05d}-of-{len(self._parts):05d}.arrow" for n in range(len(self._parts))]
        for part, name in zip(self._parts, names, strict=True):
            part.rename(self.folder / name)
        state_file = self.folder / "state.json"
        state = json.loads(state_file.read_text(encoding="utf-8"))
        state["_data_files"] = [{"filename": name} for name in names]
        state["_split"] = "train"
        state_file.write_text(json.dumps(state, indent=2), encoding="utf-8")

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class ParquetWriter:
    """One Parquet file that `load_dataset("parquet", data_files=...)` reads with its features."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, sad_schema(), compression="zstd")

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


class JsonlWriter:
    """One JSON object a line, lists as lists; large, but every tool reads it."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="\n")

    def write(self, table: pa.Table) -> None:
        for batch in table.to_batches(max_chunksize=64):
            for row in batch.to_pylist():
                self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def writer_for(path: Path, form: Format) -> Writer:
    """The writer of a format, on a path that does not exist yet."""
    kinds: dict[str, Callable[[Path], Writer]] = {
        "dataset": FolderWriter,
        "parquet": ParquetWriter,
        "jsonl": JsonlWriter,
    }
    return kinds[form](path)


def check_output(output: Path, form: Format, overwrite: bool) -> None:
    """Make sure that an output can be written, before any work is done.

    Raises:
        OutputError: It exists and may not be replaced, is not ours, or its folder cannot be written.
    """
    if output.is_dir() and form == "dataset" and not any(output.iterdir()):
        pass
    elif os.path.lexists(output):
        if foreign := _foreign(output, form):
            raise OutputError(f"{foreign}; it is not replaced, name another output")
        if not overwrite:
            raise OutputError(f"{output} exists already; name another output, or replace it with --overwrite")
    parent = output.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise OutputError(f"cannot write in {parent}: {error.strerror or error}; name an output elsewhere") from None


def _foreign(output: Path, form: Format) -> str:
    """What in an existing output was not written by a run, in words; empty where all of it was."""
    if output.is_dir() != (form == "dataset"):
        return f"{output} exists and is {'a' if output.is_dir() else 'not a'} folder"
    if not side_file(output, REPORT, form).is_file():
        return f"{output} exists and was not written by deepcoder-hf"
    if form == "dataset":
        others = sorted(p.name for p in output.iterdir() if p.name not in _OURS and not p.match("data-*-of-*.arrow"))
        if others:
            return f"{output} exists and holds {others[0]!r}, which deepcoder-hf did not write"
    return ""


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """A temporary folder beside an output, which is removed at the end whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".tmp", dir=output.absolute().parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(staged: Path, final: Path) -> None:
    """Give a complete file or folder its name; a folder that stands there is moved away first, then removed."""
    for path in [staged, *staged.rglob("*")] if staged.is_dir() else [staged]:
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if staged.is_dir():
        umask = os.umask(0)
        os.umask(umask)
        staged.chmod(0o777 & ~umask)
    if staged.is_dir() and final.is_dir():
        old = staged.with_name("replaced")
        final.rename(old)
    staged.replace(final)
