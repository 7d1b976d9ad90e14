"""Decontamination: thirteen words in a row or a task id take a trajectory out, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset

from deepcoder_hf.errors import ConfigError, InputError
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.decontaminate import decontaminate, words_of
from deepcoder_hf.publish.decontaminate_texts import benchmark_texts

TASK = "Write a function that returns the sum of all even numbers in a list given by the user, and nothing else at all."


def bundle(*texts: str, ids: list[str] | None = None, metadata: list[str] | None = None) -> Bundle:
    rows = {
        "trajectory_id": ids or [f"t{n}" for n in range(len(texts))],
        "group_id": ids or [f"t{n}" for n in range(len(texts))],
        "text": list(texts),
        "original_text": [None] * len(texts),
        "metadata": metadata or ["{}"] * len(texts),
    }
    return Bundle({"train": Dataset.from_dict(rows)})


def kept(made: Bundle) -> list[str]:
    return list(made.splits["train"]["text"])


def test_thirteen_words_are_a_hit_and_twelve_are_none() -> None:
    words = words_of(TASK)
    shared = ["so: " + ", ".join(words[3:16]).upper() + "!", " ".join(words[3:15]) + " else", "unrelated"]
    made, counts = decontaminate(bundle(*shared), {"bench": [TASK]})
    assert counts == {"bench": 1}
    assert kept(made) == shared[1:]


def test_a_short_task_is_looked_for_as_a_whole() -> None:
    task = "Write a python function to find the first repeated character"
    made, counts = decontaminate(bundle(f"Task: {task}.", "find the first repeated character"), {"mbpp": [task]})
    assert counts == {"mbpp": 1}
    assert kept(made) == ["find the first repeated character"]


def test_task_ids_are_found_in_ids_and_metadata() -> None:
    rows = bundle(
        "a", "b", "c", ids=["HumanEval_7", "x", "HumanEval/70"], metadata=["{}", '{"task":"humaneval/7"}', "{}"]
    )
    made, counts = decontaminate(rows, {"humaneval": ["HumanEval/7"]})
    assert counts == {"humaneval": 2}
    assert kept(made) == ["c"]


def test_the_other_windows_of_a_trajectory_go_with_it() -> None:
    made, counts = decontaminate(
        bundle(TASK, "rest", "other", ids=["a", "a", "b"]), {"bench": [TASK], "none": [TASK[::-1]]}
    )
    assert counts == {"bench": 2, "none": 0}
    assert kept(made) == ["other"]


def test_a_clean_bundle_keeps_its_rows() -> None:
    rows = bundle("a", "b")
    assert decontaminate(rows, {"bench": [TASK]})[0].splits["train"] is rows.splits["train"]


def test_a_benchmark_with_nothing_to_look_for_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least 8 words"):
        decontaminate(bundle("a"), {"bench": ["too short"]})


def test_benchmarks_are_read_from_the_files_people_have(tmp_path: Path) -> None:
    records = [{"task_id": 11, "text": TASK, "code": "x"}, {"task_id": "HumanEval/3", "prompt": "def f():"}]
    (tmp_path / "mbpp.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps(records))
    (tmp_path / "own.txt").write_text(f"{TASK}\n\nsecond task")
    Dataset.from_dict({"prompt": [TASK], "task_id": ["A/1"]}).to_parquet(tmp_path / "b.parquet")
    expected = [TASK, "mbpp/11", "def f():", "HumanEval/3"]
    assert benchmark_texts(tmp_path / "mbpp.jsonl") == expected
    assert benchmark_texts(str(tmp_path / "sanitized-mbpp.json")) == expected
    assert benchmark_texts(tmp_path / "own.txt") == [TASK, "second task"]
    assert benchmark_texts(tmp_path / "b.parquet") == [TASK, "A/1"]


@pytest.mark.parametrize("content", ["{broken", '[{"x": 1}]'])
def test_a_file_that_is_no_benchmark_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json") as error:
        benchmark_texts(tmp_path / "a.json")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="found none"):
        benchmark_texts(tmp_path / "absent.json")


def test_real_benchmarks_are_found_again_in_rows_that_hold_them(shared_data: Path) -> None:
    texts = {name: benchmark_texts(shared_data / "problems" / name) for name in ("HumanEval.jsonl", "mbpp.jsonl")}
    tasks = [text for text in texts["HumanEval.jsonl"] if len(words_of(text)) >= 13][:20]
    rows = [f"user: solve this\n{task}\nassistant: ok" for task in tasks]
    made, counts = decontaminate(bundle(*rows, "a clean row"), texts)
    assert counts["HumanEval.jsonl"] == len(tasks)
    assert kept(made) == ["a clean row"]
