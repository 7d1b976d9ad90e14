"""Formats: what cannot be read is a reject with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import REPLY, USER, agent, chat, read

from deepcoder_hf.errors import RecordError, UnknownFormatError
from deepcoder_hf.readers import READERS, known_formats
from deepcoder_hf.trajectory import from_json, to_json

# --- rejects ---------------------------------------------------------------------------------------------------------

IMAGE = {"type": "image_url", "image_url": {"url": "x"}}


@pytest.mark.parametrize(
    ("record", "reason", "message"),
    [
        (chat(), "empty_messages", "list of messages is empty"),
        ({"conversations": []}, "empty_messages", "list of messages is empty"),
        (chat({"content": "x"}, REPLY), "missing_role", "message 0: expected a role, got keys"),
        (chat(REPLY, {"role": None, "content": "x"}), "missing_role", "message 1: expected a role"),
        (chat(REPLY, "text"), "missing_role", "message 1: expected an object with role and content, got str"),
        (
            chat(REPLY, {"role": "wizard", "content": "x"}),
            "unknown_role",
            "message 1: unknown role 'wizard'; known: assistant",
        ),
        (chat({"role": "user"}, REPLY), "missing_content", "message 0: expected content, got nothing"),
        (chat({"role": "system", "content": None}, REPLY), "missing_content", "message 0: expected content"),
        (chat({"role": "user", "content": 3}, REPLY), "missing_content", "expected content, got int"),
        (chat({"role": "tool", "content": None}, REPLY), "missing_content", "message 0: expected content"),
        (chat(USER, {"role": "assistant"}), "missing_content", "message 1: an assistant turn without content"),
        (
            chat(USER, {"role": "assistant", "content": None, "tool_calls": []}),
            "missing_content",
            "message 1: an assistant",
        ),
        (chat(USER), "no_assistant_turn", "expected an assistant turn, got only user"),
        (chat(USER, {"role": "tool", "content": "x"}), "no_assistant_turn", "got only tool, user"),
        (chat({"role": "user", "content": [IMAGE]}, REPLY), "unsupported_modality", "type 'image_url' has no text"),
        (agent(content=[{"type": "text", "text": "x"}, IMAGE]), "unsupported_modality", "message 0: a content part"),
        (agent(content=[{"type": "text", "text": None}]), "unsupported_modality", "message 0: a content part"),
        (agent(content=[{"type": "thinking", "data": "x"}]), "unsupported_modality", "type 'thinking'"),
        (
            chat({"role": "user", "content": [{"type": "tool_result", "content": [IMAGE]}]}, REPLY),
            "unsupported_modality",
            "message 0",
        ),
        (
            agent(content="x", tool_calls="f()"),
            "bad_tool_calls",
            "message 0: expected tool_calls to be a list of objects",
        ),
        (agent(content="x", tool_calls=["f()"]), "bad_tool_calls", "message 0: expected tool_calls"),
        (agent(content="x", tool_calls={"name": "f"}), "bad_tool_calls", "message 0: expected tool_calls"),
        (agent(content="x", function_call="f()"), "bad_tool_calls", "message 0: expected tool_calls"),
        (
            {"steps": [{"thought": "t"}, {"note": "x"}]},
            "bad_step",
            r"step 2: expected one of thought, .* got \['note'\]",
        ),
        ({"steps": [{"thought": "t"}, {}]}, "bad_step", r"step 2: .* got \[\]"),
        ({"steps": [{"thought": ""}]}, "bad_step", "step 1"),
        ({"steps": [{"thought": "t", "observation": [IMAGE]}]}, "unsupported_modality", "step 1: observation"),
        ({"content": ""}, "empty_record", "field 'content' is empty"),
        ({"content": " \n"}, "empty_record", "field 'content' is empty"),
        ({"content": []}, "empty_record", "field 'content' is empty"),
        ({"content": [IMAGE]}, "unsupported_modality", "content: a content part of type 'image_url'"),
        ({"content": [3]}, "unsupported_modality", "content: a content part of type 'int'"),
        ({"text": ""}, "empty_record", "field 'text' is empty"),
        ({"response": " \r\n\t"}, "empty_record", "field 'response' is empty"),
        ({}, "unknown_format", "with the keys none; known formats: "),
        ({"prompt": "x", "out": 1}, "unknown_format", "with the keys 'prompt', 'out'; known formats"),
        ({"steps": []}, "empty_record", "the list 'steps' is empty"),
        ({"content": None}, "unknown_format", "with the keys 'content'"),
        ({"role": "user", "content": "x"}, "unknown_format", "with the keys 'role', 'content'"),
        ([1], "not_an_object", "expected an object, got list"),
        ("x", "not_an_object", "expected an object, got str"),
        (None, "not_an_object", "expected an object, got NoneType"),
    ],
)
def test_what_cannot_be_read_is_a_reject_that_says_why(record: Any, reason: str, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        read(record)
    assert caught.value.reason == reason
    assert isinstance(caught.value, UnknownFormatError) == (reason == "unknown_format")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_known_formats_name_every_reader(name: str) -> None:
    assert f" {name} (" in known_formats()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "type", "name"]), inner)
    ),
    max_leaves=6,
)
KEYS = (
    "messages",
    "conversations",
    "steps",
    "trajectory",
    "content",
    "text",
    "output",
    "task",
    "system",
    "id",
    "answer",
    "input",
)
MESSAGE_KEYS = (
    "role",
    "from",
    "content",
    "value",
    "tool_calls",
    "function_call",
    "reasoning",
    "thought",
    "action",
    "observation",
)
message_like = st.dictionaries(
    st.sampled_from(MESSAGE_KEYS), st.sampled_from(["assistant", "user", "tool", ""]) | json_values
)
records = st.dictionaries(st.sampled_from(KEYS), json_values | st.lists(message_like, max_size=3), max_size=4)


@settings(max_examples=400, deadline=None)
@given(record=records)
def test_any_object_is_a_trajectory_or_a_reject(record: dict[str, Any]) -> None:
    try:
        trajectory = read(record)
    except RecordError as error:
        reason, message = error.reason, str(error)
        trajectory = None
    if trajectory is None:
        assert reason
        assert message
        return
    assert trajectory.steps
    assert from_json(to_json(trajectory), trajectory.source_format).steps == trajectory.steps
    for step in trajectory.steps:
        texts = [step.message, step.reasoning_content, *(result.content for result in step.observations)]
        assert all(isinstance(text, str) or text is None for text in texts)
        assert all(isinstance(c.function_name, str) and isinstance(c.arguments, str) for c in step.tool_calls)
