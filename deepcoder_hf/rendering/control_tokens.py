"""Control tokens that stand literally in the texts of a conversation: found, escaped, or refused.

A tool result or an answer that quotes `<|im_end|>` must not end a turn. Markup that is no special token, such as
`<think>`, is an agent's to write; in other text it is escaped too. Escaping leaves the text as it is and cuts it
inside the token, so that its characters are encoded like any others; the cuts are recorded with the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from deepcoder_hf.errors import RecordError
from deepcoder_hf.rendering.rendered import Rendered


class ControlTokens:
    """The control tokens of a tokenizer that matter: special ones, and those that a template writes.

    Args:
        tokens: Added tokens of more than one character.
        special: Those of them that are special: they are no words of an agent's either.
    """

    def __init__(self, tokens: Sequence[str], special: Sequence[str] = ()) -> None:
        self._special = frozenset(special)
        ordered = sorted(set(tokens), key=lambda token: (token[0], -len(token), token))
        self.tokens = tuple(ordered)
        self._patterns = [
            re.compile(re.escape(first) + "(?:" + "|".join(re.escape(token[1:]) for token in group) + ")")
            for first, group in groupby(ordered, key=lambda token: token[0])
        ]

    def find(self, text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Places in text[start:end] where a control token stands, and which."""
        for pattern in self._patterns:
            for match in pattern.finditer(text, start, end):
                yield match.start(), match.group()

    def treat(self, rendered: Rendered, policy: Literal["escape", "keep", "fail"]) -> None:
        """Do with control tokens in foreign text what `rendering.control_tokens` says.

        Raises:
            RecordError: The policy is `fail`, and there is one (`control_token`).
        """
        if policy == "keep" or not self._patterns:
            return
        found = [place for start, end in rendered.foreign for place in self.find(rendered.text, start, end)]
        if self._special:
            own = (place for start, end in rendered.own for place in self.find(rendered.text, start, end))
            found += [place for place in own if place[1] in self._special]
        found.sort()
        if found and policy == "fail":
            raise RecordError(
                f"the control token {found[0][1]!r} stands literally in system, user or tool text, at character "
                f"{found[0][0]}; rendering.control_tokens: escape encodes it as ordinary characters",
                "control_token",
            )
        rendered.cuts = [place + 1 for place, _ in found]
