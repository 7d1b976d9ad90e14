"""The pipeline from a file to an output: nothing is lost, and what is written is what was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset, load_from_disk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline_runs import counted, processor, react, write_jsonl

from deepcoder_hf import create_trajectory_processor, load_trajectories
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.load import read_rows
from deepcoder_hf.errors import InputError, OutputError


@pytest.mark.parametrize("num_proc", [1, 2])
def test_exact_duplicates_are_dropped_across_shards(num_proc: int, tiny_model: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "runs.jsonl", react(1, 2, 1, 3, 2, 1, 4))
    run = {"shard_records": 2, "cache_dir": str(tmp_path / "cache")}
    chain = processor(tiny_model, filters={"drop_duplicates": True}, dataset=run)
    report = chain.process_files(path, tmp_path / "sad.jsonl", num_proc=num_proc)
    assert counted(report)
    assert report["shards"]["total"] == 4
    assert (report["n_kept"], report["reasons"]["dropped"]) == (4, {"duplicate": 3})
    assert read_rows(tmp_path / "sad.jsonl")["trajectory_id"][:] == ["id-1", "id-2", "id-3", "id-4"]
    rejects = [json.loads(line) for line in (tmp_path / "sad.rejected.jsonl").read_text().splitlines()]
    assert [(r["line"], r["reason"]) for r in rejects] == [(3, "duplicate"), (5, "duplicate"), (6, "duplicate")]


def test_a_limit_takes_the_first_records(tiny_model: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "runs.jsonl", react(*range(9)))
    report = processor(tiny_model).process_files(path, tmp_path / "sad", limit=4)
    assert report["n_read"] == report["n_kept"] == 4
    assert load_from_disk(str(tmp_path / "sad"))["trajectory_id"][:] == [f"id-{n}" for n in range(4)]
    assert processor(tiny_model).process_files(path, tmp_path / "all", limit=99)["n_read"] == 9


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_input_without_a_record_is_an_error_that_names_it(content: str, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"runs\.jsonl: expected trajectories, got no record"):
        processor(tiny_model).process_files(tmp_path / "runs.jsonl", tmp_path / "sad")
    assert not (tmp_path / "sad").exists()


def test_an_empty_file_beside_others_takes_nothing_away(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "empty.jsonl").touch()
    write_jsonl(tmp_path / "runs" / "full.jsonl", react(1, 2))
    report = processor(tiny_model).process_files(tmp_path / "runs", tmp_path / "sad", num_proc=2)
    assert report["n_kept"] == 2


def test_input_of_rejects_alone_gives_an_empty_dataset_and_every_reason(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text('{"foo": 1}\n{"text": ""}\n{"text": "no structure"}\n[1]\n{"broken\n')
    report = processor(tiny_model).process_files(tmp_path / "runs.jsonl", tmp_path / "sad")
    assert counted(report)
    assert (report["n_read"], report["n_kept"], report["n_rows"]) == (5, 0, 0)
    rows = load_from_disk(str(tmp_path / "sad"))
    assert len(rows) == 0
    assert rows.features == SAD_FEATURES
    rejects = [json.loads(line) for line in (tmp_path / "sad" / "rejected.jsonl").read_text().splitlines()]
    assert [reject["line"] for reject in rejects] == [1, 2, 3, 4, 5]
    assert all(reject["message"] for reject in rejects)


def test_an_output_never_replaces_its_input(tiny_model: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "runs.jsonl", react(1))
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"runs\.jsonl"):
        processor(tiny_model).process_files(path, path, overwrite=True)
    assert path.read_bytes() == before


TEXT = st.text(st.characters(codec=None), max_size=40)
RECORDS = st.one_of(
    st.builds(lambda a, b: {"text": f"Thought: {a}\nAction: {b}[x]\nObservation: {a}"}, TEXT, TEXT),
    st.builds(lambda a: {"response": f"<think>{a}</think>{a}"}, TEXT),
    st.builds(
        lambda a, b: {"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}, TEXT, TEXT
    ),
    st.builds(lambda a, b: {"steps": [{"thought": a, "action": b, "observation": a}]}, TEXT, TEXT),
    st.just({"unknown": 1}),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(RECORDS, min_size=1, max_size=5), form=st.sampled_from(["dataset", "parquet", "jsonl"]))
def test_writing_then_reading_is_the_identity(
    records: list[Any], form: str, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("identity")
    chain = processor(tiny_model, tokens={"max_length": 64})
    path = write_jsonl(folder / "runs.jsonl", records)
    report = chain.process_files(path, folder / "out", form=form)
    assert counted(report)
    written, made = read_rows(folder / "out"), chain.process(load_trajectories(path))
    assert len(written) == report["n_rows"]
    assert written.features == made.features == SAD_FEATURES
    assert written.to_list() == made.to_list()
    assert chain.validate_processed_trajectories(folder / "out")["validation_errors"] == []


@pytest.mark.parametrize("name", ["sad", "sad.parquet", "sad.jsonl"])
def test_a_written_dataset_keeps_its_exact_types(name: str, tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / name
    processor(tiny_model).process_files(write_jsonl(tmp_path / "runs.jsonl", react(1, 2)), output)
    if name == "sad":
        rows = load_from_disk(str(output))
    elif name == "sad.parquet":
        rows = load_dataset("parquet", data_files=str(output), split="train")
    else:
        rows = read_rows(output)
    assert rows.features == SAD_FEATURES
    for column in ("attention_mask", "token_types", "reasoning_mask", "action_mask"):
        assert str(rows.data.schema.field(column).type.value_type) == "int8"
    for column in ("input_ids", "labels"):
        assert str(rows.data.schema.field(column).type.value_type) == "int32"
    assert rows["trajectory_id"][:] == ["id-1", "id-2"]


def test_the_first_designs_methods_give_its_statistics(tiny_model: Path, tmp_path: Path) -> None:
    chain = create_trajectory_processor(
        {"trajectory_processing": {"model_name": str(tiny_model), "quality_filtering": {"min_tokens": 30}}}
    )
    (tmp_path / "runs").mkdir()
    path = write_jsonl(tmp_path / "runs" / "a.jsonl", [*react(1), {"foo": 1}, {"text": "Thought: x"}])
    for stats in (
        chain.process_trajectory_file(path, tmp_path / "file"),
        chain.process_trajectory_directory(tmp_path / "runs", tmp_path / "folder"),
    ):
        counts = [stats[k] for k in ("total_trajectories", "processed_successfully", "filtered_out", "failed")]
        assert counts == [3, 1, 1, 1]
    result = chain.validate_processed_trajectories(tmp_path / "file")
    assert (result["total_checked"], result["valid_trajectories"], result["invalid_trajectories"]) == (1, 1, 0)
    with pytest.raises(InputError, match="expected a folder"):
        chain.process_trajectory_directory(path, tmp_path / "x")
