"""Chat messages: tools, flags of other tools, reasoning of every kind, typed parts, and JSON inside of texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reading import LENIENT, REPLY, USER, agent, chat, read, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import messages
from deepcoder_hf.trajectory import Observation, Step, ToolCall

TOOL = {"type": "function", "function": {"name": "größe", "parameters": {"type": "object", "properties": {}}}}
QUESTION = "How old is Perl? " + "I ask because the build still needs it. " * 6
"""Longer than what a record's extra facts hold."""
TOOL_TEXT = json.dumps(TOOL, ensure_ascii=False)


@pytest.mark.parametrize("name", ["tools", "functions", "tool_definitions", "available_tools"])
@pytest.mark.parametrize(
    "value",
    [[TOOL], TOOL, json.dumps([TOOL]), json.dumps(TOOL, separators=(",", ":")), [json.dumps(TOOL, indent=1)]],
)
def test_definitions_of_tools_are_read_from_lists_objects_and_json(name: str, value: Any) -> None:
    found = read({**chat(USER, REPLY), name: value})
    assert found.tools == (TOOL_TEXT,)
    assert "unread_fields" not in found.metadata
    assert "unread" not in found.metadata["read"]


@pytest.mark.parametrize("value", [[], "[]"])
def test_an_empty_list_of_tools_is_read(value: Any) -> None:
    found = read({**chat(USER, REPLY), "tools": value})
    assert (found.tools, found.metadata["read"].get("unread", 0)) == ((), 0)


@pytest.mark.parametrize("value", ["you may use bash", "[1, 2]", '{"a"', ["bash"], [[TOOL]]])
def test_what_is_no_definition_of_a_tool_stays_unread_and_is_named(value: Any) -> None:
    found = LENIENT.parse({**chat(USER, REPLY), "tools": value})
    assert found.tools == ()
    assert found.metadata["read"].get("unread", 0) or "tools" in found.metadata.get("extra", {})


@pytest.mark.parametrize("flag", ["weight", "loss_weight", "loss_scale", "loss", "training", "train"])
def test_flags_of_other_tools_take_a_turn_out_of_the_training(flag: str) -> None:
    for value in (0, 0.0, False):
        assert steps(agent(content="a", **{flag: value})) == [Step("agent", "a", trained=False)]
    for value in (1, 0.5, True, None, "0"):
        assert LENIENT.parse(agent(content="a", **{flag: value})).steps == (Step("agent", "a"),)
    calls = {"from": "function_call", "value": '{"name": "f", "arguments": {}}', flag: 0}
    (step, _) = steps({"conversations": [calls, {"from": "gpt", "value": "ok"}]})
    assert (step.trained, step.tool_calls) == (False, (ToolCall("f", "{}"),))


def test_every_step_of_a_message_that_is_not_trained_is_not_trained() -> None:
    content = [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "name": "f", "input": {}},
        {"type": "text", "text": "b"},
    ]
    assert [step.trained for step in steps(agent(content=content, weight=0))] == [False, False]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("aborted", "aborted"),
        ("cancelled", "aborted"),
        ("stop", "stop"),
    ],
)
@pytest.mark.parametrize("key", ["finish_reason", "stop_reason"])
def test_why_the_model_stopped_is_kept_in_its_normal_form(key: str, reason: str, expected: str) -> None:
    assert steps(agent(content="a", **{key: reason})) == [Step("agent", "a", finish_reason=expected)]


def test_thinking_blocks_and_details_are_read_once_beside_plain_reasoning() -> None:
    blocks = [{"type": "thinking", "thinking": "one. "}, {"type": "thinking", "thinking": "two."}]
    assert steps(agent(content="a", reasoning_content="one. two.", thinking_blocks=blocks)) == [
        Step("agent", "a", "one. two."),
    ]
    assert steps(agent(content="a", thinking_blocks=blocks)) == [
        Step("agent", None, "one. "),
        Step("agent", "a", "two."),
    ]
    details = [{"type": "reasoning.text", "text": "one. two."}]
    assert steps(agent(content="a", reasoning="one. two.", reasoning_details=details)) == [
        Step("agent", "a", "one. two.")
    ]


def test_summaries_and_what_a_provider_keeps_to_itself_are_no_reasoning() -> None:
    details = [{"type": "reasoning.summary", "summary": "s"}, {"type": "reasoning.encrypted", "data": "eHg="}]
    found = read(agent(content="a", reasoning_details=details))
    assert found.steps == (Step("agent", "a", "s", reasoning_kind="summary"),)
    assert found.metadata["redacted_reasoning"] == 1
    hidden = messages.read(
        agent(content=[{"type": "redacted_thinking", "data": "eHg="}, {"type": "text", "text": "a"}])
    )
    assert hidden.steps == (Step("agent", "a", reasoning_kind="redacted"),)
    assert hidden.metadata["redacted_reasoning"] == 1


def test_results_of_tools_of_the_server_stand_inside_the_turn() -> None:
    content = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u", "encrypted_content": "eHg="}]},
        {"type": "text", "text": "found"},
    ]
    assert list(messages.read(agent(content=content)).steps) == [
        Step(
            *("agent", None, None, (ToolCall("web_search", '{"query": "q"}', "s"),)),
            observations=(Observation('[{"url": "u"}]', "s"),),
        ),
        Step("agent", "found"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        '{"name": "f", "arguments": {}, "thought": "kept too"}',
        '{"name": "", "arguments": {}}',
        '{"name": "f", "arguments": null}',
        '[{"name": "f", "arguments": {}}, 3]',
        "[",
    ],
)
def test_a_call_turn_with_more_than_calls_stays_verbatim_so_that_nothing_is_lost(value: str) -> None:
    found = read({"conversations": [{"from": "function_call", "value": value}]})
    assert found.steps == (Step("agent", tool_calls=(ToolCall("", value),)),)
    assert "unread" not in found.metadata["read"]


def test_a_result_that_is_a_list_without_parts_is_json_and_a_refusal_is_what_is_said() -> None:
    result = {"role": "tool", "tool_call_id": 4, "content": [{"id": 1}, {"id": 2}]}
    assert steps(chat(result, REPLY))[0] == Step("tool", '[{"id": 1}, {"id": 2}]', tool_call_id="4")
    assert steps(agent(content=None, refusal="I cannot help.")) == [Step("agent", "I cannot help.")]


def test_a_custom_call_keeps_its_free_text() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin\n+x"}}
    assert steps(agent(content=None, tool_calls=[call])) == [
        Step("agent", tool_calls=(ToolCall("apply_patch", "*** Begin\n+x", "c"),)),
    ]


def test_a_rendering_beside_the_messages_is_left_out_only_where_it_says_nothing_more() -> None:
    record = chat({"role": "user", "content": QUESTION}, {"role": "assistant", "content": "It is from 1987."})
    text = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\nIt is from 1987."
    assert read({**record, "text": text}).source_format == "rendered_messages"
    for more in ("<|im_end|>\n<|im_start|>user\nAnd how old is Python, in years?", " And Python is from 1991."):
        with pytest.raises(RecordError, match="text") as caught:
            read({**record, "text": text + more})
        assert caught.value.reason == "unread_fields"


@pytest.mark.parametrize(("column", "value"), [("label", False), ("kto_tag", False), ("label", True), ("label", 0)])
def test_an_example_of_what_not_to_do_is_read_and_not_trained(column: str, value: Any) -> None:
    flattened = {"prompt": "Do it.", "response": "Thought: I look.\nAction: look[x]"}
    pairs = {"prompt": [USER], "completion": [REPLY]}
    for record in (chat(USER, REPLY), pairs, {"instruction": "a", "output": "b"}, flattened):
        found = read({**record, column: value})
        assert {step.trained for step in found.steps} == {value is not False}
        assert found.metadata.get("undesired") == (column if value is False else None)


@pytest.mark.parametrize("train", [True, False])
def test_a_turn_of_which_axolotl_excludes_a_range_is_not_trained(train: bool) -> None:
    detail = [{"begin_offset": 0, "end_offset": 3, "train": train}]
    assert steps(chat(USER, {**REPLY, "train_detail": detail}))[-1].trained is train


@pytest.mark.parametrize("depth", [*range(60, 1100, 40), 100_000])
def test_json_that_is_nested_too_deep_stays_text(depth: int) -> None:
    value = '{"name": "f", "arguments": ' + "[" * depth + "]" * depth + "}"
    (step,) = steps({"conversations": [{"from": "function_call", "value": value}]})
    assert step.tool_calls[0] in (ToolCall("", value), ToolCall("f", "[" * depth + "]" * depth))
    found = LENIENT.parse({**chat(USER, REPLY), "tools": value})
    assert found.tools in ((), (value,))
