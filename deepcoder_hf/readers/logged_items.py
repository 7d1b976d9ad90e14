"""Items of the Responses API as harness logs keep them -> steps: messages, reasoning, calls and their outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import parts, turns
from deepcoder_hf.trajectory import ReasoningKind, Step, ToolCall

CALLS = ("function_call", "custom_tool_call", "local_shell_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")


def is_item(value: Any) -> bool:
    """Whether a value is a reasoning, call or output item."""
    return isinstance(value, Mapping) and value.get("type") in ("reasoning", *CALLS, *OUTPUTS)


def steps_of(items: Iterable[Any], where: str, counts: dict[str, Any], *, trained: bool = True) -> list[Step]:
    """Steps of items in order: what the model emits between two inputs is one turn.

    Args:
        items: Items of `input` or `output`.
        where: What to name in errors.
        counts: Metadata; encrypted reasoning without a summary is counted there.
        trained: Whether what the model emitted is trained.

    Raises:
        RecordError: An item cannot be read (`unsupported_modality`, `bad_tool_calls`, `missing_role`).
    """
    steps: list[Step] = []
    for number, item in enumerate(items):
        place = f"{where}[{number}]"
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind == "reasoning":
            steps += _reasoning(item, counts, trained)
        elif kind in CALLS:
            _put_call(steps, parts.tool_call(_named(item), place), trained)
        elif kind in OUTPUTS:
            text = turns.text_of(item.get("output"), place)
            steps.append(Step("tool", text, tool_call_id=turns.string_of(item.get("call_id"))))
        elif isinstance(item, Mapping) and isinstance(item.get("role"), str):
            _put_message(steps, turns.message_steps(item, place, counts, trained=trained))
        else:
            raise RecordError(f"{place}: expected a message, reasoning, call or output, got {kind!r}", "missing_role")
    return steps


def _named(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call whose id is the one that its output names."""
    if item.get("type") == "local_shell_call":
        return {"name": "local_shell", "arguments": item.get("action"), "call_id": item.get("call_id")}
    return {**item, "id": item.get("call_id") or item.get("id")}


def _reasoning(item: Mapping[str, Any], counts: dict[str, Any], trained: bool) -> list[Step]:
    content, summary = "".join(_texts(item.get("content"))), "".join(_texts(item.get("summary")))
    kind: ReasoningKind = "" if content else "summary" if summary else "encrypted"
    if kind == "encrypted":
        if not turns.string_of(item.get("encrypted_content")):
            return []
        turns.add(counts, "encrypted_reasoning")
    found = [Step("agent", None, content or summary or None, reasoning_kind=kind, trained=trained)]
    if content and summary:
        found.insert(0, Step("agent", None, summary, reasoning_kind="summary", trained=trained))
    return found


def _texts(listed: Any) -> list[str]:
    return [part["text"] for part in turns.objects_of(listed) if isinstance(part.get("text"), str)]


def _put_call(steps: list[Step], call: ToolCall, trained: bool) -> None:
    last = steps[-1] if steps else None
    if last is not None and last.source == "agent" and last.trained == trained:
        steps[-1] = replace(last, tool_calls=(*last.tool_calls, call))
    else:
        steps.append(Step("agent", tool_calls=(call,), trained=trained))


def _put_message(steps: list[Step], found: list[Step]) -> None:
    """Add the steps of a message; its text belongs to the turn whose reasoning stands before it."""
    last = steps[-1] if steps else None
    one = found[0] if len(found) == 1 else None
    if (
        (last is not None and last.source == "agent" and last.message is None and not last.tool_calls)
        and (one is not None and one.source == "agent" and one.reasoning_content is None and not one.tool_calls)
        and last.trained == one.trained
    ):
        steps[-1] = replace(last, message=one.message)
    else:
        steps += found
