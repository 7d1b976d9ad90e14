"""Formats: nothing that an agent did is lost, invented, said twice or taken for somebody else's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from reading import LENIENT, seen

from deepcoder_hf.config import Config, ReadersConfig
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers.columnar import iter_parquet
from deepcoder_hf.stages import detect_spans, without_nulls
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

PARSER = TrajectoryParser()
USER = {"role": "user", "content": "q"}
REPLY = {"role": "assistant", "content": "ok"}
F, G = {"type": "tool_use", "name": "f", "input": {}}, {"type": "tool_use", "name": "g", "input": {}}
CALL_F, CALL_G = ToolCall("f", "{}"), ToolCall("g", "{}")
THINK, RESULT = {"type": "thinking", "thinking": "t"}, {"type": "tool_result", "content": "r"}


def read(record: Any) -> Trajectory:
    return PARSER.parse(record)


def steps(record: Any) -> list[Step]:
    return list(read(record).steps)


def agent(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", **fields}]}


def unread(record: Any) -> list[str]:
    return list(LENIENT.parse(record).metadata.get("unread_fields", []))


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


# --- flattened text beside a task ------------------------------------------------------------------------------------

LAYOUTS = [
    "<|im_start|>user\nq<|im_end|>",
    "<|start_header_id|>user<|end_header_id|>\n\nq",
    "[INST] q [/INST] a",
    "<start_of_turn>user\nq",
    "<|user|>\nq",
    "<｜User｜>q",
    *(f"a\n{label}: q\nb" for label in ("User", "Human", "Question", "Task", "USER", "HUMAN", "System")),
    "Human : q",
]


@pytest.mark.parametrize("text", LAYOUTS)
@pytest.mark.parametrize("key", ["text", "content"])
def test_a_text_with_turns_of_its_own_is_a_whole_trajectory_also_beside_a_task(key: str, text: str) -> None:
    assert steps({"prompt": "do it", key: text}) == [Step("user", "do it"), Step("text", text)]
    assert steps({"system": "be kind", key: text}) == [Step("system", "be kind"), Step("text", text)]


@pytest.mark.parametrize("key", ["text", "content"])
def test_a_text_that_holds_its_own_task_or_system_prompt_is_a_whole_trajectory(key: str) -> None:
    both = {"system": "be kind", "task": "sort"}
    assert steps({**both, key: "be kind, sort. done"}) == [Step("text", "be kind, sort. done")]
    assert steps({**both, key: "sort. done"}) == [Step("system", "be kind"), Step("text", "sort. done")]
    assert steps({**both, key: "be kind. done"}) == [Step("user", "sort"), Step("text", "be kind. done")]


@pytest.mark.parametrize("text", ["The user: nobody", "use [inst]", "Thought: a\nAction: b[c]", "Answer: System x"])
def test_a_text_without_turns_beside_a_task_is_the_agents(text: str) -> None:
    assert steps({"task": "do it", "text": text}) == [Step("user", "do it"), Step("agent", text)]


def test_a_whole_trajectory_after_its_task_reads_well(tiny_model: Path) -> None:
    rows = raw_rows({"task": "sort", "text": "User: q\nAssistant: a"}, "x", 1, PARSER)
    config = Config.model_validate({"tokens": {"model_name": str(tiny_model), "engine": "reference"}})
    (row,) = detect_spans(table_of(rows), config=config).to_pylist()
    assert row["text"] == "User: sort\n\nUser: q\nAssistant: a"
    assert row["spans"][-1]["origin"] == "pattern"  # what came whole is for detection


# --- keys of steps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"tool_calls": [{"function": {"name": "f", "arguments": "x"}, "id": "1"}, {"name": "g", "input": {}}]},
         [Step("agent", tool_calls=(ToolCall("f", "x", "1"), CALL_G))]),
        ({"tool_calls": {"name": "f", "arguments": {}}, "action": "f"}, [Step("agent", tool_calls=(CALL_F,))]),
        ({"action": "f", "action_input": "x", "observation": "o", "error": "e"},
         [Step("agent", None, None, (ToolCall("f", "x"),), seen("o", "e"))]),
        ({"thought": "t", "error": "e"}, [Step("agent", None, "t", (), seen("e"))]),
        ({"observation": "e", "error": "e"}, [Step("agent", observations=seen("e"))]),
        ({"thought": "t", "message": "m", "action": "ls"}, [Step("agent", "m", "t", (ToolCall("", "ls"),))]),
        ({"thought": "t", "content": "m"}, [Step("agent", "m", "t")]),
        ({"thought": "t", "message": "42", "final_answer": "42"}, [Step("agent", "42", "t", answer=True)]),
        ({"message": "m", "action": "ls", "final_answer": "42"},
         [Step("agent", "m", None, (ToolCall("", "ls"),)), Step("agent", "42", answer=True)]),
        ({"thought": "t", "action": "", "action_input": ""}, [Step("agent", None, "t")]),
        ({"thought": "t", "error": False, "tool_calls": []}, [Step("agent", None, "t")]),
    ],
)  # fmt: skip
def test_calls_errors_and_messages_of_a_step_are_read(raw: dict[str, Any], expected: list[Step]) -> None:
    assert steps({"steps": [{"thought": "before"}, raw]})[1:] == expected
    assert unread({"steps": [{"thought": "before"}, raw]}) == []


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ({"thought": "a", "reasoning": "b"}, ["reasoning"]),
        ({"thought": "a", "reasoning": "a"}, []),
        ({"action": "f", "action_input": "x", "code": "y"}, ["code"]),
        ({"thought": "a", "observation": "o", "result": {"x": 1}, "output": ["y"]}, ["output", "result"]),
        ({"thought": "a", "message": "b", "content": "c"}, ["content"]),
        ({"tool_calls": [{"name": "f", "arguments": {}}], "action": "look"}, ["action"]),
        ({"action": {"name": "f", "arguments": "x", "why": "y"}, "input": "z"}, ["action.why", "input"]),
        ({"thought": "a", "step_number": 1, "id": "x", "timestamp": "now", "reward": 0.5, "done": True}, []),
    ],
)
def test_what_a_step_holds_beside_what_is_read_is_named(raw: dict[str, Any], names: list[str]) -> None:
    assert unread({"steps": [raw]}) == [f"steps[].{name}" for name in names]


def test_the_answer_of_a_record_is_its_label_and_a_final_answer_is_said_once() -> None:
    trajectory = read({"steps": [{"thought": "t"}], "answer": "gold"})
    assert trajectory.steps == (Step("agent", None, "t"),)
    assert trajectory.metadata["extra"] == {"answer": "gold"}
    assert unread({"steps": [{"thought": "t"}], "answer": ["gold"]}) == ["answer"]
    assert steps({"steps": [{"thought": "t", "answer": "mine"}]}) == [Step("agent", "mine", "t", answer=True)]
    once = [Step("agent", "42", "t", answer=True)]
    assert steps({"steps": [{"thought": "t", "final_answer": "42"}], "final_answer": 42}) == once
    assert steps({"steps": [{"message": "42\n"}, {"thought": "t"}], "final_answer": "42"})[-1].answer
    assert steps({"steps": [{"thought": "t", "message": "42\n"}], "final_answer": "42"}) == [
        Step("agent", "42\n", "t"),
    ]


# --- keys of messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({"content": "a", "value": "b"}, ["value"]),
        ({"content": "a", "value": "a"}, []),
        ({"content": "a", "reasoning_content": "b", "thinking": "c"}, ["thinking"]),
        ({"content": "a", "reasoning_content": "b", "thinking": "b"}, []),
        ({"content": "a", "refusal": None, "name": "x", "weight": 1, "audio": {}, "annotations": []}, []),
        ({"content": "a", "refusal": "no", "audio": {"id": 1}}, ["audio", "refusal"]),
    ],
)
def test_what_a_message_holds_beside_what_is_read_is_named(message: dict[str, Any], names: list[str]) -> None:
    assert unread(agent(**message)) == [f"messages[].{name}" for name in names]


def test_calls_of_a_user_message_are_named_and_a_null_content_leaves_room_for_the_value() -> None:
    assert unread({"messages": [{**USER, "tool_calls": [F]}, REPLY]}) == ["messages[].tool_calls"]
    both = [{"role": None, "from": "gpt", "content": None, "value": "v"}]
    assert steps({"conversations": both}) == [Step("agent", "v")]


def test_a_function_call_beside_tool_calls_is_read_unless_it_repeats_one() -> None:
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
    first = ToolCall("f", "{}", "1")
    repeated = agent(tool_calls=calls, function_call={"name": "f", "arguments": "{}"})
    assert steps(repeated) == [Step("agent", tool_calls=(first,))]
    other = agent(tool_calls=calls, function_call={"name": "g", "arguments": "{}"})
    assert steps(other) == [Step("agent", tool_calls=(first, CALL_G))]
    empty = agent(content="a", function_call={"name": None, "arguments": None})
    assert steps(empty) == [Step("agent", "a")]


def test_a_call_whose_function_is_a_string_keeps_its_name() -> None:
    assert steps(agent(tool_calls=[{"function": "f", "arguments": {}}])) == [Step("agent", tool_calls=(CALL_F,))]
    assert steps(agent(tool_calls=[{"function": {"name": "f"}, "arguments": {}}])) == [
        Step("agent", tool_calls=(CALL_F,)),
    ]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (agent(tool_calls=[{"id": "1"}]), 'message 0: expected a call with a name or arguments, got {"id": "1"}'),
        (agent(content=[{"type": "tool_use", "name": ""}]), "message 0: expected a call with a name"),
        ({"steps": [{"thought": "t", "tool_calls": [{}]}]}, "step 1: expected a call with a name or arguments, got {}"),
        ({"steps": [{"thought": "t", "tool_calls": "f()"}]}, "step 1: expected tool_calls to be a list .* got 'f"),
    ],
)
def test_a_call_that_says_nothing_is_a_reject(record: Any, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        read(record)
    assert caught.value.reason == "bad_tool_calls"


# --- preamble --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([words("a "), words("b"), F, G], [Step("agent", "a b", None, (CALL_F, CALL_G))]),
        ([words("a"), THINK, words("b"), F], [Step("agent", "a"), Step("agent", "b", "t", (CALL_F,))]),
        ([words("a"), F, words("b"), G, words("c")],
         [Step("agent", "a", None, (CALL_F,)), Step("agent", "b", None, (CALL_G,)), Step("agent", "c")]),
        ([words(""), F], [Step("agent", tool_calls=(CALL_F,))]),
        ([words("a"), THINK], [Step("agent", "a"), Step("agent", None, "t")]),
    ],
)  # fmt: skip
def test_text_before_a_call_is_preamble(content: list[Any], expected: list[Step]) -> None:
    assert steps(agent(content=content)) == expected
    assert steps({"content": content}) == expected


def test_a_result_ends_the_turn_of_a_content_list_but_not_a_message() -> None:
    content = [words("a"), RESULT, F]
    assert steps(agent(content=content)) == [
        Step("agent", None, "a", (), seen("r")),
        Step("agent", tool_calls=(CALL_F,)),
    ]
    assert steps({"content": content}) == [Step("agent", "a", None, (), seen("r")), Step("agent", tool_calls=(CALL_F,))]


def test_calls_beside_a_list_belong_to_the_last_step_of_the_message() -> None:
    assert steps(agent(content=[THINK, words("m")], tool_calls=[F])) == [Step("agent", "m", "t", (CALL_F,))]
    assert steps(agent(content=[words("m"), F], tool_calls=[F, G])) == [Step("agent", "m", None, (CALL_F, CALL_G))]
    assert steps(agent(content=[words("m"), F], reasoning="t")) == [Step("agent", "m", "t", (CALL_F,))]
    assert steps(agent(content=[THINK, F], reasoning="t")) == [Step("agent", None, "t", (CALL_F,))]


# --- nothing said, nothing invented ----------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", [], [words("")]])
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_an_empty_message_is_no_step(role: str, empty: Any) -> None:
    assert steps({"messages": [{"role": role, "content": empty}, REPLY]}) == [Step("agent", "ok")]


@pytest.mark.parametrize("empty", ["", " \n", [], [{"type": "thinking", "thinking": ""}]])
def test_a_chat_whose_assistant_says_nothing_is_a_reject(empty: Any) -> None:
    with pytest.raises(RecordError, match="expected an assistant turn, got only user") as caught:
        read({"messages": [USER, {"role": "assistant", "content": empty}]})
    assert caught.value.reason == "no_assistant_turn"


@pytest.mark.parametrize("key", ["steps", "messages", "trajectory", "conversations", "content"])
@pytest.mark.parametrize("empty", [[], ""])
def test_an_empty_field_does_not_hide_the_text(key: str, empty: Any) -> None:
    assert steps({key: empty, "text": "Thought: a"}) == [Step("text", "Thought: a")]
    assert steps({"text": "", "response": "Thought: a"}) == [Step("text", "Thought: a")]


def test_calls_of_different_tools_are_the_same_from_every_container(tmp_path: Path) -> None:
    first = {"id": "1", "function": {"name": "read", "arguments": {"path": "a"}}}
    second = {"id": "2", "function": {"name": "write", "arguments": {"file": "b", "content": "c"}}}
    messages = [USER, {"role": "assistant", "content": None, "tool_calls": [first, second]}, REPLY]
    records = [{"messages": messages}, {"messages": [USER, REPLY]}]
    dataset = Dataset.from_list(records)
    dataset.to_parquet(str(tmp_path / "a.parquet"))
    with (tmp_path / "a.parquet").open("rb") as raw:
        from_parquet = [read(row.record) for row in iter_parquet(raw, "a.parquet", ReadersConfig())]
    from_memory = [read(without_nulls(record)) for record in dataset]
    from_lines = [read(json.loads(json.dumps(record))) for record in records]
    assert from_lines == from_parquet == from_memory
    assert [call.arguments for call in from_memory[0].steps[1].tool_calls] == [
        '{"path": "a"}',
        '{"file": "b", "content": "c"}',
    ]
