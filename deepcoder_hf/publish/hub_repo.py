"""A dataset repository on the Hub: its head, its files, and requests that outlast short failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.hub_errors import (
    LOGIN,
    Patience,
    explained,
    is_known,
    is_network,
    is_transient,
    retry_after_s,
    status_of,
)

Result = TypeVar("Result")
README = "README.md"
FIRST_CONTACT = 3
"""Attempts to reach a server that has not answered yet."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands in a repository at one commit."""

    oid: str
    """The commit; empty where the repository does not exist yet."""
    files: dict[str, int] = field(default_factory=dict)
    """Bytes by path."""
    readme: str | None = None


class Repo:
    """One dataset repository; every call is repeated on 429, 5xx and lost connections, and fails as a `PublishError`.

    Args:
        repo_id: `owner/name`.
        revision: Branch to write to; None for the default branch.
        token: The Hub's token; None for the one that is logged in. It is kept in the client alone.
        work: Folder for what is downloaded.
        patience: How long to wait.
    """

    def __init__(
        self, repo_id: str, revision: str | None, token: str | None, work: Path, patience: Patience | None = None
    ) -> None:
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        try:
            validate_repo_id(repo_id)
        except HFValidationError as error:
            raise explained(error, repo_id, "") from None
        if repo_id.count("/") != 1:
            raise PublishError(f"{repo_id!r} is not a repository's name: expected owner/name")
        self.repo_id, self.revision, self.work = repo_id, revision, work
        self.patience = patience or Patience()
        self.has_token = bool(token or get_token())
        self.api = HfApi(token=token, library_name="deepcoder-hf")
        self.endpoint = self.api.endpoint
        self._reached = False

    def need_token(self) -> None:
        """Stop before any work where there is no token.

        Raises:
            PublishError: There is none.
        """
        if not self.has_token:
            raise PublishError(f"no token for {self.endpoint}: {LOGIN}")

    def call(self, action: Callable[[], Result]) -> Result:
        """Do a request that may be repeated.

        Raises:
            PublishError: It failed for good.
        """
        for attempt in range(self.patience.attempts):
            try:
                result = action()
                self._reached = True
                return result
            except Exception as error:
                if not is_known(error):
                    raise
                if not is_transient(error) or not self.wait(attempt, error):
                    raise explained(error, self.repo_id, self.endpoint) from None
        raise AssertionError("the last attempt returns or raises")

    def wait(self, attempt: int, error: BaseException) -> bool:
        """Sleep before the next attempt; False where there is none, or the server asks for too long.

        A server that was never reached is given up early: it is a wrong address or no network, not a short failure.
        """
        asked = retry_after_s(error)
        if not self._reached and is_network(error) and attempt + 1 >= FIRST_CONTACT:
            return False
        if attempt + 1 >= self.patience.attempts or (asked or 0.0) > self.patience.max_retry_after_s:
            return False
        time.sleep(self.patience.wait_s(attempt, asked))
        return True

    def exists(self, repo_type: str = "dataset") -> bool:
        """Whether a repository of this name and type is there and may be seen."""
        return self.info(repo_type) is not None

    def info(self, repo_type: str = "dataset") -> Any:
        """What the Hub tells of the repository, None where there is none."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        def ask() -> Any:
            try:
                return self.api.repo_info(self.repo_id, repo_type=repo_type)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None

        return self.call(ask)

    def create(self, private: bool) -> None:
        """Make the repository and the branch, where they are not there.

        Raises:
            PublishError: The name belongs to a model or a space, it is public and `private` is asked for, or the token
                has no right.
        """
        info = self.info()
        if info is None:
            for other in ("model", "space"):
                if self.exists(other):
                    raise PublishError(f"{self.repo_id} is a {other} repository: publish a dataset under another name")
            self.call(lambda: self.api.create_repo(self.repo_id, repo_type="dataset", private=private, exist_ok=True))
        elif private and not info.private:
            raise PublishError(f"{self.repo_id} is public and --private was asked for: make it private first")
        if self.revision is not None and not self.revision.startswith("refs/"):
            self.call(self._make_branch)

    def _make_branch(self) -> None:
        assert self.revision is not None
        refs = self.api.list_repo_refs(self.repo_id, repo_type="dataset")
        if self.revision not in [branch.name for branch in refs.branches]:
            self.api.create_branch(self.repo_id, branch=self.revision, repo_type="dataset", exist_ok=True)

    def head(self) -> Head:
        """The commit at the end of the branch, with its files."""

        def read() -> Head:
            info = self.api.repo_info(self.repo_id, repo_type="dataset", revision=self.revision)
            oid = str(info.sha)
            tree = self.api.list_repo_tree(self.repo_id, repo_type="dataset", revision=oid, recursive=True)
            return Head(oid, {entry.path: entry.size for entry in tree if hasattr(entry, "size")})

        head = self.call(read)
        readme = self.download(head, [README])[0].read_text(encoding="utf-8") if README in head.files else None
        return Head(head.oid, head.files, readme)

    def download(self, head: Head, paths: Sequence[str]) -> list[Path]:
        """Files of a commit, each once, below the work folder."""
        from huggingface_hub import hf_hub_download

        folder = self.work / "head" / head.oid

        def get(path: str) -> Path:
            if (folder / path).is_file():
                return folder / path
            return Path(
                hf_hub_download(
                    self.repo_id,
                    path,
                    repo_type="dataset",
                    revision=head.oid,
                    local_dir=folder,
                    token=self.api.token,
                    endpoint=self.endpoint,
                )
            )

        return [self.call(lambda path=path: get(path)) for path in paths]  # type: ignore[misc]

    def tag_target(self, tag: str) -> str | None:
        """The commit that a tag names, None where there is no such tag."""
        refs = self.call(lambda: self.api.list_repo_refs(self.repo_id, repo_type="dataset"))
        return next((str(found.target_commit) for found in refs.tags if found.name == tag), None)

    def set_tag(self, tag: str, oid: str) -> None:
        """Name a commit; nothing is done where the tag names it already.

        Raises:
            PublishError: The tag names another commit.
        """

        def make() -> None:
            try:
                self.api.create_tag(self.repo_id, repo_type="dataset", tag=tag, revision=oid)
            except Exception as error:
                if status_of(error) != 409 or self.tag_target(tag) != oid:
                    raise

        try:
            self.call(make)
        except PublishError as error:
            raise PublishError(
                f"{self.repo_id}: commit {oid[:12]} is published, its tag {tag!r} is not: {error}"
            ) from None
