"""The card of one commit: made from the rows as they will be, the other configs kept, and scanned itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import Bundle, CardFacts, Finding, Rights, ScanReport
from deepcoder_hf.publish.commit import Addition
from deepcoder_hf.publish.hub_layout import all_configs, front_matter, with_configs
from deepcoder_hf.publish.hub_repo import README, Head

SHOWN = 10
"""Findings that an error names; the others are counted."""


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What the card says and how it is scanned, whatever head it is made for."""

    repo_id: str
    licence: str | None
    """None keeps the licence that the card in the repository names."""
    config_name: str
    command: str = ""
    contamination: Mapping[str, int] = field(default_factory=dict)
    acknowledge_rights: bool = False
    allow: Collection[str] = ()
    strict: bool = False


def card_of(bundle: Bundle, head: Head, options: CardOptions) -> list[Addition]:
    """README.md and its pictures for the rows that a commit leaves.

    Raises:
        PublishError: Rights are unknown or in conflict and not acknowledged, or the card holds a secret.
    """
    from deepcoder_hf.publish.card import make_card

    licence = options.licence or front_matter(head.readme).get("license")
    if not isinstance(licence, str):
        raise PublishError(f"{options.repo_id}: its card names no licence: pass --license, such as apache-2.0")
    facts = CardFacts(
        repo_id=options.repo_id,
        licence=licence,
        config_name=options.config_name,
        command=options.command,
        rights=checked_rights(bundle, licence, options.acknowledge_rights),
        contamination=options.contamination,
        configs=all_configs(head.readme, options.config_name, bundle.splits),
    )
    files = dict(make_card(bundle, facts, head.readme))
    rows = {split: len(found) for split, found in bundle.splits.items()}
    readme = with_configs(files[README].decode("utf-8"), head.readme, options.config_name, rows)
    files[README] = readme.encode("utf-8")
    checked_scan(Bundle({}), files, options.allow, options.strict)
    return [Addition(path, content) for path, content in sorted(files.items())]


def checked_rights(bundle: Bundle, licence: str, acknowledged: bool) -> Rights:
    """Sources, licences and teachers of the rows.

    Raises:
        PublishError: They are unknown or in conflict, and nobody said that this is known.
    """
    from deepcoder_hf.publish.rights import rights_of

    rights: Rights = rights_of(bundle, licence)
    if rights.problems and not acknowledged:
        raise PublishError(
            f"rights: {'; '.join(rights.problems)}; nothing was sent: settle them, or pass "
            "--acknowledge-rights, and the card lists them"
        )
    return rights


def checked_scan(bundle: Bundle, files: Mapping[str, bytes], allow: Collection[str], strict: bool) -> ScanReport:
    """Look for secrets and personal data in what would leave.

    Raises:
        PublishError: A secret was found, or personal data under `strict`; it names places and masked excerpts.
    """
    from deepcoder_hf.publish.scan import scan

    report: ScanReport = scan(bundle, files, allow)
    stopping = [*report.of("secret"), *(report.of("personal") if strict else [])]
    if stopping:
        raise PublishError(refusal(stopping))
    return report


def refusal(findings: list[Finding]) -> str:
    """Findings in words: how many, and each with its place, kind, masked excerpt and digest."""
    n_secret = sum(finding.kind == "secret" for finding in findings)
    counts = [f"{n_secret:,} secrets"] if n_secret else []
    if n_secret < len(findings):
        counts.append(f"{len(findings) - n_secret:,} pieces of personal data")
    shown = [f"{f.place}: {f.rule}: {' '.join(f.excerpt.split())} [{f.digest}]" for f in findings[:SHOWN]]
    more = f"\nand {len(findings) - SHOWN:,} more" if len(findings) > SHOWN else ""
    return (
        f"{' and '.join(counts)} must not leave this machine, nothing was sent; replace them with --redact, or pass "
        "--allow DIGEST for each that was looked at:\n" + "\n".join(shown) + more
    )
