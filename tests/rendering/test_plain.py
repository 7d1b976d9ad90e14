"""The plain layout: every character of a trajectory stands in the text as it came, with the type of its field."""

from __future__ import annotations

from collections import Counter

import pytest
from conversations import CALL, conversation_of, odd_text, parts
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.errors import RecordError
from deepcoder_hf.rendering.plain import render_plain
from deepcoder_hf.rendering.turns import turns_of
from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory


def kinds(*steps: Step) -> list[tuple[str, str, str]]:
    return parts(render_plain(conversation_of(*steps)))


def test_the_layout_is_the_documented_one() -> None:
    steps = [
        Step("system", "Be careful."),
        Step("user", "Do it."),
        Step("agent", "I will read.", "Hm.", (CALL,), (Observation("print(1)", "c1"), Observation("ok"))),
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


def test_a_flattened_trajectory_stays_as_it_came() -> None:
    text = " \n Thought: a \r\nAction: b\n\n"
    assert render_plain(conversation_of(Step("text", text))).text == text


def test_a_chat_without_structure_is_detected_behind_its_headers() -> None:
    assert kinds(Step("user", "q"), Step("agent", "<think>a</think>b")) == [
        ("other", "header", "User:"),
        ("other", "user", " q\n\n"),
        ("other", "header", "Assistant:"),
        ("reasoning", "think", " <think>a</think>"),
        ("answer", "message", "b\n\n"),
    ]


def test_an_empty_result_and_empty_arguments_are_written_and_an_empty_turn_of_the_agent_is_counted() -> None:
    steps = (Step("agent", "", "", (ToolCall("f", ""),), (Observation(""),)), Step("agent", "", ""))
    assert kinds(*steps) == [
        ("action", "tool_call", "Action: f\nAction Input: \n"),
        ("observation", "observation", "Observation: \n"),
    ]
    counts: Counter[str] = Counter()
    turns_of(Trajectory(steps, "messages"), str, counts)
    assert counts["dropped_turns"] == 1


def test_a_record_in_which_nobody_says_anything_is_refused() -> None:
    with pytest.raises(RecordError, match="holds no text") as caught:
        conversation_of(Step("user", " "), Step("agent"))
    assert caught.value.reason == "empty_record"


def test_a_turn_that_holds_reasoning_alone_goes_on_in_the_next() -> None:
    steps = (Step("user", "q"), Step("agent", reasoning_content="One."), Step("agent", "x", "Two.", (CALL,)))
    assert [typed.turn.role for typed in conversation_of(*steps).turns] == ["user", "assistant"]
    assert "".join(text for *_, text in kinds(*steps)).endswith(
        'Thought: One.\nThought: Two.\nAssistant: x\nAction: read_file\nAction Input: {"path": "a.py"}\n'
    )


def test_what_the_source_excludes_is_untrained_whatever_it_is() -> None:
    step = Step("agent", "I read.", "Hm.", (CALL,), trained=False)
    assert {(kind, sub) for kind, sub, _ in kinds(step)} == {("reasoning", "untrained"), ("action", "untrained")}
    summary = Step("agent", "I read.", "Hm.", reasoning_kind="summary")
    assert [(kind, sub) for kind, sub, _ in kinds(summary)] == [("reasoning", "summary"), ("answer", "message")]


def test_the_payload_is_the_words_of_the_source_without_labels_and_edges() -> None:
    steps = (
        Step("user", " q \n"),
        Step("agent", "<think>\n a b \n</think>\n\nyes\n"),
        Step("agent", tool_calls=(CALL,)),
    )
    rendered = render_plain(conversation_of(*steps))
    found = [(str(TYPES[kind]), rendered.text[a:b]) for a, b, kind in rendered.payload]
    assert found == [
        ("other", "q"),
        ("reasoning", "a b"),
        ("answer", "yes"),
        ("action", "read_file"),
        ("action", '{"path": "a.py"}'),
    ]


calls = st.lists(st.builds(ToolCall, st.sampled_from(["", "f", "naïve"]), odd_text), max_size=2).map(tuple)
agent_steps = st.builds(
    Step,
    st.just("agent"),
    st.none() | odd_text,
    st.none() | odd_text,
    calls,
    st.lists(st.builds(Observation, odd_text), max_size=2).map(tuple),
    st.booleans(),
)
other_steps = st.builds(Step, st.sampled_from(["system", "user", "tool", "text"]), odd_text)
any_steps = st.lists(st.one_of(agent_steps, other_steps), min_size=1, max_size=5).map(
    lambda steps: [Step("user", "Do it."), *steps]
)


@settings(max_examples=200, deadline=None)
@given(steps=any_steps)
def test_every_part_stands_in_the_text_verbatim_and_in_order(steps: list[Step]) -> None:
    text = "".join(text for *_, text in kinds(*steps))
    position = 0
    for step in steps:
        ordered = [step.reasoning_content, step.message]
        ordered += [part for call in step.tool_calls for part in (call.function_name, call.arguments)]
        for part in [*ordered, *(result.content for result in step.observations)]:
            if part:
                position = text.index(part, position) + len(part)


@settings(max_examples=200, deadline=None)
@given(steps=any_steps)
def test_a_part_gets_the_type_of_its_field_whatever_it_says(steps: list[Step]) -> None:
    conversation = conversation_of(*steps)
    rendered = render_plain(conversation)
    spans = parts(rendered)
    by_structure = [part for part, span in zip(spans, rendered.spans, strict=True) if span[6] == "structure"]
    observations = [text for kind, _, text in by_structure if kind == "observation"]
    results = [
        [r.content for r in step.observations] if step.source == "agent" else [step.message] * (step.source == "tool")
        for step in steps
    ]
    assert observations == [f"Observation: {text}\n" for texts in results for text in texts]
    thoughts = [text for _, subtype, text in by_structure if subtype == "thought"]
    assert thoughts == [f"Thought: {s.reasoning_content}\n" for s in steps if s.reasoning_content]
    calls = [text for kind, subtype, text in by_structure if (kind, subtype) == ("action", "tool_call")]
    assert [text.startswith("Action: ") for text in calls] == [True] * sum(len(step.tool_calls) for step in steps)
    by_agent = {unit.turn for unit in conversation.units if unit.by_agent}
    assert all(conversation.turns[turn].turn.role in ("assistant", "text") for turn in by_agent)
