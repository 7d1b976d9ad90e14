"""Event streams: what a stream brings is the body that the same response has without streaming."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from reading import USER, steps

from deepcoder_hf.readers.event_streams import assembled, events_of
from deepcoder_hf.trajectory import Step, ToolCall


def sse(*events: Any, named: bool = False, newline: str = "\n") -> str:
    lines = []
    for event in events:
        lines += [f"event: {event['type']}"] if named else []
        lines += [f"data: {event if isinstance(event, str) else json.dumps(event)}", ""]
    return newline.join([*lines, ""])


def answered(stream: str, field: str = "messages") -> list[Step]:
    http = {"status": 200, "headers": {}, "body": stream}
    return steps({"request": {field: [USER], "model": "m"}, "response": http})[1:]


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


def piece(number: int, arguments: str, **more: Any) -> dict[str, Any]:
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"index": number, "function": {"arguments": arguments, **name}, **more}


CHAT = [
    delta(role="assistant", content=""),
    delta(reasoning="th"),
    delta(reasoning="ink"),
    delta(content="a "),
    delta(content="b"),
    delta(tool_calls=[piece(0, "", id="c", name="f", type="function"), piece(1, "{}", id="d", name="g")]),
    delta(tool_calls=[piece(0, '{"x":')]),
    delta(tool_calls=[piece(0, " 1}")]),
]
CALLS = (ToolCall("f", '{"x": 1}', "c"), ToolCall("g", "{}", "d"))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_streamed_chat_is_the_message_that_it_brings(newline: str) -> None:
    stream = sse(*CHAT, delta("tool_calls"), "[DONE]", newline=newline)
    assert answered(stream) == [Step("agent", "a b", "think", CALLS, finish_reason="tool_calls")]


def test_a_stream_that_stops_before_its_end_is_an_aborted_turn() -> None:
    assert answered(sse(*CHAT)) == [Step("agent", "a b", "think", CALLS, finish_reason="aborted")]
    assert answered(sse(*CHAT) + 'data: {"choices": [{"del')[0].finish_reason == "aborted"


USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
ANTHROPIC = [
    {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "t"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_start", "index": 2, "content_block": USE},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"x":  '}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
    {"type": "content_block_stop", "index": 2},
]
END = [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]


def test_a_streamed_anthropic_message_keeps_its_arguments_letter_for_letter() -> None:
    step = Step("agent", "a", "t", (ToolCall("f", '{"x":  1}', "c"),), finish_reason="tool_use")
    assert answered(sse(*ANTHROPIC, *END, named=True)) == [step]
    assert answered(sse(*ANTHROPIC, named=True))[0].finish_reason == "aborted"


ITEM = {"type": "message", "role": "assistant", "content": []}
RESPONSE = [
    {"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress", "output": []}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "s"},
    {"type": "response.output_item.added", "output_index": 1, "item": ITEM},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "a"},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "b"},
]


def test_a_streamed_response_is_its_last_body_or_what_came_of_it() -> None:
    whole = {**ITEM, "content": [{"type": "output_text", "text": "abc"}]}
    done = {"type": "response.completed", "response": {"object": "response", "status": "completed", "output": [whole]}}
    assert answered(sse(*RESPONSE, done, named=True), "input") == [Step("agent", "abc")]
    cut = Step("agent", "ab", "s", reasoning_kind="summary", finish_reason="aborted")
    assert answered(sse(*RESPONSE, named=True), "input") == [cut]


def test_a_streamed_gemini_response_joins_its_parts() -> None:
    events: list[dict[str, Any]] = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]} for text in "ab"
    ]
    events[1]["candidates"][0]["finishReason"] = "STOP"
    request = {"contents": [{"role": "user", "parts": [{"text": "q"}]}]}
    for body in (sse(*events), json.dumps(events)):
        http = {"status": 200, "headers": {}, "body": body}
        expected = Step("agent", "ab", finish_reason="STOP")
        assert steps({"request": request, "response": http})[1:] == [expected]


def test_a_log_with_a_list_of_chunks_is_read() -> None:
    record = {"request": {"messages": [USER]}, "response": [*CHAT, delta("stop")]}
    assert steps(record)[-1] == Step("agent", "a b", "think", CALLS, finish_reason="stop")


def test_events_that_are_not_known_stay_in_the_body() -> None:
    body = assembled([*ANTHROPIC, {"type": "hologram", "text": "?"}])
    assert body is not None
    assert body["unread_events"] == [{"type": "hologram", "text": "?"}]
    assert assembled([{"type": "hologram"}]) is None
    assert events_of("data is here") is None


def test_a_long_stream_takes_linear_time() -> None:
    text = sse(*(delta(content="word " * 20) for _ in range(20_000)))
    before = time.process_time()
    found = assembled(events_of(text) or [])
    assert found is not None
    assert len(found["choices"][0]["message"]["content"]) == 2_000_000
    assert time.process_time() - before < 3.0
