"""Sources, licences and teachers of the rows of a bundle, and whether its licence may stand over them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from deepcoder_hf.publish.bundle import Bundle, Rights

BATCH_ROWS = 4096
PERMISSIVE = re.compile(
    r"^(?:mit(?:-0)?|apache-2\.0|bsd(?:-[234]-clause.*)?|isc|zlib|0bsd|ms-pl|bsl-1\.0|ecl-2\.0|ncsa|postgresql|"
    r"cc-by-[1-4]\.0|odc-by|cdla-permissive-[12]\.0|cc0-1\.0|unlicense|wtfpl|pddl|cc-pddc)$"
)
"""Identifiers of the Hub (huggingface.co/docs/hub/repositories-licenses) that ask for a notice at most."""
WAIVED = re.compile(r"^(?:cc0-1\.0|unlicense|wtfpl|pddl|cc-pddc)$")
"""Public domain: not even attribution, which a source under CC BY asks for."""
SHARE_ALIKE = re.compile(r"^(cc-by-(?:nc-)?sa|gpl|agpl|lgpl|odbl|gfdl|cdla-sharing|osl|eupl|mpl|epl)(?:-|$)")
"""Adaptations must stand under the same licence."""
NON_COMMERCIAL = re.compile(r"(?:^|-)nc(?:-|$)")
NO_DERIVATIVES = re.compile(r"(?:^|-)nd(?:-|$)")
ALIASES = {
    "apache": "apache-2.0", "apache2": "apache-2.0", "apache-2": "apache-2.0", "apache2.0": "apache-2.0",
    "apache-license-2.0": "apache-2.0", "mit-license": "mit", "cc0": "cc0-1.0", "cc-by": "cc-by-4.0",
    "cc-by-sa": "cc-by-sa-4.0", "gpl-3": "gpl-3.0", "gplv3": "gpl-3.0", "public-domain": "cc-pddc",
}  # fmt: skip
NAMELESS = frozenset(["", "unknown", "none", "null", "n/a", "noassertion", "unlicensed"])


def rights_of(bundle: Bundle, licence: str) -> Rights:
    """Count sources, licences and teachers, and compare the licences with that of the dataset.

    Args:
        bundle: Rows with a metadata column.
        licence: Licence under which the dataset is to be published, an identifier of the Hub.

    Returns:
        Counts of rows, most frequent first, and problems: rows that name no licence, one that is not known, no
        derivatives, non-commercial or share-alike ones under a licence that does not say so, attribution given up.
        It compares names; whether a use is allowed is for people to say.
    """
    sources: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    teachers: Counter[str] = Counter()
    for facts in _metadata(bundle):
        sources[_source(facts)] += 1
        licences[normal_name(facts.get("licence") or facts.get("license"))] += 1
        if teacher := facts.get("teacher") or facts.get("model"):
            teachers[teacher if isinstance(teacher, str) else json.dumps(teacher, ensure_ascii=False)] += 1
    problems = [*_own_problem(normal_name(licence), licence)]
    for name, n_rows in licences.most_common():
        problem = _problem(name, normal_name(licence))
        if problem:
            problems.append(f"{n_rows:,} {'row' if n_rows == 1 else 'rows'}: {problem}")
    return Rights(dict(sources.most_common()), dict(licences.most_common()), dict(teachers.most_common()), problems)


def normal_name(licence: Any) -> str:
    """The identifier of a licence as the Hub writes it; the empty name for none."""
    name = re.sub(r"[\s_]+", "-", str(licence or "").strip().lower())
    name = re.sub(r"-(?:only|or-later)$", "", name)
    return "" if name in NAMELESS else ALIASES.get(name, name)


def _own_problem(name: str, given: str) -> Iterator[str]:
    if not (
        PERMISSIVE.match(name) or SHARE_ALIKE.match(name) or NON_COMMERCIAL.search(name) or NO_DERIVATIVES.search(name)
    ):
        yield f"the dataset's licence {given!r} is not a known identifier (such as apache-2.0): nothing was compared"


def _problem(source: str, own: str) -> str:
    """What is wrong with rows of one licence under another, in words; nothing where they go together."""
    if not source:
        return "the licence of their source is not named; set readers.licence where you know it"
    if NO_DERIVATIVES.search(source):
        return f"their source is under {source}, which allows no derived works"
    if NON_COMMERCIAL.search(source) and not NON_COMMERCIAL.search(own):
        return f"their source is under {source} (non-commercial), the dataset under {own or 'no licence'}"
    family = SHARE_ALIKE.match(source)
    if family:
        same = SHARE_ALIKE.match(own)
        is_same = same is not None and same[1] == family[1]
        return (
            "" if is_same else f"their source is under {source} (share-alike), the dataset under {own or 'no licence'}"
        )
    if NON_COMMERCIAL.search(source):
        return ""
    if not PERMISSIVE.match(source):
        return f"the licence {source!r} of their source is not known here; read it, then acknowledge it"
    if source.startswith("cc-by-") and WAIVED.match(own):
        return f"their source is under {source}, which asks for attribution, the dataset under {own}, which waives it"
    return ""


def _source(facts: Mapping[str, Any]) -> str:
    """The folder or file at the top of the source path, with the format; files of one folder are one source."""
    source = facts.get("source")
    path = source.get("path") if isinstance(source, Mapping) else source
    top = str(path or "").replace("\\", "/").lstrip("/").partition("/")[0]
    name = str(facts.get("source_format") or "")
    return f"{top} ({name})" if top and name else top or name or "unknown"


def _metadata(bundle: Bundle) -> Iterator[Mapping[str, Any]]:
    for dataset in bundle.splits.values():
        if "metadata" not in dataset.column_names:
            yield from ({} for _ in range(len(dataset)))
            continue
        for table in dataset.select_columns(["metadata"]).with_format("arrow").iter(batch_size=BATCH_ROWS):
            for text in table.column("metadata").to_pylist():
                try:
                    facts = json.loads(text or "{}")
                except ValueError:
                    facts = {}
                yield facts if isinstance(facts, dict) else {}
