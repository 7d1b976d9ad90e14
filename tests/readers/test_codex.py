"""Codex: items are turns, events are their display, reasoning is marked as what it is, compaction begins a segment."""

from __future__ import annotations

from typing import Any

import pytest

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

PARSER = TrajectoryParser()
META = {"type": "session_meta", "payload": {"id": "c"}}


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response_item", "payload": {"type": kind, **fields}}


def said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return item("message", role=role, content=[{"type": kind, "text": text}])


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "event_msg", "payload": {"type": kind, **fields}}


def read_all(*events: Any) -> list[Trajectory]:
    return PARSER.parse_all({"events": [META, *events]})


def test_reasoning_text_and_calls_of_one_response_are_one_step_and_results_follow_by_id() -> None:
    (found,) = read_all(
        said("user", "q"),
        item("reasoning", summary=[{"type": "summary_text", "text": "hm"}], encrypted_content="g"),
        said("assistant", "I look."),
        item("function_call", name="shell", arguments='{"cmd": oops', call_id="a"),
        item("custom_tool_call", name="apply_patch", input="*** Begin", call_id="b"),
        item("custom_tool_call_output", output="ok", call_id="b"),
        item("function_call_output", output="bad", call_id="a"),
        said("assistant", "done"),
    )
    assert found.steps == (
        Step("user", "q"),
        Step("agent", "I look.", "hm",
             (ToolCall("shell", '{"cmd": oops', "a"), ToolCall("apply_patch", "*** Begin", "b")),
             reasoning_kind="summary"),
        Step("tool", "bad", tool_call_id="a"),
        Step("tool", "ok", tool_call_id="b"),
        Step("agent", "done"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reasoning", "text", "kind"),
    [
        ({"summary": [], "encrypted_content": "g"}, None, "encrypted"),
        ({"summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "g"}, "s", "summary"),
        ({"summary": [{"text": "s"}], "content": [{"type": "reasoning_text", "text": " raw "}]}, " raw ", ""),
        ({"summary": [{"text": "s"}, {"text": "t"}]}, "s\n\nt", "summary"),
        ({"summary": []}, None, ""),
    ],
)
def test_reasoning_is_marked_as_what_it_is(reasoning: dict[str, Any], text: str | None, kind: str) -> None:
    (found,) = read_all(item("reasoning", **reasoning), said("assistant", "a"))
    (step,) = found.steps
    assert (step.message, step.reasoning_content, step.reasoning_kind) == ("a", text, kind)
    assert "unread" not in found.metadata["read"]


def test_displayed_events_are_no_turns() -> None:
    (found,) = read_all(
        event("user_message", message="q"), said("user", "q"), event("agent_reasoning", text="display only"),
        event("agent_message", message="a"), said("assistant", "a"), event("token_count", info={}),
    )  # fmt: skip
    assert [step.message for step in found.steps] == ["q", "a"]


def test_turns_that_were_rolled_back_are_left_out_and_counted() -> None:
    (found,) = read_all(
        said("user", "<environment_context/>"), said("user", "one"), said("assistant", "a"), said("user", "two"),
        said("assistant", "b"), event("thread_rolled_back", num_turns=1), said("user", "three"), said("assistant", "c"),
    )  # fmt: skip
    assert [step.message for step in found.steps] == ["<environment_context/>", "one", "a", "three", "c"]
    assert found.metadata["dropped_branches"]["steps"] == 2
    assert "unread" not in found.metadata["read"]


@pytest.mark.parametrize("history", [None, [said("assistant", "a")["payload"], said("user", "sum")["payload"]]])
def test_a_compaction_begins_a_segment_in_which_old_turns_are_not_trained(history: Any) -> None:
    compacted = {"type": "compacted", "payload": {"message": "sum", "replacement_history": history}}
    main, segment = read_all(said("user", "q"), said("assistant", "a"), compacted, said("assistant", "b"))
    assert (main.trajectory_id, segment.trajectory_id, segment.parent_id) == ("c", "c#1", "c")
    assert [s.message for s in segment.steps] == (["sum", "b"] if history is None else ["a", "sum", "b"])
    assert [s.message for s in segment.steps if s.source == "agent" and s.trained] == ["b"]


def test_instructions_are_a_system_step_unless_a_message_says_them() -> None:
    meta = {
        "type": "session_meta",
        "payload": {"id": "c", "base_instructions": {"text": "be good"}, "instructions": "x"},
    }
    found = PARSER.parse(
        {"events": [meta, said("user", "<user_instructions>x</user_instructions>"), said("assistant", "a")]}
    )
    assert [(s.source, s.message) for s in found.steps][:1] == [("system", "be good")]
    assert len(found.steps) == 3


def test_the_old_layout_is_read_and_shell_calls_keep_their_action() -> None:
    events = [
        {"id": "o", "timestamp": "t", "instructions": None}, {"record_type": "state"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "q"}]},
        {"type": "local_shell_call", "call_id": "a", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "function_call_output", "call_id": "a", "output": {"content": "out", "success": True}},
    ]  # fmt: skip
    found = PARSER.parse({"events": events})
    assert found.trajectory_id == "o"
    assert found.steps[1].tool_calls == (ToolCall("local_shell", '{"type": "exec", "command": ["ls"]}', "a"),)
    assert found.steps[2].message == "out"


def test_an_unknown_item_with_much_text_is_a_reject_and_images_are_refused() -> None:
    with pytest.raises(RecordError) as caught:
        read_all(said("assistant", "a"), item("brand_new", text="w" * 500))
    assert caught.value.reason == "unread_fields"
    with pytest.raises(RecordError) as caught:
        read_all(
            item("message", role="user", content=[{"type": "input_image", "image_url": "data:"}]),
            said("assistant", "a"),
        )
    assert caught.value.reason == "unsupported_modality"
    with pytest.raises(RecordError) as caught:
        read_all(said("user", "q"))
    assert caught.value.reason == "no_assistant_turn"


def test_a_real_rollout_is_read_whole(shared_data: Any) -> None:
    (file,) = find_files(shared_data / "trajectories" / "atif-make-fixtures" / "codex-rollout.jsonl")
    (row,) = iter_records(file, ReadersConfig())
    (found,) = PARSER.parse_all(row.record)
    assert [step.source for step in found.steps] == ["user", "agent", "tool", "agent"]
    assert found.steps[1].reasoning_kind == "summary"
    assert found.trajectory_id == "cx-1"


def test_what_was_displayed_and_stands_in_no_item_is_read() -> None:
    (found,) = read_all(
        event("user_message", message="Which tests are slow?"),
        event("agent_reasoning", text="**Looking at the durations of the tests**"),
        event("agent_message", message="The three tests of the exporter take a minute each."),
    )
    assert [(step.source, step.message, step.reasoning_kind) for step in found.steps] == [
        ("user", "Which tests are slow?", ""),
        ("agent", "The three tests of the exporter take a minute each.", "summary"),
    ]


def test_what_was_displayed_of_an_item_is_told_once() -> None:
    text = "The three tests of the exporter take a minute each."
    (found,) = read_all(said("user", "q"), event("agent_message", message=text), said("assistant", text))
    assert [step.message for step in found.steps if step.source == "agent"] == [text]
    assert "unread" not in found.metadata["read"]
