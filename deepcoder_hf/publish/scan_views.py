"""The same text as a program would see it that had read it: escapes of JSON and of URLs turned into white space.

Secrets of trajectories stand in JSON inside JSON (`\\\\\\"export KEY=...\\\\\\n`) and in queries (`?key=...&x=1`),
where the letter of an escape or an ampersand touches the secret and hides its borders. A view has exactly as many
characters as the text, so that what is found in it is found in the text.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b\[[0-9;:?]{0,24}[@-~]|\\+(?:u001[bB]|x1[bB]|0?33|e)\[[0-9;:?]{0,24}[@-~]|\$(?=\Z|\\+[nr])|"
    r"\\+(?:u00[0-9a-fA-F]{2}|[nrtbf\"'/])|%(?:0[aAdD9]|2[02677]|3[bBcCdDeEfF])|&(?:amp|quot|lt|gt|#39);|&"
)
"""Such as `\\n`, `\\\\\\"`, `\\u0026`, `%3D`, `&amp;` and the `&` of a query; a terminal's colours, raw and escaped,
and the `$` at the end of a line of `cat -A`."""
_MARKS = ("\\", "&", "%", "\x1b", "$")
_MEANINGS = {"n": "\n", "r": "\n", "t": "\t", '"': '"', "'": "'", "/": "/"}


def plain_view(text: str) -> str | None:
    """The lines that hold escapes with these blanked, and blanks for all others; None where no line has any.

    Lines without escapes read the same in both, and need not be looked at twice.
    """
    if not any(mark in text for mark in _MARKS):
        return None
    made, any_escape = [], False
    for line in text.split("\n"):
        if any(mark in line for mark in _MARKS):
            line, count = _ESCAPE.subn(_blank, line)
            if count:
                made.append(line)
                any_escape = True
                continue
        made.append(" " * len(line))
    return "\n".join(made) if any_escape else None


def _blank(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[0] in "\x1b$" or "[" in escape:
        return " " * len(escape)
    last = " "
    if escape[0] == "\\":
        last = chr(int(escape[-2:], 16)) if escape[-3:-2] == "0" and len(escape) > 5 else _MEANINGS.get(escape[-1], " ")
    elif escape[0] == "%":
        last = chr(int(escape[1:], 16))
    return " " * (len(escape) - 1) + ("\n" if last == "\r" else " " if last == "&" else last)
