"""Bodies of recorded HTTP exchanges: where recorders keep them, and how they are packed (JSON text, base64, gzip, SSE).

VCR cassettes (Python and Ruby), HAR files, batch results, logs with a request beside its response.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from deepcoder_hf.readers import event_streams
from deepcoder_hf.readers.fields import Record

LISTS = ("interactions", "http_interactions", "exchanges", "entries")
"""Fields with several exchanges; HAR has its entries in `log`."""
PAIRS = (
    *(("request", "response"), ("request_body", "response_body"), ("raw_request", "raw_response")),
    *(("kwargs", "response"), ("body", "response"), ("params", "result"), ("request", "result")),
)
"""Names of the two sides of an exchange."""
BODIES = ("parsed_body", "body", "json", "postData", "content", "message", "data")
"""Fields of a side in which its body stands."""
WRAPPED = ("string", "base64_string", "text")
"""Fields of a wrapper around a packed body."""
WRAPPER = {*WRAPPED, "encoding", "mimeType", "size", "compression", "params", "comment"}
REQUEST = ("messages", "input", "contents", "prompt")
"""What the request of a model has at least one of."""
REPLY = ("choices", "output", "candidates", "content", "error")
MAX_UNPACKED = 64 << 20
"""Most bytes that a compressed body may expand to."""


def sides_of(record: Record) -> list[dict[str, Any]]:
    """The exchanges of a record: each with `request` and `response` bodies, either None, unpacked, and `status`."""
    return [_exchange(given) for given in _given(record)]


def unpacked(record: Record) -> Record:
    """The record with every body as the object that it packs; what is not packed stays the very same object."""
    holder = record.get("log")
    if isinstance(holder, Mapping) and isinstance(holder.get("entries"), list):
        return {**record, "log": {**holder, "entries": [_unpacked_exchange(item) for item in holder["entries"]]}}
    name = next((name for name in LISTS if isinstance(record.get(name), list)), None)
    if name is not None:
        return {**record, name: [_unpacked_exchange(item) for item in record[name]]}
    found = _unpacked_exchange(record)
    return found if isinstance(found, Mapping) else record


def _given(record: Record) -> Iterator[Mapping[str, Any]]:
    holder = record.get("log")
    given = holder.get("entries") if isinstance(holder, Mapping) else None
    if not isinstance(given, list):
        given = next((record[name] for name in LISTS if isinstance(record.get(name), list)), [record])
    return (item for item in given if isinstance(item, Mapping))


def _pair(exchange: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The names of the sides that an exchange has."""
    for request, response in PAIRS:
        if exchange.get(request) is not None and exchange.get(response) is not None:
            return request, response
    sides = (("request", "request_body"), ("response", "result", "response_body"))
    asked, given = (next((name for name in names if exchange.get(name) is not None), None) for names in sides)
    return asked, given


def _unpacked_exchange(exchange: Any) -> Any:
    if not isinstance(exchange, Mapping):
        return exchange
    names = [name for name in _pair(exchange) if name is not None]
    return {**exchange, **{name: _unpacked_side(exchange[name]) for name in names}}


def _unpacked_side(side: Any) -> Any:
    """A side with its body unpacked where it stands."""
    if not isinstance(side, Mapping):
        return _body(side)
    if is_body(side):
        return side
    for name in BODIES:
        if (packed := side.get(name)) not in (None, "", {}, []) and (body := _body(packed)) is not packed:
            return {**side, name: body}
    return side


def _exchange(exchange: Mapping[str, Any]) -> dict[str, Any]:
    request, response = _pair(exchange)
    found: dict[str, Any] = {
        "request": None if request is None else body_of(exchange[request]),
        "response": None if response is None else body_of(exchange[response]),
    }
    if found["request"] is None and any(name in exchange for name in REQUEST):
        found["request"] = {key: value for key, value in exchange.items() if key not in (request, response)}
        found["beside"] = True
    if response is None and found["request"] is not exchange and _is_reply(exchange):
        found["response"] = exchange
    return found


def body_of(side: Any) -> Mapping[str, Any] | None:
    """The body of a side, or None where it has none that is an object."""
    if isinstance(side, Mapping) and not is_body(side):
        side = next((side[name] for name in BODIES if side.get(name) not in (None, "", {}, [])), None)
    body = _body(side)
    return body if isinstance(body, Mapping) else None


def is_body(side: Mapping[str, Any]) -> bool:
    """Whether this is a body itself, not an HTTP message that has one."""
    if "headers" in side or "status_code" in side or "uri" in side or "parsed_body" in side:
        return False
    if any(isinstance(side.get(name), list | str) for name in ("messages", "input", "contents")):
        return True
    return _is_reply(side)


def _is_reply(value: Mapping[str, Any]) -> bool:
    if isinstance(value.get("choices"), list) or isinstance(value.get("candidates"), list):
        return True
    if isinstance(value.get("error"), Mapping) and not any(name in value for name in BODIES):
        return True
    return value.get("object") == "response" or (value.get("type") == "message" and value.get("role") == "assistant")


def _body(packed: Any) -> Any:
    """What a packed body holds; the same object where it is not packed, or not in a way that is known."""
    if isinstance(packed, Mapping):
        name = next((name for name in WRAPPED if isinstance(packed.get(name), str)), None)
        if name is None or not packed.keys() <= WRAPPER:
            return packed
        text = packed[name]
        inside = _unpacked_text(text, name == "base64_string" or packed.get("encoding") == "base64")
        return packed if inside is None else inside
    if isinstance(packed, list):
        body = event_streams.assembled(packed)
        return packed if body is None else body
    inside = _unpacked_text(packed, is_base64=False) if isinstance(packed, str) else None
    return packed if inside is None else inside


def _unpacked_text(text: str, is_base64: bool) -> Any:
    """The object in a text of JSON, events, base64 or base64 of gzip; None for other texts."""
    if is_base64 or text.startswith(("H4sI", "eyJ", "ZGF0YT", "ZXZlbn")):
        decoded = _decoded(text)
        return None if decoded is None else _unpacked_text(decoded, is_base64=False)
    start = text.lstrip()[:1]
    if start in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return event_streams.assembled(value) or value if isinstance(value, list) else value
    events = event_streams.events_of(text)
    return None if events is None else event_streams.assembled(events)


def _decoded(text: str) -> str | None:
    """The text that base64 holds, decompressed where it is gzip."""
    try:
        raw = base64.b64decode(text, validate=False)
        if raw.startswith(b"\x1f\x8b"):
            unzip = zlib.decompressobj(wbits=31)
            raw = unzip.decompress(raw, MAX_UNPACKED)
            if unzip.unconsumed_tail:
                return None
        return raw.decode()
    except (binascii.Error, zlib.error, ValueError):
        return None
