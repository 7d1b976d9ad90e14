"""The pictures: valid, not blank, the same every time, and drawn of hostile text without a warning."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from deepcoder_hf.publish.card_canvas import COLOURS, Canvas, drawable
from deepcoder_hf.publish.card_picture import draw_trajectory, views_of
from deepcoder_hf.publish.card_tally import SplitTally, Tally
from deepcoder_hf.publish.charts import draw_distributions, draw_lengths, draw_shares

TEXTS = ("Task\n", "I think $x_1$ \\frac{\n" * 3, "ls -la\n", "out\n" * 200, "Done")
CONTROLS = "\x00\x1b[31m\u202e\u200b\u2028\ud800\U000e0041\u2800\U0010ffff"
SCRIPTS = "你好 שלום مرحبا 🙂\u200d🙂 Z\u0351\u0352\u0353 ｗｉｄｅ ﷽ नमस्ते"
KINDS = ("other", "reasoning", "action", "observation", "answer")


def row(texts: tuple[str, ...] = TEXTS, trained: tuple[int, ...] = (1, 2, 4)) -> dict[str, Any]:
    """A row of five spans of six tokens, one of each type."""
    types = np.repeat(np.arange(5), 6)
    starts = np.cumsum([0, *map(len, texts)]).tolist()
    labels = np.where(np.isin(types, trained), 7, -100)
    spans = [
        {
            "span_type": kind,
            "subtype": "user" if kind == "other" else "",
            "start_token": 6 * n,
            "end_token": 6 * n + 6,
            "start_char": starts[n],
            "end_char": starts[n + 1],
        }
        for n, kind in enumerate(KINDS)
    ]
    masks = {"reasoning_mask": (types == 1).astype(int), "action_mask": np.isin(types, (2, 4)).astype(int)}
    columns = {"input_ids": [7] * 30, "token_types": types, "labels": labels, **masks}
    return {"trajectory_id": "t-1", "text": "".join(texts), "spans": spans, **columns}


def tally(n_rows: int = 1_000) -> Tally:
    random = np.random.default_rng(0)
    counts = Tally()
    tokens = np.array([50, 300, 400, 200, 50]) * n_rows
    counts.splits = {name: SplitTally(n_rows, tokens, tokens * np.array([0, 1, 1, 0, 1]), 1_500) for name in ("a", "b")}
    for kind, mean in enumerate((50, 300, 400, 200, 50)):
        values = np.clip(random.normal(mean, 60, n_rows), 0, 1_000).astype(int)
        counts.shares[kind] = np.bincount(values, minlength=1_001)
    counts.lengths = np.bincount(np.clip(random.lognormal(7, 1, n_rows), 1, 60_000).astype(int))
    return counts


def pixels(png: bytes) -> Counter[tuple[int, ...]]:
    """How often each colour occurs; the picture is decoded whole."""
    Image.open(BytesIO(png)).verify()
    image = Image.open(BytesIO(png)).convert("RGB")
    assert image.width == 1_000
    codes = np.asarray(image).astype(np.int64) @ [1 << 16, 1 << 8, 1]
    colours, counts = np.unique(codes, return_counts=True)
    return Counter({tuple(c.to_bytes(3)): n for c, n in zip(colours.tolist(), counts.tolist(), strict=True)})


def rgb(name: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(COLOURS[name][1:]))


@pytest.mark.parametrize("draw", [draw_shares, draw_distributions])
def test_each_type_has_its_colour_in_the_charts(draw: Any) -> None:
    found = pixels(draw(tally()))
    assert all(found[rgb(name)] > 300 for name in COLOURS)


def test_bars_are_as_long_as_the_shares() -> None:
    wide = pixels(draw_shares(tally()))
    assert wide[rgb("reasoning")] / wide[rgb("action")] == pytest.approx(1.0, abs=0.2)  # 30 % and 40 %, and the trained
    counts = tally()
    for split in counts.splits.values():
        split.tokens, split.trained = np.array([0, 1, 0, 0, 0]), np.array([0, 0, 0, 0, 0])
    alone = pixels(draw_shares(counts))
    assert alone[rgb("reasoning")] > 40_000  # two bars of 820 by 28 pixels less the text on them
    assert alone[rgb("action")] < 500  # the legend


def test_lengths_are_drawn_for_one_row_as_for_many() -> None:
    assert pixels(draw_lengths(tally()))[rgb("reasoning")] > 10_000
    counts = Tally(lengths=np.bincount([1]))
    assert pixels(draw_lengths(counts))[rgb("reasoning")] > 1_000
    assert len(pixels(draw_lengths(Tally()))) > 10


def test_masks_are_drawn_token_by_token() -> None:
    shown, masked = pixels(draw_trajectory(row())), pixels(draw_trajectory(row(trained=())))
    assert all(shown[rgb(name)] > 1_000 for name in COLOURS)
    ink = (0x1F, 0x23, 0x28)
    assert shown[ink] - masked[ink] > 0.9 * (970 - 150) * 3 / 5 * 14  # three fifths of the strip of labels


def test_spans_say_what_of_them_is_trained() -> None:
    given = row()
    given["labels"][8] = -100
    assert [view.training for view in views_of(given)] == [
        "not trained",
        "5 of 6 tokens trained",
        "trained",
        "not trained",
        "trained",
    ]


def test_hostile_text_is_drawn_without_warning() -> None:
    hostile = CONTROLS + SCRIPTS + "$\\frac{$ \r\t|"
    texts = (hostile, hostile * 50, "", "x" * 100_000, "\n" * 5_000)
    assert sum(pixels(draw_trajectory(row(texts))).values()) > 100_000
    given = row() | {"trajectory_id": hostile}
    assert pixels(draw_trajectory(given))


def test_what_cannot_be_drawn_is_shown_as_what_it_is() -> None:
    assert drawable("a\u202eb\u200bc\x1b") == "a<U+202E>b<U+200B>c<U+001B>"
    assert drawable("é 你 ש e\u0301 🙂") == "é □ □ e□ □"
    assert drawable("\t|\n") == "→   |↵"


def test_pictures_are_the_same_whatever_the_settings_of_matplotlib_are() -> None:
    before = [draw_shares(tally()), draw_trajectory(row())]
    with matplotlib.rc_context({"font.family": "serif", "figure.dpi": 33, "text.usetex": True, "lines.linewidth": 9}):
        settings = dict(matplotlib.rcParams)
        assert [draw_shares(tally()), draw_trajectory(row())] == before
        assert dict(matplotlib.rcParams) == settings


def test_a_page_is_of_the_size_that_was_asked_for() -> None:
    image = Image.open(BytesIO(Canvas(321, 123).png()))
    assert image.size == (321, 123)
    assert "Software" not in image.info
