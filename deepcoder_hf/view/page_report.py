"""The figures of a whole dataset as one HTML page with charts, and as bars in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deepcoder_hf.view.page_charts import SHOWN_TYPES, charts_of
from deepcoder_hf.view.page_shell import page_with
from deepcoder_hf.view.safe import safe_text
from deepcoder_hf.view.terminal import STYLES

BAR_CELLS = 30
MAX_LINES = 15
"""Lines of a table in the terminal; the page and the JSON hold all."""
SPARKS = " ▁▂▃▄▅▆▇█"
EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def report_page(facts: Mapping[str, Any], name: str) -> str:
    """The charts of a dataset as one HTML page without scripts.

    Args:
        facts: From `dataset_facts`.
        name: Name of the dataset, for the title.
    """
    values = {"facts": facts, "summary": summary_of(facts), "charts": charts_of(facts), "name": name}
    return page_with("page_report.html", f"Report of {name}", values)


def summary_of(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and figures of what a dataset is, in words."""
    tokens = facts["tokens"]
    trained = f"{tokens['total']:,}, {tokens['trained']:,} ({tokens['trained'] / max(tokens['total'], 1):.1%}) trained"
    lines = [("rows", f"{facts['rows']:,} of {facts['trajectories']:,} trajectories"), ("tokens", trained)]
    if (records := facts["records"]) is not None:
        counts = "{n_read:,} read = {n_kept:,} kept + {n_dropped:,} dropped + {n_failed:,} failed"
        lines.insert(0, ("records", counts.format(**records)))
    if facts["tokenizer"]:
        lines.append(("tokenizer", facts["tokenizer"]))
    return lines


def report_tables(facts: Mapping[str, Any]) -> Group:
    """The charts of a dataset for the terminal."""
    head = Table(show_header=False, box=None, pad_edge=False)
    head.add_column(style="bold")
    head.add_column()
    for name, words in summary_of(facts):
        head.add_row(name, safe_text(words))
    parts: list[Any] = [head, _types(facts), _shares(facts), _lengths(facts), _patterns(facts)]
    reasons = [
        (f"{status}: {reason}", n) for status, counts in facts["reasons"].items() for reason, n in counts.items()
    ]
    parts += [_counts("rows by format", list(facts["formats"].items())), _counts("not kept", reasons)]
    return Group(*[part for part in parts if part is not None])


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        left = name in ("", "type", "what", "pattern", "origin", "0 % to 100 %")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    return table


def _types(facts: Mapping[str, Any]) -> Table:
    table = _table("tokens by type", ("type", "", "tokens", "share", "trained"))
    by_type = facts["tokens"]["by_type"]
    most = max(max(counts["tokens"] for counts in by_type.values()), 1)
    for kind in SHOWN_TYPES:
        n, trained, share = (by_type[kind][name] for name in ("tokens", "trained", "share"))
        bar = Text(bar_of(n / most), STYLES[kind])
        table.add_row(Text(kind, STYLES[kind]), bar, f"{n:,}", f"{share:.1%}", f"{trained / max(n, 1):.1%}")
    return table


def _shares(facts: Mapping[str, Any]) -> Table:
    table = _table("rows by share of their tokens", ("type", "0 % to 100 %", "mean", "p05", "p50", "p95"))
    for kind, found in [*((kind, facts["shares"][kind]) for kind in SHOWN_TYPES), ("confidence", facts["confidence"])]:
        style = STYLES.get(kind, "")
        figures = [f"{found[name]:.1%}" if name in found else "" for name in ("mean", "p05", "p50", "p95")]
        table.add_row(Text(kind, style), Text(sparks_of(found["counts"]), style), *figures)
    return table


def _lengths(facts: Mapping[str, Any]) -> Table | None:
    found = facts["lengths"]
    if not found["counts"]:
        return None
    table = _table("tokens of a row", ("", "mean", "p05", "p50", "p95", "least", "most"))
    figures = [f"{found[name]:,.0f}" for name in ("mean", "p05", "p50", "p95", "min", "max")]
    table.add_row(sparks_of(found["counts"]), *figures)
    return table


def _patterns(facts: Mapping[str, Any]) -> Table | None:
    rows = facts["patterns"]
    if not rows:
        return None
    table = _table("confidence by pattern", ("pattern", "type", "", "mean", "least", "spans", "tokens"))
    for row in rows[:MAX_LINES]:
        style = STYLES.get(row["span_type"], "")
        numbers = (f"{row['mean']:.3f}", f"{row['min']:.3f}", f"{row['spans']:,}", f"{row['tokens']:,}")
        bar = Text(bar_of(row["mean"], 8), style)
        names = (safe_text(row["pattern"] or f"({row['origin']})"), Text(safe_text(row["span_type"]), style))
        table.add_row(*names, bar, *numbers)
    if len(rows) > MAX_LINES:
        table.add_row(f"… {len(rows) - MAX_LINES} more: --json")
    return table


def _counts(title: str, counts: Sequence[tuple[str, int]]) -> Table | None:
    if not counts:
        return None
    table = _table(title, ("what", "", "number"))
    ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
    for name, n in ordered[:MAX_LINES]:
        table.add_row(safe_text(name), bar_of(n / max(ordered[0][1], 1), 20), f"{n:,}")
    return table


def bar_of(share: float, n_cells: int = BAR_CELLS) -> str:
    """A bar of block characters, an eighth of a cell exact; what is not nothing has at least an eighth."""
    eighths = max(round(min(max(share, 0.0), 1.0) * n_cells * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8]


def sparks_of(counts: Sequence[int]) -> str:
    """Counts as columns of one line; what is not nothing can be seen."""
    most = max([*counts, 1])
    return "".join(SPARKS[-(-8 * n // most)] for n in counts)
