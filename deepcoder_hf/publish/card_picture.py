"""One trajectory as a picture: its masks token by token, and its text in the colours of its spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.publish.card_canvas import COLOURS, INK, PALE, Canvas, drawable
from deepcoder_hf.publish.card_text import shortened
from deepcoder_hf.spans.types import TYPES

WIDTH = 1000
LEFT, RIGHT = 150, 970
LINE, COLUMNS = 17, 116
"""Height of a line in pixels, and its characters."""
CHARACTER = 7
"""Pixels of a character of DejaVu Sans Mono at 8.2 points, hinted."""
MAX_LINES = 70
LINES_OF_SPAN = 8
"""Lines of a span: what is longer is left out in its middle."""
STRIP = 16


@dataclass(frozen=True, slots=True)
class SpanView:
    """A span with what of it is trained."""

    kind: str
    subtype: str
    start_token: int
    end_token: int
    n_trained: int
    text: str

    @property
    def training(self) -> str:
        """Whether it is trained, in words."""
        n_tokens = self.end_token - self.start_token
        if not self.n_trained:
            return "not trained"
        return "trained" if self.n_trained == n_tokens else f"{self.n_trained} of {n_tokens} tokens trained"


def views_of(row: Mapping[str, Any]) -> list[SpanView]:
    """The spans of a SAD row with their text and how many of their tokens have a label."""
    trained = np.cumsum(np.concatenate([[0], np.asarray(row["labels"], np.int64) != -100]))
    return [
        SpanView(
            kind=span["span_type"] if span["span_type"] in COLOURS else "other",
            subtype=span["subtype"] or "",
            start_token=span["start_token"],
            end_token=span["end_token"],
            n_trained=int(trained[span["end_token"]] - trained[span["start_token"]]),
            text=row["text"][span["start_char"] : span["end_char"]],
        )
        for span in row["spans"]
    ]


def draw_trajectory(row: Mapping[str, Any]) -> bytes:
    """A SAD row with its masks in colour; PNG. Its text is hostile: hidden characters are spelt out."""
    lines = list(_lines(views_of(row)))
    shown = lines[:MAX_LINES]
    top = 210
    canvas = Canvas(WIDTH, top + LINE * len(shown) + 52)
    title = f"Trajectory {shortened(drawable(str(row['trajectory_id']), 'bold'), 44)}, {len(row['input_ids']):,} tokens"
    canvas.text(20, 24, title, 12, "bold")
    _masks(canvas, 50, row)
    canvas.text(20, top - 42, "Text by span", 10.5, "bold")
    canvas.text(20, top - 22, "filled: every token trained; half filled: some; bar only: none", 8.5, colour=PALE)
    y = float(top)
    for span, label, text in shown:
        _line(canvas, y, span, label, text)
        y += LINE
    left_out = len(lines) - len(shown)
    note = f"{left_out:,} more lines are not drawn; " if left_out else ""
    canvas.text(20, y + 26, f"{note}□: no glyph in the font of the picture", 8.5, colour=PALE)
    return canvas.png()


def _masks(canvas: Canvas, y: float, row: Mapping[str, Any]) -> None:
    """Strips over all tokens: types, both masks, labels."""
    types = np.asarray(row["token_types"], np.int64)
    names = [str(kind) for kind in TYPES]
    trained = np.asarray(row["labels"], np.int64) != -100
    strips = {
        "token_types": (types, {n: COLOURS[name] for n, name in enumerate(names)}),
        "reasoning_mask": (np.asarray(row["reasoning_mask"], np.int64), {1: COLOURS["reasoning"]}),
        "action_mask": (np.asarray(row["action_mask"], np.int64), {1: COLOURS["action"]}),
        "labels not -100": (trained.astype(np.int64), {1: INK}),
    }
    for name, (values, colours) in strips.items():
        canvas.text(LEFT - 12, y + STRIP / 2, name, 8.5, "mono", align="right")
        canvas.box(LEFT, y, RIGHT - LEFT, STRIP - 2, "#eef1f4")
        width = (RIGHT - LEFT) / max(len(values), 1)
        for start, end, value in _runs(values):
            if value in colours:
                canvas.box(LEFT + start * width, y, (end - start) * width, STRIP - 2, colours[value])
        y += STRIP + 3
    x = float(LEFT)
    for name, colour in COLOURS.items():
        canvas.box(x, y + 3, 10, 10, colour)
        canvas.text(x + 15, y + 8, name, 8.5)
        x += 42 + 8 * len(name)


def _runs(values: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Stretches of equal values: (start, end, value)."""
    borders = np.flatnonzero(np.diff(values)) + 1
    edges = [0, *borders.tolist(), len(values)]
    for start, end in pairwise(edges):
        if end > start:
            yield start, end, int(values[start])


def _lines(spans: list[SpanView]) -> Iterator[tuple[SpanView, str, str]]:
    """The lines to draw: span, its label on its first line, text."""
    for span in spans:
        lines = _wrapped(span.text)
        if len(lines) > LINES_OF_SPAN:
            kept = LINES_OF_SPAN - 1
            left_out = len(lines) - kept
            lines = [*lines[: kept - 2], f"… {left_out:,} more lines …", *lines[-2:]]
        label = span.subtype if span.kind == "other" and span.subtype else span.kind
        for n, line in enumerate(lines):
            yield span, shortened(label, 18) if n == 0 else "", line


def _wrapped(text: str) -> list[str]:
    """Lines of at most `COLUMNS` cells; of a huge text its beginning and end."""
    limit = 40 * COLUMNS
    if len(text) > 2 * limit:
        text = f"{text[:limit]}\n… {len(text) - 2 * limit:,} characters …\n{text[-limit:]}"
    text = text.replace("\r\n", "\n").removesuffix("\n")
    return [part for line in text.split("\n") for part in _parts(drawable(line))]


def _parts(line: str) -> Iterator[str]:
    """A line in parts of at most `COLUMNS` cells, cut after a space where one is near."""
    while len(line) > COLUMNS:
        cut = line.rfind(" ", COLUMNS - 24, COLUMNS) + 1 or COLUMNS
        yield line[:cut]
        line = line[cut:]
    yield line


def _line(canvas: Canvas, y: float, span: SpanView, label: str, text: str) -> None:
    colour = COLOURS[span.kind]
    n_tokens = span.end_token - span.start_token
    filled = 0.42 if n_tokens and span.n_trained == n_tokens else 0.2 if span.n_trained else 0.0
    canvas.box(LEFT - 6, y, 4, LINE, colour)
    if filled:
        canvas.box(LEFT, y, max(len(text), 1) * CHARACTER + 2, LINE, colour, alpha=filled)
    if label:
        canvas.text(LEFT - 14, y + LINE / 2, label, 8.2, "bold", colour if span.kind != "other" else PALE, "right")
    canvas.text(LEFT + 1, y + LINE / 2, text, 8.2, "mono", INK if span.n_trained else PALE)
