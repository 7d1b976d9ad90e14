"""Formats: every reader reads its variants verbatim."""

from __future__ import annotations

from typing import Any

import pytest
from reading import REPLY, USER, agent, chat, read, seen, steps

from deepcoder_hf.trajectory import Step, ToolCall

# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["messages", "conversations", "conversation", "traj", "dialog"])
def test_messages_stand_under_any_of_the_usual_names(key: str) -> None:
    assert steps({key: [USER, REPLY]}) == [Step("user", "q"), Step("agent", "ok")]


@pytest.mark.parametrize(
    ("role", "source"),
    [
        *[(role, "system") for role in ("system", "developer")],
        *[(role, "user") for role in ("user", "human", "Human")],
        *[(role, "agent") for role in ("assistant", "gpt", "model", "chatgpt", "bot", "ASSISTANT")],
        *[(role, "tool") for role in ("tool", "function", "observation", "ipython", "function_response")],
    ],
)
def test_roles_of_openai_and_sharegpt_are_known(role: str, source: str) -> None:
    openai = steps(chat({"role": role, "content": " x\r\n"}, REPLY))
    sharegpt = steps({"conversations": [{"from": role, "value": " x\r\n"}, {"from": "gpt", "value": "ok"}]})
    assert openai == sharegpt == [Step(source, " x\r\n"), Step("agent", "ok")]  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_beside_the_content_is_kept_apart(key: str) -> None:
    assert steps(agent(content="a", **{key: " b\n"})) == [Step("agent", "a", " b\n")]
    assert steps(agent(content=None, **{key: "b"})) == [Step("agent", None, "b")]
    assert steps(agent(content="a", **{key: ""})) == [Step("agent", "a")]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"id": "1", "function": {"name": "f", "arguments": '{"a": '}}, ToolCall("f", '{"a": ', "1")),
        (
            {"id": 1, "function": {"name": "f", "arguments": {"a": "é", "b": None}}},
            ToolCall("f", '{"a": "é", "b": null}', "1"),
        ),
        ({"function": {"name": "f"}}, ToolCall("f", "")),
        ({"function": {"arguments": "ls"}}, ToolCall("", "ls")),
        ({"name": "f", "input": {"a": 1}, "call_id": "x"}, ToolCall("f", '{"a": 1}', "x")),
        ({"function_name": "f", "args": [1, 2], "tool_call_id": "x"}, ToolCall("f", "[1, 2]", "x")),
        ({"name": "f", "parameters": ""}, ToolCall("f", "")),
    ],
)
def test_tool_calls_keep_their_arguments_verbatim(call: dict[str, Any], expected: ToolCall) -> None:
    assert steps(agent(content="", tool_calls=[call])) == [Step("agent", None, None, (expected,))]
    assert steps(agent(content="go", tool_calls=[call, call])) == [Step("agent", "go", None, (expected, expected))]


def test_an_old_function_call_is_a_call() -> None:
    found = steps(agent(content=None, function_call={"name": "f", "arguments": "{}"}))
    assert found == [Step("agent", None, None, (ToolCall("f", "{}"),))]


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        ('{"name": "f", "arguments": {"a": 1}}', [ToolCall("f", '{"a": 1}')]),
        (
            '[{"name": "f", "arguments": "x"}, {"name": "g", "arguments": {}}]',
            [ToolCall("f", "x"), ToolCall("g", "{}")],
        ),
        ("not json", [ToolCall("", "not json")]),
        ('{"name": "f"}', [ToolCall("", '{"name": "f"}')]),
        ("[]", [ToolCall("", "[]")]),
    ],
)
def test_a_sharegpt_call_turn_is_read_as_calls_or_kept_verbatim(value: str, calls: list[ToolCall]) -> None:
    record = {"conversations": [{"from": "function_call", "value": value}]}
    assert steps(record) == [Step("agent", tool_calls=tuple(calls))]


def test_parts_of_an_agent_keep_their_order_and_begin_a_step_where_they_must() -> None:
    parts = [
        {"type": "thinking", "thinking": "t1"},
        {"type": "text", "text": "m1"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
        {"type": "tool_result", "content": "r1"},
        {"type": "tool_result", "content": [{"type": "text", "text": "r2"}]},
        {"type": "text", "text": "m2"},
        {"type": "text", "text": "m3"},
        {"type": "reasoning", "text": "t2"},
        {"type": "reasoning", "text": "t3"},
    ]
    assert steps(agent(content=parts)) == [
        Step("agent", "m1", "t1", (ToolCall("f", "{}", "a"), ToolCall("g", "{}", "b")), seen("r1", "r2")),
        Step("agent", "m2m3"),
        Step("agent", None, "t2"),
        Step("agent", None, "t3"),
    ]


def test_reasoning_and_calls_beside_a_list_of_parts_are_not_lost() -> None:
    parts = [{"type": "thinking", "thinking": "inner"}, {"type": "text", "text": "m"}]
    found = steps(agent(content=parts, reasoning_content="outer", tool_calls=[{"name": "f", "arguments": "x"}]))
    assert found == [
        Step("agent", None, "outer"),
        Step("agent", "m", "inner", (ToolCall("f", "x"),)),
    ]


def test_results_inside_a_user_message_are_results() -> None:
    content = [
        {"type": "tool_result", "content": {"rows": 2}},
        {"type": "text", "text": "go on"},
        {"type": "function_call_output", "output": "o"},
    ]
    found = steps(chat({"role": "user", "content": content}, REPLY))
    assert found == [Step("tool", '{"rows": 2}'), Step("user", "go on"), Step("tool", "o"), Step("agent", "ok")]


def test_plain_text_parts_are_one_text() -> None:
    content = [{"type": "text", "text": "a "}, {"type": "input_text", "text": "b"}, "c"]
    assert steps(chat({"role": "user", "content": content}, {"role": "assistant", "content": content})) == [
        Step("user", "a bc"),
        Step("agent", "a bc"),
    ]


def test_a_system_field_beside_the_messages_comes_first() -> None:
    assert steps({"system": "s", **chat(USER, REPLY)})[0] == Step("system", "s")


def test_an_empty_tool_result_is_kept() -> None:
    assert steps(chat({"role": "tool", "content": ""}, REPLY)) == [Step("tool", ""), Step("agent", "ok")]


# --- agent steps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["steps", "trajectory", "agent_steps"])
def test_steps_stand_under_any_of_the_usual_names(key: str) -> None:
    assert steps({key: [{"thought": " t\n"}]}) == [Step("agent", None, " t\n")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"thought": "t", "action": "f", "action_input": "x\n", "observation": "o"}, ("t", ToolCall("f", "x\n"), "o")),
        (
            {"reasoning": "t", "tool": "f", "tool_input": {"a": None}, "result": 3},
            ("t", ToolCall("f", '{"a": null}'), "3"),
        ),
        ({"thoughts": "t", "tool_name": "f", "args": [], "output": ["o"]}, ("t", ToolCall("f", "[]"), '["o"]')),
        ({"thought": "t", "action": {"name": "f", "arguments": "{x"}}, ("t", ToolCall("f", "{x"), None)),
        ({"thought": "t", "action": {"tool": "f"}, "action_input": "x"}, ("t", ToolCall("f", "x"), None)),
        ({"thought": "t", "action": {"move": "north"}}, ("t", ToolCall("", '{"move": "north"}'), None)),
        ({"thought": "t", "action": "search[x]"}, ("t", ToolCall("", "search[x]"), None)),
        ({"thought": "t", "code": "print(1)"}, ("t", ToolCall("", "print(1)"), None)),
        ({"thought": "", "action": "", "observation": "o"}, (None, None, "o")),
        ({"thought": None, "action": "f", "observation": ""}, (None, ToolCall("", "f"), None)),
    ],
)
def test_step_variants(raw: dict[str, Any], expected: tuple[str | None, ToolCall | None, str | None]) -> None:
    thought, call, observation = expected
    assert steps({"steps": [raw]}) == [
        Step("agent", None, thought, () if call is None else (call,), () if observation is None else seen(observation))
    ]


@pytest.mark.parametrize("key", ["task", "problem", "question", "instruction", "prompt", "query", "goal"])
def test_the_task_of_the_steps_is_what_the_user_says(key: str) -> None:
    found = steps({key: "do it", "system_prompt": "s", "steps": [{"thought": "t"}]})
    assert found == [Step("system", "s"), Step("user", "do it"), Step("agent", None, "t")]


@pytest.mark.parametrize(("value", "text"), [("42", "42"), (42, "42"), (4.5, "4.5"), (" x\n", " x\n")])
def test_a_final_answer_is_marked_whether_text_or_a_number(value: Any, text: str) -> None:
    last = Step("agent", text, answer=True)
    assert steps({"steps": [{"thought": "t"}], "final_answer": value})[-1] == last
    assert steps({"steps": [{"final_answer": value}]}) == [last]


@pytest.mark.parametrize("value", [None, "", "  ", True, False])
def test_what_is_no_answer_adds_no_step(value: Any) -> None:
    assert len(steps({"steps": [{"thought": "t"}], "final_answer": value})) == 1


# --- content and text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"content": "<think>a</think>b\r\n"}, [Step("text", "<think>a</think>b\r\n")]),
        ({"content": ["a ", {"type": "text", "text": "b"}]}, [Step("text", "a b")]),
        ({"task": "t", "content": "a"}, [Step("user", "t"), Step("agent", "a")]),
        ({"task": "t", "content": "Task: t. a"}, [Step("text", "Task: t. a")]),
        ({"system": "s", "content": "a"}, [Step("system", "s"), Step("agent", "a")]),
        ({"content": [{"type": "reasoning", "reasoning": "r"}, "m"]}, [Step("agent", "m", "r")]),
        ({"task": "t", "content": [{"type": "tool_call", "name": "f", "arguments": "x"}]},
         [Step("user", "t"), Step("agent", tool_calls=(ToolCall("f", "x"),))]),
    ],
)  # fmt: skip
def test_content_variants(record: dict[str, Any], expected: list[Step]) -> None:
    trajectory = read(record)
    assert list(trajectory.steps) == expected
    assert trajectory.source_format == "content"


@pytest.mark.parametrize("key", ["text", "trajectory", "response", "output", "raw_text", "completion"])
def test_text_stands_under_any_of_the_usual_names(key: str) -> None:
    trajectory = read({key: "\n Thought: a \r\n"})
    assert trajectory.source_format == "text"
    assert list(trajectory.steps) == [Step("text", "\n Thought: a \r\n")]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"prompt": "p", "text": "a"}, [Step("user", "p"), Step("agent", "a")]),
        ({"prompt": "p", "text": "my p is a"}, [Step("text", "my p is a")]),
        ({"instruction": "i", "input": "x", "output": "a"}, [Step("user", "i\n\nx"), Step("agent", "a")]),
        ({"instruction": "i", "input": "", "output": "a"}, [Step("user", "i"), Step("agent", "a")]),
        (
            {"system": "s", "question": "i", "response": "a"},
            [Step("system", "s"), Step("user", "i"), Step("agent", "a")],
        ),
    ],
)
def test_a_task_beside_the_text_is_what_the_user_says(record: dict[str, Any], expected: list[Step]) -> None:
    assert steps(record) == expected
