"""Conventions: what roles the recurring forms of a text play, from their names, their content and their order.

A family of forms ("**X:**", "<x>", "X>>") is a convention when its forms play at least two different roles, or one
beside the roles of known markers or of another family. A form's role is the one for which name (roles.py), content
(voice.py, calls.py) and neighbours speak most; a form for which nothing speaks is no marker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from deepcoder_hf.spans.corrections import after_choice, before_choice
from deepcoder_hf.spans.evidence import COMMON, CORE, Family, Sign
from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.roles import SURE, Role, roles_of

NAMED, SHOWN, UNSURE = 0.9, 0.82, 0.4
"""Confidence of a role that the name says, of one that only content and order show, and of OTHER for forms of a
convention whose role nothing shows."""
SPEAKING: tuple[Role, ...] = ("reasoning", "assistant", "user")
"""Roles that show where the agent begins to speak."""
RECURRING = 2
"""Occurrences from which on a form with a sure name lets forms of other families count."""
SHORT = 3
"""Fewest marks of thoughts, calls and results in a family that any text has."""


@dataclass(frozen=True, slots=True)
class Convention:
    """A family of forms and the roles they play."""

    family: str
    roles: dict[Form, tuple[Role | Literal["other"], float]]
    """Role, other where nothing shows it, and confidence of each form that is a marker."""


def recognise(blob: bytes, end: int, marks: Sequence[Mark], known: Sequence[Sign], rules: Set[str]) -> list[Convention]:
    """Find the conventions of a text.

    Args:
        blob: Text in UTF-8.
        end: Byte where the text ends.
        marks: Its forms, by place.
        known: Where markers that need no survey begin, and their roles, by place.
        rules: Names of the rules that are switched on.

    Returns:
        Conventions without a form in common; none where the evidence is too thin.
    """
    members: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        members[mark.form.family].append(mark)
    families = _families(members, blob, end, known, rules)
    for family in families:
        before_choice(family, rules)
        _choose(family, known)
    found = [family for family in families if _is_convention(family, known, rules)]
    for _ in range(2):  # what one family shows lets another count
        rest = [family for family in families if family not in found]
        seen = _seen(known, found)
        hinted = {family.name: _seen(known, found, _tentative(rest, family)) for family in rest}
        for family in rest:
            _choose(family, seen)
            if not _is_convention(family, seen, rules):
                _choose(family, hinted[family.name])
            if _is_convention(family, hinted[family.name], rules):
                found.append(family)
    return _compatible(found)


def _families(
    members: dict[str, list[Mark]], blob: bytes, end: int, known: Sequence[Sign], rules: Set[str]
) -> list[Family]:
    """The families that could add to what is known, with what speaks for the roles of their forms."""
    missing = _missing({role for _, role in known})
    families: list[Family] = []
    for name, of_family in members.items():
        if of_family[0].form.kind == "json" and "json_steps" not in rules:
            continue
        if _could_add(of_family, missing, bool(known)):
            family = Family(name, of_family, blob, end, known, rules)
            families += [family] if family.forms else []
    return families


def _missing(known: Set[Role]) -> frozenset[Role]:
    """Roles that no sure marker plays; turns tell of thoughts as well."""
    missing: set[Role] = {role for role in ("action", "observation") if role not in known}
    if not known & {"reasoning", "assistant"}:
        missing.update(SPEAKING)
    return frozenset(missing)


def _could_add(members: Sequence[Mark], missing: frozenset[Role], known: bool) -> bool:
    """Whether names of a family's forms speak for a missing role; where calls or results are missing, its signs may."""
    forms = {mark.form for mark in members}
    if any(form.kind in ("fence", "token") or missing.intersection(roles_of(form.name)) for form in forms):
        return True
    rare = members[0].form.family not in COMMON and members[0].form.kind != "token"
    return not known or (rare and not missing.isdisjoint(("action", "observation")))


def _choose(family: Family, known: Sequence[Sign]) -> None:
    family.assign(known)
    after_choice(family, known)


def _seen(known: Sequence[Sign], families: Sequence[Family], more: Sequence[Sign] = ()) -> list[Sign]:
    return sorted([*known, *(sign for family in families for sign in family.signs()), *more])


def _tentative(families: Sequence[Family], but: Family) -> list[Sign]:
    """Marks of other families that recur and whose name, or fence, surely says their role."""
    return [
        (mark.start, evidence.role)
        for family in families
        if family is not but
        for mark in family.openers
        if (evidence := family.forms[mark.form]).role in CORE
        and evidence.n >= RECURRING
        and (evidence.names.get(evidence.role, 0.0) >= SURE or mark.form.kind == "fence")
    ]


def _is_convention(family: Family, known: Sequence[Sign], rules: Set[str]) -> bool:
    """Whether the forms of a family make a convention, beside the markers that are known."""
    evidence = [e for e in family.forms.values() if e.role is not None]
    played = {e.role for e in evidence}
    core = played & set(CORE)
    others = {role for _, role in known} & set(CORE)
    n_core = sum(e.n for e in evidence if e.role in CORE)
    if family.name == "fence" or _in_the_prompt(family, known):
        return False  # the state machine reads fences
    if family.name == "prompt" and "shell_prompts" in rules:  # the world answers a prompt without a mark
        return sum(e.n for e in evidence if e.role == "action") > 1 or (bool(core) and "action" in others)
    if family.name == '{"X"}':
        return "action" in core and len(core) > 1
    if "assistant" in played and ("user" in played or core or known):
        return True
    if not core or (family.common and n_core < SHORT and not others):
        return False
    if any(e.named for e in evidence if e.role in CORE):
        return len(core | others) >= 2 or bool(played & {"user", "answer"})
    return {"action", "observation"} <= core and n_core >= 5


def _in_the_prompt(family: Family, known: Sequence[Sign]) -> bool:
    """Whether most calls and results of a family stand before the agent, by sure markers, begins to speak."""
    if any(evidence.role == "assistant" for evidence in family.forms.values()):
        return False
    spoken = [place for place, role in known if role in ("reasoning", "assistant")]
    places = [place for place, role in family.signs() if role in ("action", "observation")]
    if not spoken or not places or len(places) > 2 * len(spoken):
        return False
    n_behind = sum(place > spoken[0] for place in places)
    return 2 * n_behind < len(places)


def _compatible(found: Sequence[Family]) -> list[Convention]:
    """Of families of lines that play the same roles, the one that recurs most; tags stand beside lines."""
    chosen: list[Convention] = []
    taken: set[tuple[str, Role]] = set()
    for family in sorted(found, key=lambda f: -len(f.signs())):
        kind = family.openers[0].form.kind
        group = "line" if kind in ("label", "prompt") else kind
        played = {(group, e.role) for e in family.forms.values() if e.role is not None}
        first = not any(line == group for line, _ in taken)
        adds = {role for _, role in played - taken} & {*CORE, "assistant"}
        if first or adds:
            roles = _roles(family)
            chosen.append(Convention(family.name, {f: r for f, r in roles.items() if first or r[0] in adds}))
            taken |= played
    return chosen


def _roles(family: Family) -> dict[Form, tuple[Role | Literal["other"], float]]:
    """Role and confidence of each form; other for those of rare families of lines that nothing tells."""
    lines = family.openers[0].form.kind == "label" and not family.common
    roles: dict[Form, tuple[Role | Literal["other"], float]] = {}
    for form, evidence in family.forms.items():
        if evidence.role is not None:
            roles[form] = (evidence.role, NAMED if evidence.named else SHOWN)
        elif lines:
            roles[form] = ("other", UNSURE)
    return roles
