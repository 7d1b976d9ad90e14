"""Counts what the checks find, over a whole dataset, in little memory, with a few examples of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.audit.catalogue import FINDINGS
from deepcoder_hf.audit.structure import TokenClass

MAX_EXAMPLES = 3
Excerpt = Callable[[], dict[str, Any]]


@dataclass(slots=True)
class Count:
    """How often something was found.

    Args:
        n: In the unit of the finding.
        n_rows: Rows that hold it.
        details: Kinds of it.
        examples: The first few.
    """

    n: int = 0
    n_rows: int = 0
    details: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)


class Tally:
    """The counts of a run."""

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {code: Count() for code in FINDINGS}
        self.totals: Counter[str] = Counter()
        self.by_class: Counter[int] = Counter()
        self.trained_by_class: Counter[int] = Counter()
        self.trained_by: set[str] = set()
        self.seen: dict[int, int] = {}

    def add(self, code: str, n: int, n_rows: int, details: Mapping[str, int] | None = None) -> None:
        """Count a finding of a batch."""
        count = self.counts[code]
        count.n += n
        count.n_rows += n_rows
        count.details.update(details or {})

    def wants_example(self, code: str) -> bool:
        """Whether another example is kept."""
        return len(self.counts[code].examples) < MAX_EXAMPLES

    def example(self, code: str, examples: Iterable[Excerpt]) -> None:
        """Keep the first examples; they are only made where they are kept."""
        for make in examples:
            if not self.wants_example(code):
                return
            self.counts[code].examples.append(make())

    def report(self, max_share: float, by_code: Mapping[str, float]) -> dict[str, Any]:
        """The findings as JSON values.

        Args:
            max_share: Share up to which errors are let pass.
            by_code: Own limits of findings, of any severity.
        """
        findings = [self._finding(code, max_share, by_code) for code, count in self.counts.items() if count.n]
        totals = {name: self.totals[name] for name in TOTALS}
        classes = {
            kind.name.lower(): {"tokens": self.by_class[kind], "trained": self.trained_by_class[kind]}
            for kind in TokenClass
            if self.by_class[kind]
        }
        return {
            **totals,
            "trained_by": sorted(self.trained_by),
            "classes": classes,
            "findings": findings,
            "failed": any(finding["over_limit"] for finding in findings),
        }

    def _finding(self, code: str, max_share: float, by_code: Mapping[str, float]) -> dict[str, Any]:
        kind, count = FINDINGS[code], self.counts[code]
        share = count.n / max(self.totals[kind.of], 1)
        limit = by_code.get(code, max_share if kind.severity == "error" else None)
        return {
            "code": code,
            "severity": kind.severity,
            "meaning": kind.meaning,
            "n": count.n,
            "unit": kind.unit,
            "n_rows": count.n_rows,
            "share": min(share, 1.0),
            "of": kind.of,
            "max_share": limit,
            "over_limit": limit is not None and share > limit,
            "details": dict(count.details.most_common(12)),
            "examples": count.examples,
        }


TOTALS = ("rows", "tokens", "trained_tokens", "trained_rows", "turns", "assistant_turns", "trained_turns",
          "rows_of_several_turns")  # fmt: skip
"""Totals of the report: what shares are taken of."""
