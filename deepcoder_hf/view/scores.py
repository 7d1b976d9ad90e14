"""The scores of a detector as tables: per group or per pattern, and its confidence against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deepcoder_hf.spans.calibration import Calibration
from deepcoder_hf.spans.scores import SCORED, Figures, SpanScores
from deepcoder_hf.view.safe import safe_text
from deepcoder_hf.view.terminal import STYLES

PATTERN = "pattern"
"""The grouping that is not by records but by what decided a span."""
NO_RULES = "no rules"
MAX_PATTERNS = 40
"""Patterns that are shown; all of them are in the JSON."""


def scores_view(scores: SpanScores, left_out: SpanScores | None, by: str, with_bins: bool) -> Group:
    """All tables of an evaluation.

    Args:
        scores: The detector as it is.
        left_out: The same records with their own convention left out, if that was asked for.
        by: Grouping of the first table: a field of the records, or `pattern`.
        with_bins: Whether to show the reliability of each bin of confidence.
    """
    runs = {"detector": scores} if left_out is None else {"whole": scores, "left out": left_out}
    parts: list[Any] = []
    if by == PATTERN:
        parts += [_patterns(run, name if left_out else "") for name, run in runs.items()]
    else:
        parts.append(_groups(scores, left_out, by))
        if left_out and not all(left_out.left_out.values()):
            parts.append(
                Text(f"{NO_RULES}: no pattern or rule names this style, so nothing was left out", "bright_black")
            )
    calibrations = {name: run.calibration for name, run in runs.items()}
    parts += ["", _thresholds(calibrations)]
    if with_bins:
        parts += [part for name, found in calibrations.items() for part in ("", _bins(found, name if left_out else ""))]
    return Group(*parts)


def _groups(scores: SpanScores, left_out: SpanScores | None, by: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(by, overflow="fold")
    if left_out:
        table.add_column("detector", no_wrap=True)
    for name in (*(() if left_out else ("records",)), *SCORED, "false pos.", "exact"):
        table.add_column(name, justify="right", no_wrap=True, style=STYLES.get(name, ""))
    others = left_out.by(by) if left_out else {}
    for name, figures in scores.by(by).items():
        if left_out:
            table.add_row(safe_text(name), "whole", *_cells(figures))
            table.add_row("", _what_is_left(left_out.left_out, name, by), *_cells(others[name]))
        else:
            table.add_row(safe_text(name), f"{figures.n_records:,}", *_cells(figures))
    table.add_section()
    if left_out:
        table.add_row("macro", "whole", *_cells(scores.macro), style="bold")
        table.add_row("", "left out", *_cells(left_out.macro), style="bold")
    else:
        table.add_row("macro", f"{scores.macro.n_records:,}", *_cells(scores.macro), style="bold")
    return table


def _what_is_left(left_out: Mapping[str, int], name: str, by: str) -> str:
    if by != "style":
        return "left out"
    return f"-{left_out[name]} rules" if left_out[name] else NO_RULES


def _cells(figures: Figures) -> list[str]:
    values = (figures.reasoning, figures.action, figures.observation, figures.false_positives, figures.exact_records)
    return [_number(value) for value in values]


def _patterns(scores: SpanScores, name: str) -> Table:
    table = Table(box=None, pad_edge=False, title=name or None, title_justify="left", title_style="bold")
    table.add_column("pattern or rule", overflow="fold")
    table.add_column("type", no_wrap=True)
    for column in ("spans", "right", "confidence", "characters", "wrong"):
        table.add_column(column, justify="right", no_wrap=True)
    found = scores.patterns()
    for score in found[:MAX_PATTERNS]:
        kind = Text(score.span_type, STYLES[score.span_type])
        shares = (_number(score.right_ratio), _number(score.mean_confidence))
        counts = (f"{score.n_payload:,}", f"{score.n_wrong:,}")
        table.add_row(safe_text(score.pattern), kind, f"{score.n_spans:,}", *shares, *counts)
    if len(found) > MAX_PATTERNS:
        table.add_row(f"and {len(found) - MAX_PATTERNS} more")
    return table


def _thresholds(runs: Mapping[str, Calibration]) -> Group:
    title = Text("confidence", "bold")
    for name, found in runs.items():
        whose = "" if len(runs) == 1 else f"{name}: "
        title.append(
            f"\n{whose}expected calibration error {_number(found.expected_error)}, Brier score {_number(found.brier)}, "
            f"{found.n_spans:,} spans",
            "not bold",
        )
    table = Table(box=None, pad_edge=False)
    table.add_column("at least")
    if len(runs) > 1:
        table.add_column("detector")
    columns = ("spans", "spans right", "precision", "recall", "coverage")
    for column in columns:
        table.add_column(column, justify="right")
    for rows in zip(*(found.thresholds for found in runs.values()), strict=True):
        for name, row in zip(runs, rows, strict=True):
            cells = (f"{row.n_spans:,}", *map(_number, (row.span_precision, row.precision, row.recall, row.coverage)))
            table.add_row(f"{row.confidence:.1f}", *([name] if len(runs) > 1 else []), *cells)
    note = "precision, recall and coverage: of labelled characters of reasoning and action; spans: of any type"
    return Group(title, table, Text(note, "bright_black"))


def _bins(found: Calibration, name: str) -> Table:
    title = f"reliability{', ' + name if name else ''}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("confidence", "spans", "mean", "right", "difference"):
        table.add_column(column, justify="right")
    for part in found.bins:
        if part.mean_confidence is None or part.right_ratio is None:
            table.add_row(_range(part.low, part.high), "0", "-", "-", "-")
            continue
        difference = f"{part.right_ratio - part.mean_confidence:+.4f}"
        shares = (_number(part.mean_confidence), _number(part.right_ratio))
        table.add_row(_range(part.low, part.high), f"{part.n_spans:,}", *shares, difference)
    return table


def _range(low: float, high: float) -> str:
    return f"{low:.1f} - {high:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def problems_view(problems: Sequence[str], what: str, n_shown: int = 10) -> str:
    """Problems of records as lines, the first of them in full.

    Args:
        problems: A line each.
        what: What they have in common, for the heading.
        n_shown: Lines at most.
    """
    more = [f"  and {len(problems) - n_shown:,} more; --json lists all"] if len(problems) > n_shown else []
    return safe_text("\n".join([f"{what}:", *(f"  {problem}" for problem in problems[:n_shown]), *more]))
