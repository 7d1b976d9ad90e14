"""Verdicts, tokens and windows -> the rows of a batch with their outcome, metadata and ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.ledger import (
    FIELDS,
    add_tokens,
    as_facts,
    divide,
    ledger_of,
    part_of,
    payload_characters,
    trained_characters,
)
from deepcoder_hf.dataset.outcome import OutcomeColumn, Verdict
from deepcoder_hf.dataset.rows import RowFrame, sad_table
from deepcoder_hf.spans.columns import from_tuples, only
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_spans

Int64 = npt.NDArray[np.int64]


class RowWriter:
    """Writes the rows of a batch.

    Args:
        detected: R renderings.
        tokens: Their tokens, whole.
        verdicts: What becomes of each.
        tokenizer: The tokenizer.
        config: The whole configuration.
    """

    def __init__(
        self,
        detected: Detected,
        tokens: TypedTokens,
        verdicts: list[Verdict],
        tokenizer: TrajectoryTokenizer,
        config: Config,
    ) -> None:
        self._detected, self._tokens, self._verdicts = detected, tokens, verdicts
        self._tokenizer, self._config = tokenizer, config
        self._cut = [(n, window) for n, verdict in enumerate(verdicts) for window in verdict.windows]
        self._masks = config.masks.model_dump()
        self._payload = [rendering.payload for rendering in detected.renderings]

    def write(self) -> tuple[pa.Table, Int64]:
        """The rows, and which rendering each is of."""
        detected, verdicts = self._detected, self._verdicts
        ledger = self._ledger()
        keep = np.array([verdict.status == "kept" and not verdict.windows for verdict in verdicts], bool)
        spans, tokens = detected.spans, self._tokens
        if not keep.all():  # what is not kept, or kept in windows, is a row without tokens here
            spans, tokens = only(spans, keep), tokens.only(keep)
        of_window = from_tuples([window.spans for _, window in self._cut])
        extra = self._type_windows() if self._cut else None
        windows_of: dict[int, list[int]] = {}
        for position, (n, _) in enumerate(self._cut):
            if extra is not None and extra.n_trained[position]:
                windows_of.setdefault(n, []).append(position)
        for n in {n for n, _ in self._cut} - windows_of.keys():
            verdicts[n].reject("dropped", "nothing_to_train", "what was kept of the text holds nothing to train")
        numbers = self._numbers(windows_of)
        outcome = OutcomeColumn(detected, verdicts)
        table = sad_table(self._frame(numbers, ledger), spans, tokens)
        computed = [(tokens, spans)]
        if extra is not None:
            ledger = np.concatenate([ledger, self._window_ledger(ledger, extra, windows_of)])
            frame = self._window_frame(numbers, windows_of, ledger[len(verdicts) :])
            table = pa.concat_tables([table, sad_table(frame, of_window, extra)])
            computed.append((extra, of_window))
        order: list[int] = []
        owners: list[int] = []
        for n, verdict in enumerate(verdicts):
            rows = [n]
            if verdict.status == "kept" and verdict.windows:
                rows = [len(verdicts) + position for position in windows_of[n]]
                outcome.repeat(n, len(rows))
            order += rows
            owners += [n] * len(rows)
        if order != list(range(table.num_rows)):
            table = table.combine_chunks().take(pa.array(order, pa.int64()))
        return outcome.join(table, order, computed, ledger), np.array(owners, np.int64)

    def _ledger(self) -> Int64:
        """The ledger of each rendering as a whole, int64 [R, len(FIELDS)]."""
        detected = self._detected
        renderings = detected.renderings
        first = [r.view[0] == 0 and part == 0 for r, part in zip(renderings, detected.frame["part"], strict=True)]
        ledger = ledger_of([r.read for r in renderings], [r.counts for r in renderings], detected.metadata, first)
        payload = payload_characters(self._payload)
        n_prefix = len(self._tokenizer.prefix_ids)
        trained = trained_characters(detected.texts, self._tokens, self._payload, n_prefix)
        add_tokens(ledger, payload, payload, trained)
        return ledger

    def _type_windows(self) -> TypedTokens:
        texts = [window.text for _, window in self._cut]
        spans = from_tuples([window.spans for _, window in self._cut])
        cuts = [window.cuts for _, window in self._cut]
        ids = [window.ids for _, window in self._cut]
        return type_spans(texts, spans, self._tokenizer, self._config.masks, self._ends(), cuts, ids)

    def _ends(self) -> npt.NDArray[np.bool_]:
        """Which windows end their trajectory, bool [W]."""
        texts = self._detected.texts
        return np.array([window.end_char == len(texts[n]) for n, window in self._cut], bool)

    def _window_ledger(self, whole: Int64, extra: TypedTokens, windows_of: dict[int, list[int]]) -> Int64:
        """The ledger of each window: what was read and rendered stands with the first one of a rendering."""
        ledger = np.zeros((len(self._cut), len(FIELDS)), np.int64)
        payload = []
        for n, window in self._cut:
            head = len(window.text) - (window.end_char - window.start_char)
            payload.append(part_of(self._payload[n], window.start_char, window.end_char, window.start_char - head))
            if window.start_char <= head:  # the first window holds the head as its own
                payload[-1] = [*part_of(self._payload[n], 0, head, 0), *payload[-1]]
        texts = [window.text for _, window in self._cut]
        in_row = payload_characters(payload)
        trained = trained_characters(texts, extra, payload, len(self._tokenizer.prefix_ids))
        for n, rows in windows_of.items():
            of_whole = payload_characters([self._payload[n]])[0]
            ledger[rows] = divide(whole[n], of_whole, in_row[rows], trained[rows])
        return ledger

    def _numbers(self, windows_of: dict[int, list[int]]) -> dict[tuple[int, int], tuple[int, int]]:
        """Index and number of rows of its trajectory, by (rendering, place among its windows)."""
        found: dict[tuple[int, int], tuple[int, int]] = {}
        group: list[tuple[int, int]] = []

        def close() -> None:
            found.update({key: (index, len(group)) for index, key in enumerate(group)})
            group.clear()

        for n, (verdict, rendering) in enumerate(zip(self._verdicts, self._detected.renderings, strict=True)):
            if rendering.view[0] == 0:
                close()
            if verdict.status == "kept":
                group += [(n, place) for place in range(len(windows_of[n]) if verdict.windows else 1)]
        close()
        return found

    def _frame(self, numbers: dict[tuple[int, int], tuple[int, int]], ledger: Int64) -> RowFrame:
        detected, frame = self._detected, self._detected.frame
        rows = range(len(self._verdicts))
        return RowFrame(
            trajectory_ids=frame["trajectory_id"],
            group_ids=frame["group_id"],
            windows=[(*numbers.get((n, 0), (0, 1)), self._first_step(n)) for n in rows],
            texts=detected.texts,
            original_texts=detected.originals,
            metadata=[self._metadata(n, ledger[n].tolist(), {}) for n in rows],
        )

    def _first_step(self, row: int) -> int:
        """The first trained step of one of several renderings; 0 for the only one."""
        if self._detected.renderings[row].view[1] == 1:
            return 0
        part = slice(*self._detected.spans.rows[row : row + 2])
        trained = self._detected.spans.steps[part][self._tokens.training[part] > 0]
        return int(trained[0]) if trained.size else 0

    def _window_frame(
        self, numbers: dict[tuple[int, int], tuple[int, int]], windows_of: dict[int, list[int]], ledger: Int64
    ) -> RowFrame:
        detected, frame = self._detected, self._detected.frame
        windows, metadata = [], []
        for position, ((n, window), ends) in enumerate(zip(self._cut, self._ends(), strict=True)):
            places = windows_of.get(n, [])
            place = places.index(position) if position in places else -1
            windows.append((*numbers.get((n, place), (-1, 0)), window.start_step))
            head = len(window.text) - (window.end_char - window.start_char)
            missing = {
                "missing_before": window.start_char - head,
                "missing_after": len(detected.texts[n]) - window.end_char,
            }
            more: dict[str, Any] = {"window_chars": missing}
            if window.cuts:
                more["escaped"] = list(window.cuts)
            metadata.append(self._metadata(n, ledger[position].tolist(), more, bool(ends)))
        return RowFrame(
            trajectory_ids=[frame["trajectory_id"][n] for n, _ in self._cut],
            group_ids=[frame["group_id"][n] for n, _ in self._cut],
            windows=windows,
            texts=[window.text for _, window in self._cut],
            original_texts=[None] * len(self._cut),
            metadata=metadata,
        )

    def _metadata(self, row: int, ledger: Sequence[int], more: dict[str, Any], ends: bool = True) -> str:
        detected, tokenizer = self._detected, self._tokenizer
        known = dict(detected.metadata[row])
        if "window_chars" in more:
            known.pop("escaped", None)
            if "tokens" in known:  # places of completions are those of the whole
                known["tokens"] = {name: fact for name, fact in known["tokens"].items() if name != "completions"}
        source = {"path": detected.frame["source_path"][row], "line": detected.frame["line"][row]}
        if detected.frame["part"][row]:
            source["part"] = detected.frame["part"][row]
        facts = {
            "source_format": detected.frame["source_format"][row],
            "source": source,
            "tokenizer": tokenizer.identity,
            **known,
            "masks": self._masks,
            **more,
            "ledger": as_facts(ledger),
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
