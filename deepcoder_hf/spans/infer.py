"""Markers that no pattern knows: the conventions that a text is seen to follow, as patterns and hits of this text alone.

Texts whose markers are known, with reasoning or turns, calls and results, are left as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence, Set
from dataclasses import replace
from functools import lru_cache

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.conventions import Convention, recognise
from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.library import WEAK, Key, Library, Marker
from deepcoder_hf.spans.quoted import AGENT, Sign, examples_end
from deepcoder_hf.spans.roles import Role, roles_of
from deepcoder_hf.spans.scan import Hit
from deepcoder_hf.spans.survey import survey, unknown_tokens

SUBTYPES: dict[str, str] = {
    "reasoning": "thought", "action": "call", "observation": "result", "answer": "final_answer",
    "user": "user", "assistant": "header", "system": "system", "other": "unknown",
}  # fmt: skip
LONGEST_SIGN = 3
"""Bytes of a marker that is no label: `> ` also quotes."""
WEAK_CALLS = "weak"
"""Group of weak markers that count as calls."""
PROMOTED = 0.85
"""Their confidence."""
LINE_PROMPT = "inferred:prompt:"
TAIL = 0.6
"""Share of a text behind whose sure markers no other convention is looked for."""
_GOES_ON = re.compile(rb"(?!(?:Out|In) ?\[)(?:[ \t]+\S|\.\.\.|[\])}#@]|[\w.\[\]]{1,60} ?[=(+:-]|(?:for|if|else|elif|with|def|class|import|from|try|except|return|print|while|assert)\b)")
"""A line that goes on with code."""
_HERE = re.compile(rb"<<-?\s*['\"]?(\w+)['\"]?")
_SHELL = frozenset("$ > % >> >>> + X$ X# X> X%".split())


def signs_of(hits: Sequence[Hit], library: Library) -> tuple[list[Sign], list[int]]:
    """The sure markers of a text, and where its labels of a user or a task begin, by place."""
    signs: list[Sign] = []
    weak: list[Sign] = []
    tasks: list[int] = []
    for start, stop, number in hits:
        for index in library.markers[number].opens:
            pattern = library.patterns[index]
            role = pattern.role if pattern.kind == "turn" else pattern.span_type
            if (pattern.role == "user" or pattern.subtype == "user") and stop - start > LONGEST_SIGN:
                tasks.append(start)
            if role and role != "other" and pattern.confidence >= WEAK:
                group = pattern.name[:20] if pattern.name.startswith("inferred") else pattern.kind
                signs.append((start, "observation" if role == "tool" else role, group))  # type: ignore[arg-type]
                break
            if role == "action" and pattern.kind != "fence":
                weak.append((start, "action", WEAK_CALLS))
    if weak and not any(role == "action" for _, role, _ in signs):
        n_results = sum(role == "observation" for _, role, _ in signs)
        if n_results and 2 * len(weak) >= n_results:  # weak markers that come as often as results are calls
            signs = sorted([*signs, *weak])
    return signs, tasks


def explained(signs: Sequence[Sign], labels: bool = False) -> bool:
    """Whether a text's markers tell of its reasoning or turns, its calls and its results.

    Args:
        signs: Its sure markers.
        labels: Whether it labels a task: then calls, results and an answer with labels leave no thought unlabelled.
    """
    roles = {role for _, role, _ in signs}
    if not {"action", "observation"} <= roles:
        return False
    return bool(roles & {"reasoning", "assistant"}) or (
        labels and {("action", "label"), ("observation", "label")} <= {(role, group) for _, role, group in signs} and "answer" in roles
    )


def infer(blob: bytes, start: int, end: int, hits: list[Hit], library: Library) -> tuple[list[Hit], Library]:
    """Add the markers of a text's own conventions, and leave out those that its prompt only quotes.

    Args:
        blob: The joined batch.
        start: Byte where the text begins.
        end: Byte where it ends.
        hits: Known markers of this text, sorted.
        library: The patterns behind them.

    Returns:
        Markers and patterns; the same where nothing was found.
    """
    signs, tasks = signs_of(hits, library)
    if _begins_with_turn(blob, start, hits[:3], library):
        if explained(signs) or not unknown_tokens(blob, start, end, {hit[0] for hit in hits}):
            return hits, library
        return _with_conventions(blob, start, end, hits, library, signs, kinds=("token",))
    quoted = examples_end(blob, start, end, signs, tasks)
    if quoted is not None:
        hits = [hit for hit in hits if hit[0] >= quoted]
        signs = [sign for sign in signs if sign[0] >= quoted]
    if quoted is None and explained(signs) and signs[-1][0] < start + TAIL * (end - start):
        later = _with_conventions(blob, signs[-1][0] + 1, end, [], library, [])
        if len({role for _, role, _ in signs_of(later[0], later[1])[0]} & AGENT) > 1:  # the prompt showed another convention
            hits, library = later
            quoted, signs = hits[0][0], []
    elif not explained(signs, labels=bool(tasks)):
        hits, library = _with_conventions(blob, quoted or start, end, hits, library, signs)
    if any(group == WEAK_CALLS for _, _, group in signs):
        hits, library = _promoted(hits, library)
    if quoted is None:
        signs, tasks = signs_of(hits, library)
        quoted = examples_end(blob, start, end, signs, tasks)
        hits = hits if quoted is None else [hit for hit in hits if hit[0] >= quoted]
    return (hits, library) if quoted is None else _with_examples(start, quoted, hits, library)


def _promoted(hits: list[Hit], library: Library) -> tuple[list[Hit], Library]:
    """Make the weak markers of calls sure, since they come as often as results do."""
    patterns, markers = list(library.patterns), list(library.markers)
    numbers: dict[int, int] = {}
    for _, _, number in hits:
        marker = library.markers[number]
        index = next((i for i in marker.opens if library.patterns[i].span_type == "action"), None)
        if number in numbers or index is None or marker.fence or library.patterns[index].confidence >= WEAK:
            continue
        patterns.append(_sure(library.patterns[index]))
        new = len(patterns) - 1
        closes = tuple(new if i == index else i for i in marker.closes)
        markers.append(Marker((new,), closes, "", (("open", new), "action")))
        numbers[number] = len(markers) - 1
    hits = [(start, stop, numbers.get(number, number)) for start, stop, number in hits]
    return hits, replace(library, patterns=tuple(patterns), markers=tuple(markers))


@lru_cache(maxsize=256)
def _sure(pattern: PatternConfig) -> PatternConfig:
    return pattern.model_copy(update={"confidence": PROMOTED, "close": None})


def _begins_with_turn(blob: bytes, start: int, first: Sequence[Hit], library: Library) -> bool:
    """Whether the first thing in a text, but for its start token, is the sure header of a turn."""
    position = start
    for place, stop, number in first:
        if blob[position:place].strip():
            return False
        patterns = [library.patterns[index] for index in library.markers[number].opens]
        if any(p.kind == "turn" and p.role and p.confidence >= WEAK for p in patterns):
            return True
        position = stop
    return False


def _with_examples(start: int, quoted: int, hits: list[Hit], library: Library) -> tuple[list[Hit], Library]:
    """Put a block of the user around a prompt's examples."""
    pattern = _pattern("user", "tag", "examples_in_prompt", 0.9, True)
    index, number = len(library.patterns), len(library.markers)
    opener = Marker((index,), (), "", (("open", index), "other"))
    closer = Marker((), (index,), "", (("close", index),))
    extended = replace(library, patterns=(*library.patterns, pattern), markers=(*library.markers, opener, closer))
    return [(start, start, number), (quoted, quoted, number + 1), *hits], extended


def _with_conventions(
    blob: bytes,
    start: int,
    end: int,
    hits: list[Hit],
    library: Library,
    signs: Sequence[Sign],
    kinds: Sequence[str] = (),
) -> tuple[list[Hit], Library]:
    """Add the markers of the conventions that the forms of a text show; of some kinds only, if those are named."""
    known = [(place, role) for place, role, _ in signs]
    marks = [mark for mark in survey(blob, start, end) if not kinds or mark.form.kind in kinds]
    inside = _blocks(hits, library)
    if inside:
        starts = [first for first, _ in inside]
        marks = [m for m in marks if (at := bisect_right(starts, m.start) - 1) < 0 or m.start >= inside[at][1]]
    conventions = recognise(blob, end, marks, known) if marks else []
    if not conventions:
        return hits, library
    patterns: list[PatternConfig] = []
    markers: list[Marker] = []
    new: list[Hit] = []
    for convention in conventions:
        builder = _Builder(convention, dict(known), len(library.patterns) + len(patterns), len(library.markers) + len(markers))
        new += builder.hits(blob, end, [mark for mark in marks if mark.form.family == convention.family])
        patterns += builder.patterns
        markers += builder.markers
    extended = replace(library, patterns=(*library.patterns, *patterns), markers=(*library.markers, *markers))
    found = sorted(set(new))
    roles = {role for convention in conventions for role, _ in convention.roles.values()}
    if roles & {"reasoning", "assistant"}:
        hits = _outside_of_others(hits, found, extended)
    return _merged(hits, found, extended), extended


def _outside_of_others(hits: list[Hit], new: Sequence[Hit], library: Library) -> list[Hit]:
    """Leave out known markers that only stand in what the user or the world says, by markers that were inferred.

    The conventions show where the agent begins to speak, so that what others say goes on to there.
    """
    places = [hit[0] for hit in new]
    others: list[bool] = []
    for _, _, number in new:
        opens = library.markers[number].opens
        pattern = library.patterns[opens[0]] if opens else None
        others.append(pattern is not None and (pattern.span_type == "observation" or pattern.subtype in ("user", "system")))
    quoted = [(at := bisect_right(places, hit[0]) - 1) >= 0 and others[at] and places[at] < hit[0] for hit in hits]
    used = {index for hit, q in zip(hits, quoted, strict=True) if not q for index in library.markers[hit[2]].opens}
    return [
        hit
        for hit, q in zip(hits, quoted, strict=True)
        if not q or hit[2] in library.own or not used.isdisjoint(library.markers[hit[2]].opens) or not library.markers[hit[2]].opens
    ]


def _blocks(hits: Sequence[Hit], library: Library) -> list[tuple[int, int]]:
    """Where the sure known blocks that are closed begin and end, by place: what stands in them is theirs."""
    blocks: list[tuple[int, int]] = []
    opened: dict[int, int] = {}
    for start, stop, number in hits:
        marker = library.markers[number]
        for index in marker.closes:
            if index in opened:
                blocks.append((opened.pop(index), stop))
        for index in marker.opens:
            pattern = library.patterns[index]
            if pattern.kind == "tag" and pattern.close and pattern.confidence >= WEAK:
                opened.setdefault(index, start)
    blocks.sort()
    return blocks


def command_end(blob: bytes, start: int, end: int) -> int:
    """Where a command of a prompt ends: at its line's end, or with its here-document or its continued lines.

    Args:
        blob: Text in UTF-8.
        start: Byte where the command begins.
        end: Byte where the text ends.
    """
    stop = blob.find(b"\n", start, end)
    while stop > 0 and blob[stop - 1 : stop] == b"\\":
        stop = blob.find(b"\n", stop + 1, end)
    if stop < 0:
        return end
    document = _HERE.search(blob, start, stop)
    if document is None:
        return stop
    last = blob.find(b"\n" + document.group(1) + b"\n", stop, end)
    return stop if last < 0 else last + 1 + len(document.group(1))


def cell_end(blob: bytes, start: int, end: int) -> int:
    """Where the code of a notebook's cell ends: at an empty line, a line's end before prose, or the next prompt."""
    stop = blob.find(b"\n", start, end)
    while 0 <= stop < end - 1 and _GOES_ON.match(blob, stop + 1):
        stop = blob.find(b"\n", stop + 1, end)
    return end if stop < 0 else stop


def _merged(hits: Sequence[Hit], new: Sequence[Hit], library: Library) -> list[Hit]:
    """Both kinds of markers: of two that overlap the sure known one wins, else the inferred one."""
    taken = {hit[0]: hit for hit in new}
    opened = {index for hit in hits for index in library.markers[hit[2]].opens}
    kept: list[Hit] = []
    at = 0
    for hit in hits:
        while at < len(new) and new[at][1] <= hit[0]:
            at += 1
        rival = taken.get(new[at][0]) if at < len(new) and new[at][0] < hit[1] else None
        if rival is None or _wins(hit, rival, library, opened):
            kept.append(hit)
            if rival is not None:
                taken.pop(rival[0])
    return sorted([*kept, *taken.values()], key=lambda hit: (hit[0], -hit[1]))


def _wins(hit: Hit, rival: Hit, library: Library, opened: Set[int]) -> bool:
    """Whether a known marker counts, and not the inferred one that it overlaps.

    Args:
        hit: The known marker.
        rival: The inferred one.
        library: The patterns behind both.
        opened: Known patterns that open in the text.
    """
    if hit[2] in library.own:
        return True
    inferred = library.markers[rival[2]].opens
    if inferred and library.patterns[inferred[0]].name.startswith(LINE_PROMPT):
        return False  # of a label behind a prompt the prompt says where it ends
    marker = library.markers[hit[2]]
    meant = (*marker.opens, *(index for index in marker.closes if index in opened))
    return any(library.patterns[index].confidence >= WEAK for index in meant)


@lru_cache(maxsize=1024)
def _pattern(role: str, kind: str, name: str, confidence: float, closes: bool) -> PatternConfig:
    """A pattern of one text."""
    is_turn = kind == "turn"
    span_type = "other" if role in ("user", "assistant", "system", "other") else role
    return PatternConfig.model_construct(
        name=name, span_type="observation" if is_turn and role == "observation" else span_type, kind=kind, open="", subtype=SUBTYPES[role],
        close="x" if closes else None, role=("tool" if role == "observation" else role) if is_turn else None,
        confidence=confidence, styles=(), example="", counter_example="",
    )  # fmt: skip


@lru_cache(maxsize=64)
def _turn_end(name: str) -> PatternConfig:
    return PatternConfig.model_construct(
        name=name, span_type="other", kind="turn", open="", subtype=None, close=None, role=None, confidence=0.9,
        styles=(), example="", counter_example="",
    )  # fmt: skip


class _Builder:
    """Patterns, markers and hits of one convention.

    Args:
        convention: The convention.
        known: Roles of sure markers, by the byte where they begin.
        first_pattern: Index of its first pattern.
        first_marker: Number of its first marker.
    """

    def __init__(self, convention: Convention, known: dict[int, Role], first_pattern: int, first_marker: int) -> None:
        self.convention, self.known = convention, known
        self.first_pattern, self.first_marker = first_pattern, first_marker
        self.patterns: list[PatternConfig] = []
        self.markers: list[Marker] = []
        roles = {role for role, _ in convention.roles.values()}
        self.turns = "assistant" in roles
        lines = any(form.kind in ("label", "prompt") for form in convention.roles)
        self.labels_too = lines and bool(roles & {"reasoning", "action"})
        """Whether thoughts or calls are labelled in the same way, so that no header encloses a turn."""
        self._opens: dict[tuple[Form, str], tuple[int, int]] = {}
        self._ends: dict[str, int] = {}

    def hits(self, blob: bytes, end: int, marks: Sequence[Mark]) -> list[Hit]:
        """The markers of the convention."""
        closed = {mark.form for mark in marks if mark.closes}
        found: list[Hit] = []
        for index, mark in enumerate(marks):
            if mark.form.name == "#" and mark.form.kind == "prompt" and not self._leads_to_command(blob, marks, index):
                continue
            if mark.form in self.convention.roles:
                role, confidence = self.convention.roles[mark.form]
                found += self._of_mark(blob, end, mark, role, confidence, mark.form in closed)
            elif mark.closes and mark.form.kind == "token" and self.turns and not roles_of(mark.form.name):
                found.append((mark.start, mark.end, self._end(f"inferred_end:{mark.form.name}")))
        return found

    def _leads_to_command(self, blob: bytes, marks: Sequence[Mark], index: int) -> bool:
        """Whether nothing but lines of comment stands between one and a prompt with a command."""
        position = marks[index].start
        for mark in marks[index:]:
            if blob[position : mark.start].strip():
                return False
            if mark.form.name != "#":
                return self.convention.roles.get(mark.form, ("other", 0.0))[0] == "action"
            position = command_end(blob, mark.end, len(blob))
        return False

    def _of_mark(self, blob: bytes, end: int, mark: Mark, role: str, confidence: float, closed: bool) -> list[Hit]:
        form = mark.form
        turn = self.turns and (
            role == "assistant" or (not self.labels_too and (role in ("user", "system") or (role == "observation" and not closed)))
        )
        if mark.closes:
            if turn:
                return [(mark.start, mark.end, self._end(f"inferred_end:{form.name}"))]
            key = self._opens.get((form, f"tag {role}"))
            return [(mark.start, mark.end, key[1])] if key else []
        if turn and not (closed and role != "assistant"):
            return [(mark.start, mark.end, self._open(form, role, "turn", confidence, False)[0])]
        if closed:
            return [(mark.start, mark.end, self._open(form, role, "tag", confidence, True)[0])]
        if form.kind == "prompt" and form.name in (*_SHELL, "#", "in[]") and role in ("action", "reasoning"):
            named = self.known.get(mark.start, role)
            opened, closer = self._open(form, named if named in AGENT else role, "tag", confidence, True)
            stop = command_end(blob, mark.end, end) if form.name != "in[]" else cell_end(blob, mark.end, end)
            return [(mark.start, mark.end, opened), *([(stop, stop + 1, closer)] if stop < end else [])]
        return [(mark.start, mark.end, self._open(form, role, "label", confidence, False)[0])]

    def _open(self, form: Form, role: str, kind: str, confidence: float, closes: bool) -> tuple[int, int]:
        """Numbers of the opening and the closing marker of a form."""
        key = (form, f"{kind} {role}")
        if key not in self._opens:
            pattern = _pattern(role, kind, f"inferred:{form.family}:{form.name}", confidence, closes)
            index = self.first_pattern + len(self.patterns)
            self.patterns.append(pattern)
            keys: list[Key] = [("open", index)]
            keys += ["any_turn", "turn"] if kind == "turn" else [pattern.span_type]
            number = self._marker(Marker((index,), (), "", tuple(keys)))
            closer = self._marker(Marker((), (index,), "", (("close", index),))) if closes else -1
            self._opens[key] = (number, closer)
        return self._opens[key]

    def _end(self, name: str) -> int:
        if name not in self._ends:
            index = self.first_pattern + len(self.patterns)
            self.patterns.append(_turn_end(name))
            self._ends[name] = self._marker(Marker((index,), (), "", (("open", index), "any_turn", "turn", "turn_end")))
        return self._ends[name]

    def _marker(self, marker: Marker) -> int:
        self.markers.append(marker)
        return self.first_marker + len(self.markers) - 1
