"""Inputs -> exported records: reads, exports and counts; every record is written or a reject with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import DeepcoderError, InputError, RecordError, SchemaError
from deepcoder_hf.export import Exporter, exporter
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.sad_rows import NEEDED
from deepcoder_hf.export.sink import Target, check_target, form_of, target
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

Item = tuple[str, Any]
"""Where a trajectory or row comes from, and itself; a RecordError where it could not be read."""


class Report:
    """What became of the records."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.losses = Losses()
        self.n_exported = 0
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        """The first message of each reason."""
        self.published = False

    def reject(self, where: str, error: RecordError) -> None:
        """Count a record that could not be exported."""
        self.reasons[error.reason] += 1
        self.first.setdefault(error.reason, str(error) if str(error).startswith(where) else f"{where}: {error}")

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "format": self.name,
            "n_exported": self.n_exported,
            "n_rejected": sum(self.reasons.values()),
            "rejects": {r: {"n": n, "first": self.first[r]} for r, n in self.reasons.most_common()},
            "losses": self.losses.facts(),
            "written": self.published,
        }


def export_files(
    inputs: Sequence[str],
    output: str,
    name: str,
    *,
    split_files: bool = False,
    limit: int | None = None,
    overwrite: bool = False,
    model: str | None = None,
    strict: bool = False,
    allowed: Sequence[str] = (),
) -> Report:
    """Export files to a format of `EXPORTERS`.

    Args:
        inputs: Files, folders, globs, `-`, `hf://` paths of trajectories; or SAD datasets, for formats that take rows.
        output: A file, a folder, or `-`.
        name: The format.
        split_files: Write a file a trajectory, into a folder.
        limit: Take only so many records.
        overwrite: Replace a file that exists.
        model: Tokenizer instead of the one that rows name (axolotl).
        strict: Write nothing where something would be lost or rejected.
        allowed: Kinds of losses that `strict` lets pass.

    Returns:
        The report; nothing is written where no record could be exported.

    Raises:
        InputError: An input is missing or empty.
        SchemaError: An input is no SAD dataset.
        OutputError: The output exists or cannot be written.
    """
    module = exporter(name)
    form = form_of(output, name, module, split_files)
    check_target(output, overwrite)
    report = Report(name)
    items = _rows(inputs, model) if module.INPUT == "rows" else read_trajectories(inputs, limit)
    if module.INPUT == "rows":
        items = islice(items, limit)
    with target(output, form, module, report.losses) as place:
        for where, item in items:
            try:
                _export(where, item, module, form, place, report)
            except RecordError as error:
                report.reject(where, error)
        place.sink.close()
        if not report.n_exported and not report.reasons:
            raise InputError(f"{', '.join(inputs)}: expected records, got none; the files are empty")
        lost = set(report.losses.facts()) - set(allowed)
        if report.n_exported and not (strict and (lost or report.reasons)):
            place.publish()
            report.published = True
    return report


def _export(where: str, item: Any, module: Exporter, form: str, place: Target, report: Report) -> None:
    if isinstance(item, RecordError):
        raise item
    losses = Losses()
    try:
        if form == "folder":
            records = getattr(module, "lines", lambda one, lost: [module.export(one, lost)])(item, losses)
            place.sink.write(records, item.trajectory_id or "")
        else:
            place.sink.write([module.export(item, losses)], where)
    except RecursionError:
        raise RecordError("nested too deep to be written", "json_too_deep") from None
    except DeepcoderError:
        raise
    except (ValueError, TypeError) as error:
        raise RecordError(f"cannot be written as JSON: {error}; repair the record", "not_writable") from None
    report.losses.merge(losses)
    report.n_exported += 1


def read_trajectories(inputs: Sequence[str], limit: int | None) -> Iterator[Item]:
    """The trajectories of all records, in order."""
    limits = ReadersConfig()
    parser = TrajectoryParser(limits)
    records = ((file.name, raw) for file in find_files(list(inputs)) for raw in iter_records(file, limits))
    for name, raw in islice(records, limit):
        where = f"{name}:{raw.line}"
        if raw.record is None:
            yield where, RecordError(raw.message, raw.reason)
            continue
        try:
            found = parser.parse_all(raw.record)
        except RecordError as error:
            yield where, error
        except RecursionError:
            yield where, RecordError("nested too deep to be read", "json_too_deep")
        else:
            yield from ((where, trajectory) for trajectory in found)


def _rows(inputs: Sequence[str], model: str | None) -> Iterator[Item]:
    """The rows of SAD datasets, in order; `model` replaces the tokenizer that they name."""
    from deepcoder_hf.dataset.load import read_rows

    for path in inputs:
        dataset = read_rows(Path(path))
        if missing := sorted(set(NEEDED) - set(dataset.column_names)):
            raise SchemaError(
                f"{path}: expected a SAD dataset (this format takes tokens), missing: {', '.join(missing)}; run "
                "`deepcoder-hf process` first"
            )
        for number, row in enumerate(dataset):
            if model is not None:
                row = {**row, "metadata": json.dumps({"tokenizer": f"{model}@"})}
            yield f"{path}: row {number}", row
