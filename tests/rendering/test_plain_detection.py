"""The plain layout with detection: what was left flattened inside a turn is found there, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conversations import QUOTES, odd_text
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.stages import detect_spans

AGENT = ("reasoning", "action", "answer")


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    return Config(tokens={"model_name": str(tiny_model), "engine": "reference"})  # type: ignore[arg-type]


def spans_of(record: dict[str, Any], config: Config) -> list[tuple[str, str, str]]:
    """Type, subtype and text of each span of a record; the spans are proven to partition the text."""
    (row,) = detect_spans(table_of(raw_rows(record, "x", 1, TrajectoryParser())), config=config).to_pylist()
    assert row["reject_reason"] is None
    position = 0
    for span in row["spans"]:
        assert span["start_char"] == position < span["end_char"]
        position = span["end_char"]
    assert position == len(row["text"])
    return [(s["span_type"], s["subtype"], row["text"][s["start_char"] : s["end_char"]]) for s in row["spans"]]


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
    assert of_agent == ("Thought: Hm.\nAssistant: Done.\n\n" if structured else " Done.\n\n")
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
        ("other", "header", "Assistant:"),
        ("reasoning", "think", " <think>\nhm\n</think>\n\n"),
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
        ("other", "Assistant:"),
        ("reasoning", " <think>so</think>"),
        ("answer", "It is r.\n\n"),
    ]


def test_think_tags_beside_separate_reasoning_are_only_text(config: Config) -> None:
    message = {"role": "assistant", "content": "The tag </think> ends it.", "reasoning_content": "hm"}
    assert spans_of({"messages": [message]}, config) == [
        ("reasoning", "thought", "Thought: hm\n"),
        ("answer", "message", "Assistant: The tag </think> ends it.\n\n"),
    ]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('[Get Weather(city="Oslo", days=3)]', "action"),
        ('[Get Weather(city="Oslo"),\n Get Time(zone="CET")]\n', "action"),
        ("[now()]", "action"),
        ("See [the page](https://example.org) for it.", "answer"),
        ("[1, 2, 3]", "answer"),
        ("[main.py(line=3)] has the bug. I fixed it, see [test.py(line=9)]", "answer"),
        ("[dict(n=i) for i in range(10)]", "answer"),
        ("[A (p = 0.05) and B (q = 1)]", "answer"),
        ("[Get Weather(city=\"Oslo (N)]\", days=[1, (2)]), say(it='it\\'s')]", "action"),
    ],
)
@pytest.mark.parametrize("structured", [True, False])
def test_a_message_that_is_nothing_but_calls_is_an_action(
    said: str, kind: str, structured: bool, config: Config
) -> None:
    messages = [{"role": "user", "content": "How warm is it in Oslo?"}, {"role": "assistant", "content": said}]
    if structured:
        messages.append({"role": "user", "content": "And now?"})
        messages.append({"role": "assistant", "content": "Warm.", "reasoning_content": "It was 20 degrees."})
    found = spans_of({"messages": messages}, config)
    assert next(name for name, _, text in found if said.strip() in text) == kind


def test_the_tools_of_cline_are_calls_and_what_they_gave_is_a_result(config: Config) -> None:
    call = "<read_file>\n<path>a.py</path>\n</read_file>"
    messages = [
        {"role": "user", "content": "<task>The test fails.</task>"},
        {"role": "assistant", "content": f"<thinking>I look at it.</thinking>\n\n{call}"},
        {"role": "user", "content": "[read_file for 'a.py'] Result:\nprint(1)"},
        {"role": "assistant", "content": "It prints 1.", "reasoning_content": "The file holds one line."},
    ]
    found = {text.strip(): name for name, _, text in spans_of({"messages": messages}, config)}
    assert found[call] == "action"
    assert found["<thinking>I look at it.</thinking>"] == "reasoning"
    assert next(name for text, name in found.items() if "print(1)" in text) == "observation"


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
