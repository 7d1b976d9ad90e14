"""The four APIs whose bodies are recorded: where a conversation and its replies stand in them, and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deepcoder_hf.readers import anthropic, executed_tools, fields, gemini, messages, openai_responses, provider_bodies
from deepcoder_hf.trajectory import Trajectory

Item = dict[str, Any]
Body = Mapping[str, Any]

CALLS_OF_ITEMS = ("reasoning", "compaction", "mcp_list_tools")


@dataclass(frozen=True, slots=True)
class Api:
    """One API."""

    name: str
    items: str
    """Field of a request with the conversation."""
    fixed: tuple[str, ...]
    """Fields of a request that are the same for all of a conversation."""
    taken: tuple[str, ...]
    """Fields of a response that are read as its reply."""
    replies: Callable[[Body], list[list[Item]]]
    """The replies of a response, each as items of the conversation."""
    is_agent: Callable[[Body], bool]
    """Whether an item is the model's."""
    read: Callable[[Body], Trajectory | list[Trajectory]]

    def history(self, request: Body) -> list[Any]:
        """The conversation of a request, as a list of items."""
        given = request.get(self.items)
        if given is None and self.items == "messages" and request.get("prompt") is not None:
            given = request["prompt"]
        if isinstance(given, str):
            role = {"role": "user"}
            return [{**role, "parts": [{"text": given}]} if self.items == "contents" else {**role, "content": given}]
        return given if isinstance(given, list) else [] if given is None else [given]


def api_of(request: Body | None, response: Body | None) -> Api | None:
    """The API of an exchange; None where it is not a model that was asked."""
    request, response = request or {}, response or {}
    if response.get("type") == "message" and response.get("role") == "assistant":
        return ANTHROPIC
    if isinstance(response.get("candidates"), list) or isinstance(request.get("contents"), list):
        return GEMINI
    if response.get("object") == "response" or isinstance(response.get("output"), list):
        return RESPONSES
    if isinstance(response.get("choices"), list):
        return CHAT
    if isinstance(request.get("messages"), list):
        return ANTHROPIC if anthropic.matches(request) or isinstance(request.get("system"), list) else CHAT
    return RESPONSES if request.get("input") is not None and "instructions" in request else None


def _chat_replies(response: Body) -> list[list[Item]]:
    replies: list[list[Item]] = []
    choices = response.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, Mapping):
            continue
        message = choice.get("message")
        if not isinstance(message, Mapping):
            message = {"role": "assistant", "content": choice.get("text")}
        if not _says_something(message):
            continue
        reason = provider_bodies.finish_reason(choice.get("finish_reason"))
        found = {"role": "assistant", **executed_tools.with_parts(message), "finish_reason": reason}
        replies.append([{key: value for key, value in found.items() if value is not None and key not in NOT_SAID}])
    return replies


def _says_something(message: Body) -> bool:
    names = ("content", "reasoning", "reasoning_content", "tool_calls", "function_call", "refusal", "executed_tools")
    return any(message.get(name) not in (None, "", [], {}) for name in names)


def _read_chat(body: Body) -> Trajectory:
    """Read a chat body: its conversation as the reader of messages does, its settings as those of a request."""
    found = messages.read({name: body[name] for name in ("messages", "tools", "functions") if name in body})
    facts = provider_bodies.facts_of(body, ("messages", "prompt", "tools", "functions", *OF_CHOICES))
    kept = {key: value for key, value in found.metadata.items() if key != "model" or "model" not in facts}
    name = fields.identifier(body, fields.ID_FIELDS)
    return replace(found, metadata={**facts, **kept}, trajectory_id=name)


def _anthropic_replies(response: Body) -> list[list[Item]]:
    return [[dict(response)]] if isinstance(response.get("content"), list) and response["content"] else []


def _response_items(response: Body) -> list[list[Item]]:
    output = response.get("output")
    if not isinstance(output, list) or not output:
        return []
    items = [dict(item) if isinstance(item, Mapping) else item for item in output]
    end = openai_responses.end_of(response)
    if end is not None and isinstance(items[-1], dict):
        items[-1]["status"] = end
    return [items]


def _gemini_replies(response: Body) -> list[list[Item]]:
    found: list[list[Item]] = []
    candidates = response.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        content = candidate.get("content") if isinstance(candidate, Mapping) else None
        if isinstance(content, Mapping) and content.get("parts"):
            reason = candidate.get("finishReason") or candidate.get("finish_reason")
            found.append([{**content, "role": "model", "finishReason": reason}])
    return found


def _is_agent_item(item: Body) -> bool:
    kind = item.get("type")
    if kind in (None, "message"):
        return item.get("role") == "assistant"
    return isinstance(kind, str) and (
        kind in CALLS_OF_ITEMS or kind.endswith("_call") or kind == "mcp_approval_request"
    )


def _is_role(*roles: str) -> Callable[[Body], bool]:
    return lambda item: item.get("role") in roles


NOT_SAID = ("channel", "annotations", "index", "logprobs")
OF_CHOICES = ("choices", "object", "created", "status")
ANSWER = ("content", "role", "type", "stop_reason", "stop_sequence")
CHAT = Api("chat", "messages", (), OF_CHOICES, _chat_replies, _is_role("assistant", "model"), _read_chat)
ANTHROPIC = Api("anthropic", "messages", ("system",), ANSWER, _anthropic_replies, _is_role("assistant"), anthropic.read)
OF_OUTPUT = ("output", "object", "status", "incomplete_details", "previous_response_id", "output_text")
RESPONSES = Api(
    "openai_responses",
    "input",
    ("instructions",),
    OF_OUTPUT,
    _response_items,
    _is_agent_item,
    openai_responses.read,
)
GEMINI = Api("gemini", "contents", gemini.SYSTEM, ("candidates",), _gemini_replies, _is_role("model"), gemini.read)
