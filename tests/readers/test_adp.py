"""ADP: what is reasoning, action and observation; screens and thoughts, which stand beside it."""

from __future__ import annotations

from typing import Any

import pytest
from reading import read, read_all, seen, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.trajectory import Observation, Step, ToolCall

RUN = {"class_": "code_action", "language": "bash", "content": "ls"}
GO = {"class_": "api_action", "function": "go", "kwargs": {"to": "x"}}
CALL_RUN, CALL_GO = ToolCall("", "ls", language="bash"), ToolCall("go", '{"to": "x"}')


def adp(*content: Any, **more: Any) -> dict[str, Any]:
    return {"id": "i", "content": list(content), "details": {}, **more}


def text(content: str, source: str = "user", **more: Any) -> dict[str, Any]:
    return {"class_": "text_observation", "content": content, "source": source, **more}


@pytest.mark.parametrize("source", ["user", "environment"])
def test_a_text_right_after_an_action_is_its_result_and_another_one_is_not(source: str) -> None:
    assert steps(adp(text("q"), RUN, text("a.py", source))) == [
        Step("user", "q"),
        Step("agent", tool_calls=(CALL_RUN,), observations=seen("a.py")),
    ]
    assert steps(adp(RUN, text("a.py"), text("more", source)))[1] == Step(
        "user" if source == "user" else "tool", "more"
    )


def test_a_text_after_a_message_is_the_users() -> None:
    message = {"class_": "message_action", "content": "Which one?", "description": "unclear"}
    assert steps(adp(message, text("The first."))) == [
        Step("agent", "Which one?", "unclear"),
        Step("user", "The first."),
    ]


def test_descriptions_are_reasoning_and_beside_longer_reasoning_what_is_said_first() -> None:
    assert steps(adp({**GO, "description": " d\n"})) == [Step("agent", None, " d\n", (CALL_GO,))]
    assert steps(adp({**GO, "description": "d", "reasoning_content": "r"})) == [Step("agent", "d", "r", (CALL_GO,))]


def test_results_of_parallel_calls_find_their_call_by_id() -> None:
    one, two = {**GO, "tool_call_id": "1"}, {**RUN, "tool_call_id": "2"}
    found = steps(adp(one, two, text("second", tool_call_id="2"), text("first", tool_call_id="1")))
    assert found[1].observations == (Observation("second", "2"),)
    assert found[2] == Step("tool", "first", tool_call_id="1")


def test_what_a_page_shows_is_read_and_its_screenshot_named() -> None:
    shot = {"class_": "image_observation", "content": "0.png", "annotations": None, "source": "environment"}
    page = {"class_": "web_observation", "axtree": "tree", "html": None, "url": "", "image_observation": shot}
    found = read(adp(GO, page))
    assert found.steps[0].observations == seen("tree")
    assert found.metadata["images"] == ["0.png"]
    assert steps(adp(GO, {**page, "url": "u", "html": "<p>"}))[0].observations == seen("URL: u\n\ntree\n\n<p>")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([text("q")], "no_assistant_turn"),
        ([RUN, {"class_": "dance_action"}], "bad_step"),
        ([RUN, 3], "bad_step"),
        ([{**RUN, "content": None}], "bad_step"),
        ([{**GO, "function": ["go"]}], "bad_step"),
        ([{**GO, "description": {"a": 1}}], "bad_step"),
        ([RUN, {"class_": "image_observation", "content": "0.png"}], "unsupported_modality"),
        ([RUN, {"class_": "web_observation", "image_observation": {"content": "0.png"}}], "unsupported_modality"),
    ],
)
def test_what_cannot_be_read_says_why(content: list[Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(adp(*content))
    assert caught.value.reason == reason


def test_thoughts_are_trajectories_of_reasoning_in_the_order_of_their_steps() -> None:
    (one, two) = read_all({"a_1": {"11": "later", "3": "first"}, "a_2": {"5": "only"}})
    assert [step.reasoning_content for step in one.steps] == ["first", "later"]
    assert (one.trajectory_id, one.metadata["step_numbers"], one.metadata["kind"]) == ("a_1", [3, 11], "thoughts")
    assert (two.trajectory_id, two.steps) == ("a_2", (Step("agent", None, "only"),))


def test_a_screen_is_seen_before_the_action_that_answers_it() -> None:
    record = {
        "episode_id": 3,
        "goal": "open the mail",
        "accessibility_trees": [[{"text": "Mail"}], [{"text": "Inbox"}]],
        "actions": [{"action_type": "click", "x": 1}],
        "step_instructions": ["Tap on Mail."],
    }
    found = read(record)
    assert found.trajectory_id == "3"
    assert list(found.steps) == [
        Step("user", "open the mail"),
        Step("tool", '[{"text": "Mail"}]'),
        Step("agent", None, "Tap on Mail.", (ToolCall("click", '{"x": 1}'),)),
        Step("tool", '[{"text": "Inbox"}]'),
    ]
