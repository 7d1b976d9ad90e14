"""The plan of a cluster run: which pieces of which files each shard reads. It follows from the inputs alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import xxhash

from deepcoder_hf.cluster.lines import is_cut_by_lines
from deepcoder_hf.config import Config, ReadersConfig
from deepcoder_hf.errors import OutputError
from deepcoder_hf.fingerprint import digest, rows_fingerprint
from deepcoder_hf.readers.containers.files import InputFile

PLAN = "plan.json"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A whole input, or a range of lines of a JSONL file."""

    path: str
    name: str
    digest: str
    """Of the input, as `find_files` gives it; of the bytes of the range where `stop` is set."""
    n_bytes: int
    """Bytes as stored; 0 for a URL."""
    start: int = 0
    """First byte of a range."""
    stop: int | None = None
    """End of a range; None for a whole input."""
    first_line: int = 1
    """Number of the first line of a range."""

    @property
    def file(self) -> InputFile:
        """The input that it is, or is of."""
        return InputFile(self.path, self.name, self.digest)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does, as plan.json holds it."""

    inputs: str
    """Digest of the names and contents of the inputs."""
    settings: str
    """Digest of what changes rows: settings, readers, code and tokenizer."""
    shard_bytes: int
    config: dict[str, Any]
    shards: tuple[tuple[Piece, ...], ...]

    def names(self, number: int) -> dict[str, str]:
        """Names of the files of a shard below the output: rows, rejects, report, and what waits for duplicates."""
        own = f"shards/{number:05d}"
        return {
            "rows": f"data-{number:05d}-of-{len(self.shards):05d}.parquet",
            "rejects": f"{own}.rejected.jsonl",
            "report": f"{own}.report.json",
            "pending": f"{own}.pending.arrow",
            "hashes": f"{own}.hashes.npy",
            "error": f"{own}.error.txt",
        }

    def is_complete(self, output: Path, number: int) -> bool:
        """Whether the rows, the rejects and the report of a shard are there; each is written whole."""
        names = self.names(number)
        return all((output / names[name]).exists() for name in ("report", "rows", "rejects"))

    def missing(self, output: Path) -> list[int]:
        """Shards that are not complete."""
        return [number for number in range(len(self.shards)) if not self.is_complete(output, number)]


def make_plan(files: Sequence[InputFile], config: Config, shard_bytes: int) -> Plan:
    """Cut the inputs into shards.

    Args:
        files: The inputs in order.
        config: The configuration.
        shard_bytes: A shard ends with the piece that reaches so many bytes.
    """
    shards: list[tuple[Piece, ...]] = []
    waiting: list[Piece] = []
    n_bytes = 0
    for piece in (piece for file in files for piece in _pieces(file, config.readers, shard_bytes)):
        waiting.append(piece)
        n_bytes += piece.n_bytes or shard_bytes  # a URL is a shard of its own: its size is not known
        if n_bytes >= shard_bytes:
            shards.append(tuple(waiting))
            waiting, n_bytes = [], 0
    if waiting:
        shards.append(tuple(waiting))
    inputs = digest([[file.name, file.digest] for file in files])
    return Plan(inputs, settings_digest(config), shard_bytes, config.model_dump(mode="json"), tuple(shards))


def settings_digest(config: Config) -> str:
    """Digest of everything beside the inputs that rows depend on; equal on machines that make equal rows."""
    duplicates = config.filters.drop_duplicates
    return digest([rows_fingerprint("", config), config.readers.model_dump(mode="json"), duplicates])


def write_plan(plan: Plan, folder: Path) -> None:
    """Write plan.json, whole or not at all."""
    temporary = folder / f".{PLAN}.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(plan), file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / PLAN)


def read_plan(folder: Path) -> Plan:
    """Read plan.json.

    Raises:
        OutputError: It is not there, or not a plan.
    """
    try:
        values = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        shards = tuple(tuple(Piece(**piece) for piece in shard) for shard in values.pop("shards"))
        return Plan(**values, shards=shards)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutputError(f"{folder / PLAN}: expected the plan of a cluster run ({type(error).__name__})") from None


def _pieces(file: InputFile, limits: ReadersConfig, shard_bytes: int) -> Iterator[Piece]:
    """The whole input, or the ranges of a large JSONL file in which each line is a record."""
    n_bytes = _size(file.path)
    if shard_bytes < n_bytes <= limits.max_file_bytes and is_cut_by_lines(file, limits):
        ranges = _ranges(file.path, shard_bytes)
        # a line far beyond the limit of a record is left to the reader of whole files, which holds none in memory
        if all(piece[1] - piece[0] <= shard_bytes + limits.max_record_bytes for piece in ranges):
            for start, stop, line, content in ranges:
                yield Piece(file.path, file.name, content, stop - start, start, stop, line)
            return
    yield Piece(file.path, file.name, file.digest, n_bytes)


def _size(path: str) -> int:
    if os.path.isdir(path):
        return sum(inner.stat().st_size for inner in Path(path).rglob("*") if inner.is_file())
    return os.path.getsize(path) if os.path.exists(path) else 0


def _ranges(path: str, shard_bytes: int) -> list[tuple[int, int, int, str]]:
    """(start, stop, number of the first line, digest) of ranges that end with a line."""
    borders = [0]
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        while (target := borders[-1] + shard_bytes) < size:
            file.seek(target - 1)
            file.readline()
            borders.append(file.tell())
        if borders[-1] < size:
            borders.append(size)
        ranges, line = [], 1
        file.seek(0)
        for start, stop in pairwise(borders):
            content, n_lines, left = xxhash.xxh3_128(), 0, stop - start
            while block := file.read(min(_BLOCK_BYTES, left)):
                content.update(block)
                n_lines += block.count(b"\n")
                left -= len(block)
            ranges.append((start, stop, line, content.hexdigest()))
            line += n_lines
    return ranges
