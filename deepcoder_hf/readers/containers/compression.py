"""Decompressed blocks of a file (gzip and zstd, recognised by their first bytes), with limits against bombs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError

BLOCK_BYTES = 256 << 10
"""Bytes read at a time; measured on lines of 6 kB: 1 MiB, which leaves the processor's cache, costs 15 % more."""
RATIO_AFTER_BYTES = 64 << 20
"""Output below this is never called a bomb: a small file of equal lines reaches any ratio."""
MAX_WINDOW_BYTES = 128 << 20
"""Largest zstd window, the limit of the zstd command line too: the decompressor allocates it before the first byte."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # preceded by one byte 50 .. 5f; pzstd and seekable zstd write such frames
_CHUNK_BYTES = 64 << 10


class ByteSource:
    """Blocks of the decompressed file, with a look ahead; damage ends the data instead of raising.

    Attributes:
        problem: Why the data ended before the file did; None after a complete file.
        leftover: What the reader of the data could not use any more when `problem` came up, for the reject.
        compressed: Whether the file is gzip or zstd.
    """

    def __init__(self, raw: BinaryIO, limits: ReadersConfig, block_bytes: int = BLOCK_BYTES) -> None:
        self.problem: RecordError | None = None
        self.leftover = ""
        self._head = bytearray()
        source = _Input(raw)
        magic = source.peek_magic()
        self.compressed = True
        blocks: Iterator[bytes]
        if magic.startswith(_GZIP_MAGIC):
            blocks = _gunzip(source, block_bytes)
        elif magic == _ZSTD_MAGIC or _is_skippable(magic):
            blocks = _unzstd(source)
        else:
            self.compressed = False
            blocks = iter(lambda: source.read(block_bytes), b"")
        self._blocks = _within_limits(blocks, source, limits, self.compressed)

    @property
    def head(self) -> bytearray:
        """What was looked at and not read yet; `drop` and `peek_*` change it."""
        return self._head

    def read(self) -> bytes:
        """Return the next block, which is empty at the end of the data."""
        if self._head:
            block = bytes(self._head)
            self._head = bytearray()
            return block
        return self._next()

    def drop(self, n: int) -> None:
        """Forget the first n bytes of `head`."""
        del self._head[:n]

    def peek(self, n: int) -> bytes:
        """Return the first n bytes that were not read yet, or all of them where fewer are left."""
        while len(self._head) < n and self._more():
            pass
        return bytes(self._head[:n])

    def peek_text(self, limit: int) -> int:
        """Return the index in `head` of the first byte that is not white space, or -1 if none is within the limit."""
        start = 0
        while True:
            rest = self._head[start:].lstrip()
            if rest:
                return len(self._head) - len(rest)
            start = len(self._head)
            if start > limit or not self._more():
                return -1

    def peek_line(self, start: int, limit: int) -> int:
        """Return the index in `head` where the line that begins at `start` ends, or -1 if it is longer than limit."""
        searched = start
        while (end := self._head.find(b"\n", searched)) < 0:
            searched = len(self._head)
            if searched - start > limit:
                return -1
            if not self._more():
                return searched
        return end if end - start <= limit else -1

    def _more(self) -> bool:
        block = self._next()
        self._head += block
        return bool(block)

    def _next(self) -> bytes:
        if self.problem is not None:
            return b""
        try:
            return next(self._blocks, b"")
        except RecordError as error:
            self.problem = error
            return b""


class _Input:
    """The compressed side: counts what was taken, and names the file's own failures."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._ahead = b""
        self.n_read = 0
        self.n_waiting = 0
        """Bytes that were read and not decompressed yet."""

    def peek_magic(self) -> bytes:
        self._ahead = self.read(4)
        self.n_read = 0
        return self._ahead

    def read(self, n: int) -> bytes:
        data = self._ahead[:n]
        self._ahead = self._ahead[n:]
        try:
            # A pipe or a network file may return less than it was asked for, and still go on.
            while len(data) < n and (more := self._raw.read(n - len(data))):
                data = data + more if data else more
        except Exception as error:  # whatever a remote file system raises, the records so far are good
            message = f"reading stopped after {self.n_read} bytes: {type(error).__name__}; run again"
            raise RecordError(message, "read_error") from error
        self.n_read += len(data)
        return data

    def exactly(self, n: int) -> bytes:
        data = self.read(n)
        if len(data) < n:
            raise _truncated("zstd", self.n_read)
        return data


def _within_limits(blocks: Iterator[bytes], source: _Input, limits: ReadersConfig, compressed: bool) -> Iterator[bytes]:
    n_out = 0
    for block in blocks:
        n_left = limits.max_file_bytes - n_out
        n_out += len(block)
        if len(block) > n_left:
            yield block[:n_left]
            message = f"expected at most {limits.max_file_bytes} bytes, the file has more; raise readers.max_file_bytes"
            raise RecordError(message, "file_too_large")
        if compressed and n_out > RATIO_AFTER_BYTES:
            n_in = max(1, source.n_read - source.n_waiting)
            if n_out > limits.max_compression_ratio * n_in:
                message = (
                    f"expected at most {limits.max_compression_ratio:g} bytes for a compressed byte, {n_in} bytes gave "
                    f"{n_out}; the rest was not read; raise readers.max_compression_ratio if you trust the file"
                )
                raise RecordError(message, "compression_ratio")
        yield block


def _gunzip(source: _Input, block_bytes: int) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    chunk, inside = b"", True
    while chunk or (chunk := source.read(_CHUNK_BYTES)):
        if not inside:  # tape and block devices pad the last member with zero bytes
            chunk = chunk.lstrip(b"\0")
            if not chunk:
                continue
            inside = True
        try:
            block = member.decompress(chunk, block_bytes)
        except zlib.error as error:
            raise _broken("gzip", source.n_read, str(error)) from error
        chunk = member.unconsumed_tail
        if member.eof:
            chunk, inside = member.unused_data, False
            member = zlib.decompressobj(wbits=31)
        source.n_waiting = len(chunk)
        if block:
            yield block
    if inside:
        try:
            block = member.flush()
        except zlib.error as error:
            raise _broken("gzip", source.n_read, str(error)) from error
        if block:
            yield block
        if not member.eof:
            raise _truncated("gzip", source.n_read)


def _unzstd(source: _Input) -> Iterator[bytes]:
    """Decompress frame by frame and block by block.

    zstandard's own stream reader neither tells a truncated file from a complete one, nor (as an object that is fed)
    bounds what one call returns. A zstd block holds at most 128 KiB, so walking the block headers gives both.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    while magic := source.read(4):
        if len(magic) < 4:
            raise _truncated("zstd", source.n_read)
        if _is_skippable(magic):
            n_skip = int.from_bytes(source.exactly(4), "little")
            while n_skip:
                n_skip -= len(source.exactly(min(n_skip, _CHUNK_BYTES)))
        elif magic == _ZSTD_MAGIC:
            try:
                yield from _zstd_frame(source, decompressor)
            except zstandard.ZstdError as error:
                raise _broken("zstd", source.n_read, str(error)) from error
        else:
            raise _broken("zstd", source.n_read, "the next frame has no zstd magic number")


def _is_skippable(magic: bytes) -> bool:
    return magic[1:] == _ZSTD_SKIPPABLE_MAGIC and 0x50 <= magic[0] <= 0x5F


def _zstd_frame(source: _Input, decompressor: zstandard.ZstdDecompressor) -> Iterator[bytes]:
    header = _ZSTD_MAGIC + source.exactly(1)
    header += source.exactly(zstandard.frame_header_size(header) - len(header))
    parameters = zstandard.get_frame_parameters(header)
    if parameters.window_size > MAX_WINDOW_BYTES:
        message = (
            f"expected a zstd window of at most {MAX_WINDOW_BYTES} bytes, got {parameters.window_size}; compress the "
            "file again without --long or --ultra"
        )
        raise RecordError(message, "zstd_window")
    frame = decompressor.decompressobj()
    frame.decompress(header)
    last = False
    while not last:
        block_header = source.exactly(3)
        fields = int.from_bytes(block_header, "little")
        last = bool(fields & 1)
        is_run = (fields >> 1) & 3 == 1  # a run-length block stores one byte, whatever its size
        n_body = 1 if is_run else fields >> 3
        if n_body > 128 << 10:
            raise _broken("zstd", source.n_read, "a block is longer than 128 KiB")
        body = source.exactly(n_body)
        if last and parameters.has_checksum:
            body += source.exactly(4)
        if block := frame.decompress(block_header + body):
            yield block
    if not frame.eof:
        raise _broken("zstd", source.n_read, "the frame does not end with its last block")


def _truncated(kind: str, n_read: int) -> RecordError:
    message = f"expected a complete {kind} file, it ends inside after {n_read} bytes; copy or download it again"
    return RecordError(message, "truncated_file")


def _broken(kind: str, n_read: int, detail: str) -> RecordError:
    message = f"expected {kind} data, got something else within the first {n_read} bytes ({detail}); copy it again"
    return RecordError(message, "broken_compression")
