"""Infer what the known markers of a text leave open: its own conventions, and the examples that its prompt quotes.

Markers that no pattern knows become patterns and hits of this text alone. Texts whose markers are known, with reasoning
or turns, calls and results, are left as they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.convention_markers import ConventionMarkers, text_pattern
from deepcoder_hf.spans.conventions import recognise
from deepcoder_hf.spans.forms import Mark
from deepcoder_hf.spans.library import WEAK, Library, Marker
from deepcoder_hf.spans.marker_merge import closed_blocks, merged, outside_of_others
from deepcoder_hf.spans.quoted import AGENT, Sign, examples_end, shows_examples
from deepcoder_hf.spans.roles import SURE, Role, roles_of
from deepcoder_hf.spans.scan import Hit
from deepcoder_hf.spans.survey import survey, unknown_tokens

LONGEST_SIGN = 3
"""Bytes of a marker that is no label: `> ` also quotes."""
WEAK_CALLS = "weak"
"""Group of weak markers that count as calls."""
PROMOTED = 0.85
"""Their confidence."""
EXAMPLES = 0.9
"""Confidence that a prompt's examples are the user's."""
TAIL = 0.6
"""Share of a text behind whose sure markers no other convention is looked for."""

PROBE = 8000
"""Bytes from the start in which a text shows how its agent's thoughts are marked, if they are."""
SPEAKING: frozenset[Role] = frozenset(("reasoning", "assistant", "user"))
Markers = tuple[list[Hit], Library]
"""Markers of a text, and the patterns behind them."""


def signs_of(hits: Sequence[Hit], library: Library) -> tuple[list[Sign], list[int], list[int]]:
    """The sure markers of a text, where its labels of a user or a task begin, and its turns of the agent, by place.

    Args:
        hits: Markers of the text, sorted.
        library: The patterns behind them.
    """
    signs: list[Sign] = []
    weak: list[Sign] = []
    tasks: list[int] = []
    turns: list[int] = []
    for start, stop, number in hits:
        for index in library.markers[number].opens:
            pattern = library.patterns[index]
            role = _role(pattern)
            if "user" in (pattern.role, pattern.subtype) and stop - start > LONGEST_SIGN:
                tasks.append(start)
            if pattern.role == "assistant":
                turns.append(start)
            if role is not None and pattern.confidence >= WEAK:
                group = pattern.name[:20] if pattern.name.startswith("inferred") else pattern.kind
                signs.append((start, role, group))
                break
            if role == "action":
                weak.append((start, "action", WEAK_CALLS))
    if weak and not any(role == "action" for _, role, _ in signs):
        n_results = sum(role == "observation" for _, role, _ in signs)
        if n_results and 2 * len(weak) >= n_results:  # weak markers that come as often as results are calls
            signs = sorted([*signs, *weak])
    return signs, tasks, turns


def _role(pattern: PatternConfig) -> Role | None:
    """The role that a pattern plays; None where that is no participant's and no part of a step."""
    if pattern.kind == "turn":
        return "observation" if pattern.role == "tool" else pattern.role
    return None if pattern.span_type == "other" else pattern.span_type


def explained(signs: Sequence[Sign], labels: bool = False) -> bool:
    """Whether a text's markers tell of its reasoning or turns, its calls and its results.

    Args:
        signs: Its sure markers.
        labels: Whether it labels a task: then calls, results and an answer with labels leave no thought unlabelled.
    """
    roles = {role for _, role, _ in signs}
    if not {"action", "observation"} <= roles:
        return False
    if roles & {"reasoning", "assistant"}:
        return True
    labelled = {role for _, role, group in signs if group == "label"}
    return labels and "answer" in roles and {"action", "observation"} <= labelled


def infer(blob: bytes, start: int, end: int, hits: list[Hit], library: Library) -> Markers:
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
    known = library
    signs, tasks, turns = signs_of(hits, library)
    if _begins_with_turn(blob, start, hits[:3], library):
        if explained(signs) or not unknown_tokens(blob, start, end, {hit[0] for hit in hits}):
            return hits, library
        return _with_conventions(blob, start, end, hits, library, signs, kinds=("token",))
    quoted = examples_end(blob, start, end, signs, tasks, turns)
    if quoted is not None:
        hits, signs = _behind(hits, quoted), [sign for sign in signs if sign[0] >= quoted]
    if (
        quoted is None
        and explained(signs)
        and signs[-1][0] < start + TAIL * (end - start)
        and shows_examples(blob, start, signs)
    ):
        later = _later_convention(blob, signs[-1][0] + 1, end, library)
        if later is not None:  # the prompt showed another convention
            hits, library = later
            quoted, signs = hits[0][0], []
    elif not explained(signs, labels=bool(tasks)):
        hits, library = _with_conventions(blob, quoted or start, end, hits, library, signs)
    if any(group == WEAK_CALLS for _, _, group in signs):
        hits, library = _promoted(hits, library)
    if quoted is None and library is not known:
        signs, tasks, turns = signs_of(hits, library)
        quoted = examples_end(blob, start, end, signs, tasks, turns)
        hits = hits if quoted is None else _behind(hits, quoted)
    return (hits, library) if quoted is None else _with_examples(start, quoted, hits, library)


def _behind(hits: Sequence[Hit], position: int) -> list[Hit]:
    return [hit for hit in hits if hit[0] >= position]


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


def _names_a_speaker(blob: bytes, start: int, end: int) -> bool:
    """Whether a form near the start of a text names thoughts or a speaker: all that known calls and results lack."""
    head = survey(blob, start, min(end, start + PROBE))
    return any(
        weight >= SURE and role in SPEAKING for mark in head for role, weight in roles_of(mark.form.name).items()
    )


def _later_convention(blob: bytes, start: int, end: int, library: Library) -> Markers | None:
    """The markers of a convention behind the last sure marker; None where it does not show two parts of a step."""
    later = _with_conventions(blob, start, end, [], library, [])
    signs, _, _ = signs_of(*later)
    return later if len({role for _, role, _ in signs} & AGENT) > 1 else None


def _with_conventions(
    blob: bytes,
    start: int,
    end: int,
    hits: list[Hit],
    library: Library,
    signs: Sequence[Sign],
    kinds: Sequence[str] = (),
) -> Markers:
    """Add the markers of the conventions that the forms of a text show; of some kinds only, if those are named."""
    known = [(place, role) for place, role, _ in signs]
    if {"action", "observation"} <= {role for _, role in known} and not _names_a_speaker(blob, start, end):
        return hits, library
    marks = [mark for mark in survey(blob, start, end) if not kinds or mark.form.kind in kinds]
    marks = _outside_of_blocks(marks, closed_blocks(hits, library))
    conventions = recognise(blob, end, marks, known, library.rules) if marks else []
    if not conventions:
        return hits, library
    patterns, markers = list(library.patterns), list(library.markers)
    new: set[Hit] = set()
    for convention in conventions:
        built = ConventionMarkers(convention, dict(known), len(patterns), len(markers), library.rules)
        new.update(built.hits(blob, end, [mark for mark in marks if mark.form.family == convention.family]))
        patterns += built.patterns
        markers += built.markers
    extended = replace(library, patterns=tuple(patterns), markers=tuple(markers))
    found = sorted(new)
    roles = {role for convention in conventions for role, _ in convention.roles.values()}
    if roles & {"reasoning", "assistant"}:
        hits = outside_of_others(hits, found, extended)
    return merged(hits, found, extended), extended


def _outside_of_blocks(marks: list[Mark], blocks: Sequence[tuple[int, int]]) -> list[Mark]:
    """Leave out the forms that stand in blocks."""
    if not blocks:
        return marks
    starts = [first for first, _ in blocks]
    kept: list[Mark] = []
    for mark in marks:
        at = bisect_right(starts, mark.start) - 1
        if at < 0 or mark.start >= blocks[at][1]:
            kept.append(mark)
    return kept


def _promoted(hits: list[Hit], library: Library) -> Markers:
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


def _with_examples(start: int, quoted: int, hits: list[Hit], library: Library) -> Markers:
    """Put a block of the user around a prompt's examples."""
    pattern = text_pattern("user", "tag", "examples_in_prompt", EXAMPLES, True)
    index, number = len(library.patterns), len(library.markers)
    opener = Marker((index,), (), "", (("open", index), "other"))
    closer = Marker((), (index,), "", (("close", index),))
    extended = replace(library, patterns=(*library.patterns, pattern), markers=(*library.markers, opener, closer))
    return [(start, start, number), (quoted, quoted, number + 1), *hits], extended
