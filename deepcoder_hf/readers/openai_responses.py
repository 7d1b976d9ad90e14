"""OpenAI Responses API: `input` and `output`, or `items`, as lists of typed items (message, reasoning, function_call).

Summaries of reasoning keep their kind; tools that the provider runs have their results inside the turn. Each run of
output items up to the next item of somebody else is one turn, in the order of emission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import emission, fields, provider_bodies, response_items, turn_facts
from deepcoder_hf.readers.emission import Part
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

LISTS = ("input", "items", "output")
"""Fields with items, in the order of the conversation."""
IGNORED = {
    **provider_bodies.IGNORED,
    "*[].phase": "structure, not text",
    "**.server_label": "it stands before the names of the server's calls",
    "**.namespace": "the group that a tool is listed in",
    "**.pending_safety_checks": "checks of the provider",
    "**.acknowledged_safety_checks": "checks of the provider",
    "**.container_id": "an id",
    "**.approval_request_id": "an id",
    "=reasoning.summary": "a setting of the request",
}
"""What is left out, with the reason."""


def matches(record: Record) -> bool:
    """Items of types, or message parts, that only this API has."""
    lists = [record[name] for name in LISTS if isinstance(record.get(name), list)]
    if record.get("object") == "response" and isinstance(record.get("output"), list):
        return True
    return any(response_items.is_item(item) for items in lists for item in items) and all(
        isinstance(item, Mapping) and ("type" in item or "role" in item) for items in lists for item in items
    )


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: No assistant turn (`no_assistant_turn`), an item of unknown type (`unknown_item`), one that only
            the provider's server holds (`item_reference`), an image or a file (`unsupported_modality`), or something
            that is not what the API has there (`missing_content`, `bad_tool_calls`, `bad_tools`, `bad_items`).
    """
    counts: Counter[str] = Counter()
    used = ["instructions", "tools", "incomplete_details", "usage"]
    tools = list(provider_bodies.tool_texts(record.get("tools")))
    steps = _given(record, counts)
    turn: list[Part] = []
    ended: list[Any] = []
    trained = True
    items = _items(record, used)
    asked = {
        n for item in items if isinstance(n := item.get("approval_request_id"), str) and item["type"] == "mcp_call"
    }
    for number, item in enumerate(items):
        where = f"item {number}"
        if item.get("type") == "mcp_list_tools":
            tools += provider_bodies.tool_texts(item.get("tools"))
        elif (other := response_items.other_step(item, where)) is not None:
            steps += [*_turn(turn, ended, trained), *([other] if other.message or other.source == "tool" else [])]
            turn, ended, trained = [], [], True
        elif not (item.get("type") == "mcp_approval_request" and item.get("id") in asked):
            turn += response_items.agent_parts(item, where, counts)
            ended.append(item.get("status"))
            trained = trained and turn_facts.is_trained(item)
    steps += _turn(turn, [*ended, end_of(record)], trained)
    return provider_bodies.trajectory_of(record, "openai_responses", steps, used, tools, counts)


def _given(record: Record, counts: Counter[str]) -> list[Step]:
    """The instructions, and an input that is a text."""
    steps = []
    instructions, given = record.get("instructions"), record.get("input")
    if isinstance(instructions, str) and instructions:
        steps.append(Step("system", instructions))
    elif isinstance(instructions, list):
        for item in provider_bodies.mappings(instructions, "instructions", "bad_items"):
            other = response_items.other_step(item, "instructions")
            steps += [other] if other else emission.turn_steps(response_items.agent_parts(item, "instructions", counts))
    if isinstance(given, str) and given:
        steps.append(Step("user", given))
    return steps


def _items(record: Record, used: list[str]) -> list[dict[str, Any]]:
    """All items, each with its type: one with a role and no type is a message."""
    items: list[dict[str, Any]] = []
    for name in LISTS:
        value = record.get(name)
        if value is None or isinstance(value, str):
            used += [name] if name == "input" else []
            continue
        used.append(name)
        for item in provider_bodies.mappings(value, name, "bad_items"):
            if not isinstance(item.get("type") or item.get("role"), str):
                keys = ", ".join(repr(key) for key in list(item)[:8])
                raise RecordError(f"{name}: expected items with a type, got one with the keys {keys}", "bad_items")
            items.append({"type": "message", **item} if item.get("type") is None else dict(item))
            items[-1]["type"] = fields.verbatim(items[-1]["type"] or "message")
    return items


def _turn(turn: list[Part], ended: list[Any], trained: bool) -> list[Step]:
    """Steps of a turn; it is cut off where an item or the response says so."""
    reasons = [provider_bodies.finish_reason(reason) for reason in ended if reason not in (None, "", "completed")]
    return emission.turn_steps(turn, reasons[-1] if reasons else None, trained)


def end_of(record: Record) -> Any:
    """Why the response ended, where it is not complete."""
    details = record.get("incomplete_details")
    if isinstance(details, Mapping) and isinstance(details.get("reason"), str) and details["reason"]:
        return details["reason"]
    status = record.get("status")
    return status if status in ("incomplete", "failed", "cancelled", "in_progress") and "output" in record else None
