"""OpenTelemetry: later inputs hold earlier turns and each is said once; sub-agents are trajectories of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

PARSER = TrajectoryParser()


def text(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}], **more}


def span(name: str, start: int, parent: str = "", trace: str = "t", **attributes: Any) -> dict[str, Any]:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return {"trace_id": trace, "span_id": name, "parent_id": parent, "start_time": f"2026-01-01T00:00:{start:02d}Z",
            "name": name, "attributes": named}  # fmt: skip


def chat(name: str, start: int, given: list[Any], said: list[Any], parent: str = "", **more: Any) -> dict[str, Any]:
    messages = {"gen_ai__input__messages": json.dumps(given), "gen_ai__output__messages": json.dumps(said)}
    return span(name, start, parent, gen_ai__operation__name="chat", **messages, **more)


def read_all(*spans: Any) -> list[Trajectory]:
    return PARSER.parse_all({"events": list(spans)})


Q, A, R, B = text("user", "q"), text("assistant", "a"), text("user", "r"), text("assistant", "b")


def test_a_later_span_goes_on_with_what_it_was_given_and_nothing_is_said_twice() -> None:
    (found,) = read_all(chat("2", 2, [Q, A, R], [B]), chat("1", 1, [Q], [A]))  # sorted by time, not by place
    assert [(s.source, s.message, s.trained) for s in found.steps] == [
        ("user", "q", True), ("agent", "a", True), ("user", "r", True), ("agent", "b", True),
    ]  # fmt: skip
    assert found.trajectory_id == "t"


def test_reasoning_of_an_output_survives_though_the_history_lacks_it() -> None:
    thinking = {
        "role": "assistant",
        "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a"}],
    }
    (found,) = read_all(chat("1", 1, [Q], [thinking]), chat("2", 2, [Q, A, R], [B]))
    assert found.steps[1] == Step("agent", "a", "hm")


def test_a_changed_context_is_a_conversation_in_which_old_turns_are_not_trained() -> None:
    first, second = read_all(chat("1", 1, [Q], [A]), chat("2", 2, [text("system", "summary"), A, R], [B]))
    assert [s.message for s in first.steps] == ["q", "a"]
    assert [(s.message, s.trained) for s in second.steps if s.source == "agent"] == [("a", False), ("b", True)]
    assert (second.trajectory_id, second.parent_id) == ("t#1", "t")


def test_sub_agents_are_trajectories_of_their_own() -> None:
    def run(name: str, start: int, parent: str = "") -> dict[str, Any]:
        return span(name, start, parent, gen_ai__operation__name="invoke_agent")

    main, sub = read_all(
        run("m", 0), chat("1", 1, [Q], [A], "m"), run("s", 2, "m"), chat("2", 3, [text("user", "job")], [B], "s"),
        chat("3", 4, [Q, A, R], [text("assistant", "c")], "m"),
    )  # fmt: skip
    assert [s.message for s in main.steps] == ["q", "a", "r", "c"]
    assert [s.message for s in sub.steps] == ["job", "b"]
    assert (sub.trajectory_id, sub.parent_id, sub.metadata["kind"]) == ("t/s", "t", "sub_agent")


def test_turns_of_one_conversation_over_several_traces_are_one_trajectory() -> None:
    one, two = chat("1", 1, [Q], [A]), {**chat("2", 2, [Q, A, R], [B]), "trace_id": "u"}
    for each in (one, two):
        each["attributes"]["gen_ai.conversation.id"] = "conv"
    (found,) = read_all(one, two)
    assert (found.trajectory_id, len(found.steps)) == ("conv", 4)


def test_calls_and_results_are_paired_and_the_last_result_may_stand_in_the_span_of_its_tool() -> None:
    call = {"role": "assistant", "parts": [{"type": "tool_call", "id": "x", "name": "f", "arguments": {"n": 1}}]}
    tool = span(
        "2",
        2,
        gen_ai__operation__name="execute_tool",
        **{"gen_ai__tool__call__id": "x", "gen_ai__tool__call__result": "42"},
    )
    (found,) = read_all(chat("1", 1, [Q], [call]), tool)
    assert found.steps[1:] == (
        Step("agent", tool_calls=(ToolCall("f", '{"n": 1}', "x"),)),
        Step("tool", "42", tool_call_id="x", name="f"),
    )


def otlp(attributes: dict[str, Any], events: list[Any] | None = None) -> dict[str, Any]:
    listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    inner = {"traceId": "t", "spanId": "1", "startTimeUnixNano": "1", "attributes": listed, "events": events or []}
    return {
        "resourceSpans": [
            {"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "lib"}, "spans": [inner]}]}
        ]
    }


FORMS = [
    otlp({"gen_ai.input.messages": json.dumps([Q]), "gen_ai.output.messages": json.dumps([A])}),
    otlp({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "q", "gen_ai.completion.0.role": "assistant",
          "gen_ai.completion.0.content": "a"}),
    otlp({"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "q",
          "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "a"}),
    otlp({}, [{"name": "gen_ai.user.message", "attributes": [{"key": "content", "value": {"stringValue": "q"}}]},
              {"name": "gen_ai.choice", "attributes": [{"key": "message", "value": {"stringValue": json.dumps(
                  {"role": "assistant", "content": "a"})}}]}]),
]  # fmt: skip


@pytest.mark.parametrize("record", FORMS)
def test_every_way_of_writing_messages_is_read(record: dict[str, Any]) -> None:
    for one in (record, {"events": [record]}):
        (found,) = PARSER.parse_all(one)
        assert found.steps == (Step("user", "q"), Step("agent", "a"))
        assert "unread" not in found.metadata["read"]


def test_lists_are_put_together_by_number_and_not_by_text() -> None:
    attributes = {f"gen_ai.prompt.{n}.{key}": value for n in range(12)
                  for key, value in (("role", "user"), ("content", f"q{n}"))}  # fmt: skip
    found = PARSER.parse(otlp({**attributes, "gen_ai.completion.0.content": "a"}))
    assert [s.message for s in found.steps] == [*(f"q{n}" for n in range(12)), "a"]


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ([span("1", 1, http__method="GET")], "no_assistant_turn"),
        ([chat("1", 1, [Q], [])], "no_assistant_turn"),
        ([chat("1", 1, [{"role": "user", "parts": [{"type": "blob", "modality": "image", "content": "iV"}]}], [A])],
         "unsupported_modality"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_reject(spans: list[Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_all(*spans)
    assert caught.value.reason == reason
