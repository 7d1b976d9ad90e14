"""The rules of the detector that are no patterns, each with the conventions that it was written for.

A rule about evidence in general names no convention, and nothing switches it off. `spans.leave_out` switches off all
rules, and all patterns, that name one of its conventions, so that `deepcoder-hf evaluate --leave-out` measures what the
rest makes of unseen text: names, content and order still count for what such a rule would have decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the detector."""

    styles: tuple[str, ...]
    """The conventions that it was written for; empty for one about evidence in general."""
    says: str
    """What it does."""
    acts: str
    """The function of this package that keeps it: module.function, or module.class.method."""


RULES: dict[str, Rule] = {
    "shell_prompts": Rule(
        ("terminal_transcript", "household_prompt", "sweagent_discussion"),
        "A shell's prompt begins a call that ends with its command; the world answers it without a mark.",
        "convention_markers.ConventionMarkers._prompt_end",
    ),
    "shell_comments": Rule(
        ("terminal_transcript",),
        "Lines of comment before a command are thoughts.",
        "convention_markers.ConventionMarkers._comments_before_commands",
    ),
    "thoughts_behind_prompts": Rule(
        ("household_prompt",),
        "A label behind a prompt says what its line is: `> think: ...` is a thought, and ends with its line.",
        "convention_markers.ConventionMarkers._of_mark",
    ),
    "notebook_cells": Rule(
        ("jupyter",),
        "The code of `In [3]:` goes on over lines of code, and ends before prose and empty lines.",
        "convention_markers.ConventionMarkers._prompt_end",
    ),
    "json_steps": Rule(
        ("terminus_json", "jsonl_turns"),
        "JSON objects that begin a line are steps: their keys, or the speaker that they name, are markers.",
        "conventions._families",
    ),
    "addressed_words": Rule(
        ("harmony", "assistant_to"),
        "Whom the agent addresses says what its words are: `to=self` a thought, `to=user` an answer, any other a call.",
        "evidence._names",
    ),
    "calls_and_thoughts_behind_signs": Rule(
        ("unmarked_arrows",),
        "A sign without a name before calls and before words of another kind is the agent's turn.",
        "evidence._hear",
    ),
    "answered_fences": Rule(
        ("sweagent_discussion",),
        "A fence is a call where words in the world's voice follow it, without any marker.",
        "context.Context.answered",
    ),
    "names": Rule((), "Words of names, in six languages, speak for roles.", "roles.roles_of"),
    "content": Rule((), "What stands under a marker sounds like its role.", "evidence._hear"),
    "order": Rule((), "A result follows a call, a call a thought, an answer ends the turn.", "evidence.order"),
    "calls_by_looks": Rule((), "JSON, commands and code look like calls.", "calls.callness"),
    "conventions": Rule((), "Recurring forms that play two roles are markers.", "conventions.recognise"),
    "tools_of_chats": Rule(
        (), "Beside turns of an assistant, a turn of the tool is its answer.", "corrections.before_choice"
    ),
    "answers_and_results_of_turns": Rule(
        (), "The order of turns tells answers from thoughts, and results from the system.", "corrections.after_choice"
    ),
    "weak_calls": Rule((), "Weak markers that come as often as results are calls.", "infer.signs_of"),
    "quoted_examples": Rule((), "Markup that a prompt only quotes is the user's.", "quoted.examples_end"),
    "containers": Rule((), "Of a tag that holds telling tags those say what it holds.", "context.Context.tag_agrees"),
    "mentions": Rule((), "Tags within a sentence are text.", "context.Context.is_placed"),
    "layouts": Rule((), "Weak turns count in the layout with which the text began.", "context.Context.turn_counts"),
    "weak_markers": Rule((), "Weak markers count where their context agrees.", "context.Context.expected"),
    "fences": Rule((), "A fence is a call where a marked result follows.", "context.Context.fence_counts"),
    "orphans": Rule((), "A closing tag alone closes what the turn began with.", "machine.Machine._orphan_close"),
    "loose_words": Rule(
        (), "Words before a call lead to it; those at a turn's end answer.", "machine.Machine._end_turn"
    ),
    "gaps": Rule((), "What no marker decides is divided by voice and order.", "refine.refine"),
}


def enabled_rules(leave_out: Sequence[str]) -> frozenset[str]:
    """Names of the rules that remain when conventions are left out.

    Args:
        leave_out: Names of conventions.
    """
    return frozenset(name for name, rule in RULES.items() if not set(rule.styles) & set(leave_out))
