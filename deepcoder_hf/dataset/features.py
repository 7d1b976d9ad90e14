"""The only definition of the columns: raw rows (what readers give) and SAD rows (what training takes).

Always pass these features when a dataset is written: without them masks become int64. SAD rows use no feature type
younger than datasets 4.0, so a published dataset loads there; the `Json` type of raw rows never leaves the cache.
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
from datasets import Features, Json, List, Value

RAW_FEATURES = Features(
    {
        "trajectory_id": Value("string"),
        "group_id": Value("string"),
        "source_format": Value("string"),
        "source_path": Value("string"),
        "line": Value("int64"),
        "part": Value("int32"),
        "trajectory": Json(),
        "reject_reason": Value("string"),
        "reject_message": Value("string"),
    }
)
"""A trajectory as its reader understood it; where `reject_reason` is set, `trajectory` is
`{"excerpt", "characters"}`: the beginning of the raw record, and how long it is.

`part` numbers the trajectories of one record from 0: a session may hold several."""

SPAN_FEATURES = {
    "span_type": Value("string"),
    "subtype": Value("string"),
    "start_token": Value("int32"),
    "end_token": Value("int32"),
    "start_char": Value("int32"),
    "end_char": Value("int32"),
    "confidence": Value("float32"),
    "origin": Value("string"),
    "step_id": Value("int32"),
    "pattern": Value("string"),
}

QUALITY_COLUMNS = ("reasoning", "action", "observation", "answer", "other", "mean_confidence")

SAD_FEATURES = Features(
    {
        "trajectory_id": Value("string"),
        "group_id": Value("string"),
        "window": {"index": Value("int32"), "n": Value("int32"), "start_step": Value("int32")},
        "length": Value("int32"),
        "input_ids": List(Value("int32")),
        "attention_mask": List(Value("int8")),
        "token_types": List(Value("int8")),
        "reasoning_mask": List(Value("int8")),
        "action_mask": List(Value("int8")),
        "labels": List(Value("int32")),
        "spans": List(SPAN_FEATURES),
        "text": Value("string"),
        "original_text": Value("string"),
        "quality": {name: Value("float32") for name in QUALITY_COLUMNS},
        "row_weight": Value("float32"),
        "metadata": Value("string"),
    }
)
"""One training row. Per-token columns have length T = `length`; they are unshifted, the trainer shifts."""

OUTCOME_FEATURES = {
    "status": Value("string"),
    "reason": Value("string"),
    "message": Value("string"),
    "source_path": Value("string"),
    "line": Value("int64"),
    "part": Value("int32"),
    "source_format": Value("string"),
    "first": Value("bool"),
    "text_hash": Value("int64"),
    "excerpt": Value("string"),
    "n_trained": Value("int32"),
    "n_straddled": Value("int32"),
    "n_replaced": Value("int32"),
    "has_thinking": Value("bool"),
    "by_reference": Value("bool"),
    "ledger": List(Value("int64")),
}
"""What became of a trajectory: `kept`, `dropped` (a filter) or `failed`; one entry a row, `first` on its first row.

`ledger` holds the counts of dataset/ledger.py."""

SHARD_FEATURES = Features({**SAD_FEATURES, "outcome": OUTCOME_FEATURES})
"""SAD rows as they stand in the cache: with their outcome, those of dropped and failed records among them."""


@lru_cache(maxsize=1)
def sad_schema() -> pa.Schema:
    """Arrow schema of `SAD_FEATURES`, with the metadata that lets `datasets` restore them."""
    return SAD_FEATURES.arrow_schema


@lru_cache(maxsize=1)
def shard_schema() -> pa.Schema:
    """Arrow schema of `SHARD_FEATURES`."""
    return SHARD_FEATURES.arrow_schema


@lru_cache(maxsize=1)
def raw_schema() -> pa.Schema:
    """Arrow schema of `RAW_FEATURES`."""
    return RAW_FEATURES.arrow_schema
