"""SpanScores: the figures of a detector on labelled texts, by payload characters.

Only payload is scored: markers, labels and glue, which lie in no gold span, are nobody's. A predicted answer counts as
other, as in gold. A figure is a macro average over groups (source and style): a source with many texts weighs no more
than one with few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.spans.calibration import (
    TRAINED_IDS,
    Calibration,
    PatternScore,
    SpanOutcomes,
    calibrate,
    score_patterns,
)
from deepcoder_hf.spans.gold import GoldRecord
from deepcoder_hf.spans.types import TYPE_IDS, Span

N_TYPES = 4
"""Other, reasoning, action and observation: gold knows no answers."""
SCORED = ("reasoning", "action", "observation")


@dataclass(frozen=True, slots=True, eq=False)
class RecordScore:
    """One record: what was found, and how much of it is right."""

    record: GoldRecord
    spans: tuple[Span, ...]
    confusion: npt.NDArray[np.int64]
    """4 x 4: payload characters by gold type (row) and detected type (column), in the order of `TYPE_IDS`."""
    error: str = ""
    """What the detector raised; empty where it did not."""

    @property
    def n_wrong(self) -> int:
        """Payload characters with another type than gold gives them."""
        return int(self.confusion.sum() - np.trace(self.confusion))


@dataclass(frozen=True, slots=True)
class Figures:
    """The scores of some records."""

    reasoning: float | None
    """F1, 2PR / (P + R) by payload characters; None where gold has no such character."""
    action: float | None
    observation: float | None
    false_positives: float | None
    """Share of payload of other and observation that is called reasoning or action; None without such payload."""
    exact_records: float
    """Share of records in which every payload character has the right type."""
    n_records: int


@dataclass(frozen=True, slots=True, eq=False)
class SpanScores:
    """The scores of a detector on labelled texts."""

    records: tuple[RecordScore, ...]
    """In the order of the input."""
    outcomes: SpanOutcomes
    """Every detected span that holds payload."""
    n_bytes: int
    """UTF-8 bytes of the texts."""
    cpu_s: float
    """CPU-seconds of detection alone."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Conventions left out, each while its own records were scored -> patterns and rules that this switched off."""

    @property
    def macro(self) -> Figures:
        """The mean over groups (source and style); a group without gold of a type does not count for that type."""
        groups = list(self.groups().values())
        names = (*SCORED, "false_positives", "exact_records")
        columns = {name: [v for group in groups if (v := getattr(group, name)) is not None] for name in names}
        means = {name: float(np.mean(values)) if values else None for name, values in columns.items()}
        return Figures(**means, n_records=len(self.records))  # type: ignore[arg-type]

    @property
    def calibration(self) -> Calibration:
        """Confidence against truth."""
        n_trained = sum(int(score.confusion[TRAINED_IDS, :].sum()) for score in self.records)
        return calibrate(self.outcomes, n_trained)

    @property
    def failed(self) -> tuple[RecordScore, ...]:
        """Records on which the detector raised."""
        return tuple(score for score in self.records if score.error)

    @property
    def mb_per_cpu_s(self) -> float:
        """Million UTF-8 bytes of text per CPU-second of detection."""
        return self.n_bytes / 1e6 / max(self.cpu_s, 1e-9)

    def groups(self) -> dict[tuple[str, str], Figures]:
        """Scores by (source, style)."""
        return _grouped(self.records, lambda score: (score.record.source, score.record.style))

    def by(self, grouping: str) -> dict[str, Figures]:
        """Scores by `style`, `source`, `lang` or `rendering`: over all characters of the records that share it."""
        return _grouped(self.records, lambda score: getattr(score.record, grouping))

    def patterns(self) -> tuple[PatternScore, ...]:
        """Each pattern or rule that decided a span, those with most wrong characters first."""
        return score_patterns(self.outcomes)

    def worst(self, n: int) -> list[RecordScore]:
        """The records with most wrong characters, at most n, none without any."""
        wrong = [score for score in self.records if score.n_wrong]
        return sorted(wrong, key=lambda score: -score.n_wrong)[:n]

    def to_dict(self) -> dict[str, Any]:
        """All figures as JSON can hold them."""
        return {
            "n_records": len(self.records),
            "n_bytes": self.n_bytes,
            "mb_per_cpu_s": self.mb_per_cpu_s,
            "macro": asdict(self.macro),
            "groups": [
                {"source": source, "style": style, **asdict(figures)}
                for (source, style), figures in self.groups().items()
            ],
            "calibration": asdict(self.calibration),
            "left_out": dict(self.left_out),
            "failed": [{"id": score.record.record_id, "error": score.error} for score in self.failed],
        }


def _grouped(records: Iterable[RecordScore], key: Callable[[RecordScore], Any]) -> dict[Any, Figures]:
    members: dict[Any, list[RecordScore]] = {}
    for score in records:
        members.setdefault(key(score), []).append(score)
    return {name: _figures(members[name]) for name in sorted(members)}


def _figures(records: Sequence[RecordScore]) -> Figures:
    confusion = np.sum([score.confusion for score in records], axis=0)
    gold, found, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    at = [TYPE_IDS[name] for name in SCORED]
    f1 = {
        name: float(2 * right[i] / (gold[i] + found[i])) if gold[i] else None
        for name, i in zip(SCORED, at, strict=True)
    }
    rest = confusion[[TYPE_IDS["other"], TYPE_IDS["observation"]]]
    false_positives = float(rest[:, TRAINED_IDS].sum() / rest.sum()) if rest.sum() else None
    exact = float(np.mean([score.n_wrong == 0 for score in records]))
    return Figures(**f1, false_positives=false_positives, exact_records=exact, n_records=len(records))
