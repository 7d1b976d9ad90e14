"""Typed token ranges -> token types and masks: what is trained, as what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.spans.types import EMPTY_THINK, HEADER, NEVER, PREAMBLE, STOP, SUMMARY, TURN_END, TYPE_IDS

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


def training_of(kinds: Int8, codes: Int8, rows: npt.NDArray[np.int64], config: MasksConfig) -> Int8:
    """How each span is trained.

    Args:
        kinds: Type ids, int8 [S].
        codes: What the subtypes say: 0 or a code of `spans.types.SUBTYPES`, int8 [S].
        rows: Where each row's spans begin, int64 [R + 1].
        config: The mask settings.

    Returns:
        UNTRAINED, AS_REASONING, AS_ACTION or LABEL_ONLY, int8 [S]. A stop token (and, where masks.turn_end says so,
        what the template writes after it) is trained where any span of its turn is, as its type says, else as action.
    """
    answer = {"action": AS_ACTION, "own": LABEL_ONLY, "none": UNTRAINED}[config.answer]
    by_type = np.zeros(len(TYPE_IDS), np.int8)
    by_type[TYPE_IDS["reasoning"]] = AS_REASONING if config.reasoning == "reasoning" else UNTRAINED
    by_type[TYPE_IDS["action"]] = AS_ACTION if config.action == "action" else UNTRAINED
    by_type[TYPE_IDS["answer"]] = answer
    training = by_type[kinds]
    if not codes.any():
        return training
    preamble = {"reasoning": AS_REASONING, "action": AS_ACTION, "none": UNTRAINED}[config.preamble]
    training[(codes == PREAMBLE) & (kinds == TYPE_IDS["reasoning"])] = preamble
    training[codes == NEVER] = UNTRAINED
    training[codes == SUMMARY] = AS_REASONING if config.summary == "reasoning" else UNTRAINED
    training[codes == EMPTY_THINK] = AS_REASONING if config.empty_think == "reasoning" else UNTRAINED
    closing = (codes == STOP) | (codes == TURN_END)
    training[closing] = UNTRAINED
    if closing.any():
        begins = codes == HEADER
        begins[rows[:-1][rows[:-1] < codes.size]] = True
        turn = np.cumsum(begins)
        trained_turn = np.bincount(turn, training > 0, turn[-1] + 1) > 0
        for code, wanted in ((STOP, config.stop == "trained"), (TURN_END, config.turn_end == "trained")):
            spans = (codes == code) & trained_turn[turn] & wanted
            own = by_type[kinds[spans]]
            training[spans] = np.where(own == UNTRAINED, AS_ACTION, own)
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
