"""Events of a streamed OpenAI Responses API response -> its body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deepcoder_hf.readers.growing_text import GrowingText, closed

ENDS = ("response.completed", "response.incomplete", "response.failed", "response.done", "response.cancelled")
PIECES = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "content",
    "response.reasoning_text.delta": "content",
    "response.reasoning_summary_text.delta": "summary",
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "code",
}
"""Events with a piece of an item, and the field of the item that it goes on."""
KINDS = {
    "response.output_text.delta": ("output_text", "text"),
    "response.refusal.delta": ("refusal", "refusal"),
    "response.reasoning_text.delta": ("reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary_text", "text"),
}
"""Type and text field of the part that such a piece belongs to."""


def body_of(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of a response; items that were not done when the stream stopped hold what came of them."""
    body: dict[str, Any] = {"object": "response"}
    items: dict[int, dict[str, Any]] = {}
    ended = False
    for event in events:
        kind, number = str(event.get("type")), event.get("output_index")
        place = number if isinstance(number, int) else len(items)
        response, item = event.get("response"), event.get("item")
        if isinstance(response, Mapping):
            body.update(response)
            ended = ended or kind in ENDS
        elif kind in ("response.output_item.added", "response.output_item.done") and isinstance(item, Mapping):
            items[place] = closed(item)  # a copy, since pieces are put into its lists
        elif kind in PIECES and isinstance(event.get("delta"), str) and place in items:
            _add(items[place], kind, event)
        elif kind == "error":
            body["error"] = {key: value for key, value in event.items() if key not in ("type", "sequence_number")}
    if not body.get("output"):
        body["output"] = [closed(items[place]) for place in sorted(items)]
    if not ended:
        body["status"] = "in_progress"
    return body


def _add(item: dict[str, Any], kind: str, event: Mapping[str, Any]) -> None:
    """Add a piece to an item that is not done; `output_item.done` will bring the item whole."""
    field, piece = PIECES[kind], event["delta"]
    if kind not in KINDS:
        item[field] = GrowingText.after(item.get(field), piece)
        return
    part_kind, name = KINDS[kind]
    number = event.get("content_index", event.get("summary_index"))
    place = number if isinstance(number, int) and 0 <= number < 10_000 else 0
    given = item.get(field)
    parts = given if isinstance(given, list) else []
    item[field] = parts
    while len(parts) <= place:
        parts.append({"type": part_kind, name: ""})
    before = parts[place].get(name) if isinstance(parts[place], Mapping) else None
    parts[place] = {"type": part_kind, name: GrowingText.after(before, piece)}
