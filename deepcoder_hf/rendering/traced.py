"""Text that knows, for each of its characters, who wrote it.

    greeting = concat(["User: ", trace("hello", 7)])
    greeting.upper()       'USER: HELLO', runs ((6, 11, 7),)

`Traced` is a `str`: every operation gives the text that `str` gives, and marks go with the characters. Characters that
an operation makes out of a marked one (an escape sequence, an upper-case form, what `replace` puts in its place) take
its mark; padding and separators keep their own. Where no single character is the origin (a format that pads by its own
rules, a filter that rewraps), the whole result takes the first mark of what went in: see `derived`. `encode` and
numbers lose their marks. Joining n parts costs the number of their runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Self, SupportsIndex

from deepcoder_hf.rendering.traced_runs import Run, Runs, cut, stepped, stretched


class Traced(str):
    """A text and its runs.

    Args:
        text: The text.
        runs: (start, end, mark) of the marked stretches: sorted, not empty, not overlapping.
    """

    __slots__ = ("runs",)
    runs: Runs

    def __new__(cls, text: str = "", runs: Runs = ()) -> Self:
        made = str.__new__(cls, text)
        made.runs = runs
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str.__str__(self), self.runs)

    def marks(self) -> list[Hashable]:
        """The mark of each character, None where it has none; for tests and for looking at a text."""
        found: list[Hashable] = [None] * len(self)
        for start, end, mark in self.runs:
            found[start:end] = [mark] * (end - start)
        return found

    def _cut(self, start: int, end: int) -> Self:
        if start <= 0 and end >= len(self):
            return self
        return type(self)(str.__getitem__(self, slice(start, end)), cut(self.runs, start, end))

    def _stretched(self, text: str, size: Callable[[int, int], int]) -> Self:
        return type(self)(text, self.runs if len(text) == len(self) else stretched(self.runs, size))

    def _joined(self, parts: Iterable[str]) -> Self:
        made = concat(parts)
        return type(self)(made, runs_of(made))

    def _consecutive(self, parts: Iterable[str], gap: int) -> list[Self]:
        found, at = [], 0
        for part in parts:
            found.append(self._cut(at, at + len(part)))
            at += len(part) + gap
        return found

    def _searched(self, parts: Iterable[str]) -> list[Self]:
        found, at = [], 0
        for part in parts:
            at = str.find(self, part, at)
            found.append(self._cut(at, at + len(part)))
            at += len(part)
        return found

    def __str__(self) -> str:
        return self

    def __getitem__(self, key: SupportsIndex | slice) -> Self:
        if isinstance(key, slice):
            indices = range(*key.indices(len(self)))
            if indices.step == 1:
                return self._cut(indices.start, max(indices.start, indices.stop))
            return type(self)(str.__getitem__(self, key), stepped(self.runs, indices))
        str.__getitem__(self, key)  # raises what str raises
        start = int(key.__index__()) % len(self)
        return self._cut(start, start + 1)

    def __iter__(self) -> Iterator[Self]:
        return (self._cut(index, index + 1) for index in range(len(self)))

    def __add__(self, other: str) -> Self:
        return self._joined((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> Self:
        return self._joined((other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> Self:
        text, size = str.__mul__(self, times), len(self)
        if not self.runs or not text:
            return type(self)(text)
        shifts = range(0, len(text), size)
        return type(self)(text, tuple((at + s, at + e, mark) for at in shifts for s, e, mark in self.runs))

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> str:
        from deepcoder_hf.rendering.traced_text import percent

        return percent(self, values)

    def __rmod__(self, template: str) -> str:
        from deepcoder_hf.rendering.traced_text import percent

        return percent(template, self) if isinstance(template, str) else NotImplemented

    def __format__(self, spec: str) -> str:
        from deepcoder_hf.rendering.traced_text import padded

        return padded(self, spec) if spec else self

    def format(self, *args: Any, **kwargs: Any) -> str:
        from deepcoder_hf.rendering.traced_text import TracedFormatter

        return TracedFormatter().vformat(self, args, kwargs)

    def format_map(self, values: Any) -> str:
        from deepcoder_hf.rendering.traced_text import TracedFormatter

        return TracedFormatter().vformat(self, (), values)

    def join(self, parts: Iterable[str]) -> Self:
        spread: list[str] = []
        for part in parts:
            spread += (self, part)
        return self._joined(spread[1:])

    def lstrip(self, chars: str | None = None) -> Self:
        return self._cut(len(self) - len(str.lstrip(self, chars)), len(self))

    def rstrip(self, chars: str | None = None) -> Self:
        return self._cut(0, len(str.rstrip(self, chars)))

    def strip(self, chars: str | None = None) -> Self:
        return self.rstrip(chars).lstrip(chars)

    def removeprefix(self, prefix: str) -> Self:
        return self._cut(len(self) - len(str.removeprefix(self, prefix)), len(self))

    def removesuffix(self, suffix: str) -> Self:
        return self._cut(0, len(str.removesuffix(self, suffix)))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Self]:  # type: ignore[override]
        parts = str.split(self, sep, maxsplit)
        return self._searched(parts) if sep is None else self._consecutive(parts, len(sep))

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Self]:  # type: ignore[override]
        parts = str.rsplit(self, sep, maxsplit)
        return self._searched(parts) if sep is None else self._consecutive(parts, len(sep))

    def splitlines(self, keepends: bool = False) -> list[Self]:  # type: ignore[override]
        lines = self._consecutive(str.splitlines(self, True), 0)
        if keepends:
            return lines
        return [line._cut(0, len(bare)) for line, bare in zip(lines, str.splitlines(self), strict=True)]

    def partition(self, sep: str) -> tuple[Self, Self, Self]:
        before, middle, _ = str.partition(self, sep)
        start, end = len(before), len(before) + len(middle)
        return self._cut(0, start), self._cut(start, end), self._cut(end, len(self))

    def rpartition(self, sep: str) -> tuple[Self, Self, Self]:
        _, middle, after = str.rpartition(self, sep)
        end = len(self) - len(after)
        return self._cut(0, end - len(middle)), self._cut(end - len(middle), end), self._cut(end, len(self))

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> Self:
        if not old:
            text = str.replace(self, old, new, count)
            n_put = (len(text) - len(self)) // len(new) if new else 0
            chars = [part for index in range(min(n_put, len(self))) for part in (new, self._cut(index, index + 1))]
            return self._joined([*chars, new] if n_put > len(self) else [*chars, self._cut(n_put, len(self))])
        pieces = str.split(self, old, count)
        if len(pieces) == 1:
            return self
        parts, at, own = [self._cut(0, len(pieces[0]))], len(pieces[0]), bool(runs_of(new))
        for piece in pieces[1:]:
            replaced = cut(self.runs, at, at + len(old))
            parts.append(trace(new, replaced[0][2]) if replaced and not own else new)  # type: ignore[arg-type]
            at += len(old)
            parts.append(self._cut(at, at + len(piece)))
            at += len(piece)
        return self._joined(parts)

    def upper(self) -> Self:
        return self._stretched(
            str.upper(self), lambda start, end: len(str.__getitem__(self, slice(start, end)).upper())
        )

    def lower(self) -> Self:
        return self._stretched(
            str.lower(self), lambda start, end: len(str.__getitem__(self, slice(start, end)).lower())
        )

    def casefold(self) -> Self:
        plain = str.__str__(self)
        return self._stretched(plain.casefold(), lambda start, end: len(plain[start:end].casefold()))

    def swapcase(self) -> Self:
        plain = str.__str__(self)
        return self._stretched(plain.swapcase(), lambda start, end: len(plain[start:end].swapcase()))

    def capitalize(self) -> Self:
        plain = str.__str__(self)

        def size(start: int, end: int) -> int:
            return len(plain[start:end].lower() if start else plain[:end].capitalize())

        return self._stretched(plain.capitalize(), size)

    def title(self) -> Self:
        plain = str.__str__(self)

        def size(start: int, end: int) -> int:
            before = plain[max(start - 1, 0) : start]  # whether it is a letter decides about the next character
            return len((before + plain[start:end]).title()) - len(before.title())

        return self._stretched(plain.title(), size)

    def translate(self, table: Any) -> Self:
        plain = str.__str__(self)  # stretched even where the length is the same: one character may grow, another go
        runs = stretched(self.runs, lambda start, end: len(plain[start:end].translate(table)))
        return type(self)(plain.translate(table), runs)

    def expandtabs(self, tabsize: SupportsIndex = 8) -> Self:
        plain = str.__str__(self)

        def size(start: int, end: int) -> int:
            line = max(plain.rfind("\n", 0, start), plain.rfind("\r", 0, start)) + 1
            before = plain[line:start].expandtabs(tabsize)
            return len(plain[line:end].expandtabs(tabsize)) - len(before)

        return self._stretched(plain.expandtabs(tabsize), size)

    def center(self, width: SupportsIndex, fillchar: str = " ") -> Self:
        missing = len(str.center(self, width, fillchar)) - len(self)
        left = missing // 2 + (missing & int(width.__index__()) & 1)
        return self._joined((fillchar * left, self, fillchar * (missing - left)))

    def ljust(self, width: SupportsIndex, fillchar: str = " ") -> Self:
        return self._joined((self, fillchar * (len(str.ljust(self, width, fillchar)) - len(self))))

    def rjust(self, width: SupportsIndex, fillchar: str = " ") -> Self:
        return self._joined((fillchar * (len(str.rjust(self, width, fillchar)) - len(self)), self))

    def zfill(self, width: SupportsIndex) -> Self:
        signed = re.match("[+-]?", self)
        sign = signed.end() if signed else 0
        zeros = "0" * (len(str.zfill(self, width)) - len(self))
        return self._joined((self._cut(0, sign), zeros, self._cut(sign, len(self))))


def trace(text: str, mark: Hashable) -> Traced:
    """The text, all of it marked; marks that it had are gone."""
    return Traced(text, ((0, len(text), mark),) if text else ())


def runs_of(text: str) -> Runs:
    """The runs of any text; a plain one has none."""
    if type(text) is str:
        return ()
    return text.runs if isinstance(text, Traced) else ()


def derived(text: str, *origins: Any) -> str:
    """A text made of others in a way that no character can be followed: all of it takes their first mark, if any."""
    mark = next((runs_of(origin)[0][2] for origin in origins if isinstance(origin, str) and runs_of(origin)), None)
    return text if mark is None else trace(text, mark)


def concat(parts: Iterable[str]) -> str:
    """All parts joined: traced if a part has marks, else plain. Touching runs of one mark become one."""
    parts = parts if type(parts) is list or type(parts) is tuple else list(parts)
    if len(parts) == 1 and type(parts[0]) is Traced and parts[0].runs:
        return parts[0]
    runs: list[Run] = []
    at = 0
    for part in parts:
        if type(part) is not str:
            for start, end, mark in runs_of(part):
                if runs and runs[-1][1] == start + at and runs[-1][2] == mark:
                    runs[-1] = (runs[-1][0], end + at, mark)
                else:
                    runs.append((start + at, end + at, mark))
        at += len(part)
    text = "".join(parts)
    return Traced(text, tuple(runs)) if runs else text
