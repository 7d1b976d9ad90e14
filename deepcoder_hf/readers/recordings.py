"""Recorded requests and responses of model providers: HTTP cassettes, HAR, batch results, logs, bare chat completions.

Bodies of OpenAI (chat, Responses), Groq, Anthropic and Gemini, as objects, JSON text, base64, gzip or streams of
events. Requests that repeat earlier ones become one conversation with the recorded replies (recorded_threads.py).
An error is no turn; what a provider refused to parse (`failed_generation`) is kept as a fact and never trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import (
    anthropic,
    fields,
    gemini,
    messages,
    openai_responses,
    recorded_bodies,
    recorded_threads,
)
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.recorded_threads import Exchange, Thread
from deepcoder_hf.trajectory import Trajectory

HTTP = ("headers", "uri", "url", "method", "status", "status_code", "protocol", "status_message", "http_version")
READ_IN_PARTS = "it is cut at the results of tools, and its parts are read"
IGNORED = {
    **{f"**.{path}" if "." in path or "[" in path else path: why for path, why in messages.IGNORED.items()},
    **{f"**.{path}" if "." in path and path[0] != "*" else path: why for path, why in anthropic.IGNORED.items()},
    **openai_responses.IGNORED,
    **gemini.IGNORED,
    **{f"**.{name}": "HTTP around the bodies" for name in HTTP},
    "**.cut_event": "the recording stops inside this event",
    "**.body.encoding": "how the body is packed",
    "**.message.channel": "structure, not text",
    **dict.fromkeys(("recorded_with", "http_version", "httpVersion", "recorded_at"), "HTTP around the bodies"),
    **dict.fromkeys(("log.*.startedDateTime", "log.creator", "log.browser", "log.pages"), "HTTP around the bodies"),
    "service_tier": "how the provider served the request",
    "**.error.message": "an error of the API, in the metadata: no turn came of it",
    "**.error.code": "an error of the API, in the metadata: no turn came of it",
    "**.error.failed_generation": "what the API refused of the model, in the metadata: no turn came of it",
    "**.executed_tools[].search_results": "again: the result of the tool, as objects",
    "**.executed_tools[].browser_results": "again: the result of the tool, as objects",
    "**.executed_tools[].code_results": "again: the result of the tool, as objects",
}
"""What is left out, with the reason."""


def matches(record: Record) -> bool:
    """A request beside its response, a list of such exchanges, or the response of a chat."""
    if _is_completion(record):
        return True
    log = record.get("log")
    given = log.get("entries") if isinstance(log, Mapping) else None
    names = recorded_bodies.LISTS
    given = given if isinstance(given, list) else next((v for n in names if isinstance(v := record.get(n), list)), None)
    if given is not None:
        return any(isinstance(item, Mapping) and _is_exchange(item) for item in given)
    return _is_exchange(record)


def unpacked(record: Record) -> Record:
    """The record with its bodies as objects, so that each string of them can be followed."""
    return recorded_bodies.unpacked(record)


def read(record: Record) -> list[Trajectory]:
    """Read one record: a trajectory for each conversation.

    Raises:
        RecordError: No body is that of a known API (`unknown_body`), there is no reply (`no_assistant_turn`,
            `failed_response`), or a body cannot be used (the reasons of the readers of messages, openai_responses,
            anthropic and gemini).
    """
    record = unpacked(record)
    exchanges, n_others = recorded_threads.exchanges_of(recorded_bodies.sides_of(record))
    if not exchanges:
        keys = ", ".join(repr(key) for key in list(record)[:8])
        raise RecordError(
            f"expected bodies of chat, Responses, Anthropic or Gemini, got none below the keys {keys}", "unknown_body"
        )
    facts = fields.metadata_of(record, _used(record, exchanges))
    facts |= {"other_requests": n_others} if n_others else {}
    found: list[Trajectory] = []
    refused: RecordError | None = None
    for thread in recorded_threads.threads_of(exchanges):
        try:
            found += [_with_facts(one, record, facts) for one in _read(thread)]
        except RecordError as error:
            if error.reason not in ("no_assistant_turn", "failed_response", "empty_messages"):
                raise
            refused = refused or error
    if not found:
        assert refused is not None
        raise refused
    return found


def left_out(record: Record) -> Iterator[tuple[Any, str]]:
    """What requests repeat of earlier exchanges, and reasoning that is cut at the results of tools."""
    sides = list(recorded_bodies.sides_of(record))
    for exchange in recorded_threads.exchanges_of(sides)[0]:
        yield from exchange.left_out
        choices = exchange.response.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            message = choice.get("message") if isinstance(choice, Mapping) else None
            if isinstance(message, Mapping) and message.get("executed_tools") and message.get("reasoning"):
                yield message["reasoning"], READ_IN_PARTS


def _is_completion(value: Any) -> bool:
    """Whether this is the body of a response of a chat, whole or streamed."""
    choices = value.get("choices") if isinstance(value, Mapping) else None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, Mapping) for choice in choices):
        return False
    kind = value.get("object")
    named = isinstance(kind, str) and kind.startswith(("chat.completion", "text_completion"))
    return named or any(isinstance(choice.get("message"), Mapping) for choice in choices)


def _is_exchange(item: Mapping[str, Any]) -> bool:
    for request, response in recorded_bodies.PAIRS:
        if item.get(request) is not None and item.get(response) is not None and _is_side(item[response]):
            return _is_side(item[request]) or request in ("kwargs", "params", "body")
    given = item.get("response") or item.get("result") or item.get("response_body")
    asked = any(isinstance(item.get(name), list) for name in recorded_bodies.REQUEST)
    return given is not None and (asked or "custom_id" in item) and _is_side(given)


def _is_side(side: Any) -> bool:
    """Whether this is an HTTP message, a body of a model's API, or a packed one."""
    if isinstance(side, str):
        start = side[:2000].lstrip()
        return start.startswith(("{", "data:", "event:")) and any(
            f'"{n}"' in side for n in ("choices", "messages", "type")
        )
    if isinstance(side, list):
        return any(_is_completion(item) for item in side)
    if not isinstance(side, Mapping):
        return False
    http = sum(name in side for name in (*HTTP, "body", "parsed_body", "content", "postData")) >= 2
    return http or recorded_bodies.is_body(side) or (side.get("type") == "succeeded" and "message" in side)


def _used(record: Record, exchanges: list[Exchange]) -> list[str]:
    """Fields of the record that are read as exchanges, or as the bodies themselves."""
    used = ["log", *recorded_bodies.LISTS, *(name for pair in recorded_bodies.PAIRS for name in pair)]
    beside = any(name in record for name in recorded_bodies.REQUEST) or _is_completion(record)
    return [*used, *record] if beside and len(exchanges) == 1 else used


def _read(thread: Thread) -> list[Trajectory]:
    """The trajectory of a conversation."""
    last = thread.last
    beside = {key: value for key, value in last.response.items() if key not in last.api.taken}
    skipped = ("previous_response_id", "prompt", "stream") if last.api.name == "chat" else ("previous_response_id",)
    body = {key: value for key, value in last.request.items() if key not in skipped}
    given = last.api.read({**body, **beside, last.api.items: thread.items})
    found = given if isinstance(given, list) else [given]
    if last.failed and not any(step.trained for one in found for step in one.steps if step.source == "agent"):
        message = fields.verbatim(last.response.get("error"))[:300]
        raise RecordError(
            f"expected a reply, got the error {message}; record the exchanges after it", "failed_response"
        )
    errors = last.errors()
    facts: dict[str, Any] = {"api": last.api.name, **({"errors": errors} if errors else {})}
    if (asked := last.request.get("model")) not in (None, last.response.get("model")) and isinstance(asked, str):
        facts["requested_model"] = asked
    return [replace(one, metadata={**one.metadata, **facts}) for one in found]


def _with_facts(trajectory: Trajectory, record: Record, facts: Mapping[str, Any]) -> Trajectory:
    """A trajectory with what the record says of all its conversations."""
    metadata = {**facts, **trajectory.metadata}
    if extra := {**facts.get("extra", {}), **trajectory.metadata.get("extra", {})}:
        metadata["extra"] = extra
    name = fields.identifier(record, ("custom_id", *fields.ID_FIELDS))
    group = fields.identifier(record, (*fields.GROUP_FIELDS, "custom_id"))
    return replace(
        trajectory,
        metadata=metadata,
        trajectory_id=trajectory.trajectory_id or name,
        group_id=trajectory.group_id or group,
    )
