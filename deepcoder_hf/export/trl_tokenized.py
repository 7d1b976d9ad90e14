"""TRL, pre-tokenised: `input_ids` and `labels`, which SFTTrainer (TRL 1.16) uses as they are; from a SAD dataset.

`assistant_masks` says the same for versions that build the labels themselves. Labels are not shifted, the model shifts.
Set `max_length` of SFTConfig to that of the rows (its default of 1,024 tokens cuts), and leave `packing` as you like.

Not held: which trained tokens are reasoning and which action, weights of rows and tokens.
"""

from __future__ import annotations

from typing import Any

from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.sad_rows import Row, ids_of, tokens_of

INPUT = "rows"
SUFFIXES = ("jsonl", "parquet")
COLUMNS = {"input_ids": "int32", "labels": "int32", "assistant_masks": "int8"}


def export(row: Row, losses: Losses) -> dict[str, Any]:
    """One row of a SAD dataset as a row for TRL.

    Raises:
        RecordError: It is damaged, or trains nothing.
    """
    tokens = tokens_of(row, losses)
    return {
        "input_ids": tokens.input_ids,
        "labels": tokens.labels,
        "assistant_masks": tokens.trained,
        **ids_of(row),
    }
