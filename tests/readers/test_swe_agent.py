"""SWE-agent: thoughts are reasoning, commands are calls, and what the harness wrote itself is not trained."""

from __future__ import annotations

from typing import Any

import pytest
from mutations import golden
from reading import PARSER, read, steps

from deepcoder_hf.errors import RecordError

TEXT, CALLS, STEPS, RETRY, DEMO = golden("swe_agent")


def test_thought_and_command_are_apart_and_the_result_stands_with_them() -> None:
    step = steps(TEXT)[3]
    assert step.reasoning_content == TEXT["trajectory"][0]["thought"]
    assert (step.tool_calls[0].arguments, step.tool_calls[0].language) == (TEXT["trajectory"][0]["action"], "bash")
    assert step.observations[0].content == TEXT["history"][4]["content"]


def test_demonstrations_and_exits_are_not_trained() -> None:
    assert [step.trained for step in steps(TEXT)] == [True, False, True, True, True, False]
    assert steps(TEXT)[-1].finish_reason == "aborted"


def test_calls_keep_their_raw_arguments_and_thinking_comes_before_the_thought() -> None:
    step, result = steps(CALLS)[2:]
    assert step.tool_calls[0].arguments == CALLS["history"][2]["tool_calls"][0]["function"]["arguments"]
    assert (step.reasoning_content, step.message) == (
        CALLS["history"][2]["thinking_blocks"][0]["thinking"],
        CALLS["history"][2]["thought"],
    )
    assert (result.source, result.tool_call_id) == ("tool", "call_7Qd")
    assert read(CALLS).group_id == "acme__cache-42"


def test_the_trajectory_is_read_where_the_history_ends_early() -> None:
    assert [step.source for step in steps(STEPS)] == ["system", "user", "agent", "agent", "agent"]
    assert steps(STEPS)[-1].message == "I forgot the fence, sorry"


def test_attempts_are_trajectories_of_their_own() -> None:
    found = PARSER.parse_all(RETRY)
    assert [(one.parent_id, one.metadata.get("kind")) for one in found] == [(None, None), ("run-12", "attempt")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"history": [{"role": "system", "content": "x", "agent": "main"}]}, "no_assistant_turn"),
        ({"history": [{"role": "robot", "content": "x", "agent": "main"}]}, "unknown_role"),
        ({"trajectory": [STEPS["trajectory"][0], "x"], "history": []}, "bad_step"),
        (
            {"history": [{"role": "user", "agent": "main", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "unsupported_modality",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(record)
    assert caught.value.reason == reason
