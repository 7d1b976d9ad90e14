"""`deepcoder-hf audit`: what anybody's prepared rows really train."""

from __future__ import annotations

import click


@click.command("audit", short_help="Say what anybody's input_ids and labels really train.")
@click.argument("dataset")
@click.option("-t", "--tokenizer", required=True, help="Tokenizer of the rows: Qwen3 name, folder, file or Hub name.")
@click.option(
    "--max-share",
    "limits",
    multiple=True,
    metavar="SHARE|CODE=SHARE",
    help="Share up to which findings pass: 0.01 for all errors (default 0), or CODE=0.01 for one finding.",
)
@click.option("--rows", type=click.IntRange(min=1), help="Read only so many rows.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write the report as an HTML page to this file.")
def command(
    dataset: str, tokenizer: str, limits: tuple[str, ...], rows: int | None, as_json: bool, html: str | None
) -> None:
    """Say what the rows of a prepared dataset train: Arrow, Parquet or JSONL with input_ids.

    What is trained comes from labels, or assistant_masks, completion_mask, response_mask, loss_mask, or reasoning_mask
    and action_mask. Exits with 1 if an error has a share over its limit (default 0); warnings and notes only where
    --max-share names them.

    \b
    Example:
      deepcoder-hf audit prepared/ --tokenizer Qwen/Qwen3-8B
      deepcoder-hf audit train.parquet -t ./model --max-share untrained_stop=0.01 --json
    """
    from pathlib import Path

    from deepcoder_hf.audit.run import audit_dataset
    from deepcoder_hf.cli.progress import progress_bar
    from deepcoder_hf.view.safe import safe_json

    max_share, by_code = shares(limits)
    with progress_bar(as_json) as bar:
        report = audit_dataset(Path(dataset), tokenizer, rows, max_share, by_code, bar.advance)
    if html is not None:
        from deepcoder_hf.view.audit import audit_page
        from deepcoder_hf.view.page_shell import write_html

        write_html(audit_page(report), Path(html))
    if as_json:
        click.echo(safe_json(report, indent=2))
    else:
        from deepcoder_hf.view.audit import audit_table
        from deepcoder_hf.view.terminal import console

        console().print(audit_table(report))
    if report["failed"]:
        raise click.exceptions.Exit(1)


def shares(limits: tuple[str, ...]) -> tuple[float, dict[str, float]]:
    """The limit of all errors, and those of single findings.

    Raises:
        BadParameter: A limit is no share, or names no finding.
    """
    from deepcoder_hf.audit.catalogue import FINDINGS

    max_share, by_code = 0.0, {}
    for limit in limits:
        code, _, number = limit.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0:
            raise click.BadParameter(
                f"expected a share from 0 to 1 or CODE=SHARE, got {limit!r}", param_hint="--max-share"
            )
        if code and code not in FINDINGS:
            known = ", ".join(FINDINGS)
            raise click.BadParameter(f"no finding is called {code!r}; they are {known}", param_hint="--max-share")
        if code:
            by_code[code] = share
        else:
            max_share = share
    return max_share, by_code
