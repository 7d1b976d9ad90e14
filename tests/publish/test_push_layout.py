"""The configs of a card: those that stand there are kept, and lead to the files that belong to them alone."""

from __future__ import annotations

import json
from email.utils import formatdate
from types import SimpleNamespace

import pytest
import yaml

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.hub_errors import Patience, is_transient, retry_after_s
from deepcoder_hf.publish.hub_layout import config_entries, files_of_config, front_matter, next_paths, with_configs

BODY = "# Sad\n\nText with\n---\na line.\n"


def card(**data: object) -> str:
    return f"---\n{yaml.safe_dump(data, sort_keys=False)}---\n{BODY}"


def own(name: str, *splits: str, **more: object) -> dict[str, object]:
    return {"config_name": name, "data_files": [{"split": s, "path": f"{name}/{s}-*.parquet"} for s in splits], **more}


def test_other_configs_and_further_keys_stay_and_the_default_stays_the_default() -> None:
    earlier = card(license="mit", configs=[own("a", "train", default=True), own("b", "train", drop_labels=True)])
    found = with_configs(card(license="mit", configs=[own("b", "train")]), earlier, "b", {"train": 2, "test": 1})
    assert config_entries(found) == [own("a", "train", default=True), own("b", "train", "test", drop_labels=True)]
    assert found.endswith(f"---\n{BODY}")


def test_a_second_config_does_not_take_the_place_of_the_first() -> None:
    new = card(configs=[own("b", "train")])
    entries = config_entries(with_configs(new, card(configs=[own("a", "train")]), "b", {"train": 1}))
    assert [entry.get("default") for entry in entries] == [True, None]
    beside_default = with_configs(new, card(configs=[own("default", "train")]), "b", {"train": 1})
    assert [entry.get("default") for entry in config_entries(beside_default)] == [None, None]


def test_a_right_card_is_not_touched_and_wrong_figures_are_taken_out() -> None:
    right = card(configs=[own("default", "train")])
    assert with_configs(right, right, "default", {"train": 3}) == right
    info = {"splits": [{"name": "train", "num_examples": 2}]}
    stale = card(configs=[own("default", "train")], dataset_info=info)
    assert "dataset_info" in front_matter(with_configs(stale, stale, "default", {"train": 2}))
    assert "dataset_info" not in front_matter(with_configs(stale, stale, "default", {"train": 3}))


def test_a_config_owns_its_folder_and_what_its_entry_leads_to() -> None:
    readme = card(
        configs=[
            {"config_name": "default", "data_files": "data/train-*"},
            {"config_name": "b", "data_files": [{"split": "test", "path": ["x/*.parquet", "default/test-*.parquet"]}]},
        ]
    )
    files = [
        "data/train-0.parquet",
        "default/train-00001-of-00002.parquet",
        "default/test-00000-of-00001.parquet",
        "x/1.parquet",
        "default/notes.txt",
    ]
    assert files_of_config(readme, files, "default") == {
        "train": ["data/train-0.parquet", "default/train-00001-of-00002.parquet"]
    }
    assert files_of_config(readme, files, "b") == {"test": ["default/test-00000-of-00001.parquet", "x/1.parquet"]}
    assert files_of_config(None, files, "c") == {}


def test_further_shards_go_on_counting() -> None:
    there = ["a/train-00000-of-00002.parquet", "a/train-00001-of-00002.parquet", "a/test-00007-of-00008.parquet"]
    assert next_paths("a", "train", there, 2) == ["a/train-00002-of-00004.parquet", "a/train-00003-of-00004.parquet"]
    assert next_paths("a", "new", there, 1) == ["a/new-00000-of-00001.parquet"]


def test_a_card_whose_yaml_is_broken_is_not_overwritten() -> None:
    with pytest.raises(PublishError, match=r"its YAML block cannot be read: .*; repair it"):
        front_matter("---\na: [\n---\n")


def answered(status: int, **headers: str) -> Exception:
    error = RuntimeError("upload failed")
    cause = ValueError("answer")
    cause.response = SimpleNamespace(status_code=status, headers=headers)  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


def test_only_passing_failures_are_tried_again_and_the_server_says_when() -> None:
    assert [status for status in (401, 403, 404, 409, 412, 408, 429, 500, 503) if is_transient(answered(status))] == [
        408, 429, 500, 503,
    ]  # fmt: skip
    assert is_transient(json.JSONDecodeError("a page of a proxy", "", 0))
    assert not is_transient(ValueError("a bug"))
    assert retry_after_s(answered(429, **{"Retry-After": "7"})) == 7
    date = formatdate(usegmt=True)
    assert retry_after_s(answered(503, **{"Retry-After": date})) == pytest.approx(0, abs=1)
    assert retry_after_s(answered(503)) is None
    assert Patience().wait_s(0, 7.0) == 7
    assert [Patience().wait_s(attempt, None) for attempt in (0, 1, 20)] == [0.5, 1, 30]
