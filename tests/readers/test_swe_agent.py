"""SWE-agent: thoughts are reasoning, commands are calls, and what the harness wrote itself is not trained."""

from __future__ import annotations

import json
from pathlib import Path
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


def entry(thought: str, action: str, observation: str, **more: Any) -> dict[str, Any]:
    response = f"{thought}\n```\n{action}\n```"
    return {"thought": thought, "action": action, "observation": observation, "response": response, **more}


def said(one: dict[str, Any]) -> dict[str, Any]:
    told = {"thought": one["thought"], "action": one["action"], "content": one["response"]}
    return {"role": "assistant", "agent": "primary", **told}


def heard(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "agent": "primary", "content": text, **more}


LIST = entry("I list the folder to find the parser.", "ls src", "parser.py\nlexer.py\n", state="{}")
OPEN = entry(
    "The parser is where the bug must be.", "cat src/parser.py", "def parse(text):\n    return text\n", state="{}"
)
SUBMIT = entry(
    "The tests pass, so I submit.", "submit", "diff --git a/src/parser.py b/src/parser.py\n+    pass\n", state="{}"
)
TASK = heard("Fix the parser of the configuration files.")


def words(record: dict[str, Any]) -> str:
    found = [one for trajectory in PARSER.parse_all(record) for one in trajectory.steps]
    return "\n".join(
        text or ""
        for step in found
        for text in (step.message, step.reasoning_content, *(o.content for o in step.observations))
    )


def test_a_human_who_speaks_in_a_history_that_is_shorter_than_the_trajectory_is_heard() -> None:
    human = heard("Please look at the lexer too, a colleague changed it last week.", message_type="user")
    record = {"trajectory": [LIST, OPEN, SUBMIT], "history": [TASK, said(LIST), heard(LIST["observation"]), human]}
    found = steps(record)
    assert [step.source for step in found] == ["user", "agent", "user", "agent", "agent"]
    assert found[2].message == human["content"]
    assert [step.reasoning_content for step in found if step.source == "agent"] == [
        LIST["thought"],
        OPEN["thought"],
        SUBMIT["thought"],
    ]


def test_the_result_of_the_last_call_which_no_history_tells_stands_with_it() -> None:
    history = [TASK, said(LIST), heard(f"OBSERVATION:\n{LIST['observation']}bash-$"), said(SUBMIT)]
    found = steps({"trajectory": [LIST, SUBMIT], "history": history})
    assert [one.content for one in found[1].observations] == [history[2]["content"]]
    assert [one.content for one in found[2].observations] == [SUBMIT["observation"]]


def test_a_result_that_was_shortened_for_the_model_is_read_as_the_model_saw_it() -> None:
    long = {**LIST, "observation": "".join(f"src/module_{n}.py\n" for n in range(200))}
    shown = heard(long["observation"][:300] + "<response clipped>")
    found = steps({"trajectory": [long, SUBMIT], "history": [TASK, said(long), shown, said(SUBMIT)]})
    assert [one.content for one in found[1].observations] == [shown["content"]]


def test_what_was_said_after_a_command_is_kept() -> None:
    after = "And then I will compare what the parser returns with what the lexer gives it. " * 6
    loud = {**said(LIST), "content": f"DISCUSSION {LIST['thought']}\n```\nls src\n```\n{after}"}
    found = steps({"history": [TASK, loud, heard("parser.py")]})
    assert found[1].message == loud["content"]
    assert words({"history": [TASK, loud, heard("parser.py")]}).count(LIST["thought"]) == 1


def test_without_a_history_the_task_is_what_the_call_was_given() -> None:
    record = {"trajectory": [{**LIST, "query": [TASK]}, {**SUBMIT, "query": [TASK, said(LIST), heard("parser.py")]}]}
    assert [step.source for step in steps(record)] == ["user", "agent", "agent"]
    assert steps(record)[0].message == TASK["content"]


def test_real_runs_hold_the_last_result_in_a_step(shared_data: Path) -> None:
    n_checked = 0
    for file in sorted((shared_data / "trajectories" / "swe-agent-traj").glob("*.traj")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if entries := record.get("trajectory"):
            n_checked += 1
            assert entries[-1]["observation"].strip() in words(record)
    assert n_checked >= 8
