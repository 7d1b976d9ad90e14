"""Events of the OpenHands SDK (`kind`: MessageEvent, ActionEvent, ObservationEvent ...) -> turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.readers import fields, logged_items, parts, turns
from deepcoder_hf.readers.openhands_turns import Conversation, Turn, framed
from deepcoder_hf.trajectory import Observation, Step, ToolCall

KINDS = frozenset(
    (
        *("SystemPromptEvent", "MessageEvent", "ActionEvent", "ObservationEvent", "UserRejectObservation"),
        *("AgentErrorEvent", "Condensation", "CondensationSummaryEvent", "CondensationRequest", "TokenEvent"),
        *("ConversationStateUpdateEvent", "ConversationErrorEvent", "PauseEvent", "LLMCompletionLogEvent"),
    )
)
RESULT_TEXTS = ("content", "output", "message", "error", "text")


def is_event(event: Mapping[str, Any]) -> bool:
    """Whether an event is one of the SDK."""
    return isinstance(event.get("kind"), str) and event["kind"] in KINDS


def put(talk: Conversation, event: Mapping[str, Any], where: str, counts: dict[str, Any], tools: list[Any]) -> None:
    """Add an event to a conversation; tool definitions are added to `tools`.

    Raises:
        RecordError: What `turns.steps_of` refuses.
    """
    kind, number = event.get("kind"), event.get("id")
    if kind == "SystemPromptEvent":
        names = ("system_prompt", "dynamic_context")
        texts = [turns.text_of(event.get(name), f"{where}.{name}") for name in names]
        if found := [Step("system", text) for text in texts if text]:
            talk.put(found, number)
        tools += event["tools"] if isinstance(event.get("tools"), list) else []
    elif kind == "MessageEvent":
        _message(talk, event, where, counts)
    elif kind == "ActionEvent":
        _action(talk, event, where, counts)
    elif kind in ("ObservationEvent", "UserRejectObservation", "AgentErrorEvent"):
        _result(talk, event, where)
    elif kind == "Condensation":
        forgotten = event.get("forgotten_event_ids")
        known = [item for item in forgotten if isinstance(item, str | int)] if isinstance(forgotten, list) else []
        turns.add(counts, "condensations")
        talk.condense(known, turns.string_of(event.get("summary")), event.get("summary_offset"))
    elif kind == "TokenEvent" and talk.turns and talk.turns[-1].steps[-1].source == "agent":
        steps = talk.turns[-1].steps
        given, made = _ids(event.get("prompt_token_ids")), _ids(event.get("response_token_ids"))
        steps[-1] = replace(steps[-1], prompt_token_ids=given, completion_token_ids=made)


def _message(talk: Conversation, event: Mapping[str, Any], where: str, counts: dict[str, Any]) -> None:
    message = event.get("llm_message")
    found = turns.message_steps(message, f"{where}.llm_message", counts)
    if isinstance(message, Mapping) and message.get("role") == "assistant":
        found = [*_thought(message, f"{where}.llm_message", counts), *found]
    if extended := turns.text_of(event.get("extended_content") or None, f"{where}.extended_content"):
        found.append(Step("user", extended))
    if found:
        talk.put(found, event.get("id"))


def _thought(message: Mapping[str, Any], where: str, counts: dict[str, Any]) -> list[Step]:
    """The steps of a reasoning item of the Responses API."""
    item = message.get("responses_reasoning_item")
    if not isinstance(item, Mapping):
        return []
    told = {name: _listed(item.get(name)) for name in ("content", "summary")}
    return logged_items.steps_of([{**item, **told, "type": "reasoning"}], where, counts)


def _listed(texts: Any) -> list[Any]:
    listed = texts if isinstance(texts, list) else []
    return [{"text": text} if isinstance(text, str) else text for text in listed]


def _action(talk: Conversation, event: Mapping[str, Any], where: str, counts: dict[str, Any]) -> None:
    raw = turns.object_of(event.get("tool_call"))
    if raw:
        call = parts.tool_call(raw, where)
    else:
        action = event.get("action")
        given = {k: v for k, v in action.items() if k != "kind"} if isinstance(action, Mapping) else action
        arguments = "" if given is None else fields.verbatim(given)
        call = ToolCall(turns.string_of(event.get("tool_name")) or "", arguments)
    if call.tool_call_id is None and "id" not in raw:
        call = replace(call, tool_call_id=turns.string_of(event.get("tool_call_id")))
    answer = turns.string_of(event.get("llm_response_id")) or turns.string_of(event.get("llm_batch_id"))
    turn = talk.answers.get(answer) if answer else None
    if turn is None or not turn.trained:
        turn = talk.put(_said(event, where, counts) or [Step("agent")], event.get("id"), answer)
    turn.add_call(call)
    talk.note(turn, event.get("id"))


def _said(event: Mapping[str, Any], where: str, counts: dict[str, Any]) -> list[Step]:
    """What the model thought and said before its call."""
    named = ("reasoning_content", "thinking_blocks")
    message = {"content": event.get("thought"), **{name: event.get(name) for name in named}}
    return [*_thought(event, where, counts), *turns.agent_steps(message, where, counts)]


def _result(talk: Conversation, event: Mapping[str, Any], where: str) -> None:
    number, name = turns.string_of(event.get("tool_call_id")), turns.string_of(event.get("tool_name"))
    result = Observation(_result_text(event, where), number, name)
    turn: Turn | None = talk.turn_of(number, event.get("action_id"))
    if turn is None:
        talk.put([Step("tool", result.content, tool_call_id=number, name=name)], event.get("id"))
        return
    turn.add_result(result)
    talk.note(turn, event.get("id"))


def _result_text(event: Mapping[str, Any], where: str) -> str:
    for name in ("error", "rejection_reason"):
        if text := turns.string_of(event.get(name)):
            return text
    given = event.get("observation")
    if not isinstance(given, Mapping):
        return turns.text_of(given, f"{where}.observation")
    for name in RESULT_TEXTS:
        if given.get(name) not in (None, "", [], {}):
            return framed(turns.text_of(given[name], f"{where}.observation.{name}"), given.get("metadata"))
    left = {key: value for key, value in given.items() if key != "kind" and value not in (None, "", [], {})}
    return fields.verbatim(left) if left else ""


def _ids(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    return tuple(value) if whole else ()
