"""What a turn's header says, and with which token the header ends."""

from __future__ import annotations

from dataclasses import dataclass

from deepcoder_hf.audit.events import first_token
from deepcoder_hf.audit.grammar import Grammar, Role, role_named
from deepcoder_hf.audit.vocabulary import Vocabulary

MAX_NAME_BYTES = 160
"""A role's name, with recipient and channel, is no longer than this; without an end within it there is no header."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was read.

    Args:
        role: Who speaks.
        n_bytes: Bytes of the whole header from its first token on.
        name: What stands between the two parts of the frame.
    """

    role: Role
    n_bytes: int
    name: str = ""


class HeaderReader:
    """Reads headers of a grammar; made once for a tokenizer."""

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary) -> None:
        self._frame = tuple(part.encode() for part in grammar.frame) if grammar.frame else None
        self._framed = first_token(grammar.frame[0], vocabulary).encode() if grammar.frame else b""
        openers = sorted(grammar.openers, key=lambda opener: -len(opener[0]))
        self._openers = [(text.rstrip().encode(), text.encode(), role) for text, role in openers]
        self._names: dict[bytes, Header] = {}

    def read(self, blob: bytes, at: int) -> Header | None:
        """Read the header that begins at a byte; None where its first token stands alone."""
        for needed, whole, role in self._openers:
            if blob.startswith(needed, at):
                return Header(role, len(whole) if blob.startswith(whole, at) else len(needed))
        if self._frame is None or not blob.startswith(self._frame[0], at):
            return None
        before, after = self._frame
        begin = at + len(before)
        end = blob.find(after, begin, begin + MAX_NAME_BYTES)
        if end < 0 and after.strip():  # the white space after a header may be missing
            after = after.rstrip()
            end = blob.find(after, begin, begin + MAX_NAME_BYTES)
        if end < 0:
            return None
        name = blob[begin:end]
        if name not in self._names:
            text = name.decode("utf-8", "replace")
            header = Header(role_named(text), len(before) + len(name) + len(after), text)
            if len(self._names) > 10_000:
                return header
            self._names[name] = header
        return self._names[name]
