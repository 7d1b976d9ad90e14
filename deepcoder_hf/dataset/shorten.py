"""What happens to a trajectory that is longer than tokens.max_length: windows, one cut row, a drop, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.outcome import Verdict
from deepcoder_hf.errors import AlignmentError, RecordError
from deepcoder_hf.spans.columns import SpanColumns, from_tuples
from deepcoder_hf.tokens.engines import character_bytes, each_text
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_spans
from deepcoder_hf.tokens.window import Window, head_spans, plan_windows, token_characters, truncate

Flags = npt.NDArray[np.bool_]

MAX_REPLANS = 8
"""How often windows are cut again with less room, when tokenising a cut text anew gave more tokens than it had."""
MAX_MOVES = 32
"""How many places of each kind are tried for one cut, and how often cuts that lose something are moved."""
CONTEXT = 64
"""Characters on each side of a seam by which a place is judged; the whole windows are checked afterwards."""


def shorten(
    verdict: Verdict, detected: Detected, tokens: TypedTokens, row: int, tokenizer: TrajectoryTokenizer, config: Config
) -> None:
    """Do with a trajectory that is too long what tokens.overflow asks for.

    Args:
        verdict: Gets the windows, or the reason why there are none.
        detected: The batch.
        tokens: Its tokens, of whole trajectories.
        row: Which record it is.
        tokenizer: The tokenizer.
        config: The whole configuration.

    Raises:
        AlignmentError: tokens.overflow is `error`.
    """
    length, limit = int(tokens.rows[row + 1] - tokens.rows[row]), config.tokens.max_length
    too_long = f"{length} tokens, more than tokens.max_length = {limit}"
    if _must_stay_whole(verdict, detected, row, config, too_long):
        return
    first, last = int(detected.spans.rows[row]), int(detected.spans.rows[row + 1])
    spans = _row_spans(detected.spans, first, last)
    if detected.renderings[row].ids:
        verdict.windows = [_first_recorded(detected, tokens, row, spans, limit)]
        return
    text, n_prefix = detected.texts[row], len(tokenizer.prefix_ids)
    begin, end = tokens.encoded.rows[row], tokens.encoded.rows[row + 1]
    chars = token_characters(text, tokens.encoded.starts[begin:end] - tokens.encoded.text_starts[row])
    start_token = tokens.start_token[first:last] - n_prefix
    needed = tokens.trained_characters(row, text, n_prefix)
    needed &= np.repeat(tokens.training[first:last] > 0, [span[1] - span[0] for span in spans])
    cuts = detected.renderings[row].cuts
    seams = _Seams(text, spans, needed, tokenizer, config)
    most = budget = limit - tokenizer.n_special
    replans = moves = 0
    while budget > 0 and replans < MAX_REPLANS and moves < MAX_MOVES:
        try:
            if config.tokens.overflow == "truncate":
                windows = [truncate(text, spans, chars, budget)]
            else:
                windows = plan_windows(text, spans, start_token, chars, budget, most // 2, seams.place)
        except RecordError as error:
            verdict.reject("dropped", error.reason, str(error))
            return
        windows = [with_cuts(window, cuts) for window in windows]
        typed = seams.type(windows)
        excess = int(np.diff(typed.encoded.rows).max()) - most
        if excess > 0:
            budget, replans = budget - excess, replans + 1
        elif config.tokens.overflow == "truncate" or not seams.forbid_where_lost(windows, typed):
            verdict.windows = windows
            return
        else:
            moves += 1
    problem = f"{too_long}; no cut gave windows that fit and train what the whole does"
    verdict.reject("dropped", "cannot_window", problem)


def _first_recorded(detected: Detected, tokens: TypedTokens, row: int, spans: list[Any], limit: int) -> Window:
    """The first recorded tokens of a row, as many as fit and end with a whole character."""
    text, part = detected.texts[row], slice(*tokens.encoded.rows[row : row + 2])
    starts = tokens.encoded.starts[part] - tokens.encoded.text_starts[row]
    to_byte = character_bytes(text)
    whole = np.ones(starts.size, bool) if to_byte is None else np.isin(starts, to_byte)
    budget = int(np.flatnonzero(whole[: limit + 1])[-1])
    window = truncate(text, spans, token_characters(text, starts), budget)
    return replace(window, ids=tuple(detected.renderings[row].ids[:budget]))


def _must_stay_whole(verdict: Verdict, detected: Detected, row: int, config: Config, too_long: str) -> bool:
    """Whether the settings allow no windows; the verdict says so then.

    Raises:
        AlignmentError: tokens.overflow is `error`.
    """
    where = f"{detected.frame['source_path'][row]}:{detected.frame['line'][row]}"
    if config.tokens.overflow == "error":
        raise AlignmentError(f"{where}: {too_long}; set tokens.overflow to window, truncate or drop")
    if config.tokens.overflow == "drop":
        verdict.reject("dropped", "over_max_length", too_long)
        return True
    if detected.renderings[row].ids and config.tokens.overflow == "window":
        problem = f"{too_long}; recorded tokens are not cut into windows, which would be tokenised anew"
        verdict.reject("dropped", "over_max_length", problem)
        return True
    return False


class _Seams:
    """Where a text may be cut, so that no trained character is lost where head and body meet or at a cut's two sides.

    Args:
        text: The whole text.
        spans: Its spans.
        needed: Which characters must be trained in some window, bool [characters].
        tokenizer: The tokenizer.
        config: The whole configuration.
    """

    def __init__(
        self, text: str, spans: list[Any], needed: Flags, tokenizer: TrajectoryTokenizer, config: Config
    ) -> None:
        self.forbidden: set[int] = set()
        self._text, self._needed, self._tokenizer, self._config = text, needed, tokenizer, config
        head = head_spans(spans)
        self._head = spans[head][0] if head < len(spans) else len(text)
        self._before = text[max(0, self._head - CONTEXT) : self._head]
        self._placed: dict[int, int] = {}

    def place(self, cut: int, before: int) -> int:
        """The cut itself, or the nearest place to its left that is clean; see `tokens.window.Place`.

        Raises:
            RecordError: No place between the two was clean (`cannot_window`).
        """
        known = self._placed.get(cut, -1)
        if known > before and known not in self.forbidden:
            return known
        joined = self._joined([cut])[0]
        if cut not in self.forbidden and not self._needed[cut : cut + joined].any():
            self._placed[cut] = cut
            return cut
        places = [place for place in self._left_of(cut, before) if place not in self.forbidden]
        for place, n_joined in zip(places, self._joined(places), strict=True):
            if not n_joined:
                self._placed[cut] = place
                return place
        raise RecordError(
            f"no cut between characters {before} and {cut} keeps the head's last token apart from what is trained; "
            "raise tokens.max_length",
            "cannot_window",
        )

    def _left_of(self, cut: int, before: int) -> list[int]:
        """Places left of a cut: each character near by, then the beginnings and ends of words."""
        near = list(range(cut - 1, max(before, cut - 1 - MAX_MOVES), -1))
        far = range(cut - 1 - MAX_MOVES, before, -1)
        is_space = str.isspace
        at_words = (n for n in far if is_space(self._text[n]) != is_space(self._text[n - 1]))
        return near + list(islice(at_words, MAX_MOVES))

    def _joined(self, cuts: list[int]) -> list[int]:
        """How many characters after each cut the head's last token would take, judged by the text around."""
        pieces = [self._text[cut : cut + CONTEXT] for cut in cuts]
        encoded = self._tokenizer.encode([self._before + piece for piece in pieces])
        seam = len(self._before.encode())
        counts = []
        for part, piece in zip(each_text(encoded), pieces, strict=True):
            over = part.ends[(part.starts < seam) & (part.ends > seam)]
            taken = piece.encode()[: int(over.max()) - seam] if over.size else b""
            counts.append(len(taken.decode(errors="replace")))
        return counts

    def type(self, windows: list[Window]) -> TypedTokens:
        """The windows' own tokens."""
        spans = from_tuples([window.spans for window in windows])
        texts = [window.text for window in windows]
        cuts = [window.cuts for window in windows]
        return type_spans(texts, spans, self._tokenizer, self._config.masks, np.zeros(len(windows), bool), cuts)

    def forbid_where_lost(self, windows: list[Window], typed: TypedTokens) -> bool:
        """Forbid the cut nearest to each loss; returns whether a trained character was lost."""
        any_lost = False
        for row, window in enumerate(windows):
            trained = typed.trained_characters(row, window.text, len(self._tokenizer.prefix_ids))
            lost = np.flatnonzero(self._needed[window.start_char : window.end_char] & ~trained[self._head :])
            for place in {int(n) for n in lost[[0, -1][: lost.size]]}:
                any_lost = True
                left, right = window.start_char, window.end_char
                at_left = place < right - left - place
                self.forbidden.add(left if (at_left and left > self._head) or right == len(self._text) else right)
        return any_lost


def with_cuts(window: Window, cuts: Sequence[int]) -> Window:
    """A window with those cuts of the whole text that stand in it."""
    head = len(window.text) - (window.end_char - window.start_char)
    inside = [cut for cut in cuts if cut < head]
    inside += [cut - window.start_char + head for cut in cuts if window.start_char < cut < window.end_char]
    return replace(window, cuts=tuple(sorted(set(inside)))) if inside else window


def _row_spans(spans: SpanColumns, first: int, last: int) -> list[Any]:
    part = slice(first, last)
    return list(
        zip(
            spans.start_char[part].tolist(),
            spans.end_char[part].tolist(),
            spans.kinds[part].tolist(),
            spans.subtypes[part].to_pylist(),
            spans.confidence[part].tolist(),
            spans.patterns[part].to_pylist(),
            spans.origins[part].to_pylist(),
            spans.steps[part].tolist(),
            strict=True,
        )
    )
