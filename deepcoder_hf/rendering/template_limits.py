"""What one rendering may cost: a chat template comes from the Hub and is somebody else's program.

Every turn of a loop, every call of a macro, function or mapped filter is a step, and every text, list or number that an
operation can make larger than what went in is charged before it is made. What is not counted: comparing lists that hold
one another thousands of times, which is work inside one operation of Python.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deepcoder_hf.errors import TemplateError

_STEPS_PER_LOOK = 16
"""The clock is read once in so many steps."""
_WIDTH = re.compile(r"%(?:\([^()]*\))?[-+ #0]*(?:\d*\.)?(\d{7,})|\{[^{}]*:[^{}]*?(\d{7,})|^[^{}]{0,3}(\d{7,})")
"""A conversion or field that pads to a megabyte or more: `%9999999d`, `{:>9999999}`, or `>9999999` by itself."""
_WIDTH_FROM_VALUES = re.compile(r"%[-+ #0.\d]*\*|:[^{}]*\{")
"""A conversion whose width is one of the values: `%*d`, `{:{}}`."""
_INTEGER_BYTES = 1000
"""A byte of a number counts as so many characters: arithmetic on it is slower than linear."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one rendering; a conversation of a million characters stays far below."""

    max_steps: int = 10_000_000
    """Turns of loops, calls of macros and functions."""
    max_seconds: float = 30.0
    """CPU-seconds of the rendering thread."""
    max_chars: int = 256_000_000
    """Characters of one text, or items of one list."""
    max_made: int = 2_000_000_000
    """Characters and items of all texts and lists that are made on the way."""


@dataclass(slots=True)
class Budget:
    """What is left of the limits in one rendering, and the time that it takes for now."""

    limits: Limits
    now: datetime
    steps: int = 0
    made: int = 0
    until: float = field(default=0.0)
    look_at: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.until = time.thread_time() + self.limits.max_seconds
        self.look_at = time.monotonic() + self.limits.max_seconds

    def step(self) -> None:
        """Count a step and, now and then, look at the clock."""
        self.steps += 1
        if self.steps % _STEPS_PER_LOOK:
            return
        if self.steps > self.limits.max_steps:
            raise TemplateError(_message(f"takes more than {self.limits.max_steps:,} steps"))
        if time.monotonic() > self.look_at and time.thread_time() > self.until:  # the second clock costs much more
            raise TemplateError(_message(f"takes more than {self.limits.max_seconds:g} CPU-seconds"))

    def charge(self, size: int) -> None:
        """Count characters or items that are about to be made."""
        self.made += size
        if size > self.limits.max_chars:
            raise TemplateError(_message(f"makes more than {self.limits.max_chars:,} characters in one operation"))
        if self.made > self.limits.max_made:
            raise TemplateError(_message(f"makes more than {self.limits.max_made:,} characters on the way"))

    def container(self, size: int) -> None:
        """Count a list or object that is walked through."""
        self.step()
        self.charge(size)


def _message(what: str) -> str:
    return f"the chat template {what}: it is broken or hostile, or needs larger `Limits`"


def size_of(value: Any) -> int:
    """Length of a text, list or the like; a number counts its bytes, everything else nothing."""
    if isinstance(value, int):
        return value.bit_length() // 8
    return len(value) if hasattr(value, "__len__") else 0


def product_size(left: Any, right: Any) -> int:
    """The size of left * right."""
    if isinstance(left, int) and isinstance(right, int):
        return (size_of(left) + size_of(right)) * _INTEGER_BYTES
    if isinstance(right, int):
        return size_of(left) * max(right, 0)
    return size_of(right) * max(left, 0) if isinstance(left, int) else 0


def power_size(base: Any, exponent: Any) -> int:
    """The size of base ** exponent."""
    if isinstance(base, int) and isinstance(exponent, int):
        return base.bit_length() * max(exponent, 0) // 8 * _INTEGER_BYTES
    return 0


def format_size(template: Any, values: Any) -> int:
    """How many characters a format pads to, where they are many."""
    source = template.decode("latin-1") if isinstance(template, bytes) else template
    texts = [source]
    widths: list[int] = []
    if _WIDTH_FROM_VALUES.search(source):
        inner = values.values() if isinstance(values, dict) else values if isinstance(values, tuple) else (values,)
        widths = [abs(value) for value in inner if isinstance(value, int)]
        texts += [value for value in inner if isinstance(value, str)]
    found = [match for text in texts for match in _WIDTH.finditer(text)]
    return sum(widths) + sum(int(next(filter(None, match.groups()))[:12]) for match in found)


def _width(text: Any, width: Any = 0, *rest: Any) -> int:
    return max(len(text), width if isinstance(width, int) else 0)


def _replace(text: Any, old: Any = "", new: Any = "", *rest: Any) -> int:
    n_found = text.count(old) if isinstance(old, type(text) | str) and old else len(text) + 1
    return len(text) + n_found * size_of(new)


def _join(separator: Any, parts: Any = (), *rest: Any) -> int:
    return len(separator) * size_of(parts) + sum(map(size_of, parts)) if isinstance(parts, list | tuple) else 0


def _expandtabs(text: Any, tabsize: Any = 8) -> int:
    n_tabs: int = text.count(b"\t" if isinstance(text, bytes) else "\t")
    return len(text) + n_tabs * (tabsize if isinstance(tabsize, int) else 8)


def _translate(text: Any, table: Any = None, *rest: Any) -> int:
    return len(text) * max(map(size_of, table.values()), default=1) if isinstance(table, dict) else len(text)


def _to_bytes(number: Any, length: Any = 1, *rest: Any, **options: Any) -> int:
    return length if isinstance(length, int) else 0


GROWING: dict[str, Callable[..., int]] = {
    "center": _width,
    "ljust": _width,
    "rjust": _width,
    "zfill": _width,
    "replace": _replace,
    "join": _join,
    "expandtabs": _expandtabs,
    "translate": _translate,
    "to_bytes": _to_bytes,
}
"""Methods whose result can be larger than what goes in -> the size of the result."""
