"""Every markup family is read: own texts in each, and the strings of the shared table where it is present."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.library import builtin_patterns

ROOT = Path(__file__).parents[2]
FAMILIES = yaml.safe_load((ROOT / "tests" / "data" / "markup" / "families.yaml").read_text(encoding="utf-8"))
SHARED = ROOT.parent / "shared" / "data" / "markup.yaml"
DETECTOR = SpanDetector()

THOUGHT = "I have to list the folder first."
CALL = '{"name": "ls", "arguments": {"path": "src"}}'
RESULT = "a.py b.py c.py"
REPLY = "There are three files in it."

BY_TEXT = {
    "llama3_json": "llama3_ipython",
    "phi4_mini": "phi4_mini",
    "react": "langchain_react",
    "thought_action": "thought_action",
    "smolagents": "smolagents",
    "openhands_fn": "openhands_fn",
    "mini_swe_agent": "mini_swe_agent",
    "terminus": "terminus_json",
}
"""Entries of the shared table that need more than two strings -> the family whose own texts stand for them."""


def types_of(text: str, start: int, end: int) -> set[str]:
    spans = DETECTOR.detect(text)
    return {span.span_type.value for span in spans if span.start_char < end and start < span.end_char}


def assert_types(text: str, expected: list[list[str]]) -> None:
    position = 0
    for kind, part in expected:
        position = text.index(part, position)
        found = types_of(text, position, position + len(part))
        assert found == {kind}, f"{part!r} should be {kind}, is {found}"
        position += len(part)


@pytest.mark.parametrize("entry", FAMILIES, ids=lambda entry: entry["family"])
def test_a_text_of_the_family_gets_its_types(entry: dict[str, Any]) -> None:
    assert_types(entry["text"], entry["expect"])


def test_every_convention_that_a_pattern_names_has_a_text() -> None:
    named = {style for pattern in builtin_patterns() for style in pattern.styles}
    assert named - {entry["family"] for entry in FAMILIES} == set()


# --- the shared table ------------------------------------------------------------------------------------------------


def table() -> dict[str, dict[str, Any]]:
    if not SHARED.exists():
        return {}
    entries = yaml.safe_load(SHARED.read_text(encoding="utf-8"))
    return {name: entry for name, entry in entries.items() if not name.endswith("_unread")}


def spellings(marker: str) -> Iterator[str]:
    """The strings that an entry stands for: `a|b` for two markers, `(?:a|b)` for two words, `(a|b)?` for an option."""
    for alternative in re.split(r"(?<=[>\]\n])\|(?=[<`])|\|(?=bare|```)", marker):
        parts = re.split(r"(\((?:\?:)?[^()]*\)\??)", alternative)
        options = []
        for part in parts:
            inner = re.fullmatch(r"\((?:\?:)?([^()]*)\)(\??)", part)
            words = [part] if not inner else [*([""] if inner[2] else []), *inner[1].split("|")]
            options.append([word.replace("SUFFIX", "opensource").replace(":S", ":opensource") if inner else
                            word.replace("NAME", "ls").replace('"N"', '"ls"') for word in words])  # fmt: skip
        yield from map("".join, product(*options))


def blocks(entry: dict[str, Any], key: str) -> list[tuple[str, str]]:
    """The (open, close) strings of a key such as `a`."""
    if not isinstance(entry.get(key), list):
        return []
    opening, closing = entry[key]
    opens = [text for text in spellings(opening) if not text.startswith(("bare", "```"))]
    closes = list(spellings(closing)) if closing else [""]
    return [(text, closes[number % len(closes)]) for number, text in enumerate(opens)]


def texts_of(entry: dict[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    """Texts with each spelling of each block of an entry, and the types in them."""
    reasoning = [*blocks(entry, "r"), *blocks(entry, "r2"), *blocks(entry, "preamble")]
    actions = [block for key in ("a", "a_bash", "a_browse") for block in blocks(entry, key)]
    thought = f"{reasoning[0][0]}{THOUGHT}{reasoning[0][1]}\n" if reasoning else ""
    first = [["reasoning", THOUGHT]] if reasoning else []
    for opening, closing in reasoning:
        yield f"{opening}{THOUGHT}{closing}\n{REPLY}", [["reasoning", THOUGHT]]
    for opening, closing in actions:
        yield f"{thought}{opening}{CALL}{closing}", [*first, ["action", CALL]]
        for before, after in blocks(entry, "o") if closing else ():
            text = f"{thought}{opening}{CALL}{closing}\n{before}{RESULT}{after}"
            yield text, [*first, ["action", CALL], ["observation", RESULT]]
    for opening, closing in blocks(entry, "answer"):
        between = "" if reasoning and reasoning[0][1] == opening else thought
        yield f"{between}{opening}{REPLY}{closing}", [*(first if between else []), ["answer", REPLY]]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared table is not part of a clone")
@pytest.mark.parametrize("name", table())
def test_the_markers_of_the_shared_table_give_their_types(name: str) -> None:
    if name in BY_TEXT:
        assert BY_TEXT[name] in {entry["family"] for entry in FAMILIES}
        return
    texts = list(texts_of(table()[name]))
    assert texts
    for text, expected in texts:
        assert_types(text, expected)
