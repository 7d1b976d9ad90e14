"""Server-sent events of a streamed response -> the body that the same response has without streaming.

Chat completions, OpenAI Responses, Anthropic messages and Gemini. A stream that stops before its end is a turn that was
aborted; events that are not understood stay in the body under `unread_events`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deepcoder_hf.readers import response_events
from deepcoder_hf.readers.growing_text import GrowingText, closed

DONE = "[DONE]"
SET = ("role", "channel", "id", "type", "name", "finish_reason")
"""Strings of a delta that are said once, not piece by piece."""


def events_of(text: str) -> list[Any] | None:
    """The data of a text of server-sent events, `[DONE]` as it stands; None where it is no such text."""
    if not text.lstrip().startswith(("data:", "event:", ":", "id:", "retry:")) or "data:" not in text:
        return None
    found: list[Any] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if not lines:
            continue
        data = "\n".join(lines)
        try:
            found.append(DONE if data.strip() == DONE else json.loads(data))
        except (ValueError, RecursionError):
            found.append(data)  # cut off in the middle, or broken
    return found


def assembled(events: Sequence[Any]) -> dict[str, Any] | None:
    """The body of a response whose stream consists of these events; None where they are of no known API."""
    objects = [event for event in events if isinstance(event, Mapping)]
    broken = [event for event in events if isinstance(event, str) and event != DONE]
    kinds = {kind for event in objects if isinstance(kind := event.get("type"), str)}
    body: dict[str, Any] | None = None
    if any(kind.startswith("response.") for kind in kinds):
        body = response_events.body_of(objects)
    elif kinds & {"message_start", "content_block_start", "content_block_delta"}:
        body = _anthropic(objects)
    elif any(isinstance(event.get("choices"), list) for event in objects):
        body = _chat(objects, ended=DONE in events)
    elif any(isinstance(event.get("candidates"), list) for event in objects):
        body = _gemini(objects)
    if body is not None and broken and events[-1] is broken[-1]:
        body["cut_event"] = broken.pop()
    if body is not None and broken:
        body.setdefault("unread_events", []).extend(broken)
    return body


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _number(item: Mapping[str, Any], otherwise: int) -> int:
    index = item.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else otherwise


def _chat(objects: Iterable[Mapping[str, Any]], ended: bool) -> dict[str, Any]:
    body: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in objects:
        body.update({key: value for key, value in event.items() if key != "choices" and value is not None})
        for given in _objects(event.get("choices")):
            choice = choices.setdefault(_number(given, 0), {"message": {}, "finish_reason": None})
            delta = given.get("delta") or given.get("message")
            if isinstance(delta, Mapping):
                _add(choice["message"], delta)
            if given.get("finish_reason") is not None:
                choice["finish_reason"] = given["finish_reason"]
    for choice in choices.values():
        choice["message"].setdefault("role", "assistant")
        if choice["finish_reason"] is None and not ended and not body.get("error"):
            choice["finish_reason"] = "aborted"
    return {**body, "object": "chat.completion", "choices": [closed(choices[number]) for number in sorted(choices)]}


def _add(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta: texts go on, lists of numbered objects are merged by their number."""
    for key, value in delta.items():
        if value is None:
            continue
        before = message.get(key)
        if isinstance(value, str) and key not in SET:
            message[key] = GrowingText.after(before, value)
        elif isinstance(value, Mapping) and isinstance(before, dict):
            _add(before, value)
        elif key == "tool_calls" and isinstance(value, list):
            _merge(message.setdefault(key, []), value)
        elif key == "executed_tools" and isinstance(value, list):
            _replace(message.setdefault(key, []), value)
        elif isinstance(value, list) and isinstance(before, list):
            message[key] = [*before, *value]
        elif not (value == "" and before):
            message[key] = dict(value) if isinstance(value, Mapping) else value


def _merge(before: Any, pieces: list[Any]) -> None:
    """Add pieces of calls to the calls with their numbers."""
    for piece in _objects(pieces):
        number = _number(piece, max(len(before) - 1, 0))
        known = next((call for call in before if call.get("index") == number), None)
        if known is None:
            before.append({"index": number})
            known = before[-1]
        _add(known, {key: value for key, value in piece.items() if key != "index"})


def _replace(before: Any, pieces: list[Any]) -> None:
    """Put tools that were run in the place of their earlier states."""
    for piece in _objects(pieces):
        number = _number(piece, len(before))
        known = next((n for n, tool in enumerate(before) if tool.get("index") == number), len(before))
        before[known : known + 1] = [{**(before[known] if known < len(before) else {}), **piece}]


def _anthropic(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "message", "role": "assistant", "stop_reason": None}
    blocks: dict[int, dict[str, Any]] = {}
    unread: list[Any] = []
    for event in objects:
        kind, number = event.get("type"), _number(event, 0)
        block, delta = event.get("content_block"), event.get("delta")
        if kind == "message_start" and isinstance(message := event.get("message"), Mapping):
            body.update({key: value for key, value in message.items() if key != "content"})
        elif kind == "content_block_start" and isinstance(block, Mapping):
            blocks[number] = dict(block)
        elif kind == "content_block_delta" and isinstance(delta, Mapping) and number in blocks:
            unread += [] if _add_delta(blocks[number], delta) else [event]
        elif kind == "message_delta" and isinstance(delta, Mapping):
            body.update({key: value for key, value in delta.items() if value is not None})
        elif kind == "error":
            body["error"] = event.get("error")
        elif kind not in ("ping", "content_block_stop", "message_stop"):
            unread.append(event)
    body["stop_reason"] = body.get("stop_reason") or (None if body.get("error") else "aborted")
    body["content"] = [_whole(closed(blocks[number])) for number in sorted(blocks)]
    return {**body, "unread_events": unread} if unread else body


def _add_delta(block: dict[str, Any], delta: Mapping[str, Any]) -> bool:
    """Add a delta to its block; False for one that is not known."""
    names = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
    names["input_json_delta"] = "partial_json"
    kind = delta.get("type")
    name = names.get(kind) if isinstance(kind, str) else None
    if name and isinstance(delta.get(name), str):
        block[name] = GrowingText.after(block.get(name), delta[name])
        return True
    return kind == "citations_delta"


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block with its arguments as the model wrote them, letter for letter."""
    written = block.pop("partial_json", "")
    return {**block, "input": written} if written else block


def _gemini(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for event in objects:
        body.update({key: value for key, value in event.items() if key != "candidates"})
        for given in _objects(event.get("candidates")):
            number = _number(given, 0)
            candidate = candidates.setdefault(number, {"content": {"role": "model", "parts": []}})
            content = given.get("content")
            parts = content.get("parts") if isinstance(content, Mapping) else None
            candidate["content"]["parts"] += parts if isinstance(parts, list) else []
            candidate.update({key: value for key, value in given.items() if key != "content" and value is not None})
    for candidate in candidates.values():
        if not (candidate.get("finishReason") or candidate.get("finish_reason")):
            candidate["finishReason"] = "aborted"
    return {**body, "candidates": [candidates[number] for number in sorted(candidates)]}
