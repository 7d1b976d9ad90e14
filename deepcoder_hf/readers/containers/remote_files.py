"""Files behind fsspec URLs (hf://, s3://, https://, ...): listing, content identity, opening."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

import xxhash

from deepcoder_hf.errors import InputError

_DIGEST_KEYS = ("xet_hash", "blob_id", "etag", "ETag", "md5Hash", "content_md5", "checksum")
"""Where file systems put what changes with the content; hf:// gives the first two."""
_DATASETS_LISTINGS = frozenset({"state.json", "dataset_info.json", "dataset_dict.json"})
"""Written by `save_to_disk` beside its .arrow files; not trajectories."""


class RemoteFile(NamedTuple):
    """One file: its URL, its name below what was asked for, its digest."""

    url: str
    name: str
    digest: str


def find_remote(url: str, takes: Callable[[str], bool]) -> list[RemoteFile]:
    """List the files that a URL names.

    Args:
        url: A file, a folder (recursive) or a glob.
        takes: Whether a file of this name is taken from a folder or a glob.

    Returns:
        At least one file, sorted.

    Raises:
        InputError: The URL cannot be listed, or names nothing. User names, passwords and queries are not shown.
    """
    import fsspec

    if "::" in url:
        raise InputError(f"expected a plain URL, got the chained {redact(url)!r}; fetch the file, then name it")
    try:
        file_system, path = fsspec.core.url_to_fs(url)
        infos, root = _list(file_system, path, takes, is_http=url.startswith("http"))
        names = _names(list(infos), root)
        files = [
            RemoteFile(file_system.unstrip_protocol(path), names[path], _digest(file_system, path, info))
            for path, info in sorted(infos.items())
        ]
    except Exception as error:  # every file system raises its own
        raise _input_error("listed", url, error) from (error if redact(url) == url else None)
    if not files:
        raise InputError(f"expected trajectories at {redact(url)!r}, got none; check the URL and the suffixes")
    return files


def open_remote(url: str) -> BinaryIO:
    """Open a URL that `find_remote` returned.

    Raises:
        InputError: It cannot be opened.
    """
    import fsspec

    try:
        file_system, path = fsspec.core.url_to_fs(url)
        return cast(BinaryIO, file_system.open(path, "rb"))
    except Exception as error:
        raise _input_error("opened", url, error) from (error if redact(url) == url else None)


def redact(url: str) -> str:
    """Return a URL without user, password, query and fragment; anything else unchanged."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    if not parts.scheme.startswith("http"):  # elsewhere ? and # belong to globs and file names
        head, separator, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        return head + separator + host.rpartition("@")[2] + slash + path
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _list(
    file_system: Any, path: str, takes: Callable[[str], bool], is_http: bool
) -> tuple[dict[str, Mapping[str, Any]], str]:
    magic = re.search(r"[*\[]" if is_http else r"[*?\[]", path)
    if magic:
        last = posixpath.splitext(posixpath.basename(path))[1]
        any_suffix = bool(last) and not re.search(r"[*?\[]", last)
        found = file_system.glob(path, detail=True)
        infos = {key: info for key, info in found.items() if info["type"] == "file" and (any_suffix or takes(key))}
        return infos, posixpath.dirname(path[: magic.start()])
    info = file_system.info(path)
    if info["type"] == "file":
        return {path: info}, posixpath.dirname(path)
    found = file_system.find(path, detail=True)
    return {key: info for key, info in found.items() if _is_data(key[len(path) :], takes)}, path


def _is_data(below: str, takes: Callable[[str], bool]) -> bool:
    is_hidden = any(part.startswith(".") for part in below.split("/"))
    return takes(below) and not is_hidden and posixpath.basename(below) not in _DATASETS_LISTINGS


def _names(paths: list[str], root: str) -> dict[str, str]:
    """Return each path below the root; some file systems list keys with a revision that the root lacks."""
    prefix = root.rstrip("/") + "/"
    if paths and not all(path.startswith(prefix) for path in paths):
        prefix = posixpath.commonpath([posixpath.dirname(path) for path in paths]) + "/"
    return {path: redact(path)[len(redact(prefix)) :].lstrip("/") for path in paths}


def _digest(file_system: Any, path: str, info: Mapping[str, Any]) -> str:
    identity = next((str(info[key]) for key in _DIGEST_KEYS if info.get(key)), None)
    content = xxhash.xxh3_128()
    if identity is not None:
        content.update(identity.encode())
        return content.hexdigest()
    with file_system.open(path, "rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()


def _input_error(what: str, url: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(
            f"expected a file, folder or glob, got {redact(url)!r} which does not exist; check URL and access"
        )
    detail = type(error).__name__
    # The message about a URL with a password or a signature may repeat it; one about a missing package does not.
    if (redact(url) == url or isinstance(error, ImportError)) and str(error):
        detail += ": " + str(error).strip().split("\n", 1)[0]
    return InputError(f"expected a URL that can be {what}, got {detail} for {redact(url)!r}; check URL and access")
