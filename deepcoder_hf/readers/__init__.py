"""Readers: a raw record -> Trajectory. One file a format; `TrajectoryParser` picks the reader by content.

Add a format: a module here with `matches(record) -> bool` and `read(record) -> Trajectory`, and its line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from deepcoder_hf.errors import RecordError, UnknownFormatError
from deepcoder_hf.readers import agent_steps, content, messages, text
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Trajectory


class Reader(Protocol):
    """What a reader module offers."""

    __doc__: str | None

    def matches(self, record: Record) -> bool:
        """Whether the record looks like this format, by its content."""

    def read(self, record: Record) -> Trajectory:
        """Read a record that matches; raises RecordError where it cannot be used."""


READERS: dict[str, Reader] = {
    "messages": messages,
    "agent_steps": agent_steps,
    "content": content,
    "text": text,
}
"""Readers by name, in the order in which they are asked."""


class TrajectoryParser:
    """Reads records of any known format.

    Example:
        >>> TrajectoryParser().parse({"text": "Thought: hm\\nAction: look[x]"}).source_format
        'text'
    """

    def parse(self, record: Any) -> Trajectory:
        """Read one record with the first reader that takes it.

        Args:
            record: A raw record: an object as JSON gives it.

        Raises:
            UnknownFormatError: No reader takes it.
            RecordError: Its reader cannot use it.
        """
        if not isinstance(record, Mapping):
            raise RecordError(f"expected an object, got {type(record).__name__}", "not_an_object")
        filled = _filled(record)
        for candidate in (filled, record) if len(filled) < len(record) else (record,):
            if (name := _reader_of(candidate)) is not None:
                return READERS[name].read(candidate)
        keys = ", ".join(repr(key) for key in list(record)[:12]) or "none"
        raise UnknownFormatError(f"no reader takes a record with the keys {keys}; {known_formats()}")

    def format_of(self, record: Record) -> str | None:
        """Name of the format of a record, or None."""
        return _reader_of(_filled(record)) or _reader_of(record)


def known_formats() -> str:
    """One line that names the formats and what they look like: the first line of each reader's docstring."""
    shapes = ((name, (reader.__doc__ or "no description").split("\n", 1)[0]) for name, reader in READERS.items())
    return "known formats: " + "; ".join(f"{name} ({shape.rstrip('.')})" for name, shape in shapes)


def _reader_of(record: Record) -> str | None:
    return next((name for name, reader in READERS.items() if reader.matches(record)), None)


def _filled(record: Record) -> Record:
    """The record without its empty lists and strings: it is asked first, so that one beside text hides nothing."""
    return {key: value for key, value in record.items() if not (isinstance(value, list | str) and not value)}
