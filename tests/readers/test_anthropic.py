"""Anthropic messages: which records are taken, blocks in the order of emission, results, redacted thinking, ends."""

from __future__ import annotations

from typing import Any

import pytest
from reading import PARSER, read, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.trajectory import Observation, Step, ToolCall

USER = {"role": "user", "content": "q"}
USE = {"type": "tool_use", "id": "t", "name": "ls", "input": {}}
LS = ToolCall("ls", "{}", "t")


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def body(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(blocks), "stop_reason": "end_turn", **more}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (body(text("a")), "anthropic"),
        ({"messages": [USER, body(text("a"))]}, "anthropic"),
        ({"system": "s", "messages": [USER, {"role": "assistant", "content": [USE]}]}, "anthropic"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "server_tool_use"}]}]}, "anthropic"),
        ({"messages": [USER, USER], "tools": [{"name": "f", "input_schema": {}}]}, "anthropic"),
        ({"messages": [USER, {"role": "assistant", "content": [USE]}]}, "messages"),
        ({"system": "s", "messages": [USER, {"role": "assistant", "content": "a"}]}, "messages"),
        ({"messages": [USER, {"role": "assistant", "content": "a"}]}, "messages"),
        ({"type": "message", "role": "assistant", "content": "a"}, None),
    ],
)
def test_only_what_is_unmistakable_is_taken(record: dict[str, Any], expected: str | None) -> None:
    assert PARSER.format_of(record) == expected


def test_results_of_the_providers_tools_divide_the_turn() -> None:
    run = {"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {"code": "1"}}
    ran = {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "1", "return_code": 0}}
    assert steps(body(text("a"), run, ran, text("b "), text("c"))) == [
        Step(
            "agent",
            "a",
            None,
            (ToolCall("code_execution", '{"code": "1"}', "s"),),
            (Observation('{"stdout": "1", "return_code": 0}', "s"),),
        ),
        Step("agent", "b c", finish_reason="end_turn"),
    ]


def test_parallel_calls_of_the_provider_are_one_step() -> None:
    calls = [{"type": "server_tool_use", "id": n, "name": "f", "input": {}} for n in "ab"]
    results = [{"type": "f_tool_result", "tool_use_id": n, "content": n} for n in "ba"]
    (step,) = steps(body(*calls, *results))
    assert [result.content for result in step.observations] == ["a", "b"]


def test_text_before_thinking_is_said_before_it() -> None:
    think = {"type": "thinking", "thinking": "t", "signature": "x"}
    assert steps(body(text("a"), think, USE)) == [
        Step("agent", "a"),
        Step("agent", None, "t", (LS,), finish_reason="end_turn"),
    ]


def test_redacted_and_empty_thinking_is_counted_and_failed_tools_too() -> None:
    hidden = {"type": "thinking", "thinking": "", "signature": "x"}
    failed = {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": "no"}
    found = read({"messages": [body({"type": "redacted_thinking", "data": "x"}, hidden, USE),
                               {"role": "user", "content": [failed]}]})  # fmt: skip
    assert found.metadata["redacted_reasoning"] == 2
    assert found.metadata["tool_errors"] == 1
    assert found.steps == (
        Step("agent", tool_calls=(LS,), finish_reason="end_turn"),
        Step("tool", "no", tool_call_id="t"),
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("max_tokens", "length"), ("model_context_window_exceeded", "length"), ("pause_turn", "pause_turn"), (None, None)],
)
def test_why_a_turn_ended_is_kept(reason: str | None, expected: str | None) -> None:
    assert steps(body(text("a"), stop_reason=reason))[-1].finish_reason == expected


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "image", "source": {"type": "base64", "data": "x"}}, "unsupported_modality"),
        ({"type": "document", "source": {"type": "base64", "data": "x"}}, "unsupported_modality"),
        ({"type": "hologram"}, "unknown_block"),
        ({"type": "tool_use"}, "bad_tool_calls"),
        ({"type": "f_tool_result", "content": [{"type": "image"}]}, "unsupported_modality"),
    ],
)
def test_what_cannot_be_read_is_a_reject(block: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(body(text("a"), block))
    assert caught.value.reason == reason
