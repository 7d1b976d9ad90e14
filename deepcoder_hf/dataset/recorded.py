"""Rows of recorded token ids: text, spans and ledger of what a model really saw and said (`tokens.source: recorded`).

    rendering gives these ids    the rendering stands, cut where the ids end
    it gives this text           its spans stand, with the recorded ids
    it gives another text        the ids decide: spans are detected in what they decode to

In all three nothing outside of a completion is trained; and what only a template writes (an empty think block, a
header) is the agent's where it stands in a completion, since the model gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from deepcoder_hf.rendering.rendered import Range, Rendered, payload_by_type, put_payload
from deepcoder_hf.rendering.turns import OBSERVATION, OTHER, REASONING
from deepcoder_hf.spans.detector import Role
from deepcoder_hf.spans.resolve import AGENT_TYPES, SpanTuple, number_steps
from deepcoder_hf.spans.types import SUBTYPES, TYPES
from deepcoder_hf.tokens.recorded import Places, RecordedRow, character_places, vocabulary_of
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer

Detect = Callable[[Sequence[str], Sequence[Role]], list[list[SpanTuple]]]
"""Texts and who wrote each -> their spans."""
_TRAINABLE = {name for name in SUBTYPES if name != "header"}
"""Subtypes by which a span of any type may be trained."""


class RecordedRenderings:
    """Puts recorded ids in the place of what was rendered.

    Args:
        tokenizer: The tokenizer that the ids are of.
        detect: Finds spans.
    """

    def __init__(self, tokenizer: TrajectoryTokenizer, detect: Detect) -> None:
        self._tokenizer, self._detect = tokenizer, detect
        self._vocabulary = vocabulary_of(tokenizer)

    def make(self, rows: Sequence[RecordedRow], rendered: Sequence[Rendered]) -> list[Rendered]:
        """One rendering a row.

        Args:
            rows: The recorded rows of a trajectory.
            rendered: The renderings of the same trajectory; none where it cannot be rendered.

        Raises:
            RecordError: The ids have no text (`recorded_tokens`).
        """
        return [self._row(row, number, rendered, len(rows)) for number, row in enumerate(rows)]

    def _row(self, row: RecordedRow, number: int, rendered: Sequence[Rendered], n_rows: int) -> Rendered:
        text = self._vocabulary.decode(row.ids)
        places = character_places(text, self._vocabulary.token_bytes(row.ids), row.completions)
        source = next((one for one in rendered if one.text.startswith(text)), None)
        if source is None:
            made = Rendered(text, number_steps(confined(self._detected(text, places), places)), [], [])
            payload = _words(made, number > 0)
        else:
            made, payload = _beginning(source, len(text), places)
        if source is not None and n_rows == len(rendered) == 1 and made.payload == source.payload:
            made.read, made.counts = source.read, dict(source.counts)
        else:
            made.payload = payload
            characters = payload_by_type(payload)
            made.read = tuple(characters.get(kind, 0) for kind in range(len(TYPES)))
        is_equal = source is not None and self._gives(text, made.cuts, row.ids)
        made.tokens = {"source": "recorded", "equal": is_equal, "completions": [list(part) for part in row.completions]}
        if not is_equal:
            made.ids, made.cuts = row.ids, []
            made.tokens["spans"] = "detected" if source is None else "rendered"
            made.counts["tokens_differ"] = 1
        return made

    def _gives(self, text: str, cuts: Sequence[int], ids: Sequence[int]) -> bool:
        """Whether the tokenizer gives these ids for a text."""
        if self._tokenizer.normalize(text) != text:
            return False
        return np.array_equal(self._tokenizer.encode([text], [cuts]).ids, ids)

    def _detected(self, text: str, places: Places) -> list[SpanTuple]:
        """Spans of a text of which some ranges are known to be the agent's."""
        whole, *completions = self._detect(
            [text, *(text[a:b] for a, b in places)], [None, *["assistant"] * len(places)]
        )
        doubtful = _hold_other(whole, text, places)
        spans: list[SpanTuple] = []
        at = 0
        for number, (start, end) in enumerate(places):
            alone = completions[number]
            if doubtful[number] or any(span[6] == "template" for span in alone):
                spans += _part(whole, at, start)
                spans += [(span[0] + start, span[1] + start, *span[2:]) for span in alone]
                at = end
        return spans + _part(whole, at, len(text))


def confined(spans: Sequence[SpanTuple], places: Places) -> list[SpanTuple]:
    """Spans of which nothing is trained outside of some ranges; one that crosses a border is divided if it matters."""
    made: list[SpanTuple] = []
    at = 0
    for number, span in enumerate(spans):
        inner, outer = _as_said(spans, number), _as_given(span)
        start, end = span[0], span[1]
        while start < end:
            while at < len(places) and places[at][1] <= start:
                at += 1
            border, last = places[at] if at < len(places) else (end, end)
            is_inside = border <= start < last
            stop = min(end, last if is_inside else border)
            rest = inner if is_inside else outer
            if made and made[-1][2:] == rest and start > span[0]:
                start = made.pop()[0]
            made.append((start, stop, *rest))
            start = stop
    return made


_Rest = tuple[int, str, float, str, str, int]


def _as_given(span: SpanTuple) -> _Rest:
    """A span outside of the completions."""
    rest = span[2:]
    return (rest[0], "untrained", *rest[2:]) if rest[0] in AGENT_TYPES or rest[1] in _TRAINABLE else rest


def _as_said(spans: Sequence[SpanTuple], number: int) -> _Rest:
    """A span inside a completion: what is a template's elsewhere is the agent's here."""
    rest = spans[number][2:]
    if rest[0] == OTHER and rest[1] == "empty_think":
        return (REASONING, "think", *rest[2:])
    if rest[0] == OTHER and rest[1] == "header" and number + 1 < len(spans) and spans[number + 1][2] in AGENT_TYPES:
        return (spans[number + 1][2], spans[number + 1][3], *rest[2:])
    return rest


def _hold_other(spans: Sequence[SpanTuple], text: str, places: Places) -> list[bool]:
    """Which ranges hold words that are neither of the agent nor a result."""
    flags = [False] * len(places)
    at = 0
    for start, end, kind, subtype, *_ in spans:
        while at < len(places) and places[at][1] <= start:
            at += 1
        number = at
        while kind == OTHER and subtype != "header" and number < len(places) and places[number][0] < end:
            if text[max(start, places[number][0]) : min(end, places[number][1])].strip():
                flags[number] = True
            number += 1
    return flags


def _part(spans: Sequence[SpanTuple], start: int, end: int) -> list[SpanTuple]:
    """The spans between two characters, cut there."""
    return [(max(s[0], start), min(s[1], end), *s[2:]) for s in spans if s[0] < end and s[1] > start]


def _beginning(source: Rendered, size: int, places: Places) -> tuple[Rendered, list[Range]]:
    """A rendering up to a character, and its payload without the agent's words outside of the completions."""
    spans = confined(_part(source.spans, 0, size), places)
    payload = [(start, min(end, size), kind) for start, end, kind in source.payload if start < size]
    cuts = [cut for cut in source.cuts if cut < size]
    made = Rendered(source.text[:size], spans, payload, [], dict(source.facts), cuts)
    inside: list[Range] = []
    at = 0
    for start, end, kind in payload:
        while at < len(places) and places[at][1] <= start:
            at += 1
        if kind not in AGENT_TYPES or (at < len(places) and places[at][0] < end):
            inside.append((start, end, kind))
    return made, inside


def _words(made: Rendered, goes_on: bool) -> list[Range]:
    """The payload of detected spans: completions, and results; in a later row only results after the turns before."""
    payload: list[Range] = []
    said = False
    for start, end, kind, subtype, *_ in made.spans:
        if kind in AGENT_TYPES and subtype == "untrained":
            if goes_on and not said:
                payload.clear()
        elif kind in AGENT_TYPES or kind == OBSERVATION:
            put_payload(payload, made.text[start:end], start, kind)
            said = said or kind in AGENT_TYPES
    return payload
