"""Reasoning beside the content of a message: `reasoning_content` and its kin, thinking blocks, reasoning details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, parts
from deepcoder_hf.trajectory import ReasoningKind

FIELDS = ("reasoning_content", "reasoning", "thinking")
LISTS = frozenset(("thinking_blocks", "reasoning_details"))
SUMMARY, ENCRYPTED = "reasoning.summary", "reasoning.encrypted"


def of_message(message: Mapping[str, Any], where: str, used: list[str]) -> tuple[list[str], str | None, ReasoningKind]:
    """The reasoning of a message from the fields beside its content.

    `thinking_blocks` (LiteLLM) and `reasoning_details` (OpenRouter) usually repeat a plain field, piece by piece.

    Args:
        message: The message.
        where: What to name in errors.
        used: Keys that are read; the plain field is added.

    Returns:
        Pieces of reasoning that stand before the last one, the last one, and what the last one is.

    Raises:
        RecordError: The reasoning is no text (`missing_content`).
    """
    key = next((key for key in FIELDS if message.get(key)), None)
    plain = None if key is None else _text(message[key], f"{where}: {key}")
    used += [] if key is None else [key]
    if LISTS.isdisjoint(message):
        return [], plain, ""
    blocks, summaries = list(_blocks(message)), list(_summaries(message))
    if plain is not None:
        before = [text for text in blocks if text not in plain]
        kind: ReasoningKind = "summary" if plain in summaries or "".join(summaries) == plain else ""
        return before, plain, kind
    if blocks:
        return blocks[:-1], blocks[-1], ""
    return ([], "".join(summaries), "summary") if summaries else ([], None, "")


def n_redacted(message: Mapping[str, Any], content: Any) -> int:
    """How many pieces of reasoning the provider kept to itself."""
    if not isinstance(content, list) and LISTS.isdisjoint(message):
        return 0
    lists = (content, message.get("thinking_blocks"))
    redacted = sum(parts.is_redacted(part) for parts_ in lists if isinstance(parts_, list) for part in parts_)
    return redacted + len([d for d in _objects(message.get("reasoning_details")) if d.get("type") == ENCRYPTED])


def _blocks(message: Mapping[str, Any]) -> Iterator[str]:
    for block in _objects(message.get("thinking_blocks")):
        if isinstance(text := block.get("thinking"), str) and text:
            yield text
    for detail in _objects(message.get("reasoning_details")):
        if isinstance(text := detail.get("text"), str) and text:
            yield text


def _summaries(message: Mapping[str, Any]) -> Iterator[str]:
    for detail in _objects(message.get("reasoning_details")):
        if detail.get("type") == SUMMARY and isinstance(text := detail.get("summary"), str) and text:
            yield text


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(value: Any, where: str) -> str:
    if isinstance(value, list):
        value = fields.text_of_parts(value, where)
    if isinstance(value, Mapping):
        value = fields.verbatim(value)
    if not isinstance(value, str) or not value:
        what = "nothing" if value == "" else type(value).__name__
        raise RecordError(f"{where}: expected content, got {what}", "missing_content")
    return value
