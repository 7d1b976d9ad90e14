"""Form and Mark: a way to begin a stretch of text, and one occurrence of it."""

from __future__ import annotations

from typing import NamedTuple


class Form(NamedTuple):
    """A way to begin a stretch of text."""

    kind: str
    """label, tag, token, prompt, fence or json"""
    family: str
    """How it is written, apart from its name."""
    name: str
    """In lower case, without numbers; of a prompt its sign."""


class Mark(NamedTuple):
    """One occurrence of a form."""

    start: int
    end: int
    form: Form
    closes: bool = False
    """It is a closing tag."""
