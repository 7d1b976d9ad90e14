"""What a batch of published rows costs: SadCollator on Arrow, through Python lists, and through with_format("torch").

    python benchmarks/collate_speed.py [--rows 8] [--tokens 3000] [--batches 60]

Rows of about 3,000 tokens are written as Parquet, loaded with `load_sad`, and fetched as a DataLoader fetches them:
`dataset.__getitems__` with shuffled indices, then the collator. All ways read the same columns and give the same
values, which is checked first. Each way is timed in turn, batch by batch, so that a busy machine slows all of them;
medians and the quartiles of the ratios of the rounds are printed. Needs torch (extra bench).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

N_ROWS = 512
MODEL_COLUMNS = ("input_ids", "attention_mask", "labels")
ALL_COLUMNS = (*MODEL_COLUMNS, "reasoning_mask", "action_mask", "token_types")
TYPES = 5
Way = Callable[[list[int]], dict[str, Any]]


def write_rows(path: Path, n_tokens: int) -> None:
    """SAD rows of random ids and runs of types, as Parquet with the features that are published."""
    from datasets import Dataset

    from deepcoder_hf.dataset.features import sad_schema

    rng = np.random.default_rng(0)
    rows = []
    for number in range(N_ROWS):
        n = int(rng.integers(int(n_tokens * 0.97), int(n_tokens * 1.03) + 1))
        ids = rng.integers(0, 151_643, n).astype(np.int32)
        kinds = np.repeat(rng.integers(0, TYPES, n // 40 + 1), 40)[:n].astype(np.int8)
        masks = {"reasoning_mask": (kinds == 1).astype(np.int8), "action_mask": (kinds == 2).astype(np.int8)}
        trained = (masks["reasoning_mask"] + masks["action_mask"]) == 1
        rows.append(
            {
                "trajectory_id": f"row-{number}", "group_id": f"row-{number}", "row_weight": 1.0, "length": n,
                "window": {"index": 0, "n": 1, "start_step": 0}, "input_ids": ids, "token_types": kinds, **masks,
                "attention_mask": np.ones(n, np.int8), "labels": np.where(trained, ids, -100).astype(np.int32),
                "spans": [], "text": "word " * n, "original_text": None, "metadata": "{}", "quality": None,
            }
        )  # fmt: skip
    Dataset(pa.Table.from_pylist(rows, sad_schema())).to_parquet(str(path))


def ways(dataset: Any, columns: tuple[str, ...]) -> dict[str, Way]:
    """The ways to fetch and collate a batch, by name; ours first."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from deepcoder_hf.training.batches import ArrowRows
    from deepcoder_hf.training.collator import SadCollator

    chosen = dataset.select_columns(list(columns))
    rows, formatted = ArrowRows.of(chosen), chosen.with_format("torch")
    collator = SadCollator(0, columns=columns)
    fills = {"labels": -100}

    def padded(tensors: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            name: pad_sequence([row[name] for row in tensors], batch_first=True, padding_value=fills.get(name, 0))
            for name in columns
        }

    def through_lists(keys: list[int]) -> dict[str, Any]:
        batch = chosen.__getitems__(keys)
        return padded([{name: torch.tensor(row[name]) for name in columns} for row in batch])

    found: dict[str, Way] = {
        "SadCollator on ArrowRows": lambda keys: collator(rows.__getitems__(keys)),
        "Python lists, torch.tensor, pad_sequence": through_lists,
        'with_format("torch"), pad_sequence': lambda keys: padded(formatted.__getitems__(keys)),
    }
    if columns == MODEL_COLUMNS:
        found["Python lists, DataCollatorForSeq2Seq"] = with_transformers(chosen)
    return found


def with_transformers(dataset: Any) -> Way:
    """Lists through the collator that transformers has for rows with labels."""
    from tokenizers import Tokenizer, models
    from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"<pad>": 0}, unk_token="<pad>"))
    names = ["input_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", model_input_names=names)
    tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
    collator = DataCollatorForSeq2Seq(tokenizer)
    return lambda keys: dict(collator(dataset.__getitems__(keys)))


def check(found: dict[str, Way], keys: list[int]) -> None:
    """All ways give the same values."""
    import torch

    first, *others = ((name, way(keys)) for name, way in found.items())
    for name, batch in others:
        for column, tensor in first[1].items():
            if not torch.equal(tensor.long(), batch[column].long()):
                raise SystemExit(f"{name}: {column} differs from what {first[0]} gives")


def times(found: dict[str, Way], batches: list[list[int]]) -> dict[str, list[float]]:
    """Seconds of each batch, by way; the first three rounds warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for number, keys in enumerate(batches):
        for name, way in found.items():
            started = time.perf_counter()
            way(keys)
            if number >= 3:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def show(title: str, seconds: dict[str, list[float]]) -> None:
    """Print the medians and how many times as long as ours each way takes."""
    print(f"\n{title}\n{'':44}{'ms a batch':>12}{'ratio':>8}{'quartiles':>16}")
    ours = next(iter(seconds.values()))
    for name, measured in seconds.items():
        ratios = sorted(other / mine for other, mine in zip(measured, ours, strict=True))
        low, _, high = statistics.quantiles(ratios, n=4)
        ratio = statistics.median(ratios)
        print(f"{name:44}{1e3 * statistics.median(measured):12.2f}{ratio:8.1f}{f'{low:.1f} to {high:.1f}':>16}")


def main() -> None:
    """Write, load, check and time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=8, help="rows of a batch")
    parser.add_argument("--tokens", type=int, default=3000, help="tokens of a row, give or take 3 %%")
    parser.add_argument("--batches", type=int, default=60, help="batches that are timed")
    options = parser.parse_args()
    import datasets

    from deepcoder_hf.dataset.sad import load_sad

    with tempfile.TemporaryDirectory() as folder:
        datasets.config.HF_DATASETS_CACHE = Path(folder) / "cache"
        datasets.disable_progress_bars()
        path = Path(folder) / "train.parquet"
        write_rows(path, options.tokens)
        dataset = load_sad(path)
        print(f"batches of {options.rows} of {N_ROWS} rows of about {options.tokens:,} tokens, {path.name}")
        rng = np.random.default_rng(1)
        batches = [rng.permutation(N_ROWS)[: options.rows].tolist() for _ in range(options.batches + 3)]
        for title, columns in (("for a model", MODEL_COLUMNS), ("with masks and types", ALL_COLUMNS)):
            found = ways(dataset, columns)
            check(found, batches[0])
            show(f"{title}: {', '.join(columns)}", times(found, batches))


if __name__ == "__main__":
    main()
