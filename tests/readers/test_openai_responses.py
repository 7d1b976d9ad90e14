"""OpenAI Responses items: order of emission, results inside the turn, kinds of reasoning, ends of turns, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from reading import read, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.trajectory import Observation, Step, ToolCall

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "q"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"}
LS = ToolCall("ls", "{}", "c")


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


def thought(*summaries: str, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text} for text in summaries], **more}


def of(*items: Any, **more: Any) -> dict[str, Any]:
    return {"input": [USER], "output": list(items), **more}


def test_reasoning_between_calls_keeps_the_order_of_emission() -> None:
    assert steps(of(thought("a"), CALL, thought("b"), said("m"), CALL))[1:] == [
        Step("agent", None, "a", (LS,), reasoning_kind="summary"),
        Step("agent", "m", "b", (LS,), reasoning_kind="summary"),
    ]


def test_own_reasoning_is_told_from_its_summary_and_what_is_encrypted_is_counted() -> None:
    own = {"content": [{"type": "reasoning_text", "text": "raw"}]}
    assert steps(of(thought("s", **own), said("m")))[1:] == [
        Step("agent", None, "s", reasoning_kind="summary"),
        Step("agent", "m", "raw"),
    ]
    hidden = read(of(thought(encrypted_content="xx"), said("m")))
    assert hidden.steps[1] == Step("agent", "m")
    assert hidden.metadata["encrypted_reasoning"] == 1


def test_messages_that_follow_each_other_stay_apart_and_the_parts_of_one_are_joined() -> None:
    two = said("b")
    two["content"].append({"type": "output_text", "text": "c"})
    assert steps(of(said("a"), two))[1:] == [Step("agent", "a"), Step("agent", "bc")]


def test_results_of_the_providers_tools_are_observations_of_the_turn() -> None:
    code = {"type": "code_interpreter_call", "id": "i", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]}
    mcp = {"type": "mcp_call", "id": "m", "server_label": "s", "name": "f", "arguments": "{}", "error": "no"}
    found = {"type": "file_search_call", "id": "f", "queries": ["x"], "results": [{"text": "y"}]}
    assert steps(of(code, mcp, found, said("m")))[1:] == [
        Step("agent", tool_calls=(ToolCall("code_interpreter", "1+1", "i"),), observations=(Observation("2", "i"),)),
        Step("agent", tool_calls=(ToolCall("s.f", "{}", "m"),), observations=(Observation("no", "m"),)),
        Step(
            "agent",
            tool_calls=(ToolCall("file_search", '{"queries": ["x"]}', "f"),),
            observations=(Observation('[{"text": "y"}]', "f"),),
        ),
        Step("agent", "m"),
    ]


def test_a_call_that_was_asked_for_approval_is_read_once() -> None:
    asked = {"type": "mcp_approval_request", "id": "a", "server_label": "s", "name": "f", "arguments": "{}"}
    granted = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}
    done = {"type": "mcp_call", "id": "m", "server_label": "s", "name": "f", "arguments": "{}", "output": "o"}
    done["approval_request_id"] = "a"
    found = steps({"items": [USER, asked, granted, done, said("m")]})
    assert [call.function_name for step in found for call in step.tool_calls] == ["s.f"]
    assert found[1] == Step("tool", '{"approve": true}', tool_call_id="a")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "aborted"),
        ({"status": "incomplete", "incomplete_details": None}, "aborted"),
        ({"status": "cancelled"}, "aborted"),
        ({"status": "completed"}, None),
        ({}, None),
    ],
)
def test_a_response_that_was_cut_off_says_so(more: dict[str, Any], expected: str | None) -> None:
    assert steps(of(said("m"), **more))[-1].finish_reason == expected


def test_a_turn_of_the_input_that_was_cut_off_says_so_and_a_weight_of_0_is_honoured() -> None:
    found = steps({"input": [USER, said("a", status="incomplete"), USER, {**CALL, "weight": 0}], "output": [said("m")]})
    assert [(step.finish_reason, step.trained) for step in found if step.source == "agent"] == [
        ("aborted", True),
        (None, False),
        (None, False),
    ]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"type": "image_generation_call", "id": "i", "result": "iVBOR"}, "unsupported_modality"),
        ({**USER, "content": [{"type": "input_image", "image_url": "x"}]}, "unsupported_modality"),
        ({"type": "computer_call_output", "output": {"type": "computer_screenshot"}}, "unsupported_modality"),
        ({"type": "item_reference", "id": "rs_1"}, "item_reference"),
        ({"type": "hologram", "x": "y"}, "unknown_item"),
        ({"type": "message", "role": "alien", "content": "x"}, "unknown_role"),
        ({"type": "function_call", "call_id": "c"}, "bad_tool_calls"),
    ],
)
def test_what_cannot_be_read_is_a_reject(item: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read({"input": [USER, item], "output": [said("m"), CALL]})
    assert caught.value.reason == reason


def test_instructions_and_a_text_as_input_are_the_first_steps() -> None:
    assert steps({"instructions": "be kind", "input": "q", "output": [said("m", phase="final_answer")]}) == [
        Step("system", "be kind"),
        Step("user", "q"),
        Step("agent", "m", answer=True),
    ]
