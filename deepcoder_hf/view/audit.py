"""The report of an audit as tables for the terminal and as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deepcoder_hf.view.page_charts import class_chart
from deepcoder_hf.view.page_shell import page_with
from deepcoder_hf.view.safe import safe_text

SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
SHOWN_EXAMPLES = 1
"""Examples of a finding in the terminal; the page and the JSON hold all."""


def audit_table(report: Mapping[str, Any]) -> Group:
    """A report of `audit_dataset` for the terminal."""
    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column()
    trained, tokens = report["trained_tokens"], report["tokens"]
    facts.add_row("rows", f"{report['rows']:,}, {report['trained_rows']:,} train something")
    facts.add_row("tokens", f"{tokens:,}, {trained:,} ({trained / max(tokens, 1):.1%}) trained")
    facts.add_row("trained by", safe_text("; ".join(report["trained_by"])))
    turns = f"{report['turns']:,}, {report['assistant_turns']:,} of the assistant, {report['trained_turns']:,} trained"
    facts.add_row("turns", turns)
    markers = report["turn_markers"]
    facts.add_row("turn markers", safe_text(f"{markers['family']}: {markers['source']}"))
    parts: list[Any] = [facts, _classes(report), _findings(report)]
    parts += [part for finding in report["findings"] for part in _examples(finding)]
    n_over = sum(finding["over_limit"] for finding in report["findings"])
    parts.append(Text(f"\n{n_over} findings over their limit" if n_over else "\nno finding over its limit", "bold"))
    return Group(*parts)


def _classes(report: Mapping[str, Any]) -> Table:
    table = Table(title="tokens by what they are", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("class")
    for name in ("tokens", "trained", "share of trained"):
        table.add_column(name, justify="right")
    for name, counts in report["classes"].items():
        share = counts["trained"] / max(report["trained_tokens"], 1)
        table.add_row(name, f"{counts['tokens']:,}", f"{counts['trained']:,}", f"{share:.1%}")
    return table


def _findings(report: Mapping[str, Any]) -> Table:
    table = Table(title="findings", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("severity", "finding"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "rows", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it means")
    for finding in report["findings"]:
        details = "; ".join(f"{kind}: {n:,}" for kind, n in finding["details"].items())
        table.add_row(
            Text(finding["severity"], SEVERITIES[finding["severity"]]),
            finding["code"],
            f"{finding['n']:,} {finding['unit']}",
            f"{finding['n_rows']:,}",
            f"{finding['share']:.2%}",
            safe_text(finding["meaning"] + (f" ({details})" if details else "")),
        )
    if not report["findings"]:
        table.add_row("", "none", "", "", "", "")
    return table


def _examples(finding: Mapping[str, Any]) -> list[Text]:
    lines = []
    for example in finding["examples"][:SHOWN_EXAMPLES]:
        line = Text(f"\n{finding['code']}, row {example['row']}, token {example['token']}: ", "bold")
        line.append(_one_line(example["before"]), "not bold bright_black")
        line.append(f"[{_one_line(example['marked'])}]", f"not bold {SEVERITIES[finding['severity']]}")
        line.append(_one_line(example["after"]), "not bold bright_black")
        lines.append(line)
    return lines


def _one_line(text: str) -> str:
    return safe_text(text.replace("\n", "⏎"))


def audit_page(report: Mapping[str, Any]) -> str:
    """A report of `audit_dataset` as one HTML page without scripts; every text of the data is escaped."""
    chart = class_chart(report["classes"])
    return page_with("audit.html", f"Audit of {report['dataset']}", {"report": report, "chart": chart})
