"""`deepcoder-hf publish`: a processed dataset -> a dataset repository of the Hub; the only command that sends."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deepcoder_hf.publish.push import PublishResult

SHOWN = 10
"""Pieces of personal data that are shown in words."""


@click.command("publish", short_help="A dataset to the Hub, with its card.")
@click.argument("names", nargs=-1, required=True, metavar="[DATASET] OWNER/NAME")
@click.option("--license", "licence", help="Licence of what is published, as the Hub names it: apache-2.0, cc-by-4.0.")
@click.option("--config-name", default="default", show_default=True, help="Config that the rows are; others are kept.")
@click.option("--private", is_flag=True, help="Make a private repository.")
@click.option("--revision", metavar="BRANCH", help="Branch to publish to, made where it does not exist.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of changing main.")
@click.option("--tag", help="Name the commit, such as v1.0.")
@click.option("--dry-run", is_flag=True, help="Send nothing; list what would go.")
@click.option("--append", is_flag=True, help="New shards beside those that are there; known trajectories are left out.")
@click.option("--remove", multiple=True, metavar="ID", help="Take a trajectory out of what is published; no DATASET.")
@click.option("--redact", is_flag=True, help="Replace secrets and personal data, and derive tokens and masks again.")
@click.option("--strict", is_flag=True, help="Stop on personal data too.")
@click.option("--allow", multiple=True, metavar="DIGEST", help="A finding that was looked at and may leave.")
@click.option(
    "--acknowledge-rights", is_flag=True, help="Publish with unknown or conflicting licences; the card says so."
)
@click.option("--decontaminate", multiple=True, metavar="FILE", help="Take out rows that hold texts of a benchmark.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    names: tuple[str, ...],
    licence: str | None,
    config_name: str,
    private: bool,
    revision: str | None,
    create_pr: bool,
    tag: str | None,
    dry_run: bool,
    append: bool,
    remove: tuple[str, ...],
    redact: bool,
    strict: bool,
    allow: tuple[str, ...],
    acknowledge_rights: bool,
    decontaminate: tuple[str, ...],
    as_json: bool,
) -> None:
    """Publish a processed dataset (folder, .parquet, .jsonl) so that load_dataset("owner/name") works anywhere.

    Everything is scanned first: secrets stop the push. The token is the one of `hf auth login` or HF_TOKEN. A push that
    is interrupted changes nothing that readers see; the same command goes on.

    \b
    Example:
      deepcoder-hf publish sad/ deepcoder/sad --license apache-2.0 --dry-run
      deepcoder-hf publish sad/ deepcoder/sad --license apache-2.0 --tag v1.0
      deepcoder-hf publish more/ deepcoder/sad --license apache-2.0 --append
      deepcoder-hf publish deepcoder/sad --remove django-1234
    """
    if len(names) != (1 if remove else 2):
        wanted = "OWNER/NAME alone with --remove" if remove else "DATASET and OWNER/NAME"
        raise click.UsageError(f"expected {wanted}, got {len(names)} arguments")
    if not remove and not licence:
        raise click.UsageError("--license is needed: the licence of the rows, such as apache-2.0 or cc-by-4.0")
    from deepcoder_hf.dataset.builder import quiet
    from deepcoder_hf.publish.push import publish

    with quiet():
        result = publish(
            None if remove else names[0],
            names[-1],
            licence=licence,
            config_name=config_name,
            private=private,
            revision=revision,
            create_pr=create_pr,
            tag=tag,
            dry_run=dry_run,
            append=append,
            remove=remove,
            redact=redact,
            strict=strict,
            allow=allow,
            acknowledge_rights=acknowledge_rights,
            decontaminate=benchmarks(decontaminate),
            command=shown_command(names, licence, config_name, append, redact),
        )
    show(result, as_json)


def shown_command(names: tuple[str, ...], licence: str | None, config_name: str, append: bool, redact: bool) -> str:
    """The command as the card shows it: without the folders of this machine and the digests of findings."""
    from pathlib import Path

    words = ["deepcoder-hf", "publish", *(Path(name).name for name in names[:-1]), names[-1]]
    words += ["--license", licence] if licence else []
    words += ["--config-name", config_name] if config_name != "default" else []
    words += ["--append"] if append else []
    return shlex.join([*words, *(["--redact"] if redact else [])])


def benchmarks(files: tuple[str, ...]) -> dict[str, list[str]] | None:
    """Texts by benchmark; a file is named by its stem."""
    if not files:
        return None
    from pathlib import Path

    from deepcoder_hf.publish.decontaminate_texts import benchmark_texts

    return {Path(file).stem: benchmark_texts(file) for file in files}


def show(result: PublishResult, as_json: bool) -> None:
    """Print what was done or would be: path, bytes and rows of each file, then the counts."""
    import json
    from dataclasses import asdict

    from deepcoder_hf.view.safe import safe_json, safe_text

    if as_json:
        click.echo(safe_json(json.loads(json.dumps(asdict(result), default=dict)), indent=2))
        return
    lines = [f"{file.n_bytes:>14,} bytes {_rows(file.n_rows):>14}  {file.path}" for file in result.files]
    lines += [f"{'deleted':>35}  {path}" for path in result.deleted]
    for count, what in ((result.n_removed, "rows removed"), (result.n_skipped, "rows left out, there already")):
        lines += [f"{count:,} {what}"] if count else []
    lines += [f"{count:,} rows taken out: {name}" for name, count in result.contamination.items()]
    lines += [f"{count:,} replaced: {kind}" for kind, count in result.redacted.items()]
    personal = result.scan.of("personal")
    lines += [f"personal data: {found.place}: {found.rule}: {found.excerpt}" for found in personal[:SHOWN]]
    if len(personal) > SHOWN:
        lines.append(f"and {len(personal) - SHOWN:,} more; --strict stops on them, --redact replaces them")
    lines += [f"note: {note}" for note in result.notes]
    done = "nothing was sent" if result.dry_run else f"published {result.pr_url or result.url}"
    tag = f", tag {result.tag}" if result.tag else ""
    lines.append(f"{result.n_rows:,} rows; {done}{tag}")
    click.echo(safe_text("\n".join(lines)))


def _rows(n_rows: int | None) -> str:
    return "" if n_rows is None else f"{n_rows:,} rows"
