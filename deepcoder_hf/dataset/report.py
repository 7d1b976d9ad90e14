"""The report of a run: what was read, kept, dropped and failed, and what the kept rows are made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.dataset.features import QUALITY_COLUMNS
from deepcoder_hf.dataset.ledger import FIELDS, KINDS, RECORD, as_facts, columns_of, loss_ratio
from deepcoder_hf.spans.types import TYPE_IDS, TYPES

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class ReportBuilder:
    """Adds up shards; memory grows by a few numbers a row.

    Args:
        masks: The mask settings of the run.
    """

    def __init__(self, masks: MasksConfig | None = None) -> None:
        self.masks = masks or MasksConfig()
        self.n_records: Counter[str] = Counter()
        self.n_trajectories = 0
        self.reasons: dict[str, Counter[str]] = {"dropped": Counter(), "failed": Counter()}
        self.formats: Counter[str] = Counter()
        self.by_format: dict[str, Counter[str]] = {}
        self._record: tuple[str, str | None, str] | None = None
        self._thinking = False
        self.sums: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.ledger = np.zeros(len(FIELDS), np.int64)
        self.tokens = np.zeros(len(TYPES), np.int64)
        self.quality: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        self.lengths: list[np.ndarray[Any, np.dtype[np.int32]]] = []

    def add_records(
        self,
        status: Sequence[str],
        reasons: Sequence[str | None],
        formats: Sequence[str | None],
        first: Sequence[bool],
        parts: Sequence[int],
    ) -> None:
        """Count records; a record is kept if any row of any of its trajectories is.

        Args:
            status: What became of each row: kept, dropped or failed.
            reasons: Why, where it was not kept.
            formats: Formats of their sources.
            first: Whether a row is the first of its trajectory.
            parts: Number of its trajectory in its record.
        """
        for state, reason, name, begins, part in zip(status, reasons, formats, first, parts, strict=True):
            if begins:
                self.n_trajectories += state != "failed"
                if part == 0:
                    self._close_record()
                    self._record = (state, reason, name or "unknown")
            if state == "kept" and self._record is not None:
                self._record = (state, None, self._record[2])

    def add_rejected(self, n_characters: int) -> None:
        """Count the characters of records that could not be used."""
        self.sums["rejected"] += n_characters

    def _close_record(self) -> None:
        if self._record is None:
            return
        state, reason, name = self._record
        self.n_records[state] += 1
        self.formats[name] += 1
        if state in self.reasons:
            self.reasons[state][str(reason)] += 1
        counts = self.by_format.setdefault(name, Counter())
        counts["records"] += 1
        counts[f"n_{state}"] += 1
        self._record = None

    def add_rows(self, table: pa.Table) -> None:
        """Count kept rows, with the columns of `SHARD_FEATURES`."""
        if not table.num_rows:
            return
        outcome = table.column("outcome").combine_chunks()
        self.sums["rows"] += table.num_rows
        for name in ("n_trained", "n_straddled", "n_replaced"):
            self.sums[name] += pc.sum(outcome.field(name)).as_py()
        self.sums["by_reference"] += pc.sum(outcome.field("by_reference")).as_py()
        self._count_thinking(
            *(outcome.field(name).to_numpy(zero_copy_only=False) for name in ("first", "has_thinking"))
        )
        ledger = outcome.field("ledger").flatten().to_numpy().reshape(-1, len(FIELDS))
        self.ledger += ledger.sum(axis=0)
        self._name_unread(table, ledger)
        self._count_formats(outcome.field("source_format").to_pylist(), ledger)
        self.sums["valid"] += int(valid_rows(table, self.masks).sum())
        quality = table.column("quality").combine_chunks()
        lengths = table.column("length").to_numpy()
        for kind, name in enumerate(TYPES):  # a float32 share times a length below 2**23 rounds to the exact count
            self.tokens[kind] += (
                np.rint(quality.field(name).to_numpy() * lengths.astype(np.float64)).astype(np.int64).sum()
            )
        self.quality.append(np.stack([quality.field(name).to_numpy() for name in QUALITY_COLUMNS]))
        self.lengths.append(lengths)

    def _name_unread(self, table: pa.Table, ledger: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Add up the paths of what readers did not know, by characters."""
        for row in np.flatnonzero(ledger[:, columns_of("unread")[0]]).tolist():
            facts = json.loads(table.column("metadata")[row].as_py())
            self.unread.update(facts.get("read", {}).get("unread_paths", {}))

    def _count_formats(self, names: list[str | None], ledger: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Rows and characters by format."""
        for name in {name or "unknown" for name in names}:
            chosen = ledger[[(given or "unknown") == name for given in names]]
            counts = self.by_format.setdefault(name, Counter())
            counts["rows"] += len(chosen)
            for kind in KINDS:
                counts[f"{kind}_chars"] += int(chosen[:, columns_of(f"{kind}.read")].sum())

    def _count_thinking(self, first: np.ndarray[Any, Any], thinking: np.ndarray[Any, Any]) -> None:
        """Count the records that have marked reasoning in any of their windows, which may go on in the next table."""
        record = np.cumsum(first)  # 0 belongs to the last record of the table before
        found = set(np.unique(record[thinking]).tolist())
        self.sums["thinking"] += len(found - {0}) + (0 in found and not self._thinking)
        self._thinking = int(record[-1]) in found or (record[-1] == 0 and self._thinking)

    def build(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The report as JSON can hold it.

        Args:
            facts: What the run knows beside the rows: speed, configuration, tokenizer, versions.
        """
        self._close_record()
        totals = dict(zip(FIELDS, self.ledger.tolist(), strict=True)) | {"rejected": self.sums["rejected"]}
        n = {state: self.n_records[state] for state in ("kept", "dropped", "failed")}
        n_read = sum(n.values())
        n_rows, n_tokens = self.sums["rows"], int(self.tokens.sum())
        parsed = n_read - n["failed"]
        by_type = {str(kind): int(count) for kind, count in zip(TYPES, self.tokens, strict=True)}
        return {
            "n_read": n_read,
            "n_kept": n["kept"],
            "n_dropped": n["dropped"],
            "n_failed": n["failed"],
            "n_trajectories": self.n_trajectories,
            "n_rows": n_rows,
            "parsing_success_rate": share(parsed, n_read),
            "filter_pass_rate": share(n["kept"], parsed),
            "reasons": {state: dict(counts.most_common()) for state, counts in self.reasons.items()},
            "source_formats": dict(self.formats.most_common()),
            "formats": {name: dict(sorted(counts.items())) for name, counts in sorted(self.by_format.items())},
            "ledger": {
                **as_facts(self.ledger.tolist()),
                "unread_paths": dict(self.unread.most_common(20)),
                "record_strings": {name: totals[name] for name in RECORD},
                "template_refused": self.reasons["failed"]["template_refused"],
                "loss_ratio": round(loss_ratio(totals), 9),
            },
            "tokens": {"total": n_tokens, "trained": self.sums["n_trained"], **by_type},
            "token_ratios": {kind: share(count, n_tokens) for kind, count in by_type.items()},
            "row_ratios": self._distributions(),
            "row_lengths": describe(np.concatenate(self.lengths)) if self.lengths else {},
            "structured_thinking_rate": share(self.sums["thinking"], n["kept"]),
            "format_validation": {
                "checked": n_rows,
                "valid": self.sums["valid"],
                "rate": share(self.sums["valid"], n_rows),
            },
            "straddled_tokens": self.sums["n_straddled"],
            "reference_rows": self.sums["by_reference"],
            "replaced_surrogates": self.sums["n_replaced"],
            **facts,
        }

    def _distributions(self) -> dict[str, dict[str, float]]:
        if not self.quality:
            return {}
        values = np.concatenate(self.quality, axis=1)
        return {name: describe(values[n]) for n, name in enumerate(QUALITY_COLUMNS)}


def share(part: int, whole: int) -> float:
    """part / whole rounded to 6 digits; 0 where there is nothing."""
    return round(part / whole, 6) if whole else 0.0


def describe(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """Mean and quantiles."""
    quantiles = np.quantile(values, QUANTILES)
    return {
        "mean": round(float(values.mean()), 6),
        **{f"p{round(100 * q):02d}": round(float(v), 6) for q, v in zip(QUANTILES, quantiles, strict=True)},
    }


def valid_rows(table: pa.Table, masks: MasksConfig) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows hold together: equal lengths, disjoint masks, labels and types that agree; bool [R].

    The full proof (ids against the text, spans, offsets) is `deepcoder-hf validate`.
    """
    flat = {}
    ids = table.column("input_ids").combine_chunks()
    offsets = ids.offsets.to_numpy()
    rows = offsets - offsets[0]
    ok = np.asarray(np.diff(rows) == table.column("length").to_numpy())
    for name in ("input_ids", "attention_mask", "token_types", "reasoning_mask", "action_mask", "labels"):
        column = table.column(name).combine_chunks()
        ok &= np.diff(column.offsets.to_numpy()) == np.diff(rows)
        flat[name] = column.flatten().to_numpy()
    if not ok.all():
        return ok
    masked = flat["reasoning_mask"] + flat["action_mask"]
    trained = flat["labels"] != -100
    types = flat["token_types"]
    wrong = masked > 1
    wrong |= flat["attention_mask"] != 1
    wrong |= trained & (flat["labels"] != flat["input_ids"])
    wrong |= trained & (types == TYPE_IDS["observation"])
    if masks.turn_end == "none" and masks.empty_think == "none":
        wrong |= trained & (types == TYPE_IDS["other"])
    wrong |= (masked == 1) != (trained & ((types != TYPE_IDS["answer"]) | (masked == 1)))
    if not wrong.any():
        return ok
    counts = np.concatenate([[0], np.cumsum(wrong)])
    clean: np.ndarray[Any, np.dtype[np.bool_]] = ok & (counts[rows[1:]] == counts[rows[:-1]])
    return clean
