"""GoldRecord: a text with the spans that a person marked in it, checked; what the detector is scored against."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.spans.types import TYPE_IDS

GROUPINGS = ("style", "source", "lang", "rendering")
"""Fields of a record by which scores can be grouped; one that a record lacks is called `(no style)` and so on."""


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """The payload of a span, half-open, in characters, without its tags, fences and labels."""

    start_char: int
    end_char: int
    type_id: int
    """Its type as in `TYPE_IDS`, but an answer is 0 (other), as gold counts it."""


@dataclass(frozen=True, slots=True)
class GoldRecord:
    """One labelled text. Characters in no span are markers and glue: nothing is said about their type."""

    record_id: str
    text: str
    spans: tuple[GoldSpan, ...]
    """Sorted, not overlapping, inside the text."""
    style: str
    """The convention in which the text is written."""
    source: str
    lang: str
    rendering: str


def gold_record(raw: Mapping[str, Any]) -> GoldRecord:
    """Check one record.

    Args:
        raw: `{id, text, spans: [{type, start, end}]}`, and where known `style`, `source`, `lang` and `rendering`; other
            keys are not looked at. A span of length 0 labels nothing.

    Raises:
        RecordError: A field is missing or of another type, a type is unknown, or spans overlap or leave the text.
    """
    if missing := [key for key in ("id", "text", "spans") if raw.get(key) is None]:
        got = ", ".join(map(repr, list(raw)[:12])) or "no key"
        raise _problem(f"expected the keys id, text and spans, missing: {', '.join(missing)}; got {got}")
    name, text, spans = raw["id"], raw["text"], raw["spans"]
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _problem(f"id: expected a string, got {_kind(name)}")
    if not isinstance(text, str):
        raise _problem(f"text: expected a string, got {_kind(text)}")
    if not isinstance(spans, list | tuple):
        raise _problem(f"spans: expected a list, got {_kind(spans)}")
    for key in GROUPINGS:
        if not isinstance(raw.get(key), str | None):
            raise _problem(f"{key}: expected a string, got {_kind(raw[key])}")
    checked = sorted((_span(span, n, len(text)) for n, span in enumerate(spans)), key=_by_start)
    for before, after in pairwise(span for span in checked if span.end_char > span.start_char):
        if after.start_char < before.end_char:
            raise _problem(
                f"spans {before.start_char}-{before.end_char} and {after.start_char}-{after.end_char} overlap: a "
                "character has one type"
            )
    groups = {key: raw.get(key) or f"(no {key})" for key in GROUPINGS}
    return GoldRecord(str(name), text, tuple(checked), **groups)


def gold_records(raws: Sequence[Mapping[str, Any] | GoldRecord]) -> list[GoldRecord]:
    """Check many records.

    Raises:
        RecordError: A record is wrong; the message begins with its number, from 0.
    """
    checked = []
    for number, raw in enumerate(raws):
        if not isinstance(raw, Mapping | GoldRecord):
            raise _problem(f"record {number}: expected a mapping, got {_kind(raw)}")
        try:
            checked.append(raw if isinstance(raw, GoldRecord) else gold_record(raw))
        except RecordError as error:
            raise _problem(f"record {number}: {error}") from None
    return checked


def _span(raw: Any, number: int, n_chars: int) -> GoldSpan:
    where = f"spans.{number}"
    if not isinstance(raw, Mapping):
        raise _problem(f"{where}: expected an object with type, start and end, got {_kind(raw)}")
    kind, start, end = (raw.get(key) for key in ("type", "start", "end"))
    if not isinstance(kind, str) or kind not in TYPE_IDS:
        near = difflib.get_close_matches(str(kind).lower(), TYPE_IDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(TYPE_IDS)}"
        raise _problem(f"{where}.type: no such type: {kind!r}; {hint}")
    for key, value in (("start", start), ("end", end)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise _problem(f"{where}.{key}: expected a number of characters, got {_kind(value)}")
    if not 0 <= start <= end <= n_chars:  # type: ignore[operator]
        raise _problem(
            f"{where}: expected 0 <= start <= end <= {n_chars}, the characters (code points) of the text, got "
            f"{start}-{end}"
        )
    return GoldSpan(start, end, TYPE_IDS[kind] % TYPE_IDS["answer"])  # type: ignore[arg-type]


def _by_start(span: GoldSpan) -> tuple[int, int]:
    return span.start_char, span.end_char


def _problem(message: str) -> RecordError:
    return RecordError(message, "bad_gold")


def _kind(value: Any) -> str:
    names = {type(None): "null", dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
