"""The plain layout: every character of a trajectory stands in the text as it came, with the type of its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import raw_row, table_of
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.rendering.plain import Piece, render_plain
from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.stages import detect_spans
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

CALL = ToolCall("read_file", '{"path": "a.py"}', "c1")
AGENT = ("reasoning", "action", "answer")
QUOTES = [
    "<think>I must</think> do it",
    "Thought: I must\nAction: rm[x]\nAction Input: {}\nFinal Answer: 1",
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
    "```python\nprint(1)\n```\nObservation: 1",
    "</think> so\n\nAssistant: Final Answer: 2",
    "<|im_start|>assistant\n<think>\nx\n</think>\n<|im_end|>",
    "<execute>ls</execute>",
]  # fmt: skip
"""Texts that look like an agent's."""


def trajectory(*steps: Step) -> Trajectory:
    return Trajectory(steps=steps, source_format="messages")


def text_of(*steps: Step) -> str:
    return "".join(piece.text for piece in render_plain(trajectory(*steps)))


def kinds(*steps: Step) -> list[tuple[str | None, str, str]]:
    return [
        (None if p.kind is None else str(TYPES[p.kind]), p.subtype, p.text) for p in render_plain(trajectory(*steps))
    ]


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    return Config(tokens={"model_name": str(tiny_model), "engine": "reference"})  # type: ignore[arg-type]


def spans_of(record: dict[str, Any], config: Config) -> list[tuple[str, str, str]]:
    """Type, subtype and text of each span of a record; the spans are proven to partition the text."""
    (row,) = detect_spans(table_of([raw_row(record, "x", 1, TrajectoryParser())]), config=config).to_pylist()
    assert row["reject_reason"] is None
    position = 0
    for span in row["spans"]:
        assert span["start_char"] == position < span["end_char"]
        position = span["end_char"]
    assert position == len(row["text"])
    return [(s["span_type"], s["subtype"], row["text"][s["start_char"] : s["end_char"]]) for s in row["spans"]]


# --- the layout ------------------------------------------------------------------------------------------------------


def test_the_layout_is_the_documented_one() -> None:
    steps = [
        Step("system", "Be careful."),
        Step("user", "Do it."),
        Step("agent", "I will read.", "Hm.", (CALL,), ("print(1)", "ok")),
        Step("agent", tool_calls=(ToolCall("", "ls -l"),)),
        Step("tool", "a.py"),
        Step("agent", "There is one file."),
        Step("agent", "a.py", answer=True),
    ]
    assert kinds(*steps) == [
        ("other", "system", "System: Be careful.\n\n"),
        ("other", "user", "User: Do it.\n\n"),
        ("reasoning", "thought", "Thought: Hm.\n"),
        ("reasoning", "preamble", "Assistant: I will read.\n"),
        ("action", "tool_call", 'Action: read_file\nAction Input: {"path": "a.py"}\n'),
        ("observation", "observation", "Observation: print(1)\n"),
        ("observation", "observation", "Observation: ok\n"),
        ("action", "tool_call", "Action: ls -l\n"),
        ("observation", "observation", "Observation: a.py\n"),
        ("answer", "message", "Assistant: There is one file.\n\n"),
        ("answer", "final_answer", "Final Answer: a.py\n\n"),
    ]


def test_a_flattened_trajectory_is_one_piece_for_detection_as_it_came() -> None:
    text = " \n Thought: a \r\nAction: b\n\n"
    assert render_plain(trajectory(Step("text", text))) == [Piece(text, None)]


def test_a_chat_without_structure_hands_its_messages_to_detection_behind_their_headers() -> None:
    pieces = render_plain(trajectory(Step("user", "q"), Step("agent", "<think>a</think>b")))
    assert [(p.text, p.kind, p.role) for p in pieces] == [
        ("User: ", 0, None),
        ("q\n\n", None, "user"),
        ("Assistant: ", 0, None),
        ("<think>a</think>b\n\n", None, "assistant"),
    ]


def test_empty_parts_are_written_where_the_source_has_them_and_no_piece_is_empty() -> None:
    steps = [Step("user", ""), Step("agent", "", "", (ToolCall("f", ""),), ("",)), Step("text", ""), Step("agent")]
    pieces = render_plain(trajectory(*steps))
    assert [piece.text for piece in pieces] == [
        "User: \n\n",
        "Thought: \n",
        "Action: f\nAction Input: \n",
        "Observation: \n",
    ]


odd_text = st.one_of(
    st.sampled_from(["", " ", "\r\n", "  x  \n", "{not json", "é e\u0301", "🙂", "\x00", *QUOTES]), st.text(max_size=12)
)
calls = st.lists(st.builds(ToolCall, st.sampled_from(["", "f", "naïve"]), odd_text), max_size=2).map(tuple)
agent_steps = st.builds(
    Step,
    st.just("agent"),
    st.none() | odd_text,
    st.none() | odd_text,
    calls,
    st.lists(odd_text, max_size=2).map(tuple),
    st.booleans(),
)
other_steps = st.builds(Step, st.sampled_from(["system", "user", "tool", "text"]), odd_text)
any_steps = st.lists(st.one_of(agent_steps, other_steps), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(steps=any_steps)
def test_every_part_stands_in_the_text_verbatim_and_in_order(steps: list[Step]) -> None:
    pieces = render_plain(trajectory(*steps))
    text = "".join(piece.text for piece in pieces)
    assert all(piece.text for piece in pieces)
    position = 0
    for step in steps:
        ordered = [step.reasoning_content, step.message]
        ordered += [part for call in step.tool_calls for part in (call.function_name, call.arguments)]
        for part in [*ordered, *step.observations]:
            if part is not None:
                position = text.index(part, position) + len(part)


@settings(max_examples=200, deadline=None)
@given(steps=any_steps)
def test_a_part_gets_the_type_of_its_field_whatever_it_says(steps: list[Step]) -> None:
    for piece in render_plain(trajectory(*steps)):
        if piece.kind is None:
            assert piece.role in (None, "user", "assistant")
            assert piece.subtype == ""
    observations = [p.text for p in render_plain(trajectory(*steps)) if p.kind == 3]
    expected = [
        t for s in steps for t in (s.observations if s.source == "agent" else (s.message,) * (s.source == "tool"))
    ]
    assert observations == [f"Observation: {text}\n" for text in expected]
    thoughts = [p.text for p in render_plain(trajectory(*steps)) if p.subtype == "thought"]
    assert thoughts == [f"Thought: {s.reasoning_content}\n" for s in steps if s.reasoning_content is not None]
    n_calls = sum(len(step.tool_calls) for step in steps)
    assert sum(p.subtype == "tool_call" for p in render_plain(trajectory(*steps))) == n_calls


# --- with detection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("structured", [True, False])
def test_what_system_user_and_tools_quote_is_never_the_agents(quote: str, structured: bool, config: Config) -> None:
    reply: dict[str, Any] = {"role": "assistant", "content": "Done."}
    if structured:
        reply["reasoning_content"] = "Hm."
    messages = [
        {"role": "system", "content": f"System says {quote}"},
        {"role": "user", "content": quote},
        {"role": "tool", "content": quote},
        {"role": "user", "content": f"again\n{quote}"},
        reply,
    ]
    spans = spans_of({"messages": messages}, config)
    of_agent = "".join(text for kind, _, text in spans if kind in AGENT)
    assert of_agent.replace("Assistant: ", "") == ("Thought: Hm.\n" if structured else "") + "Done.\n\n"
    observed = "".join(text for kind, _, text in spans if kind == "observation")
    assert f"Observation: {quote}\n" in observed


@pytest.mark.parametrize("quote", QUOTES)
def test_a_result_of_a_step_is_an_observation_whatever_it_quotes(quote: str, config: Config) -> None:
    record = {"task": quote, "steps": [{"thought": "t", "action": "f", "action_input": "x", "observation": quote}]}
    assert spans_of(record, config) == [
        ("other", "user", f"User: {quote}\n\n"),
        ("reasoning", "thought", "Thought: t\n"),
        ("action", "tool_call", "Action: f\nAction Input: x\n"),
        ("observation", "observation", f"Observation: {quote}\n"),
    ]


@pytest.mark.parametrize(
    "arguments", ['{"a": ', "  {\r\n}\t", '{"a": "</tool_call>"}', "naïve 🙂\x00", "Observation: no"]
)
def test_arguments_stay_verbatim_and_are_action(arguments: str, config: Config) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    spans = spans_of({"messages": [{"role": "assistant", "content": "first", "tool_calls": [call]}]}, config)
    assert spans == [
        ("reasoning", "preamble", "Assistant: first\n"),
        ("action", "tool_call", f"Action: f\nAction Input: {arguments}\n"),
    ]


def test_think_tags_in_the_content_beside_calls_are_reasoning_and_the_rest_is_preamble(config: Config) -> None:
    message = {
        "role": "assistant",
        "content": "<think>\nhm\n</think>\n\nI will look.",
        "tool_calls": [{"name": "f", "arguments": "x"}],
    }
    spans = spans_of({"messages": [{"role": "user", "content": "q"}, message]}, config)
    assert spans == [
        ("other", "user", "User: q\n\n"),
        ("other", "header", "Assistant: "),
        ("reasoning", "think", "<think>\nhm\n</think>\n\n"),
        ("reasoning", "preamble", "I will look.\n"),
        ("action", "tool_call", "Action: f\nAction Input: x\n"),
    ]


def test_think_tags_in_a_reply_beside_calls_elsewhere_are_reasoning_and_the_rest_is_the_answer(config: Config) -> None:
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": "x"}]},
        {"role": "tool", "content": "r"},
        {"role": "assistant", "content": "<think>so</think>It is r."},
    ]
    assert [(kind, text) for kind, _, text in spans_of({"messages": messages}, config)][2:] == [
        ("other", "Assistant: "),
        ("reasoning", "<think>so</think>"),
        ("answer", "It is r.\n\n"),
    ]


def test_think_tags_beside_separate_reasoning_are_only_text(config: Config) -> None:
    message = {"role": "assistant", "content": "The tag </think> ends it.", "reasoning_content": "hm"}
    assert spans_of({"messages": [message]}, config) == [
        ("reasoning", "thought", "Thought: hm\n"),
        ("answer", "message", "Assistant: The tag </think> ends it.\n\n"),
    ]


def test_preamble_needs_a_call_in_the_same_turn(config: Config) -> None:
    call = [{"name": "f", "arguments": "x"}]
    messages = [
        {"role": "assistant", "content": "with", "tool_calls": call},
        {"role": "tool", "content": "r"},
        {"role": "assistant", "content": "without"},
    ]
    types = [(kind, subtype) for kind, subtype, _ in spans_of({"messages": messages}, config)]
    assert types == [
        ("reasoning", "preamble"),
        ("action", "tool_call"),
        ("observation", "observation"),
        ("answer", "message"),
    ]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(odd_text, min_size=4, max_size=4), data=st.data())
def test_spans_partition_any_chat(texts: list[str], data: st.DataObject, config: Config) -> None:
    user, reply, result, last = texts
    call = [{"name": "f", "arguments": data.draw(odd_text)}] if data.draw(st.booleans()) else []
    messages = [
        {"role": "user", "content": f"q{user}"},
        {"role": "assistant", "content": reply, "tool_calls": call},
        {"role": "tool", "content": result},
        {"role": "assistant", "content": f"a{last}"},
    ]
    record = json.loads(json.dumps({"messages": messages}))
    spans = spans_of(record, config)
    of_user = "".join(text for kind, _, text in spans if kind == "other")
    assert of_user.startswith("User: q")
    if call:
        assert sum(kind == "action" and subtype == "tool_call" for kind, subtype, _ in spans) >= 1
