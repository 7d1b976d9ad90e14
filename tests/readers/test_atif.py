"""ATIF: versions, copied context, token ids, sub-agents, and documents that the `atif` package refuses."""

from __future__ import annotations

from typing import Any

import pytest
from reading import LENIENT, read, read_all, seen

from deepcoder_hf.errors import RecordError
from deepcoder_hf.trajectory import Step, ToolCall

AGENT = {"name": "a", "version": "1"}
ASK = {"step_id": 1, "source": "user", "message": "q"}


def document(*steps: Any, version: str = "1.8", **more: Any) -> dict[str, Any]:
    numbered = [{"step_id": n, **step} if isinstance(step, dict) else step for n, step in enumerate(steps, start=1)]
    return {"schema_version": f"ATIF-v{version}", "session_id": "s", "agent": AGENT, "steps": numbered, **more}


def said(**fields: Any) -> dict[str, Any]:
    return {"source": "agent", "message": "m", **fields}


@pytest.mark.parametrize("version", [f"1.{minor}" for minor in range(9)])
def test_every_version_is_read_and_found_valid(version: str) -> None:
    found = read(document(ASK, said(), version=version))
    assert found.source_format == "atif"
    assert found.steps == (Step("user", "q"), Step("agent", "m"))
    assert "atif_valid" not in found.metadata


def test_copied_context_and_turns_without_a_model_are_not_trained_and_ids_are_kept() -> None:
    metrics = {"prompt_token_ids": [1, 2], "completion_token_ids": [3]}
    found = read(document(ASK, said(is_copied_context=True), said(llm_call_count=0), said(metrics=metrics)))
    assert [step.trained for step in found.steps] == [True, False, False, True]
    assert (found.steps[3].prompt_token_ids, found.steps[3].completion_token_ids) == ((1, 2), (3,))


def test_results_stand_in_the_order_of_their_calls() -> None:
    calls = [{"tool_call_id": n, "function_name": "f", "arguments": {"n": n}} for n in "ab"]
    results = [{"source_call_id": n, "content": n.upper()} for n in "ba"]
    (_, step) = read(document(ASK, said(tool_calls=calls, observation={"results": results}))).steps
    assert step.tool_calls == (ToolCall("f", '{"n": "a"}', "a"), ToolCall("f", '{"n": "b"}', "b"))
    assert [result.content for result in step.observations] == ["A", "B"]


def test_what_a_system_step_observed_stands_alone() -> None:
    system = {"source": "system", "message": "", "observation": {"results": [{"content": "event"}]}}
    assert read(document(ASK, system, said())).steps[1] == Step("tool", "event")


def test_sub_agents_are_trajectories_of_their_own_that_name_their_parent() -> None:
    def child(name: str, **more: Any) -> dict[str, Any]:
        return {**document(ASK, said(message=f"I am {name}")), "trajectory_id": name, **more}

    inner = child("inner")
    found = read_all(document(ASK, said(), trajectory_id="main", subagent_trajectories=[
        child("one", subagent_trajectories=[inner]), child("two")]))  # fmt: skip
    assert [(t.trajectory_id, t.parent_id) for t in found] == [
        ("main", None), ("one", "main"), ("inner", "one"), ("two", "main")]  # fmt: skip
    assert [t.metadata.get("kind") for t in found] == [None, "sub_agent", "sub_agent", "sub_agent"]
    assert found[2].steps[-1] == Step("agent", "I am inner")


def test_arguments_that_were_no_json_are_read_where_a_converter_kept_them() -> None:
    call = {"tool_call_id": "c", "function_name": "f", "arguments": {}}
    extra = {"converter": {"calls": {"c": {"arguments_raw": "{'a': "}}}}
    assert read(document(ASK, said(tool_calls=[call], extra=extra))).steps[1].tool_calls == (
        ToolCall("f", "{'a': ", "c"),
    )


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({**document(ASK, said()), "agent": None}, "agent: Input should be"),
        ({**document({**ASK, "step_id": 4}, said())}, "step_id=4 is not sequential"),
        (document(ASK, said(mood="good")), "steps.1.mood: Extra inputs"),
        (document(ASK, said(message=None)), "steps.1.message"),
        (document(ASK, said(observation="plain")), "steps.1.observation"),
    ],
)
def test_an_invalid_document_whose_steps_are_clear_is_read_and_says_so(record: Any, error: str) -> None:
    record["steps"].append({"step_id": 3, **said(message="last")})
    found = LENIENT.parse(record)
    assert found.steps[-1] == Step("agent", "last")
    assert found.metadata["atif_valid"] is False
    assert error in found.metadata["atif_error"]


@pytest.mark.parametrize(
    ("record", "reason", "message"),
    [
        (document(), "invalid_atif", "steps: expected a list of step objects, got nothing"),
        (document(ASK, "text"), "invalid_atif", "expected a list of step objects, got list"),
        (document(ASK, {"source": "tool", "message": "m"}), "invalid_atif", "steps 2: expected a source system, user"),
        (document(ASK, said(tool_calls=[{"function_name": None}])), "invalid_atif", "steps 2: expected a call with"),
        (document(ASK, said(tool_calls="f()")), "invalid_atif", "steps 2: tool_calls: expected a list of objects"),
        (document(ASK, said(message=3)), "invalid_atif", "steps 2: message: expected text or a list of parts, got int"),
        (document({**ASK, "reasoning_content": "r"}, said()), "invalid_atif", "belong to an agent, got them at 'user'"),
        (document(ASK, said(), subagent_trajectories=[3]), "invalid_atif", "subagent_trajectories: expected a list"),
        (document(ASK), "no_assistant_turn", "expected an agent step"),
        (document(ASK, said(message="")), "no_assistant_turn", "expected an agent step"),
        (document(ASK, said(message=[{"type": "image", "source": {"media_type": "image/png", "path": "x"}}])),
         "unsupported_modality", "a content part of type 'image'"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_understood_is_a_reject(record: Any, reason: str, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        read(record)
    assert caught.value.reason == reason


def test_sub_agents_that_never_end_are_a_reject() -> None:
    record = document(ASK, said())
    for _ in range(40):
        record = {**document(ASK, said()), "trajectory_id": "t", "subagent_trajectories": [record]}
    with pytest.raises(RecordError, match="nested more than 20 deep") as caught:
        read(record)
    assert caught.value.reason == "invalid_atif"


def test_a_result_that_only_points_to_a_sub_agent_says_nothing() -> None:
    results = [{"subagent_trajectory_ref": [{"trajectory_path": "b.json"}]}, {"content": "r"}]
    assert read(document(ASK, said(observation={"results": results}))).steps[1].observations == seen("r")


def test_notes_whose_key_says_what_they_are_are_read_and_other_texts_are_not_ignored() -> None:
    thought = "The invoice is dated before the order, so one of the two dates must be wrong."
    warning = "warning: 3 rows of invoices.csv have no date and were left out of the sum"
    call = {"tool_call_id": "c", "function_name": "bash", "arguments": {"command": "sum invoices.csv"}}
    result = {"source_call_id": "c", "content": "1200", "extra": {"stderr": warning}}
    more = {"tool_calls": [call], "observation": {"results": [result]}}
    step = read(document(ASK, said(extra={"prog": {"thinking": thought, "mode": "fast"}}, **more))).steps[1]
    assert step.reasoning_content == thought
    assert [one.content for one in step.observations] == ["1200", warning]
    with pytest.raises(RecordError) as caught:
        read(document(ASK, said(extra={"draft": thought})))
    assert caught.value.reason == "unread_fields"
