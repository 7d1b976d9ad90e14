"""Harmony: the text is cut exactly, channels and recipients are what they are, other texts are left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import PARSER, steps

from deepcoder_hf.readers.harmony_text import messages_of
from deepcoder_hf.trajectory import Step, ToolCall

USER = "<|start|>user<|message|>q<|end|>"
A = "<|start|>assistant"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("<|channel|>analysis", Step("agent", None, "x")),
        ("<|channel|>commentary", Step("agent", "x")),
        ("<|channel|>final", Step("agent", "x", answer=True)),
        ("", Step("agent", "x")),
        ("<|channel|>final <|constrain|>json", Step("agent", "x", answer=True)),
        (" to=functions.f<|channel|>commentary <|constrain|>json", Step("agent", tool_calls=(ToolCall("f", "x"),))),
        ("<|channel|>commentary to=functions.f <|constrain|>json", Step("agent", tool_calls=(ToolCall("f", "x"),))),
        ("<|channel|>commentary to=browser.open code", Step("agent", tool_calls=(ToolCall("browser.open", "x"),))),
        ("<|channel|>analysis to=python code", Step("agent", tool_calls=(ToolCall("python", "x"),))),
    ],
)
def test_a_message_is_what_its_header_says(header: str, expected: Step) -> None:
    assert steps({"text": f"{USER}{A}{header}<|message|>x<|end|>"}) == [Step("user", "q"), expected]


def test_a_completion_goes_on_its_prompt_and_a_prompt_may_stand_in_the_text_as_well() -> None:
    completion = "<|channel|>final<|message|>a<|return|>"
    expected = [Step("user", "q"), Step("agent", "a", answer=True, finish_reason="return")]
    assert steps({"prompt": USER + A, "completion": completion}) == expected
    assert steps({"prompt": USER + A, "text": USER + A + completion}) == expected
    assert steps({"task": "q", "response": completion}) == expected


def test_a_result_ends_the_turn_and_names_its_tool() -> None:
    call = f"{A} to=functions.f<|channel|>commentary<|message|>{{}}<|call|>"
    result = "<|start|>functions.f to=assistant<|channel|>commentary<|message|>o<|end|>"
    assert steps({"text": USER + call + result + f"{A}<|channel|>analysis<|message|>hm"}) == [
        Step("user", "q"),
        Step("agent", tool_calls=(ToolCall("f", "{}"),), finish_reason="call"),
        Step("tool", "o", name="f"),
        Step("agent", None, "hm", finish_reason="aborted"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"A word before {USER}{A}<|channel|>final<|message|>a<|end|>",
        f"{USER}words between{A}<|channel|>final<|message|>a<|end|>",
        f"{USER}{A}<|channel|>final<|message|>a<|start|>user<|message|>b<|end|>",
        f"{USER}{A}<|channel|>daydream<|message|>a<|end|>",
        f"{USER}{A}<|channel|>final",
        "The model writes <|channel|>analysis<|message|> before it thinks.",
        "<|start|>",
    ],
)
def test_a_text_that_is_not_harmony_from_end_to_end_is_left_to_others(text: str) -> None:
    assert messages_of(text) == ()
    assert PARSER.format_of({"text": text}) == "text"


def test_control_tokens_of_a_header_inside_a_content_stay_text() -> None:
    said = "write <|message|> after <|channel|>final"
    assert steps({"text": f"{USER}{A}<|channel|>final<|message|>{said}<|end|>"})[-1].message == said


contents = st.text(st.characters(exclude_characters="|"), max_size=20)
headers = st.sampled_from(["<|channel|>analysis", "<|channel|>final", "<|channel|>commentary to=functions.f json", ""])


@given(st.lists(st.tuples(headers, contents, st.sampled_from(["end", "call", "return"])), min_size=1, max_size=6))
def test_every_character_of_every_message_is_kept_in_order(parts: list[tuple[str, str, str]]) -> None:
    text = "".join(f"{A}{header}<|message|>{content}<|{end}|>" for header, content, end in parts)
    found = messages_of(text)
    assert [message["content"] for message in found] == [content for _, content, _ in parts]
    assert [message["end"] for message in found] == [end for _, _, end in parts]


@pytest.mark.parametrize("piece", ["<|start|>", "<|message|>", " ", "<|channel|>", f"{A}<|message|>", "<|start|>a to="])
def test_time_is_linear_in_hostile_texts(piece: str) -> None:
    text = f"{USER}{A}<|channel|>final<|message|>" + piece * (2_000_000 // len(piece))
    before = time.process_time()
    messages_of(text)
    messages_of(piece * (2_000_000 // len(piece)))
    assert time.process_time() - before < 2.0
