"""One raw record, and the JSON text of one record under the limits of `ReadersConfig`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deepcoder_hf.config import ReadersConfig

EXCERPT_CHARS = 10_000
"""Longest excerpt of a broken record that is kept for `rejected.jsonl`."""

SPACE = " \t\r\n"
"""What JSON takes for white space."""

_BYTES_PER_STEP = 64
"""Bytes of text in which `str.count` finds two characters in the time of one step of a walk (measured: 0.64 ns a byte
against 40 ns)."""
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as its container holds it, or the reason why there is none."""

    line: int
    """1-based line of its first character in text, 1-based record number elsewhere, 0 for the file itself."""
    record: dict[str, Any] | None
    """The JSON object; None for a reject."""
    reason: str = ""
    """Reason code of a reject; empty where the record is fine."""
    message: str = ""
    """What was expected, what came, where, and what to do."""
    excerpt: str = ""
    """The first 10,000 characters of a broken record, undecodable bytes as U+FFFD."""


class RecordDecoder:
    """Turns the JSON text of records into `RawRecord`s.

    Args:
        name: Name of the file, for messages.
        limits: The section `readers` of the configuration.

    Attributes:
        n_bytes: Size of the records so far, as far as they were within the limit.
    """

    def __init__(self, name: str, limits: ReadersConfig) -> None:
        self.name = name
        self.max_bytes = limits.max_record_bytes
        self.n_bytes = 0
        self._max_depth = limits.max_depth
        python_digits = sys.get_int_max_str_digits()
        self._max_digits = min(limits.max_integer_digits, python_digits or limits.max_integer_digits)
        # Python stops at its own limit without any hook, which saves a call for each integer.
        hook = None if self._max_digits == python_digits else self._integer
        self.raw_decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(
            parse_constant=str, parse_float=_finite, parse_int=hook
        ).raw_decode
        self._raw_decode_any_integer = json.JSONDecoder(parse_constant=str, parse_int=str).raw_decode

    def line(self, raw: bytes, line: int, n_before: int = 0) -> RawRecord:
        """Decode one line of JSONL that is not blank; n_before characters of it were cut off."""
        if len(raw) > self.max_bytes:
            return self.too_large(line, len(raw), excerpt_of(raw))
        self.n_bytes += len(raw)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            return self.not_utf8(line, error.start, excerpt_of(raw))
        try:
            value, end = self.raw_decode(text, 0)
            if end != len(text) and (rest := text[end:].lstrip(SPACE)):
                raise json.JSONDecodeError("Expecting the end of the record", text, len(text) - len(rest))
        except (ValueError, RecursionError) as error:
            n_space = len(text) - len(text.lstrip(SPACE))
            if n_space:  # raw_decode takes none; rare enough to be handled where it fails
                self.n_bytes -= len(raw) - n_space
                return self.line(raw[n_space:], line, n_space)
            return self.failed(error, line, excerpt_of(raw), column=n_before)
        if type(value) is dict and self.is_shallow(value, text, 0, end):
            return RawRecord(line, value)
        return self.checked(value, line, text, 0, end)

    def checked(self, value: Any, line: int, text: str, start: int, end: int) -> RawRecord:
        """Wrap a decoded value: it must be an object and not too deep; text[start:end] is its JSON."""
        excerpt_end = min(end, start + EXCERPT_CHARS)
        if not isinstance(value, dict):
            message = f"{self.name}:{line}: expected a JSON object, got {_kind(value)}; write one object a record"
            return RawRecord(line, None, "not_an_object", message, clean_excerpt(text[start:excerpt_end]))
        if not self.is_shallow(value, text, start, end):
            return self.failed(RecursionError(), line, clean_excerpt(text[start:excerpt_end]))
        return RawRecord(line, value)

    def is_shallow(self, value: Any, text: str, start: int, end: int) -> bool:
        """Whether the value nests at most `max_depth` levels.

        Walking over the containers is cheaper than counting the brackets of the text as long as strings prevail; a
        record of many small values has its brackets counted, and is walked only if they could nest too deep.
        """
        level = [value] if isinstance(value, dict | list) else []
        budget: float = (end - start) // _BYTES_PER_STEP
        for _ in range(self._max_depth):
            budget -= sum(map(len, level))
            if budget < 0:
                if text.count("{", start, end) + text.count("[", start, end) <= self._max_depth:
                    return True
                budget = float("inf")
            level = [
                child
                for node in level
                for child in (node.values() if type(node) is dict else node)
                if type(child) is dict or type(child) is list
            ]
            if not level:
                return True
        return not level

    def end_of_long_integer(self, text: str, start: int) -> int:
        """Return where the value at `start` ends when integers may be of any length."""
        return self._raw_decode_any_integer(text, start)[1]

    def failed(self, error: Exception, line: int, excerpt: str, consequence: str = "", column: int = 0) -> RawRecord:
        """Wrap what `raw_decode` raised for the record that starts on `line` after `column` characters.

        Args:
            error: JSONDecodeError (with the record's own text as `doc`), RecursionError, or ValueError for an integer.
            line: Where the record starts.
            excerpt: Its text, of any length.
            consequence: What else is lost; continues the message.
            column: Characters before the record in its first line.
        """
        where = f"{self.name}:{line}"
        if isinstance(error, RecursionError):
            message = f"{where}: expected JSON of at most {self._max_depth} levels, got more; see readers.max_depth"
            reason = "json_too_deep"
        elif isinstance(error, json.JSONDecodeError):
            found = repr(error.doc[error.pos : error.pos + 12]) if error.pos < len(error.doc) else "the end"
            at = f"{self.name}:{line + error.lineno - 1}: column {error.colno + column * (error.lineno == 1)}"
            expected = error.msg.replace("Expecting", "expected", 1)
            message = f"{at}: {expected}, found {found}; repair or drop the record"
            reason = "broken_json"
        else:
            message = (
                f"{where}: expected integers of at most {self._max_digits} digits, got a longer one; "
                "write it as a string"
            )
            reason = "integer_too_long"
        return RawRecord(line, None, reason, message + consequence, clean_excerpt(excerpt))

    def too_large(self, line: int, n_bytes: int, excerpt: str, consequence: str = "") -> RawRecord:
        """Reject a record of which n_bytes were seen."""
        message = (
            f"{self.name}:{line}: expected a record of at most {self.max_bytes} bytes, got {n_bytes}; "
            f"raise readers.max_record_bytes{consequence}"
        )
        return RawRecord(line, None, "record_too_large", message, clean_excerpt(excerpt))

    def not_utf8(self, line: int, offset: int, excerpt: str) -> RawRecord:
        """Reject a record whose byte (or character, in a stream) at `offset` is not UTF-8."""
        message = f"{self.name}:{line}: expected UTF-8, got another byte at {offset} of the record; convert the file"
        return RawRecord(line, None, "not_utf8", message, clean_excerpt(excerpt))

    def _integer(self, literal: str) -> int:
        if len(literal.lstrip("-")) > self._max_digits:
            raise ValueError("integer too long")
        return int(literal)


def excerpt_of(raw: bytes | bytearray) -> str:
    """Return the first characters of raw bytes, U+FFFD where they are not UTF-8."""
    return bytes(raw[: 4 * EXCERPT_CHARS]).decode("utf-8", "replace")[:EXCERPT_CHARS]


def clean_excerpt(text: str) -> str:
    """Return the first characters of a text, U+FFFD for what stands for an undecodable byte."""
    return _SURROGATES.sub("\ufffd", text[:EXCERPT_CHARS])


def undecodable_at(text: str, start: int, end: int) -> int:
    """Return the index of the first character that stands for an undecodable byte, or -1."""
    found = _SURROGATES.search(text, start, end)
    return found.start() if found else -1


def _finite(literal: str) -> float | str:
    """Return a float, or its name where the literal (1e999) is beyond what a float holds."""
    number = float(literal)
    if number - number == 0.0:
        return number
    return "Infinity" if number > 0 else "-Infinity"


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return names.get(type(value), "null")
