"""load_sad: rows of a SAD dataset, published or local, with exactly the types that they were made with."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Dataset, DatasetDict, Features, ReadInstruction, load_dataset, load_dataset_builder, load_from_disk
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from datasets.packaged_modules.cache.cache import Cache
from huggingface_hub import DatasetCard, HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.load import read_rows
from deepcoder_hf.errors import ConfigError, DeepcoderError, InputError, SchemaError

CARD = "README.md"
EXPECTED = "expected a dataset on the Hub (owner/name), or a dataset folder, .parquet or .jsonl that `process` wrote"


def load_sad(
    path_or_repo: str | Path,
    *,
    name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    columns: Sequence[str] | None = None,
) -> Any:
    """Load SAD rows from the Hub or from here, their columns checked and typed as `SAD_FEATURES`.

    What exists here is taken from here; any other name is one of the Hub. Rows come through the caches of `datasets`:
    the second time, in any process and with HF_HUB_OFFLINE=1 too, from the Arrow file. Integers of other widths (as in
    another tool's Parquet) are cast, once and cached; teacher columns and any others stay as they are, behind those of
    a SAD row.

    Args:
        path_or_repo: `owner/name` of a dataset on the Hub; or a dataset folder, Parquet, JSONL, or a folder of Parquet,
            a clone of a published dataset among them.
        name: Configuration of a published dataset (one a tokenizer); None takes its default.
        split: Split, or a part of one such as `train[:10%]`; None loads all.
        revision: Branch, tag or commit on the Hub.
        streaming: Read while iterating, and download and cache nothing.
        columns: The columns to load, in this order; None loads all, and all of `SAD_FEATURES` must be there.

    Returns:
        A `Dataset`, or an `IterableDataset` when streaming. Without `split`, a published dataset and a folder of
        several splits give a `DatasetDict` (`IterableDatasetDict`); one file or folder of rows gives its rows.

    Raises:
        InputError: There is no such dataset, configuration, split or revision, or the Hub cannot be reached and the
            dataset is not in the cache.
        SchemaError: Columns are missing, or hold something else than a SAD row does.
        ConfigError: `revision` or `name` is given for rows that have none.

    Example:
        >>> rows = load_sad("deepcoder/sad", split="train", columns=["input_ids", "labels"])  # doctest: +SKIP
    """
    with _explained(str(path_or_repo), name, revision), quiet():
        found = _find(path_or_repo, name, split, revision, streaming)
        if isinstance(found, Mapping):
            typed = {key: _typed(rows, f"{path_or_repo}, split {key}", columns) for key, rows in found.items()}
            kind: Any = type(found)
            return kind(typed)
        return _typed(found, str(path_or_repo), columns)


def _find(source: str | Path, name: str | None, split: str | None, revision: str | None, streaming: bool) -> Any:
    """Rows as they are stored, of one split or of all."""
    path = Path(source).expanduser()
    if not path.exists():
        _check_name(source)
        return _published(str(source), name, split, revision, streaming)
    if revision is not None:
        raise ConfigError(f"revision {revision!r}: {source} is here, and only a dataset on the Hub has revisions")
    if _is_published(path):
        return load_dataset(str(path), name, split=split, streaming=streaming)
    if name is not None:
        raise ConfigError(f"name {name!r}: {source} is one set of rows; a published dataset has configurations")
    if (path / "dataset_dict.json").is_file():
        return _part(load_from_disk(str(path)), split, streaming)
    if streaming and path.suffix == ".parquet":
        rows = load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        return _part(DatasetDict(), split, streaming) if split not in (None, "train") else rows
    rows = read_rows(path)
    return _part(DatasetDict(train=rows), split or "train", streaming)


def _is_published(path: Path) -> bool:
    """A folder as it stands on the Hub: a card with its configurations, or Parquet in folders of splits."""
    if not path.is_dir() or any((path / file).exists() for file in ("state.json", "dataset_dict.json")):
        return False
    return (path / "README.md").exists() or (not any(path.glob("*.parquet")) and any(path.glob("*/*.parquet")))


def _part(splits: DatasetDict, split: str | None, streaming: bool) -> Any:
    """A split or a part of one; all of them for None."""
    if streaming:
        if split is not None and split not in splits:
            raise ValueError(f"Unknown split {split!r}; streamed are {', '.join(splits) or 'train'}, whole")
        streams = {key: rows.to_iterable_dataset() for key, rows in splits.items()}
        return datasets.IterableDatasetDict(streams) if split is None else streams[split]
    if split is None:
        return splits
    if split in splits:
        return splits[split]
    sizes = {key: len(rows) for key, rows in splits.items()}
    parts = [
        splits[part.splitname].select(range(part.from_, part.to))
        for part in ReadInstruction.from_spec(split).to_absolute(sizes)
    ]
    return datasets.concatenate_datasets(parts)


def _check_name(source: str | Path) -> None:
    """A path that is not there must not be asked for on the Hub."""
    is_repo = re.fullmatch(r"\w[\w.-]*/[\w.-]+", str(source)) and not isinstance(source, Path)
    if not is_repo or str(source).endswith((".parquet", ".jsonl")):
        raise InputError(f"{source} does not exist; {EXPECTED}")


def _published(repo: str, name: str | None, split: str | None, revision: str | None, streaming: bool) -> Any:
    """Rows of a commit of the Hub.

    Where the Hub cannot be reached, `load_dataset` takes the newest rows of its cache, whatever `revision` says; here
    they are those of the commit that the revision last was, or an error.
    """
    commit = _commit(repo, revision)
    builder = _cached(repo, name or _default_name(repo, commit), commit)
    offline = datasets.config.HF_HUB_OFFLINE
    if not offline and (streaming or builder is None):
        builder = load_dataset_builder(repo, name, revision=commit)
    if builder is None or builder.hash != commit:
        raise ConnectionError(f"commit {commit[:12]}{f', configuration {name!r}' if name else ''}")
    if streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def _commit(repo: str, revision: str | None) -> str:
    """The commit that a revision is, or was when the Hub was last asked."""
    try:
        card = hf_hub_download(repo, CARD, repo_type="dataset", revision=revision)
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError:
        return str(HfApi().dataset_info(repo, revision=revision).sha)
    return Path(card).parent.name


def _cached(repo: str, name: str, commit: str) -> Any:
    """What builds the rows from the Arrow files of one commit in the cache; None where they are not there."""
    builder = Cache(repo_id=repo, dataset_name=repo.split("/")[1], config_name=name, version="0.0.0", hash=commit)
    return builder if Path(builder.cache_dir).is_dir() else None


def _default_name(repo: str, commit: str) -> str:
    """The configuration that stands for none, as the card says it."""
    try:
        card = hf_hub_download(repo, CARD, repo_type="dataset", revision=commit, local_files_only=True)
    except LocalEntryNotFoundError:
        return "default"  # no card names any
    configs = DatasetCard.load(card, ignore_metadata_errors=True).data.to_dict().get("configs") or []
    names = [config["config_name"] for config in configs]
    chosen = [config["config_name"] for config in configs if config.get("default")]
    return str(chosen[0] if chosen else names[0] if len(names) == 1 else "default")


@contextlib.contextmanager
def _explained(source: str, name: str | None, revision: str | None) -> Iterator[None]:
    """Every way in which `datasets` and the Hub refuse, as one line that says what to do."""
    try:
        yield
    except DeepcoderError:
        raise
    except RevisionNotFoundError:
        problem = f"the dataset has no revision {revision!r} on the Hub; give a branch, a tag or a commit of it"
    except GatedRepoError as error:
        problem = f"access must be asked for on the Hub: {_line(error)}"
    except (RepositoryNotFoundError, DatasetNotFoundError):
        problem = f"it is neither here nor a dataset on the Hub that you may see (hf auth login); {EXPECTED}"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        at = f" at revision {revision}" if revision else ""
        problem = (
            f"the Hub cannot be reached, and the dataset{at} is not in the cache; load it once with a network "
            f"({_line(error)})"
        )
    except HfHubHTTPError as error:
        problem = f"the Hub refused: {_line(error)}"
    except DatasetGenerationError as error:
        problem = f"it cannot be read: {_line(error.__cause__ or error)}; {EXPECTED}"
    except (FileNotFoundError, pa.ArrowException, datasets.table.CastError) as error:
        problem = f"it cannot be read: {_line(error)}; {EXPECTED}"
    except (ValueError, RuntimeError) as error:
        problem = _line(error)
    except Exception as error:
        if not type(error).__module__.startswith(("httpx", "httpcore")):  # huggingface_hub and datasets use two of them
            raise
        problem = f"the connection to the Hub broke: {_line(error)}; try again"
    else:
        return
    raise InputError(f"{source}{f', configuration {name!r}' if name else ''}: {problem}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _typed(rows: Any, where: str, columns: Sequence[str] | None) -> Any:
    """The rows with the columns asked for, in the types of `SAD_FEATURES`; untouched where they have them."""
    there = rows.features
    if there is None:  # a stream that does not say: its first row does
        there = Dataset.from_list([first]).features if (first := next(iter(rows), None)) else Features(SAD_FEATURES)
    wanted = list(dict.fromkeys(columns if columns is not None else [*SAD_FEATURES, *there]))
    missing = [name for name in wanted if name not in there]
    if missing:
        raise SchemaError(
            f"{where}: expected the columns of a SAD dataset, missing: {', '.join(missing)}; there are "
            f"{', '.join(there)}. Make it with `deepcoder-hf process`, or name the columns to load with columns="
        )
    target = Features({name: SAD_FEATURES.get(name, there[name]) for name in wanted})
    schemas = [features.arrow_schema for features in (there, target)]
    kinds = {name: [schema.field(name).type for schema in schemas] for name in wanted}
    wrong = [name for name, (came, expected) in kinds.items() if not _fits(came, expected)]
    if wrong:
        name = wrong[0]
        raise SchemaError(
            f"{where}: column {name}: expected {kinds[name][1]}, got {kinds[name][0]}; such values cannot be cast "
            "without loss"
        )
    if wanted != list(there):
        rows = rows.select_columns(wanted)
    if {name: there[name] for name in wanted} == dict(target):
        return rows
    try:
        return rows.cast(target)
    except (pa.ArrowException, datasets.table.CastError) as error:
        raise SchemaError(f"{where}: a value does not fit the column's type in a SAD row: {_line(error)}") from None


def _fits(came: Any, expected: Any) -> bool:
    """Whether a type can be cast with every value kept (or refused by Arrow, where an integer is too large)."""
    types = pa.types
    if came == expected or types.is_null(came):
        return True
    if _is_list(came) and _is_list(expected):
        return _fits(came.value_type, expected.value_type)
    if types.is_struct(came) and types.is_struct(expected):
        of_came, of_expected = ({field.name: field.type for field in kind} for kind in (came, expected))
        return of_came.keys() == of_expected.keys() and all(_fits(of_came[n], of_expected[n]) for n in of_came)
    if types.is_integer(expected):
        return bool(types.is_integer(came) or types.is_boolean(came))
    if types.is_floating(expected):
        return bool(types.is_floating(came))
    return bool(types.is_string(expected) and types.is_large_string(came))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
