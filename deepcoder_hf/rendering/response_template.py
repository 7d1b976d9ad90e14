"""A tokenizer's own `response_template` (transformers >= 5.13): how its model's turns are taken apart.

    {"start_anchor": "<|im_start|>assistant\\n", "fields": {
        "thinking": {"open": "<think>", "close": "</think>"},
        "tool_calls": {"open": "<tool_call>", "close": "</tool_call>", "content": "json", "repeats": true},
        "content": {}}}

`transformers` reads and checks the template; the text is divided here, since its parser says what the parts are and
not where they stand. Parts are typed only where all of the text is understood: every part that opens also closes, no
closing marker is left over, nothing stands outside of the fields, and JSON is JSON.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

from deepcoder_hf.rendering.turns import ACTION, ANSWER, REASONING
from deepcoder_hf.spans.detector import Role, SpanDetector
from deepcoder_hf.spans.resolve import SpanTuple

PATTERN = "response_template"
"""What the column `spans.pattern` calls it."""
KINDS = {
    "thinking": REASONING,
    "reasoning": REASONING,
    "reasoning_content": REASONING,
    "thought": REASONING,
    "tool_calls": ACTION,
    "tool_call": ACTION,
    "function_call": ACTION,
    "content": ANSWER,
}
"""Fields of a message that are understood -> type id."""
MAX_SECONDS = 2.0
"""For one search of one pattern: patterns come from the Hub and need not be linear."""

_Region = tuple[int, int, str, bool]
"""Start, end, field, whether a marker opens it."""


class ResponseTemplate:
    """Divides the text of one turn.

    Args:
        spec: The template as `transformers` loads it (`ResponseTemplate` there).
    """

    def __init__(self, spec: Any) -> None:
        self._anchor = spec.start_anchor_re
        self._implicit = spec.implicit
        self._fields = spec.fields
        self._opened = [field for field in spec.fields.values() if field.open_re is not None]
        self._implicit_close = spec.fields[spec.implicit].close_re if spec.implicit else None
        of_implicit = set(spec.fields[spec.implicit].close_literals or ()) if spec.implicit else set()
        closing = {literal for field in self._opened for literal in field.close_literals or ()}
        self._closing = sorted(literal for literal in closing - of_implicit if literal.strip())

    def parse(self, text: str) -> list[SpanTuple] | None:
        """Spans that partition a text; None where the template does not explain all of it, or opens nothing in it."""
        try:
            regions = None if self._anchor.search(text, timeout=MAX_SECONDS) else self._regions(text)
        except TimeoutError:
            return None
        if not regions or not any(opened for *_, opened in regions):
            return None
        return _spans(regions, len(text))

    def _regions(self, text: str) -> list[_Region] | None:
        """The parts in order, markers and all; None where something stays unexplained."""
        ahead: dict[str, Any] = {}
        regions: list[_Region] = []
        at = 0
        while True:
            field, opening = self._next(text, at, ahead)
            stop = len(text) if opening is None else opening.start()
            if not self._between(text, at, stop, regions):
                return None
            if opening is None:
                return regions
            closing = field.close_re and field.close_re.search(text, opening.end(), timeout=MAX_SECONDS)
            end = closing.end() if closing else len(text)
            if (field.close_re and not closing) or end <= stop or field.name not in KINDS:
                return None
            if not _is_valid(field, text[opening.end() : closing.start() if closing else end]):
                return None
            regions.append((stop, end, field.name, True))
            at = end

    def _next(self, text: str, at: int, ahead: dict[str, Any]) -> tuple[Any, Any]:
        """The field that opens next and its match: the first, the longest of several; each pattern looks once."""
        best: tuple[tuple[int, int, str], Any, Any] | None = None
        for field in self._opened:
            known = ahead.get(field.name)
            if field.name not in ahead or (known is not None and known.start() < at):
                known = ahead[field.name] = field.open_re.search(text, at, timeout=MAX_SECONDS)
            if known is not None:
                key = (known.start(), -len(known.group()), field.name)
                if best is None or key < best[0]:
                    best = key, field, known
        return (None, None) if best is None else best[1:]

    def _between(self, text: str, start: int, end: int, regions: list[_Region]) -> bool:
        """Add what no marker opens to the parts; whether it can stand there."""
        words = text[start:end]
        bare = self._implicit_close.sub("", words, timeout=MAX_SECONDS) if self._implicit_close else words
        if not bare.strip():
            return True
        if self._implicit not in KINDS or any(literal in words for literal in self._closing):
            return False
        regions.append((end - len(words.lstrip()), end, self._implicit, False))
        return True


def response_template_of(spec: Any) -> ResponseTemplate | None:
    """The response template of a tokenizer; None where it has none, or (with a warning) `transformers` refuses it."""
    if spec is None:
        return None
    try:
        from transformers.utils.chat_parsing.response_templates import load_response_template
    except ImportError:  # transformers < 5.13
        return None
    try:
        return ResponseTemplate(load_response_template(spec))
    except Exception as error:  # it checks the shape only in part: ValueError, TypeError, AttributeError, regex errors
        warnings.warn(
            f"the tokenizer's response_template is not used, transformers cannot read it: {error}", stacklevel=2
        )
        return None


def detect(
    texts: Sequence[str], roles: Sequence[Role], detector: SpanDetector, response: ResponseTemplate | None
) -> list[list[SpanTuple]]:
    """Spans of flattened texts: by the response template in what the agent wrote, else by detection."""
    found = [response.parse(t) if response and r == "assistant" else None for t, r in zip(texts, roles, strict=True)]
    rest = [n for n, spans in enumerate(found) if spans is None]
    detected = iter(detector.detect_tuples([texts[n] for n in rest], [roles[n] for n in rest]))
    return [next(detected) if spans is None else spans for spans in found]


def _is_valid(field: Any, body: str) -> bool:
    """Whether a part that should be plain JSON is; dialects are taken as they are."""
    if field.content != "json" or field.content_args:
        return True
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _spans(regions: Sequence[_Region], size: int) -> list[SpanTuple]:
    """Parts with their types; white space between two belongs to the first."""
    last_call = max((n for n, region in enumerate(regions) if KINDS[region[2]] == ACTION), default=-1)
    ends = [region[0] for region in regions[1:]] + [size]
    spans: list[SpanTuple] = []
    for number, ((start, _, name, _), end) in enumerate(zip(regions, ends, strict=True)):
        kind = KINDS[name]
        subtype = {REASONING: "think", ACTION: "tool_call"}.get(kind, "message")
        if kind == ANSWER and number < last_call:
            kind, subtype = REASONING, "preamble"
        spans.append((0 if not number else start, end, kind, subtype, 1.0, PATTERN, "template", 0))
    return spans
