"""Markup that a prompt only quotes: few-shot examples and descriptions of a format, before the task itself.

Two signs, either suffices. The prompt announces examples or a format, and something ends them: "(END OF EXAMPLES)",
"Begin!", "Now the task", or the task's own label once more. Or the text follows two complete conventions, one wholly
before the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deepcoder_hf.spans.roles import Role

Sign = tuple[int, Role, str]
"""Where a sure marker begins, its role, and the group of markers that it belongs to."""

AGENT: frozenset[str] = frozenset(("reasoning", "action", "observation"))
NEAR = 700
"""Bytes before the first marker in which examples are announced."""
LONGEST_PROMPT = 60_000
"""Bytes in which examples are looked for."""

_ANNOUNCED = re.compile(
    rb"\b(?i:examples?|few-shot|demonstrations?|following format|this format|format below|following steps"
    rb"|interleaving|beispiele?"
    rb"|folgende[mnrs]? format|diesem format|ejemplos?|siguiente formato|este formato|exemples?|format suivant"
    rb"|ce format|for instance)\b"
    rb"|\xe7\xa4\xba\xe4\xbe\x8b|\xe4\xbe\x8b\xe5\xad\x90|\xe6\xa0\xbc\xe5\xbc\x8f|\xe4\xbe\x8b[:\xef]"
    rb"|\xe5\xbd\xa2\xe5\xbc\x8f"
)
"""... 示例 例子 格式 例： 形式"""
_HEADED = re.compile(
    rb"(?i:here (?:are|is)[^\n]{0,40}examples?|following examples?|examples?(?: [a-z]{3,12})? ?:|few-shot"
    rb"|interleaving|following format|demonstrations?:)"
)
_ENDED = re.compile(
    rb"(?i:\(?end of (?:the )?examples?\)?|\n *begin!|\n *now (?:it is |it's )?your turn\b[.!:]?|\n *your turn\b"
    rb"|\n *now (?:solve|answer|do|complete) (?:the|this)[^\n]{0,40}|\n *(?:now|here is) (?:the|your) (?:real "
    rb"|actual |new )?(?:task|question|problem|input)\b"
    rb"|\n *(?:jetzt|nun)[^\n]{0,40} aufgabe\b|\bende de[rs] beispiele?s?\b|\n *ahora[^\n]{0,40} tarea\b"
    rb"|\bfin d(?:el|e los) ejemplos?\b"
    rb"|\n *maintenant[^\n]{0,40} t\xc3\xa2che\b|\bfin d(?:e l'|es )exemples?\b)[ .!:\xef\xbc\x9a]*"
    rb"|\xe7\xa4\xba\xe4\xbe\x8b\xe7\xbb\x93\xe6\x9d\x9f|\n\xe7\x8e\xb0\xe5\x9c\xa8[^\n]{0,40}"
    rb"|\n\xe5\xbc\x80\xe5\xa7\x8b|\n\xe3\x81\x9d\xe3\x82\x8c\xe3\x81\xa7\xe3\x81\xaf"
)
"""... 示例结束 现在 开始 それでは"""


def examples_end(
    blob: bytes, start: int, end: int, signs: Sequence[Sign], tasks: Sequence[int], turns: Sequence[int] = ()
) -> int | None:
    """Where the examples of a prompt end.

    Args:
        blob: Text in UTF-8.
        start: Byte where the text begins.
        end: Byte where it ends.
        signs: Its sure markers, by place.
        tasks: Where labels of a task or a user begin, by place.
        turns: Where turns of the agent begin, by place.

    Returns:
        The byte behind them; None where the prompt has none.
    """
    agent = [sign for sign in signs if sign[1] in AGENT]
    if not agent:
        return None
    first = agent[0][0]
    limit = min(end, start + LONGEST_PROMPT)
    if _ANNOUNCED.search(blob, max(start, first - NEAR), min(first + 20, limit)):
        ended = _ENDED.search(blob, first, limit)
        if ended is not None:
            return ended.end()
        if not _HEADED.search(blob, start, first):
            return _earlier_convention(agent)
        spoken = [turn for turn in turns if tasks and turn > tasks[0]]
        stop = min([limit, agent[-1][0], *spoken])  # a label behind a turn of the agent is a dialogue's
        again = [task for task in tasks if first < task < stop]
        if again:
            return again[-1]
    return _earlier_convention(agent)


def shows_examples(blob: bytes, start: int, signs: Sequence[Sign]) -> bool:
    """Whether a prompt announces examples or a format shortly before the first sure marker."""
    first = signs[0][0]
    return _ANNOUNCED.search(blob, max(start, first - NEAR), first + 20) is not None


def _earlier_convention(agent: Sequence[Sign]) -> int | None:
    """Where the second of two complete conventions begins, if one ends before the other begins."""
    groups: dict[str, list[Sign]] = {}
    for sign in agent:
        groups.setdefault(sign[2], []).append(sign)
    if len(groups) < 2:
        return None
    first = groups[agent[0][2]]
    complete = {"action"} < {role for _, role, _ in first} and len(first) > 2
    later = [sign for sign in agent if sign[2] != agent[0][2]]
    if complete and later[0][0] > first[-1][0] and {"action"} < {role for _, role, _ in later} and len(later) > 2:
        return later[0][0]
    return None
