"""load_sad from the Hub: splits, configurations, revisions, streams, the cache offline, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hub_client import Client, environment
from hub_routes import OWNER
from hub_server import Hub
from pipeline_runs import processor, react
from sad_client import described, loaded

REPO = f"{OWNER}/sad"


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> Dataset:
    """Six processed rows."""
    return processor(tiny_model).process(Dataset.from_list(react(*range(6))))


def write(rows: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(str(path))
    return path


@pytest.fixture(scope="module")
def hub(rows: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with two revisions of a dataset of two splits and two configurations."""
    folder = tmp_path_factory.mktemp("hub")
    with Hub() as server:
        write(rows.select(range(4)), folder / "repo" / "default" / "train-00000-of-00001.parquet")
        write(rows.select([5]), folder / "repo" / "default" / "test-00000-of-00001.parquet")
        write(rows.select([0]), folder / "repo" / "other" / "train-00000-of-00001.parquet")
        configs = [
            {"config_name": "default", "default": True, "data_files": files("default", "train", "test")},
            {"config_name": "other", "data_files": files("other", "train")},
        ]
        card = f"---\n{json.dumps({'configs': configs})}\n---\n# Rows\n"
        (folder / "repo" / "README.md").write_text(card, encoding="utf-8")
        with Client(server, folder / "writer") as client:
            client.call("api", method="create_repo", repo_id=REPO, repo_type="dataset")
            upload = {"repo_id": REPO, "repo_type": "dataset", "folder_path": str(folder / "repo")}
            client.call("api", method="upload_folder", **upload)
            client.call("api", method="create_tag", repo_id=REPO, repo_type="dataset", tag="v1")
            write(rows.select(range(5)), folder / "repo" / "default" / "train-00000-of-00001.parquet")
            client.call("api", method="upload_folder", **upload)
        yield server


def files(config: str, *splits: str) -> list[dict[str, str]]:
    return [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits]


def test_published_rows_load_at_any_revision_streamed_and_offline_afterwards(
    hub: Hub, rows: Dataset, tmp_path: Path
) -> None:
    env = environment(hub.url, tmp_path / "home", token=None)
    whole: dict[str, Any] = {"source": REPO}
    calls: list[dict[str, Any]] = [
        whole,
        {**whole, "revision": "v1", "split": "train"},
        {**whole, "name": "other", "split": "train", "columns": ["labels", "trajectory_id"]},
        {**whole, "split": "train", "streaming": True},
    ]
    both, old, other, streamed = loaded(env, *calls)
    ids = rows["trajectory_id"][:]
    assert (both["kind"], list(both["splits"])) == ("DatasetDict", ["train", "test"])
    assert both["splits"]["train"] == described(rows.select(range(5)))
    assert both["splits"]["test"] == described(rows.select([5]))
    assert (old["ids"], old["typed"]) == (ids[:4], True)
    assert (other["ids"], other["columns"]) == (ids[:1], ["labels", "trajectory_id"])
    assert (streamed["kind"], streamed["written"]) == ("IterableDataset", [])
    assert streamed["digest"] == both["splits"]["train"]["digest"]

    n_requests = len(hub.log)
    offline = loaded({**env, "HF_HUB_OFFLINE": "1"}, *calls[:3], {**whole, "revision": "v0"})
    assert len(hub.log) == n_requests
    for before, after in zip((both, old, other), offline, strict=False):
        assert after == {**before, "written": []}, "an Arrow cache hit in another process, without a network"
    assert offline[3]["error"] == "InputError"
    assert "not in the cache" in offline[3]["message"]


def test_rows_without_a_card_load_and_are_cached(rows: Dataset, tmp_path: Path) -> None:
    repo = f"{OWNER}/bare"
    path = write(rows, tmp_path / "repo" / "data" / "train-00000-of-00001.parquet")
    call = {"source": repo, "split": "train", "revision": "main"}
    with Hub() as server:
        with Client(server, tmp_path / "writer") as client:
            client.call("api", method="create_repo", repo_id=repo, repo_type="dataset")
            client.call(
                "api", method="upload_file", repo_id=repo, repo_type="dataset", path_or_fileobj=str(path),
                path_in_repo=f"data/{path.name}",
            )  # fmt: skip
        env = environment(server.url, tmp_path / "home", token=None)
        first, again = loaded(env, call, call)
        assert first == {**described(rows), "written": first["written"]}
        assert again == {**first, "written": []}


def test_what_the_hub_does_not_have_is_named_in_a_line(hub: Hub, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"source": f"{OWNER}/gone"}, f"{OWNER}/gone: it is neither here nor a dataset on the Hub that you may see"),
        ({"source": REPO, "revision": "v9"}, "the dataset has no revision 'v9' on the Hub"),
        ({"source": REPO, "name": "llama"}, "BuilderConfig 'llama' not found. Available: ['default', 'other']"),
        ({"source": REPO, "split": "dev"}, "Unknown split \"dev\". Should be one of ['train', 'test']"),
        ({"source": REPO, "split": "dev", "streaming": True}, "Bad split: dev. Available splits: ['train', 'test']"),
        ({"source": REPO, "columns": ["labels", "gone"]}, "missing: gone; there are trajectory_id"),
    ]
    env = environment(hub.url, tmp_path / "home", token=None)
    for (call, message), found in zip(wrong, loaded(env, *(call for call, _ in wrong)), strict=True):
        assert found["error"] == ("SchemaError" if "columns" in call else "InputError"), found
        assert message in found["message"]
        assert "\n" not in found["message"]
    with_a_gone_hub = environment("http://127.0.0.1:9", tmp_path / "other", token=None, HF_HUB_OFFLINE="1")
    (found,) = loaded(with_a_gone_hub, {"source": REPO})
    assert "the Hub cannot be reached" in found["message"]


@pytest.mark.slow
def test_a_revision_is_that_revision_where_the_hub_is_gone(hub: Hub, rows: Dataset, tmp_path: Path) -> None:
    """`load_dataset` itself takes the newest rows of its cache then; the clients try for half a minute."""
    whole = {"source": REPO, "split": "train"}
    calls: list[dict[str, Any]] = [{**whole, "revision": "v1"}, whole]  # the newest in the cache is main
    env = environment(hub.url, tmp_path / "home", token=None)
    first = loaded(env, *calls)
    gone = loaded({**env, "HF_ENDPOINT": "http://127.0.0.1:9"}, *calls, {**whole, "name": "other"})
    assert [found["ids"] for found in gone[:2]] == [rows["trajectory_id"][:4], rows["trajectory_id"][:5]]
    assert gone[:2] == [{**found, "written": []} for found in first]
    assert gone[2]["error"] == "InputError"


@pytest.mark.slow
def test_a_download_that_breaks_is_one_line_and_the_next_call_completes(hub: Hub, tmp_path: Path) -> None:
    env = environment(hub.url, tmp_path / "home", token=None)
    hub.fail("GET", r"\.parquet", "drop", times=1000)
    try:
        (broken,) = loaded(env, {"source": REPO, "split": "train"})
    finally:
        hub.faults.clear()
    assert broken["error"] == "InputError", broken
    assert "\n" not in broken["message"]
    (found,) = loaded(env, {"source": REPO, "split": "train"})
    assert len(found["ids"]) == 5
