"""Conflicts, lost answers, overloaded servers and a killed process: a reader sees the old state or the new."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_client import Client, ClientError
from hub_server import Hub

RIGHTS = {"licence": "apache-2.0", "acknowledge_rights": True}


def ids(*numbers: int) -> list[str]:
    return [f"id-{number}" for number in numbers]


def n_commits(hub: Hub, repo_id: str) -> int:
    return len(hub.store.repository("datasets", repo_id).history("main"))


@pytest.mark.slow
def test_every_transient_answer_of_one_push_is_outlasted(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/shaken"
    hub.fail("GET", f"/api/datasets/{name}$", "drop")
    hub.fail("POST", "/api/repos/create", 503)
    asked = hub.fail("POST", f"{name}/commit/", 429, Retry_After="1")
    hub.fail("POST", f"{name}/commit/", "drop")
    result = client.call("publish", dataset=str(make_sad(1, 2)), repo_id=name, **RIGHTS)
    assert [status for *_, status, _ in hub.requests("POST", f"{name}/commit/")] == [429, 0, 200]
    assert asked.reached.is_set()
    assert n_commits(hub, name) == 2
    assert result["oid"] == hub.store.repository("datasets", name).commit("main").oid
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(1, 2)


@pytest.mark.slow
def test_retry_after_is_waited_for(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/asked"
    client.call("publish", dataset=str(make_sad(1)), repo_id=name, **RIGHTS)
    fault = hub.fail("POST", f"{name}/commit/", 429, Retry_After="2")
    client.start("publish", dataset=str(make_sad(2)), repo_id=name, **RIGHTS)
    assert fault.reached.wait(30)
    begin = time.monotonic()
    client.result()
    assert time.monotonic() - begin >= 1.9  # the first wait of our own would be half a second


@pytest.mark.parametrize(
    "create_pr", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["commit", "pull-request"]
)
def test_a_commit_whose_answer_is_lost_is_not_made_twice(
    hub: Hub, client: Client, make_sad: Any, create_pr: bool
) -> None:
    name = f"deepcoder/lost-{create_pr}"
    client.call("publish", dataset=str(make_sad(1)), repo_id=name, **RIGHTS)
    hub.fail("POST", f"{name}/commit/", "drop_answer")
    options = {"create_pr": create_pr} if create_pr else {"append": True}
    result = client.call("publish", dataset=str(make_sad(2)), repo_id=name, **RIGHTS, **options)
    repository = hub.store.repository("datasets", name)
    assert n_commits(hub, name) == (2 if create_pr else 3)
    assert len(repository.pull_requests) == create_pr
    assert result["oid"] == repository.commit("refs/pr/1" if create_pr else "main").oid
    if create_pr:
        assert result["pr_url"] == f"{hub.url}/datasets/{name}/discussions/1"
    else:
        assert client.call("load", repo_id=name)["train"]["ids"] == ids(1, 2)


def test_the_loser_of_two_writers_builds_its_commit_again(
    hub: Hub, client: Client, make_sad: Any, tmp_path: Path
) -> None:
    name = "deepcoder/raced"
    client.call("publish", dataset=str(make_sad(1)), repo_id=name, **RIGHTS)
    fault = hub.fail("POST", f"{name}/commit/", "hold")
    with Client(hub, tmp_path / "home") as other:
        other.start("publish", dataset=str(make_sad(2, 3)), repo_id=name, append=True, **RIGHTS)
        assert fault.reached.wait(60)
        client.call("publish", dataset=str(make_sad(3, 4)), repo_id=name, append=True, **RIGHTS)
        client.call("publish", dataset=str(make_sad(5)), repo_id=name, config_name="second", **RIGHTS)
        fault.release.set()
        result = other.result()
    assert result["n_skipped"] == 1  # id-3 came with the other writer, after the plan was made
    assert [status for *_, status, _ in hub.requests("POST", f"{name}/commit/")][-2:] == [412, 200]
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(1, 3, 4, 2)
    assert client.call("load", repo_id=name, name="second")["train"]["ids"] == ids(5)
    card = yaml.safe_load(hub.files(name)["README.md"].decode().split("---\n")[1])
    assert [entry["config_name"] for entry in card["configs"]] == ["default", "second"]


def test_a_killed_push_changes_nothing_and_the_next_call_goes_on(
    hub: Hub, client: Client, make_sad: Any, tmp_path: Path
) -> None:
    name = "deepcoder/killed"
    client.call("publish", dataset=str(make_sad(1)), repo_id=name, **RIGHTS)
    before = hub.files(name)
    fault = hub.fail("POST", f"{name}/commit/", "hold")
    args = {"dataset": str(make_sad(*range(20, 30))), "repo_id": name, "tag": "v2", **RIGHTS}
    with Client(hub, tmp_path / "home") as doomed:
        doomed.start("publish", **args)
        assert fault.reached.wait(60)
        uploads = len(hub.requests("PUT", "/lfs/"))
        doomed.kill()
    fault.kind = "drop"  # the request of the killed process goes nowhere
    with hub.store.repository("datasets", name).lock:
        assert hub.files(name) == before
    fault.release.set()
    assert client.call("load", repo_id=name)["train"]["ids"] == ids(1)
    client.call("publish", **args)
    assert len(hub.requests("PUT", "/lfs/")) == uploads
    assert client.call("load", repo_id=name, revision="v2")["train"]["ids"] == ids(*range(20, 30))


@pytest.mark.slow
def test_a_push_killed_before_its_tag_gets_the_tag_from_the_next(hub: Hub, client: Client, make_sad: Any) -> None:
    name = "deepcoder/untagged"
    hub.fail("POST", f"{name}/tag/", 403)
    with pytest.raises(ClientError, match=r"commit \w+ is published, its tag 'v1' is not: the token has no right"):
        client.call("publish", dataset=str(make_sad(1)), repo_id=name, tag="v1", **RIGHTS)
    result = client.call("publish", dataset=str(make_sad(1)), repo_id=name, tag="v1", **RIGHTS)
    assert n_commits(hub, name) == 2
    assert hub.store.repository("datasets", name).tags == {"v1": result["oid"]}
    client.call("publish", dataset=str(make_sad(2)), repo_id=name, **RIGHTS)
    with pytest.raises(ClientError, match=r"tag 'v1' names another commit \(\w+\): choose another tag"):
        client.call("publish", dataset=str(make_sad(1)), repo_id=name, tag="v1", **RIGHTS)
