"""Corrections: what the forms of a family say of each other, before and after their roles are chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from itertools import pairwise

from deepcoder_hf.spans.evidence import CORE, Evidence, Family, Sign, share
from deepcoder_hf.spans.roles import SURE, Role

TOOL_TURNS = frozenset(
    ("tool", "function", "tools", "ipython", "environment", "env", "werkzeug", "herramienta", "outil",
     "function_response", "工具", "函数", "ツール", "関数")
)  # fmt: skip
"""Names under which a chat shows what a tool answered."""


def before_choice(family: Family, rules: Set[str]) -> None:
    """Correct names that mean something else beside others of the family.

    Args:
        family: The family.
        rules: Names of the rules that are switched on.
    """
    _tools_of_chats(family)
    if "shell_comments" in rules:
        _comments_of_shells(family)


def after_choice(family: Family, known: Sequence[Sign]) -> None:
    """Correct roles that the order of the forms speaks against.

    Args:
        family: The family, its roles chosen.
        known: Sure markers of the text, by place.
    """
    _answers_of_agents(family, known)
    _results_of_systems(family, known)
    _drop_doubled(family)
    if family.name != "prompt":
        _drop_rare(family, known)
    _drop_embedded(family, known)


def _comments_of_shells(family: Family) -> None:
    """Beside a shell's prompt, a line of comment is what the agent thinks."""
    prompts = [evidence for form, evidence in family.forms.items() if form.kind == "prompt"]
    if any(evidence.names.get("action") == SURE for evidence in prompts):
        for form, evidence in family.forms.items():
            if form.name == "#":
                evidence.names = {"reasoning": SURE}


def _tools_of_chats(family: Family) -> None:
    """Beside turns of an assistant, a turn of the tool is its answer, if nothing else is named so."""
    forms = family.forms
    named = {role for e in forms.values() for role, weight in list(e.names.items())[:1] if weight >= SURE}
    if family.name == '{"role"}' or any(form.name.startswith("assistant to=") for form in forms):
        named.add("assistant")
    if "assistant" not in named or "observation" in named:
        return
    for form, evidence in forms.items():
        if form.name.split(" ")[-1] in TOOL_TURNS:
            evidence.names = {"observation": evidence.names.get("action", SURE)}


def _answers_of_agents(family: Family, known: Sequence[Sign]) -> None:
    """Where thoughts and calls are labelled beside the agent, what stands under its own name is its answers."""
    roles = {e.role for e in family.forms.values()}
    if "assistant" not in roles or not roles & {"reasoning", "action"}:
        return
    _, after = family.neighbours(known)
    follow: Counter[str] = Counter()
    for form, evidence in family.forms.items():
        if evidence.role == "user":
            follow += after[form]
    if share(follow, "reasoning", "action") > 0.5:
        for evidence in family.forms.values():
            evidence.role = "answer" if evidence.role == "assistant" else evidence.role


def _results_of_systems(family: Family, known: Sequence[Sign]) -> None:
    """A turn of the system that mostly follows calls holds their results."""
    if all(evidence.role != "system" for evidence in family.forms.values()):
        return
    before, _ = family.neighbours(known)
    for form, evidence in family.forms.items():
        if evidence.role == "system" and share(before[form], "action") > 0.5:
            evidence.role = "observation"


def _drop_doubled(family: Family) -> None:
    """A name of tools that follows itself stands for calls and for their results: its place in the step tells which."""
    for form, evidence in family.forms.items():
        if evidence.role == "action" and form.kind == "label" and form.name in TOOL_TURNS:
            doubled = sum(a.form == b.form == form for a, b in pairwise(family.openers))
            if 3 * doubled >= evidence.n:
                evidence.role = None


def _drop_rare(family: Family, known: Sequence[Sign]) -> None:
    """Forms that play a role which known markers play, or in few of the steps, are no markers."""
    marked = Counter(role for _, role in known)
    counts = Counter(marked)
    for evidence in family.forms.values():
        if evidence.role is not None:
            counts[evidence.role] += evidence.n
    n_steps = max((counts[role] for role in CORE), default=0)
    for evidence in family.forms.values():
        role = evidence.role
        if role in CORE and (marked[role] > max(1, evidence.n // 2) or counts[role] < 0.25 * n_steps):
            evidence.role = None


def _drop_embedded(family: Family, known: Sequence[Sign]) -> None:
    """Forms that stand within results, and whose name is not sure, are part of them: "Page:", "Summary:"."""
    part = ("answer", "user", "observation") if family.common else ("reasoning",)
    nameless = 0.1 if family.common else 0.0
    doubtful: list[tuple[Evidence, Role]] = []
    for evidence in family.forms.values():
        role = evidence.role
        if role is not None and role in part and 0.0 < evidence.names.get(role, nameless) < SURE:
            doubtful.append((evidence, role))
    if not doubtful:
        return
    before, _ = family.neighbours(known)
    for evidence, role in doubtful:
        inside = share(before[evidence.form], "observation") > 0.5
        if inside and evidence.content["observation"] > evidence.content[role] - 1.5:
            evidence.role = None
