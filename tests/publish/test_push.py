"""Push, load, stream, revisions, pull requests, append and remove, with the public clients against a Hub over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_from_disk
from hub_client import Client, ClientError, rows_digest
from hub_server import READER, WRITER, Hub
from pipeline_runs import processor, react, write_jsonl
from tokenizers import Tokenizer

RIGHTS = {"licence": "apache-2.0", "acknowledge_rights": True}


def ids(*numbers: int) -> list[str]:
    return [f"id-{number}" for number in numbers]


def shards(hub: Hub, repo_id: str, revision: str = "main") -> dict[str, bytes]:
    return {path: content for path, content in hub.files(repo_id, revision).items() if path.endswith(".parquet")}


def configs(hub: Hub, repo_id: str) -> list[dict[str, Any]]:
    card = hub.files(repo_id)["README.md"].decode()
    found: list[dict[str, Any]] = yaml.safe_load(card.split("---\n")[1])["configs"]
    return found


def push(client: Client, dataset: Any, repo_id: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.call("publish", dataset=dataset, repo_id=repo_id, **RIGHTS | options)
    return found


@pytest.fixture(scope="module")
def repo_id(client: Client, make_sad: Any) -> str:
    """A repository with rows of two splits, tagged v1."""
    result = push(client, {"train": str(make_sad(1, 2)), "test": str(make_sad(3))}, "deepcoder/sad", tag="v1")
    assert result["n_rows"] == 3
    assert result["url"].endswith(result["oid"])
    return "deepcoder/sad"


def test_a_push_loads_equal_to_the_last_value_plain_streamed_and_by_tag(
    hub: Hub, client: Client, repo_id: str, make_sad: Any
) -> None:
    expected = rows_digest(load_from_disk(str(make_sad(1, 2))))
    for options in ({}, {"streaming": True}, {"revision": "v1"}):
        found = client.call("load", repo_id=repo_id, **options)
        assert {name: split["ids"] for name, split in found.items()} == {"train": ids(1, 2), "test": ids(3)}
        assert found["train"]["digest"] == expected
        assert found["train"]["features"]
        assert found["test"]["features"]
    assert any(status == 206 for _, _, status, _ in hub.requests("GET", r"/resolve/.*\.parquet"))


def test_what_was_loaded_once_loads_offline_in_another_process(
    hub: Hub, client: Client, repo_id: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with Client(hub, home) as first:
        online = first.call("load", repo_id=repo_id)
    n_requests = len(hub.log)
    with Client(hub, home, HF_HUB_OFFLINE="1") as second:
        assert second.call("load", repo_id=repo_id) == online
        with pytest.raises(ClientError, match="PublishError: HF_HUB_OFFLINE is set"):
            second.call("publish", dataset=None, repo_id=repo_id, remove=["id-1"])
    assert len(hub.log) == n_requests


def test_a_second_config_stands_beside_the_first(hub: Hub, client: Client, repo_id: str, make_sad: Any) -> None:
    before = shards(hub, repo_id)
    push(client, str(make_sad(7)), repo_id, config_name="other")
    after = shards(hub, repo_id)
    assert {path: after[path] for path in before} == before
    assert [entry["config_name"] for entry in configs(hub, repo_id)] == ["default", "other"]
    assert client.call("load", repo_id=repo_id, name="other")["train"]["ids"] == ids(7)
    assert client.call("load", repo_id=repo_id)["train"]["ids"] == ids(1, 2)


@pytest.mark.slow
def test_default_true_and_unknown_keys_of_a_config_are_kept(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/kept"
    push(client, str(make_sad(1)), name, config_name="first")
    push(client, str(make_sad(2)), name, config_name="second")
    assert [entry.get("default") for entry in configs(hub, name)] == [True, None]
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(1)
    card = hub.files(name)["README.md"].decode().replace("  default: true\n", "").replace(
        "config_name: second\n", "config_name: second\n  default: true\n  drop_labels: true\n"
    )  # fmt: skip
    client.call("api", method="upload_file", repo_id=name, repo_type="dataset", path_in_repo="README.md",
                path_or_fileobj=str(_written(client.home.parent / "card.md", card)))  # fmt: skip
    push(client, str(make_sad(3)), name, config_name="second")
    second = configs(hub, name)[1]
    assert (second["default"], second["drop_labels"]) == (True, True)
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(3)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_push_replaces_its_config_and_leaves_no_old_shard(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/replaced"
    push(client, {"train": str(make_sad(1)), "old": str(make_sad(2))}, name)
    result = push(client, str(make_sad(3)), name)
    assert result["deleted"] == ["default/old-00000-of-00001.parquet"]
    assert {split: found["ids"] for split, found in client.call("load", repo_id=name).items()} == {"train": ids(3)}
    n_commits = len(hub.store.repository("datasets", name).history("main"))
    push(client, str(make_sad(3)), name)
    assert len(hub.store.repository("datasets", name).history("main")) == n_commits


def test_a_pull_request_changes_main_only_when_it_is_merged(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/proposed"
    push(client, str(make_sad(1)), name)
    result = push(client, str(make_sad(2)), name, create_pr=True)
    assert result["pr_url"] == f"{hub.url}/datasets/{name}/discussions/1"
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(1)
    assert client.call("load", repo_id=name, revision="refs/pr/1")["train"]["ids"] == ids(2)
    client.call("api", method="merge_pull_request", repo_id=name, discussion_num=1, repo_type="dataset")
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(2)


@pytest.mark.slow
def test_a_branch_is_made_and_main_stays(client: Client, repo_id: str, make_sad: Any) -> None:
    push(client, str(make_sad(4)), repo_id, revision="next")
    assert client.call("load", repo_id=repo_id, revision="next")["train"]["ids"] == ids(4)
    assert client.call("load", repo_id=repo_id)["train"]["ids"] == ids(1, 2)


def test_append_adds_shards_and_leaves_out_what_is_there(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/appended"
    push(client, str(make_sad(1, 2)), name)
    before = shards(hub, name)
    result = push(client, {"train": str(make_sad(2, 3)), "test": str(make_sad(5))}, name, append=True)
    assert (result["n_skipped"], result["n_rows"]) == (1, 4)
    after = shards(hub, name)
    assert sorted(set(after) - set(before)) == [
        "default/test-00000-of-00001.parquet", "default/train-00001-of-00002.parquet",
    ]  # fmt: skip
    assert {path: after[path] for path in before} == before
    found = client.call("load", repo_id=name)
    assert {split: rows["ids"] for split, rows in found.items()} == {"train": ids(1, 2, 3), "test": ids(5)}
    again = push(client, str(make_sad(2, 3)), name, append=True)
    assert (again["files"], again["n_skipped"], again["oid"]) == ([], 2, result["oid"])


def test_rows_of_another_tokenizer_are_not_appended(
    client: Client, repo_id: str, tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tiny_model))
    tokenizer.add_tokens(["<other>"])
    tokenizer.save(str(model))
    records = write_jsonl(tmp_path / "raw.jsonl", react(9))
    processor(model).process_files(str(records), str(tmp_path / "other"))
    with pytest.raises(
        ClientError, match=r"its rows are of tokenizer \w+, the new ones of \w+: publish another config"
    ):
        push(client, str(tmp_path / "other"), repo_id, append=True)


def test_remove_rewrites_only_the_shards_that_hold_the_ids(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/removed"
    push(client, str(make_sad(1, 2)), name)
    push(client, str(make_sad(3)), name, append=True)
    push(client, str(make_sad(4, 5)), name, append=True)
    before = shards(hub, name)
    result = client.call("publish", dataset=None, repo_id=name, remove=ids(2, 3), acknowledge_rights=True)
    assert (result["n_removed"], result["n_rows"]) == (2, 3)
    assert "still hold the removed rows" in result["notes"][0]
    assert result["deleted"] == ["default/train-00001-of-00002.parquet"]
    after = shards(hub, name)
    assert [path for path in after if after[path] == before[path]] == ["default/train-00002-of-00003.parquet"]
    found = client.call("load", repo_id=name)["train"]
    assert found["ids"] == ids(1, 4, 5)
    assert found["features"]
    with pytest.raises(ClientError, match="holds no trajectory 'id-2', 'id-9': nothing was changed"):
        client.call("publish", dataset=None, repo_id=name, remove=ids(2, 9, 1), acknowledge_rights=True)
    with pytest.raises(ClientError, match="would be empty: delete"):
        client.call("publish", dataset=None, repo_id=name, remove=ids(1, 4, 5), acknowledge_rights=True)


def test_a_dry_run_lists_what_would_go_and_sends_nothing(hub: Hub, client: Client, make_sad: Any) -> None:
    start = len(hub.log)
    result = push(client, str(make_sad(1, 2)), "deepcoder/never", dry_run=True, token=READER)
    assert result["oid"] is None
    data, readme = result["files"][:2]
    assert (data["path"], data["n_rows"], readme["path"]) == ("default/train-00000-of-00001.parquet", 2, "README.md")
    assert data["n_bytes"] > 1000
    assert {entry[0] for entry in hub.log[start:]} <= {"GET", "HEAD"}
    assert ("datasets", "deepcoder/never") not in hub.store.repositories


def test_the_token_stands_in_no_file_and_no_result(hub: Hub, client: Client, make_sad: Any) -> None:
    result = push(client, str(make_sad(1)), "deepcoder/quiet", token=WRITER)
    assert WRITER not in str(result)
    kept = [content for content in hub.store.blobs.values() if WRITER.encode() in content]
    assert kept == []
    commits = hub.store.repository("datasets", "deepcoder/quiet").history("main")
    assert all(WRITER not in commit.title + commit.description for commit in commits)
