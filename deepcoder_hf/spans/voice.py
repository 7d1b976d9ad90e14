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

HEAD, MOST_WORDS = 200, 32
"""Characters, and words, at the start of a paragraph that are looked at."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_WIDE = re.compile(r"[぀-ヿ一-鿿]")
_SYMBOLS = re.compile(r"[{}=;\\|]|::|->|\d{3,}|_\w")
_LETTERS = bytes(range(97, 123)) + bytes(range(128, 256)) + b" "
_SPACES = b" \t\r\n'"
_FIRST_PERSON = frozenset(["i", "i'm", "i'll", "i've", "i'd", "ich", "je", "j'ai", "yo"])
_TOGETHER = frozenset(["we", "let", "let's", "we'll", "we've", "wir", "nous", "vamos", "nosotros"])

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
    """Names of the features: words that stand first, words among the first, and the shape."""
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
    for place, word in enumerate(words[:MOST_WORDS]):
        if word in spaced:
            for rest, use in spaced[word]:
                if not rest or tuple(words[place + 1 : place + 1 + len(rest)]) == rest:
                    found[use if place == 0 else n_uses + use] = 1
    if not head.isascii() and _WIDE.search(head):
        for phrase, use in unspaced:
            place = head.find(phrase)
            if place >= 0:
                found[use if place < 3 else n_uses + use] = 1
    found += _shape(paragraph, head, words)
    return found


def _shape(paragraph: str, head: str, words: list[str]) -> list[int | float]:
    """The features named in SHAPE."""
    last, first = paragraph[-1:], paragraph[:1]
    data = head.encode("utf-8", "replace")
    rest = data.translate(None, _LETTERS)
    letters = 1 - len(rest) / max(1, len(data))
    signs = len(rest.translate(None, _SPACES))
    start = paragraph[:2000]
    n_lines = start.count("\n") + 1
    indented = start.count("\n ") + start.count("\n\t")
    heard = set(words)
    return [
        last in "?？", last in ":：", last in ".!。！", last not in ".!?:。！？：", letters, letters < 0.8,
        letters < 0.65, first in "{[", first == "<", first.isdigit(), first.islower(), first in "/.$#=+-|*>",
        len(words) / max(1, len(words) + signs), indented / n_lines, len(paragraph) < 25, len(paragraph) > 300,
        n_lines > 8, 1, len(words) < 4, "?" in paragraph[:400], _SYMBOLS.search(paragraph, 0, 300) is not None,
        "\r" in paragraph or "\x1b" in paragraph, not heard.isdisjoint(_FIRST_PERSON) or "我" in head or "私" in head,
        not heard.isdisjoint(_TOGETHER) or "我们" in head or "让我" in head,
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
