"""A page of boxes and texts as PNG bytes: the same bytes for the same drawing, whatever matplotlib's settings are."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from deepcoder_hf.publish.card_text import is_hidden

DPI = 100
INK = "#1f2328"
PALE = "#6e7781"
RULE = "#d0d7de"
COLOURS = {
    "reasoning": "#4c78c8",
    "action": "#2f9e62",
    "observation": "#e0a82e",
    "answer": "#b5579e",
    "other": "#a3abb3",
}
"""Colour of each type: told apart in the common kinds of colour blindness, and by lightness in print."""
MISSING = "□"
"""Stands for a character that the font has no glyph for, or that would change the direction or place of others."""
_FONTS = {"sans": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "mono": "DejaVuSansMono.ttf"}
Face = Literal["sans", "bold", "mono"]
Align = Literal["left", "center", "right"]


@lru_cache(maxsize=len(_FONTS))
def _font_file(face: str) -> Path:
    """The font that comes with matplotlib, so that every machine draws the same."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / _FONTS[face]


@lru_cache(maxsize=len(_FONTS))
def _glyphs(face: str) -> frozenset[int]:
    return frozenset(get_font(str(_font_file(face))).get_charmap())


def drawable(text: str, face: Face = "mono") -> str:
    """The text with each character in a cell of its own: what hides is spelt out, what has no glyph is a box."""
    return "".join(_drawable(char, face) for char in text)


@lru_cache(maxsize=65_536)
def _drawable(char: str, face: str) -> str:
    if " " <= char <= "~":
        return char
    if char == "\n":
        return "↵"
    if char == "\t":
        return "→   "
    if is_hidden(char):
        return f"<U+{ord(char):04X}>"
    moves = unicodedata.combining(char) or unicodedata.category(char).startswith("M")
    turned = unicodedata.bidirectional(char) in ("R", "AL", "AN")
    return MISSING if moves or turned or ord(char) not in _glyphs(face) else char


class Canvas:
    """A white page; places are pixels from its upper left corner.

    Args:
        width: In pixels.
        height: In pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white", edgecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        self.box(0, 0, width, height, "#ffffff")

    def box(self, x: float, y: float, width: float, height: float, colour: str, alpha: float = 1.0) -> None:
        """A filled rectangle whose upper left corner is at (x, y)."""
        bottom = (self.height - y - height) / self.height
        patch = Rectangle((x / self.width, bottom), width / self.width, height / self.height, facecolor=colour)
        patch.set(edgecolor="none", linewidth=0, alpha=alpha, transform=self._figure.transFigure, hatch=None)
        self._figure.add_artist(patch)

    def line(self, x: float, y: float, to_x: float, to_y: float, colour: str = RULE, width: float = 1.0) -> None:
        """A straight line; its width is in points."""
        xs, ys = [x / self.width, to_x / self.width], [1 - y / self.height, 1 - to_y / self.height]
        line = Line2D(xs, ys, linewidth=width, color=colour, linestyle="-", marker="", antialiased=True)
        line.set_transform(self._figure.transFigure)
        self._figure.add_artist(line)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 9,
        face: Face = "sans",
        colour: str = INK,
        align: Align = "left",
    ) -> None:
        """A line of text whose middle is at height y; nothing in it is taken for mathematics. `size` is in points."""
        font = FontProperties(fname=str(_font_file(face)), size=size)
        artist = Text(
            x / self.width,
            1 - y / self.height,
            drawable(text, face),
            color=colour,
            fontproperties=font,
            horizontalalignment=align,
            verticalalignment="center_baseline",
            parse_math=False,
            usetex=False,
            antialiased=True,
        )
        artist.set_transform(self._figure.transFigure)
        self._figure.add_artist(artist)

    def png(self) -> bytes:
        """The page as PNG, without date or version in it."""
        buffer = BytesIO()
        print_png: Any = self._canvas.print_png  # not typed
        print_png(buffer, metadata={"Software": None})
        return buffer.getvalue()
