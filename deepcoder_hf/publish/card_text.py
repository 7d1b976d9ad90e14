"""Text from the data as Markdown that cannot act: visible characters, cells, code spans and fences it cannot leave."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_CELL = 120
"""Characters of a value in a table; what is longer is cut, with an ellipsis."""
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Characters without a picture that Unicode does not call formatting: fillers, joiners, Mongolian selectors."""
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_SAFE_RUN = re.compile(r"[\x20-\x7e\n\t]+")
_BACKTICKS = re.compile(r"`+")
_LOCAL_FOLDERS = re.compile(r"(?<![\w/:.\\])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\"=,]+[/\\])+")
"""The folders of a local path: `/data/ann/` of `/data/ann/tokenizer.json`, nothing of `hf://datasets/x/y`."""


def is_hidden(char: str) -> bool:
    """Whether a character acts or hides: controls, zero width, bidirectional, tags, surrogates, unassigned."""
    if char in "\n\t" or "\x20" <= char <= "\x7e":
        return False
    if unicodedata.category(char) in _HIDDEN_CATEGORIES or char in _INVISIBLE:
        return True
    return "\ufe00" <= char <= "\ufe0e" or "\U000e0100" <= char <= "\U000e01ef"


def visible(text: str) -> str:
    """Text with hidden characters written as `<U+200B>`; newlines and tabs stay, CRLF becomes a newline."""
    text = text.replace("\r\n", "\n")
    if _SAFE_RUN.fullmatch(text):
        return text
    return "".join(f"<U+{ord(char):04X}>" if is_hidden(char) else char for char in text)


def code(value: object, limit: int = MAX_CELL) -> str:
    """A value of the data as a code span on one line, for running text and cells; of a long one its beginning.

    Renderers do not agree on how a pipe is escaped in a code span of a table, so it is written as a broken bar.
    """
    text = shortened(visible(str(value)).replace("\n", "␤").replace("\t", "␉").replace("|", "¦").strip(), limit)
    if not text:
        return "(none)"
    fence = "`" * (_longest(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def fenced(text: str, language: str = "text") -> str:
    """A block of code whose fence is longer than every run of backticks in it."""
    text = visible(text)
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A Markdown table.

    Args:
        head: Names of the columns.
        rows: Cells, made safe already (`code`) where they come from the data.
        numbers: How many of the last columns are aligned to the right.
    """
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning with an ellipsis where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def without_local_folders(text: str) -> str:
    """The text with local absolute paths cut to the name of their file: folders name people and machines."""
    return _LOCAL_FOLDERS.sub("", text)


def _longest(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
