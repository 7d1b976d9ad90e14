"""Detected records -> SAD rows with their outcome: tokens, filters and windows. Rows that are not kept stay, marked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.outcome import Verdict
from deepcoder_hf.dataset.rows import type_ratios
from deepcoder_hf.dataset.shorten import shorten
from deepcoder_hf.dataset.write import RowWriter
from deepcoder_hf.filters import any_active, drop_reason
from deepcoder_hf.filters.facts import RowFacts
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_spans


def finish_rows(detected: Detected, config: Config) -> pa.Table:
    """Tokenise, filter, cut and write a batch.

    Args:
        detected: R renderings.
        config: The whole configuration.

    Returns:
        Columns of `SHARD_FEATURES`, in the order of the records.

    Raises:
        AlignmentError: A trajectory is too long and tokens.overflow is `error`.
    """
    tokenizer = cached_tokenizer(config.tokens)
    templated = np.array([rendering.templated for rendering in detected.renderings], bool)
    if not tokenizer.n_special or not templated.any():
        return _finish(detected, config, tokenizer)[0]
    bare = config.tokens.model_copy(update={"add_special_tokens": False, "append_eos": False})
    tables, owners = [], []
    for chosen, used in ((np.flatnonzero(templated), cached_tokenizer(bare)), (np.flatnonzero(~templated), tokenizer)):
        if chosen.size:
            table, owner = _finish(detected.take(chosen.tolist()), config, used)
            tables.append(table)
            owners.append(chosen[owner])
    order = np.argsort(np.concatenate(owners), kind="stable")
    return pa.concat_tables(tables).combine_chunks().take(pa.array(order))


def _finish(
    detected: Detected, config: Config, tokenizer: TrajectoryTokenizer
) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """The rows of renderings that all get the same special tokens, and which rendering each row is of."""
    tokenizer.check_once(detected.texts)
    cuts = [rendering.cuts for rendering in detected.renderings]
    ids = [rendering.ids for rendering in detected.renderings]
    tokens = type_spans(detected.texts, detected.spans, tokenizer, config.masks, cuts=cuts, ids=ids)
    ratios = type_ratios(tokens)
    lengths = np.diff(tokens.rows)
    active = any_active(config.filters)
    verdicts = []
    for row, reason in enumerate(detected.frame["reject_reason"]):
        verdict = Verdict()
        verdicts.append(verdict)
        if reason:
            verdict.reject("failed", reason, detected.frame["reject_message"][row] or reason)
            continue
        if active:
            facts = _facts(detected, tokens, ratios, lengths, row)
            if dropped := drop_reason(facts, config.filters):
                verdict.reject("dropped", dropped, _explain(dropped, facts))
                continue
        if not tokens.n_trained[row]:
            verdict.reject("dropped", "nothing_to_train", "no reasoning, action or answer in it may be trained")
        elif lengths[row] > config.tokens.max_length:
            shorten(verdict, detected, tokens, row, tokenizer, config)
    return RowWriter(detected, tokens, verdicts, tokenizer, config).write()


def _facts(
    detected: Detected, tokens: TypedTokens, ratios: npt.NDArray[np.float64], lengths: npt.NDArray[np.int64], row: int
) -> RowFacts:
    reward = detected.metadata[row].get("reward")
    return RowFacts(
        n_tokens=int(lengths[row]),
        reasoning_ratio=float(ratios[row, TYPE_IDS["reasoning"]]),
        action_ratio=float(ratios[row, TYPE_IDS["action"]]),
        other_ratio=float(ratios[row, TYPE_IDS["other"]]),
        mean_confidence=float(tokens.mean_confidence[row]),
        reward=float(reward) if isinstance(reward, int | float) else None,
    )


def _explain(reason: str, facts: RowFacts) -> str:
    return (
        f"{reason}: {facts.n_tokens} tokens, reasoning {facts.reasoning_ratio:.3f}, action {facts.action_ratio:.3f}, "
        f"other {facts.other_ratio:.3f}, confidence {facts.mean_confidence:.3f}, reward {facts.reward}"
    )
