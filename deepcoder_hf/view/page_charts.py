"""The charts of a dataset as inline SVG: bars and histograms, each with a title, a description and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.view.page_signs import visible

SHOWN_TYPES = ("reasoning", "action", "observation", "answer", "other")
"""The order of the types everywhere on a page."""
MAX_BARS = 24
"""Bars of a chart; the rest is in its table."""
WIDTH, ROW, LABEL, NUMBER = 740, 24, 230, 170
"""Sizes in SVG units: of a chart, of a bar, of the names to its left and the figures to its right."""
PLOT_HEIGHT = 150


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: float
    figure: str
    """What stands beside it."""
    kind: str = ""
    """A span type, for the colour."""
    inner: float = 0.0
    """The part of the value that is drawn full: what is trained of it."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart and what a reader of the page without eyes for it gets."""

    title: str
    description: str
    svg: Markup
    head: Sequence[str]
    table: Sequence[Sequence[str]]
    wide: bool = True


def charts_of(facts: Mapping[str, Any]) -> list[Chart]:
    """The charts of the figures that `dataset_facts` gives."""
    charts = [_types(facts), _lengths(facts)]
    charts += [_shares(kind, facts["shares"][kind]) for kind in SHOWN_TYPES]
    charts += [_shares("mean confidence", facts["confidence"]), _patterns(facts), _subtypes(facts)]
    charts += [_counts("rows by format", "Rows of each source format.", "format", facts["formats"])]
    reasons = {f"{reason} ({status})": n for status, counts in facts["reasons"].items() for reason, n in counts.items()}
    if reasons:
        charts.append(_counts("not kept, by reason", "Records that were dropped or failed.", "reason", reasons))
    return charts


def class_chart(classes: Mapping[str, Mapping[str, int]]) -> Chart:
    """Tokens of an audited dataset by what they are.

    Args:
        classes: Class -> `tokens` and `trained`.
    """
    bars = [
        Bar(name, n["tokens"], f"{n['tokens']:,}, {n['trained']:,} trained", "", n["trained"])
        for name, n in classes.items()
    ]
    return _bars("tokens by what they are", "The full part of a bar is trained.", bars, (), ())


def _types(facts: Mapping[str, Any]) -> Chart:
    by_type = facts["tokens"]["by_type"]
    bars = [
        Bar(kind, by_type[kind]["tokens"], f"{by_type[kind]['tokens']:,} ({by_type[kind]['share']:.1%})", kind,
            by_type[kind]["trained"])
        for kind in SHOWN_TYPES
    ]  # fmt: skip
    table = [[kind, f"{by_type[kind]['tokens']:,}", f"{by_type[kind]['trained']:,}"] for kind in SHOWN_TYPES]
    description = "Tokens of each type; the full part of a bar is trained."
    return _bars("tokens by type", description, bars, ("type", "tokens", "trained"), table)


def _subtypes(facts: Mapping[str, Any]) -> Chart:
    bars, table = [], []
    for row in facts["subtypes"]:
        name = f"{row['span_type']}/{row['subtype']}" if row["subtype"] else row["span_type"]
        bars.append(Bar(name, row["tokens"], f"{row['tokens']:,}", row["span_type"], row["trained"]))
        table.append([name, f"{row['spans']:,}", f"{row['tokens']:,}", f"{row['trained']:,}"])
    description = "Tokens of each kind of span; the full part of a bar is trained."
    return _bars("tokens by kind of span", description, bars, ("kind", "spans", "tokens", "trained"), table)


def _patterns(facts: Mapping[str, Any]) -> Chart:
    bars, table = [], []
    for row in facts["patterns"]:
        name = row["pattern"] or f"({row['origin']}, {row['span_type']})"
        figure = f"{row['mean']:.2f}, {row['spans']:,} spans"
        bars.append(Bar(name, row["mean"], figure, row["span_type"], row["mean"]))
        cells = [f"{row['spans']:,}", f"{row['tokens']:,}", f"{row['mean']:.3f}", f"{row['min']:.3f}"]
        table.append([name, row["origin"], row["span_type"], *cells])
    head = ("pattern", "origin", "type", "spans", "tokens", "mean", "least")
    description = "Mean confidence of the spans of each pattern, those with the most tokens first."
    return _bars("confidence by pattern", description, bars, head, table, 1.0)


def _counts(title: str, description: str, name: str, counts: Mapping[str, int]) -> Chart:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    bars = [Bar(label, n, f"{n:,}", "", n) for label, n in ordered]
    return _bars(title, description, bars, (name, "number"), [[label, f"{n:,}"] for label, n in ordered])


def _shares(kind: str, found: Mapping[str, Any]) -> Chart:
    counts = found["counts"]
    edges = [100 * place // len(counts) for place in range(len(counts) + 1)]
    labels = [f"{low}-{high} %" for low, high in pairwise(edges)]
    note = f"median {found['p50']:.1%}, mean {found['mean']:.1%}" if "p50" in found else "no rows"
    title = kind if kind == "mean confidence" else f"share of {kind}"
    ticks = [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
    return _histogram(title, note, counts, labels, ticks, kind, wide=False)


def _lengths(facts: Mapping[str, Any]) -> Chart:
    found = facts["lengths"]
    edges, counts = found["edges"], found["counts"]
    labels = [f"{low:,}-{high - 1:,} tokens" for low, high in pairwise(edges)]
    note = "no rows"
    if counts:
        note = (
            f"median {found['p50']:,.0f} tokens, 5-95 %: {found['p05']:,.0f}-{found['p95']:,.0f}, most {found['max']:,}"
        )
    places = range(0, len(edges), max(len(edges) // 6, 1))
    ticks = [(place / max(len(edges) - 1, 1), f"{edges[place]:,}") for place in places]
    return _histogram("length of rows", note, counts, labels, ticks, "", wide=True)


def _bars(
    title: str,
    description: str,
    bars: Sequence[Bar],
    head: Sequence[str],
    table: Sequence[Sequence[str]],
    most: float | None = None,
) -> Chart:
    shown = bars[:MAX_BARS]
    scale = (WIDTH - LABEL - NUMBER) / max(most or max((bar.value for bar in shown), default=1.0), 1e-9)
    parts = []
    for place, bar in enumerate(shown):
        top, width, inner = place * ROW, bar.value * scale, bar.inner * scale
        kind = _class(bar.kind)
        parts.append(
            Markup(
                '<g><title>{}: {}</title><text class="name" x="{}" y="{}" text-anchor="end">{}</text>'
                '<rect class="whole {}" x="{}" y="{}" width="{:.1f}" height="{}"/>'
                '<rect class="bar {}" x="{}" y="{}" width="{:.1f}" height="{}"/>'
                '<text class="figure" x="{:.1f}" y="{}">{}</text></g>'
            ).format(
                visible(bar.label), visible(bar.figure), LABEL - 10, top + 16, _short(bar.label),
                kind, LABEL, top + 4, width, ROW - 8, kind, LABEL, top + 4, inner, ROW - 8,
                LABEL + width + 6, top + 16, visible(bar.figure),
            )
        )  # fmt: skip
    if len(shown) < len(bars):
        description += f" {len(bars) - len(shown)} more are in the table."
    svg = _svg(title, description, Markup("").join(parts), max(len(shown), 1) * ROW, WIDTH)
    return Chart(title, description, svg, head, table)


def _histogram(
    title: str,
    note: str,
    counts: Sequence[int],
    labels: Sequence[str],
    ticks: Sequence[tuple[float, str]],
    kind: str,
    wide: bool,
) -> Chart:
    total = WIDTH if wide else 340
    left, width, most = 8, total - 40, max([*counts, 1])
    step = width / max(len(counts), 1)
    parts = []
    for column, (n, label) in enumerate(zip(counts, labels, strict=True)):
        height = PLOT_HEIGHT * n / most
        parts.append(
            Markup(
                '<g><title>{}: {:,} rows</title><rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" '
                'height="{:.1f}"/></g>'
            ).format(label, n, _class(kind), left + column * step, 16 + PLOT_HEIGHT - height, max(step - 1, 1), height)
        )
    line = Markup('<path class="axis" d="M{} {}h{}"/><text class="tick" x="{}" y="10">{:,} rows</text>')
    parts.append(line.format(left, 16.5 + PLOT_HEIGHT, width, left, most))
    for place, words in ticks:
        tick = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
        anchor = "start" if place == 0 else "middle" if place < 1 else "end"
        parts.append(tick.format(left + place * width, PLOT_HEIGHT + 34, anchor, words))
    svg = _svg(title, note, Markup("").join(parts), PLOT_HEIGHT + 40, total)
    table = [[label, f"{n:,}"] for label, n in zip(labels, counts, strict=True) if n]
    return Chart(title, note, svg, ("range", "rows"), table, wide)


def _svg(title: str, description: str, inside: Markup, height: int, width: int) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><desc>{}</desc>{}</svg>').format(
        width, height, f"{title}: {description}", description, inside
    )


def _class(kind: str) -> str:
    return f"t-{kind}" if kind in TYPES else "t-none"


def _short(label: str, n_chars: int = 32) -> Markup:
    text = visible(label).replace("\n", " ")
    return escape(text if len(text) <= n_chars else f"{text[: n_chars - 1]}…")
