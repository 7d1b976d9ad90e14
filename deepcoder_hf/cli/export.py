"""`deepcoder-hf export`: trajectories or a SAD dataset -> the formats of other tools."""

from __future__ import annotations

from typing import Any

import click

from deepcoder_hf.export import EXPORTERS


@click.command("export", short_help="Trajectories or rows to other tools' formats.")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-f", "--format", "name", type=click.Choice(list(EXPORTERS)), required=True, help="Format to write.")
@click.option("-o", "--output", required=True, help="File (.jsonl, .parquet), folder, or - for stdout.")
@click.option("--split-files", is_flag=True, help="A file a trajectory, in a folder (atif, session-traces).")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N records.")
@click.option("--strict", is_flag=True, help="Write nothing and exit with 1 if anything would be lost.")
@click.option("--allow-loss", "allowed", multiple=True, metavar="KIND", help="A kind of loss that --strict lets pass.")
@click.option("--model", help="Tokenizer, instead of the one that the rows name (axolotl).")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    inputs: tuple[str, ...],
    name: str,
    output: str,
    split_files: bool,
    limit: int | None,
    strict: bool,
    allowed: tuple[str, ...],
    model: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write trajectories (atif, trl, llamafactory, ms-swift, openai, session-traces) or the rows of a processed dataset
    (trl-tokenized, axolotl, verl) for another tool.

    What a format cannot hold is counted by kind; a record that it cannot hold at all is a reject with its reason.

    \b
    Example:
      deepcoder-hf export runs/ --format trl --output trl.jsonl
      deepcoder-hf export sad/ --format verl --output verl.parquet
    """
    from deepcoder_hf.export.losses import KINDS
    from deepcoder_hf.export.run import export_files

    if unknown := sorted(set(allowed) - set(KINDS)):
        raise click.UsageError(f"--allow-loss: unknown {', '.join(unknown)}; known: {', '.join(KINDS)}")
    report = export_files(
        inputs,
        output,
        name,
        split_files=split_files,
        limit=limit,
        overwrite=overwrite,
        model=model,
        strict=strict,
        allowed=allowed,
    ).facts()
    show(report, output, as_json)
    if not report["written"]:
        why = "something would be lost" if report["n_exported"] else "no record could be exported"
        click.echo(f"error: nothing was written: {why}", err=True)
        raise click.exceptions.Exit(1)


def show(report: dict[str, Any], output: str, as_json: bool) -> None:
    """Print the report; beside an output on stdout it goes to stderr."""
    from deepcoder_hf.view.safe import safe_json, safe_text

    beside = output == "-"
    if as_json:
        click.echo(safe_json(report, indent=2), err=beside)
        return
    rejected = f", {report['n_rejected']:,} rejected" if report["n_rejected"] else ""
    lines = [f"{report['format']}: {report['n_exported']:,} exported{rejected}"]
    for reason, reject in report["rejects"].items():
        lines.append(f"  rejected {reject['n']:,} {reason}: {reject['first']}")
    for kind, loss in report["losses"].items():
        characters = f" ({loss['characters']:,} characters)" if loss["characters"] else ""
        lines.append(f"  lost {loss['n']:,} {kind}{characters}: {loss['what']}")
    click.echo(safe_text("\n".join(lines)), err=beside)
    if report["written"] and not beside:
        click.echo(safe_text(f"written to {output}"))
