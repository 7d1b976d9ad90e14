"""Chat messages beside their own rendering: `messages`, and a text field that repeats them with template marks.

The rendering says nothing that the messages do not say, so only the messages are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.readers import json_texts, messages
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Trajectory

RENDERED = ("prompt", "output", "text", "completion", "formatted", "formatted_text", "response")
MARK = re.compile(
    r"<\|[^<>|\s]{1,40}\|>"  # <|im_start|>, <|eot_id|>
    r"|\[/?INST\]|</?s>|<</?SYS>>"  # Llama 2, Mistral
    r"|<(?:start|end)_of_turn>|<bos>|<eos>"  # Gemma
)
MAX_MORE = 16
"""Characters of letters and digits that a piece between marks may have beyond the messages: the word for a role."""
IGNORED = {
    **messages.IGNORED,
    **dict.fromkeys((f"{name}*" for name in RENDERED), "the messages once more, as a chat template renders them"),
}
"""What is no part of a trajectory (readers/claims.py)."""


def matches(record: Record) -> bool:
    """Messages, and every text field that may render them does so."""
    if not messages.matches(record):
        return False
    rendered = [text for name in RENDERED if isinstance(text := record.get(name), str) and text.strip()]
    if not rendered or not all(MARK.search(text) for text in rendered):
        return False
    said = sorted(_texts(record), key=len, reverse=True)
    return bool(said) and all(_only_repeats(text, said) for text in rendered)


def read(record: Record) -> Trajectory:
    """Read the messages; see readers/messages.py for what is rejected."""
    trajectory = messages.read({name: value for name, value in record.items() if name not in RENDERED})
    return replace(trajectory, source_format="rendered_messages")


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts(record, messages.LISTS))


def _texts(record: Record) -> Iterator[str]:
    """The texts of the messages, stripped as templates do."""
    for name in messages.LISTS:
        listed = record.get(name)
        for message in listed if isinstance(listed, list) else ():
            if isinstance(message, Mapping):
                yield from _strings([message.get("content"), message.get("value")])
    yield from _strings(record.get("system"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item.get("text") if isinstance(item, Mapping) else item)


def _only_repeats(text: str, said: list[str]) -> bool:
    """Whether each piece between marks is a text of the messages, or no more than the name of a role."""
    whole = set(said)
    for piece in MARK.split(text):
        left = piece.strip()
        if len(left) <= MAX_MORE or left in whole or _without_role(left) in whole:
            continue
        found = next((known for known in said if known in left), "")
        if not found or len(left) - len(found) > MAX_MORE:
            return False
    return True


def _without_role(piece: str) -> str:
    """A piece without its first line, where that is short enough for the name of a role."""
    first, _, rest = piece.partition("\n")
    return rest.strip() if len(first) <= MAX_MORE else piece
