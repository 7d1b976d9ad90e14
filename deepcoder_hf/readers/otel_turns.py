"""GenAI spans of one agent -> conversations: later inputs hold the earlier turns, which are said once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from deepcoder_hf.readers import fields
from deepcoder_hf.readers.otel_messages import given_and_said, tools_of
from deepcoder_hf.readers.otel_spans import Span
from deepcoder_hf.trajectory import Step

Key = tuple[str, ...]
"""What a step says, without what a history may leave out: reasoning, ids, why it ended."""


@dataclass(slots=True)
class Conversation:
    """A growing list of turns."""

    steps: list[Step]
    keys: list[Key]
    spans: list[Span] = field(default_factory=list)
    tools: tuple[str, ...] = ()


def conversations(spans: Sequence[Span]) -> list[Conversation]:
    """Put the spans of one agent together.

    A span whose input begins with all that a conversation holds goes on with it; any other span begins a
    conversation (a compacted context, a side task), in which what was said before is not trained again.

    Args:
        spans: Spans with messages, sorted by their beginning.

    Raises:
        RecordError: A part has no text (`unsupported_modality`).
    """
    found: list[Conversation] = []
    seen: set[Key] = set()
    for span in spans:
        given, said = given_and_said(span)
        if not given and not said:
            continue
        keys = [_key(step) for step in given]
        home = _continued(found, keys)
        if home is None:
            given = [_again(step, key, seen) for step, key in zip(given, keys, strict=True)]
            home = Conversation(given, keys)
            found.append(home)
        else:
            start = len(home.keys)
            home.steps += given[start:]
            home.keys += keys[start:]
        home.steps += said
        home.keys += [_key(step) for step in said]
        home.spans.append(span)
        home.tools = tools_of(span) or home.tools
        seen.update(key for key in home.keys if key[0] == "agent")
    return found


def add_results(conversation: Conversation, results: dict[str, str]) -> None:
    """Add the results of calls that no later input tells of, from the spans of the tools."""
    answered = {step.tool_call_id for step in conversation.steps if step.source == "tool"}
    steps: list[Step] = []
    for step in conversation.steps:
        steps.append(step)
        for call in step.tool_calls:
            name = call.tool_call_id
            if name in results and name not in answered:
                steps.append(Step("tool", results[name], tool_call_id=name, name=call.function_name or None))
    conversation.steps = steps


def _continued(found: Sequence[Conversation], keys: Sequence[Key]) -> Conversation | None:
    """The longest conversation with which an input begins."""
    fitting = [item for item in found if len(item.keys) <= len(keys) and item.keys == list(keys[: len(item.keys)])]
    return max(fitting, key=lambda item: len(item.keys), default=None)


def _again(step: Step, key: Key, seen: set[Key]) -> Step:
    return replace(step, trained=False) if key in seen else step


def _key(step: Step) -> Key:
    calls = (text for call in step.tool_calls for text in (call.function_name, _plain(call.arguments)))
    return (step.source, (step.message or "").strip(), *calls)


def _plain(arguments: str) -> str:
    """Arguments in one form, whether they came as an object or as its JSON."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return fields.verbatim(arguments)
