"""What is published: rows by split with the report of their run, what the card must say, and what a scan found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from datasets import Dataset

FindingKind = Literal["secret", "personal"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A processed dataset on its way to the Hub."""

    splits: Mapping[str, Dataset]
    """Rows with the columns of `SAD_FEATURES`, and perhaps teacher columns beside them, by split."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """`report.json` of the run that made them; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not leave the machine unseen."""

    kind: FindingKind
    rule: str
    """What it is, as the detector names it: `AWS Access Key`, `e-mail address`, ..."""
    place: str
    """`train:17:text`, row 17 of split train; or the name of a file, `README.md:12`."""
    excerpt: str
    """Its surroundings with the finding itself masked; it never holds the secret."""
    digest: str
    """SHA-256 of the finding, 16 hex digits: what `--allow` takes."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan looked at and found."""

    findings: Sequence[Finding] = ()
    n_bytes: int = 0
    """Bytes that were looked at."""

    def of(self, kind: FindingKind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]


@dataclass(frozen=True, slots=True)
class Rights:
    """Sources, licences and teachers of the rows, as their metadata names them, with rows by each."""

    sources: Mapping[str, int] = field(default_factory=dict)
    licences: Mapping[str, int] = field(default_factory=dict)
    """Licence of the source; the empty name counts rows that name none."""
    teachers: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()
    """Unknown or conflicting licences, each in a line: publishing stops unless they are acknowledged."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says beside what the rows and the report tell."""

    repo_id: str
    licence: str
    """SPDX-like identifier of the Hub, such as `apache-2.0`."""
    config_name: str = "default"
    command: str = ""
    """The command that published it."""
    rights: Rights = field(default_factory=Rights)
    contamination: Mapping[str, int] = field(default_factory=dict)
    """Benchmark -> rows that decontamination took out."""
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Config -> split -> path pattern of its files in the repository, this one included."""
