"""smolagents: text of the model verbatim, calls only where they stand apart, agents that were managed on their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutations import changed, golden
from reading import PARSER, steps

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

CODE, TOOLS, MANAGED = golden("smolagents")


def test_code_is_told_once_where_the_model_wrote_it() -> None:
    found = [step for step in steps(CODE) if step.source == "agent"]
    assert [step.message for step in found][1] == CODE["steps"][2]["model_output"]
    assert not any(step.tool_calls for step in found)


def test_the_plan_is_what_the_model_wrote_and_the_prompt_that_of_the_first_call() -> None:
    assert [step.message for step in steps(CODE)][:3] == [
        "You solve tasks with code.",
        CODE["steps"][0]["task"],
        "1. Divide.\n2. Answer.",
    ]


def test_errors_and_answers_are_results() -> None:
    seen = [[result.content for result in step.observations] for step in steps(CODE)]
    assert seen[4:] == [["Your code snippet is invalid: the regex was not found."], ["Execution logs:\n", "52"]]


def test_tool_calls_keep_the_models_own_arguments() -> None:
    assert steps(TOOLS)[2].tool_calls[0].arguments == '{"city":"Bern"}'


def test_a_managed_agent_is_a_trajectory_of_its_own() -> None:
    _, side = PARSER.parse_all(MANAGED)
    assert (side.metadata["kind"], side.metadata["agent"]) == ("sub_agent", "reader")
    assert side.steps[1].tool_calls[0].language == "python"


def test_a_file_that_is_a_list_of_steps_is_one_record(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text(json.dumps(CODE["steps"], indent=1), encoding="utf-8")
    rows = [row for file in find_files(tmp_path) for row in iter_records(file, ReadersConfig())]
    assert [steps(row.record) for row in rows] == [steps(CODE)]


def test_images_are_refused() -> None:
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(changed(CODE, ("steps", 0, "task_images"), ["x"]))
    assert caught.value.reason == "unsupported_modality"


def test_code_that_the_text_does_not_hold_is_a_call() -> None:
    code = "prices = [item.price for item in basket]\nprint(sum(prices))"
    call = {"id": "call_1", "type": "function", "function": {"name": "python_interpreter", "arguments": code}}
    record = {"steps": [{"task": "Sum the basket."}, {"step_number": 1, "model_output": "I add the prices up.",
                         "tool_calls": [call], "code_action": code, "observations": "12.5"}]}  # fmt: skip
    assert [one.arguments for one in steps(record)[1].tool_calls] == [code]


def test_what_an_action_returned_is_a_result_where_the_observations_say_something_else() -> None:
    result = "The basket holds three items, one of which is out of stock since Monday."
    step = {"step_number": 1, "model_output": "I look.\n```python\nlook()\n```", "code_action": "look()",
            "observations": "Execution logs:\nlooking", "action_output": result}  # fmt: skip
    seen = steps({"steps": [{"task": "Look."}, step]})[1].observations
    assert [one.content for one in seen] == ["Execution logs:\nlooking", result]
