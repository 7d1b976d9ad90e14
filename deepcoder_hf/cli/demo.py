"""`deepcoder-hf demo`: the main job on the trajectories that ship with the package."""

from __future__ import annotations

import sys
from shutil import which

import click


@click.command("demo", short_help="Process the shipped samples and show the result.")
@click.option("--sample-size", type=click.IntRange(min=1), help="Take only so many of the shipped trajectories.")
@click.option("-o", "--output", default="deepcoder-demo", show_default=True, help="Folder of the dataset.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(sample_size: int | None, output: str, as_json: bool) -> None:
    """Process the shipped samples, show the figures and one trajectory with its masks.

    \b
    Example:
      deepcoder-hf demo --sample-size 5
    """
    from importlib.resources import as_file, files

    from deepcoder_hf.cli.inspect import pick
    from deepcoder_hf.cli.process import show
    from deepcoder_hf.cli.progress import progress_bar
    from deepcoder_hf.pipeline import TrajectoryProcessor

    with as_file(files("deepcoder_hf") / "samples") as folder, progress_bar(as_json) as bar:
        inputs = sorted(folder.glob("*.jsonl"))
        report = TrajectoryProcessor().process_files(
            inputs, output, limit=sample_size, overwrite=True, progress=bar.advance, on_read=bar.on_read
        )
    if as_json:
        show(report, output, True)
        return
    from rich.rule import Rule

    from deepcoder_hf.view.terminal import console, trajectory

    out = console()
    out.print(Rule("one trajectory: colour is the span type, dim text is masked", align="left"))
    out.print(trajectory(pick(output, 0, None)))
    out.print(Rule("the run", align="left"))
    show(report, output, False)
    program = "deepcoder-hf" if which("deepcoder-hf") else sys.argv[0]
    click.echo(
        f"\nNext:\n"
        f"  {program} inspect {output} --row {min(7, report['n_rows'] - 1)}     (another trajectory)\n"
        f"  {program} validate --input {output}    (prove every row again)\n"
        f"  {program} process --input YOUR_RUNS --output sad/ --config qwen3\n"
        f"and in Python: datasets.load_from_disk({output!r})"
    )
