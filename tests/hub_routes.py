"""The answers of the test Hub: which function takes which path; hub_api.py has what stands below a repository."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

from hub_store import Refused, Repository, Store

OWNER = "deepcoder"
"""The account of the tokens; names of others may not be written to."""
KINDS = "models|datasets|spaces"


class Headers(Protocol):
    """Headers of a request."""

    def get(self, name: str, default: str = "") -> str:
        """One header."""


@dataclass(frozen=True)
class Request:
    """A request, with what its token may do."""

    method: str
    raw_path: str
    """Still quoted: a branch may hold a slash."""
    query: Mapping[str, str]
    body: bytes
    may_write: bool
    may_read: bool
    headers: Headers

    @property
    def path(self) -> str:
        """The path, unquoted."""
        return unquote(self.raw_path)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body or b"{}")

    def is_true(self, name: str) -> bool:
        """A switch of the query."""
        return self.query.get(name, "").lower() in ("1", "true")


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    content: bytes = b""
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200) -> Answer:
    """An answer of JSON."""
    return Answer(json.dumps(value).encode(), status)


def answer(store: Store, url: str, request: Request) -> Answer:
    """Answer a request.

    Raises:
        Refused: With the status to answer.
    """
    from hub_api import repository_api

    path = request.path
    if path == "/api/whoami-v2":
        return whoami(request)
    if path == "/api/validate-yaml":
        return validate_yaml(request)
    if path == "/api/repos/create":
        return create(store, url, request)
    if found := re.fullmatch(rf"/lfs/({KINDS})/([^/]+/[^/]+)/([0-9a-f]{{64}})", path):
        return put_blob(store, store.repository(found[1], found[2]), found[3], request)
    if found := re.fullmatch(rf"/(?:({KINDS})/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
        need_writer(request, found[2])
        return lfs_batch(store, url, store.repository(found[1] or "models", found[2]), request)
    if found := re.fullmatch(rf"/api/({KINDS})/([^/]+/[^/]+)(?:/.*)?", path):
        repository = visible(store, found[1], found[2], request)
        return repository_api(store, url, repository, request)
    if found := re.fullmatch(rf"/(?:({KINDS})/)?([^/]+/[^/]+)/resolve/.+", path):
        return resolve(store, visible(store, found[1] or "models", found[2], request), request)
    raise Refused(404, "RepoNotFound", f"no such route: {path}")


def visible(store: Store, kind: str, name: str, request: Request) -> Repository:
    """A repository that the token may see; a private one is not there for others."""
    found = store.repository(kind, name)
    if found.private and not request.may_read:
        raise Refused(401, "RepoNotFound", "Repository not found")
    return found


def need_writer(request: Request, name: str) -> None:
    """Refuse a token that may not write to a name."""
    if not request.may_read:
        raise Refused(401, "", "Invalid username or password.")
    if not request.may_write or name.split("/")[0] != OWNER:
        raise Refused(403, "", f"You don't have the rights to write to {name}")


def whoami(request: Request) -> Answer:
    if not request.may_read:
        raise Refused(401, "", "Invalid username or password.")
    role = "write" if request.may_write else "read"
    user = {"type": "user", "id": "1", "name": OWNER, "fullname": OWNER, "orgs": []}
    return as_json({**user, "auth": {"accessToken": {"role": role, "displayName": "test"}}})


def validate_yaml(request: Request) -> Answer:
    import yaml

    content = request.json()["content"]
    block = re.match(r"\A---\n(.*?)\n---\n", content, re.DOTALL)
    try:
        data = yaml.safe_load(block[1]) if block else {}
    except yaml.YAMLError as error:
        return as_json({"errors": [{"message": str(error)}], "warnings": []}, 400)
    names = [entry["config_name"] for entry in data.get("configs", [])]
    if len(names) != len(set(names)) or sum(bool(entry.get("default")) for entry in data.get("configs", [])) > 1:
        return as_json({"errors": [{"message": "configs must be different, at most one default"}], "warnings": []}, 400)
    return as_json({"errors": [], "warnings": []})


def create(store: Store, url: str, request: Request) -> Answer:
    wanted = request.json()
    kind = f"{wanted.get('type') or 'model'}s"
    name = wanted["name"] if "/" in wanted["name"] else f"{wanted.get('organization') or OWNER}/{wanted['name']}"
    need_writer(request, name)
    place = f"{url}/{'' if kind == 'models' else kind + '/'}{name}"
    with store.lock:
        if (kind, name) in store.repositories:
            return as_json({"error": "You already created this repo", "url": place}, 409)
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        store.repositories[kind, name] = Repository(kind, name, private)
    return as_json({"url": place, "name": name, "id": "0"})


def put_blob(store: Store, repository: Repository, sha256: str, request: Request) -> Answer:
    if request.method != "PUT" or hashlib.sha256(request.body).hexdigest() != sha256:
        raise Refused(400, "", "the content is not that of the hash")
    store.put(request.body, True)
    repository.uploaded.add(sha256)
    return Answer()


def lfs_batch(store: Store, url: str, repository: Repository, request: Request) -> Answer:
    objects = []
    for wanted in request.json()["objects"]:
        found: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in repository.uploaded:
            found["actions"] = {"upload": {"href": f"{url}/lfs/{repository.kind}/{repository.name}/{wanted['oid']}"}}
        objects.append(found)
    return as_json({"transfer": "basic", "objects": objects})


def revision_and_path(quoted: str) -> tuple[str, str]:
    """`<revision>/<path>`, still quoted; a ref comes as refs%2Fpr%2F1 or as refs/pr/1."""
    found = re.match(r"(refs/(?:heads|pr|convert)/[^/]+|[^/]+)(?:/(.*))?$", quoted)
    if found is None:
        raise Refused(404, "RevisionNotFound", "no revision")
    return unquote(found[1]), unquote(found[2] or "")


def resolve(store: Store, repository: Repository, request: Request) -> Answer:
    """Content of a file, whole or a range of it."""
    revision, path = revision_and_path(request.raw_path.split("/resolve/", 1)[1])
    commit = repository.commit(revision)
    file = commit.files.get(path)
    if file is None:
        raise Refused(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit.oid})
    headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
    if file.is_lfs:
        headers |= {"ETag": f'"{file.sha256}"', "X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"'}
    content = store.blobs[file.sha256]
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if wanted is None:
        return Answer(content, 200, "application/octet-stream", headers)
    start = int(wanted[1]) if wanted[1] else max(0, len(content) - int(wanted[2]))
    end = min(int(wanted[2]) + 1 if wanted[1] and wanted[2] else len(content), len(content))
    if start >= len(content):
        raise Refused(416, "", "bad range")
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Answer(content[start:end], 206, "application/octet-stream", headers)
