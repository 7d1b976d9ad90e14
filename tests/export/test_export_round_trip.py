"""Every trajectory format is read back by the reader of that format, with all that it can hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exported import PARSER, events, golden, trajectories, without
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.errors import RecordError
from deepcoder_hf.export import EXPORTERS, exporter, session_traces
from deepcoder_hf.export.json_text import dump
from deepcoder_hf.export.losses import KINDS, Losses
from deepcoder_hf.export.run import read_trajectories
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

NOT_HELD = {
    "atif": ("name",),
    "trl": (),
    "openai": ("reasoning",),
    "ms-swift": ("id", "name"),
    "llamafactory": ("id", "name"),
    "session-traces": (),
}
"""What does not come back: names of results stand in ATIF's `extra`, which is the writer's own."""
CHATS = [name for name in NOT_HELD if name != "llamafactory"]
GOLDEN = golden()


def exported(trajectory: Trajectory, name: str) -> tuple[Any, Losses]:
    losses = Losses()
    return json.loads(dump(exporter(name).export(trajectory, losses))), losses


def tried(trajectory: Trajectory, name: str) -> tuple[Any, Losses] | str:
    """The record and its losses, or the reason why there is none."""
    try:
        return exported(trajectory, name)
    except RecordError as error:
        return error.reason


def same(name: str, trajectory: Trajectory, record: Any) -> None:
    """A record read back is the trajectory; ids that a format makes up are not compared."""
    back = PARSER.parse(record)
    with_ids = (item for step in trajectory.steps for item in (*step.tool_calls, *step.observations))
    made_up = any(item.tool_call_id is None for item in with_ids)
    left_out = {*NOT_HELD[name], *(["id"] if made_up and name in ("atif", "openai") else [])}
    assert without(events(back), *left_out) == without(events(trajectory), *left_out)
    if name in ("atif", "trl", "ms-swift"):
        assert back.trajectory_id == trajectory.trajectory_id


def test_every_trajectory_format_is_read_back_in_these_tests() -> None:
    assert {name for name in EXPORTERS if exporter(name).INPUT == "trajectories"} == set(NOT_HELD)


@pytest.mark.parametrize("name", CHATS)
def test_golden_samples_come_back(name: str) -> None:
    n_compared = 0
    for trajectory in GOLDEN:
        found = tried(trajectory, name)
        if isinstance(found, str):
            assert found in ("no_assistant_turn", "result_without_call")
            continue
        record, losses = found
        if set(losses.facts()) & {"reasoning_kind", "lone_surrogate", "nameless_call"}:
            continue  # what is counted as lost does not come back
        same(name, trajectory, record)
        n_compared += 1
    assert n_compared >= 4


@pytest.mark.parametrize("name", CHATS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_trajectory_comes_back(name: str, data: st.DataObject) -> None:
    trajectory = data.draw(trajectories())
    record, losses = exported(trajectory, name)
    assert set(losses.facts()) <= set(KINDS)
    same(name, trajectory, record)


@settings(max_examples=80, deadline=None)
@given(trajectories())
def test_llamafactory_alternates_and_keeps_every_text(trajectory: Trajectory) -> None:
    found = tried(trajectory, "llamafactory")
    if isinstance(found, str):
        assert found == "not_alternating"
        return
    record, losses = found
    speakers = [message["from"] in ("gpt", "function_call") for message in record["conversations"]]
    assert speakers == [bool(n % 2) for n in range(len(speakers))]
    assert len(speakers) % 2 == 0
    written = "".join(message["value"] for message in record["conversations"]) + record["system"]
    if "trailing_turn" not in losses.facts():
        for step in trajectory.steps:
            assert all(text in written for text in (step.message, step.reasoning_content) if text)
            assert all(result.content in written for result in step.observations)
    assert json.loads(record["tools"] or "[]") == [json.loads(tool) for tool in trajectory.tools]


def test_llamafactory_comes_back_by_its_own_reading_of_calls() -> None:
    """LLaMA-Factory takes what is in `<tool_call>` tags, else what follows the reasoning, as JSON of the calls."""
    calls = (ToolCall("grep", '{"pattern": "TODO",  "n": 1.50}', "c1"), ToolCall("bash", "ls -la", "c2"))
    results = (Observation("a.py:1", "c1"), Observation("a.py", "c2"))
    steps = (
        Step("user", "Find TODOs."),
        Step("agent", "Both.", "Grep, then list.", calls, results),
        Step("agent", "1"),
    )
    record, losses = exported(Trajectory(steps, "messages", tools=('{"name": "grep"}',)), "llamafactory")
    human, call, observation, gpt = record["conversations"]
    said, _, rest = call["value"].partition("<tool_call>")
    assert said == "<think>\nGrep, then list.\n</think>\n\nBoth."
    assert '{"pattern": "TODO",  "n": 1.50}' in rest  # spelled as the model did
    assert json.loads(rest.removesuffix("</tool_call>")) == [
        {"name": "grep", "arguments": {"pattern": "TODO", "n": 1.5}},
        {"name": "bash", "arguments": "ls -la"},
    ]
    assert observation == {"from": "observation", "value": "a.py:1\n</tool_response>\n<tool_response>\na.py"}
    assert (human["from"], gpt) == ("human", {"from": "gpt", "value": "1"})
    assert set(losses.facts()) == {"result_id", "joined_results"}


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_tools_stand_in_every_format_that_has_a_place_for_them(trajectory: Trajectory) -> None:
    definitions = [json.loads(tool) for tool in trajectory.tools]
    for name, place in (("trl", ("tools",)), ("session-traces", ("tools",)), ("atif", ("agent", "tool_definitions"))):
        found = exported(trajectory, name)[0]
        for key in place:
            found = found.get(key, [])
        assert found == definitions
    assert json.loads(exported(trajectory, "ms-swift")[0].get("tools", "[]")) == definitions


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_the_simple_session_format_holds_all_turns(trajectory: Trajectory) -> None:
    header, *lines = session_traces.lines(trajectory, Losses())
    assert (header["type"], {line["type"] for line in lines}) == ("session", {"message"})
    renamed = {"reasoningContent": "reasoning_content", "toolCalls": "tool_calls", "toolCallId": "tool_call_id"}
    messages = [{renamed.get(key, key): value for key, value in line["message"].items()} for line in lines]
    back = PARSER.parse({"messages": messages})
    assert without(events(back), "id", "name") == without(events(trajectory), "id", "name")
    answered = {line["message"].get("toolCallId") for line in lines} - {None}
    assert answered <= {call["id"] for line in lines for call in line["message"].get("toolCalls", [])}


# --- marks and losses ------------------------------------------------------------------------------------------------

MARKED = Trajectory(
    (
        Step("user", "Fix the build."),
        Step("agent", "Old try.", "Read the log.", trained=False),
        Step("user", "Again."),
        Step("agent", None, "Summary.", (ToolCall("", "make -j2", language="bash"),), reasoning_kind="summary"),
        Step("tool", "ok", name="bash"),
        Step("agent", "Built.", answer=True, finish_reason="stop", completion_token_ids=(1, 2)),
    ),
    "messages",
    "t1",
    metadata={"reward": 1.0, "read": {"total": 3}},
)


CHAT_LOSSES = {"nameless_call", "answer_mark", "finish_reason", "token_ids"}


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("atif", {"made_up_id"}),
        ("trl", {*CHAT_LOSSES, "untrained_turn", "reasoning_kind", "metadata"}),
        ("ms-swift", {*CHAT_LOSSES, "reasoning_kind", "metadata", "name"}),
        ("session-traces", {*CHAT_LOSSES, "untrained_turn", "reasoning_mark"}),
        ("openai", {*CHAT_LOSSES, "reasoning", "reasoning_kind", "made_up_id", "metadata", "ids"}),
    ],
)
def test_what_a_format_has_no_place_for_is_counted(name: str, lost: set[str]) -> None:
    assert set(exported(MARKED, name)[1].facts()) == lost


def test_untrained_turns_are_marked_where_there_is_a_mark() -> None:
    weights = [message.get("weight") for message in exported(MARKED, "openai")[0]["messages"]]
    assert weights == [None, 0, None, 1, None, 1]
    losses = [message.get("loss") for message in exported(MARKED, "ms-swift")[0]["messages"]]
    assert losses == [None, False, None, True, None, True]
    copied = [step.get("is_copied_context") for step in exported(MARKED, "atif")[0]["steps"]]
    assert copied == [None, True, None, None, None]
    back = PARSER.parse(exported(MARKED, "atif")[0])
    assert [step.trained for step in back.steps if step.source == "agent"] == [False, True, True]
    assert back.steps[-1].completion_token_ids == (1, 2)


def test_a_summary_is_never_written_where_it_would_be_trained() -> None:
    for name in ("trl", "ms-swift", "openai"):
        assert "Summary." not in dump(exported(MARKED, name)[0])
    for name in ("atif", "session-traces"):
        assert "Summary." in dump(exported(MARKED, name)[0])


def test_openai_has_parallel_tool_calls_and_functions_only_with_tools() -> None:
    tools = ('{"name": "grep", "description": "Search", "input_schema": {"type": "object"}}', '{"type": "web_search"}')
    steps = (Step("user", "q"), Step("agent", None, None, (ToolCall("grep", "{}"), ToolCall("grep", "{}"))))
    record = exported(Trajectory(steps, "messages", tools=tools), "openai")[0]
    function = {"name": "grep", "description": "Search", "parameters": {"type": "object"}}
    assert record["tools"] == [{"type": "function", "function": function}, {"type": "web_search"}]
    assert record["parallel_tool_calls"] is True
    assert "parallel_tool_calls" not in exported(Trajectory(steps, "messages"), "openai")[0]


@pytest.mark.parametrize("name", sorted(NOT_HELD))
@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((Step("text", "Thought: hm\nAction: look[x]"),), "not_structured"),
        ((Step("user", "q"), Step("tool", "r")), "no_assistant_turn"),
    ],
)
def test_what_has_no_turns_is_a_reject(name: str, steps: tuple[Step, ...], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        exported(Trajectory(steps, "text"), name)
    assert caught.value.reason == reason


def test_openai_refuses_a_result_without_its_call() -> None:
    with pytest.raises(RecordError) as caught:
        exported(Trajectory((Step("agent", "a"), Step("tool", "r", tool_call_id="c9")), "messages"), "openai")
    assert caught.value.reason == "result_without_call"


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_every_exporter_says_what_it_does_not_hold(name: str) -> None:
    assert "Not held:" in (exporter(name).__doc__ or "")


# --- real data -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", CHATS)
def test_every_real_trajectory_comes_back_or_is_counted(name: str, shared_data: Path) -> None:
    n_same = 0
    for _, item in read_trajectories([str(shared_data / "trajectories")], None):
        found = "unreadable" if isinstance(item, RecordError) else tried(item, name)
        if isinstance(found, str):
            assert found in ("unreadable", "not_structured", "no_assistant_turn", "result_without_call")
        elif not set(found[1].facts()) & {"reasoning_kind", "nameless_call", "think_tag"}:
            same(name, item, found[0])
            n_same += 1
    assert n_same > 4000
