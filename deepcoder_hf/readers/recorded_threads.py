"""Recorded exchanges -> conversations: requests that repeat an earlier one go on it, each reply stands in one place.

A request repeats the turns before it, often rewritten by the client (reasoning dropped or put into the text): where an
earlier exchange recorded the reply itself, that reply stands in the conversation instead. What the model said is
trained in the first conversation that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.provider_apis import Api, Body, Item, api_of

REPEATED = "an earlier request of the record says the same"
SHARED = "a later request of the record says the same"
REPLACED = "the recorded reply stands in its place"
_NOT_SAID = ("cache_control", "id", "status", "phase", "weight")
"""Keys of items that a client may add or drop without changing what is said."""
_THINK = re.compile(r"<think>.*?</think>", re.DOTALL)


@dataclass(slots=True, eq=False)
class Exchange:
    """One request and what came back."""

    api: Api
    request: Body
    response: Body
    raw: list[str]
    """What the items of the request say, to compare them."""
    items: list[Any]
    """The conversation up to this request, recorded replies in their places."""
    replies: list[list[Item]]
    failed: bool
    continued: set[int] = field(default_factory=set)
    """Replies that a later request goes on; the first is also there where it was asked again after a failure."""
    before: Exchange | None = None
    left_out: list[tuple[Any, str]] = field(default_factory=list)

    def errors(self) -> list[Any]:
        """Errors of this exchange and of those before it."""
        earlier = self.before.errors() if self.before else []
        return [*earlier, self.response["error"]] if self.failed else earlier


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation."""

    last: Exchange
    items: list[Any]


def exchanges_of(sides: Iterable[Mapping[str, Any]]) -> tuple[list[Exchange], int]:
    """The exchanges with models, in order, each with the conversation that it goes on, and how many others there are.

    Args:
        sides: `request` and `response` bodies, as `recorded_bodies.sides_of` gives them.
    """
    found: list[Exchange] = []
    interned: dict[int, Any] = {}
    n_others = 0
    for side in sides:
        request, response = side["request"] or {}, side["response"] or {}
        api = api_of(request, response)
        if api is None:
            n_others += 1
            continue
        given = api.history(request)
        raw = [_said(item) for item in given]
        items = _interned(given, raw, interned, _said([api.name, *(request.get(name) for name in api.fixed)]))
        failed = bool(response.get("error")) and not isinstance(response.get("error"), str | bool)
        exchange = Exchange(api, request, response, raw, items, api.replies(response), failed)
        exchange.left_out = [(old, REPEATED) for old, new in zip(given, items, strict=True) if old is not new]
        _go_on(exchange, given, found)
        found.append(exchange)
    return found, n_others


def threads_of(exchanges: Sequence[Exchange]) -> list[Thread]:
    """Conversations that nothing goes on, and one for each reply that was not gone on with."""
    trained: set[int] = set()
    threads = []
    for exchange in exchanges:
        open_replies = [reply for number, reply in enumerate(exchange.replies) if number not in exchange.continued]
        if not exchange.replies and not exchange.continued:
            open_replies = [[]]
        for reply in open_replies:
            items = [*exchange.items, *([{**item, "weight": 0} for item in reply] if exchange.failed else reply)]
            threads.append(Thread(exchange, [_once(exchange.api, item, trained) for item in items]))
    return threads


def _once(api: Api, item: Any, trained: set[int]) -> Any:
    """An item, without weight where an earlier conversation trains it."""
    if not isinstance(item, Mapping) or not api.is_agent(item):
        return item
    known = id(item) in trained
    trained.add(id(item))
    return {**item, "weight": 0} if known else item


def _interned(given: list[Any], raw: list[str], interned: dict[int, Any], fixed: str) -> list[Any]:
    """The items, each the very object of an earlier request that says the same up to there."""
    place = hash(fixed)
    items = []
    for item, said in zip(given, raw, strict=True):
        place = hash((place, said))
        items.append(interned.setdefault(place, item))
    return items


def _go_on(exchange: Exchange, given: list[Any], earlier: Sequence[Exchange]) -> None:
    """Put the recorded replies of the exchange that this one goes on into its conversation."""
    nearest = sorted(enumerate(earlier), key=lambda numbered: (len(numbered[1].raw), numbered[0]), reverse=True)
    for _, before in nearest:
        if before.api is not exchange.api:
            continue
        named = exchange.request.get("previous_response_id")
        if named is not None and named == before.response.get("id") and before.replies:
            exchange.items = [*before.items, *before.replies[0], *exchange.items]
            _continue(before, 0, exchange)
            return
        n = len(before.raw)
        fixed = all(exchange.request.get(name) == before.request.get(name) for name in exchange.api.fixed)
        if not fixed or exchange.raw[:n] != before.raw or (n == len(exchange.raw) and not before.failed):
            continue
        echo = _echo(exchange.api, given[n:])
        number = _echoed(exchange.api, before, echo)
        if number is None:
            continue
        reply = _reply(before, number, echo, exchange.items[n : n + len(echo)])
        exchange.left_out += [(item, REPLACED) for item in echo if not any(item is other for other in reply)]
        exchange.items = [*before.items, *reply, *exchange.items[n + len(echo) :]]
        _continue(before, number, exchange)
        return


def _continue(before: Exchange, number: int, exchange: Exchange) -> None:
    """Note that an exchange goes on a reply of another one; what their requests share is read in the later one."""
    exchange.before = before
    before.continued.add(number)
    shared = (name for name, value in before.request.items() if value == exchange.request.get(name))
    before.left_out += [(before.request[name], SHARED) for name in shared if name != exchange.api.items]


def _echo(api: Api, items: list[Any]) -> list[Any]:
    """The model's items with which these begin."""
    n = next((n for n, item in enumerate(items) if not (isinstance(item, Mapping) and api.is_agent(item))), len(items))
    return items[:n]


def _echoed(api: Api, before: Exchange, echo: list[Any]) -> int | None:
    """The number of the reply that a later request repeats; None where it repeats none."""
    if before.failed:
        return 0
    if not echo:
        return None
    said = _signature(api, echo)
    for number, reply in enumerate(before.replies):
        other = _signature(api, reply)
        if said is not None and other is not None and said[1] == other[1] and (said[1] or said[0] == other[0]):
            return number
    return None


def _reply(before: Exchange, number: int, echo: list[Any], interned: list[Any]) -> list[Any]:
    """What stands in the conversation: the recorded reply; after a failure what the client made of it, not trained."""
    if not before.failed:
        return before.replies[number]
    recorded = before.replies[number][0] if before.replies and before.api.name == "chat" else {}
    kept = {key: value for key, value in recorded.items() if value not in (None, "", [])}
    if not kept or len(echo) != 1:
        return [{**item, "weight": 0} for item in interned]
    calls = {key: echo[0][key] for key in ("tool_calls",) if echo[0].get(key)}
    return [{**kept, **calls, "weight": 0}]


def _signature(api: Api, items: list[Any]) -> tuple[str, list[tuple[str, str]]] | None:
    """What items say to the world, without reasoning: text and calls; None where they cannot be read."""
    try:
        found = api.read({api.items: items})
    except RecordError:
        return None
    steps = (found[0] if isinstance(found, list) else found).steps
    text = "".join(step.message or "" for step in steps)
    calls = [(call.function_name, _same_json(call.arguments)) for step in steps for call in step.tool_calls]
    return _THINK.sub("", text).strip(), calls


def _same_json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text.strip()


def _said(item: Any) -> str:
    """What an item says, as text to compare."""
    return json.dumps(_compared(item), sort_keys=True, default=str)


def _compared(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _compared(item) for key, item in value.items() if key not in _NOT_SAID and item is not None}
    if isinstance(value, list):
        only = value[0] if len(value) == 1 else None
        if (
            isinstance(only, Mapping)
            and only.get("type") == "text"
            and only.keys() <= {"type", "text", "cache_control"}
        ):
            return only.get("text")
        return [_compared(item) for item in value]
    return value
