"""What the test Hub holds: repositories with commits, branches, tags and pull requests, and blobs by their SHA-256."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import re
import threading
from dataclasses import dataclass, field

LFS_NAMES = re.compile(r"\.(parquet|arrow|bin|zip|gz|zst|png|safetensors)$")
_NUMBERS = itertools.count(1)


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


def now() -> str:
    """The time as the Hub writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True)
class File:
    """A file of a commit; its content stands among the blobs."""

    sha256: str
    size: int
    is_lfs: bool
    oid: str
    """Git's own hash: of the content, or of the pointer that stands for it."""


@dataclass(frozen=True)
class Commit:
    """A state of a branch."""

    oid: str
    files: dict[str, File]
    title: str
    description: str
    parent: str | None
    date: str = field(default_factory=now)


@dataclass
class PullRequest:
    """A proposed commit."""

    number: int
    title: str
    target: str
    status: str = "open"
    merge_oid: str | None = None
    date: str = field(default_factory=now)

    @property
    def ref(self) -> str:
        """The branch of the proposal."""
        return f"refs/pr/{self.number}"


class Repository:
    """One repository, under a lock."""

    def __init__(self, kind: str, name: str, private: bool) -> None:
        self.kind, self.name, self.private = kind, name, private
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.pull_requests: dict[int, PullRequest] = {}
        self.uploaded: set[str] = set()
        """SHA-256 of the LFS files that were uploaded to this repository; the Hub asks for them a repository."""
        self.lock = threading.RLock()
        self.add("refs/heads/main", {}, "initial commit", "", None)

    def add(self, ref: str, files: dict[str, File], title: str, description: str, parent: str | None) -> Commit:
        """Put a commit at the end of a branch."""
        oid = hashlib.sha1(f"{self.name}{ref}{next(_NUMBERS)}".encode()).hexdigest()
        commit = Commit(oid, files, title, description, parent)
        self.commits[oid] = commit
        self.refs[ref] = oid
        return commit

    def commit(self, revision: str) -> Commit:
        """The commit of a branch, tag or (shortened) oid."""
        oid = self.refs.get(revision) or self.refs.get(f"refs/heads/{revision}") or self.tags.get(revision)
        if oid is None:
            oid = next((known for known in self.commits if len(revision) >= 7 and known.startswith(revision)), None)
        if oid is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.commits[oid]

    def history(self, revision: str) -> list[Commit]:
        """Commits from the newest to the oldest."""
        found: list[Commit] = []
        commit: Commit | None = self.commit(revision)
        while commit is not None:
            found.append(commit)
            commit = self.commits[commit.parent] if commit.parent else None
        return found


class Store:
    """All repositories and blobs of a Hub."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.lock = threading.RLock()

    def repository(self, kind: str, name: str) -> Repository:
        """A repository by kind (`datasets`) and name."""
        found = self.repositories.get((kind, name))
        if found is None:
            raise Refused(404, "RepoNotFound", "Repository not found")
        return found

    def put(self, content: bytes, is_lfs: bool) -> File:
        """Keep a blob."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        kept = content
        if is_lfs:
            lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{sha256}", f"size {len(content)}", "")
            kept = "\n".join(lines).encode()
        return File(sha256, len(content), is_lfs, hashlib.sha1(b"blob %d\0" % len(kept) + kept).hexdigest())
