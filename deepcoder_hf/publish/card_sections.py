"""What the card says of one config: shares, a trajectory, filters, sources, tokenizer, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from deepcoder_hf.publish.bundle import CardFacts
from deepcoder_hf.publish.card_picture import SpanView, views_of
from deepcoder_hf.publish.card_tally import Tally
from deepcoder_hf.publish.card_text import code, fenced, shortened, table, visible, without_local_folders
from deepcoder_hf.spans.types import TYPE_IDS

KINDS = ("reasoning", "action", "observation", "answer", "other")
MAX_ENTRIES = 40
"""Lines of a table of names."""
MAX_NAME = 400
"""Characters of a name in such a table: mask settings are one."""
EXCERPT, EXCERPT_SPAN = 6_000, 500
"""Characters of the trajectory that stands on the card as text, and of one of its spans."""


def shares_section(tally: Tally, assets: str) -> str:
    """Shares of the types over all tokens and over rows, with the pictures."""
    tokens, trained, total = tally.tokens, tally.trained, max(int(tally.tokens.sum()), 1)
    rows = []
    for name in KINDS:
        kind = TYPE_IDS[name]
        quantiles = [f"{tally.share_quantile(kind, q):.1%}" for q in (0.05, 0.5, 0.95)]
        mean = f"{tally.share_sums[kind] / max(tally.n_rows, 1):.1%}"
        counts = [f"{tokens[kind]:,}", f"{tokens[kind] / total:.1%}", f"{trained[kind]:,}"]
        rows.append([name, *counts, mean, *quantiles])
    head = ("type", "tokens", "share", "trained tokens", "mean over rows", "p05", "p50", "p95")
    lengths = [f"{tally.length_quantile(q):,}" for q in (0.05, 0.5, 0.95)]
    return "\n\n".join(
        (
            "What the tokens are, and how many of them are trained:",
            table(head, rows, 7),
            f"Tokens of a row: {lengths[0]} (5th percentile), {lengths[1]} (median), {lengths[2]} (95th percentile).",
            f"![Shares of reasoning, action, observation, answer and other by split]({assets}shares.png)",
            f"![Distribution of the shares over rows]({assets}distributions.png)",
            f"![Distribution of the length of rows]({assets}lengths.png)",
        )
    )


def trajectory_section(row: Mapping[str, Any], place: str, assets: str) -> str:
    """One trajectory as picture and text.

    Args:
        row: A SAD row.
        place: Its split and number.
        assets: Where the pictures are.
    """
    words = f"Row {place}, trajectory {code(row['trajectory_id'])}: each span with its tokens and what is trained."
    return "\n\n".join(
        (
            f"{words} Characters that hide or act are written as `<U+200B>`.",
            f"![The trajectory with its masks in colour]({assets}trajectory.png)",
            fenced(_excerpt(views_of(row))),
        )
    )


def _excerpt(spans: list[SpanView]) -> str:
    text = ""
    for n, span in enumerate(spans):
        words = shortened(visible(span.subtype).replace("\n", " "), 30)
        name = f"{span.kind} ({words})" if words else span.kind
        head = f"[{name}, tokens {span.start_token} to {span.end_token}, {span.training}]\n"
        body = span.text if len(span.text) <= EXCERPT_SPAN else _middle_left_out(span.text)
        if len(text) + len(head) + len(body) > EXCERPT and n:
            return f"{text}[{len(spans) - n} more spans]"
        text += f"{head}{body.rstrip()}\n\n"
    return text


def _middle_left_out(text: str) -> str:
    half = EXCERPT_SPAN // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"


def filters_section(report: Mapping[str, Any], tally: Tally, contamination: Mapping[str, int]) -> str:
    """What was read and what was left out, by reason."""
    parts = []
    if not report:
        parts.append("The report of the run that made these rows is not known.")
    else:
        counts = {name: _number(report.get(name)) for name in ("n_read", "n_kept", "n_dropped", "n_failed", "n_rows")}
        parts.append(
            "The run read {n_read} records: {n_kept} kept, {n_dropped} dropped by filters, {n_failed} could not be "
            "used; it made {n_rows} rows".format(**counts)
            + ("." if report.get("n_rows") == tally.n_rows else f", of which {tally.n_rows:,} are published here.")
        )
        parts.append(_reasons(report) or "Nothing was left out.")
        config = report.get("config")
        filters = config.get("filters") if isinstance(config, Mapping) else None
        if isinstance(filters, Mapping):
            active = [f"{code(name)} {code(value)}" for name, value in filters.items() if value not in (None, False)]
            parts.append(f"Filters: {', '.join(active) or 'none'}.")
    if contamination:
        rows = [[code(name), f"{n:,}"] for name, n in contamination.items()]
        parts += ["Rows taken out because they overlap with a benchmark:", table(("benchmark", "rows"), rows, 1)]
    else:
        parts.append("Rows were not compared with benchmarks.")
    return "\n\n".join(parts)


def _reasons(report: Mapping[str, Any]) -> str:
    reasons = report.get("reasons")
    if not isinstance(reasons, Mapping):
        return ""
    rows = [
        [state, code(reason), _number(n)]
        for state, counts in reasons.items()
        if isinstance(counts, Mapping) and state in ("dropped", "failed")
        for reason, n in counts.items()
    ]
    return table(("left out", "reason", "records"), rows, 1) if rows else ""


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else "unknown"


def sources_section(facts: CardFacts, tally: Tally) -> str:
    """Where the rows come from and under which rights."""
    rights = facts.rights
    parts = [f"Licence of this dataset: {code(facts.licence)}."]
    for head, counts in (
        ("source", rights.sources),
        ("licence of the source", rights.licences),
        ("teacher", rights.teachers),
        ("format of the source", tally.facts.get("format", {})),
    ):
        if counts:
            parts.append(_names(head, "rows", counts))
    if not rights.sources:
        parts.append("The rows name no source.")
    if rights.problems:
        problems = [f"- {code(problem)}" for problem in rights.problems[:MAX_ENTRIES]]
        parts += ["Acknowledged by the publisher:", "\n".join(problems)]
    return "\n\n".join(parts)


def _names(head: str, unit: str, counts: Mapping[str, int]) -> str:
    """Counts by name, the largest first, as a table."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [(without_local_folders(name), n) for name, n in ordered[:MAX_ENTRIES]]
    rows = [[code(name, MAX_NAME) if name else "not named", f"{n:,}"] for name, n in shown]
    if len(ordered) > MAX_ENTRIES:
        rows.append([f"{len(ordered) - MAX_ENTRIES:,} more", f"{sum(n for _, n in ordered[MAX_ENTRIES:]):,}"])
    return table((head, unit), rows, 1)


def tokens_section(report: Mapping[str, Any], tally: Tally) -> str:
    """Tokenizer, template, masks and patterns, by the rows' own metadata, and the versions of the run."""
    heads = {
        "tokenizer": "tokenizer and digest of its vocabulary",
        "template": "chat template and its digest",
        "reasoning": "how reasoning of past turns is rendered",
        "masks": "mask settings",
    }
    parts = [_names(head, "rows", tally.facts[fact]) for fact, head in heads.items() if tally.facts.get(fact)]
    if tally.origins:
        parts.append(_names("what decided the spans", "spans", tally.origins))
    if tally.patterns:
        parts.append(_names("pattern", "spans", tally.patterns))
    digests = report.get("digests")
    for name, value in digests.items() if isinstance(digests, Mapping) else ():
        parts.append(f"Digest of {code(name)}: {code(value)}.")
    versions = report.get("versions")
    if isinstance(versions, Mapping) and versions:
        rows = [[code(name), code(value)] for name, value in versions.items()]
        rows += [["engine", code(report["engine"])]] if "engine" in report else []
        parts.append(table(("package", "version"), rows))
    return "\n\n".join(parts)


def reproduce_section(facts: CardFacts, report: Mapping[str, Any]) -> str:
    """The exact configuration and command; folders of local paths are left out."""
    versions = report.get("versions")
    version = versions.get("deepcoder-hf") if isinstance(versions, Mapping) else None
    parts = []
    config = report.get("config")
    if isinstance(config, Mapping):
        made = f"made by `deepcoder-hf` {code(version)}" if version else "made"
        parts += [f"The rows were {made} with this configuration, `config.yaml`:", fenced(_yaml(config), "yaml")]
        parts += ["by", fenced("deepcoder-hf process --input RECORDS --output sad/ --config config.yaml", "bash")]
    else:
        parts.append("The configuration of the run that made the rows is not known.")
    if facts.command:
        parts += ["and published by", fenced(without_local_folders(facts.command), "bash")]
    parts.append("Folders of local paths are left out.")
    return "\n\n".join(parts)


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(_without_folders(dict(config)), sort_keys=False, allow_unicode=True, width=100)


def _without_folders(value: Any) -> Any:
    if isinstance(value, str):
        return without_local_folders(value)
    if isinstance(value, Mapping):
        return {str(key): _without_folders(inner) for key, inner in value.items()}
    return [_without_folders(inner) for inner in value] if isinstance(value, list | tuple) else value


def headed(sections: Mapping[str, tuple[str, str]], config: str) -> Iterator[tuple[str, str]]:
    """Sections of a config with their headings, by key: `key@config`; a config other than the default is named."""
    name = "" if config == "default" else f" of config {code(config)}"
    for key, (heading, text) in sections.items():
        yield f"{key}@{config}", f"## {heading}{name}\n\n{text}"
