"""Evidence: what speaks for the roles of the forms of one family: their names, their content, their neighbours."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from math import log

from deepcoder_hf.spans.calls import callness
from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.roles import SURE, Role, roles_of
from deepcoder_hf.spans.voice import PLAN, REPLY, USER, WORLD, voices

Sign = tuple[int, Role]
"""Where a marker begins, and the role that it surely plays."""

CORE: tuple[Role, ...] = ("reasoning", "action", "observation")
TURNS: tuple[Role, ...] = ("user", "assistant", "system")
ROLES: tuple[Role, ...] = (*CORE, "user", "assistant", "answer", "system")

SAMPLES = 5
"""Occurrences of a form whose content is looked at."""
LEAST, RARE_LEAST = 1.0, 0.0
"""Log-odds from which on a role is taken; of a form without a telling name in a family that is rare elsewhere."""
LEAST_MARKS = 4
"""Marks of a family from which on a form that stands once counts, though its name says nothing."""
UNNAMED = -0.2
"""What a name that says nothing counts in a family that is rare elsewhere."""
MOST_MARKS = 2000
"""Marks of a family, from the first, that are evidence; the convention that they show then holds for all."""
DEEPEST = 32
"""Depth of nested tags within which a closing one finds its opening one."""
COMMON = frozenset(("X:", "-X:", "*X:", "#X", "#X:", "prompt", "-X", "*X"))
"""Families of forms that any text has."""


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

    @property
    def named(self) -> bool:
        """Whether its name speaks for its role."""
        return self.role in self.names


class Family:
    """The forms of one family, and the roles that they play.

    Args:
        name: Name of the family.
        members: Its marks, by place.
        blob: Text in UTF-8.
        end: Byte where the text ends.
        known: Sure markers of the text, by place.
        rules: Names of the rules that are switched on.
    """

    def __init__(
        self, name: str, members: Sequence[Mark], blob: bytes, end: int, known: Sequence[Sign], rules: Set[str]
    ) -> None:
        self.name, self.members = name, members
        self.common = name in COMMON
        openers = [mark for mark in members if not mark.closes]
        counts = Counter(mark.form for mark in openers)
        kinds = {form.kind for form in counts}
        self.rare = not self.common and not kinds & {"token", "fence"} and counts.total() >= LEAST_MARKS
        self.forms = {
            form: Evidence(form, n, names)
            for form, n in counts.items()
            if (names := _names(form, rules)) or self.rare or (n > 1 and form.kind != "token")
        }
        self._pair_tags()
        self._leave_out_containers()
        self.openers = [mark for mark in openers if mark.form in self.forms][:MOST_MARKS]
        self._read(blob, end, known, rules)

    def _pair_tags(self) -> None:
        """Tags come in pairs, if any does."""
        closed = Counter(mark.form for mark in self.members if mark.closes)
        if closed:
            self.forms = {f: e for f, e in self.forms.items() if 2 * closed[f] >= e.n or f.kind != "tag"}

    def _leave_out_containers(self) -> None:
        """Leave out tags that mostly hold tags with telling names, and nameless ones that mostly stand in such tags."""
        holds: Counter[Form] = Counter()
        within: Counter[Form] = Counter()
        opened: list[Form] = []
        for mark in self.members:
            if mark.form.kind != "tag" or mark.form not in self.forms:
                continue
            if mark.closes:
                near = opened[-DEEPEST:]
                if mark.form in near:
                    del opened[len(opened) - 1 - near[::-1].index(mark.form) :]
                continue
            if opened:
                holds[opened[-1]] += bool(set(self.forms[mark.form].names) & set(CORE))
                within[mark.form] += bool(set(self.forms[opened[-1]].names) & set(CORE))
            opened.append(mark.form)
        for form, evidence in list(self.forms.items()):
            if holds[form] >= evidence.n or (not evidence.names and within[form] >= evidence.n):
                del self.forms[form]

    def _read(self, blob: bytes, end: int, known: Sequence[Sign], rules: Set[str]) -> None:
        """Fill in the content of each form: what its first samples sound like, up to the next mark."""
        sure = {place for place, _ in known}
        stops = sorted([mark.start for mark in self.members if mark.form in self.forms] + [*sure, end])
        samples: dict[Form, list[str]] = defaultdict(list)
        for mark in self.openers:
            found = samples[mark.form]
            if len(found) >= SAMPLES or (mark.form.kind == "prompt" and mark.start in sure):
                continue
            stop = stops[min(bisect_left(stops, mark.end), len(stops) - 1)]
            words = blob[mark.end : min(stop, mark.end + 1500)].decode("utf-8", "replace").strip()
            if self.name == "prompt" and "shell_prompts" in rules:  # a prompt is of one line
                words = words.partition("\n")[0]
            if words:
                found.append(words)
        for form, evidence in self.forms.items():
            _hear(evidence, samples[form] or [""], "calls_and_thoughts_behind_signs" in rules)

    def assign(self, known: Sequence[Sign]) -> None:
        """Give each form the role that most speaks for, seeing what the others and the sure markers play."""
        if self.rare:
            self._seed()
        for _ in range(3):
            before, after = self.neighbours(known)
            changed = [self._choose(e, before[form], after[form]) for form, e in self.forms.items()]
            if not any(changed):
                break

    def _seed(self) -> None:
        """A first guess where no name tells: the form that most looks like calls, and what follows it most."""
        evidence = self.forms.values()
        if any(e.role or max(e.names.get("action", 0), e.names.get("observation", 0)) >= SURE for e in evidence):
            return
        call = max(evidence, key=lambda e: e.content["action"])
        if call.content["action"] < log(0.4):
            return
        follow = Counter(b.form for a, b in pairwise(self.openers) if a.form == call.form and b.form != call.form)
        call.role = "action"
        if follow:
            self.forms[follow.most_common(1)[0][0]].role = "observation"

    def _choose(self, evidence: Evidence, before: Counter[str], after: Counter[str]) -> bool:
        """Choose the role of one form; whether it changed."""
        nameless = -1.0 if evidence.names or self.common else UNNAMED
        totals: dict[Role, float] = {}
        for role in ROLES:
            if role in TURNS and role not in evidence.names and not (role == "user" and self.name == "glyph"):
                continue
            sound = max(-4.5 if role == "action" else -3.0, evidence.content[role])
            totals[role] = 1.3 * evidence.names.get(role, nameless) + sound + order(role, before, after)
        role = max(totals, key=lambda r: totals[r])
        least = LEAST if evidence.names or self.common else RARE_LEAST
        chosen: Role | None = role if totals[role] + 1.5 > least else None
        if evidence.mixed:
            chosen = "assistant"
        changed, evidence.role = chosen != evidence.role, chosen
        return changed

    def neighbours(self, known: Sequence[Sign]) -> tuple[dict[Form, Counter[str]], dict[Form, Counter[str]]]:
        """How often which role stands before, and after, each form; "start" and "end" of the text among them."""
        line: list[tuple[int, str, Form | None]] = []
        line += [(mark.start, self.forms[mark.form].role or "?", mark.form) for mark in self.openers]
        line += [(place, role, None) for place, role in known[: 2 * MOST_MARKS]]
        line.sort(key=lambda entry: entry[0])
        before: dict[Form, Counter[str]] = defaultdict(Counter)
        after: dict[Form, Counter[str]] = defaultdict(Counter)
        for index, (_, _, form) in enumerate(line):
            if form is not None:
                before[form][line[index - 1][1] if index else "start"] += 1
                after[form][line[index + 1][1] if index + 1 < len(line) else "end"] += 1
        return before, after

    def signs(self, least: int = 1) -> list[Sign]:
        """Where the forms begin that play a role, if they recur at least so often; turns do as well."""
        playing = {f: e.role for f, e in self.forms.items() if e.role and e.n >= least}
        return [(mark.start, role) for mark in self.openers if (role := playing.get(mark.form))]


def _names(form: Form, rules: Set[str]) -> dict[Role, float]:
    """What the name of a form speaks for; whom the agent addresses counts, unless that rule is switched off."""
    name = form.name if "addressed_words" in rules else form.name.partition(" to=")[0]
    return dict(roles_of(name))


def _hear(evidence: Evidence, texts: Sequence[str], both: bool) -> None:
    """Fill in what samples of a form sound like; `both`: signs may stand before calls and before thoughts."""
    heard = voices(texts).mean(axis=0).tolist()
    calls = [callness(text) for text in texts]
    call = sum(calls) / len(calls)
    if both and evidence.form.family == "glyph" and not evidence.names:
        evidence.mixed = max(calls) > 0.8 and min(calls) < 0.3
    evidence.content = {
        "reasoning": heard[PLAN],
        "observation": heard[WORLD] + log(1.02 - 0.8 * call),
        "user": heard[USER],
        "answer": heard[REPLY],
        "action": log(0.03 + 0.95 * call) - (3.0 if call < 0.25 else 0.0),
        "assistant": max(heard[PLAN], heard[REPLY]),
        "system": -3.0,
    }


def share(counts: Counter[str], *roles: str) -> float:
    """The share of some roles among counted ones, in [0, 1]."""
    if not counts:
        return 0.0
    found = 0
    for role in roles:
        found += counts.get(role, 0)
    return found / counts.total()


def order(role: Role, before: Counter[str], after: Counter[str]) -> float:
    """How well the neighbours fit a role, as log-odds."""
    if role == "observation":
        return 2.5 * share(before, "action") + 1.3 * share(before, "assistant") - 1.0
    if role == "action":
        return 1.5 * share(after, "observation") + 0.5 * share(before, "reasoning") - 0.7
    if role == "reasoning":
        fits = share(after, "action") + 0.5 * share(before, "observation", "user", "start")
        return fits - 1.2 * share(before, "action") - 0.5
    if role == "answer":
        fits = share(after, "user", "end") - 2.0 * share(after, "observation", "action")
        return fits - 1.5 * share(before, "action") - 0.3
    if role == "user":
        return share(before, "start", "answer", "assistant", "system") - 1.5 * share(before, "action") - 0.3
    return 0.0
