"""What a record says, as a second reader sees it: stretches of text in order, each with its kind."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stretch:
    """One payload, without the whitespace at its edges."""

    kind: str
    """reasoning, action, observation, user or system; `said` is what an agent says aloud, which no structure types;
    `untrained` is what an agent wrote that is not to be trained."""
    text: str
    """Of a call with a name: its arguments, as JSON where the source has an object."""
    name: str | None = None
    """For calls: the tool."""
    value: Any = None
    """For what the source holds as an object: that object, which any JSON text of it shows."""


Trajectory = list[Stretch]


def stretch(kind: str, text: Any) -> Trajectory:
    """The stretch of a text; none where there is no text."""
    if not isinstance(text, str) or not text.strip():
        return []
    return [Stretch(kind, unicodedata.normalize("NFC", text).strip())]


def shown(kind: str, value: Any) -> Trajectory:
    """The stretch of a text, or of an object that is shown as JSON."""
    if value is None or isinstance(value, str):
        return stretch(kind, value)
    return [Stretch(kind, json.dumps(value, ensure_ascii=False), value=value)]


def call(name: str, arguments: Any, kind: str = "action") -> Stretch:
    """The stretch of a named call; arguments are a string as the model wrote it, or an object."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Stretch(kind, unicodedata.normalize("NFC", text).strip(), name)


def texts(content: Any) -> list[str]:
    """The texts of a content: a string, or a list of parts."""
    if isinstance(content, str):
        return [content]
    return [part if isinstance(part, str) else part.get("text", "") for part in content or []]


def said(kind: str, content: Any) -> Trajectory:
    return [item for text in texts(content) for item in stretch(kind, text)]


def in_call_order(ids: Sequence[Any], results: Iterable[tuple[Any, Trajectory]]) -> Trajectory:
    """Results in the order of the calls they answer."""
    given = list(results)
    if all(number in ids for number, _ in given):
        given.sort(key=lambda pair: ids.index(pair[0]))
    return [item for _, found in given for item in found]
