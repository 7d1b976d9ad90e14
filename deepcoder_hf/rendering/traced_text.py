"""Formatting that keeps marks: JSON, Python's repr of containers, `%` and `str.format`."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from deepcoder_hf.rendering.traced import Traced, concat, derived, runs_of, trace
from deepcoder_hf.rendering.traced_runs import Run, stretched

_SPEC = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?(?P<flags>[-+ #0]*)(?P<width>\d*)(?P<precision>\.\d*)?[hlL]?(?P<kind>.)", re.S
)
"""One conversion of printf, such as `%s`, `%-8.3s` or `%(name)s`; those with `*` or nested brackets do not match."""
_FORMAT = re.compile(r"(?:(?P<fill>.)?(?P<align>[<>^]))?(?P<zero>0?)(?P<width>\d*)(?:\.(?P<precision>\d+))?s?", re.S)
"""A format specification of text, such as `>8` or `*^20.5s`."""

MAX_WAYS = 8
"""In so many ways the text of a definition is kept; a template uses one or two."""


class Definition(dict[str, Any]):
    """A JSON object that many conversations hold, such as the definition of a tool: as JSON all of it has one mark.

    Args:
        value: The object; its strings may have marks of their own.
        mark: The mark of its text as `json_text` gives it, which is kept.
    """

    __slots__ = ("_mark", "_written")

    def __init__(self, value: Mapping[str, Any], mark: Hashable) -> None:
        super().__init__(value)
        self._mark = mark
        self._written: dict[str, str] = {}


def json_text(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
    on_container: Callable[[int], None] | None = None,
) -> str:
    """What json.dumps gives; every string in it, keys too, keeps its marks, an escape sequence that of its character.

    Args:
        value: A JSON value.
        ensure_ascii, indent, separators, sort_keys: As json.dumps has them.
        on_container: Called with the size of each list and object before anything is written; may raise.
    """
    if type(value) is Definition:
        key = repr((ensure_ascii, indent, separators, sort_keys))
        if (kept := value._written.get(key)) is None:
            kept = json.dumps(
                value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
            )
            kept = trace(kept, value._mark)
            if len(value._written) < MAX_WAYS:
                value._written[key] = kept
        return kept
    leaves: list[str | None] = []
    marked = _strings(value, sort_keys, leaves, on_container or _ignore)
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    if not marked:
        return text
    if '"' in "".join(separators or ()) or (isinstance(indent, str) and '"' in indent):
        return derived(text, *(leaf for leaf in leaves if leaf is not None))
    encode = encode_basestring_ascii if ensure_ascii else encode_basestring
    runs: list[Run] = []
    at = 0
    for leaf in leaves:  # each is one pair of quotes in the text, in this order
        at = text.index('"', at) + 1
        size = len(encode(leaf)) - 2 if leaf is not None else text.index('"', at) - at
        if own := runs_of(leaf or ""):
            if size != len(leaf or ""):
                own = stretched(own, _escaped_size(str.__str__(leaf), encode))
            runs += [(start + at, end + at, mark) for start, end, mark in own]
        at += size + 1
    return Traced(text, tuple(runs))


def _ignore(size: int) -> None:
    return


def _escaped_size(plain: str, encode: Callable[[str], str]) -> Callable[[int, int], int]:
    return lambda start, end: len(encode(plain[start:end])) - 2


def _strings(value: Any, sort_keys: bool, found: list[str | None], on_container: Callable[[int], None]) -> bool:
    """Append what json.dumps puts between quotes, in order (None: a key that is no text); whether any has marks."""
    if isinstance(value, str):
        found.append(value)
        return type(value) is not str and bool(runs_of(value))
    marked = False
    if isinstance(value, dict):
        on_container(len(value))
        for key, item in sorted(value.items()) if sort_keys else value.items():
            if isinstance(key, str):
                found.append(key)
                marked |= type(key) is not str and bool(runs_of(key))
            else:
                found.append(None)
            marked |= _strings(item, sort_keys, found, on_container)
    elif isinstance(value, list | tuple):
        on_container(len(value))
        for item in value:
            marked |= _strings(item, sort_keys, found, on_container)
    return marked


def repr_text(value: Any, on_container: Callable[[int], None] | None = None) -> str:
    """What repr gives of JSON values (a template that prints a list or an object prints this); strings keep marks."""
    return concat(list(_repr_parts(value, on_container or _ignore)))


def _repr_parts(value: Any, on_container: Callable[[int], None]) -> Iterator[str]:
    if isinstance(value, Traced) and type(value).__repr__ is str.__repr__:
        yield _repr_of(value)
    elif type(value) in (dict, Definition):
        on_container(len(value))
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield ", " if index else ""
            yield from _repr_parts(key, on_container)
            yield ": "
            yield from _repr_parts(item, on_container)
        yield "}"
    elif type(value) in (list, tuple):
        on_container(len(value))
        yield "[" if type(value) is list else "("
        for index, item in enumerate(value):
            yield ", " if index else ""
            yield from _repr_parts(item, on_container)
        yield "]" if type(value) is list else ",)" if len(value) == 1 else ")"
    else:
        yield repr(value)


def _repr_of(text: Traced) -> Traced:
    plain, shown = str.__str__(text), str.__repr__(text)
    # Which quote repr takes depends on the whole text: these endings make it take the same for a part.
    ending = "'" if shown[0] == '"' else "'\"" if "'" in plain else ""
    spare = len(repr(ending))

    def size(start: int, end: int) -> int:
        return len(repr(plain[start:end] + ending)) - spare

    return Traced(shown, tuple((start + 1, end + 1, mark) for start, end, mark in stretched(text.runs, size)))


def percent(template: str, values: Any) -> str:
    """`template % values`; what `%s` and `%r` put in keeps its marks."""
    whole = str.__mod__(str.__str__(template), values)
    made = _percent(template, values)
    inner = values.values() if isinstance(values, Mapping) else values if isinstance(values, tuple) else (values,)
    return made if made == whole else derived(whole, template, *inner)


def _percent(template: str, values: Any) -> str | None:
    """The result put together from its parts; None where that would need printf's own rules."""
    source = template if isinstance(template, Traced) else Traced(template)
    given = list(values) if isinstance(values, tuple) else [values]
    parts: list[str] = []
    at = 0
    for found in _SPEC.finditer(source):
        parts.append(source[at : found.start()])
        at = found.end()
        if found["kind"] == "%":
            parts.append(source[at - 1 : at])
            continue
        if found["key"] is None and not given:
            return None
        value = values[found["key"]] if found["key"] is not None else given.pop(0)
        if found["kind"] in "sr":
            text = text_of(value) if found["kind"] == "s" else repr_text(value)
            text = text[: int(found["precision"][1:] or 0)] if found["precision"] else text
            width = int(found["width"] or 0)
            parts.append(text.ljust(width) if "-" in found["flags"] else text.rjust(width))
        else:
            parts.append(re.sub(r"^%\(.*?\)", "%", found[0], flags=re.S) % (value,))
    return concat([*parts, source[at:]])


def text_of(value: Any, on_container: Callable[[int], None] | None = None) -> str:
    """What str gives, with marks."""
    if isinstance(value, dict | list | tuple):
        return repr_text(value, on_container)
    return str(value)


def padded(text: Traced, spec: str) -> str:
    """What format(text, spec) gives."""
    whole = str.__format__(str.__str__(text), str.__str__(spec))
    found = _FORMAT.fullmatch(spec)
    if not found:
        return derived(whole, text)
    kept = text[: int(found["precision"])] if found["precision"] else text
    fill = found["fill"] or found["zero"] or " "
    missing = max(int(found["width"] or 0) - len(kept), 0)
    left = {"<": 0, ">": missing, "^": missing // 2}[found["align"] or "<"]
    made = concat((fill * left, kept, fill * (missing - left)))
    return made if made == whole else derived(whole, text)


class TracedFormatter(string.Formatter):
    """str.format whose fields keep their marks; literal parts of a marked template are found by their text."""

    def vformat(self, format_string: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """See string.Formatter."""
        made, _ = self._formatted(format_string, args, kwargs, 2, 0)
        return made

    def _formatted(
        self, template: str, args: Sequence[Any], kwargs: Mapping[str, Any], depth: int, automatic: int
    ) -> tuple[str, int]:
        if depth < 0:
            raise ValueError("Max string recursion exceeded")
        parts: list[str] = []
        at = 0
        for literal, name, spec, conversion in self.parse(str.__str__(template)):
            if literal:
                at = max(template.find(literal, at), 0)
                parts.append(template[at : at + len(literal)] if runs_of(template) else literal)
                at += len(literal)
            if name is None:
                continue
            name, automatic = _numbered(name, automatic)
            value = self.convert_field(self.get_field(name, args, kwargs)[0], conversion)
            spec, automatic = self._formatted(spec or "", args, kwargs, depth - 1, automatic)
            parts.append(self.format_field(value, spec))
        return concat(parts), automatic

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """See string.Formatter."""
        return args[key] if isinstance(key, int) else kwargs[key]

    def format_field(self, value: Any, format_spec: str) -> str:
        """See string.Formatter."""
        if isinstance(value, dict | list | tuple) and not format_spec:
            return text_of(value)
        return format(value, format_spec)

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        """See string.Formatter."""
        if conversion in ("s", "r"):
            return text_of(value) if conversion == "s" else repr_text(value)
        return super().convert_field(value, conversion)


def _numbered(name: str, automatic: int) -> tuple[str, int]:
    """The name of a field with its automatic number; -1 once fields are numbered by hand."""
    first = re.split(r"[.\[]", name, maxsplit=1)[0]
    if first == "":
        if automatic < 0:
            raise ValueError("cannot switch from manual field specification to automatic field numbering")
        return f"{automatic}{name}", automatic + 1
    if first.isdigit():
        if automatic > 0:
            raise ValueError("cannot switch from manual field specification to automatic field numbering")
        return name, -1
    return name, automatic


def strings_of(value: Any) -> list[str]:
    """Every text in a JSON value, keys too."""
    leaves: list[str | None] = []
    _strings(value, False, leaves, _ignore)
    return [leaf for leaf in leaves if leaf is not None]
