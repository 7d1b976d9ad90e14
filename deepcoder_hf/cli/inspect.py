"""`deepcoder-hf inspect`: one trajectory in the terminal, with its masks in colour."""

from __future__ import annotations

from typing import Any

import click

PRESETS = ("sad", "trl", "axolotl", "renderers")
"""Names of `deepcoder_hf.config.PRESETS`, which costs too much to import for a help text."""


@click.command("inspect", short_help="Show one row with its masks in colour.")
@click.argument("path")
@click.option("--row", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the row, from 0.")
@click.option("--id", "trajectory_id", help="Trajectory id, instead of a number.")
@click.option(
    "--compare",
    "preset",
    type=click.Choice(PRESETS),
    help="Show what this mask preset trains of the row and the row does not, and the other way round.",
)
@click.option("--full", is_flag=True, help="Show long spans whole.")
@click.option("--json", "as_json", is_flag=True, help="Print the row, or the comparison, as JSON.")
def command(path: str, row: int, trajectory_id: str | None, preset: str | None, full: bool, as_json: bool) -> None:
    """Show one row of a processed dataset: each span with its type, and what of it is trained.

    \b
    Example:
      deepcoder-hf inspect sad/ --row 3
      deepcoder-hf inspect rows.parquet --id step-014 --full
      deepcoder-hf inspect sad/ --row 3 --compare trl
    """
    from deepcoder_hf.view.safe import safe_json

    found = pick(path, row, trajectory_id)
    if preset is not None:
        show_comparison(found, preset, full, as_json)
        return
    if as_json:
        click.echo(safe_json(found))
        return
    from deepcoder_hf.view.terminal import console, trajectory

    console().print(trajectory(found, None if full else 600))


def show_comparison(row: dict[str, Any], preset: str, full: bool, as_json: bool) -> None:
    """Print how a row differs from a mask preset."""
    from deepcoder_hf.view.compare import compare, comparison
    from deepcoder_hf.view.safe import safe_json
    from deepcoder_hf.view.terminal import console

    found = compare(row, preset)
    if as_json:
        click.echo(safe_json(found.as_json()))
    else:
        console().print(comparison(found, None if full else 160))


def pick(path: str, row: int, trajectory_id: str | None) -> dict[str, Any]:
    """One row of a processed dataset.

    Raises:
        InputError: There is no such row.
    """
    from pathlib import Path

    from deepcoder_hf.dataset.features import SAD_FEATURES
    from deepcoder_hf.dataset.load import read_rows
    from deepcoder_hf.errors import InputError, SchemaError

    dataset = read_rows(Path(path))
    if missing := sorted(set(SAD_FEATURES) - set(dataset.column_names)):
        raise SchemaError(f"{path}: expected the columns of a SAD dataset, missing: {', '.join(missing)}")
    if not len(dataset):
        raise InputError(f"{path}: there is no row to show; rejected.jsonl says why nothing was kept")
    if trajectory_id is not None:
        ids = dataset["trajectory_id"][:]
        if trajectory_id not in ids:
            raise InputError(
                f"{path}: no trajectory has the id {trajectory_id!r}; the first ids are {', '.join(ids[:5])}"
            )
        row = ids.index(trajectory_id)
    if row >= len(dataset):
        raise InputError(f"{path}: expected a row below {len(dataset)}, got {row}")
    found: dict[str, Any] = dataset[row]
    if broken := [name for name in SAD_FEATURES if found[name] is None and name != "original_text"]:
        raise SchemaError(f"{path}: row {row} has no {', '.join(broken)}; see deepcoder-hf validate")
    return found
