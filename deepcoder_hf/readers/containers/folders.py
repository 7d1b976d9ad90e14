"""Folders on disk: what lies in them, links that leave them, and those that `Dataset.save_to_disk` wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from deepcoder_hf.errors import InputError


def walk(folder: str) -> Iterator[str]:
    """Yield the files below a folder that are not hidden, and as one path each folder of `save_to_disk`.

    Links to folders are followed after all real folders, each real folder is entered once.

    Raises:
        InputError: A link to a folder leads out of `folder`.
        OSError: A folder cannot be listed.
    """
    queue = [folder]
    seen: set[str] = set()
    while queue:
        for parent, names, files in os.walk(queue.pop(0), onerror=_raise):
            real = os.path.realpath(parent)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            inner = [os.path.join(parent, name) for name in sorted(names) if not name.startswith(".")]
            for path in inner:
                refuse_outside(path, folder)
            saved = [path for path in inner if is_arrow_folder(path)]
            queue += [path for path in inner if os.path.islink(path) and path not in saved]
            names[:] = [os.path.basename(path) for path in inner if path not in saved]
            yield from saved
            yield from (os.path.join(parent, name) for name in sorted(files) if not name.startswith("."))


def refuse_outside(path: str, folder: str) -> None:
    """Check that a link inside a folder leads to something inside it.

    Raises:
        InputError: It leads out of the folder, or to nothing.
    """
    if not os.path.islink(path):
        return
    target, real_folder = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([target, real_folder]) != real_folder:
        raise InputError(
            f"expected all files inside the folder {folder!r}, got the symlink {path!r} to {target!r}; "
            "replace it by a copy, or name the target itself"
        )
    if not os.path.exists(path):
        raise InputError(f"expected a file, got the symlink {path!r} to {target!r} which does not exist; remove it")


def is_arrow_folder(folder: str | Path) -> bool:
    """Whether a folder was written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    folder = Path(folder)
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def arrow_files(folder: Path) -> list[Path]:
    """Return the data files that a folder of `save_to_disk` lists, splits in order.

    Raises:
        OSError: A listing cannot be read.
        ValueError: A listing is no JSON, or names a file outside of the folder.
        KeyError, TypeError: A listing lacks its names.
    """
    listing = folder / "dataset_dict.json"
    if listing.is_file():
        splits = json.loads(listing.read_bytes())["splits"]
        return [file for split in splits for file in _split_files(_inside(folder, split))]
    return _split_files(folder)


def arrow_folder_content(folder: str, root: str) -> list[str]:
    """Return all files in a folder of `save_to_disk`, sorted.

    Raises:
        InputError: A link in it leads out of `root`.
        OSError: It cannot be listed.
    """
    content: list[str] = []
    for parent, names, files in os.walk(folder, onerror=_raise):
        for name in (*names, *files):
            refuse_outside(os.path.join(parent, name), root)
        content += [os.path.join(parent, name) for name in files]
    return sorted(content)


def _split_files(folder: Path) -> list[Path]:
    state = json.loads((folder / "state.json").read_bytes())
    return [_inside(folder, entry["filename"]) for entry in state["_data_files"]]


def _inside(folder: Path, name: str) -> Path:
    if name in ("", ".", "..") or Path(name).name != name:
        raise ValueError(f"a file name {name!r} that is not a plain name")
    return folder / name


def _raise(error: OSError) -> None:
    raise error
