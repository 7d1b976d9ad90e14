"""Recordings: conversations from requests that repeat each other, packed bodies, streams, errors, tools of Groq."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from reading import PARSER, REPLY, USER, read, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import recordings
from deepcoder_hf.readers.claims import leaves
from deepcoder_hf.trajectory import Observation, Step, ToolCall

MORE = {"role": "user", "content": "more"}


def reply(text: str | None = "ok", reason: str = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def exchange(messages: list[Any], response: Any, **more: Any) -> dict[str, Any]:
    return {"request": {"messages": messages, **more}, "response": response}


def record(*exchanges: Any) -> dict[str, Any]:
    return {"interactions": list(exchanges)}


def trained(given: Any) -> list[list[tuple[str | None, bool]]]:
    found = PARSER.parse_all(given)
    return [[(step.message, step.trained) for step in one.steps if step.source == "agent"] for one in found]


# --- conversations ---------------------------------------------------------------------------------------------------


def test_requests_that_go_on_are_one_trajectory_with_the_recorded_replies() -> None:
    first = exchange([USER], reply("a", reasoning="t"))
    echoed = {"role": "assistant", "content": "<think>\nt\n</think>\na"}
    (found,) = PARSER.parse_all(record(first, exchange([USER, echoed, MORE], reply("b"))))
    assert found.steps == (
        Step("user", "q"),
        Step("agent", "a", "t", finish_reason="stop"),
        Step("user", "more"),
        Step("agent", "b", finish_reason="stop"),
    )


def test_conversations_that_only_begin_alike_are_trajectories_that_train_each_turn_once() -> None:
    first = exchange([USER], reply("a"))
    branches = [exchange([USER, {"role": "assistant", "content": "a"}, {**MORE, "content": n}], reply(n)) for n in "xy"]
    assert trained(record(first, *branches)) == [[("a", True), ("x", True)], [("a", False), ("y", True)]]
    apart = record(exchange([USER], reply("a")), exchange([MORE], reply("b")))
    assert trained(apart) == [[("a", True)], [("b", True)]]


def test_a_history_without_recorded_replies_is_trained_once_too() -> None:
    history = [USER, REPLY, MORE]
    assert trained(record(exchange(history, reply("x")), exchange(history, reply("y")))) == [
        [("ok", True), ("x", True)],
        [("ok", False), ("y", True)],
    ]


def test_a_reply_that_the_client_did_not_repeat_is_a_trajectory_of_its_own() -> None:
    other = {"role": "assistant", "content": "something else"}
    given = record(exchange([USER], reply("a")), exchange([USER, other, MORE], reply("b")))
    assert trained(given) == [[("a", True)], [("something else", True), ("b", True)]]


def test_each_choice_is_a_trajectory_and_the_one_that_was_gone_on_with_is_said_once() -> None:
    first = reply("a")
    first["choices"].append({"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "length"})
    assert trained(record(exchange([USER], first))) == [[("a", True)], [("b", True)]]
    on = exchange([USER, {"role": "assistant", "content": "b"}, MORE], reply("c"))
    assert trained(record(exchange([USER], first), on)) == [[("a", True)], [("b", True), ("c", True)]]


def test_responses_that_name_the_one_before_them_are_one_trajectory() -> None:
    def response(number: int, text: str) -> dict[str, Any]:
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        return {"id": f"r{number}", "object": "response", "status": "completed", "output": [item]}

    first = {"request": {"input": "q", "instructions": "i"}, "response": response(1, "a")}
    second = {"request": {"input": "more", "instructions": "i", "previous_response_id": "r1"}}
    assert steps(record(first, {**second, "response": response(2, "b")})) == [
        Step("system", "i"),
        Step("user", "q"),
        Step("agent", "a"),
        Step("user", "more"),
        Step("agent", "b"),
    ]


def test_anthropic_conversations_are_joined_although_the_client_moves_its_cache_marks() -> None:
    asked = {"role": "user", "content": [{"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}]}
    said = [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "a"}]
    first = {"type": "message", "role": "assistant", "content": said, "stop_reason": "end_turn"}
    later = [{"role": "user", "content": "q"}, {"role": "assistant", "content": said[1:]}, MORE]
    last = {**first, "content": [{"type": "text", "text": "b"}]}
    given = record(exchange([asked], first, system="s"), exchange(later, last, system="s"))
    assert steps(given) == [
        Step("system", "s"),
        Step("user", "q"),
        Step("agent", "a", "t", finish_reason="end_turn"),
        Step("user", "more"),
        Step("agent", "b", finish_reason="end_turn"),
    ]


def test_what_later_requests_repeat_is_named_and_nothing_else() -> None:
    echoed = {"role": "assistant", "content": "<think>t</think>a"}
    given = record(exchange([USER], reply("a")), exchange([USER, echoed, MORE], reply("b")))
    found = leaves(given, recordings.read(given), {}, left_out=list(recordings.left_out(given)))
    assert [leaf.reason for leaf in found if leaf.path.endswith("messages[].content") and leaf.status == "ignored"] == [
        "the recorded reply stands in its place"
    ]


# --- errors ----------------------------------------------------------------------------------------------------------

REFUSED = {"error": {"message": "no", "code": "tool_use_failed", "failed_generation": '{"name": "f"}'}}


def test_an_error_is_no_turn_and_what_was_refused_is_kept_and_not_trained() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    echoed = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "bad"}]
    found = read(record(exchange([USER], REFUSED), exchange([USER, *echoed], reply("b"))))
    assert found.steps[1] == Step("agent", tool_calls=(ToolCall("f", "{}", "c"),), trained=False)
    assert found.steps[-1] == Step("agent", "b", finish_reason="stop")
    assert found.metadata["errors"] == [REFUSED["error"]]


def test_an_exchange_that_was_tried_again_is_one_turn() -> None:
    found = PARSER.parse_all(record(exchange([USER], {"error": {"message": "busy"}}), exchange([USER], reply("a"))))
    assert [one.steps for one in found] == [(Step("user", "q"), Step("agent", "a", finish_reason="stop"))]


@pytest.mark.parametrize("response", [REFUSED, {"error": {"message": "busy"}}, {**reply("half"), **REFUSED}])
def test_errors_alone_are_a_reject(response: Any) -> None:
    with pytest.raises(RecordError) as caught:
        read(record(exchange([USER], response)))
    assert caught.value.reason in ("no_assistant_turn", "failed_response")


def test_requests_to_others_are_counted_and_alone_they_are_a_reject() -> None:
    other = {"request": {"uri": "/models", "method": "GET"}, "response": {"status": 200, "body": '{"data": []}'}}
    assert read(record(other, exchange([USER], reply("a")))).metadata["other_requests"] == 1
    with pytest.raises(RecordError) as caught:
        read(record(other))
    assert caught.value.reason == "unknown_body"


# --- packed bodies ---------------------------------------------------------------------------------------------------

BODY = json.dumps(reply("é"))


@pytest.mark.parametrize(
    "response",
    [
        reply("é"),
        {"status": 200, "body": reply("é")},
        {"status": {"code": 200}, "headers": {}, "body": {"string": BODY}},
        {"status": {"code": 200}, "headers": {}, "parsed_body": reply("é")},
        {"status": 200, "headers": {}, "content": BODY},
        {"status": 200, "headers": {}, "body": {"base64_string": base64.b64encode(BODY.encode()).decode()}},
        {"status": 200, "headers": {}, "body": {"string": base64.b64encode(gzip.compress(BODY.encode())).decode()}},
        {"status": 200, "content": {"mimeType": "application/json", "text": BODY, "size": 9}, "headers": []},
        BODY,
    ],
)
def test_a_body_is_read_however_it_is_packed(response: Any) -> None:
    expected = [Step("user", "q"), Step("agent", "é", finish_reason="stop")]
    assert steps({"request": {"messages": [USER]}, "response": response}) == expected
    assert steps({"request": {"method": "POST", "uri": "/", "body": json.dumps({"messages": [USER]})},
                  "response": response}) == expected  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"log": {"entries": [{"request": {"method": "POST", "url": "/", "postData": {"text": '{"messages": []}'}},
                              "response": {"status": 200, "content": {"text": BODY}}}]}},
        {"custom_id": "a", "response": {"status_code": 200, "body": reply("é")}, "error": None},
        {"custom_id": "a", "result": {"type": "succeeded", "message": {
            "type": "message", "role": "assistant", "content": [{"type": "text", "text": "é"}],
            "stop_reason": "stop"}}},
        {"messages": [], "response": reply("é"), "model": "m", "startTime": 1.0},
        {"request_body": {"messages": []}, "response_body": reply("é")},
        reply("é"),
    ],
)  # fmt: skip
def test_the_layouts_of_recorders_are_known(given: Any) -> None:
    assert PARSER.format_of(given) == "recordings"
    assert steps(given) == [Step("agent", "é", finish_reason="stop")]


@pytest.mark.parametrize(
    "given",
    [
        {"request": "Sort it.", "response": "Thought: hm"},
        {"request": "Sort it.", "response": '{"answer": 1}'},
        {"messages": [USER, REPLY], "response": "ok"},
        {"messages": [USER, REPLY], "choices": ["a", "b"]},
        {"interactions": [{"user": "q", "bot": "a"}]},
    ],
)
def test_other_records_with_such_names_are_left_alone(given: Any) -> None:
    assert PARSER.format_of(given) != "recordings"


def test_a_compressed_body_that_expands_without_end_is_not_unpacked() -> None:
    bomb = base64.b64encode(gzip.compress(b" " * (65 << 20))).decode()
    with pytest.raises(RecordError):
        read(record({"request": {"messages": [USER]}, "response": {"status": 200, "headers": {}, "body": bomb}}))


# --- tools that Groq ran ---------------------------------------------------------------------------------------------


def test_executed_tools_are_calls_and_observations_between_pieces_of_reasoning() -> None:
    tools = [{"type": "search", "arguments": '{"q": "x"}', "output": "found x"}]
    reasoning = "first\n<tool>search(x)</tool>\n<output>found x\n</output>then"
    assert steps(reply("m", reasoning=reasoning, executed_tools=tools)) == [
        Step("agent", None, "first\n", (ToolCall("search", '{"q": "x"}'),), (Observation("found x"),)),
        Step("agent", "m", "then", finish_reason="stop"),
    ]
    apart = steps(reply("m", reasoning="nothing of it", executed_tools=tools))
    assert apart[-1] == Step("agent", "m", "nothing of it", finish_reason="stop")
    assert apart[0].observations == (Observation("found x"),)


def test_a_short_result_is_cut_out_where_it_was_given_not_where_its_text_is_said_first() -> None:
    tools = [{"type": "python", "arguments": "print(3 * 4)", "output": "12"}]
    reasoning = "There are 12 apples.\n<tool>print(3 * 4)</tool>\n<output>12</output>\nSo it is."
    assert steps(reply("m", reasoning=reasoning, executed_tools=tools)) == [
        Step("agent", None, "There are 12 apples.\n", (ToolCall("python", "print(3 * 4)"),), (Observation("12"),)),
        Step("agent", "m", "\nSo it is.", finish_reason="stop"),
    ]
    unmarked = steps(reply("m", reasoning="There are 12 apples.", executed_tools=tools))
    assert unmarked[-1] == Step("agent", "m", "There are 12 apples.", finish_reason="stop")
