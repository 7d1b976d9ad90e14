"""Characters that cannot be seen or that change the reading direction, written as signs that can be seen."""

from __future__ import annotations

import re
import unicodedata

SIGN_RANGES: tuple[tuple[int, int], ...] = (
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xD800, 0xDFFF),
    (0xFE00, 0xFE0D),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""Controls but newline and tab, direction marks, zero-width and other ignorable characters, line and paragraph
separators, lone surrogates, tags. U+FE0E and U+FE0F stay: they choose how an emoji looks and are in every other one.

Source: Unicode 16, General_Category Cc, Zl, Zp and Default_Ignorable_Code_Point."""

_CONTROLS = "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC "
CONTROLS = [*_CONTROLS.split(), "FS", "GS", "RS", "US"]
"""Short names of the C0 controls by code."""

_SIGNS = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in SIGN_RANGES) + "]")


def visible(text: str) -> str:
    """The text with every invisible character as a sign: `⟨ESC⟩` for a C0 control, else `⟨U+202E⟩`.

    Newlines and tabs stay.
    """
    return _SIGNS.sub(lambda match: sign_of(ord(match[0])), text)


def sign_of(code: int) -> str:
    """The sign of one invisible character."""
    return f"⟨{CONTROLS[code] if code < len(CONTROLS) else f'U+{code:04X}'}⟩"


def sign_names() -> dict[str, str]:
    """Code point in hexadecimal digits -> its Unicode name, of those invisible characters that have one."""
    codes = (code for first, last in SIGN_RANGES if first < 0xE0000 for code in range(first, last + 1))
    return {f"{code:04X}": name for code in codes if (name := unicodedata.name(chr(code), ""))}
