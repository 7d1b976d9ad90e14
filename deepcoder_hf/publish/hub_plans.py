"""The three changes that publishing makes to a config: its rows replaced, rows appended, trajectories removed."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset, concatenate_datasets, load_dataset

from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.errors import PublishError, SchemaError
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.commit import Addition, Plan
from deepcoder_hf.publish.hub_card import CardOptions, card_of
from deepcoder_hf.publish.hub_layout import files_of_config, next_paths
from deepcoder_hf.publish.hub_repo import Head, Repo
from deepcoder_hf.publish.parquet import BATCH_ROWS, MAX_SHARD_BYTES, write_parquet, write_shards

HISTORY = (
    "earlier commits and tags still hold the removed rows: rewrite the history (HfApi.super_squash_history, and delete "
    "the tags) or delete the repository where they must be gone"
)


def n_rows_of(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    return int(pq.read_metadata(path).num_rows)


def tokenizer_of(rows: Dataset) -> str | None:
    """The digest of the tokenizer that the first row names (`name@digest`): the same one may stand at another path."""
    found = json.loads(rows[0]["metadata"]).get("tokenizer")
    return str(found).rpartition("@")[2] if found is not None else None


@dataclass(slots=True)
class Replace:
    """A config becomes exactly the rows of the bundle; other configs stay as they are."""

    bundle: Bundle
    card: CardOptions
    work: Path
    shards: Mapping[str, list[Path]] | None = None

    def __call__(self, head: Head) -> Plan:
        folder = self.work / "new"
        if self.shards is None:  # the rows do not depend on the head: written once
            self.shards = write_parquet(self.bundle, folder, self.card.config_name, MAX_SHARD_BYTES)
        files = [file for found in self.shards.values() for file in found]
        data = [Addition(file.relative_to(folder).as_posix(), file, n_rows_of(file)) for file in files]
        old = files_of_config(head.readme, head.files, self.card.config_name)
        new = {addition.path for addition in data}
        gone = [path for paths in old.values() for path in paths if path not in new]
        return Plan(
            additions=[*data, *card_of(self.bundle, head, self.card)],
            deletions=gone,
            n_rows=sum(map(len, self.bundle.splits.values())),
        )


def check_layout(old: Published, card: CardOptions) -> None:
    """Shards are added and rewritten only in the config's own folder, to which its entry on the card will lead.

    Raises:
        PublishError: The config has files elsewhere, as other tools put them.
    """
    elsewhere = [path for paths in old.paths.values() for path in paths if not path.startswith(f"{card.config_name}/")]
    if elsewhere:
        raise PublishError(
            f"config {card.config_name!r} of {card.repo_id} has files outside of its folder ({elsewhere[0]}): publish "
            "the whole dataset once, without --append and --remove"
        )


@dataclass(slots=True)
class Append:
    """New trajectories stand in new shards after those of the config; the old shards are not touched."""

    bundle: Bundle
    card: CardOptions
    repo: Repo

    def __call__(self, head: Head) -> Plan:
        """Make the plan: rows whose trajectory the config has already are left out and counted."""
        old = Published(self.repo, head, self.card.config_name)
        check_layout(old, self.card)
        self._check_kind(old)
        known = old.trajectory_ids()
        new = {split: without(rows, known) for split, rows in self.bundle.splits.items()}
        n_new = sum(map(len, new.values()))
        n_skipped = sum(map(len, self.bundle.splits.values())) - n_new
        n_old = sum(map(len, old.splits.values()))
        if not n_new:
            return Plan(n_rows=n_old, n_skipped=n_skipped, notes=["every trajectory is there already"])
        new = {split: rows for split, rows in new.items() if len(rows)}
        folder = self.repo.work / "append" / (head.oid or "empty")
        shards = write_parquet(Bundle(new), folder, self.card.config_name, MAX_SHARD_BYTES)
        data = [
            Addition(path, file, n_rows_of(file))
            for split, files in shards.items()
            for path, file in zip(
                next_paths(self.card.config_name, split, old.paths.get(split, []), len(files)), files, strict=True
            )
        ]
        whole = old.splits | {
            split: concatenate_datasets([old.splits[split], rows]) if split in old.splits else rows
            for split, rows in new.items()
        }
        bundle = Bundle(whole, {**self.bundle.report, "appended_rows": n_new})
        return Plan([*data, *card_of(bundle, head, self.card)], n_rows=n_old + n_new, n_skipped=n_skipped)

    def _check_kind(self, old: Published) -> None:
        """Rows of one config have the same columns and the same tokenizer."""
        first = next(iter(self.bundle.splits.values()))
        for split, rows in old.splits.items():
            place = f"config {self.card.config_name!r} of {self.card.repo_id}, split {split}"
            if rows.features != first.features:
                names = sorted(set(rows.column_names) ^ set(first.column_names))
                raise SchemaError(f"{place}: its columns are not those of the new rows: {', '.join(names) or 'types'}")
            if (there := tokenizer_of(rows)) != (here := tokenizer_of(first)):
                raise PublishError(
                    f"{place}: its rows are of tokenizer {there}, the new ones of {here}: publish another config"
                )


@dataclass(slots=True)
class Remove:
    """Trajectories leave a config: only shards that hold them are written again."""

    ids: Collection[str]
    card: CardOptions
    repo: Repo

    def __call__(self, head: Head) -> Plan:
        """Make the plan.

        Raises:
            PublishError: An id is not in the config, or nothing would be left of it.
        """
        old = Published(self.repo, head, self.card.config_name)
        check_layout(old, self.card)
        place = f"config {self.card.config_name!r} of {self.card.repo_id}"
        if missing := sorted(set(self.ids) - old.trajectory_ids()):
            shown = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5:,} more" if len(missing) > 5 else "")
            raise PublishError(f"{place} holds no trajectory {shown}: nothing was changed")
        left = {split: rows for split, full in old.splits.items() if len(rows := without(full, self.ids))}
        if not left:
            raise PublishError(f"{place} would be empty: delete the config's files or the repository instead")
        additions, deletions = [], []
        for path, file in old.files():
            rewritten = self._rewritten(path, file, head)
            if rewritten is None:
                deletions.append(path)
            elif rewritten is not file:
                additions.append(Addition(path, rewritten, n_rows_of(rewritten)))
        n_left = sum(map(len, left.values()))
        return Plan(
            additions=[*additions, *card_of(Bundle(left), head, self.card)],
            deletions=deletions,
            n_rows=n_left,
            n_removed=sum(map(len, old.splits.values())) - n_left,
            notes=[HISTORY],
        )

    def _rewritten(self, path: str, file: Path, head: Head) -> Path | None:
        """The shard without the trajectories: itself where it holds none of them, None where nothing is left."""
        ids = pa.array(sorted(set(self.ids)), pa.string())
        column = pq.read_table(file, columns=["trajectory_id"])["trajectory_id"]
        n_found = pc.sum(pc.is_in(column, ids)).as_py() or 0
        if not n_found:
            return file
        if n_found == len(column):
            return None
        target = self.repo.work / "remove" / head.oid / path
        target.parent.mkdir(parents=True, exist_ok=True)

        def kept() -> Iterator[pa.Table]:
            for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
                table = pa.Table.from_batches([batch])
                yield table.filter(pc.invert(pc.is_in(table["trajectory_id"], ids)))

        schema = pq.read_schema(file)
        (written,) = write_shards(kept(), schema, target.parent, target.stem, sys.maxsize)
        return written.replace(target)


class Published:
    """The rows of a config as they stand at a head, on this machine."""

    def __init__(self, repo: Repo, head: Head, config_name: str) -> None:
        self.paths = files_of_config(head.readme, head.files, config_name)
        self.local = {split: repo.download(head, paths) for split, paths in self.paths.items()}
        cache = repo.work / "cache" / (head.oid or "empty")
        self.splits = {split: _read(files, cache / split) for split, files in self.local.items()}

    def files(self) -> Iterator[tuple[str, Path]]:
        """Path in the repository and file of each shard."""
        for split, paths in self.paths.items():
            yield from zip(paths, self.local[split], strict=True)

    def trajectory_ids(self) -> set[str]:
        """Every trajectory of the config, whatever its split."""
        found: set[str] = set()
        for _, file in self.files():
            found.update(pq.read_table(file, columns=["trajectory_id"])["trajectory_id"].to_pylist())
        return found


def _read(files: list[Path], cache: Path) -> Dataset:
    """Shards as one dataset; its Arrow copy goes to the work folder, not to the user's cache."""
    with quiet():
        return load_dataset("parquet", data_files=[str(file) for file in files], split="train", cache_dir=str(cache))


def without(rows: Dataset, ids: Collection[str]) -> Dataset:
    """The rows whose trajectory is not among `ids`, in order."""
    column = rows.with_format("arrow").select_columns(["trajectory_id"])[:]["trajectory_id"]
    keep = pc.invert(pc.is_in(column, pa.array(sorted(ids), pa.string())))
    return rows.select(pc.indices_nonzero(keep).to_pylist())
