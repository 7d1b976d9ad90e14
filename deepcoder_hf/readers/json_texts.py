"""Strings of a chat record that hold JSON and are read in parts: tool definitions, and calls of ShareGPT turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deepcoder_hf.readers import fields, parts
from deepcoder_hf.readers.fields import Record

TOOLS = "JSON of tool definitions, which are read from it"
CALLS = "JSON of calls, which are read from it"


def read_in_parts(record: Record, lists: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """The strings whose JSON the readers take apart, so that no trajectory holds them whole, with the reason.

    Args:
        record: The raw record.
        lists: Names of fields that hold messages.
    """
    for name in fields.TOOL_FIELDS:
        given = record.get(name)
        texts = [text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str)]
        used: list[str] = []
        if texts:
            fields.tools_of({name: given}, used)
        if used:
            yield from ((text, TOOLS) for text in texts)
    for name in lists:
        messages = record.get(name)
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, Mapping):
                for text in _call_texts(message):
                    if parts.flat_calls(text)[0].function_name:
                        yield text, CALLS


def _call_texts(message: Mapping[str, Any]) -> list[str]:
    """Texts that may be JSON of calls: those of a message, and those of its parts that are calls."""
    found: list[str] = []
    for content in (message.get("content"), message.get("value")):
        if isinstance(content, str) and parts.is_call_turn(message):
            found.append(content)
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") in parts.CALLS and isinstance(part.get("value"), str):
                found.append(part["value"])
    return found
