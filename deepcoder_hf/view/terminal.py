"""What the commands show: the summary of a run, and a trajectory with its masks in colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from deepcoder_hf.view.safe import safe_text

STYLES = {
    "reasoning": "cyan",
    "action": "green",
    "observation": "yellow",
    "answer": "magenta",
    "other": "bright_black",
}
LEDGER_NOTES = {
    "context_lost": "of system and user left out by the template",
    "escaped": "control tokens escaped",
    "empty_think": "empty think blocks put in by the template",
    "dropped_turns": "empty agent turns left out",
    "tokens_differ": "rows whose recorded tokens are not those of the rendering",
    "tokens_missing": "trajectories without recorded tokens, rendered instead",
    "template_refused": "refused by the template",
}
"""Events of the ledger and what the summary calls them."""
FRAME = frozenset(("header", "empty_think", "stop", "turn_end"))
"""Subtypes of what a template writes around turns: a line is enough for them."""
GUTTER = 13
SLACK = 60
"""A text is not cut for so few characters: the note that it was cut takes as many."""


def summary(report: Mapping[str, Any]) -> Group:
    """The report of a run as tables."""
    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column()
    tokens, trained = report["tokens"]["total"], report["tokens"]["trained"]
    facts.add_row(
        "records",
        f"{report['n_read']:,} read = {report['n_kept']:,} kept + {report['n_dropped']:,} dropped + "
        f"{report['n_failed']:,} failed",
    )
    facts.add_row(
        "parsed", f"{report['parsing_success_rate']:.1%}, of these {report['filter_pass_rate']:.1%} pass the filters"
    )
    facts.add_row("rows", f"{report['n_rows']:,}, {report['format_validation']['rate']:.1%} valid")
    facts.add_row("tokens", f"{tokens:,}, {trained / max(tokens, 1):.1%} trained")
    facts.add_row("thinking", f"{report['structured_thinking_rate']:.1%} of the kept records hold marked reasoning")
    facts.add_row("tokenizer", safe_text(f"{report['tokenizer']}, engine {report['engine']}"))
    if "speed" in report:
        speed, shards = report["speed"], report["shards"]
        facts.add_row(
            "speed",
            f"{speed['seconds']:.1f} s, {speed['tokens_per_s']:,.0f} tokens/s, {shards['from_cache']} of "
            f"{shards['total']} shards from the cache",
        )
    return Group(*[part for part in (facts, _ratios(report), _ledger(report), _reasons(report)) if part is not None])


def _ratios(report: Mapping[str, Any]) -> Table | None:
    if not report["row_ratios"]:
        return None
    table = Table(title="share of tokens by type", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("type")
    for name in ("all tokens", "row mean", "p05", "p50", "p95"):
        table.add_column(name, justify="right")
    for kind, style in STYLES.items():
        row = report["row_ratios"][kind]
        values = (report["token_ratios"][kind], row["mean"], row["p05"], row["p50"], row["p95"])
        table.add_row(Text(kind, style), *(f"{value:.1%}" for value in values))
    return table


def _ledger(report: Mapping[str, Any]) -> Group | None:
    """What became of the source's words, and what was added or left out on the way."""
    ledger = report["ledger"]
    kinds = [kind for kind in STYLES if kind in ledger]
    if not kinds:
        return None
    strings = ledger["record_strings"]
    notes = [f"loss {ledger['loss_ratio']:.4%}", f"{strings['unread']:,} of {strings['total']:,} not read"]
    if strings["rejected"]:
        notes.append(f"{strings['rejected']:,} in rejects")
    for name, words in LEDGER_NOTES.items():
        if ledger.get(name):
            notes.append(f"{ledger[name]:,} {words}")
    table = Table(title="characters of the source", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("type")
    stages = list(ledger[kinds[0]])
    for name in stages:
        table.add_column(name, justify="right")
    for kind in kinds:
        table.add_row(Text(kind, STYLES[kind]), *(f"{ledger[kind][stage]:,}" for stage in stages))
    unread = ", ".join(f"{path} ({n:,})" for path, n in list(ledger["unread_paths"].items())[:8])
    lines = [Text(", ".join(notes))] + ([Text(safe_text(f"not read, by characters: {unread}"))] if unread else [])
    return Group(table, *lines)


def _reasons(report: Mapping[str, Any]) -> Table | None:
    rows = [(state, reason, n) for state, counts in report["reasons"].items() for reason, n in counts.items()]
    if not rows:
        return None
    table = Table(title="not kept", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("what")
    table.add_column("reason")
    table.add_column("records", justify="right")
    for state, reason, n in rows:
        table.add_row(state, safe_text(reason), f"{n:,}")
    return table


def trajectory(row: Mapping[str, Any], max_chars: int | None = 600) -> Group:
    """A SAD row: every span with its type, what of it is trained, and its text.

    Args:
        row: A row with the columns of `SAD_FEATURES`.
        max_chars: Characters of a span that are shown; None shows all.
    """
    labels = row["labels"]
    title = Text(safe_text(f"{row['trajectory_id']}  "), "bold")
    title.append(f"{row['length']:,} tokens", "not bold")
    if row["window"]["n"] > 1:
        title.append(f", window {row['window']['index'] + 1} of {row['window']['n']}", "not bold")
    parts: list[Any] = [title, _legend(row)]
    step = None
    for span in row["spans"]:
        if span["step_id"] != step:
            step = span["step_id"]
            parts.append(Text(f"── step {step} " if step else "── before the first step ", "bold"))
        n_trained = sum(label != -100 for label in labels[span["start_token"] : span["end_token"]])
        parts.append(_span(span, row["text"], n_trained, max_chars))
    return Group(*parts)


def _legend(row: Mapping[str, Any]) -> Text:
    text = Text()
    n_by_type = dict.fromkeys(STYLES, 0)
    for span in row["spans"]:
        n_by_type[span["span_type"]] += span["end_token"] - span["start_token"]
    for kind, style in STYLES.items():
        text.append(f"{kind} {n_by_type[kind] / max(row['length'], 1):.0%}  ", style)
    n_reasoning, n_action = sum(row["reasoning_mask"]), sum(row["action_mask"])
    text.append(f"reasoning_mask {n_reasoning:,}, action_mask {n_action:,} of {row['length']:,} tokens")
    return text


def _span(span: Mapping[str, Any], whole: str, n_trained: int, max_chars: int | None) -> Table:
    style = STYLES.get(span["span_type"], "")
    n_tokens = span["end_token"] - span["start_token"]
    text = whole[span["start_char"] : span["end_char"]]
    shown = text if max_chars is None or len(text) <= max_chars + SLACK else text[:max_chars]
    body = Text(safe_text(shown.rstrip("\n")), style if n_trained else f"{style} dim")
    if len(shown) < len(text):
        body.append(f" … {len(text) - len(shown):,} more characters", "italic not dim")
    trained = "trained" if n_trained == n_tokens and n_tokens else f"{n_trained}/{n_tokens}" if n_trained else "masked"
    if span["subtype"] in FRAME:
        gutter = Text(span["subtype"], style)
    else:
        gutter = Text(f"{span['span_type']}\n", f"bold {style}")
        gutter.append(safe_text(f"{span['subtype'][:GUTTER]}\n"), f"not bold {style}")
        gutter.append(f"{n_tokens} tokens\n{trained}\n{span['confidence']:.2f}", "not bold bright_black")
    table = Table(show_header=False, box=None, pad_edge=False, expand=False)
    table.add_column(width=GUTTER, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(gutter, body)
    return table


def console(stderr: bool = False) -> Console:
    """A console that takes no markup or emoji codes from the text it shows."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
