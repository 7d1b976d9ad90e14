"""Detected records -> SAD rows with their outcome: tokens, filters and windows. Rows that are not kept stay, marked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.features import OUTCOME_FEATURES, shard_schema
from deepcoder_hf.dataset.rows import RowFrame, sad_table, type_ratios
from deepcoder_hf.errors import AlignmentError, RecordError
from deepcoder_hf.filters import any_active, drop_reason
from deepcoder_hf.filters.facts import RowFacts
from deepcoder_hf.spans.columns import SpanColumns, from_tuples, only
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_tokens
from deepcoder_hf.tokens.window import Window, plan_windows, token_characters, truncate

MAX_REPLANS = 8
"""How often windows are cut again with less room, when tokenising a cut text anew gave more tokens than it had."""


@dataclass(slots=True)
class Verdict:
    """What becomes of one record."""

    status: str = "kept"
    reason: str | None = None
    message: str | None = None
    windows: list[Window] = field(default_factory=list)
    """The record's rows, where it is not one row as it stands."""

    def reject(self, status: str, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, message


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
    tokens = _type(detected.texts, detected.spans, tokenizer, config)
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
            _shorten(verdict, detected, tokens, row, tokenizer, config)
    return _write(detected, tokens, verdicts, tokenizer, config)


def _type(texts: list[str], spans: SpanColumns, tokenizer: TrajectoryTokenizer, config: Config) -> TypedTokens:
    preamble = pc.equal(spans.subtypes, "preamble").to_numpy(zero_copy_only=False).astype(bool)
    return type_tokens(
        texts,
        spans.rows,
        spans.start_char,
        spans.end_char,
        spans.kinds,
        preamble,
        spans.confidence,
        tokenizer,
        config.masks,
    )


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


def _shorten(
    verdict: Verdict, detected: Detected, tokens: TypedTokens, row: int, tokenizer: TrajectoryTokenizer, config: Config
) -> None:
    """Do with a trajectory that is too long what tokens.overflow asks for."""
    length, limit = int(tokens.rows[row + 1] - tokens.rows[row]), config.tokens.max_length
    where = f"{detected.frame['source_path'][row]}:{detected.frame['line'][row]}"
    too_long = f"{length} tokens, more than tokens.max_length = {limit}"
    if config.tokens.overflow == "error":
        raise AlignmentError(f"{where}: {too_long}; set tokens.overflow to window, truncate or drop")
    if config.tokens.overflow == "drop":
        verdict.reject("dropped", "over_max_length", too_long)
        return
    first, last = int(detected.spans.rows[row]), int(detected.spans.rows[row + 1])
    spans = _row_spans(detected.spans, first, last)
    text = detected.texts[row]
    begin, end = tokens.encoded.rows[row], tokens.encoded.rows[row + 1]
    chars = token_characters(text, tokens.encoded.starts[begin:end] - tokens.encoded.text_starts[row])
    start_token = tokens.start_token[first:last] - len(tokenizer.prefix_ids)
    budget = limit - tokenizer.n_special
    for _ in range(MAX_REPLANS):
        if budget < 1:
            break
        try:
            if config.tokens.overflow == "truncate":
                windows = [truncate(text, spans, chars, budget)]
            else:
                windows = plan_windows(text, spans, start_token, chars, budget)
        except RecordError as error:
            verdict.reject("failed", error.reason, str(error))
            return
        rows = tokenizer.encode([window.text for window in windows]).rows
        excess = int(np.diff(rows).max()) - (limit - tokenizer.n_special)
        if excess <= 0:
            verdict.windows = windows
            return
        budget -= excess
    verdict.reject("failed", "cannot_window", f"{too_long}; no cut gave windows that fit")


def _row_spans(spans: SpanColumns, first: int, last: int) -> list[Any]:
    part = slice(first, last)
    return list(
        zip(
            spans.start_char[part].tolist(),
            spans.end_char[part].tolist(),
            spans.kinds[part].tolist(),
            spans.subtypes[part].to_pylist(),
            spans.confidence[part].tolist(),
            spans.patterns[part].to_pylist(),
            spans.origins[part].to_pylist(),
            spans.steps[part].tolist(),
            strict=True,
        )
    )


def _write(
    detected: Detected, tokens: TypedTokens, verdicts: list[Verdict], tokenizer: TrajectoryTokenizer, config: Config
) -> pa.Table:
    n_records = len(verdicts)
    frame, spans = detected.frame, detected.spans
    plain = RowFrame(
        trajectory_ids=frame["trajectory_id"],
        group_ids=frame["group_id"],
        windows=[(0, 1, 0)] * n_records,
        texts=detected.texts,
        original_texts=detected.originals,
        metadata=[_metadata(detected, n, tokenizer, {}) for n in range(n_records)],
    )
    keep = np.array([verdict.status == "kept" and not verdict.windows for verdict in verdicts], bool)
    if not keep.all():  # what is not kept, or kept in windows, is a row without tokens here
        spans, tokens = only(spans, keep), tokens.only(keep)
    table = sad_table(plain, spans, tokens)
    outcome = _Outcome(detected, verdicts)
    cut = [(n, window) for n, verdict in enumerate(verdicts) for window in verdict.windows]
    if not cut:
        return outcome.join(table, list(range(n_records)), [tokens], [_thinking(spans)])
    used = [tokens]
    thinking = [_thinking(spans)]
    of_record: dict[int, list[int]] = {}
    if cut:
        of_windows = from_tuples([window.spans for _, window in cut])
        extra = _type([window.text for _, window in cut], of_windows, tokenizer, config)
        for position, (n, _) in enumerate(cut):
            if extra.n_trained[position]:
                of_record.setdefault(n, []).append(position)
        for n in {n for n, _ in cut} - of_record.keys():
            verdicts[n].reject("dropped", "nothing_to_train", "what was kept of the text holds nothing to train")
        table = pa.concat_tables([table, sad_table(_window_frame(detected, cut, of_record, tokenizer), of_windows, extra)])
        used.append(extra)
        thinking.append(_thinking(of_windows))
    order: list[int] = []
    for n, verdict in enumerate(verdicts):
        if verdict.status == "kept" and verdict.windows:
            order += [n_records + position for position in of_record[n]]
            outcome.repeat(n, len(of_record[n]))
        else:
            order.append(n)
    return outcome.join(table.combine_chunks().take(pa.array(order, pa.int64())), order, used, thinking)


def _window_frame(
    detected: Detected, cut: list[tuple[int, Window]], of_record: dict[int, list[int]], tokenizer: TrajectoryTokenizer
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
        metadata.append(_metadata(detected, n, tokenizer, {"window_chars": facts}))
    return RowFrame(
        trajectory_ids=[frame["trajectory_id"][n] for n, _ in cut],
        group_ids=[frame["group_id"][n] for n, _ in cut],
        windows=windows,
        texts=[window.text for _, window in cut],
        original_texts=[None] * len(cut),
        metadata=metadata,
    )


def _metadata(detected: Detected, row: int, tokenizer: TrajectoryTokenizer, more: dict[str, Any]) -> str:
    facts = {
        "source_format": detected.frame["source_format"][row],
        "source": {"path": detected.frame["source_path"][row], "line": detected.frame["line"][row]},
        "tokenizer": tokenizer.identity,
        **detected.metadata[row],
        **more,
    }
    if tokenizer.n_special:
        facts["special_tokens"] = {"before": len(tokenizer.prefix_ids), "after": len(tokenizer.suffix_ids)}
    if detected.n_replaced[row]:
        facts["replaced_surrogates"] = detected.n_replaced[row]
    written = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return written.encode("utf-8", "backslashreplace").decode()  # a lone surrogate becomes its escape in JSON


def _thinking(spans: SpanColumns) -> npt.NDArray[np.bool_]:
    """Whether a row has reasoning that is marked as such (not mere preamble), bool [R]."""
    preamble = pc.equal(spans.subtypes, "preamble").to_numpy(zero_copy_only=False).astype(bool)
    marked = (spans.kinds == TYPE_IDS["reasoning"]) & ~preamble
    n_rows = spans.rows.size - 1
    row_of = np.repeat(np.arange(n_rows), np.diff(spans.rows))
    return np.bincount(row_of[marked], minlength=n_rows) > 0


class _Outcome:
    """Builds the column `outcome`."""

    def __init__(self, detected: Detected, verdicts: list[Verdict]) -> None:
        self.detected, self.verdicts = detected, verdicts
        self.counts = [1] * len(verdicts)

    def repeat(self, record: int, n_rows: int) -> None:
        self.counts[record] = n_rows

    def join(
        self,
        table: pa.Table,
        order: list[int],
        tokens: list[TypedTokens],
        thinking: list[npt.NDArray[np.bool_]],
    ) -> pa.Table:
        """Add the outcome of each output row; `order` says which computed row it is."""
        records = [n for n, count in enumerate(self.counts) for _ in range(count)]
        first = [k == 0 for count in self.counts for k in range(count)]
        n_trained = np.concatenate([t.n_trained for t in tokens])
        n_straddled = np.concatenate([t.n_straddled for t in tokens])
        marked = np.concatenate(thinking)
        picked = np.array(order, np.int64)
        frame = self.detected.frame
        hashes = [_text_hash(text) for text in self.detected.texts]
        values: dict[str, Any] = {
            "status": [self.verdicts[n].status for n in records],
            "reason": [self.verdicts[n].reason for n in records],
            "message": [self.verdicts[n].message for n in records],
            "source_path": [frame["source_path"][n] for n in records],
            "line": [frame["line"][n] for n in records],
            "source_format": [frame["source_format"][n] for n in records],
            "first": first,
            "text_hash": [hashes[n] for n in records],
            "excerpt": [self.detected.excerpts[n] for n in records],
            "n_trained": n_trained[picked].astype(np.int32),
            "n_straddled": n_straddled[picked].astype(np.int32),
            "n_replaced": [self.detected.n_replaced[n] for n in records],
            "has_thinking": marked[picked],
        }
        kind = shard_schema().field("outcome").type
        arrays = [pa.array(values[name], kind.field(name).type) for name in OUTCOME_FEATURES]
        outcome = pa.StructArray.from_arrays(arrays, list(OUTCOME_FEATURES))
        columns = [*table.itercolumns(), outcome]
        return pa.table([c.cast(f.type) for c, f in zip(columns, shard_schema(), strict=True)], schema=shard_schema())


def _text_hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode()) - (1 << 63)
