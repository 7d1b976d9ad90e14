"""Every finding of the audit: what it means, how grave it is, and of what its share is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Unit = Literal["tokens", "turns", "rows"]


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A finding that the audit knows.

    Args:
        severity: error: training goes wrong; warning: look at it; note: a fact.
        unit: What `n` counts.
        of: What the share is taken of: a total of the report.
        meaning: One sentence: what it is and what to do.
    """

    severity: Severity
    unit: Unit
    of: str
    meaning: str


_E: Severity = "error"
_W: Severity = "warning"
_N: Severity = "note"

FINDINGS: dict[str, FindingKind] = {
    "unreadable_rows": FindingKind(_E, "rows", "rows", "rows whose columns do not fit each other"),
    "out_of_vocabulary": FindingKind(_E, "tokens", "tokens", "ids that this tokenizer does not have"),
    "label_mismatch": FindingKind(
        _E, "tokens", "trained_tokens", "labels that are neither -100 nor the token at their place"
    ),
    "shifted_labels": FindingKind(
        _E,
        "rows",
        "rows",
        "labels are the next token: the trainer shifts again, so each token learns the one after next",
    ),
    "label_under_zero_attention": FindingKind(
        _E, "tokens", "trained_tokens", "trained tokens where attention_mask is 0"
    ),
    "no_trained_token": FindingKind(_E, "rows", "rows", "rows that train nothing"),
    "trained_observation": FindingKind(
        _E, "tokens", "trained_tokens", "tool results are trained as if the model had written them"
    ),
    "trained_user": FindingKind(_E, "tokens", "trained_tokens", "user messages are trained"),
    "trained_system": FindingKind(_E, "tokens", "trained_tokens", "system messages and tool definitions are trained"),
    "trained_header": FindingKind(
        _E, "tokens", "trained_tokens", "headers of turns are trained, which the prompt gives at inference"
    ),
    "trained_padding": FindingKind(_E, "tokens", "trained_tokens", "padding is trained"),
    "untrained_stop": FindingKind(
        _E,
        "turns",
        "trained_turns",
        "the stop token of a trained turn is not trained: the model does not learn to stop",
    ),
    "partly_trained": FindingKind(_W, "turns", "trained_turns", "turns of which some text is trained and some is not"),
    "trained_outside_turns": FindingKind(
        _W, "tokens", "trained_tokens", "trained tokens that belong to no turn that is known"
    ),
    "trained_empty_think": FindingKind(
        _W, "tokens", "trained_tokens", "empty think blocks are trained: the model learns not to think"
    ),
    "null_keys": FindingKind(
        _W, "rows", "rows", 'rows with `"key": null` in calls or tool definitions: often invented by Arrow'
    ),
    "cut_rows": FindingKind(_W, "rows", "rows", "rows that end inside a turn, without its stop"),
    "unclosed_turns": FindingKind(_W, "turns", "turns", "turns that another one follows without a stop"),
    "dropped_reasoning": FindingKind(
        _W,
        "rows",
        "rows_of_several_turns",
        "reasoning only in the last turns: a chat template may have deleted the rest",
    ),
    "control_tokens_in_text": FindingKind(
        _W, "rows", "rows", "control tokens inside user or tool texts: literal markers were encoded as such"
    ),
    "duplicate_rows": FindingKind(_W, "rows", "rows", "rows with the token ids of an earlier row"),
    "empty_think": FindingKind(_N, "turns", "turns", "empty think blocks, trained or not"),
    "trained_newline": FindingKind(
        _N, "tokens", "trained_tokens", "white space after the stop of a turn is trained: it is never generated"
    ),
    "packed_rows": FindingKind(_N, "rows", "rows", "rows that hold several sequences"),
    "no_turns": FindingKind(
        _N, "rows", "rows", "rows without a turn that this tokenizer's control tokens mark: only labels were checked"
    ),
}
"""Findings by code, in the order of the report."""
