"""The text inside of files that are published beside the rows: text as it is, and what pictures carry with them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
MAX_INFLATED = 8_000_000
"""Bytes to which a compressed text of a picture may grow."""


def file_texts(name: str, data: bytes) -> Iterator[tuple[str, str]]:
    """(place, text) of all text in a file; the bytes themselves where it is no picture.

    Args:
        name: Path in the repository.
        data: Its content.
    """
    if not data.startswith(PNG):
        yield name, data.decode("utf-8", "replace")
        return
    for number, (kind, body) in enumerate(_chunks(data)):
        if kind != b"IDAT":  # pixels; every other chunk is looked at, known or not
            yield f"{name}:{kind.decode('latin-1')}:{number}", _chunk_text(kind, body)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + size]
        at += size + 12
        if kind == b"IEND":
            break
    if at < len(data):
        yield b"tail", data[at:]


def _chunk_text(kind: bytes, body: bytes) -> str:
    """The text of a chunk, inflated where it is compressed (PNG specification, 11.3.3)."""
    keyword, _, rest = body.partition(b"\0")
    if kind == b"zTXt":
        return _join(keyword, _inflated(rest[1:]))
    if kind == b"iTXt" and len(rest) >= 2:
        language, _, after = rest[2:].partition(b"\0")
        title, _, text = after.partition(b"\0")
        return _join(keyword, language, title, _inflated(text) if rest[0] == 1 else text)
    return _join(*body.split(b"\0"))


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_INFLATED)
    except zlib.error:
        return data


def _join(*parts: bytes) -> str:
    return "\n".join(part.decode("utf-8", "replace") for part in parts)
