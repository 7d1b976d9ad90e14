"""Marker merge: which known markers of a text count beside those that its own conventions add, and which of these."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence, Set

from deepcoder_hf.spans.library import WEAK, Library
from deepcoder_hf.spans.scan import Hit

LINE_PROMPT = "inferred:prompt:"
"""How the names of patterns for prompts begin."""


def closed_blocks(hits: Sequence[Hit], library: Library) -> list[tuple[int, int]]:
    """Where the sure known blocks that are closed begin and end, by place: what stands in them is theirs.

    Args:
        hits: Known markers of the text, sorted.
        library: The patterns behind them.
    """
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


def outside_of_others(hits: Sequence[Hit], new: Sequence[Hit], library: Library) -> list[Hit]:
    """Leave out known markers that only stand in what the user or the world says, by markers that were inferred.

    The conventions show where the agent begins to speak, so that what others say goes on to there.

    Args:
        hits: Known markers of the text, sorted.
        new: Inferred ones, sorted.
        library: The patterns behind both.
    """
    places = [hit[0] for hit in new]
    others = [_of_others(hit, library) for hit in new]
    quoted: list[bool] = []
    for hit in hits:
        at = bisect_right(places, hit[0]) - 1
        quoted.append(at >= 0 and others[at] and places[at] < hit[0])
    used: set[int] = set()
    """Patterns that also open outside of what others say."""
    for hit, inside in zip(hits, quoted, strict=True):
        if not inside:
            used.update(library.markers[hit[2]].opens)
    return [
        hit for hit, inside in zip(hits, quoted, strict=True) if not inside or _counts_everywhere(hit, used, library)
    ]


def _of_others(hit: Hit, library: Library) -> bool:
    """Whether a marker begins words of the user, the system or the world."""
    opens = library.markers[hit[2]].opens
    if not opens:
        return False
    pattern = library.patterns[opens[0]]
    return pattern.span_type == "observation" or pattern.subtype in ("user", "system")


def _counts_everywhere(hit: Hit, used: Set[int], library: Library) -> bool:
    """Whether a marker is the user's own, only closes, opens words of the user, or one that the agent uses too."""
    opens = library.markers[hit[2]].opens
    if any(library.patterns[index].span_type == "other" for index in opens):
        return True
    return hit[2] in library.own or not opens or not used.isdisjoint(opens)


def merged(hits: Sequence[Hit], new: Sequence[Hit], library: Library) -> list[Hit]:
    """Both kinds of markers: of two that overlap the sure known one wins, else the inferred one.

    Args:
        hits: Known markers of the text, sorted.
        new: Inferred ones, sorted.
        library: The patterns behind both.
    """
    taken = {hit[0]: hit for hit in new}
    opened = {index for hit in hits for index in library.markers[hit[2]].opens}
    kept: list[Hit] = []
    at = 0
    for hit in hits:
        while at < len(new) and new[at][1] <= hit[0]:
            at += 1
        overlaps = at < len(new) and new[at][0] < hit[1]
        rival = taken.get(new[at][0]) if overlaps else None
        if rival is None:
            kept.append(hit)
        elif _wins(hit, rival, library, opened):
            kept.append(hit)
            del taken[rival[0]]
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
    behind_prompt = inferred and library.patterns[inferred[0]].name.startswith(LINE_PROMPT)
    if behind_prompt and "thoughts_behind_prompts" in library.rules:
        return False  # the prompt says where a label behind it ends: `> think: ...`
    marker = library.markers[hit[2]]
    meant = (*marker.opens, *(index for index in marker.closes if index in opened))
    return any(library.patterns[index].confidence >= WEAK for index in meant)
