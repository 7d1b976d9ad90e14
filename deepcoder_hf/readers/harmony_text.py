"""Harmony text -> its messages, exactly: only control tokens and the white space between messages are left out."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

START = "<|start|>"
_MESSAGE = "<|message|>"
_END = re.compile(r"<\|(start|end|return|call)\|>")
_SPACE = re.compile(r"\s*")
_HEADER = re.compile(
    r"(?P<role>[^\s<=]+)?"
    r"(?:[ ]?to=(?P<to>[^\s<]+))?"
    r"(?:<\|channel\|>(?P<channel>analysis|commentary|final)(?:[ ]to=(?P<to_after>[^\s<]+))?)?"
    r"(?:[ ]?(?:<\|constrain\|>|[ ])(?P<type>[^\s<]+))?[ ]?"
)
"""A header: `assistant to=functions.run<|channel|>commentary <|constrain|>json`; a completion begins after its role."""
_MAX_HEADER = 500
_ROLES = ("system", "developer", "user", "assistant")


@lru_cache(maxsize=8)  # asked by matches and again by read, for each of a record's fields
def messages_of(text: str) -> tuple[dict[str, Any], ...]:
    """The messages of a text, or none where it is not harmony from end to end.

    A completion may begin behind `<|start|>assistant`, and a prompt may end with it. Every message but the last must
    have its end. `end` of a message says how it ended: `end`, `call`, `return`; where the text stops inside reasoning
    it is `aborted`, and elsewhere it is missing, since decoders leave the last token out.

    Args:
        text: Any text; time is linear in its length.
    """
    messages: list[dict[str, Any]] = []
    at = _skip_space(text, 0)
    started = text.startswith(START, at)
    while at < len(text):
        at += len(START) if started else 0
        header_end = text.find(_MESSAGE, at, at + _MAX_HEADER)
        if header_end < 0:
            return tuple(messages) if started and text[at:].strip() in ("assistant", "") else ()
        message = _header(text[at:header_end], started)
        content = header_end + len(_MESSAGE)
        end = _END.search(text, content)
        if message is None or (end and end[1] == "start"):
            return ()
        message["content"] = text[content : end.start() if end else len(text)]
        if end or message.get("channel") == "analysis":
            message["end"] = end[1] if end else "aborted"
        messages.append(message)
        at = _skip_space(text, end.end() if end else len(text))
        started = True
        if at < len(text) and not text.startswith(START, at):
            return ()
    return tuple(messages)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _header(header: str, started: bool) -> dict[str, Any] | None:
    """A header as fields of a message; None where it is none. Only the first one may lack its role."""
    found = _HEADER.fullmatch(header)
    if found is None or (started and not found["role"]) or not (started or found["channel"]):
        return None
    role = found["role"] or "assistant"
    message: dict[str, Any] = {"role": role} if role in _ROLES else {"role": "tool", "name": role}
    given = {"recipient": found["to"] or found["to_after"], "channel": found["channel"], "content_type": found["type"]}
    return message | {key: value for key, value in given.items() if value}
