"""What the name of a label, tag or heading says about its role: words of six languages, in words/roles.yaml."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from deepcoder_hf.spans.voice import load_words

Role = Literal["reasoning", "action", "observation", "user", "assistant", "answer", "system"]
"""What stands under a marker; `assistant` is a turn of the agent that may hold all of its words."""

SURE, WEAK = 3.0, 1.5
"""How much a word counts, as log-odds; weak words also mean something else."""

_FILLER = (
    "the a an of to from by my your its is for in on and begin start end channel section header block id im open "
    "close new current"
    " de la le les el los las der die das des du mi mon tu"
)
FILLER = frozenset(_FILLER.split())
"""Words of names that say nothing of the role."""

_WORDS = re.compile(r"[A-ZÀ-Þ]?[^\W\d_A-ZÀ-Þ]+|[A-ZÀ-Þ]+(?![^\W\d_A-ZÀ-Þ])", re.UNICODE)
_WIDE = re.compile(r"[぀-ヿ一-鿿]")


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[dict[str, list[tuple[Role, float]]], tuple[tuple[str, Role, float], ...]]:
    """Words to (role, weight), and those of languages without spaces, longest first."""
    table = load_words("roles.yaml")
    words: dict[str, list[tuple[Role, float]]] = {}
    wide: list[tuple[str, Role, float]] = []
    for role, lists in table.items():
        for strength, weight in (("sure", SURE), ("weak", WEAK)):
            for word in lists[strength]:
                if _WIDE.search(word):
                    wide.append((word, role, weight))
                else:
                    words.setdefault(word, []).append((role, weight))
    wide.sort(key=lambda entry: -len(entry[0]))
    return words, tuple(wide)


@lru_cache(maxsize=4096)
def roles_of(name: str) -> dict[Role, float]:
    """What roles a name speaks for.

    Args:
        name: "Thought", "tool_output", "ToolCall", "Gedanke 1", "观察": digits and punctuation do not matter.

    Returns:
        Log-odds by role, in order of strength; empty where no word is known. Of "tool output" the result remains, of
        "action input" the action, of "agent thought" the thought: the last of what an agent does, but for the agent
        itself.
    """
    words, wide = _vocabulary()
    if not name:
        return {}
    if " to=" in name:
        return _addressed(name)
    if name in words and (name[-1] in "[]$#%>" or not name[0].isalpha()):
        return dict(words[name])  # a sign
    found: dict[Role, float] = {}
    if _WIDE.search(name):
        rest = name
        for word, role, weight in wide:
            if word in rest:
                found[role] = max(found.get(role, 0.0), weight)
                rest = rest.replace(word, " ") if len(word) > 1 else rest
    tokens = [
        token for token in map(str.lower, _WORDS.findall(name)) if token not in FILLER and not _WIDE.search(token)
    ]
    if len(tokens) > 1 and (joined := words.get("_".join(tokens)) or words.get("".join(tokens))):
        tokens, found = [], dict(joined)
    unknown = sum(token not in words for token in tokens)
    share = 1.0 - unknown / len(tokens) if tokens else 1.0
    for token in tokens:
        for role, weight in words.get(token, ()):
            found[role] = max(found.get(role, 0.0), weight)
    if len(tokens) > 1 or (len(found) > 1 and not tokens):
        found = _reconciled(found)
    found = {role: weight * share for role, weight in found.items() if share > 0.4}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _addressed(name: str) -> dict[Role, float]:
    """What words are whose name says to whom the agent speaks."""
    if name.endswith("=self"):
        return {"reasoning": SURE}
    return {"answer": SURE} if name.endswith("=user") else {"action": SURE}


def _reconciled(found: dict[Role, float]) -> dict[Role, float]:
    """What remains of a name of several words that speak for several roles."""
    if "observation" in found and "action" in found:
        return {"observation": SURE, "action": 0.2}
    if found.get("user") == SURE and found.get("action") != SURE:
        return {"user": SURE}
    if found.get("answer") == SURE:
        return {"answer": SURE}
    for role in ("reasoning", "action", "observation"):
        sure = role != "observation" or found.get(role) == SURE
        if role in found and sure and ("assistant" in found or "user" in found):
            return {role: found[role]}
    return found
