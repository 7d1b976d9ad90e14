"""One scored record in the terminal: where gold and the detector disagree, with a little of what is right around it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deepcoder_hf.spans.scores import N_TYPES, RecordScore
from deepcoder_hf.spans.types import TYPE_IDS, TYPES, Span
from deepcoder_hf.view.safe import safe_text
from deepcoder_hf.view.terminal import SLACK, STYLES

GUTTER = 24
MAX_WRONG_CHARS = 600
"""Characters of a wrong stretch that are shown."""
MAX_RIGHT_CHARS = 120
"""Characters of a right stretch that are shown, half of them from its end."""
MAX_WRONG = 30
"""Wrong stretches of a record that are shown."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Characters that agree in gold type, detected type and pattern."""

    start: int
    end: int
    gold: str
    """Empty where nothing is labelled."""
    found: str
    """The detected type, an answer as other where it stands for gold's other."""
    pattern: str
    confidence: float | None

    @property
    def wrong(self) -> bool:
        """Whether gold gives another type."""
        return bool(self.gold) and self.gold != self.found


def worst_record(score: RecordScore) -> Group:
    """A record as stretches: each wrong one with its gold type, detected type, pattern and confidence.

    Right stretches are shortened, and runs of them shown by their first and last.

    Args:
        score: The record; its text may hold anything.
    """
    record = score.record
    n_payload = int(score.confusion.sum())
    title = Text(safe_text(record.record_id), "bold")
    title.append(
        safe_text(
            f"  {record.style}, {record.source}: {score.n_wrong:,} of {n_payload:,} labelled characters are wrong"
        ),
        "not bold",
    )
    parts: list[Any] = ["", title]
    if score.error:
        parts.append(Text(safe_text(f"the detector failed: {score.error}"), "red"))
    n_wrong = 0
    for wrong, run in groupby(stretches(score), key=lambda stretch: stretch.wrong):
        part = list(run)
        if not wrong:
            parts += _right_run(part, record.text)
            continue
        shown = part[: MAX_WRONG - n_wrong]
        parts += [_row(_gutter(stretch), _wrong_text(record.text[stretch.start : stretch.end])) for stretch in shown]
        n_wrong += len(part)
        if n_wrong >= MAX_WRONG:
            parts.append(Text(f"… only the first {MAX_WRONG} wrong stretches are shown", "italic"))
            break
    return Group(*parts)


def stretches(score: RecordScore) -> list[Stretch]:
    """Cut the text of a record wherever its gold type, detected type or pattern changes.

    Returns:
        Stretches that partition the text.
    """
    record = score.record
    gold = [span for span in record.spans if span.end_char > span.start_char]
    edges = {0, len(record.text)}
    edges.update(edge for span in gold for edge in (span.start_char, span.end_char))
    edges.update(edge for span in score.spans for edge in (span.start_char, span.end_char))
    starts = [span.start_char for span in gold]
    found_starts = [span.start_char for span in score.spans]
    cut: list[Stretch] = []
    for start, end in pairwise(sorted(edges)):
        at = bisect_right(starts, start) - 1
        labelled = at >= 0 and start < gold[at].end_char
        kind = TYPES[gold[at].type_id].value if labelled else ""
        at = bisect_right(found_starts, start) - 1
        span = score.spans[at] if at >= 0 and start < score.spans[at].end_char else None
        cut.append(_stretch(start, end, kind, span))
    return list(_merged(cut))


def _stretch(start: int, end: int, gold: str, span: Span | None) -> Stretch:
    if span is None:
        return Stretch(start, end, gold, "other", "", None)
    folded = TYPES[TYPE_IDS[span.span_type] % N_TYPES].value
    found = folded if gold in ("", folded) else span.span_type.value
    return Stretch(start, end, gold, found, span.pattern, span.confidence)


def _merged(cut: list[Stretch]) -> Iterator[Stretch]:
    for _, same in groupby(cut, key=lambda part: (part.gold, part.found, part.pattern)):
        first, *rest = same
        last = rest[-1] if rest else first
        yield Stretch(first.start, last.end, first.gold, first.found, first.pattern, first.confidence)


def _right_run(run: list[Stretch], text: str) -> list[Any]:
    """The first and the last labelled stretch of a run; glue between labels is left out where it is white space."""
    shown = [stretch for stretch in run if text[stretch.start : stretch.end].strip()]
    kept = shown if len(shown) <= 3 else [shown[0], shown[-1]]
    rows: list[Any] = [_row(_label(stretch), _short(text[stretch.start : stretch.end], stretch)) for stretch in kept]
    if len(shown) > 3:
        n_chars = sum(stretch.end - stretch.start for stretch in shown[1:-1])
        rows.insert(
            1, Text(f"… {len(shown) - 2} stretches, {n_chars:,} characters, nothing wrong", "italic bright_black")
        )
    return rows


def _gutter(stretch: Stretch) -> Text:
    text = Text("WRONG\n", "bold red")
    text.append(f"gold     {stretch.gold}\n", f"not bold {STYLES[stretch.gold]}")
    text.append(f"detected {stretch.found}", f"not bold {STYLES[stretch.found]}")
    if stretch.confidence is not None:
        text.append(safe_text(f"\n{stretch.pattern[: GUTTER - 6]} {stretch.confidence:.2f}"), "not bold bright_black")
    return text


def _label(stretch: Stretch) -> Text:
    return Text(stretch.gold or "not labelled", STYLES[stretch.gold] if stretch.gold else "bright_black")


def _wrong_text(text: str) -> Text:
    shown = text if len(text) <= MAX_WRONG_CHARS + SLACK else text[:MAX_WRONG_CHARS]
    body = Text(safe_text(shown.rstrip("\n")), "red")
    if len(shown) < len(text):
        body.append(f" … {len(text) - len(shown):,} more characters", "italic")
    return body


def _short(text: str, stretch: Stretch) -> Text:
    style = STYLES[stretch.gold] if stretch.gold else "bright_black"
    text = text.strip("\n")
    if len(text) <= MAX_RIGHT_CHARS + SLACK:
        return Text(safe_text(text), style)
    half = MAX_RIGHT_CHARS // 2
    body = Text(safe_text(text[:half]), style)
    body.append(f" … {len(text) - 2 * half:,} characters … ", "italic bright_black")
    body.append(safe_text(text[-half:]), style)
    return body


def _row(gutter: Text, body: Text) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, expand=False)
    table.add_column(width=GUTTER, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(gutter, body)
    return table
