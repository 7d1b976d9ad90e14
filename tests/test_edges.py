"""What a careful reader would try at the edges: each was wrong once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from deepcoder_hf import SpanDetector, TrajectoryBuilder, TrajectoryProcessor, TrajectoryTokenizer, load_config
from deepcoder_hf.dataset.builder import _check_unchanged, load_trajectories, quiet
from deepcoder_hf.errors import InputError, OutputError, SchemaError
from deepcoder_hf.fingerprint import rows_fingerprint
from deepcoder_hf.tokens.tokenizer import _tokenizer, cached_tokenizer

STEP = {"thought": "Look at the file.", "action": "read", "action_input": "a.py", "observation": "x = 1"}


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_a_file_that_changes_while_it_is_read_is_an_error_and_caches_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "runs.jsonl", [{"steps": [STEP]}] * 3)
    builder = TrajectoryBuilder(data_files=str(file), cache_dir=str(tmp_path / "cache"))
    write(file, [{"steps": [STEP]}])
    with quiet():
        builder.download_and_prepare()
    with pytest.raises(InputError, match=r"runs\.jsonl changed while it was read"):
        _check_unchanged(builder)
    assert not Path(builder.cache_dir).exists()


def test_a_limit_stops_reading_and_has_a_cache_of_its_own(tmp_path: Path) -> None:
    file = write(tmp_path / "runs.jsonl", [{"id": n, "steps": [STEP]} for n in range(9)])
    few = load_trajectories(str(file), limit=4)
    assert [row["trajectory_id"] for row in few] == ["0", "1", "2", "3"]
    assert len(load_trajectories(str(file))) == 9
    assert len(list(load_trajectories(str(file), limit=20))) == 9


@pytest.mark.parametrize("given", ["folder", "glob"])
def test_an_output_within_the_input_is_refused(given: str, tiny_model: Path, tmp_path: Path) -> None:
    write(tmp_path / "runs.jsonl", [{"steps": [STEP]}])
    inputs = str(tmp_path) if given == "folder" else str(tmp_path / "*.jsonl")
    processor = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}})
    with pytest.raises(OutputError, match="lies within the input"):
        processor.process_files(inputs, tmp_path / "rows.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.jsonl"]


@pytest.mark.parametrize("name", ["sad-qwen3-0.6B", "v1.2"])
def test_a_dot_in_a_folder_name_is_no_suffix(name: str, tiny_model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "runs.jsonl", [{"steps": [STEP]}])
    TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}}).process_files(str(file), tmp_path / name)
    assert (tmp_path / name / "state.json").exists()


def test_thinking_in_a_later_window_counts_once(tiny_model: Path) -> None:
    acts = [{"action": "read", "action_input": "a.py", "observation": "x " * 40}] * 3
    record = {"task": "Go.", "steps": [*acts, STEP, STEP]}
    processor = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model), "max_length": 120}})
    run = processor.run(Dataset.from_list([record]))
    assert len(run.dataset()) > 2
    assert run.report()["structured_thinking_rate"] == 1.0


def test_what_is_no_dataset_is_refused_with_advice(tiny_model: Path) -> None:
    processor = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}})
    rows = Dataset.from_list([{"steps": [STEP]}])
    for wrong in (DatasetDict({"train": rows}), [{"steps": [STEP]}], "runs.jsonl"):
        with pytest.raises(SchemaError, match="expected a Dataset or an IterableDataset"):
            processor.process(wrong)
    assert len(processor.process(rows.select([]))) == 0


def test_raw_rows_with_a_column_more_are_raw_rows(tiny_model: Path, tmp_path: Path) -> None:
    raw = load_trajectories(str(write(tmp_path / "runs.jsonl", [{"steps": [STEP]}])))
    processor = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}})
    assert processor.process(raw.add_column("mine", [1]))[:] == processor.process(raw)[:]


def test_added_tokens_are_part_of_the_fingerprint(tiny_model: Path, tmp_path: Path) -> None:
    spec = json.loads(tiny_model.read_text(encoding="utf-8"))
    first, number = next(iter(spec["model"]["vocab"].items()))
    file = tmp_path / "tokenizer.json"
    config = load_config({"tokens": {"model_name": str(file)}})
    keys, prefixes = set(), []
    for added in (False, True):
        if added:
            spec["post_processor"] = {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": first, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {first: {"id": first, "ids": [number], "tokens": [first]}},
            }
        file.write_text(json.dumps(spec), encoding="utf-8")
        _tokenizer.cache_clear()
        keys.add(rows_fingerprint("raw", config))
        prefixes.append(cached_tokenizer(config.tokens).prefix_ids)
    assert prefixes == [[], [number]]
    assert len(keys) == 2


def test_a_header_belongs_to_the_turn_that_it_opens(tiny_model: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>a</think>b"}] * 2
    rows = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}}).process(
        Dataset.from_list([{"messages": turns}])
    )
    spans = [(span["subtype"], span["step_id"]) for span in rows[0]["spans"]]
    assert spans[:5] == [("header", 0), ("user", 0), ("header", 1), ("think", 1), ("message", 1)]
    assert ("header", 2) in spans


def test_a_whole_configuration_is_taken_where_a_section_is(tiny_model: Path) -> None:
    config = load_config({"tokens": {"model_name": str(tiny_model)}, "spans": {"min_confidence": 0.9}})
    assert SpanDetector(config).config.min_confidence == 0.9
    assert TrajectoryTokenizer(config).name == str(tiny_model)


def test_markup_that_one_parser_left_is_found_though_the_other_worked(tiny_model: Path) -> None:
    message = {"role": "assistant", "reasoning_content": "hm", "content": "<tool_call>\n{}\n</tool_call>"}
    turns = [
        {"role": "user", "content": "q"},
        message,
        {"role": "user", "content": "<tool_response>\n1\n</tool_response>"},
    ]
    rows = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}}).process(
        Dataset.from_list([{"messages": turns}])
    )
    kinds = {span["subtype"]: span["span_type"] for span in rows[0]["spans"]}
    assert kinds["tool_call"] == "action"
    assert kinds["tool_response"] == "observation"


def test_an_empty_assistant_message_trains_nothing(tiny_model: Path) -> None:
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": "a"},
    ]
    rows = TrajectoryProcessor({"tokens": {"model_name": str(tiny_model)}}).process(
        Dataset.from_list([{"messages": turns}])
    )
    assert rows[0]["text"].count("Assistant:") == 1
