"""Rows of the pipeline against expected stretches: what stands under the right mask, what is wrongly trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from characters import Flags, TokenBytes
from places import NotFoundError, Place, places
from stretches import Trajectory

MAX_PROBLEMS = 10
MASKS = ("reasoning_mask", "action_mask")


@dataclass
class Figures:
    """Characters of one format, by kind of stretch."""

    TRAINED: ClassVar = ("reasoning", "action", "said")
    """Kinds that are trained; of the others (`other` are headers and what frames a turn of somebody else) no character
    may stand under a mask."""

    n_trajectories: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    """Expected characters."""
    right: Counter[str] = field(default_factory=Counter)
    """Of them, whole under the right mask and in no part under the other; what is said may stand under either."""
    wrong: Counter[str] = field(default_factory=Counter)
    """In any part under a mask that is not theirs."""
    problems: list[str] = field(default_factory=list)
    """The first ones, with their place."""

    def note(self, problem: str) -> None:
        """Remember a problem."""
        self.problems += [problem] if len(self.problems) < MAX_PROBLEMS else []

    def line(self, name: str) -> str:
        """The figures as a line of a table."""
        trained = ", ".join(f"{kind} {self.right[kind]:,} of {self.characters[kind]:,}" for kind in self.TRAINED)
        untrained = sum(n for kind, n in self.characters.items() if kind not in self.TRAINED)
        return f"{name}: {self.n_trajectories} trajectories, {trained}; wrong {self.wrong.total()} of {untrained:,}"


def compare(views: Sequence[Mapping[str, Any]], expected: Trajectory, tokens: TokenBytes, figures: Figures) -> None:
    """Count a trajectory.

    Args:
        views: The row that holds it; several where each shows the trajectory as one of its turns was prompted.
        expected: What its record says.
        tokens: The spelling of the row's tokens.
        figures: Where the characters are counted: each payload once, as the view that trains it does.
    """
    best = [0] * len(expected)
    shown: list[tuple[int, str]] = [(0, "")] * len(expected)
    for row in views:
        try:
            found = list(places(row["text"], expected, partial=len(views) > 1))
        except NotFoundError as error:
            figures.note(f"{row['metadata'][:120]}: {error}")
            return
        reasoning, action = tokens.masks(row, *MASKS)
        for place in found:
            if place.kind == "frame":  # tags and labels of the agent's own turn are trained with what they mark
                continue
            n_right, n_wrong = _counted(place, reasoning, action)
            figures.wrong[place.kind] += n_wrong
            if place.kind not in Figures.TRAINED:
                figures.characters[place.kind] += place.end - place.start
            else:
                best[place.number] = max(best[place.number], n_right)
                shown[place.number] = (place.end - place.start, row["text"][place.start : place.end][:200])
            if n_wrong:
                text = row["text"][max(0, place.start - 40) : place.end]
                figures.note(f"{row['metadata'][:120]}: {place}: {n_wrong} wrongly trained: {text!r:.300}")
    figures.n_trajectories += 1
    for wanted, n_right, (size, text) in zip(expected, best, shown, strict=True):
        if wanted.kind in Figures.TRAINED:
            figures.characters[wanted.kind] += size or len(wanted.text)
            figures.right[wanted.kind] += n_right
            if n_right != (size or len(wanted.text)):
                figures.note(f"{views[0]['metadata'][:120]}: {wanted.kind}: {n_right} right of {size}: {text!r}")


def _counted(place: Place, reasoning: tuple[Flags, Flags], action: tuple[Flags, Flags]) -> tuple[int, int]:
    """Characters that are rightly and wrongly trained."""
    part = slice(place.start, place.end)
    if place.kind == "reasoning":
        return int((reasoning[0] & ~action[1])[part].sum()), int(action[1][part].sum())
    if place.kind == "action":
        return int((action[0] & ~reasoning[1])[part].sum()), int(reasoning[1][part].sum())
    if place.kind == "said":
        return int((reasoning[0] | action[0])[part].sum()), 0
    return 0, int((reasoning[1] | action[1])[part].sum())
