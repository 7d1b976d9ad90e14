"""Inspect logs: attachments resolved, reasoning marked, errors told, side conversations apart, a record a sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mutations import changed, golden
from reading import PARSER, read, steps

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers import inspect_log
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

SAMPLE, LOG, SERVER = golden("inspect_log")


def test_attachments_stand_where_they_are_referred_to() -> None:
    assert steps(SAMPLE)[0].message == SAMPLE["attachments"]["aa11"]


def test_redacted_reasoning_keeps_its_summary_only() -> None:
    step = steps(SAMPLE)[2]
    assert (step.reasoning_kind, step.reasoning_content) == ("redacted", "I should list the folder.")
    assert read(SAMPLE).metadata["redacted_reasoning"] == 1


def test_errors_of_tools_are_results_and_results_follow_their_calls() -> None:
    assert [step.message for step in steps(SAMPLE)[3:5]] == ["ls: cannot open directory '/data'", "12 /data/a.csv"]


def test_a_grader_is_a_side_chain_that_is_not_trained() -> None:
    main, side = PARSER.parse_all(SAMPLE)
    assert (side.parent_id, side.metadata) == (main.trajectory_id, {"kind": "side_chain", "role": "grader"})
    assert [step.trained for step in side.steps if step.source == "agent"] == [False]


def test_a_turn_that_ran_into_the_limit_is_cut() -> None:
    assert steps(LOG)[-1].finish_reason == "length"


def test_a_log_file_gives_a_record_a_sample_and_a_bad_one_costs_itself(tmp_path: Path) -> None:
    broken = changed(LOG, ("samples", 1, "messages"), [{"role": "user", "content": "only a question"}])
    (tmp_path / "log.json").write_text(json.dumps(broken, indent=2), encoding="utf-8")
    rows = [row for file in find_files(tmp_path) for row in iter_records(file, ReadersConfig())]
    assert [row.record["id"] for row in rows if row.record] == [1, 2]
    assert read(rows[0].record).metadata["task"] == "file_search"
    assert inspect_log.read(broken)[0].metadata["refused_samples"] == {"no_assistant_turn": 1}


def test_a_search_of_the_provider_is_a_call_with_its_result() -> None:
    step = steps(SERVER)[1]
    assert (step.tool_calls[0].function_name, step.observations[0].content) == ("web_search", '[{"title": "Rain"}]')


def sample(*messages: dict[str, Any], choices: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    said = [{"message": {"role": "assistant", "content": text}, "stop_reason": "stop"} for text in choices]
    return {"id": "s-1", "epoch": 1, "target": "4", "messages": list(messages), "output": {"choices": said}, **more}


QUESTION = {"role": "user", "content": "How many seats does the small hall have?"}


def test_an_answer_that_is_not_among_the_messages_is_read_and_a_second_one_is_its_own_trajectory() -> None:
    main, side = PARSER.parse_all(sample(QUESTION, choices=("It has forty seats.", "There are about forty-two.")))
    assert [step.message for step in main.steps] == [QUESTION["content"], "It has forty seats."]
    assert [step.message for step in side.steps] == [QUESTION["content"], "There are about forty-two."]


def test_a_second_choice_of_an_event_is_not_lost() -> None:
    answer = {"role": "assistant", "content": "It has forty seats."}
    other = {"role": "assistant", "content": "There are about forty-two."}
    event = {"event": "model", "input": [QUESTION], "output": {"choices": [{"message": answer}, {"message": other}]}}
    found = PARSER.parse_all(sample(QUESTION, answer, events=[event]))
    assert [one.steps[-1].message for one in found] == [answer["content"], other["content"]]


@pytest.mark.parametrize("raw", ['{"cmd": "ls', None])
def test_arguments_that_could_not_be_parsed_are_raw_and_never_invented(raw: str | None) -> None:
    told = (
        f"Error parsing the following tool call arguments:\n\n{raw}\n\nError details: end of text" if raw else "broken"
    )
    call = {"id": "c", "function": "bash", "arguments": {}, "parse_error": told, "type": "function"}
    turn = {"role": "assistant", "content": "I list the folder.", "tool_calls": [call]}
    step = PARSER.parse(sample(QUESTION, turn)).steps[1]
    assert (step.tool_calls[0].arguments, step.trained) == (raw or "", raw is not None)
