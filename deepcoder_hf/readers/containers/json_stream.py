"""Text to raw records: JSONL, concatenated JSON documents, JSON arrays, sessions, or the whole text as one record."""

from __future__ import annotations

import json
from collections.abc import Iterator

from deepcoder_hf.readers.containers.compression import ByteSource
from deepcoder_hf.readers.containers.files import text_suffix
from deepcoder_hf.readers.containers.json_documents import iter_documents
from deepcoder_hf.readers.containers.raw_record import EXCERPT_CHARS, RawRecord, RecordDecoder, excerpt_of
from deepcoder_hf.readers.containers.session_lines import grouped

JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".traj"})
"""In a file of these suffixes a line that is no JSON is a broken record, not prose."""

_BOM = b"\xef\xbb\xbf"
_EXCERPT_BYTES = 4 * EXCERPT_CHARS
_PEEK_BYTES = 1 << 20
"""How far the second line of a file is looked for when the first one leaves the layout open."""


def iter_text(source: ByteSource, decoder: RecordDecoder) -> Iterator[RawRecord]:
    """Yield the records of a text; its layout is decided by its first two lines.

    Args:
        source: The bytes of the file.
        decoder: Decodes a record, and holds the limits and the name of the file.

    Yields:
        Records and rejects in the order of the file; nothing for an empty file. Why the bytes ended early
        (`source.problem`) is left to the caller.
    """
    if source.peek(3) == _BOM:
        source.drop(3)
    suffix = text_suffix(decoder.name)
    if suffix == ".txt":
        yield from _whole_text(source, decoder)
        return
    start = source.peek_text(_PEEK_BYTES)
    first = bytes(source.head[start : start + 1]) if start >= 0 else b""
    if first in (b"{", b"["):
        layout = _iter_lines if _is_jsonl(source, start, decoder.max_bytes) else iter_documents
        yield from grouped(layout(source, decoder), decoder)
    elif suffix in JSON_SUFFIXES:
        yield from grouped(_iter_lines(source, decoder), decoder)
    else:
        yield from _whole_text(source, decoder)


def _is_jsonl(source: ByteSource, start: int, max_bytes: int) -> bool:
    """Whether the text that begins at `start` of the look ahead with { or [ has one record a line."""
    is_object = source.head[start] == ord("{")
    first_end = source.peek_line(start, max_bytes if is_object else _PEEK_BYTES)
    if first_end < 0:
        return is_object  # as JSONL a record that is too large costs itself only; long arrays are often one line
    second, second_end = _second_line(source, first_end)
    if second < 0:
        return False  # one line: the reader of documents takes several on it as well
    first_line = source.head[start:first_end].decode("utf-8", "replace")
    if _parses(first_line):
        return is_object
    if source.head[second] != ord("{"):
        return False
    try:
        json.JSONDecoder().raw_decode(first_line + "\n{")
    except json.JSONDecodeError as error:
        if error.pos > len(first_line) + 1:
            # The brace may go on what the first line began: an array without indent, or a record that was cut there.
            return is_object and (second_end < 0 or _parses(source.head[second:second_end].decode("utf-8", "replace")))
    return True


def _second_line(source: ByteSource, first_end: int) -> tuple[int, int]:
    """Return where the next line that is not blank starts and ends (-1: far away), or (-1, -1) without one."""
    start = first_end + 1
    while start <= first_end + _PEEK_BYTES:
        end = source.peek_line(start, _PEEK_BYTES)
        if start >= len(source.head):
            break
        if source.head[start : end if end >= 0 else start + _PEEK_BYTES].strip():
            return start, end
        if end < 0:
            break
        start = end + 1
    return -1, -1


def _parses(line: str) -> bool:
    """Whether a line is JSON on its own; limits (depth, digits) are the decoder's affair."""
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):
        return True
    return True


def _iter_lines(source: ByteSource, decoder: RecordDecoder) -> Iterator[RawRecord]:
    max_bytes, decode = decoder.max_bytes, decoder.line
    number = 0
    begun = _Begun(max_bytes)
    while block := source.read():
        lines = block.split(b"\n")
        last = lines.pop()
        if begun.size and lines:
            number += 1
            begun.add(lines.pop(0))
            raw = begun.join()
            if begun.size > max_bytes:
                yield decoder.too_large(number, begun.size, excerpt_of(raw))
            elif raw and not raw.isspace():
                yield decode(raw, number)
            begun = _Begun(max_bytes)
        for raw in lines:
            number += 1
            if raw and not raw.isspace():
                yield decode(raw, number)
        begun.add(last)
    raw = begun.join()
    if not raw or raw.isspace():
        return
    if source.problem is None and begun.size > max_bytes:
        yield decoder.too_large(number + 1, begun.size, excerpt_of(raw))
        return
    record = decode(raw, number + 1)
    if source.problem is None or not record.reason:
        yield record
    else:
        source.leftover = excerpt_of(raw)


class _Begun:
    """A line of which the end was not read yet; past the limit only its beginning is kept."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._room = max(max_bytes, _EXCERPT_BYTES)
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._room > 0:
            self._pieces.append(piece[: self._room])
            self._room -= len(piece)
        if self.size > self._max_bytes and len(self._pieces) > 1:
            start = bytearray()
            for kept in self._pieces:
                start += kept[:_EXCERPT_BYTES]
                if len(start) >= _EXCERPT_BYTES:
                    break
            self._pieces, self._room = [bytes(start)], _EXCERPT_BYTES - len(start)

    def join(self) -> bytes:
        return b"".join(self._pieces)


def _whole_text(source: ByteSource, decoder: RecordDecoder) -> Iterator[RawRecord]:
    pieces: list[bytes] = []
    size = 0
    while size <= max(decoder.max_bytes, _EXCERPT_BYTES) and (block := source.read()):
        pieces.append(block)
        size += len(block)
    raw = b"".join(pieces)
    if size > decoder.max_bytes:
        consequence = "; a text file is one record"
        yield decoder.too_large(1, decoder.max_bytes + 1, excerpt_of(raw), consequence)
    elif source.problem is not None:
        source.leftover = excerpt_of(raw)
    elif not raw.isspace() and raw:
        try:
            yield RawRecord(1, {"text": raw.decode()})
        except UnicodeDecodeError as error:
            yield decoder.not_utf8(1, error.start, excerpt_of(raw))
