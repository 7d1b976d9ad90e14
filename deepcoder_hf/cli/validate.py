"""`deepcoder-hf validate`: prove every row of a processed dataset again."""

from __future__ import annotations

import click

SHOWN = 10
"""Invalid rows that are shown in words."""


@click.command("validate", short_help="Prove every row of a dataset again.")
@click.option("-i", "--input", "path", required=True, help="Dataset folder, .parquet or .jsonl that `process` wrote.")
@click.option("--model", help="Tokenizer to use instead of the name in the rows (its digest must be the same).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(path: str, model: str | None, as_json: bool) -> None:
    """Prove every row: lengths, masks, labels, spans, offsets, and that the text gives the ids.

    Exits with 1 if a row is invalid.

    \b
    Example:
      deepcoder-hf validate --input sad/
    """
    from pathlib import Path

    from deepcoder_hf.cli.progress import progress_bar
    from deepcoder_hf.dataset.load import read_rows
    from deepcoder_hf.dataset.validate import validate_rows
    from deepcoder_hf.view.safe import safe_json, safe_text

    rows = read_rows(Path(path))
    with progress_bar(as_json) as bar:
        bar.on_read(len(rows))
        result = validate_rows(rows, model, bar.advance)
    if as_json:
        click.echo(safe_json(result, indent=2))
    else:
        click.echo(f"{result['valid_trajectories']:,} of {result['total_checked']:,} rows are valid")
        for error in result["validation_errors"][:SHOWN]:
            click.echo(safe_text(f"row {error['row']} ({error['trajectory_id']}): {'; '.join(error['problems'])}"))
        if result["invalid_trajectories"] > SHOWN:
            click.echo(f"and {result['invalid_trajectories'] - SHOWN:,} more; --json lists the first 100")
    if result["invalid_trajectories"] or result["validation_errors"]:
        raise click.exceptions.Exit(1)
