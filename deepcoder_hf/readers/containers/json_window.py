"""The piece of a JSON text in memory: it grows until a value is complete, and forgets what was taken."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from typing import Any

from deepcoder_hf.readers.containers.compression import ByteSource
from deepcoder_hf.readers.containers.raw_record import EXCERPT_CHARS, RawRecord, RecordDecoder, undecodable_at

_NEAR_END_CHARS = 16
"""An error this close to the end of the piece may be a literal or an escape that is cut there."""
_IN_STRING = re.compile(r'["\\]')
_OUT_OF_STRING = re.compile(r'["\[\]{}]')
_NO_SPACE = re.compile(r"[^ \t\r\n]")


@dataclass(frozen=True, slots=True)
class Value:
    """One decoded value, or why it could not be decoded."""

    line: int
    content: Any = None
    reject: RawRecord | None = None
    end: int = -1
    """Where it ends in the window's text; -1 if that is not known."""


class Window:
    """The part of the text that is looked at: it grows until a value is complete, and forgets what was taken.

    Attributes:
        source: Where more text comes from.
        text: The piece in memory.
        pos: Index in `text` of the first character that is not taken.
        line: Its line in the file, from 1.
        stopped: The place where the next value begins is not known.
    """

    def __init__(self, source: ByteSource, decoder: RecordDecoder) -> None:
        self.source = source
        self.text = ""
        self.pos = 0
        self.line = 1
        self.stopped = False
        self._column = 0
        self._decoder = decoder
        self._bytes_to_text = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._ended = False

    def at_end(self) -> bool:
        """Whether nothing is left, in the window and behind it."""
        return self._ended and self.pos >= len(self.text)

    def peek(self, n: int) -> str:
        """Return the next n characters, fewer only at the end of the text."""
        self._fill(n)
        return self.text[self.pos : self.pos + n]

    def take(self, end: int) -> None:
        """Move on to index `end` of `text`."""
        n_lines = self.text.count("\n", self.pos, end)
        if n_lines:
            self.line += n_lines
            self._column = end - self.text.rfind("\n", self.pos, end) - 1
        else:
            self._column += end - self.pos
        self.pos = end

    def skip_space(self) -> str:
        """Take white space and return the next character, empty at the end."""
        while True:
            if found := _NO_SPACE.search(self.text, self.pos):
                self.take(found.start())
                return found.group()
            self.take(len(self.text))
            if self._ended:
                return ""
            self._fill(1)

    def decode(self, consequence: str = "") -> Value | None:
        """Decode the value at `pos` without taking it.

        Args:
            consequence: What is lost if the end of the value cannot be found; continues the message of the reject.

        Returns:
            The value or a reject; None if the source broke off inside the value (its text is then the leftover).
        """
        # What came of a value must not depend on how much of the text happens to be in memory: the limit is checked
        # where a piece of just the limit would have met it.
        max_chars = self._decoder.max_bytes
        while True:
            n_chars = len(self.text) - self.pos
            try:
                content, end = self._decoder.raw_decode(self.text, self.pos)
            except json.JSONDecodeError as error:
                at = error.pos - self.pos
                is_certain = at < n_chars - _NEAR_END_CHARS and not error.msg.startswith("Unterminated")
                if is_certain and at <= max_chars - _NEAR_END_CHARS:
                    return self.broken(error, consequence)
                if n_chars > max_chars:
                    return self._skipped(None, consequence)
                if self._ended:
                    return None if self._broke_off() else self.broken(error, consequence)
            except RecursionError as error:
                return self._skipped(error, consequence)
            except ValueError as error:
                end = self._end_of_long_integer()
                if 0 <= end <= self.pos + max_chars and self._is_complete(end):
                    return Value(self.line, reject=self._failed(error, "", end), end=end)
                if n_chars > max_chars:
                    return self._skipped(None, consequence)
                if self._ended:
                    return Value(self.line, reject=self._failed(error, consequence))
            else:
                if self._is_complete(end):
                    return self._checked(content, end)
            # Doubled, so that all attempts together cost twice the last one.
            self._fill(min(max(2 * n_chars, 1), max(max_chars, n_chars) + 1))

    def broken(self, error: json.JSONDecodeError, consequence: str) -> Value:
        """Return the reject of an error whose `doc` is `text` (or what follows `pos`, with an error at 0)."""
        at = max(0, error.pos - self.pos)
        self._fill(at + _NEAR_END_CHARS)
        own = json.JSONDecodeError(error.msg, self.text[self.pos : self.pos + at + _NEAR_END_CHARS], at)
        return Value(self.line, reject=self._failed(own, consequence))

    def to_next_document(self, may_be_flat: bool) -> bool:
        """Take all up to the next line that begins with `{`, in constant memory.

        Args:
            may_be_flat: Do so too if the line after this one is not indented.

        Returns:
            Whether there is such a line.
        """
        while True:
            newline = self.text.find("\n", self.pos)
            self.take(newline + 1 if newline >= 0 else len(self.text))
            first = self.peek(1)
            if not first:
                return False
            if newline < 0:
                continue
            if first == "{" and may_be_flat:
                return True
            if not may_be_flat and first not in " \t\r\n":
                return False
            may_be_flat = True

    def _is_complete(self, end: int) -> bool:
        """Whether a value that seems to end at `end` does: a number at the end of the piece may go on behind it."""
        return end < len(self.text) or self._ended or self.text[end - 1] in '}]"'

    def _checked(self, content: Any, end: int) -> Value:
        n_bytes = end - self.pos
        if n_bytes * 4 > self._decoder.max_bytes:
            n_bytes = len(self.text[self.pos : end].encode("utf-8", "surrogateescape"))
        self._decoder.n_bytes += n_bytes
        excerpt_end = min(end, self.pos + EXCERPT_CHARS)
        reject: RawRecord | None = None
        if n_bytes > self._decoder.max_bytes:
            reject = self._decoder.too_large(self.line, n_bytes, self.text[self.pos : excerpt_end])
        elif not self.text.isascii() and (bad := undecodable_at(self.text, self.pos, end)) >= 0:
            reject = self._decoder.not_utf8(self.line, bad - self.pos, self.text[self.pos : excerpt_end])
        return Value(self.line, content, reject, end)

    def _skipped(self, error: RecursionError | None, consequence: str) -> Value:
        """Take a value that is too large or, with an error, too deep, without holding it in memory."""
        line, column, excerpt = self.line, self._column, self.peek(EXCERPT_CHARS)
        is_complete, n_chars = self._skip_value()
        excerpt = excerpt[:n_chars]
        if is_complete:
            consequence = ""
        if error is None or n_chars > self._decoder.max_bytes:
            reject = self._decoder.too_large(line, n_chars, excerpt, consequence)
        else:
            reject = self._decoder.failed(error, line, excerpt, consequence, column)
        return Value(line, reject=reject, end=self.pos if is_complete else -1)

    def _skip_value(self) -> tuple[bool, int]:
        """Take the value at `pos` by its brackets and quotes alone; return whether its end came, and its length."""
        n_taken, depth, in_string, at = 0, 0, False, self.pos
        while True:
            found = (_IN_STRING if in_string else _OUT_OF_STRING).search(self.text, at)
            if found is None or (found.group() == "\\" and found.end() == len(self.text)):
                end = found.start() if found else len(self.text)
                n_taken += end - self.pos
                self.take(end)
                self._fill(len(self.text) - end + 1)
                if self._ended and len(self.text) - self.pos <= 1:
                    return False, n_taken
                at = self.pos
                continue
            at = found.end()
            if found.group() == "\\":
                at += 1
            elif found.group() == '"':
                in_string = not in_string
            else:
                depth += 1 if found.group() in "[{" else -1
            if depth <= 0 and not in_string:
                n_taken += at - self.pos
                self.take(at)
                return True, n_taken

    def _fill(self, n_chars: int) -> None:
        n = len(self.text) - self.pos
        if n >= n_chars or self._ended:
            return
        pieces = [self.text[self.pos :]]
        while n < n_chars and not self._ended:
            block = self.source.read()
            self._ended = not block
            pieces.append(self._bytes_to_text.decode(block, final=not block))
            n += len(pieces[-1])
        self.text, self.pos = "".join(pieces), 0

    def _broke_off(self) -> bool:
        if self.source.problem is not None:
            self.source.leftover = self.text[self.pos : self.pos + EXCERPT_CHARS]
        return self.source.problem is not None

    def _end_of_long_integer(self) -> int:
        try:
            return self._decoder.end_of_long_integer(self.text, self.pos)
        except json.JSONDecodeError:
            return -1

    def _failed(self, error: Exception, consequence: str, end: int | None = None) -> RawRecord:
        excerpt = self.text[self.pos : end] if end is not None else self.peek(EXCERPT_CHARS)
        return self._decoder.failed(error, self.line, excerpt, consequence, self._column)
