"""A process that publishes and loads at the test Hub with the public clients; it takes a JSON request a line.

The clients read HF_ENDPOINT and HF_HOME when they are imported, and a test kills this process in the middle of a push.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hub_server import WRITER, Hub

HERE = Path(__file__).resolve().parent


class ClientError(Exception):
    """An action failed in the client's process.

    Attributes:
        kind: The class of the error there.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def environment(url: str, home: Path, token: str | None = WRITER, **more: str) -> dict[str, str]:
    """The environment of a client with a home of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]),
    }
    return env | ({"HF_TOKEN": token} if token else {}) | more


class Client:
    """A client's process; use it as a context."""

    def __init__(self, hub: Hub, home: Path, token: str | None = WRITER, **env: str) -> None:
        self.hub, self.home = hub, home
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "hub_client.py")],
            env=environment(hub.url, home, token, **env),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home.parent,
        )  # fmt: skip

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *problem: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def start(self, action: str, **args: Any) -> None:
        """Begin an action without waiting for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"action": action, "args": args}) + "\n")
        self.process.stdin.flush()

    def result(self) -> Any:
        """Wait for the action that was begun.

        Raises:
            ClientError: It failed.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise ClientError("Died", self.process.stderr.read()[-3000:])
        found = json.loads(line)
        if "error" in found:
            raise ClientError(found["error"], found["message"])
        return found["result"]

    def call(self, action: str, **args: Any) -> Any:
        """Do an action."""
        self.start(action, **args)
        return self.result()

    def kill(self) -> None:
        """End the process as kill -9 does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def rows_digest(rows: Iterable[dict[str, Any]]) -> str:
    """One hash over all values of all rows, in order."""
    whole = hashlib.sha256()
    for row in rows:
        whole.update(json.dumps(row, sort_keys=True).encode())
    return whole.hexdigest()


def publish(dataset: Any, repo_id: str, **options: Any) -> dict[str, Any]:
    """Publish a folder, or a mapping of splits to folders."""
    from dataclasses import asdict

    from deepcoder_hf.publish.push import publish as push

    result = asdict(push(dataset, repo_id, **options))
    return {name: value for name, value in result.items() if name != "scan"} | {"n_bytes": result["scan"]["n_bytes"]}


def load(repo_id: str, name: str | None = None, streaming: bool = False, **options: Any) -> dict[str, Any]:
    """Load with `load_dataset`: ids, a digest of all values and whether the features are ours, by split."""
    from datasets import load_dataset

    from deepcoder_hf.dataset.features import SAD_FEATURES

    found = load_dataset(repo_id, name, streaming=streaming, **options)
    splits = {}
    for split, rows in found.items():
        listed = list(rows)
        splits[split] = {
            "ids": [row["trajectory_id"] for row in listed],
            "digest": rows_digest(listed),
            "features": rows.features == SAD_FEATURES,
        }
    return splits


def api(method: str, **args: Any) -> Any:
    """A call of `HfApi`, with a result that JSON can hold."""
    from huggingface_hub import HfApi

    result = getattr(HfApi(), method)(**args)
    return result if isinstance(result, str | list | dict | int) else str(result)


ACTIONS = {"publish": publish, "load": load, "api": api}


def main() -> None:
    """Do one request after the other; what libraries print goes to stderr."""
    import logging

    logging.disable(logging.WARNING)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply: dict[str, Any] = {"result": ACTIONS[request["action"]](**request["args"])}
        except Exception as error:
            reply = {"error": type(error).__name__, "message": str(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
