"""`deepcoder-hf report`: charts of a whole dataset, in the terminal or as an HTML page."""

from __future__ import annotations

import click


@click.command("report", short_help="Show shares, lengths, confidence and drop reasons of a dataset.")
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write the charts as an HTML page to this file.")
def command(dataset: str, as_json: bool, html: str | None) -> None:
    """Show what a whole processed dataset holds: tokens by type, how the shares and lengths of rows are spread,
    confidence by pattern, and why records were not kept.

    \b
    Example:
      deepcoder-hf report sad/
      deepcoder-hf report sad/ --html report.html
    """
    from pathlib import Path

    from deepcoder_hf.dataset.load import read_rows
    from deepcoder_hf.errors import SchemaError
    from deepcoder_hf.view.page_facts import dataset_facts, rejects_beside, report_beside
    from deepcoder_hf.view.safe import safe_json

    path = Path(dataset)
    try:
        facts = dataset_facts(read_rows(path), report_beside(path), rejects_beside(path))
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from None
    if html is not None:
        from deepcoder_hf.view.page_report import report_page
        from deepcoder_hf.view.page_shell import write_html

        write_html(report_page(facts, path.name or path.absolute().name), Path(html))
    if as_json:
        click.echo(safe_json(facts, indent=2))
    else:
        from deepcoder_hf.view.page_report import report_tables
        from deepcoder_hf.view.terminal import console

        console().print(report_tables(facts))
