"""Conventions: what roles the recurring forms of a text play, from their names, their content and their order.

A family of forms ("**X:**", "<x>", "X>>") is a convention when its forms play at least two different roles, or one beside the
roles of known markers. A form's role is the one for which name (roles.py), content (voice.py, calls.py) and neighbours
speak most; a form for which nothing speaks is no marker.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log
from typing import Literal

from deepcoder_hf.spans.calls import callness
from deepcoder_hf.spans.roles import SURE, Role, roles_of
from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.voice import PLAN, REPLY, USER, WORLD, voices

SAMPLES = 6
"""Occurrences of a form whose content is looked at."""
CORE: tuple[Role, ...] = ("reasoning", "action", "observation")
TURNS: tuple[Role, ...] = ("user", "assistant", "system")
ROLES: tuple[Role, ...] = (*CORE, "user", "assistant", "answer", "system")
TOOL_TURNS = frozenset(
    "tool function tools ipython environment env werkzeug herramienta outil function_response 工具 函数 ツール 関数".split()
)
"""Names under which a chat shows what a tool answered."""
NAMED, SHOWN = 0.9, 0.82
"""Confidence of a role that the name says, and of one that only content and order show."""
LEAST, RARE_LEAST = 1.0, 0.0
"""Log-odds from which on a role is taken; of a form without a telling name in a family that is rare elsewhere."""
LEAST_MARKS = 4
"""Marks of a family from which on a form that stands once counts, though its name says nothing."""
UNNAMED = -0.2
"""What a name that says nothing counts in a family that is rare elsewhere."""
COMMON = frozenset(("X:", "-X:", "*X:", "#X", "#X:", "prompt", "-X", "*X"))
"""Families of forms that any text has."""
UNSURE = 0.4
"""Confidence of OTHER for forms of a convention whose role nothing shows."""


@dataclass(slots=True)
class Evidence:
    """What speaks for the roles of one form."""

    form: Form
    n: int
    names: dict[Role, float]
    mixed: bool = False
    """Whether some of its content looks like calls, and some not at all."""
    content: dict[Role, float] = field(default_factory=dict)
    role: Role | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Convention:
    """A family of forms and the roles they play."""

    family: str
    roles: dict[Form, tuple[Role | Literal["other"], float]]
    """Role, other where nothing shows it, and confidence of each form that is a marker."""


def recognise(blob: bytes, end: int, marks: Sequence[Mark], known: Sequence[tuple[int, Role]]) -> list[Convention]:
    """Find the conventions of a text.

    Args:
        blob: Text in UTF-8.
        end: Byte where the text ends.
        marks: Its forms, by place.
        known: Where markers that need no survey begin, and their roles, by place.

    Returns:
        Conventions without a form in common; none where the evidence is too thin.
    """
    families: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        families[mark.form.family].append(mark)
    found: dict[str, Convention] = {}
    seen = list(known)
    for _ in range(2):  # what one family shows lets another count
        for family, members in families.items():
            if family not in found and (convention := _convention(family, members, blob, end, seen)) is not None:
                found[family] = convention
        seen = sorted([*known, *(sign for family in found for sign in _signs(found[family], families[family]))])
    return _compatible(list(found.values()), families)


def _signs(convention: Convention, members: Sequence[Mark]) -> Iterable[tuple[int, Role]]:
    """Where the marks of a convention begin, and their roles."""
    for mark in members:
        role, _ = convention.roles.get(mark.form, ("other", 0.0))
        if role != "other" and not mark.closes:
            yield mark.start, role


def _convention(
    family: str, members: Sequence[Mark], blob: bytes, end: int, known: Sequence[tuple[int, Role]]
) -> Convention | None:
    openers = [mark for mark in members if not mark.closes]
    if not openers:
        return None
    counts = Counter(mark.form for mark in openers)
    rare = family not in COMMON and openers[0].form.kind != "token" and counts.total() >= LEAST_MARKS
    forms = {
        form: Evidence(form, n, roles_of(form.name)) for form, n in counts.items() if roles_of(form.name) or rare or (n > 1 and form.kind != "token")
    }
    closed = Counter(mark.form for mark in members if mark.closes)
    if closed:  # tags come in pairs
        forms = {form: evidence for form, evidence in forms.items() if 2 * closed[form] >= evidence.n or form.kind != "tag"}
    openers = [mark for mark in openers if mark.form in forms]
    openers = _without_containers(openers, members, forms)
    if not openers:
        return None
    _tools_of_chats(forms)
    _comments_of_shells(forms)
    _hear(blob, end, openers, forms, known)
    known_roles = Counter(role for _, role in known)
    if rare:
        _seed(openers, forms)
    for _ in range(3):
        changed = _assign(openers, forms, known)
        if not changed:
            break
    _answers_of_agents(openers, forms, known)
    _results_of_systems(openers, forms, known)
    _drop_rare(forms, known_roles)
    if family in COMMON:
        _drop_embedded(openers, forms, known)
    roles = {e.form: (e.role, NAMED if e.role in e.names else SHOWN) for e in forms.values() if e.role is not None}
    played = {role for role, _ in roles.values()}
    n_core = sum(e.n for e in forms.values() if e.role in CORE)
    if family in COMMON and family != "prompt" and "assistant" not in played and n_core < 3 and not known_roles:
        return None
    if not _valid(played, forms.values(), set(known_roles)) or _in_the_prompt(openers, roles, known):
        return None
    if family not in COMMON and openers[0].form.kind == "label":
        roles |= {form: ("other", UNSURE) for form in forms if form not in roles}
    return Convention(family, roles)


def _without_containers(openers: list[Mark], members: Sequence[Mark], forms: dict[Form, Evidence]) -> list[Mark]:
    """Leave out tags that mostly hold other tags of the family: what they hold has the roles."""
    holds: Counter[Form] = Counter()
    open_now: list[Form] = []
    for mark in members:
        if mark.form.kind != "tag" or mark.form not in forms:
            continue
        if mark.closes:
            if mark.form in open_now:
                del open_now[len(open_now) - 1 - open_now[::-1].index(mark.form) :]
            continue
        if open_now and set(forms[mark.form].names) & set(CORE):
            holds[open_now[-1]] += 1
        open_now.append(mark.form)
    for form, n in holds.items():
        if n >= forms[form].n:
            del forms[form]
    return [mark for mark in openers if mark.form in forms]


def _seed(openers: Sequence[Mark], forms: dict[Form, Evidence]) -> None:
    """A first guess where no name tells: the form that most looks like calls, and what follows it most."""
    if any(evidence.names.get(role, 0.0) >= SURE for evidence in forms.values() for role in ("action", "observation")):
        return
    call = max(forms.values(), key=lambda e: e.content["action"])
    if call.content["action"] < log(0.4):
        return
    follow = Counter(b.form for a, b in pairwise(openers) if a.form == call.form and b.form != call.form)
    call.role = "action"
    if follow:
        forms[follow.most_common(1)[0][0]].role = "observation"


def _hear(
    blob: bytes, end: int, openers: Sequence[Mark], forms: dict[Form, Evidence], known: Sequence[tuple[int, Role]]
) -> None:
    """Fill in the content of each form: what its first samples sound like."""
    stops = sorted([mark.start for mark in openers] + [place for place, _ in known] + [end])
    samples: dict[Form, list[str]] = defaultdict(list)
    sure = {place for place, _ in known}
    at = 0
    for mark in openers:
        if len(samples[mark.form]) >= SAMPLES:
            continue
        while stops[at] < mark.end:
            at += 1
        words = blob[mark.end : min(stops[at], mark.end + 1500)].decode("utf-8", "replace")
        if mark.form.family == "prompt":  # a prompt is of one line
            words = words.partition("\n")[0] if mark.start not in sure else ""
        if words.strip() or mark.form.family != "prompt":
            samples[mark.form].append(words.strip())
    for form in forms:
        texts = [text for text in samples[form] if text] or [""]
        heard = voices(texts).mean(axis=0).tolist()
        calls = [callness(text) for text in texts]
        call = sum(calls) / len(calls)
        forms[form].mixed = form.family == "glyph" and max(calls) > 0.8 and min(calls) < 0.3 and not forms[form].names
        forms[form].content = {
            "reasoning": heard[PLAN],
            "observation": heard[WORLD] + log(1.02 - 0.8 * call),
            "user": heard[USER],
            "answer": heard[REPLY],
            "action": log(0.03 + 0.95 * call) - (3.0 if call < 0.25 else 0.0),
            "assistant": max(heard[PLAN], heard[REPLY]),
            "system": -3.0,
        }


def _assign(openers: Sequence[Mark], forms: dict[Form, Evidence], known: Sequence[tuple[int, Role]]) -> bool:
    """Give each form its best role, seeing what the others play; whether anything changed."""
    before, after = _neighbours(openers, forms, known)
    changed = False
    family = next(iter(forms)).family
    least = LEAST if family in COMMON else RARE_LEAST
    for form, evidence in forms.items():
        totals = {
            role: 1.3 * evidence.names.get(role, -1.0 if evidence.names or family in COMMON else UNNAMED)
            + max(-3.0, evidence.content[role])
            + _order(role, before[form], after[form])
            for role in ROLES
            if role not in TURNS or role in evidence.names or (role == "user" and family == "glyph")
        }
        if evidence.mixed:
            totals = {"assistant": 2.0}
        role = max(totals, key=lambda r: totals[r])
        score = totals[role] + 1.5
        chosen = role if score > (LEAST if evidence.names else least) else None
        changed = changed or chosen != evidence.role
        evidence.role, evidence.score = chosen, score
    return changed


def _in_the_prompt(
    openers: Sequence[Mark], roles: dict[Form, tuple[Role | Literal["other"], float]], known: Sequence[tuple[int, Role]]
) -> bool:
    """Whether most calls and results of a family stand before the agent, by sure markers, begins to speak."""
    first = next((place for place, role in known if role in ("reasoning", "assistant")), None)
    places = [mark.start for mark in openers if roles.get(mark.form, ("", 0.0))[0] in ("action", "observation")]
    return first is not None and bool(places) and sum(place > first for place in places) * 2 < len(places)


def _drop_rare(forms: dict[Form, Evidence], known: Counter[Role]) -> None:
    """Forms that play a role which known markers play, or in few of the steps, are no markers."""
    counts = Counter(known)
    for evidence in forms.values():
        if evidence.role is not None:
            counts[evidence.role] += evidence.n
    n_steps = max((counts[role] for role in CORE), default=0)
    for evidence in forms.values():
        role = evidence.role
        if role in CORE and (known[role] > 1 or counts[role] < 0.25 * n_steps):
            evidence.role = None


def _drop_embedded(openers: Sequence[Mark], forms: dict[Form, Evidence], known: Sequence[tuple[int, Role]]) -> None:
    """Forms that stand within results, and whose name is not sure, are part of them: "Page:", "Summary:"."""
    before, _ = _neighbours(openers, forms, known)
    for form, evidence in forms.items():
        role = evidence.role
        if role in ("answer", "user", "observation") and evidence.names.get(role, 0.0) < SURE:
            inside = _share(before[form], "observation") > 0.5
            if inside and evidence.content["observation"] > evidence.content[role] - 1.5:
                evidence.role = None


def _comments_of_shells(forms: dict[Form, Evidence]) -> None:
    """Beside a shell's prompt, a line of comment is what the agent thinks."""
    if any(form.kind == "prompt" and evidence.names.get("action") == SURE for form, evidence in forms.items()):
        for form, evidence in forms.items():
            if form.name == "#":
                evidence.names = {"reasoning": SURE}


def _tools_of_chats(forms: dict[Form, Evidence]) -> None:
    """Beside turns of an assistant, a turn of the tool is its answer, if nothing else is named so."""
    named = {role for e in forms.values() for role, weight in list(e.names.items())[:1] if weight >= SURE}
    named |= {"assistant"} if any(form.name.startswith("assistant to=") for form in forms) else set()
    if "assistant" in named and "observation" not in named:
        for form, evidence in forms.items():
            if form.name.split(" ")[-1] in TOOL_TURNS:
                evidence.names = {"observation": evidence.names.get("action", 3.0)}


def _answers_of_agents(openers: Sequence[Mark], forms: dict[Form, Evidence], known: Sequence[tuple[int, Role]]) -> None:
    """Where thoughts and calls are labelled beside the agent, what stands under its own name is its answers."""
    roles = {e.role for e in forms.values()}
    if "assistant" not in roles or not roles & {"reasoning", "action"}:
        return
    _, after = _neighbours(openers, forms, known)
    follow: Counter[str] = Counter()
    for form, evidence in forms.items():
        if evidence.role == "user":
            follow += after[form]
    if _share(follow, "reasoning", "action") > 0.5:
        for evidence in forms.values():
            evidence.role = "answer" if evidence.role == "assistant" else evidence.role


def _results_of_systems(
    openers: Sequence[Mark], forms: dict[Form, Evidence], known: Sequence[tuple[int, Role]]
) -> None:
    """A turn of the system that mostly follows calls holds their results."""
    before, _ = _neighbours(openers, forms, known)
    for form, evidence in forms.items():
        if evidence.role == "system" and _share(before[form], "action") > 0.5:
            evidence.role = "observation"


def _neighbours(
    openers: Sequence[Mark], forms: dict[Form, Evidence], known: Sequence[tuple[int, Role]]
) -> tuple[dict[Form, Counter[str]], dict[Form, Counter[str]]]:
    """Shares of the roles that stand before and after each form; "start" and "end" of the text among them."""
    line: list[tuple[int, str, Form | None]] = [(mark.start, forms[mark.form].role or "?", mark.form) for mark in openers]
    line += [(place, role, None) for place, role in known]
    line.sort(key=lambda entry: entry[0])
    before: dict[Form, Counter[str]] = defaultdict(Counter)
    after: dict[Form, Counter[str]] = defaultdict(Counter)
    for index, (_, _, form) in enumerate(line):
        if form is not None:
            before[form][line[index - 1][1] if index else "start"] += 1
            after[form][line[index + 1][1] if index + 1 < len(line) else "end"] += 1
    return before, after


def _share(counts: Counter[str], *roles: str) -> float:
    total = sum(counts.values())
    return sum(counts[role] for role in roles) / total if total else 0.0


def _order(role: Role, before: Counter[str], after: Counter[str]) -> float:
    """How well the neighbours fit a role, as log-odds."""
    if role == "observation":
        return 2.5 * _share(before, "action") + 0.8 * _share(before, "assistant") - 1.0
    if role == "action":
        return 1.5 * _share(after, "observation") + 0.5 * _share(before, "reasoning") - 0.7
    if role == "reasoning":
        return 1.0 * _share(after, "action") + 0.5 * _share(before, "observation", "user", "start") - 1.2 * _share(before, "action") - 0.5
    if role == "answer":
        return 1.0 * _share(after, "user", "end") - 2.0 * _share(after, "observation", "action") - 1.5 * _share(before, "action") - 0.3
    if role == "user":
        return 1.0 * _share(before, "start", "answer", "assistant", "system") - 1.5 * _share(before, "action") - 0.3
    return 0.0


def _valid(played: set[Role], evidence: Collection[Evidence], known: set[Role]) -> bool:
    """Whether the forms of a family make a convention."""
    core = played & set(CORE)
    prompts = [e for e in evidence if e.form.kind == "prompt" and e.role == "action"]
    if prompts and prompts[0].form.family == "prompt":  # the world answers a prompt without a mark
        return sum(e.n for e in prompts) > 1
    if any(e.form.family == '{"X"}' for e in evidence):
        return "action" in core and len(core) > 1
    if "assistant" in played and ("user" in played or core or known):
        return True
    if not core:
        return False
    named = {e.role for e in evidence if e.role in e.names}
    if named & set(CORE):
        return len(core | (known & set(CORE))) >= 2 or bool(played & {"user", "answer"})
    return {"action", "observation"} <= core and sum(e.n for e in evidence if e.role in CORE) >= 5


def _compatible(found: list[Convention], families: dict[str, list[Mark]]) -> list[Convention]:
    """Of conventions of labels that play the same roles, the one that recurs most; tags stand beside labels."""
    chosen: list[Convention] = []
    taken: set[tuple[str, Role]] = set()
    for convention in sorted(found, key=lambda c: -sum(m.form in c.roles for m in families[c.family])):
        kind = next(iter(convention.roles)).kind
        group = "line" if kind in ("label", "prompt") else kind
        played = {(group, role) for role, _ in convention.roles.values() if role != "other"}
        first = not any(line == group for line, _ in taken)
        adds = {role for _, role in played - taken} & {*CORE, "assistant"}
        if first or adds:
            kept = {f: r for f, r in convention.roles.items() if first or r[0] in adds}
            chosen.append(Convention(convention.family, kept))
            taken |= played
    return chosen
