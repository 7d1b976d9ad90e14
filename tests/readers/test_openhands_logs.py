"""OpenHands LLM logs: each log trains its own response; earlier turns are context."""

from __future__ import annotations

import pytest
from mutations import golden
from reading import PARSER, read, steps

from deepcoder_hf.errors import RecordError

CHAT, TEXT, ITEMS = golden("openhands_logs")


def test_only_the_response_is_trained() -> None:
    assert [step.trained for step in steps(CHAT) if step.source == "agent"] == [False, True]
    assert steps(CHAT)[-1].finish_reason == "tool_calls"
    assert len(read(CHAT).tools) == 1


def test_calls_are_read_from_where_they_stand_as_calls() -> None:
    last = steps(TEXT)[-1]
    assert (last.message, last.finish_reason) == ("I write it.", "length")
    assert last.tool_calls[0].arguments == '{"command": "echo hi > f"'


def test_logs_of_the_responses_api_count_encrypted_reasoning() -> None:
    assert read(ITEMS).metadata["encrypted_reasoning"] == 1
    assert [step.trained for step in steps(ITEMS) if step.source == "agent"] == [False, True]


def test_a_log_whose_call_failed_is_refused() -> None:
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(
            {**CHAT, "response": {**CHAT["response"], "choices": [{"message": {"content": "", "role": "assistant"}}]}}
        )
    assert caught.value.reason == "no_assistant_turn"


@pytest.mark.parametrize("place", ["messages", "response"])
def test_text_that_the_calls_do_not_tell_is_not_ignored(place: str) -> None:
    other = "Something that neither the messages nor the answer with calls hold, and that somebody wrote all the same."
    if place == "messages":
        record = {**TEXT, "messages": [*TEXT["messages"], {"role": "user", "content": other}]}
    else:
        message = {"role": "assistant", "content": other}
        record = {**TEXT, "response": {**TEXT["response"], "choices": [{"message": message}]}}
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(record)
    assert caught.value.reason == "unread_fields"
