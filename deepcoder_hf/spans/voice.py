"""Who a paragraph sounds like: the world (a tool's output), the agent that plans, the user, or the agent that answers.

A log-linear model over a few dozen signs that do not depend on a task: which words of planning, asking, offering stand
first (words/cues.yaml, six languages), how it ends, how much of it is letters. Its weights (words/weights.yaml) are
fitted on labelled paragraphs by `python benchmarks/fit_voices.py`, which also prints how it does on unseen sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

VOICES = ("world", "plan", "user", "reply")
"""The world answers with results; the agent plans (reasoning); the user asks; the agent replies (visible answers)."""
WORLD, PLAN, USER, REPLY = range(4)

HEAD = 240
"""Characters at the start of a paragraph that are looked at."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_WIDE = re.compile(r"[぀-ヿ一-鿿]")
_SYMBOLS = re.compile(r"[{}=;\\|]|::|->|\d{3,}|_\w")
_FIRST_PERSON = re.compile(r"\b(?:i|ich|je|yo)\b|\bj'|我|私")
_TOGETHER = re.compile(r"\b(?:we|let|wir|nous|vamos|nosotros)\b|我们|让我")

SHAPE = (
    "asks", "announces", "sentence_end", "no_end", "letters", "few_letters", "very_few_letters", "bracket", "angle",
    "digit", "lower_case", "symbol", "word_share", "indented", "tiny", "long", "many_lines", "bias", "few_words",
    "question", "code", "control", "first_person", "together",
)  # fmt: skip
"""Names of the signs that are no words."""


def load_words(name: str) -> Any:
    """The content of a file of `spans/words`."""
    text = (resources.files("deepcoder_hf.spans") / "words" / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


Phrases = dict[str, list[tuple[tuple[str, ...], int]]]


@lru_cache(maxsize=1)
def cue_names() -> tuple[str, ...]:
    """Names of the uses of words, in the order of their features."""
    return tuple(_cues())


@lru_cache(maxsize=1)
def _cues() -> dict[str, list[str]]:
    cues: dict[str, list[str]] = load_words("cues.yaml")
    return cues


@lru_cache(maxsize=1)
def _phrases() -> tuple[Phrases, tuple[tuple[str, int], ...]]:
    """Phrases by their first word: the words after it and the use; and those of languages without spaces."""
    spaced: Phrases = {}
    unspaced: list[tuple[str, int]] = []
    for use, phrases in enumerate(_cues().values()):
        for phrase in phrases:
            if _WIDE.search(phrase):
                unspaced.append((phrase, use))
                continue
            first, *rest = phrase.split()
            spaced.setdefault(first, []).append((tuple(rest), use))
    return spaced, tuple(unspaced)


def feature_names() -> tuple[str, ...]:
    """Names of the features: words that stand first, words among the first 40, and the shape."""
    names = cue_names()
    return (*(f"first {name}" for name in names), *(f"has {name}" for name in names), *SHAPE)


def features(paragraph: str) -> list[int | float]:
    """What voices a paragraph's first words and shape speak for.

    Args:
        paragraph: Text without whitespace at its edges.

    Returns:
        One number in [0, 1] for each of `feature_names`.
    """
    head = paragraph[:HEAD].lower().replace("’", "'")
    n_uses = len(cue_names())
    found: list[int | float] = [0] * (2 * n_uses)
    words = _WORD.findall(head)
    spaced, unspaced = _phrases()
    for place, word in enumerate(words[:40]):
        for rest, use in spaced.get(word, ()):
            if tuple(words[place + 1 : place + 1 + len(rest)]) == rest:
                found[use if place == 0 else n_uses + use] = 1
    if _WIDE.search(head):
        for phrase, use in unspaced:
            place = head.find(phrase)
            if place >= 0:
                found[use if place < 3 else n_uses + use] = 1
    found += _shape(paragraph, head, len(words))
    return found


def _shape(paragraph: str, head: str, n_words: int) -> list[int | float]:
    """The features named in SHAPE."""
    last = paragraph[-1:]
    first = paragraph[:1]
    letters = sum(c.isalpha() or c == " " for c in head) / max(1, len(head))
    lines = paragraph[:2000].split("\n")
    n_tokens = n_words + sum(not (c.isalpha() or c.isspace() or c == "'") for c in head)
    return [
        last in "?？", last in ":：", last in ".!。！", last not in ".!?:。！？：", letters, letters < 0.8,
        letters < 0.65, first in "{[", first == "<", first.isdigit(), first.islower(), first in "/.$#=+-|*>",
        n_words / max(1, n_tokens), sum(line[:1] in " \t" for line in lines if line) / len(lines), len(paragraph) < 25,
        len(paragraph) > 300, len(lines) > 8, 1, n_words < 4, "?" in paragraph[:400], bool(_SYMBOLS.search(paragraph[:300])),
        "\r" in paragraph or "\x1b" in paragraph, bool(_FIRST_PERSON.search(head)), bool(_TOGETHER.search(head)),
    ]  # fmt: skip


@lru_cache(maxsize=1)
def weights() -> npt.NDArray[np.float64]:
    """Fitted weights, float64 [features, voices]."""
    table = load_words("weights.yaml")
    return np.array([table.get(name, [0.0] * len(VOICES)) for name in feature_names()])


def voices(paragraphs: Sequence[str] | Iterable[str]) -> npt.NDArray[np.float64]:
    """Log-probability of each voice for each paragraph.

    Args:
        paragraphs: P texts, at best without whitespace at their edges.

    Returns:
        float64 [P, voices], in the order of VOICES.
    """
    rows = [features(paragraph) for paragraph in paragraphs]
    if not rows:
        return np.zeros((0, len(VOICES)))
    scores = np.array(rows, np.float64) @ weights()
    top = scores.max(axis=1, keepdims=True)
    normal: npt.NDArray[np.float64] = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    return normal
