"""Which files an input names: files, folders, globs, stdin, URLs; each with its name for the rows and its digest."""

from __future__ import annotations

import atexit
import glob
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import xxhash

from deepcoder_hf.errors import InputError
from deepcoder_hf.readers.containers.folders import arrow_folder_content, is_arrow_folder, refuse_outside, walk
from deepcoder_hf.readers.containers.remote_files import find_remote, open_remote, redact

COMPRESSION_SUFFIXES = frozenset({".gz", ".zst"})
SUFFIXES = frozenset(
    {".jsonl", ".json", ".ndjson", ".traj", ".txt", ".parquet", ".arrow", ".eval", ".ipynb", ".yaml", ".yml"}
)
"""What is taken from a folder, each also with a suffix of compression. A file named itself may have any suffix."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_URL_AS_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")  # Path("hf://datasets/a") is hf:/datasets/a
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file, folder of `save_to_disk`, or URL to read."""

    path: str
    """Absolute path, or URL."""
    name: str
    """Path relative to the input that named it: what rows carry as `source_path`."""
    digest: str
    """xxh3_128 of the content; for URLs of the content's etag or object id where the server gives one."""


def find_files(inputs: str | Path | Sequence[str | Path]) -> list[InputFile]:
    """List the files that the inputs name, each once, in the order of the inputs.

    Args:
        inputs: One or several of: a file (of any suffix), a folder (recursive, sorted; hidden files and unknown
            suffixes are skipped; a folder of `save_to_disk` is one input), a glob, `-` for stdin, an fsspec URL such
            as `hf://datasets/owner/name/data/*.jsonl`.

    Returns:
        At least one file. Files of the same name in several inputs get the folders that tell them apart.

    Raises:
        InputError: Nothing is named, something does not exist or cannot be read, a folder holds no trajectories, or
            a symlink in a folder leads out of it.
    """
    items = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not items:
        raise InputError("expected at least one file, folder, glob or URL, got an empty list; name an input")
    found: dict[str, InputFile] = {}
    for item in items:
        shown = redact(str(item))
        try:
            for file in _expand(item):
                found.setdefault(file.path if _URL.match(file.path) else os.path.realpath(file.path), file)
        except OSError as error:
            message = f"expected a readable input, got {error.strerror or type(error).__name__} at"
            raise InputError(f"{message} {error.filename or shown!r}; check its permissions") from error
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"expected a path or URL, got {shown!r} ({error}); check the input") from error
    return _with_own_names(list(found.values()))


def open_file(file: InputFile) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        InputError: It cannot be opened.
    """
    if _URL.match(file.path):
        return open_remote(file.path)
    try:
        return open(file.path, "rb")
    except OSError as error:
        raise InputError(f"expected a readable file, got {error.strerror} at {file.path!r}; check it") from error


def text_suffix(name: str) -> str:
    """Return the suffix of a file name in lower case, without that of its compression."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in COMPRESSION_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _expand(item: str | Path) -> Iterator[InputFile]:
    text = os.fspath(item)
    if text == "-":
        yield _stdin()
        return
    if isinstance(item, Path) and not item.exists():
        text = _URL_AS_PATH.sub(r"\1://", text, count=1)
    if _URL.match(text) and not text.startswith("file://"):
        for file in find_remote(text, takes=_is_known):
            yield InputFile(*file)
        return
    text = os.path.expanduser(text.removeprefix("file://"))
    if not text:
        raise InputError("expected a file, folder, glob or URL, got an empty path; name an input")
    if os.path.lexists(text):
        yield from _expand_path(os.path.abspath(text), os.path.dirname(os.path.abspath(text)))
    elif glob.has_magic(text):
        yield from _expand_glob(text)
    else:
        raise InputError(f"expected a file, folder, glob or URL, got {text!r} which does not exist; check the path")


def _expand_path(path: str, root: str) -> Iterator[InputFile]:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        yield from _expand_folder(path)
    elif stat.S_ISREG(mode):
        yield InputFile(path, _name(path, root), _digest([path], path))
    else:  # a pipe such as <(zcat x.gz) can be read once only, and is read twice: for its digest and its records
        with open(path, "rb") as stream:
            yield _spool(stream, os.path.basename(path))


def _expand_folder(folder: str) -> Iterator[InputFile]:
    if is_arrow_folder(folder):
        yield _arrow_folder(folder, os.path.dirname(folder), folder)
        return
    found: dict[str, str] = {}
    n_others = 0
    for path in walk(folder):
        if os.path.isdir(path) or _is_known(path):
            refuse_outside(path, folder)
            found.setdefault(os.path.realpath(path), path)
        else:
            n_others += 1
    paths = sorted(found.values(), key=lambda path: Path(path).parts)
    for path in paths:
        if os.path.isdir(path):
            yield _arrow_folder(path, folder, folder)
        elif os.path.isfile(path):
            yield InputFile(path, _name(path, folder), _digest([path], path))
    if not paths:
        wanted = " ".join(sorted(SUFFIXES))
        got = f"{n_others} files of other suffixes; name those themselves, or" if n_others else "no file;"
        raise InputError(
            f"expected trajectories in the folder {folder!r} ({wanted}, also .gz .zst), got {got} check the path"
        )


def _arrow_folder(folder: str, parent: str, root: str) -> InputFile:
    return InputFile(folder, _name(folder, parent), _digest(arrow_folder_content(folder, root), folder))


def _expand_glob(pattern: str) -> Iterator[InputFile]:
    last = os.path.basename(pattern)
    any_suffix = bool(os.path.splitext(last)[1]) and not glob.has_magic(os.path.splitext(last)[1])
    fixed = pattern[: re.search(r"[*?\[]", pattern).start()]  # type: ignore[union-attr]  # has_magic found one
    root = os.path.abspath(os.path.dirname(fixed) or ".")
    n_found = 0
    for match in sorted(glob.glob(pattern, recursive=True), key=lambda path: Path(path).parts):
        path = os.path.abspath(match)
        is_folder = os.path.isdir(path)
        if not (is_folder and "**" not in pattern) and not ((any_suffix or _is_known(path)) and os.path.isfile(path)):
            continue
        n_found += 1
        refuse_outside(path, root)
        for file in _expand_path(path, root):
            inner = file.name if is_folder and not is_arrow_folder(path) else ""
            yield InputFile(file.path, _name(os.path.join(path, inner) if inner else path, root), file.digest)
    if not n_found:
        raise InputError(f"expected files that match {pattern!r}, got none; check the pattern and the suffixes")


def _digest(paths: Sequence[str], base: str) -> str:
    content = xxhash.xxh3_128()
    for path in paths:
        if path != base:
            content.update(os.fsencode(os.path.relpath(path, base)) + b"\0")
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                content.update(block)
    return content.hexdigest()


def _stdin() -> InputFile:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("expected data on stdin for the input '-', got a closed stdin; pipe a file into the command")
    return _spool_stdin(cast(BinaryIO, sys.stdin.buffer))


@lru_cache(maxsize=1)
def _spool_stdin(stdin: BinaryIO) -> InputFile:
    return _spool(stdin, "stdin")  # cached, because what was read once is gone from stdin


def _spool(stream: BinaryIO, name: str) -> InputFile:
    content = xxhash.xxh3_128()
    with tempfile.NamedTemporaryFile(prefix="deepcoder_hf_", delete=False) as spooled:
        atexit.register(_remove, spooled.name, os.getpid())
        while block := stream.read(_BLOCK_BYTES):
            content.update(block)
            spooled.write(block)
    return InputFile(spooled.name, name, content.hexdigest())


def _remove(path: str, pid: int) -> None:
    if os.getpid() == pid and os.path.exists(path):  # a forked worker leaves the file to its parent
        os.remove(path)


def _is_known(name: str) -> bool:
    return not os.path.basename(name).startswith(".") and text_suffix(os.path.basename(name)) in SUFFIXES


def _name(path: str, root: str) -> str:
    # Names that are no UTF-8 hold lone surrogates in Python, which no row can store.
    return os.fsencode(Path(os.path.relpath(path, root)).as_posix()).decode("utf-8", "replace")


def _with_own_names(files: list[InputFile]) -> list[InputFile]:
    by_name: dict[str, list[InputFile]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    return [
        file if len(by_name[file.name]) == 1 else InputFile(file.path, _own_name(file, by_name[file.name]), file.digest)
        for file in files
    ]


def _own_name(file: InputFile, namesakes: Sequence[InputFile]) -> str:
    if _URL.match(file.path):
        return redact(file.path)
    local = [other.path for other in namesakes if not _URL.match(other.path)]
    return file.name if len(local) == 1 else _name(file.path, os.path.commonpath(local))
