"""`deepcoder-hf cluster`: `process` on several machines, by datatrove's executors."""

from __future__ import annotations

from typing import Any

import click


@click.command("cluster", short_help="The same as process, on several machines.")
@click.option("-i", "--input", "inputs", multiple=True, required=True, help="File, folder, glob or hf:// path.")
@click.option("-o", "--output", required=True, help="Folder that every machine sees; a Parquet file a shard.")
@click.option("-c", "--config", "configs", multiple=True, help="YAML file or recipe name; later ones win.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="One setting, e.g. tokens.max_length=4096.")
@click.option("--cluster", "file", help="YAML file with the settings of the executor; options below win.")
@click.option("--executor", help="local (default), slurm or ray.")
@click.option("--workers", type=click.IntRange(min=1), help="Tasks at a time.")
@click.option("--tasks", type=click.IntRange(min=1), help="Tasks; each does several shards. Default: one a shard.")
@click.option("--shard-bytes", type=click.IntRange(min=1024), help="Bytes of input a shard.")
@click.option("--dry-run", is_flag=True, help="Slurm: write the scripts and hand nothing in.")
@click.option("--overwrite", is_flag=True, help="Replace a run of other inputs or settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing of the progress.")
def command(
    inputs: tuple[str, ...],
    output: str,
    configs: tuple[str, ...],
    sets: tuple[str, ...],
    file: str | None,
    executor: str | None,
    workers: int | None,
    tasks: int | None,
    shard_bytes: int | None,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn raw trajectories into a SAD dataset on several processes or machines: the rows of `process`, in its order.

    Repeat the command after whatever ended it: only what is missing is done. With Slurm the command returns when the
    jobs are handed in; repeat it to see the report.

    \b
    Example:
      deepcoder-hf cluster -i runs/ -o sad/ --config qwen3 --workers 8
      deepcoder-hf cluster -i runs/ -o sad/ --config qwen3 --cluster configs/cluster/slurm.yaml --dry-run
    """
    from deepcoder_hf.cli.process import show
    from deepcoder_hf.cluster import load_cluster_settings, run_cluster
    from deepcoder_hf.settings import load_config

    settings: dict[str, Any] = load_cluster_settings(file) if file else {}
    given = {"executor": executor, "workers": workers, "tasks": tasks, "shard_bytes": shard_bytes}
    settings |= {name: value for name, value in given.items() if value is not None}
    if dry_run:
        settings["submit"] = False

    def say(n_done: int, n_shards: int) -> None:
        if not quiet:
            click.echo(f"{n_done} of {n_shards} shards", err=True)

    config = load_config(list(configs), list(sets))
    result = run_cluster(list(inputs), output, config, overwrite=overwrite, on_shards=say, **settings)
    if result.scripts:
        from deepcoder_hf.view.safe import safe_text

        for line in (*(f"script {path}" for path in result.scripts), *(f"submitted {job}" for job in result.jobs)):
            click.echo(safe_text(line), err=as_json)
    if result.report is None:
        n_left = result.n_shards - result.n_done_before
        click.echo(f"{n_left} of {result.n_shards} shards to do; repeat the command to see the report", err=as_json)
        return
    show(result.report, output, as_json)
    if not result.report["n_kept"]:
        click.echo(f"error: none of {result.report['n_read']} records was kept; see rejected.jsonl", err=True)
        raise click.exceptions.Exit(1)
