"""What a text must hold for a regular expression to match in it, read off the expression itself.

A detector of forty expressions need not look at a line that holds none of their fixed parts. The parts are derived from
the parsed expression, never written down by hand, so they cannot fall behind the detector's rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_STRINGS = 64
"""Most alternatives that are followed; beyond that a part counts as unknown."""
MAX_PRODUCT = 16
"""Most combinations of neighbouring alternatives; beyond that each stands alone."""
MIN_LENGTH = 2
"""A part of one character is in nearly every line and spares nothing."""
_FOLDED = str.maketrans({"ſ": "s", "İ": "i", "ı": "i", "K": "k"})
"""Characters that `re.IGNORECASE` takes for ASCII letters, though their lower case is another."""
Strings = frozenset[str]
Fold = Callable[[str], str]


def folded(text: str) -> str:
    """A text as anchors are looked for in it: of the same length, lower case wherever `re.IGNORECASE` sees no case."""
    if not text.isascii() and any(char in text for char in "ſİıK"):
        text = text.translate(_FOLDED)
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def ignores_case(pattern: re.Pattern[str]) -> bool:
    """Whether an expression takes capitals for small letters."""
    return bool(pattern.flags & re.IGNORECASE)


@lru_cache(maxsize=512)
def anchors(pattern: re.Pattern[str]) -> Strings | None:
    """Strings of which at least one is in a text wherever the expression matches.

    Returns:
        As they stand in the text; as they stand in `folded(text)` if the expression ignores case (`ignores_case`).
        None where no such set could be read off: every text must be looked at.
    """
    fold = folded if ignores_case(pattern) else str
    found = _required(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE), fold)
    if not found or min(map(len, found)) < MIN_LENGTH:
        return None
    return frozenset(one for one in found if not any(other in one and other != one for other in found))


def _required(items: Iterable[Any], fold: Fold) -> Strings | None:
    """The best set of strings of which a sequence needs one: the set whose shortest member is longest."""
    candidates: list[Strings] = []
    run: Strings = frozenset([""])
    for item in items:
        exact = _exact(item, fold)
        joined = _product(run, exact) if exact is not None else None
        if joined is not None:
            run = joined
            continue
        candidates.append(run)
        run = exact if exact is not None else frozenset([""])
        inner = _inside(item, fold)
        if inner:
            candidates.append(inner)
    candidates.append(run)
    best = max(candidates, key=lambda strings: (min(map(len, strings)), -len(strings)))
    return best if min(map(len, best)) else None


def _inside(item: Any, fold: Fold) -> Strings | None:
    """What a part needs that is no fixed string."""
    code, value = item
    if code is codes.SUBPATTERN:
        return _required(value[3], fold)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return _required(value[2], fold) if value[0] > 0 else None
    if code is codes.ATOMIC_GROUP:
        return _required(value, fold)
    if code is codes.BRANCH:
        sets = [_required(branch, fold) for branch in value[1]]
        return None if None in sets else _few(frozenset().union(*(one for one in sets if one)))
    return None


def _exact(item: Any, fold: Fold) -> Strings | None:
    """Every string, folded, that a part can match, where these are few."""
    code, value = item
    if code is codes.LITERAL:
        return frozenset([fold(chr(value))])
    if code is codes.AT or code is codes.ASSERT or code is codes.ASSERT_NOT:
        return frozenset([""])
    if code is codes.IN:
        return _class_members(value, fold)
    if code is codes.SUBPATTERN:
        return _exact_sequence(value[3], fold)
    if code is codes.BRANCH:
        sets = [_exact_sequence(branch, fold) for branch in value[1]]
        return None if None in sets else _few(frozenset().union(*(one for one in sets if one is not None)))
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and value[1] <= 2:
        once = _exact_sequence(value[2], fold)
        powers = [frozenset([""]), once, None if once is None else _product(once, once)][value[0] : value[1] + 1]
        return None if None in powers else _few(frozenset().union(*(one for one in powers if one is not None)))
    return None


def _exact_sequence(items: Sequence[Any], fold: Fold) -> Strings | None:
    made: Strings | None = frozenset([""])
    for item in items:
        exact = _exact(item, fold)
        made = None if made is None or exact is None else _product(made, exact)
    return made


def _class_members(parts: Sequence[Any], fold: Fold) -> Strings | None:
    members: set[str] = set()
    for code, value in parts:
        if code is codes.LITERAL:
            members.add(fold(chr(value)))
        elif code is codes.RANGE and value[1] - value[0] < MAX_STRINGS:
            members.update(fold(chr(n)) for n in range(value[0], value[1] + 1))
        else:
            return None
    return frozenset(members) if len(members) <= 8 else None


def _product(left: Strings, right: Strings) -> Strings | None:
    return (
        _few(frozenset(a + b for a in left for b in right))
        if min(len(left), len(right)) == 1 or len(left) * len(right) <= MAX_PRODUCT
        else None
    )


def _few(strings: Strings) -> Strings | None:
    return strings if len(strings) <= MAX_STRINGS else None
