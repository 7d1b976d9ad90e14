"""Traced text that `|safe` and `|e` make: like markupsafe's Markup, it escapes what is added to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, SupportsIndex

from markupsafe import Markup

from deepcoder_hf.rendering.traced import Traced, concat, derived, runs_of
from deepcoder_hf.rendering.traced_text import text_of

_ENTITIES = str.maketrans({"&": "&amp;", ">": "&gt;", "<": "&lt;", "'": "&#39;", '"': "&#34;"})


class TracedMarkup(Traced):
    """See markupsafe.Markup. A result of `%` or `format` takes the first mark of what went in as a whole."""

    __slots__ = ()

    def __html__(self) -> Self:
        return self

    def __str__(self) -> str:
        return Traced(str.__str__(self), self.runs)

    def __repr__(self) -> str:
        return f"Markup({str.__repr__(self)})"

    def __add__(self, other: str) -> Self:
        if isinstance(other, str) or hasattr(other, "__html__"):
            return self._joined((self, escape(other)))
        return NotImplemented

    def __radd__(self, other: str) -> Self:
        if isinstance(other, str) or hasattr(other, "__html__"):
            return self._joined((escape(other), self))
        return NotImplemented

    def __mod__(self, values: Any) -> str:
        text = Markup(str.__str__(self)) % values
        return markup(derived(str.__str__(text), self, *(values if isinstance(values, tuple) else (values,))))

    def __format__(self, spec: str) -> str:
        if spec:
            raise ValueError("Unsupported format specification for Markup.")
        return str(self)

    def format(self, *args: Any, **kwargs: Any) -> str:
        text = Markup(str.__str__(self)).format(*args, **kwargs)
        return markup(derived(str.__str__(text), self, *args, *kwargs.values()))

    def format_map(self, values: Any) -> str:
        return self.format(**values)

    @staticmethod
    def escape(value: Any) -> TracedMarkup:
        return escape(value)

    def join(self, parts: Iterable[str]) -> Self:
        return super().join([escape(part) for part in parts])

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> Self:
        return super().replace(old, str(escape(new)), count)


def markup(value: Any) -> TracedMarkup:
    """Mark a value as safe: it will not be escaped."""
    text = text_of(value)
    return value if type(value) is TracedMarkup else TracedMarkup(str.__str__(text), runs_of(text))


def escape(value: Any) -> TracedMarkup:
    """HTML-escape a value that is not safe yet; an entity has the mark of its character."""
    if hasattr(value, "__html__"):
        return value if isinstance(value, TracedMarkup) else markup(value.__html__())
    text = concat([text_of(value)])
    escaped = text.translate(_ENTITIES)
    return TracedMarkup(str.__str__(escaped), runs_of(escaped))
