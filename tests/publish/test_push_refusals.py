"""What cannot or must not be published stops in one clear line, before anything is sent."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from hub_client import Client, ClientError
from hub_server import READER, Hub
from hub_store import Repository
from pipeline_runs import processor, write_jsonl

RIGHTS = {"licence": "apache-2.0", "acknowledge_rights": True}


def refused(client: Client, dataset: Any, repo_id: str, **options: Any) -> str:
    with pytest.raises(ClientError) as raised:
        client.call("publish", dataset=dataset, repo_id=repo_id, **RIGHTS | options)
    assert raised.value.kind in ("PublishError", "SchemaError", "InputError")
    return raised.value.message


@pytest.mark.parametrize(
    ("repo_id", "options", "message"),
    [
        ("sad", {}, "'sad' is not a repository's name: expected owner/name"),
        ("deepcoder/s d", {}, "'deepcoder/s d' is not a repository's name"),
        ("deepcoder/sad", {"config_name": "a/b"}, "config 'a/b': expected a name of letters"),
        ("deepcoder/sad", {"licence": None}, "no licence: name the licence of the rows"),
        ("deepcoder/sad", {"create_pr": True, "revision": "next"}, "opened against main, not against 'next'"),
        ("deepcoder/sad", {"create_pr": True, "tag": "v1"}, "set it after the pull request is merged"),
        ("deepcoder/sad", {"remove": ["id-1"]}, "pass no dataset, and not append"),
    ],
)  # fmt: skip
def test_wrong_words_are_refused_without_a_request(
    hub: Hub, client: Client, make_sad: Any, repo_id: str, options: dict[str, Any], message: str
) -> None:
    start = len(hub.log)
    assert message in refused(client, str(make_sad(1)), repo_id, **options)
    assert len(hub.log) == start


@pytest.mark.parametrize(
    ("repo_id", "token", "message"),
    [
        ("deepcoder/sad", "hf_unknown", "does not accept the token for deepcoder/sad: log in with `hf auth login`"),
        ("deepcoder/sad", READER, "the token has no right to write to deepcoder/sad"),
        ("somebody/sad", None, "the token has no right to write to somebody/sad"),
    ],
    ids=["unknown-token", "read-token", "name-of-another"],
)
def test_a_missing_right_is_one_line_and_leaves_no_repository(
    hub: Hub, client: Client, make_sad: Any, repo_id: str, token: str | None, message: str
) -> None:
    found = refused(client, str(make_sad(1)), repo_id, token=token)
    assert message in found
    assert "\n" not in found
    assert "hf_unknown" not in found
    assert READER not in found
    assert ("datasets", repo_id) not in hub.store.repositories


def test_a_model_repository_of_that_name_is_refused(hub: Hub, client: Client, make_sad: Any) -> None:
    hub.store.repositories["models", "deepcoder/net"] = Repository("models", "deepcoder/net", False)
    assert refused(client, str(make_sad(1)), "deepcoder/net").startswith("deepcoder/net is a model repository")


def test_what_was_asked_to_be_private_does_not_go_to_a_public_repository(
    hub: Hub, client: Client, make_sad: Any
) -> None:
    hub.store.repositories["datasets", "deepcoder/open"] = Repository("datasets", "deepcoder/open", False)
    assert "is public and --private was asked for" in refused(client, str(make_sad(1)), "deepcoder/open", private=True)
    client.call("publish", dataset=str(make_sad(1)), repo_id="deepcoder/closed", private=True, **RIGHTS)
    assert hub.store.repository("datasets", "deepcoder/closed").private


def test_no_token_and_no_network_are_one_line(hub: Hub, make_sad: Any, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(hub, tmp_path / "home", token=None, HF_ENDPOINT=closed) as nobody:
        message = refused(nobody, str(make_sad(1)), "deepcoder/sad")
        assert message.startswith(f"no token for {closed}: log in with `hf auth login`")
        message = refused(nobody, str(make_sad(1)), "deepcoder/sad", token="hf_any")
        assert message == (
            f"{closed} cannot be reached: nothing of this push is visible; run the same command again to go on"
        )


def test_a_secret_stops_the_push_with_its_place_and_a_masked_excerpt(
    hub: Hub, client: Client, tiny_model: Path, tmp_path: Path
) -> None:
    secret = "AKIA" + "Z7QXK4LWM2NB5TRV"
    text = f"Thought: I set the key.\nAction: run[export AWS_ACCESS_KEY_ID={secret}]\nObservation: ok\nThought: Done.\n"
    records = write_jsonl(tmp_path / "raw.jsonl", [{"id": "leak", "text": text + "Action: finish[ok]"}])
    processor(tiny_model).process_files(str(records), str(tmp_path / "sad"))
    start = len(hub.log)
    message = refused(client, str(tmp_path / "sad"), "deepcoder/leak")
    assert "must not leave this machine, nothing was sent" in message
    assert "train:0:text" in message
    assert secret not in message
    assert len(hub.log) == start
    result = client.call("publish", dataset=str(tmp_path / "sad"), repo_id="deepcoder/leak", redact=True, **RIGHTS)
    assert sum(result["redacted"].values()) >= 1
    assert not any(secret.encode() in content for content in hub.files("deepcoder/leak").values())
    row = client.call("load", repo_id="deepcoder/leak")["train"]
    assert (row["ids"], row["features"]) == (["leak"], True)


def test_rows_without_a_licence_need_to_be_acknowledged(hub: Hub, client: Client, make_sad: Any) -> None:
    rows = load_from_disk(str(make_sad(1)))
    assert "licence" not in json.loads(rows[0]["metadata"])
    start = len(hub.log)
    message = refused(client, str(make_sad(1)), "deepcoder/rights", acknowledge_rights=False)
    assert message.startswith("rights: ")
    assert "--acknowledge-rights" in message
    assert len(hub.log) == start
