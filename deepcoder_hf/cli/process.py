"""`deepcoder-hf process`: raw trajectories -> SAD dataset, report and rejects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

CUT_SHORT = (
    "truncated_file",
    "broken_compression",
    "compression_ratio",
    "zstd_window",
    "file_too_large",
    "read_error",
    "broken_parquet",
    "broken_arrow",
)
"""Rejects that stand for the rest of a file, however many records it held."""


@click.command("process", short_help="Raw trajectories to a SAD dataset.")
@click.option(
    "-i", "--input", "inputs", multiple=True, required=True, help="File, folder, glob, hf:// path or - (stdin)."
)
@click.option("-o", "--output", required=True, help="Folder (HF dataset), or a file ending in .parquet or .jsonl.")
@click.option(
    "--format", "form", type=click.Choice(["dataset", "parquet", "jsonl"]), help="Output format, whatever the suffix."
)
@click.option("-c", "--config", "configs", multiple=True, help="YAML file or recipe name; later ones win.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="One setting, e.g. tokens.max_length=4096.")
@click.option("--model", help="Tokenizer: Hub name, folder or tokenizer.json.")
@click.option("--max-length", type=click.IntRange(min=16), help="Longest row, in tokens.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N records.")
@click.option("--num-proc", type=click.IntRange(min=1), help="Number of processes.")
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@click.option("--max-reject-ratio", type=click.FloatRange(0, 1), help="Exit with 1 if more of the records failed.")
@click.option("--fail-on-loss", type=click.FloatRange(0, 1), help="Exit with 1 if more of the source's text is lost.")
@click.option(
    "--only-rejected",
    type=click.Path(exists=True),
    help="Take only the records that an earlier run rejected: its rejected.jsonl, or its output folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    inputs: tuple[str, ...],
    output: str,
    form: str | None,
    configs: tuple[str, ...],
    sets: tuple[str, ...],
    model: str | None,
    max_length: int | None,
    limit: int | None,
    num_proc: int | None,
    overwrite: bool,
    max_reject_ratio: float | None,
    fail_on_loss: float | None,
    only_rejected: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn raw trajectories into a SAD dataset.

    Formats are recognised by content. Records that cannot be used are counted by reason and listed in rejected.jsonl;
    report.json holds the figures. An interrupted run goes on where it stopped; a repeated one comes from the cache.

    \b
    Example:
      deepcoder-hf process --input runs/ --output sad/ --config qwen3
      deepcoder-hf process -i runs.jsonl.gz -o rows.parquet --set tokens.max_length=8192
      deepcoder-hf process -i runs/ -o again/ --only-rejected sad/
    """
    from deepcoder_hf.cli.progress import progress_bar
    from deepcoder_hf.dataset.output import REJECTS, format_of, side_file
    from deepcoder_hf.pipeline import TrajectoryProcessor
    from deepcoder_hf.settings import load_config

    flags = [f"tokens.model_name={model}"] if model else []
    flags += [f"tokens.max_length={max_length}"] if max_length else []
    processor = TrajectoryProcessor(load_config(list(configs), [*sets, *flags]))
    with progress_bar(quiet) as bar:
        report = processor.process_files(
            list(inputs),
            output,
            form=form,
            num_proc=num_proc,
            limit=limit,
            overwrite=overwrite,
            only_rejected=only_rejected,
            progress=bar.advance,
            on_read=bar.on_read,
        )
    show(report, output, as_json)
    if cut := {reason: n for reason, n in report["reasons"]["failed"].items() if reason in CUT_SHORT}:
        counts = ", ".join(f"{reason} {n}" for reason, n in cut.items())
        click.echo(f"warning: the rest of some files was not read ({counts}); the rejects name them", err=True)
    rejects = side_file(Path(output), REJECTS, format_of(Path(output), form))
    if (problem := _verdict(report, rejects, max_reject_ratio, fail_on_loss)) is not None:
        click.echo(f"error: {problem}", err=True)
        raise click.exceptions.Exit(1)


def show(report: dict[str, Any], output: str, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        from deepcoder_hf.view.safe import safe_json

        click.echo(safe_json(report, indent=2))
        return
    from deepcoder_hf.view.safe import safe_text
    from deepcoder_hf.view.terminal import console, summary

    console().print(summary(report))
    click.echo(safe_text(f"\nwritten to {output}"))  # a console would break a long path


def _verdict(
    report: dict[str, Any], rejects: Path, max_reject_ratio: float | None, fail_on_loss: float | None
) -> str | None:
    n_read, n_failed = report["n_read"], report["n_failed"]
    if not report["n_kept"]:
        return f"none of {n_read} records was kept; see {rejects} for each reason"
    if max_reject_ratio is not None and n_failed > max_reject_ratio * n_read:
        return f"{n_failed} of {n_read} records failed, more than --max-reject-ratio {max_reject_ratio}; see {rejects}"
    lost = report["ledger"]["loss_ratio"]
    if fail_on_loss is not None and lost > fail_on_loss:
        return f"{lost:.4%} of the source's text is in no row, more than --fail-on-loss {fail_on_loss}; see report.json"
    return None
