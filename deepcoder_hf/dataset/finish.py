"""Detected records -> SAD rows with their outcome: tokens, filters and windows. Rows that are not kept stay, marked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.outcome import OutcomeColumn, Verdict
from deepcoder_hf.dataset.rows import RowFrame, sad_table, type_ratios
from deepcoder_hf.dataset.shorten import shorten
from deepcoder_hf.filters import any_active, drop_reason
from deepcoder_hf.filters.facts import RowFacts
from deepcoder_hf.spans.columns import from_tuples, only
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_spans
from deepcoder_hf.tokens.window import Window


def finish_rows(detected: Detected, config: Config) -> pa.Table:
    """Tokenise, filter, cut and write a batch.

    Args:
        detected: R records.
        config: The whole configuration.

    Returns:
        Columns of `SHARD_FEATURES`, in the order of the records.

    Raises:
        AlignmentError: A trajectory is too long and tokens.overflow is `error`.
    """
    tokenizer = cached_tokenizer(config.tokens)
    tokenizer.check_once(detected.texts)
    tokens = type_spans(detected.texts, detected.spans, tokenizer, config.masks)
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
            verdict.reject("dropped", "nothing_to_train", "no reasoning, action or answer was found in the text")
        elif lengths[row] > config.tokens.max_length:
            shorten(verdict, detected, tokens, row, tokenizer, config)
    return _write(detected, tokens, verdicts, tokenizer, config)


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


def _write(
    detected: Detected, tokens: TypedTokens, verdicts: list[Verdict], tokenizer: TrajectoryTokenizer, config: Config
) -> pa.Table:
    n_records = len(verdicts)
    frame, spans, settings = detected.frame, detected.spans, {"masks": config.masks.model_dump()}
    plain = RowFrame(
        trajectory_ids=frame["trajectory_id"],
        group_ids=frame["group_id"],
        windows=[(0, 1, 0)] * n_records,
        texts=detected.texts,
        original_texts=detected.originals,
        metadata=[_metadata(detected, n, tokenizer, settings) for n in range(n_records)],
    )
    keep = np.array([verdict.status == "kept" and not verdict.windows for verdict in verdicts], bool)
    if not keep.all():  # what is not kept, or kept in windows, is a row without tokens here
        spans, tokens = only(spans, keep), tokens.only(keep)
    table = sad_table(plain, spans, tokens)
    outcome = OutcomeColumn(detected, verdicts)
    cut = [(n, window) for n, verdict in enumerate(verdicts) for window in verdict.windows]
    if not cut:
        return outcome.join(table, list(range(n_records)), [(tokens, spans)])
    of_windows = from_tuples([window.spans for _, window in cut])
    ends = np.array([window.end_char == len(detected.texts[n]) for n, window in cut])
    extra = type_spans([window.text for _, window in cut], of_windows, tokenizer, config.masks, ends)
    of_record: dict[int, list[int]] = {}
    for position, (n, _) in enumerate(cut):
        if extra.n_trained[position]:
            of_record.setdefault(n, []).append(position)
    for n in {n for n, _ in cut} - of_record.keys():
        verdicts[n].reject("dropped", "nothing_to_train", "what was kept of the text holds nothing to train")
    frame_of_windows = _window_frame(detected, cut, of_record, ends, tokenizer, settings)
    table = pa.concat_tables([table, sad_table(frame_of_windows, of_windows, extra)])
    order: list[int] = []
    for n, verdict in enumerate(verdicts):
        if verdict.status == "kept" and verdict.windows:
            order += [n_records + position for position in of_record[n]]
            outcome.repeat(n, len(of_record[n]))
        else:
            order.append(n)
    rows = table.combine_chunks().take(pa.array(order, pa.int64()))
    return outcome.join(rows, order, [(tokens, spans), (extra, of_windows)])


def _window_frame(
    detected: Detected,
    cut: list[tuple[int, Window]],
    of_record: dict[int, list[int]],
    ends: npt.NDArray[np.bool_],
    tokenizer: TrajectoryTokenizer,
    settings: dict[str, Any],
) -> RowFrame:
    frame = detected.frame
    windows, metadata = [], []
    for position, (n, window) in enumerate(cut):
        rows = of_record.get(n, [])
        index = rows.index(position) if position in rows else -1
        windows.append((index, len(rows), window.start_step))
        head = len(window.text) - (window.end_char - window.start_char)
        total = len(detected.texts[n])
        facts = {"missing_before": window.start_char - head, "missing_after": total - window.end_char}
        metadata.append(_metadata(detected, n, tokenizer, {**settings, "window_chars": facts}, bool(ends[position])))
    return RowFrame(
        trajectory_ids=[frame["trajectory_id"][n] for n, _ in cut],
        group_ids=[frame["group_id"][n] for n, _ in cut],
        windows=windows,
        texts=[window.text for _, window in cut],
        original_texts=[None] * len(cut),
        metadata=metadata,
    )


def _metadata(
    detected: Detected, row: int, tokenizer: TrajectoryTokenizer, more: dict[str, Any], ends: bool = True
) -> str:
    facts = {
        "source_format": detected.frame["source_format"][row],
        "source": {"path": detected.frame["source_path"][row], "line": detected.frame["line"][row]},
        "tokenizer": tokenizer.identity,
        **detected.metadata[row],
        **more,
    }
    if tokenizer.n_special:
        facts["special_tokens"] = {
            "before": len(tokenizer.prefix_ids),
            "after": len(tokenizer.suffix_ids),
        }
        if tokenizer.eos_id is not None:
            facts["special_tokens"]["eos"] = int(ends)
    if detected.n_replaced[row]:
        facts["replaced_surrogates"] = detected.n_replaced[row]
    written = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return written.encode("utf-8", "backslashreplace").decode()  # a lone surrogate becomes its escape in JSON
