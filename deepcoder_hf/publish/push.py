"""Publish rows on the Hub: what leaves is looked at first, then one commit shows all of it or nothing."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepcoder_hf.errors import DeepcoderError, PublishError
from deepcoder_hf.publish.bundle import Bundle, ScanReport
from deepcoder_hf.publish.commit import Landed, Plan, commit, refuse_revision
from deepcoder_hf.publish.hub_card import CardOptions, checked_rights, checked_scan
from deepcoder_hf.publish.hub_layout import check_config_name
from deepcoder_hf.publish.hub_plans import Append, Remove, Replace
from deepcoder_hf.publish.hub_repo import Head, Repo
from deepcoder_hf.publish.source import load_bundle


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of a push."""

    path: str
    """Its path in the repository."""
    n_bytes: int
    n_rows: int | None = None
    """Rows, for a data file."""


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What a push did, or with `dry_run` what it would do."""

    repo_id: str
    files: Sequence[PublishedFile] = ()
    deleted: Sequence[str] = ()
    n_rows: int = 0
    """Rows of the config after the push."""
    oid: str | None = None
    """The commit; None for a dry run."""
    url: str | None = None
    pr_url: str | None = None
    tag: str | None = None
    n_skipped: int = 0
    """Rows that were not appended, since their trajectory is there already."""
    n_removed: int = 0
    scan: ScanReport = field(default_factory=ScanReport)
    redacted: Mapping[str, int] = field(default_factory=dict)
    """Kind -> places that `redact` replaced."""
    contamination: Mapping[str, int] = field(default_factory=dict)
    """Benchmark -> rows that decontamination took out."""
    notes: Sequence[str] = ()
    dry_run: bool = False


def publish(
    dataset: Any,
    repo_id: str,
    *,
    licence: str | None = None,
    config_name: str = "default",
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    dry_run: bool = False,
    append: bool = False,
    remove: Collection[str] = (),
    redact: bool = False,
    strict: bool = False,
    allow: Collection[str] = (),
    acknowledge_rights: bool = False,
    decontaminate: Mapping[str, Sequence[str]] | None = None,
    token: str | None = None,
    command: str = "",
) -> PublishResult:
    """Publish a processed dataset as a config of a dataset repository.

    Everything that leaves is scanned first. The data files are uploaded, then one commit shows them together with the
    card; a push that is interrupted leaves the old revision as it was, and the same call goes on where it stopped.

    Args:
        dataset: What `load_bundle` takes; None with `remove`.
        repo_id: `owner/name`; the repository is made where it does not exist.
        licence: The Hub's identifier, such as `apache-2.0`; may be left out with `remove`, which keeps the card's.
        config_name: The config that the rows are; others of the repository are kept.
        private: Make a private repository; refused where a public one exists.
        revision: Branch to publish to, made where it does not exist; None for main.
        create_pr: Open a pull request instead of changing main.
        tag: Name the commit.
        dry_run: Send nothing, tell what would go.
        append: Put the rows beside those that are there; trajectories that are there already are left out and counted.
        remove: Ids of trajectories that leave the config; only shards that hold them are written again.
        redact: Replace what the scan finds, and derive tokens and masks again.
        strict: Stop on personal data too.
        allow: Digests of findings that were looked at.
        acknowledge_rights: Publish although licences are unknown or in conflict; the card lists them.
        decontaminate: Benchmark -> texts; rows that hold them are taken out and counted.
        token: The Hub's token; None for the one that is logged in. It is neither shown nor stored.
        command: How this was called, for the card.

    Returns:
        The commit, its files and counts.

    Raises:
        PublishError: It must not or cannot be published; the old revision stands.
        InputError: The dataset cannot be read.
        SchemaError: Its columns are not those of a SAD dataset.
    """
    check_config_name(config_name)
    refuse_revision(revision, create_pr, tag)
    if remove and (append or dataset is not None):
        raise PublishError("remove takes trajectories out of what is published: pass no dataset, and not append")
    if append and redact:
        raise PublishError(
            "placeholders are numbered within one push, so redacted ids of two pushes would be taken for the same: "
            "publish all rows with --redact at once, without --append"
        )
    if not remove and not licence:
        raise PublishError("no licence: name the licence of the rows, such as apache-2.0 or cc-by-4.0")
    try:
        with tempfile.TemporaryDirectory(prefix="deepcoder_hf_publish_") as work:
            repo = Repo(repo_id, revision, token, Path(work))
            if not dry_run:
                repo.need_token()
            ready = Prepared() if remove else prepared(dataset, licence or "", redact, strict, allow,
                                                       acknowledge_rights, decontaminate)  # fmt: skip
            options = CardOptions(
                repo_id, licence, config_name, command, ready.contamination, acknowledge_rights, allow, strict
            )
            change = change_of(ready.bundle, repo, options, append, remove)
            if dry_run:
                return result_of(repo, Landed("", "", change(readable_head(repo, append or bool(remove)))), ready, True)
            if remove and not repo.exists():
                raise PublishError(f"{repo_id}: there is no such dataset repository")
            return send(repo, change, ready, message_of(config_name, append, remove), private, create_pr, tag)
    except OSError as error:
        if isinstance(error, DeepcoderError) or error.errno != errno.ENOSPC:
            raise
        place = error.filename or tempfile.gettempdir()
        raise PublishError(f"the disk is full ({place}): free some space, or set TMPDIR to a larger disk") from None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows that may leave, and what was done until they may."""

    bundle: Bundle = field(default_factory=lambda: Bundle({}))
    scan: ScanReport = field(default_factory=ScanReport)
    redacted: Mapping[str, int] = field(default_factory=dict)
    contamination: Mapping[str, int] = field(default_factory=dict)


def prepared(
    dataset: Any,
    licence: str,
    redact: bool,
    strict: bool,
    allow: Collection[str],
    acknowledge_rights: bool,
    benchmarks: Mapping[str, Sequence[str]] | None,
) -> Prepared:
    """Load the rows, take out contaminated ones, redact, and look for what stops a push: rights, secrets."""
    bundle = load_bundle(dataset)
    contamination: Mapping[str, int] = {}
    redacted: Mapping[str, int] = {}
    if benchmarks:
        from deepcoder_hf.publish.decontaminate import decontaminate

        bundle, contamination = decontaminate(bundle, benchmarks)
        if not sum(map(len, bundle.splits.values())):
            raise PublishError("every row holds a text of the benchmarks: there is nothing to publish")
        bundle = Bundle({name: rows for name, rows in bundle.splits.items() if len(rows)}, bundle.report)
    checked_rights(bundle, licence, acknowledge_rights)
    if redact:
        from deepcoder_hf.publish.redact import redact as redact_rows

        bundle, redacted = redact_rows(bundle, allow)
    report = checked_scan(bundle, {}, allow, strict)
    return Prepared(bundle, report, redacted, contamination)


def change_of(
    bundle: Bundle, repo: Repo, options: CardOptions, append: bool, remove: Collection[str]
) -> Replace | Append | Remove:
    """The change that was asked for."""
    if remove:
        return Remove(frozenset(remove), options, repo)
    return Append(bundle, options, repo) if append else Replace(bundle, options, repo.work)


def message_of(config_name: str, append: bool, remove: Collection[str]) -> str:
    """First line of the commit."""
    if remove:
        return f"Remove {len(set(remove))} trajectories of {config_name}"
    return f"{'Append to' if append else 'Publish'} {config_name}"


def readable_head(repo: Repo, needed: bool) -> Head:
    """The head that a dry run is worked out on; without one the push is shown as the first of a new repository.

    Raises:
        PublishError: The rows that are published are needed and cannot be read.
    """
    try:
        return repo.head() if repo.exists() else Head("")
    except PublishError:
        if needed:
            raise
        return Head("")


def send(
    repo: Repo,
    change: Replace | Append | Remove,
    ready: Prepared,
    message: str,
    private: bool,
    create_pr: bool,
    tag: str | None,
) -> PublishResult:
    """Make the repository where needed, commit, tag."""
    repo.create(private)
    tagged = repo.tag_target(tag) if tag else None
    if tagged is not None and tagged != repo.head().oid:
        raise PublishError(f"{repo.repo_id}: tag {tag!r} names another commit ({tagged[:12]}): choose another tag")
    landed = commit(repo, change, message, create_pr)
    if tag:
        repo.set_tag(tag, landed.oid)
    return result_of(repo, landed, ready, False, tag)


def result_of(repo: Repo, landed: Landed, ready: Prepared, dry_run: bool, tag: str | None = None) -> PublishResult:
    """What a push did, for the caller."""
    plan: Plan = landed.plan
    return PublishResult(
        repo_id=repo.repo_id,
        files=[PublishedFile(found.path, found.n_bytes, found.n_rows) for found in plan.additions],
        deleted=list(plan.deletions),
        n_rows=plan.n_rows,
        oid=landed.oid or None,
        url=landed.url or None,
        pr_url=landed.pr_url,
        tag=tag,
        n_skipped=plan.n_skipped,
        n_removed=plan.n_removed,
        scan=ready.scan,
        redacted=ready.redacted,
        contamination=ready.contamination,
        notes=list(plan.notes),
        dry_run=dry_run,
    )
