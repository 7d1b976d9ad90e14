"""Gemini contents: both spellings, thoughts as summaries, code that the provider ran, candidates, ends, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from reading import PARSER, read, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.trajectory import Observation, Step, ToolCall

USER = {"role": "user", "parts": [{"text": "q"}]}


def model(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts), **more}


@pytest.mark.parametrize(
    ("call", "result"), [("functionCall", "functionResponse"), ("function_call", "function_response")]
)
def test_calls_and_results_are_read_in_both_spellings(call: str, result: str) -> None:
    answer = {"role": "user", "parts": [{result: {"name": "ls", "response": {"a": "é"}}}]}
    record = {"contents": [USER, model({call: {"name": "ls", "args": {"p": "ü"}}}), answer, model({"text": "m"})]}
    assert steps(record) == [
        Step("user", "q"),
        Step("agent", tool_calls=(ToolCall("ls", '{"p": "ü"}'),)),
        Step("tool", '{"a": "é"}', name="ls"),
        Step("agent", "m"),
    ]


def test_thoughts_are_summaries_and_signatures_are_counted() -> None:
    parts = [{"text": "a ", "thought": True}, {"text": "b", "thought": True}, {"text": "m"}, {"thoughtSignature": "x"}]
    found = read({"contents": [USER, model(*parts)]})
    assert found.steps[1] == Step("agent", "m", "a b", reasoning_kind="summary")
    assert found.metadata["encrypted_reasoning"] == 1


def test_code_that_the_provider_ran_has_its_output_inside_the_turn() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    ran = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    assert steps({"contents": [USER, model({"text": "a"}, code, ran, {"text": "b"})]})[1:] == [
        Step("agent", "a", None, (ToolCall("", "1", None, "python"),), (Observation("1\n"),)),
        Step("agent", "b"),
    ]


def test_each_candidate_is_a_trajectory_and_earlier_turns_are_trained_once() -> None:
    candidates = [{"content": model({"text": text}), "finishReason": "MAX_TOKENS"} for text in "ab"]
    record = {"id": "g", "contents": [USER, model({"text": "m"}), USER], "candidates": candidates}
    one, two = PARSER.parse_all(record)
    assert (one.trajectory_id, two.trajectory_id) == ("g", "g#1")
    assert [step.trained for step in one.steps if step.source == "agent"] == [True, True]
    assert [step.trained for step in two.steps if step.source == "agent"] == [False, True]
    assert two.steps[-1] == Step("agent", "b", finish_reason="length")


def test_functions_are_definitions_of_their_own_and_tools_of_the_provider_stay() -> None:
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}, {"googleSearch": {}}]
    found = read({"contents": [USER, model({"text": "m"})], "tools": tools})
    assert found.tools == ('{"name": "f"}', '{"name": "g"}', '{"googleSearch": {}}')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (model({"inlineData": {"mimeType": "image/png", "data": "x"}}), "unsupported_modality"),
        (model({"hologram": {}}), "unknown_part"),
        (model({"functionCall": {}}), "bad_tool_calls"),
        ({"role": "alien", "parts": [{"text": "x"}]}, "unknown_role"),
        ({"role": "user", "parts": [{"functionCall": {"name": "f"}}]}, "unknown_part"),
        (model("text"), "missing_content"),
    ],
)
def test_what_cannot_be_read_is_a_reject(content: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read({"contents": [USER, content, model({"text": "m"})]})
    assert caught.value.reason == reason


def test_a_blocked_response_is_no_turn() -> None:
    with pytest.raises(RecordError) as caught:
        read({"contents": [USER], "candidates": [{"finishReason": "SAFETY"}]})
    assert caught.value.reason == "no_assistant_turn"
