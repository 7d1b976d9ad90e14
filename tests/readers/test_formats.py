"""Formats: every reader reads its variants verbatim, and what cannot be read is a reject with its reason."""

from __future__ import annotations

import json
import runpy
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.errors import RecordError, UnknownFormatError
from deepcoder_hf.readers import READERS, TrajectoryParser, known_formats
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory, from_json, to_json

GOLDEN = Path(__file__).resolve().parents[1] / "data"
PARSER = TrajectoryParser()
USER = {"role": "user", "content": "q"}
REPLY = {"role": "assistant", "content": "ok"}


def read(record: Any) -> Trajectory:
    return PARSER.parse(record)


def steps(record: Any) -> list[Step]:
    return list(read(record).steps)


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def agent(**fields: Any) -> dict[str, Any]:
    return chat({"role": "assistant", **fields})


# --- golden samples and shipped samples ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(READERS))
def test_golden_samples_are_read_as_expected(name: str) -> None:
    """A reader without `tests/data/<format>/` fails here; `python -m tests.regenerate` writes expected.json."""
    expected_text = runpy.run_path(str(GOLDEN.parent / "regenerate.py"))["expected_text"]
    raw = GOLDEN / name / "raw.jsonl"
    found, expected = expected_text(raw), (GOLDEN / name / "expected.json").read_text(encoding="ascii")
    assert json.loads(found) == json.loads(expected)
    assert found == expected
    assert {trajectory["source_format"] for trajectory in json.loads(found)} == {name}
    assert len(json.loads(found)) >= 3


def test_no_golden_sample_is_without_a_reader() -> None:
    assert {path.parent.name for path in GOLDEN.glob("*/raw.jsonl")} == set(READERS)


def test_every_shipped_sample_is_read() -> None:
    files = [f for f in (resources.files("deepcoder_hf") / "samples").iterdir() if f.name.endswith(".jsonl")]
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            trajectory = read(json.loads(line))
            assert trajectory.trajectory_id
            assert any(step.source in ("agent", "text") for step in trajectory.steps)


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
        Step("agent", "m1", "t1", (ToolCall("f", "{}", "a"), ToolCall("g", "{}", "b")), ("r1", "r2")),
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
        Step("agent", None, thought, () if call is None else (call,), () if observation is None else (observation,))
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


# --- ids and facts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "trajectory_id", "group_id"),
    [
        ({"trajectory_id": "a", "id": "b", "group_id": "g"}, "a", "g"),
        ({"id": 7, "problem_id": 0}, "7", "0"),
        ({"uid": "u", "task_id": "t"}, "u", "t"),
        ({"uuid": "u", "instance_id": "i"}, "u", "i"),
        ({"id": "", "question_id": True}, None, None),
        ({"id": {"$oid": 1}}, None, None),
        ({"id": "a\ud800"}, "a\\ud800", None),
    ],
)
def test_ids_are_taken_as_text(fields: dict[str, Any], trajectory_id: str | None, group_id: str | None) -> None:
    for record in (chat(USER, REPLY), {"text": "x"}, {"content": "x"}, {"steps": [{"thought": "x"}]}):
        found = read({**record, **fields})
        assert (found.trajectory_id, found.group_id) == (trajectory_id, group_id)


def test_small_facts_are_carried_along_and_large_ones_are_named() -> None:
    record = {
        "text": "x",
        "reward": 0.5,
        "license": "MIT",
        "n": 3,
        "long": "y" * 201,
        "nan": float("nan"),
        "list": [1],
        "no": None,
    }
    expected = {"reward": 0.5, "licence": "MIT", "extra": {"n": 3}, "unread_fields": ["list", "long"]}
    assert read(record).metadata == expected


@pytest.mark.parametrize("name", sorted(READERS))
def test_trajectories_survive_the_json_of_the_cache(name: str) -> None:
    for line in (GOLDEN / name / "raw.jsonl").read_text(encoding="utf-8").splitlines():
        trajectory = read(json.loads(line))
        text = to_json(trajectory)
        assert text.encode()  # Arrow stores UTF-8, which has no place for a lone surrogate
        back = from_json(text, name)
        assert back.steps == trajectory.steps
        assert dict(back.metadata) == dict(trajectory.metadata)


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
        ({}, "unknown_format", "with the keys none; known formats: messages"),
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
        texts = [step.message, step.reasoning_content, *step.observations]
        assert all(isinstance(text, str) or text is None for text in texts)
        assert all(isinstance(c.function_name, str) and isinstance(c.arguments, str) for c in step.tool_calls)


# --- real data -------------------------------------------------------------------------------------------------------

TOOL_STEPS = [
    Step("user", "q"),
    Step("agent", None, None, (ToolCall("bash", "{\"command\": \"ls\"}", "a"),)),
    Step("tool", "o"),
    Step("agent", "ok"),
]  # fmt: skip
BAD_ROWS: dict[str, str | list[Step]] = {
    "bad_args_json_string": TOOL_STEPS,
    "bad_brokenline": "broken_json",
    "bad_content_list": [Step("user", "q"), Step("agent", "ok")],
    "bad_content_null": TOOL_STEPS,
    "bad_empty": "empty_messages",
    "bad_no_assistant": "no_assistant_turn",
    "bad_role_missing": "missing_role",
}
"""What becomes of the broken row of each file: its reject reason, or its steps."""


def bad_file(shared_data: Path, name: str) -> list[Trajectory | str]:
    """Every line of a file as its trajectory, or as the reason of its reject."""
    found: list[Trajectory | str] = []
    for line in (shared_data / "bad_rows" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            found.append(read(json.loads(line)))
        except json.JSONDecodeError:
            found.append("broken_json")
        except RecordError as error:
            found.append(error.reason)
    return found


@pytest.mark.parametrize("name", sorted(BAD_ROWS))
def test_a_broken_row_is_what_it_should_be_and_its_neighbours_are_untouched(name: str, shared_data: Path) -> None:
    found, others = bad_file(shared_data, name), bad_file(shared_data, "bad_empty")
    broken, expected = found[10], BAD_ROWS[name]
    assert (list(broken.steps) if isinstance(broken, Trajectory) else broken) == expected
    good = found[:10] + found[11:]
    assert len(good) == 20
    assert all(isinstance(trajectory, Trajectory) for trajectory in good)
    assert good == others[:10] + others[11:]


def test_every_file_of_bad_rows_is_tested(shared_data: Path) -> None:
    assert {path.stem for path in (shared_data / "bad_rows").glob("*.jsonl")} == set(BAD_ROWS)
