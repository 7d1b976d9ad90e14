"""`deepcoder-hf evaluate`: the span detector, or one's own patterns, on labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from deepcoder_hf.config import ReadersConfig
    from deepcoder_hf.spans.gold import GoldRecord
    from deepcoder_hf.spans.scores import SpanScores

GROUPS = ("style", "source", "lang", "rendering", "pattern")
FLOORS = ("reasoning", "action", "observation", "exact_records")
EXPECTED = (
    'expected a labelled text a line, such as {"id": "1", "text": "Thought: Look.", '
    '"spans": [{"type": "reasoning", "start": 9, "end": 14}]}'
)


def parse_floors(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, float]]:
    """`reasoning=0.9`: the name of a figure and the least value that is good enough.

    Raises:
        BadParameter: The figure is unknown, or the value is no number from 0 to 1.
    """
    floors = []
    for value in values:
        name, _, number = value.partition("=")
        try:
            least = float(number)
        except ValueError:
            least = -1.0
        if name not in FLOORS or not 0 <= least <= 1:
            raise click.BadParameter(f"expected {'|'.join(FLOORS)}=NUMBER from 0 to 1, got {value!r}", ctx, param)
        floors.append((name, least))
    return floors


@click.command("evaluate", short_help="Score span detection on labelled texts.")
@click.argument("gold")
@click.option("-c", "--config", "configs", multiple=True, help="YAML file or recipe name; later ones win.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="One setting, e.g. spans.min_confidence=0.5.")
@click.option("--by", type=click.Choice(GROUPS), default="style", show_default=True, help="What the table groups by.")
@click.option(
    "--worst", type=click.IntRange(min=1), default=None, help="Show the N records with most wrong characters."
)
@click.option("--calibration", is_flag=True, help="Show how right the spans of each range of confidence are.")
@click.option(
    "--leave-out", "leave_out", multiple=True, metavar="STYLE",
    help="Switch off what was written for a style and score its records; `all` takes each style in turn.",
)  # fmt: skip
@click.option(
    "--fail-under", "floors", multiple=True, callback=parse_floors, metavar="FIGURE=VALUE",
    help="Exit with 1 if a macro figure is lower, e.g. reasoning=0.9; with --leave-out, the figure left out.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def command(
    gold: str,
    configs: tuple[str, ...],
    sets: tuple[str, ...],
    by: str,
    worst: int | None,
    calibration: bool,
    leave_out: tuple[str, ...],
    floors: list[tuple[str, float]],
    as_json: bool,
) -> None:
    """Score span detection on the labelled texts of the file GOLD, by characters.

    GOLD holds a text a line, JSONL (also gzip or zstd): id, text, and spans with type, start and end, the payload of
    each span in characters without its tags and labels; style, source, lang and rendering where they are known.
    Figures are F1, averaged over groups of source and style. Lines that hold no labelled text are counted and named.

    \b
    Example:
      deepcoder-hf evaluate gold.jsonl --worst 3
      deepcoder-hf evaluate gold.jsonl --config my_patterns.yaml --by pattern
      deepcoder-hf evaluate gold.jsonl --leave-out all --fail-under action=0.9
    """
    from deepcoder_hf.settings import load_config
    from deepcoder_hf.spans.evaluate import evaluate_spans
    from deepcoder_hf.spans.leave_out import chosen_styles

    config = load_config(list(configs), list(sets))
    records, malformed = read_gold(gold, config.readers)
    if leave_out:
        styles = chosen_styles(leave_out, {record.style for record in records}, config.spans)
        records = [record for record in records if record.style in styles]
    with _progress(len(records) * (2 if leave_out else 1), as_json) as advance:
        scores = evaluate_spans(records, config, progress=advance)
        left_out = evaluate_spans(records, config, leave_out=styles, progress=advance) if leave_out else None
    if as_json:
        _print_json(scores, left_out, by, worst or 0, malformed)
    else:
        show_tables(scores, left_out, by, worst or 0, calibration, malformed)
    if low := _too_low(left_out or scores, floors):
        for problem in low:
            click.echo(f"error: {problem}", err=True)
        raise click.exceptions.Exit(1)


def read_gold(path: str, limits: ReadersConfig) -> tuple[list[GoldRecord], list[str]]:
    """Read labelled texts.

    Args:
        path: A file, folder, glob, URL or `-`, as `process` takes it.
        limits: The section `readers` of the configuration.

    Returns:
        The records, and a line for each that is malformed, with its file and line.

    Raises:
        InputError: Nothing is there, or there is no labelled text in it.
    """
    from deepcoder_hf.errors import InputError, RecordError
    from deepcoder_hf.readers.containers import iter_records
    from deepcoder_hf.readers.containers.files import find_files
    from deepcoder_hf.spans.gold import gold_record

    records: list[GoldRecord] = []
    malformed: list[str] = []
    for file in find_files(path):
        for raw in iter_records(file, limits):
            if raw.record is None:
                malformed.append(raw.message)
                continue
            try:
                records.append(gold_record(raw.record))
            except RecordError as error:
                malformed.append(f"{file.name}:{raw.line}: {error}")
    if not records:
        if not malformed:
            raise InputError(f"{path}: the file is empty; {EXPECTED}")
        raise InputError(f"{path}: none of {len(malformed):,} records can be used; first: {malformed[0]}; {EXPECTED}")
    return records, malformed


def show_tables(
    scores: SpanScores, left_out: SpanScores | None, by: str, worst: int, with_bins: bool, malformed: list[str]
) -> None:
    """Print the worst records, the tables and the counts; what is malformed or failed goes to stderr."""
    from deepcoder_hf.view.scores import problems_view, scores_view
    from deepcoder_hf.view.terminal import console
    from deepcoder_hf.view.worst import worst_record

    chosen = left_out or scores
    out = console()
    for score in reversed(chosen.worst(worst)):
        out.print(worst_record(score))
    if worst:
        out.print("" if chosen.worst(1) else "no character is wrong\n")
    out.print(scores_view(scores, left_out, by, with_bins))
    click.echo(
        f"\n{len(scores.records):,} records, {scores.n_bytes / 1e6:.1f} MB, {len(malformed):,} malformed, "
        f"{len(chosen.failed):,} failed; {scores.mb_per_cpu_s:.1f} MB per CPU-second"
    )
    if malformed:
        click.echo(
            problems_view(malformed, f"warning: {len(malformed):,} records are malformed and not scored"), err=True
        )
    if failed := [f"{score.record.record_id}: {score.error}" for score in chosen.failed]:
        click.echo(problems_view(failed, "warning: the detector failed and found nothing"), err=True)


def _print_json(scores: SpanScores, left_out: SpanScores | None, by: str, worst: int, malformed: list[str]) -> None:
    from dataclasses import asdict

    from deepcoder_hf.view.safe import safe_json

    runs = {"scores": scores} if left_out is None else {"scores": scores, "leave_out": left_out}
    result: dict[str, Any] = {"by": by, "n_malformed": len(malformed), "malformed": malformed}
    for name, run in runs.items():
        if by == "pattern":
            table: Any = [asdict(score) for score in run.patterns()]
        else:
            table = {group: asdict(figures) for group, figures in run.by(by).items()}
        result[name] = {**run.to_dict(), "table": table}
    chosen = left_out or scores
    result["worst"] = [{"id": score.record.record_id, "n_wrong": score.n_wrong} for score in chosen.worst(worst)]
    click.echo(safe_json(result, indent=2))


def _too_low(scores: SpanScores, floors: list[tuple[str, float]]) -> list[str]:
    macro = scores.macro
    problems = []
    for name, least in floors:
        value = getattr(macro, name)
        if value is None:
            problems.append(f"--fail-under {name}={least:g}: no labelled character has this type")
        elif value < least:
            problems.append(f"{name} is {value:.4f}, less than --fail-under {name}={least:g}")
    return problems


@contextmanager
def _progress(n_records: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; yields the function to call with the number of records done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from deepcoder_hf.view.terminal import console

    stderr = console(stderr=True)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=quiet or not stderr.is_terminal) as progress:
        task = progress.add_task("scoring", total=n_records)
        yield lambda n: progress.advance(task, n)
