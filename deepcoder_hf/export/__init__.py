"""Exporters: trajectories, or rows of a SAD dataset -> the formats of other tools. One file a format.

Add a format: a module here with `INPUT`, `SUFFIXES` and `export(item, losses)`, and its line in `EXPORTERS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, Protocol, cast

from deepcoder_hf.export.losses import Losses

EXPORTERS: dict[str, str] = {
    "atif": "deepcoder_hf.export.atif",
    "trl": "deepcoder_hf.export.trl",
    "trl-tokenized": "deepcoder_hf.export.trl_tokenized",
    "axolotl": "deepcoder_hf.export.axolotl",
    "llamafactory": "deepcoder_hf.export.llamafactory",
    "ms-swift": "deepcoder_hf.export.ms_swift",
    "verl": "deepcoder_hf.export.verl",
    "openai": "deepcoder_hf.export.openai",
    "session-traces": "deepcoder_hf.export.session_traces",
}
"""Modules of the formats by name; imported when asked for, since some need a tokenizer."""
SPLIT_FILES = ("atif", "session-traces")
"""Formats that can be written as a file each."""


class Exporter(Protocol):
    """What an exporter module offers.

    A module may also have `JSON_COLUMNS` (columns whose values differ in shape), `COLUMNS` (columns of integers, with
    their type), `lines(trajectory, losses)` (the lines of a file of its own) and `side_file(name)` (what is written
    beside the output).
    """

    __doc__: str | None
    INPUT: Literal["trajectories", "rows"]
    """What it takes: `Trajectory` objects, or rows of a SAD dataset."""
    SUFFIXES: tuple[str, ...]
    """Files it can be written to: jsonl, parquet."""

    def export(self, item: Any, losses: Losses) -> dict[str, Any]:
        """One trajectory or row as a record of the format; what it cannot hold is added to `losses`.

        Raises RecordError where it cannot be exported at all.
        """


def exporter(name: str) -> Exporter:
    """The exporter of a format."""
    return cast(Exporter, import_module(EXPORTERS[name]))
