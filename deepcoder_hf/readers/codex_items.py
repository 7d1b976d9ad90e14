"""Items of a Codex rollout (the Responses API's items) -> steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.readers import fields
from deepcoder_hf.trajectory import ReasoningKind, Step, ToolCall

Item = Mapping[str, Any]
NAMED_CALLS = {
    "local_shell_call": ("local_shell", "action"),
    "web_search_call": ("web_search", "action"),
    "tool_search_call": ("tool_search", "arguments"),
    "function_call": ("", "arguments"),
    "custom_tool_call": ("", "input"),
}
"""Types of calls: the name where the item has none, and the key of the arguments."""
OUTPUTS = {
    "function_call_output": "output",
    "custom_tool_call_output": "output",
    "local_shell_call_output": "output",
    "tool_search_output": "tools",
}
OPAQUE = {
    "ghost_snapshot": "a snapshot of the working tree, which no model was given",
    "compaction": "opaque data of the provider",
    "compaction_summary": "opaque data of the provider",
    "compaction_trigger": "opaque data of the provider",
    "context_compaction": "opaque data of the provider",
}
"""Items without text, each with the reason why it is in no step."""
SHOWN = "displayed"
"""Key of an item that was made of a displayed event: its text."""
_DISPLAYED = {
    "agent_message": ("message", "assistant"),
    "user_message": ("message", "user"),
    "agent_reasoning": ("text", ""),
    "agent_reasoning_raw_content": ("text", ""),
}
_ROLES = {"user": "user", "assistant": "agent", "system": "system", "developer": "system"}


@dataclass(slots=True)
class _Turn:
    """What the model gave in one go: reasoning, text, calls."""

    reasoning: list[str] = field(default_factory=list)
    kind: ReasoningKind = ""
    message: str | None = None
    calls: list[ToolCall] = field(default_factory=list)

    def step(self, trained: bool) -> list[Step]:
        """The turn as a step; nothing where all of it was hidden."""
        if not self.reasoning and self.message is None and not self.calls:
            return []
        text = "\n\n".join(self.reasoning) or None
        kind: ReasoningKind = self.kind
        return [Step("agent", self.message, text, tuple(self.calls), reasoning_kind=kind, trained=trained)]


def steps_of(items: Iterable[Item], counts: Counter[str], trained: bool = True) -> list[Step]:
    """Turn items into steps.

    Args:
        items: Items in order.
        counts: Gets the number of reasoning items that are encrypted, and of those that are summaries.
        trained: Whether what the agent says there is trained.

    Raises:
        RecordError: A part has no text (`unsupported_modality`).
    """
    steps: list[Step] = []
    turn = _Turn()
    for item in items:
        kind = _kind(item)
        if kind == "reasoning":
            texts, form = _reasoning(item, counts)
            if turn.message is not None or turn.calls or (turn.reasoning and texts and form != turn.kind):
                steps += turn.step(trained)
                turn = _Turn()
            turn.reasoning += texts
            turn.kind = form if texts or not turn.reasoning else turn.kind
        elif kind in NAMED_CALLS:
            turn.calls.append(_call(kind, item))
        elif kind == "message" and item.get("role") == "assistant":
            text = _content(item.get("content"), "an assistant message")
            if turn.message is not None or turn.calls:
                steps += turn.step(trained)
                turn = _Turn()
            turn.message = text or None
        elif given := _given(item):
            steps += [*turn.step(trained), given]
            turn = _Turn()
    return [*steps, *turn.step(trained)]


def user_text(item: Item) -> str | None:
    """What the user typed: the text of a user message that the harness did not write itself."""
    if item.get("type") != "message" or item.get("role") != "user":
        return None
    content = item.get("content")
    texts = [part.get("text") for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    text = "".join(part for part in texts if isinstance(part, str)) if texts else content
    if not isinstance(text, str) or text.lstrip().startswith(("<", "# AGENTS.md")):
        return None
    return text


def displayed(payload: Item) -> Item | None:
    """What an event shows of a message or of reasoning, as an item; older rollouts have it nowhere else."""
    kind = payload.get("type")
    key, role = _DISPLAYED.get(kind, ("", "")) if isinstance(kind, str) else ("", "")
    text = payload.get(key)
    if not isinstance(text, str) or not text.strip():
        return None
    if role:
        return {"type": "message", "role": role, "content": text, SHOWN: text}
    place = "content" if kind == "agent_reasoning_raw_content" else "summary"
    return {"type": "reasoning", place: [{"text": text}], SHOWN: text}


def strings_in(value: Any) -> Iterator[str]:
    """The strings inside a value."""
    if isinstance(value, str):
        yield value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for item in inside:
        yield from strings_in(item)


def unread_parts(item: Item) -> list[tuple[Any, str]]:
    """Objects inside an item, or the item, that are in no step, each with the reason."""
    kind = _kind(item)
    if kind in OPAQUE:
        return [(item, OPAQUE[kind])]
    if kind == "reasoning" and _texts(item.get("content")):
        return [(item.get("summary"), "a summary of reasoning that is read itself")]
    return []


def _kind(item: Item) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else ""


def _reasoning(item: Item, counts: Counter[str]) -> tuple[list[str], ReasoningKind]:
    """The texts of a reasoning item and what they are."""
    if texts := _texts(item.get("content")):
        return texts, ""
    if texts := _texts(item.get("summary")):
        counts["summarised_reasoning"] += 1
        return texts, "summary"
    if item.get("encrypted_content"):
        counts["encrypted_reasoning"] += 1
        return [], "encrypted"
    return [], ""


def _texts(parts: Any) -> list[str]:
    if isinstance(parts, str):
        return [parts] if parts else []
    found = [part.get("text") if isinstance(part, Mapping) else part for part in parts] if _is_list(parts) else []
    return [text for text in found if isinstance(text, str) and text]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _call(kind: str, item: Item) -> ToolCall:
    name, key = NAMED_CALLS[kind]
    given, own = item.get(key), item.get("name")
    space = item.get("namespace")
    own = own if isinstance(own, str) and own else name
    own = f"{space}.{own}" if isinstance(space, str) and space else own
    return ToolCall(own, "" if given is None else fields.verbatim(given), _id(item))


def _given(item: Item) -> Step | None:
    """The step of a message that is not the agent's, or of a result."""
    kind = _kind(item)
    if kind in OUTPUTS:
        return Step("tool", _output(item.get(OUTPUTS[kind])), tool_call_id=_id(item))
    if kind != "message":
        return None
    role = item.get("role")
    source = _ROLES.get(role) if isinstance(role, str) else None
    text = _content(item.get("content"), f"a message of {role}") if source else ""
    return Step("system" if source == "system" else "user", text) if text else None


def _id(item: Item) -> str | None:
    number = item.get("call_id")
    return number if isinstance(number, str) and number else None


def _output(output: Any) -> str:
    """The text of a result: a string, parts, or an object with its content."""
    if isinstance(output, Mapping) and isinstance(output.get("content"), str | list):
        output = output["content"]
    if isinstance(output, list) and all(isinstance(part, Mapping) and "type" in part for part in output):
        if any(part.get("type") in ("function", "namespace") for part in output):
            return fields.verbatim(output)
        return _content(output, "a result")
    return "" if output is None else fields.verbatim(output)


def _content(content: Any, where: str) -> str:
    if isinstance(content, list):
        return fields.text_of_parts(content, where)
    return "" if content is None else fields.verbatim(content)
