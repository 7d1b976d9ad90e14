"""Gaps: text whose end, or whose speaker, no marker tells; its paragraphs are divided among those who may speak there.

After a call the world answers; then the agent may reply, the user may ask, and the agent plans its next call, in this
order, which the markers around a gap narrow further. Each paragraph's voice (voice.py) and the cost of each change of
speaker decide: the most probable sequence (Viterbi), with the posterior probability of its types as confidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log
from typing import Literal

from deepcoder_hf.spans.voice import PLAN, REPLY, USER, WORLD, voices

Left = Literal["start", "result", "call", "user", "agent", "thought", "answer"]
"""What stands before a gap: the text's start, a call whose result the gap begins with, a call whose result it may begin
with, a user's turn, words of the agent, a thought behind a prompt, or a marked answer of its."""
Right = Literal["call", "end", "turn", "agent", "result"]
"""What follows: a call, the end of the text, a turn of somebody else, or marked words of the agent."""

MOST = 16
"""Paragraphs of a gap that are looked at, from its end; what stands before them is of one speaker."""
TRUST = 0.8
"""Factor on the voices' log-probabilities: paragraphs of one speaker are not independent."""

KINDS = {WORLD: "observation", PLAN: "reasoning", USER: "other", REPLY: "answer"}
NAMES = {WORLD: "voice_world", PLAN: "voice_plan", USER: "voice_user", REPLY: "voice_reply"}
SUBTYPES = {WORLD: "unmarked", PLAN: "preamble", USER: "user", REPLY: "message"}

CONTRAST = 2.2
"""Log-probability that the world loses there."""
LAST_WORD = 0.92
"""Probability of the world's voice in the last paragraph of a result from which on all of it is the world's."""
NEVER = -inf
_SENTENCE = re.compile(
    r"(?:[A-ZÀ-Þ`*\"'¿¡«(](?:[^\W_]|[\s,;:'\"`().%*/$€#+<>=&–—_-])*|[぀-ヿ一-鿿][^\n]*)[.!?:。！？：)`*]$"
    r"|[A-ZÀ-Þ][^\n{}|]{25,600}[.!?:]$",
    re.DOTALL,
)
"""Words that begin and end as a sentence does."""
_BLANK = re.compile(rb"\n[ \t\r]*\n\s*")
_FENCE = re.compile(rb"^[ \t]{0,3}```", re.MULTILINE)

# Costs of a change of speaker, as log-probabilities: rows from, columns to, in the order of VOICES.
CHANGE = (
    (0.0, -1.2, -1.5, -1.2),  # the world's answer goes on; a plan, a question or a reply follows it
    (NEVER, 0.0, NEVER, NEVER),  # a plan ends with its call
    (NEVER, -1.7, 0.0, -0.3),
    (NEVER, -4.0, 0.2, 0.0),
)
FIRST: dict[Left, tuple[float, float, float, float]] = {
    "start": (NEVER, -2.0, 0.0, -3.0),
    "result": (0.0, NEVER, NEVER, NEVER),
    "call": (0.0, -2.0, -2.5, -2.5),
    "user": (NEVER, NEVER, 0.0, NEVER),
    "agent": (NEVER, 0.0, -1.0, 0.0),
    "thought": (0.0, -1.5, -2.0, -2.0),
    "answer": (NEVER, -2.5, 0.0, -1.5),
}
LAST: dict[Right, tuple[float, float, float, float]] = {
    "call": (-2.2, 0.0, -0.7, NEVER),
    "end": (-0.1, NEVER, 0.0, 0.2),
    "turn": (0.0, NEVER, 0.0, 0.0),
    "agent": (0.0, -1.5, 0.0, -1.5),
    "result": (-1.0, -1.0, -1.0, -1.0),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Paragraphs of one speaker."""

    start: int
    """Byte where they begin."""
    voice: int
    confidence: float
    """Least posterior probability of the speaker among them."""


def paragraphs(blob: bytes, start: int, end: int) -> list[int]:
    """Where the paragraphs of a stretch begin, in bytes; a blank line within a code fence divides nothing."""
    edges = [start]
    inside = False
    at = start
    for blank in _BLANK.finditer(blob, start, end):
        if blank.end() >= end:
            break
        inside ^= len(_FENCE.findall(blob[at : blank.start() + 1])) % 2 == 1
        at = blank.end()
        if not inside:
            edges.append(at)
    return edges


def divide(blob: bytes, start: int, end: int, left: Left, right: Right) -> list[Part]:
    """Divide a gap among those who may speak in it.

    Args:
        blob: Text in UTF-8.
        start: Byte where the gap's words begin.
        end: Byte where the gap ends.
        left: What stands before it.
        right: What follows.

    Returns:
        At least one part; the first begins at `start`.
    """
    edges = paragraphs(blob, start, end)
    most = MOST if blob[start : start + 1] not in (b"{", b"[") else 4 * MOST  # a result in JSON is one paragraph
    if len(edges) > most:
        edges = [edges[0], *edges[-most:]]
    if left == "result" and right != "call":
        sure = voices([_words(blob, edges[-1], end)])[0][WORLD]
        if sure > log(LAST_WORD):  # who speaks after the world never gives back the word
            return [Part(start, WORLD, exp(sure))]
    texts = [_words(blob, first, stop) for first, stop in zip(edges, [*edges[1:], end], strict=True)]
    heard = [[TRUST * value for value in row] for row in voices(texts).tolist()]
    if left in ("result", "call"):
        _contrast(texts, heard)
    if left == "result":
        _settle_json(texts, heard)
    path, posterior = decode(heard, FIRST[left], LAST[right])
    parts: list[Part] = []
    for edge, voice, probability in zip(edges, path, posterior, strict=True):
        if parts and parts[-1].voice == voice:
            before = parts[-1]
            parts[-1] = Part(before.start, voice, min(before.confidence, probability))
        else:
            parts.append(Part(edge, voice, probability))
    return parts


def _words(blob: bytes, start: int, end: int) -> str:
    """The first words of a paragraph."""
    return blob[start : min(end, start + 1500)].decode("utf-8", "replace").strip()


def _contrast(texts: Sequence[str], heard: list[list[float]]) -> None:
    """Sentences at the end of what does not begin with one are hardly the world's."""
    if is_sentence(texts[0]):
        return
    for text, row in zip(reversed(texts[1:]), reversed(heard[1:]), strict=True):
        if not is_sentence(text):
            return
        row[WORLD] -= CONTRAST


def is_sentence(text: str) -> bool:
    """Whether words begin and end as a sentence does, and are mostly letters."""
    return 2 * sum(map(str.isalpha, text[:200])) > min(len(text), 200) and _SENTENCE.match(text) is not None


def _settle_json(texts: Sequence[str], heard: list[list[float]]) -> None:
    """A result that is one JSON value ends with it: what follows is hardly the world's."""
    first = texts[0]
    if first[:1] in "{[" and first[-1:] in "}]":
        for row in heard[1:]:
            row[WORLD] -= 2.0


def decode(
    heard: Sequence[Sequence[float]], first: Sequence[float], last: Sequence[float]
) -> tuple[list[int], list[float]]:
    """The most probable speakers, and the posterior probability of each.

    Args:
        heard: Log-probability of each voice for each paragraph, [P, voices]; P at least 1.
        first: Cost of each voice at the start, as log-probability.
        last: Cost of each voice at the end.
    """
    span = range(len(first))
    best = [first[v] + heard[0][v] for v in span]
    forward = list(best)
    trail: list[list[int]] = []
    forwards = [forward]
    for row in heard[1:]:
        came = [max(span, key=lambda u, v=v: best[u] + CHANGE[u][v]) for v in span]  # type: ignore[misc]
        best = [best[came[v]] + CHANGE[came[v]][v] + row[v] for v in span]
        trail.append(came)
        forward = [_log_sum([forward[u] + CHANGE[u][v] for u in span]) + row[v] for v in span]
        forwards.append(forward)
    path = [max(span, key=lambda v: best[v] + last[v])]
    for came in reversed(trail):
        path.append(came[path[-1]])
    path.reverse()
    return path, _posterior(heard, forwards, last, path)


def _posterior(
    heard: Sequence[Sequence[float]], forwards: Sequence[Sequence[float]], last: Sequence[float], path: Sequence[int]
) -> list[float]:
    span = range(len(last))
    backward = list(last)
    result: list[float] = []
    for index in range(len(path) - 1, -1, -1):
        joint = [forwards[index][v] + backward[v] for v in span]
        result.append(exp(joint[path[index]] - _log_sum(joint)))
        if index:
            row = heard[index]
            backward = [_log_sum([CHANGE[v][w] + row[w] + backward[w] for w in span]) for v in span]
    result.reverse()
    return result


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top if top == -inf else top + log(sum(exp(value - top) for value in values))
