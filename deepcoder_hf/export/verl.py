"""verl multi-turn: prompts, responses, response_mask, input_ids, attention_mask, position_ids; from a SAD dataset.

The prompt is everything before the first trained token (empty where the row begins with one); the response is the rest,
observations included, with `response_mask` 1 on trained tokens and 0 on all others, as in the output of verl's agent
loop. Nothing is padded: `prompts + responses == input_ids`. `loss_mask` is that mask over the whole row, for supervised
training.

Not held: which trained tokens are reasoning and which action, weights of rows and tokens.
"""

from __future__ import annotations

from typing import Any

from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.sad_rows import Row, ids_of, tokens_of

INPUT = "rows"
SUFFIXES = ("parquet", "jsonl")
COLUMNS = {
    "prompts": "int32",
    "responses": "int32",
    "response_mask": "int8",
    "input_ids": "int32",
    "attention_mask": "int8",
    "position_ids": "int32",
    "loss_mask": "int8",
}


def export(row: Row, losses: Losses) -> dict[str, Any]:
    """One row of a SAD dataset as a row of prompt and response.

    Raises:
        RecordError: It is damaged, or trains nothing.
    """
    tokens = tokens_of(row, losses)
    first, n_tokens = tokens.trained.index(1), len(tokens.input_ids)
    return {
        "prompts": tokens.input_ids[:first],
        "responses": tokens.input_ids[first:],
        "response_mask": tokens.trained[first:],
        "input_ids": tokens.input_ids,
        "attention_mask": [1] * n_tokens,
        "position_ids": list(range(n_tokens)),
        "loss_mask": tokens.trained,
        **ids_of(row),
    }
