"""One atomic commit on a known head; built again when the branch has moved, recognised when the answer was lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.hub_errors import CONFLICT, explained, is_known, is_transient, status_of
from deepcoder_hf.publish.hub_repo import Head, Repo

MARK = "deepcoder-hf push "
"""Begins the line of a commit's description by which a push whose answer was lost is recognised."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A file that goes to the repository."""

    path: str
    source: Path | bytes
    n_rows: int | None = None
    """Rows, for a data file."""

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True, slots=True)
class Plan:
    """What one commit does to one head."""

    additions: Sequence[Addition] = ()
    deletions: Sequence[str] = ()
    n_rows: int = 0
    """Rows of the config after the commit."""
    n_skipped: int = 0
    """Rows that were not appended, since their trajectory is there already."""
    n_removed: int = 0
    """Rows that are taken out."""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit that stands in the repository."""

    oid: str
    url: str
    plan: Plan = field(default_factory=Plan)
    pr_url: str | None = None


def commit(repo: Repo, build: Callable[[Head], Plan], message: str, create_pr: bool = False) -> Landed:
    """Bring a change to the end of the branch.

    Files of Git LFS are uploaded before the commit; those that the Hub has already, from a push that was interrupted or
    from an earlier attempt, are not sent again. A reader sees the state before or the state after, never one between.

    Args:
        repo: Where to.
        build: Makes the plan for a head; called again for each new head.
        message: First line of the commit.
        create_pr: Open a pull request with the commit instead.

    Returns:
        The commit, with the plan that it carries out; the head itself where the plan changes nothing.

    Raises:
        PublishError: It cannot be done, or failed at every attempt.
    """
    mark = f"{MARK}{uuid.uuid4().hex}"
    sent: dict[str, Plan] = {}  # head that a commit was sent onto without a clear answer -> its plan
    planned: tuple[str, Plan] | None = None
    for attempt in range(repo.patience.attempts):
        head = repo.head()
        if sent and (landed := _find(repo, mark, next(reversed(sent.values())), create_pr)) is not None:
            return landed
        if planned is None or planned[0] != head.oid:
            planned = (head.oid, build(head))
        plan = planned[1]
        if not plan.additions and not plan.deletions:
            return Landed(head.oid, _url(repo, head.oid), plan)
        try:
            return _send(repo, head, plan, message, mark, create_pr)
        except Exception as error:
            if not is_known(error):
                raise
            if status_of(error) not in CONFLICT:
                if not is_transient(error):
                    raise explained(error, repo.repo_id, repo.endpoint) from None
                sent[head.oid] = plan
            if not repo.wait(attempt, error):
                raise explained(error, repo.repo_id, repo.endpoint) from None
    raise AssertionError("the last attempt returns or raises")


def _send(repo: Repo, head: Head, plan: Plan, message: str, mark: str, create_pr: bool) -> Landed:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    # Made anew for each head: an operation remembers what the last head held, and would be left out as unchanged.
    additions = [
        CommitOperationAdd(
            path_in_repo=addition.path,
            path_or_fileobj=addition.source if isinstance(addition.source, bytes) else str(addition.source),
        )
        for addition in plan.additions
    ]
    place: dict[str, Any] = {"repo_type": "dataset", "revision": repo.revision, "create_pr": create_pr}
    repo.api.preupload_lfs_files(repo.repo_id, additions, free_memory=False, **place)
    deletions = [CommitOperationDelete(path_in_repo=path, is_folder=False) for path in plan.deletions]
    info = repo.api.create_commit(
        repo.repo_id,
        [*additions, *deletions],
        commit_message=message,
        commit_description=mark,
        parent_commit=head.oid,
        **place,
    )
    return Landed(str(info.oid), str(info.commit_url), plan, info.pr_url)


def _find(repo: Repo, mark: str, plan: Plan, create_pr: bool) -> Landed | None:
    """The commit that was made although its answer was lost."""
    if create_pr:
        return _find_pr(repo, mark, plan)
    revision = repo.revision
    for found in repo.call(
        lambda: repo.api.list_repo_commits(repo.repo_id, repo_type="dataset", revision=revision, formatted=False)
    ):
        if mark in found.message:
            return Landed(found.commit_id, _url(repo, found.commit_id), plan)
    return None


def _find_pr(repo: Repo, mark: str, plan: Plan) -> Landed | None:
    def ask() -> list[Any]:
        return list(repo.api.get_repo_discussions(repo.repo_id, repo_type="dataset", discussion_type="pull_request"))

    for pull in repo.call(ask):
        ref = f"refs/pr/{pull.num}"
        commits = repo.call(
            lambda ref=ref: repo.api.list_repo_commits(repo.repo_id, repo_type="dataset", revision=ref)  # type: ignore[misc]
        )
        if commits and mark in commits[0].message:
            return Landed(commits[0].commit_id, _url(repo, commits[0].commit_id), plan, pull.url)
    return None


def _url(repo: Repo, oid: str) -> str:
    return f"{repo.endpoint}/datasets/{repo.repo_id}/commit/{oid}"


def refuse_revision(revision: str | None, create_pr: bool, tag: str | None) -> None:
    """Refuse what the Hub cannot do together.

    Raises:
        PublishError: A pull request against a branch that is not main, or with a tag.
    """
    if create_pr and revision not in (None, "main"):
        raise PublishError(f"a pull request is opened against main, not against {revision!r}: leave --revision out")
    if create_pr and tag:
        raise PublishError("a tag names a commit of the branch: set it after the pull request is merged")
