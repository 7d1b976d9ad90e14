"""The test Hub's API below a repository: its state, trees, commits, branches, tags and pull requests."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import unquote

from hub_routes import Answer, Request, as_json, need_writer, revision_and_path
from hub_store import LFS_NAMES, Commit, File, PullRequest, Refused, Repository, Store, now

READS = ("", "revision", "refs", "tree", "paths-info", "commits")
MAX_REGULAR_BYTES = 10 << 20


def repository_api(store: Store, url: str, repository: Repository, request: Request) -> Answer:
    """Answer what stands below `/api/datasets/owner/name`."""
    rest = request.raw_path.split("/", 5)[5] if request.raw_path.count("/") >= 5 else ""
    verb, _, tail = rest.partition("/")
    if verb not in READS and (verb != "discussions" or request.method != "GET"):
        need_writer(request, repository.name)
    with repository.lock:
        if verb in ("", "revision"):
            return as_json(info(repository, repository.commit(unquote(tail) or "main")))
        if verb == "refs":
            return as_json(refs(repository))
        if verb == "tree":
            return as_json(tree(repository, *revision_and_path(tail), recursive=request.is_true("recursive")))
        if verb == "paths-info":
            wanted = request.json() if request.body[:1] == b"{" else {"paths": []}
            return as_json(paths_info(repository.commit(unquote(tail)), wanted["paths"]))
        if verb == "commits":
            return as_json(commits(repository, unquote(tail)) if request.query.get("p", "0") == "0" else [])
        if verb == "preupload":
            return as_json({"files": preupload(repository.commit(unquote(tail)), request)})
        if verb == "commit":
            return commit(store, url, repository, unquote(tail), request)
        if verb in ("branch", "tag"):
            return point(repository, verb, unquote(tail), request)
        if verb == "discussions":
            return discussions(repository, tail, request)
    raise Refused(404, "", f"no such route: {verb}")


def info(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What `repo_info` reads."""
    return {
        "_id": "0", "id": repository.name, "author": repository.name.split("/")[0], "sha": commit.oid,
        "lastModified": commit.date, "createdAt": commit.date, "private": repository.private, "gated": False,
        "disabled": False, "tags": [], "downloads": 0, "likes": 0,
        "siblings": [{"rfilename": path} for path in sorted(commit.files)],
    }  # fmt: skip


def refs(repository: Repository) -> dict[str, Any]:
    """Branches, tags and pull requests."""
    heads = [
        {"name": ref.removeprefix("refs/heads/"), "ref": ref, "targetCommit": oid}
        for ref, oid in repository.refs.items()
    ]
    tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repository.tags.items()]
    return {
        "branches": [head for head in heads if head["ref"].startswith("refs/heads/")],
        "converts": [],
        "tags": tags,
        "pullRequests": [head for head in heads if head["ref"].startswith("refs/pr/")],
    }


def entry(path: str, file: File) -> dict[str, Any]:
    """A file as trees show it."""
    shown: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.is_lfs:
        shown["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 130}
    return shown


def folder(path: str) -> dict[str, Any]:
    """A folder as trees show it."""
    return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}


def tree(repository: Repository, revision: str, path: str, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders below a path."""
    prefix = f"{path.strip('/')}/" if path.strip("/") else ""
    folders: dict[str, dict[str, Any]] = {}
    found = []
    for name, file in sorted(repository.commit(revision).files.items()):
        if not name.startswith(prefix):
            continue
        parts = name[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            inner = prefix + "/".join(parts[:depth])
            folders.setdefault(inner, folder(inner))
        if recursive or len(parts) == 1:
            found.append(entry(name, file))
    if prefix and not found and not folders:
        raise Refused(404, "EntryNotFound", "no such path")
    return [*folders.values(), *found]


def paths_info(commit: Commit, paths: list[str]) -> list[dict[str, Any]]:
    """Those of some paths that are there."""
    found = []
    for path in paths:
        if path in commit.files:
            found.append(entry(path, commit.files[path]))
        elif any(name.startswith(path.rstrip("/") + "/") for name in commit.files):
            found.append(folder(path))
    return found


def commits(repository: Repository, revision: str) -> list[dict[str, Any]]:
    """The history of a branch."""
    return [
        {"id": found.oid, "title": found.title, "message": found.description, "date": found.date, "authors": []}
        for found in repository.history(revision)
    ]


def preupload(commit: Commit, request: Request) -> list[dict[str, Any]]:
    """Which files go through LFS, and what stands at their paths."""
    found = []
    for file in request.json()["files"]:
        is_lfs = bool(LFS_NAMES.search(file["path"])) or file["size"] > MAX_REGULAR_BYTES
        shown = {"path": file["path"], "uploadMode": "lfs" if is_lfs else "regular", "shouldIgnore": False}
        if file["path"] in commit.files:
            there = commit.files[file["path"]]
            shown["oid"] = there.sha256 if there.is_lfs else there.oid
        found.append(shown)
    return found


def commit(store: Store, url: str, repository: Repository, revision: str, request: Request) -> Answer:
    """Make a commit: all of its lines or none."""
    base = repository.commit(revision)
    files = dict(base.files)
    title, description = "commit", ""
    for line in request.body.splitlines():
        found = json.loads(line)
        key, value = found["key"], found["value"]
        if key == "header":
            title, description = value["summary"], value.get("description", "")
            parent = value.get("parentCommit")
            if parent and not base.oid.startswith(parent):
                raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
        elif key == "file":
            files[value["path"]] = store.put(base64.b64decode(value["content"]), False)
        elif key == "lfsFile":
            if value["oid"] not in repository.uploaded:
                raise Refused(400, "", f"LFS object missing: {value['oid']}")
            files[value["path"]] = store.put(store.blobs[value["oid"]], True)
        elif key == "deletedFile":
            if value["path"] not in files:
                raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
            del files[value["path"]]
        else:
            raise Refused(400, "", f"unknown line {key}")
    place = f"{url}/datasets/{repository.name}"
    reply: dict[str, Any] = {"success": True}
    ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
    if request.is_true("create_pr"):
        pull = PullRequest(len(repository.pull_requests) + 1, title, ref)
        repository.pull_requests[pull.number] = pull
        ref = pull.ref
        reply["pullRequestUrl"] = f"{place}/discussions/{pull.number}"
    made = repository.add(ref, files, title, description, base.oid)
    return as_json({**reply, "commitUrl": f"{place}/commit/{made.oid}", "commitOid": made.oid})


def point(repository: Repository, verb: str, name: str, request: Request) -> Answer:
    """Make a branch (named in the path) or a tag (of the revision in the path)."""
    wanted = request.json()
    if verb == "branch":
        if f"refs/heads/{name}" in repository.refs:
            raise Refused(409, "", "Reference already exists")
        repository.refs[f"refs/heads/{name}"] = repository.commit(wanted.get("startingPoint") or "main").oid
        return as_json({})
    if wanted["tag"] in repository.tags:
        raise Refused(409, "", "Tag reference exists already")
    repository.tags[wanted["tag"]] = repository.commit(name).oid
    return as_json({})


def discussions(repository: Repository, tail: str, request: Request) -> Answer:
    """List, show and merge pull requests."""
    if not tail:
        shown = [discussion(repository, pull) for pull in repository.pull_requests.values()]
        return as_json(
            {"discussions": shown if request.query.get("p", "0") == "0" else [], "count": len(shown), "start": 0}
        )
    number, _, action = tail.partition("/")
    pull = repository.pull_requests[int(number)]
    if action == "merge":
        files = dict(repository.commits[repository.refs[pull.ref]].files)
        pull.merge_oid = repository.add(pull.target, files, pull.title, "", repository.refs[pull.target]).oid
        pull.status = "merged"
    elif action == "status":
        pull.status = request.json()["status"]
    else:
        return as_json(discussion(repository, pull))
    event = {"id": "0", "type": "status-change", "createdAt": now(), "author": {"name": "deepcoder"}}
    return as_json({"newStatus": {**event, "status": pull.status}})


def discussion(repository: Repository, pull: PullRequest) -> dict[str, Any]:
    """A pull request as the Hub shows it."""
    return {
        "num": pull.number, "title": pull.title, "status": pull.status, "isPullRequest": True, "createdAt": pull.date,
        "author": {"name": "deepcoder"}, "repo": {"name": repository.name, "type": repository.kind[:-1]},
        "repoOwner": {}, "events": [], "diffUrl": "", "filesWithConflicts": [],
        "changes": {"base": pull.target, "mergeCommitId": pull.merge_oid},
    }  # fmt: skip
