"""The columns of a dataset with their types and meanings, as the card lists them."""

from __future__ import annotations

from typing import Any

from datasets import Features

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.publish.card_text import code, table

MEANINGS = {
    "trajectory_id": "id of the source, or a hash of its content",
    "group_id": "the problem where it is known, else the trajectory: splits never divide a group",
    "window": "which window of a long trajectory this is: number, how many there are, first step; 0, 1, 0 otherwise",
    "length": "T, the number of tokens",
    "input_ids": "T tokens, special tokens included",
    "attention_mask": "1 for every token: no padding is stored",
    "token_types": "0 other, 1 reasoning, 2 action, 3 observation, 4 answer",
    "reasoning_mask": "1 where a token is trained as reasoning",
    "action_mask": "1 where a token is trained as action; never where `reasoning_mask` is",
    "labels": "the token where it is trained, else -100; not shifted",
    "spans": "a partition of the text: type, place in tokens and characters (half-open), confidence, and why",
    "text": "exactly what was tokenised",
    "original_text": "text of the source, where it differs from `text`",
    "quality": "share of each type among the tokens, and mean confidence of the spans",
    "row_weight": "weight of the row in training",
    "metadata": "JSON: source, licence, tokenizer and digest, rendering, mask settings, what became of each character",
}
"""What each column of `SAD_FEATURES` means."""
TEACHER_MEANINGS = {
    "token_weights": "weight of each token in the loss",
    "teacher_topk_ids": "likeliest tokens of the teacher at each token",
    "teacher_topk_logprobs": "their log-probabilities",
    "teacher_logprobs": "log-probability of each token under the teacher",
}
"""Columns that may stand beside them."""


def columns_section(features: Features) -> str:
    """Columns with type and meaning, in the order of the definition; columns that are not in it come last.

    Args:
        features: Features of the dataset.

    Raises:
        KeyError: A column of `SAD_FEATURES` has no meaning here.
    """
    rows = [[code(name), type_name(SAD_FEATURES[name]), MEANINGS[name]] for name in SAD_FEATURES]
    for name in features:
        if name not in SAD_FEATURES:
            meaning = TEACHER_MEANINGS.get(name, "added by the publisher")
            rows.append([code(name), type_name(features[name]), meaning])
    return f"## Columns\n\n{table(('column', 'type', 'meaning'), rows)}"


def type_name(feature: Any) -> str:
    """The type of a feature in words: `list of int32`, `struct of index int32, n int32`."""
    if isinstance(feature, dict):
        return "struct of " + ", ".join(f"{code(name)} {type_name(inner)}" for name, inner in feature.items())
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if inner is not None:
        return f"list of {type_name(inner)}"
    return str(getattr(feature, "dtype", None) or code(type(feature).__name__))
