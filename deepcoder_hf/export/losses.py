"""What an export could not carry over, counted by kind: nothing is left out in silence."""

from __future__ import annotations

from collections import Counter
from typing import Any

KINDS: dict[str, str] = {
    "answer_mark": "the mark that a message is the final answer",
    "argument_spelling": "arguments that are the same JSON value, spelled otherwise (spaces, escapes, numbers)",
    "empty_turn": "a turn of the agent of which nothing is left",
    "finish_reason": "why the model stopped",
    "ids": "ids of the trajectory, its group and its parent",
    "joined_messages": "messages that follow each other and became one",
    "joined_results": "results of parallel calls that became one text",
    "language": "the language of a named call",
    "lone_surrogate": "half of a character pair, which UTF-8 cannot hold; written as its escape",
    "made_up_id": "an id that the format demands and the source does not have",
    "metadata": "facts beside the steps (reward, model, licence, ...)",
    "name": "the name of a participant or of a result's tool",
    "think_tag": "a think tag that stands in a text, where reasoning is told by such tags",
    "nameless_call": "a call without a name (code, a command), which got the name of its language or 'code'",
    "other_tokens": "rows whose tokens come out differently where the other tool tokenises each segment alone",
    "reasoning": "reasoning",
    "reasoning_kind": "reasoning of which the format cannot say that it is a summary, redacted or encrypted",
    "reasoning_mark": "the mark that reasoning is a summary, redacted or encrypted",
    "result_id": "the id that says which call a result answers",
    "row_weight": "the weight of a row",
    "token_ids": "token ids that were recorded with a step",
    "token_types": "the split of trained tokens into reasoning and action",
    "token_weights": "weights of single tokens",
    "trailing_turn": "what follows the last turn of the agent",
    "unanswered_call": "a call without a result, to which the format demands one",
    "untrained_turn": "the mark that a turn is not to be trained",
}
"""Kinds of losses, in words."""


class Losses:
    """Counts of what was lost: how often, and how many characters of text."""

    def __init__(self) -> None:
        self._n: Counter[str] = Counter()
        self._chars: Counter[str] = Counter()

    def add(self, kind: str, text: str | None = None, n: int = 1) -> None:
        """Count a loss.

        Args:
            kind: A key of `KINDS`.
            text: What is lost, where that is text.
            n: How often.
        """
        assert kind in KINDS, kind
        self._n[kind] += n
        self._chars[kind] += len(text or "")

    def merge(self, other: Losses) -> None:
        """Add the counts of another, those of a record that was exported."""
        self._n.update(other._n)
        self._chars.update(other._chars)

    def facts(self) -> dict[str, dict[str, Any]]:
        """Counts by kind, as JSON."""
        return {
            kind: {"n": n, "characters": self._chars[kind], "what": KINDS[kind]}
            for kind, n in sorted(self._n.items())
            if n
        }
