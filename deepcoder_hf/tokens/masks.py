"""Typed token ranges -> token types and masks: what is trained, as what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.spans.types import TYPE_IDS

Int8 = npt.NDArray[np.int8]
UNTRAINED, AS_REASONING, AS_ACTION, LABEL_ONLY = range(4)
"""How a span is trained: not at all, in reasoning_mask, in action_mask, or in labels without a mask."""


@dataclass(frozen=True, slots=True)
class TokenMasks:
    """Per-token columns, flat over all rows, all of the same length N."""

    token_types: Int8
    reasoning_mask: Int8
    action_mask: Int8
    labels: npt.NDArray[np.int32]


def training_of(kinds: Int8, is_preamble: npt.NDArray[np.bool_], config: MasksConfig) -> Int8:
    """How each span is trained.

    Args:
        kinds: Type ids, int8 [S].
        is_preamble: Whether a span is visible text before a call, bool [S].
        config: The mask settings.

    Returns:
        UNTRAINED, AS_REASONING, AS_ACTION or LABEL_ONLY, int8 [S].
    """
    answer = {"action": AS_ACTION, "own": LABEL_ONLY, "none": UNTRAINED}[config.answer]
    preamble = {"reasoning": AS_REASONING, "action": AS_ACTION, "none": UNTRAINED}[config.preamble]
    by_type = np.zeros(len(TYPE_IDS), np.int8)
    by_type[TYPE_IDS["reasoning"]], by_type[TYPE_IDS["action"]] = AS_REASONING, AS_ACTION
    by_type[TYPE_IDS["answer"]] = answer
    training = by_type[kinds]
    training[is_preamble & (kinds == TYPE_IDS["reasoning"])] = preamble
    return training


def token_masks(
    input_ids: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    kinds: Int8,
    training: Int8,
) -> TokenMasks:
    """Mark what each token is and how it is trained.

    Args:
        input_ids: int32 [N], special tokens included.
        first: First token of each span in `input_ids`, int64 [S], sorted.
        last: Token after the last one, int64 [S]; ranges do not overlap.
        kinds: Type ids, int8 [S].
        training: From `training_of`, int8 [S].

    Returns:
        Columns of length N; a token in no span is of type other and is not trained.

    Source: SAD, arXiv 2505.13820, section 3: disjoint reasoning and action masks, observations in none. Deviation:
        answers are grouped with actions by default and can be kept apart.
    """
    n_tokens = input_ids.size
    types = _spread(kinds, first, last, n_tokens)
    trained = _spread(training, first, last, n_tokens)
    return TokenMasks(
        token_types=types,
        reasoning_mask=(trained == AS_REASONING).view(np.int8),
        action_mask=(trained == AS_ACTION).view(np.int8),
        labels=np.where(trained != UNTRAINED, input_ids, np.int32(-100)),
    )


def _spread(values: Int8, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], n_tokens: int) -> Int8:
    """Write each span's value on its tokens, and 0 between."""
    edges = np.empty(2 * first.size, np.int64)
    edges[0::2], edges[1::2] = first, last
    counts = np.diff(edges, prepend=0, append=n_tokens)
    spread = np.zeros(2 * first.size + 1, np.int8)
    spread[1::2] = values
    return np.repeat(spread, counts)
