"""`deepcoder-hf inspect`: one trajectory in the terminal, or all on an HTML page, with masks in colour."""

from __future__ import annotations

from typing import Any

import click

PRESETS = ("sad", "trl", "axolotl", "renderers")
"""Names of `deepcoder_hf.config.PRESETS`, which costs too much to import for a help text."""


@click.command("inspect", short_help="Show rows with their masks in colour, in the terminal or as HTML.")
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
@click.option(
    "--html",
    type=click.Path(dir_okay=False),
    help="Write a page of all rows and rejects to this file instead; --row or --id is open at first.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Most rows on the page; of more rows those at equal distances are taken.",
)
@click.option("--model", help="Tokenizer that places the tokens on the page, instead of the name in the rows.")
def command(
    path: str,
    row: int,
    trajectory_id: str | None,
    preset: str | None,
    full: bool,
    as_json: bool,
    html: str | None,
    rows: int,
    model: str | None,
) -> None:
    """Show one row of a processed dataset: each span with its type, and what of it is trained.

    With --html, write one page that needs no network: a list of trajectories with search and filters, their spans,
    token boundaries, mask and label rows, and the rejected records.

    \b
    Example:
      deepcoder-hf inspect sad/ --row 3
      deepcoder-hf inspect rows.parquet --id step-014 --full
      deepcoder-hf inspect sad/ --row 3 --compare trl
      deepcoder-hf inspect sad/ --html sad.html
    """
    from deepcoder_hf.view.safe import safe_json

    if html is not None:
        if preset is not None or full or as_json:
            raise click.UsageError("--html shows whole rows; leave out --compare, --full and --json")
        write_page(path, html, row, trajectory_id, rows, model)
        return

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


def write_page(path: str, html: str, row: int, trajectory_id: str | None, max_rows: int, model: str | None) -> None:
    """Write the page of a dataset, its report and its rejects.

    Raises:
        InputError: There is no such row, or a file cannot be read.
        OutputError: The page cannot be written.
    """
    from pathlib import Path

    from deepcoder_hf.cli.progress import progress_bar
    from deepcoder_hf.view.page import page_of
    from deepcoder_hf.view.page_facts import rejects_beside, report_beside
    from deepcoder_hf.view.page_shell import write_html
    from deepcoder_hf.view.safe import safe_text

    source, target = Path(path), Path(html)
    dataset, rejects = load(path), rejects_beside(source)
    if len(dataset) or not rejects:
        row = row_number(dataset, path, row, trajectory_id)
    name = source.name or source.absolute().name
    with progress_bar(False) as bar:
        bar.on_read(min(len(dataset), max_rows))
        page = page_of(dataset, report_beside(source), rejects, name, max_rows, row, model, bar.advance)
    write_html(page, target)
    shown = min(len(dataset), max_rows)
    words = f"{shown:,} of {len(dataset):,} rows, {min(len(rejects), max_rows):,} of {len(rejects):,} rejected records"
    click.echo(safe_text(f"{target}: {words}, {len(page) / 1e6:.1f} MB"))


def pick(path: str, row: int, trajectory_id: str | None) -> dict[str, Any]:
    """One row of a processed dataset.

    Raises:
        InputError: There is no such row.
    """
    from deepcoder_hf.dataset.features import SAD_FEATURES
    from deepcoder_hf.errors import SchemaError

    dataset = load(path)
    row = row_number(dataset, path, row, trajectory_id)
    found: dict[str, Any] = dataset[row]
    if broken := [name for name in SAD_FEATURES if found[name] is None and name != "original_text"]:
        raise SchemaError(f"{path}: row {row} has no {', '.join(broken)}; see deepcoder-hf validate")
    return found


def load(path: str) -> Any:
    """A processed dataset with all of its columns.

    Raises:
        SchemaError: Columns are missing.
    """
    from pathlib import Path

    from deepcoder_hf.dataset.features import SAD_FEATURES
    from deepcoder_hf.dataset.load import read_rows
    from deepcoder_hf.errors import SchemaError

    dataset = read_rows(Path(path))
    if missing := sorted(set(SAD_FEATURES) - set(dataset.column_names)):
        raise SchemaError(f"{path}: expected the columns of a SAD dataset, missing: {', '.join(missing)}")
    return dataset


def row_number(dataset: Any, path: str, row: int, trajectory_id: str | None) -> int:
    """The number of the row that is asked for by number or id.

    Raises:
        InputError: There is no such row.
    """
    from deepcoder_hf.errors import InputError

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
    return row
