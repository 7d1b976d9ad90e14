"""Where the files of a config stand in a repository, and the `configs` of its card that lead `load_dataset` to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import yaml

from deepcoder_hf.errors import PublishError

DATA_FILE = re.compile(r"(?P<config>[^/]+)/(?P<split>\w+(?:\.\w+)*)-(?P<index>\d{5})-of-\d{5}\.parquet")
CONFIG_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}")
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def pattern_of(config_name: str, split: str) -> str:
    """The path pattern of a split's files in the repository."""
    return f"{config_name}/{split}-*.parquet"


def check_config_name(config_name: str) -> None:
    """Make sure that a config's name can be a folder and a config of `datasets`.

    Raises:
        PublishError: It cannot.
    """
    if not CONFIG_NAME.fullmatch(config_name) or config_name in ("assets", ".", ".."):
        raise PublishError(f"config {config_name!r}: expected a name of letters, digits and - _ . (not assets)")


def front_matter(readme: str | None) -> dict[str, Any]:
    """The YAML block at the head of a card; empty where there is none.

    Raises:
        PublishError: The block is not YAML: publishing over it would lose what it says.
    """
    block = _FRONT.match(readme or "")
    if block is None:
        return {}
    try:
        found = yaml.safe_load(block[1])
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise PublishError(
            f"README.md of the repository: its YAML block cannot be read: {problem}; repair it"
        ) from None
    return found if isinstance(found, dict) else {}


def config_entries(readme: str | None) -> list[dict[str, Any]]:
    """The entries under `configs` of a card, as they are."""
    entries = front_matter(readme).get("configs") or []
    return [entry for entry in entries if isinstance(entry, dict) and "config_name" in entry]


def split_patterns(entry: Mapping[str, Any]) -> dict[str, list[str]]:
    """Path patterns by split of a config's entry; `data_files` may be a pattern, a list or a list by split."""
    files = entry.get("data_files") or []
    found: dict[str, list[str]] = {}
    for item in [files] if isinstance(files, str | dict) else files:
        split, path = (item.get("split", "train"), item.get("path")) if isinstance(item, dict) else ("train", item)
        found.setdefault(str(split), []).extend([path] if isinstance(path, str) else list(path or []))
    return found


def files_of_config(readme: str | None, files: Iterable[str], config_name: str) -> dict[str, list[str]]:
    """The data files of a config by split, in order: what its folder holds, and what its card entry leads to.

    Files that another config's entry leads to are not among them.
    """
    entries = {str(entry["config_name"]): entry for entry in config_entries(readme)}
    own = split_patterns(entries.get(config_name, {}))
    others = [
        p for name, entry in entries.items() if name != config_name for ps in split_patterns(entry).values() for p in ps
    ]
    found: dict[str, list[str]] = {}
    for path in sorted(files):
        if any(fnmatchcase(path, pattern) for pattern in others):
            continue
        match = DATA_FILE.fullmatch(path)
        split = match["split"] if match and match["config"] == config_name else None
        for name, patterns in own.items():
            if split is None and path.endswith(".parquet") and any(fnmatchcase(path, pattern) for pattern in patterns):
                split = name
        if split is not None:
            found.setdefault(split, []).append(path)
    return found


def next_paths(config_name: str, split: str, existing: Iterable[str], n: int) -> list[str]:
    """Paths of `n` further shards of a split: they count on from those that are there, which keep their names."""
    indices = [int(match["index"]) for match in map(DATA_FILE.fullmatch, existing) if match and match["split"] == split]
    start = max(indices, default=-1) + 1
    return [f"{config_name}/{split}-{start + k:05d}-of-{start + n:05d}.parquet" for k in range(n)]


def all_configs(readme: str | None, config_name: str, splits: Iterable[str]) -> dict[str, dict[str, str]]:
    """Config -> split -> path pattern of the whole repository, with this config as it will be."""
    found = {
        str(entry["config_name"]): {split: paths[0] for split, paths in split_patterns(entry).items() if paths}
        for entry in config_entries(readme)
    }
    return found | {config_name: {split: pattern_of(config_name, split) for split in splits}}


def with_configs(readme: str, earlier: str | None, config_name: str, rows: Mapping[str, int]) -> str:
    """A card whose `configs` are those that stood there, this one among them; `default: true` stays where it is.

    Figures under `dataset_info` that are not those of the rows are taken out: `load_dataset` refuses a split whose
    number of rows differs from them.

    Args:
        readme: The new card.
        earlier: The card that stands in the repository.
        config_name: The config that is published.
        rows: Its rows by split.

    Returns:
        The card, the same text where nothing had to be changed.
    """
    data = front_matter(readme)
    configs = _merged(config_entries(earlier), config_name, rows)
    infos = data.get("dataset_info")
    kept = [
        info for info in ([infos] if isinstance(infos, dict) else infos or []) if _is_right(info, config_name, rows)
    ]
    wanted = dict(data) | {"configs": configs}
    if infos and not kept:
        del wanted["dataset_info"]
    elif infos and kept != infos and kept != [infos]:
        wanted["dataset_info"] = kept
    if wanted == data:
        return readme
    block = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{block}---\n{_FRONT.sub('', readme, count=1)}"


def _merged(earlier: list[dict[str, Any]], config_name: str, rows: Mapping[str, int]) -> list[dict[str, Any]]:
    files = [{"split": split, "path": pattern_of(config_name, split)} for split in rows]
    entries = [dict(entry) for entry in earlier]
    own = next((entry for entry in entries if str(entry["config_name"]) == config_name), None)
    if own is not None:
        own["data_files"] = files
        return entries
    has_default = config_name == "default" or any(
        entry.get("default") or str(entry["config_name"]) == "default" for entry in entries
    )
    if len(entries) == 1 and not has_default:
        entries[0]["default"] = True  # load_dataset(repo) goes on giving the config that it gave so far
    return [*entries, {"config_name": config_name, "data_files": files}]


def _is_right(info: Any, config_name: str, rows: Mapping[str, int]) -> bool:
    if not isinstance(info, dict) or str(info.get("config_name", "default")) != config_name:
        return True
    counts = {str(split.get("name")): split.get("num_examples") for split in info.get("splits") or []}
    return not counts or counts == dict(rows)
