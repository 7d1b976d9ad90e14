"""Inspect logs: attachments resolved, reasoning marked, errors told, side conversations apart, a record a sample."""

from __future__ import annotations

import json
from pathlib import Path

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
