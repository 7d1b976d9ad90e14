"""The pictures of the card: shares of the types, their distributions over rows, and the lengths of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.publish.card_canvas import COLOURS, INK, PALE, RULE, Canvas
from deepcoder_hf.publish.card_tally import SHARE_BINS, SplitTally, Tally
from deepcoder_hf.publish.card_text import shortened
from deepcoder_hf.spans.types import TYPE_IDS

WIDTH = 1000
LEFT, RIGHT = 150, 970
MAX_BARS = 12
"""Splits that get a bar; a note says how many more there are."""
HISTOGRAM_BARS = 40
ON_BAR = {"observation": INK, "other": INK}
"""Colour of text on a bar where white is hard to read."""
PANEL = 92
"""Pixels of height of one distribution."""


def draw_shares(tally: Tally) -> bytes:
    """Tokens of each split by type, and below how much of each type is trained; PNG."""
    splits = list(tally.splits.items())[:MAX_BARS]
    canvas = Canvas(WIDTH, 100 + 40 * len(splits) + 40 + 26 * len(COLOURS) + 10)
    canvas.text(20, 24, "Tokens by type", 12, "bold")
    _legend(canvas, 52)
    y = 76
    for name, split in splits:
        canvas.text(LEFT - 12, y + 14, shortened(name, 16), 9.5, align="right")
        _share_bar(canvas, y, split)
        y += 40
    if len(tally.splits) > MAX_BARS:
        canvas.text(LEFT, y + 4, f"and {len(tally.splits) - MAX_BARS} more splits", 8.5, colour=PALE)
    canvas.text(20, y + 24, "Of these tokens trained", 12, "bold")
    tokens, trained = tally.tokens, tally.trained
    y += 46
    for name, colour in COLOURS.items():
        kind = TYPE_IDS[name]
        share = trained[kind] / max(int(tokens[kind]), 1)
        canvas.text(LEFT - 12, y + 8, name, 9.5, align="right")
        canvas.box(LEFT, y, 480, 16, "#eef1f4")
        canvas.box(LEFT, y, 480 * float(share), 16, colour)
        canvas.text(LEFT + 496, y + 8, f"{share:.1%}: {trained[kind]:,} of {tokens[kind]:,}", 9)
        y += 26
    return canvas.png()


def _share_bar(canvas: Canvas, y: float, split: SplitTally) -> None:
    total = max(int(split.tokens.sum()), 1)
    x = float(LEFT)
    for name, colour in COLOURS.items():
        share = int(split.tokens[TYPE_IDS[name]]) / total
        width = (RIGHT - LEFT) * share
        canvas.box(x, y, width, 28, colour)
        if share >= 0.05:
            canvas.text(x + width / 2, y + 14, f"{share:.1%}", 9, "bold", ON_BAR.get(name, "#ffffff"), "center")
        x += width


def _legend(canvas: Canvas, y: float) -> None:
    x = float(LEFT)
    for name, colour in COLOURS.items():
        canvas.box(x, y - 6, 12, 12, colour)
        canvas.text(x + 18, y, name, 9)
        x += 46 + 8 * len(name)


def draw_distributions(tally: Tally) -> bytes:
    """How the share of each type is distributed over rows, a histogram a type; PNG."""
    canvas = Canvas(WIDTH, 70 + PANEL * len(COLOURS) + 50)
    canvas.text(20, 24, "Share of each type in a row, over rows", 12, "bold")
    canvas.text(20, 48, "height: rows; dark line: median; band: 5th to 95th percentile", 8.5, colour=PALE)
    y = 70.0
    for name, colour in COLOURS.items():
        kind = TYPE_IDS[name]
        bars = _rebinned(tally.shares[kind])
        quantiles = [tally.share_quantile(kind, q) for q in (0.05, 0.5, 0.95)]
        canvas.text(LEFT - 12, y + PANEL / 2 - 8, name, 9.5, align="right")
        _histogram(canvas, y, PANEL - 22, bars, colour, quantiles)
        y += PANEL
    for tick in range(0, 101, 10):
        canvas.text(LEFT + (RIGHT - LEFT) * tick / 100, y, f"{tick} %", 8.5, colour=PALE, align="center")
    canvas.text((LEFT + RIGHT) / 2, y + 24, "share of the tokens of a row", 9, align="center")
    return canvas.png()


def _rebinned(thousandths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows by share in `HISTOGRAM_BARS` bars; a row that is all of one type falls into the last."""
    bars = np.minimum(np.arange(SHARE_BINS + 1) * HISTOGRAM_BARS // SHARE_BINS, HISTOGRAM_BARS - 1)
    return np.bincount(bars, weights=thousandths, minlength=HISTOGRAM_BARS).astype(np.int64)


def _histogram(
    canvas: Canvas, y: float, height: float, bars: npt.NDArray[Any], colour: str, marks: Sequence[float]
) -> None:
    """Bars over [0, 1] with a band from the first to the last mark and a line at the middle one."""
    width, highest = RIGHT - LEFT, max(int(bars.max(initial=0)), 1)
    canvas.box(LEFT + width * marks[0], y, width * (marks[2] - marks[0]), height, colour, alpha=0.12)
    for n, count in enumerate(bars.tolist()):
        if count:
            high = max(height * count / highest, 1.5)
            canvas.box(LEFT + width * n / len(bars) + 0.5, y + height - high, width / len(bars) - 1, high, colour)
    canvas.line(LEFT + width * marks[1], y, LEFT + width * marks[1], y + height, INK, 1.2)
    canvas.line(LEFT, y + height, RIGHT, y + height)
    canvas.text(RIGHT, y + 8, f"highest bar: {highest:,} rows", 8, colour=PALE, align="right")


def draw_lengths(tally: Tally) -> bytes:
    """How many tokens rows have, on a logarithmic axis; PNG."""
    height, top = 200, 70
    canvas = Canvas(WIDTH, top + height + 70)
    canvas.text(20, 24, "Length of rows in tokens", 12, "bold")
    lengths = np.flatnonzero(tally.lengths)
    quantiles = {name: tally.length_quantile(q) for name, q in (("p05", 0.05), ("median", 0.5), ("p95", 0.95))}
    longest = int(lengths.max(initial=0))
    words = ", ".join(f"{name} {value:,}" for name, value in quantiles.items())
    canvas.text(20, 48, f"{words}, longest {longest:,}; height: rows", 8.5, colour=PALE)
    low = max(int(lengths[0]), 1) if lengths.size else 1
    first, last = float(np.floor(np.log2(low))), float(np.ceil(np.log2(max(longest, 2 * low))))
    places = np.clip((np.log2(np.maximum(lengths, 1)) - first) / (last - first), 0, 1)
    bins = np.minimum((places * HISTOGRAM_BARS).astype(np.int64), HISTOGRAM_BARS - 1)
    bars = np.bincount(bins, weights=tally.lengths[lengths], minlength=HISTOGRAM_BARS)
    marks = [float(np.clip((np.log2(max(v, 1)) - first) / (last - first), 0, 1)) for v in quantiles.values()]
    _histogram(canvas, top, height, bars, COLOURS["reasoning"], marks)
    for power in range(int(first), int(last) + 1):
        x = LEFT + (RIGHT - LEFT) * (power - first) / (last - first)
        canvas.line(x, top + height, x, top + height + 5, RULE)
        canvas.text(x, top + height + 16, f"{2**power:,}", 8.5, colour=PALE, align="center")
    canvas.text((LEFT + RIGHT) / 2, top + height + 44, "tokens of a row", 9, align="center")
    return canvas.png()
