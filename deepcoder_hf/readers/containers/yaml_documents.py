"""YAML documents as records, with limits against depth and against aliases that multiply.

Plain scalars are read by the YAML 1.2 core rules, so that `no`, `12:30` and `2026-01-31` stay the texts that they are.
Aliases are read (recorders write them for what they share), but what they stand for is measured first.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from deepcoder_hf.readers.containers.compression import ByteSource
from deepcoder_hf.readers.containers.raw_record import (
    EXCERPT_CHARS,
    RawRecord,
    RecordDecoder,
    clean_excerpt,
    excerpt_of,
)

YAML_SUFFIXES = frozenset({".yaml", ".yml"})
ALIAS_RATIO = 10
"""How many times its own length a document may become when its aliases are written out."""
ALIAS_FREE_CHARS = 1 << 20
"""What a document may become in any case."""
_REST = "; the rest of the file was not read"


def iter_yaml(source: ByteSource, decoder: RecordDecoder, max_depth: int) -> Iterator[RawRecord]:
    """Yield the records of a YAML file: its documents, or the elements of one that is a list of objects.

    Args:
        source: The bytes of the file.
        decoder: Holds the limits and the name of the file.
        max_depth: Deepest nesting.

    Yields:
        Records and rejects: `record_too_large`, `not_utf8`, `broken_yaml`, `yaml_too_deep`, `yaml_alias_bomb`,
        `integer_too_long`, `not_an_object`. What follows a document that cannot be read is not read. Why the bytes
        ended early (`source.problem`) is left to the caller.
    """
    raw = bytearray()
    while len(raw) <= decoder.max_bytes and (block := source.read()):
        raw += block
    if len(raw) > decoder.max_bytes:
        yield decoder.too_large(1, len(raw), excerpt_of(raw), "; a YAML file is read whole")
        return
    if source.problem is not None:
        source.leftover = excerpt_of(raw)
        return
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield decoder.not_utf8(1, error.start, excerpt_of(raw))
        return
    yield from _records(text, decoder, max_depth)


def _records(text: str, decoder: RecordDecoder, max_depth: int) -> Iterator[RawRecord]:
    excerpt = clean_excerpt(text[:EXCERPT_CHARS])
    line = 1
    try:
        starts = _measured(text, max_depth)
        loader = _Loader(text)
        try:
            for line in starts:
                if not loader.check_data():  # type: ignore[no-untyped-call]
                    break
                yield from _elements(_as_json(loader.get_data()), line, decoder, excerpt)
        finally:
            loader.dispose()
    except _Refused as refused:
        yield RawRecord(refused.line, None, refused.reason, f"{decoder.name}:{refused.line}: {refused}{_REST}", excerpt)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError) as error:
        # The last three are what PyYAML raises for tags on nodes that they do not fit, such as `!!int x`.
        mark = getattr(error, "problem_mark", None)
        at = line if mark is None else mark.line + 1
        reason = "integer_too_long" if "integer string conversion" in str(error) else "broken_yaml"
        problem = " ".join(str(getattr(error, "problem", None) or error).split())[:300]
        message = (
            f"{decoder.name}:{at}: expected YAML of plain data, got: {problem}; repair or drop the document{_REST}"
        )
        yield RawRecord(at, None, reason, message, excerpt)


def _elements(value: Any, line: int, decoder: RecordDecoder, excerpt: str) -> Iterator[RawRecord]:
    """A document as records: a list of objects is several, unless they are the messages of one chat."""
    if value is None:
        return
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, dict):
        if "role" in first and "content" in first:
            yield RawRecord(line, {"messages": value})
            return
        for element in value:
            yield from _elements(element if isinstance(element, dict) else [], line, decoder, excerpt)
    elif isinstance(value, dict):
        yield RawRecord(line, value)
    else:
        kind = "a list" if isinstance(value, list) else type(value).__name__
        message = f"{decoder.name}:{line}: expected a YAML object, got {kind}; write one object a document"
        yield RawRecord(line, None, "not_an_object", message, excerpt)


class _Refused(Exception):
    """A document passes a limit."""

    def __init__(self, message: str, reason: str, line: int) -> None:
        super().__init__(message, reason, line)
        self.reason = reason
        self.line = line

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(slots=True)
class _Open:
    """A list or an object whose end was not seen yet."""

    anchor: str | None
    n_chars: int = 0
    depth: int = 1


@dataclass(slots=True)
class _Measure:
    """What a document becomes when its aliases are written out."""

    max_depth: int
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[int, int]] = field(default_factory=dict)
    n_chars: int = 0

    def add(self, n_chars: int, depth: int, anchor: str | None, line: int) -> None:
        """Count a value that is complete."""
        if anchor is not None:
            self.anchors[anchor] = (n_chars, depth)
        if len(self.stack) + depth > self.max_depth + 1:
            message = f"expected YAML of at most {self.max_depth} levels, got more; see readers.max_depth"
            raise _Refused(message, "yaml_too_deep", line)
        if self.stack:
            top = self.stack[-1]
            top.n_chars += n_chars
            top.depth = max(top.depth, depth + 1)
        else:
            self.n_chars = n_chars

    def alias(self, name: str, line: int) -> None:
        """Count what an alias stands for."""
        if name not in self.anchors:
            message = f"expected aliases of values that are complete, got *{name} inside its own value or before it"
            raise _Refused(message, "yaml_alias_bomb", line)
        n_chars, depth = self.anchors[name]
        self.add(n_chars, depth, None, line)


def _measured(text: str, max_depth: int) -> list[int]:
    """The first lines of the documents, all of which are within the limits; parsing alone builds nothing."""
    starts: list[int] = []
    limit = max(ALIAS_FREE_CHARS, ALIAS_RATIO * len(text))
    measure = _Measure(max_depth)
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            starts.append(line + 1 if event.explicit else line)
            measure = _Measure(max_depth)
        elif isinstance(event, yaml.ScalarEvent):
            measure.add(len(event.value) + 1, 0, event.anchor, line)
        elif isinstance(event, yaml.AliasEvent):
            measure.alias(event.anchor or "", line)
        elif isinstance(event, yaml.CollectionStartEvent):
            measure.stack.append(_Open(event.anchor, 2))
            measure.anchors.pop(event.anchor or "", None)
            if len(measure.stack) > max_depth:
                measure.add(0, max_depth, None, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = measure.stack.pop()
            measure.add(ended.n_chars, ended.depth, ended.anchor, line)
        if max([measure.n_chars, *(o.n_chars for o in measure.stack[-1:])]) > limit:
            message = f"expected aliases that stand for at most {limit} characters, got more; write the values out"
            raise _Refused(message, "yaml_alias_bomb", line)
    return starts


class _Loader(yaml.CSafeLoader):
    """Plain data only, with the scalars of the YAML 1.2 core schema."""

    yaml_implicit_resolvers: Mapping[str, Any] = {}  # type: ignore[assignment]

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """An object whose keys are texts; in Python 1 and true would be the same key."""
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "expected an object", node.start_mark)
        self.flatten_mapping(node)
        return {self._key(name): self.construct_object(value, deep=deep) for name, value in node.value}

    def construct_yaml_set(self, node: Any) -> list[str]:  # type: ignore[override]
        """The elements of a set, in their order."""
        return list(self.construct_mapping(node))

    def _key(self, node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "expected a key that is a text", node.start_mark)
        key = _as_json(self.construct_object(node, deep=True))
        return key if isinstance(key, str) else json.dumps(key)


_Loader.add_constructor("tag:yaml.org,2002:set", _Loader.construct_yaml_set)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?|\.[0-9]+)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _as_json(value: Any) -> Any:
    """A value as JSON would give it: keys are texts, bytes are their text or base64, dates are ISO texts."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, float) and value - value != 0.0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value.isoformat() if isinstance(value, date) else value
