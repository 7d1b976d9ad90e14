"""Two hundred pushes under faults and kills: a reader never sees half a state, and no row is ever lost or doubled."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from hub_client import Client
from hub_server import Hub

N_REPOSITORIES, N_PUSHES = 10, 20
FAULTS: tuple[tuple[str, str, str | int], ...] = (
    ("POST", "/commit/", 412),
    ("POST", "/commit/", 409),
    ("POST", "/commit/", 429),
    ("POST", "/commit/", 503),
    ("POST", "/commit/", "drop"),
    ("POST", "/commit/", "drop_answer"),
    ("POST", "/preupload/", 503),
    ("PUT", "/lfs/", "drop"),
    ("PUT", "/lfs/", 500),
    ("GET", "/tree/", "drop"),
    ("POST", "/api/validate-yaml", 503),
    ("POST", "/tag/", "drop_answer"),
)
KILLED_AT = (("PUT", "/lfs/"), ("POST", "/commit/"))


def pair(number: int) -> list[str]:
    return [f"id-{2 * number}", f"id-{2 * number + 1}"]


class Reader(threading.Thread):
    """Loads a repository again and again in a process of its own, and keeps what it saw."""

    def __init__(self, hub: Hub, home: Path) -> None:
        super().__init__(daemon=True)
        self.client = Client(hub, home)
        self.repo_id: str | None = None
        self.seen: list[tuple[str, dict[str, list[str]]]] = []
        self.problems: list[str] = []
        self._halt = threading.Event()

    def run(self) -> None:
        while not self._halt.wait(0.01):
            repo_id = self.repo_id
            if repo_id is None:
                continue
            try:
                found = self.client.call("load", repo_id=repo_id, streaming=True)
            except Exception as error:
                self.problems.append(f"{repo_id}: {error}")
                continue
            self.seen.append((repo_id, {split: rows["ids"] for split, rows in found.items()}))

    def halt(self) -> None:
        self._halt.set()
        self.join(60)
        self.client.__exit__()


class Pusher:
    """A client that is killed now and then, and pushes the same again from a new process."""

    def __init__(self, hub: Hub, folder: Path, chance: random.Random) -> None:
        self.hub, self.folder, self.chance = hub, folder, chance
        self.client = Client(hub, folder / "home")
        self.n_killed = 0

    def push(self, **args: Any) -> dict[str, Any]:
        if self.chance.random() < 0.15:
            self._killed(args)
        elif self.chance.random() < 0.7:
            for method, path, kind in self.chance.sample(FAULTS, self.chance.choice((1, 1, 2))):
                self.hub.fail(method, path, kind)
        found: dict[str, Any] = self.client.call("publish", licence="mit", acknowledge_rights=True, **args)
        self.hub.faults.clear()
        return found

    def _killed(self, args: dict[str, Any]) -> None:
        """Begin a push and kill it at a request, which may still arrive afterwards."""
        fault = self.hub.fail(*self.chance.choice(KILLED_AT), "hold")
        self.client.start("publish", licence="mit", acknowledge_rights=True, **args)
        assert fault.reached.wait(120)
        self.client.kill()
        self.client.__exit__()
        if self.chance.random() < 0.5:
            fault.kind = "drop"
        fault.release.set()
        self.n_killed += 1
        self.client = Client(self.hub, self.folder / "home")

    def close(self) -> None:
        self.client.__exit__()


@pytest.mark.slow
def test_two_hundred_pushes_never_show_half_a_state_nor_lose_or_double_a_row(
    make_sad: Callable[..., Path], tmp_path: Path
) -> None:
    rows = load_from_disk(str(make_sad(*range(2 * N_PUSHES))))
    parts = []
    for number in range(N_PUSHES):
        parts.append(str(tmp_path / f"part-{number}"))
        rows.select([2 * number, 2 * number + 1]).save_to_disk(parts[-1])
    chance = random.Random(20251)
    with ExitStack() as stack:
        hub = stack.enter_context(Hub())
        pusher = Pusher(hub, tmp_path, chance)
        stack.callback(lambda: pusher.close())
        reader = Reader(hub, tmp_path / "reader")
        reader.start()
        stack.callback(reader.halt)
        for repository in range(N_REPOSITORIES):
            name = f"deepcoder/storm-{repository}"
            reader.repo_id = None
            for number, part in enumerate(parts):
                result = pusher.push(dataset=part, repo_id=name, append=True, tag=f"v{number}")
                assert result["n_rows"] == 2 * (number + 1), (name, number)
                reader.repo_id = name
            found = pusher.client.call("load", repo_id=name)["train"]["ids"]
            assert found == [one for number in range(N_PUSHES) for one in pair(number)]
            history = hub.store.repository("datasets", name)
            assert len(history.history("main")) == N_PUSHES + 1
            assert sorted(history.tags) == sorted(f"v{number}" for number in range(N_PUSHES))
        reader.repo_id = None
    whole = [[one for number in range(n) for one in pair(number)] for n in range(N_PUSHES + 1)]
    assert reader.problems == []
    assert len(reader.seen) > N_REPOSITORIES
    assert [state for _, state in reader.seen if state["train"] not in whole] == []
    assert pusher.n_killed >= 10
