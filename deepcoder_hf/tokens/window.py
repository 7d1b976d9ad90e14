"""Long trajectories -> windows that fit, cut at step borders; the system prompt and the task stand in each window.

Everything before the first agent span (step 0) is the head; it holds nothing trained and is repeated in each window.
The other steps are packed in order, each into exactly one window; a step that does not fit alone is cut at token
borders. Windows are tokenised anew, so their ids are what their text gives.

Guarantee: a character of a trained span that stands in a trained token of the whole trajectory stands in a trained
token of exactly one window. Bodies partition the text, so it is never two; it could be none where tokenising head and
body together joins the body's first characters to the head's last token (`\\n` + `\\n`), or where a cut changes which
span owns a token near it. `place` moves such a cut to the left, to where the seam is clean; dataset/shorten.py checks
the windows' own tokens against the whole ones, and a text without a clean cut is a reject, `cannot_window`. What the
whole trajectory itself does not train, by the straddle policy, no window needs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deepcoder_hf.errors import RecordError
from deepcoder_hf.spans.resolve import SpanTuple
from deepcoder_hf.tokens.align import Int64

Place = Callable[[int, int], int]
"""(character of a wanted cut, the cut before it) -> the cut to make: the same, or to its left after the one before."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a trajectory that becomes a row."""

    text: str
    spans: list[SpanTuple]
    """Spans that partition `text`."""
    start_step: int
    """First step in the window's body."""
    start_char: int
    """Where the body begins in the whole text; what lies between the head and this is context that the window lacks."""
    end_char: int
    """Where the body ends in the whole text."""
    cuts: tuple[int, ...] = ()
    """Characters of `text` before which it is cut before it is encoded."""
    ids: tuple[int, ...] = ()
    """Its tokens, where they are recorded ones."""


def plan_windows(
    text: str,
    spans: Sequence[SpanTuple],
    start_token: Int64,
    token_chars: Int64,
    budget: int,
    head_limit: int | None = None,
    place: Place | None = None,
) -> list[Window]:
    """Cut a trajectory into windows.

    Args:
        text: The whole text.
        spans: Its spans; they partition it.
        start_token: First token of each span, special tokens not counted, int64 [S].
        token_chars: First character of each token, int64 [T], ascending.
        budget: Tokens that a window may have, special tokens not counted.
        head_limit: Tokens that the head may have; None for half of the budget.
        place: Moves a cut to a place where head and body do not join; None leaves cuts where they are.

    Returns:
        Windows in order; their bodies partition the text after the head.

    Raises:
        RecordError: The head is longer (`head_too_long`), or `place` found no place (`cannot_window`).
    """
    head = head_spans(spans)
    head_tokens = int(start_token[head]) if head < len(spans) else token_chars.size
    if head_tokens > (budget // 2 if head_limit is None else min(head_limit, budget - 1)):
        raise RecordError(
            f"system prompt and task have {head_tokens} tokens, more than half of tokens.max_length; raise it, or use "
            "overflow: truncate",
            "head_too_long",
        )
    cuts = _cuts(spans, head, start_token, token_chars, budget - head_tokens, place or _unmoved)
    ends = [*cuts[1:], len(text)]
    return [_window(text, spans, spans[head][0], start, end) for start, end in zip(cuts, ends, strict=True)]


def head_spans(spans: Sequence[SpanTuple]) -> int:
    """How many spans are the head: those before the first step."""
    return next((n for n, span in enumerate(spans) if span[7] > 0), len(spans))


def _unmoved(cut: int, before: int) -> int:
    return cut


def _cuts(
    spans: Sequence[SpanTuple], head: int, start_token: Int64, token_chars: Int64, room: int, place: Place
) -> list[int]:
    """Characters where the windows' bodies begin: the starts of steps, or of tokens inside an overlong step."""
    n_tokens = token_chars.size
    first_of_step = [n for n in range(head, len(spans)) if n == head or spans[n][7] != spans[n - 1][7]]
    borders = [(spans[n][0], int(start_token[n])) for n in first_of_step]
    stops = [token for _, token in borders[1:]] + [n_tokens]
    cuts, begun = [borders[0][0]], borders[0][1]

    def cut(char: int, token: int) -> int:
        """Cut at or left of a character; returns the token that the body begins in."""
        cuts.append(place(char, cuts[-1]))
        return token if cuts[-1] == char else int(np.searchsorted(token_chars, cuts[-1], "right")) - 1

    for (char, token), stop in zip(borders, stops, strict=True):
        if stop - begun > room and token > begun and char > cuts[-1]:
            begun = cut(char, token)
        while stop - begun > room:
            begun += room
            if (at := int(token_chars[begun])) > cuts[-1]:
                begun = cut(at, begun)
    return cuts


def _window(text: str, spans: Sequence[SpanTuple], head_end: int, start: int, end: int) -> Window:
    head = [span for span in spans if span[1] <= head_end]
    shift = start - head_end
    body = [
        (max(span[0], start) - shift, min(span[1], end) - shift, *span[2:])
        for span in spans
        if span[1] > start and span[0] < end and span[1] > head_end
    ]
    step = body[0][7] if body else 0
    return Window(text[:head_end] + text[start:end], [*head, *body], step, start, end)


def truncate(text: str, spans: Sequence[SpanTuple], token_chars: Int64, budget: int) -> Window:
    """The first `budget` tokens of a trajectory, as one window.

    Args:
        text: The whole text.
        spans: Its spans.
        token_chars: First character of each token, int64 [T].
        budget: Tokens to keep, special tokens not counted; less than T.
    """
    end = int(token_chars[budget])
    kept = [(span[0], min(span[1], end), *span[2:]) for span in spans if span[0] < end]
    return Window(text[:end], kept, 0, 0, end)


def token_characters(text: str, starts: Int64) -> Int64:
    """First character of each token, from its first byte, int64 [T]; the character that holds the byte."""
    if text.isascii():
        return starts
    begins = (np.frombuffer(text.encode(), np.uint8) & 0xC0) != 0x80
    chars: Int64 = np.cumsum(begins)[np.minimum(starts, begins.size - 1)] - 1
    return chars
