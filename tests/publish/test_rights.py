"""Rights: what the rows name is counted, and licences that do not go together are problems."""

from __future__ import annotations

import json

import pytest
from datasets import Dataset

from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.rights import rights_of


def bundle(*facts: dict[str, object]) -> Bundle:
    return Bundle({"train": Dataset.from_dict({"metadata": [json.dumps(one) for one in facts]})})


def test_sources_licences_and_teachers_are_counted() -> None:
    fact = {"source_format": "atif", "source": {"path": "runs/a.json"}, "licence": "MIT", "teacher": "t1"}
    rights = rights_of(
        bundle(fact, fact | {"source": {"path": "runs/b.json"}}, fact | {"model": "m", "teacher": None}), "mit"
    )
    assert rights.sources == {"runs (atif)": 3}
    assert rights.licences == {"mit": 3}
    assert rights.teachers == {"t1": 2, "m": 1}
    assert rights.problems == []


@pytest.mark.parametrize(("source", "own", "words"), [
    ("", "mit", "not named"),
    ("unknown", "mit", "not named"),
    ("cc-by-sa-4.0", "apache-2.0", "share-alike"),
    ("GPL-3.0-or-later", "mit", "share-alike"),
    ("cc-by-nc-4.0", "mit", "non-commercial"),
    ("cc-by-nc-4.0", "cc-by-sa-4.0", "non-commercial"),
    ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", "share-alike"),
    ("cc-by-nd-4.0", "cc-by-nd-4.0", "no derived works"),
    ("llama3", "mit", "not known"),
    ("cc-by-4.0", "cc0-1.0", "attribution"),
])  # fmt: skip
def test_licences_that_do_not_go_together_are_one_line_each(source: str, own: str, words: str) -> None:
    (problem,) = rights_of(bundle({"licence": source}, {"licence": source}), own).problems
    assert words in problem
    assert problem.startswith("2 rows")
    assert "\n" not in problem


@pytest.mark.parametrize(("source", "own"), [
    ("mit", "apache-2.0"), ("Apache 2.0", "cc-by-4.0"), ("cc-by-sa-3.0", "cc-by-sa-4.0"),
    ("cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    ("cc0-1.0", "mit"), ("bsd-3-clause", "gpl-3.0"),
])  # fmt: skip
def test_licences_that_go_together_are_no_problem(source: str, own: str) -> None:
    assert rights_of(bundle({"licence": source}), own).problems == []


def test_an_unknown_licence_of_the_dataset_is_a_problem() -> None:
    assert "not a known identifier" in rights_of(bundle({"licence": "mit"}), "my-licence").problems[0]


def test_broken_metadata_counts_as_unnamed() -> None:
    rows = Bundle({"train": Dataset.from_dict({"metadata": ["{", "[]", None]})})
    assert rights_of(rows, "mit").licences == {"": 3}
