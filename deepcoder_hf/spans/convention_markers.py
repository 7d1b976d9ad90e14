"""Convention markers: the patterns, markers and hits of one convention that a text is seen to follow.

The patterns hold for this text alone. A marker of a turn begins a turn, one of a block that is closed a tag, any other
a label, which the next marker ends; but a shell's prompt ends with its command, a notebook's with its cell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import lru_cache

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.conventions import Convention
from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.library import Key, Marker
from deepcoder_hf.spans.quoted import AGENT
from deepcoder_hf.spans.roles import Role, roles_of
from deepcoder_hf.spans.scan import Hit

SUBTYPES: dict[str, str] = {
    "reasoning": "thought", "action": "call", "observation": "result", "answer": "final_answer",
    "user": "user", "assistant": "header", "system": "system", "other": "unknown",
}  # fmt: skip
OTHERS = frozenset(("user", "assistant", "system", "other"))
"""Roles whose words are OTHER, or of a turn whose parts the machine types."""
SHELL = frozenset(("$", ">", "%", ">>", ">>>", "+", "X$", "X#", "X>", "X%"))
"""Signs of prompts of shells and interpreters."""
COMMENT = "#"
CELL = "in[]"
"""The sign of a notebook's cell, `In [3]:`."""
MOST_LINES = 50
"""Lines with which a command that ends its lines with backslashes goes on."""
LONGEST_DOCUMENT = 20_000
"""Bytes in which the end of a here-document is looked for."""
_GOES_ON = re.compile(
    rb"(?![ \t]{0,3}(?:Out|In) ?\[)(?:[ \t]+\S|\.\.\.|[\])}#@]|[\w.\[\]]{1,60} ?[=(+:-]"
    rb"|(?:for|if|else|elif|with|def|class|import|from|try|except|return|print|while|assert)\b)"
)
"""A line that goes on with code: `    return x`, `x = 3`, `for a in b:`, `)`."""
_HERE = re.compile(rb"<<-?\s*['\"]?(\w+)['\"]?")
"""A here-document: `cat > a.py <<'EOF'`."""


def command_end(blob: bytes, start: int, end: int) -> int:
    """Where a command of a prompt ends: at its line's end, or with its here-document or its continued lines.

    Args:
        blob: Text in UTF-8.
        start: Byte where the command begins.
        end: Byte where the text ends.
    """
    stop = blob.find(b"\n", start, end)
    for _ in range(MOST_LINES):
        if stop <= 0 or blob[stop - 1 : stop] != b"\\":
            break
        stop = blob.find(b"\n", stop + 1, end)
    if stop < 0:
        return end
    document = _HERE.search(blob, start, stop)
    if document is None:
        return stop
    word = document.group(1)
    last = blob.find(b"\n" + word + b"\n", stop, min(end, start + LONGEST_DOCUMENT))
    return stop if last < 0 else last + 1 + len(word)


def cell_end(blob: bytes, start: int, end: int) -> int:
    """Where the code of a notebook's cell ends: at an empty line, a line's end before prose, or the next prompt.

    Args:
        blob: Text in UTF-8.
        start: Byte where the code begins.
        end: Byte where the text ends.
    """
    stop = blob.find(b"\n", start, end)
    while 0 <= stop < end - 1 and _GOES_ON.match(blob, stop + 1):
        stop = blob.find(b"\n", stop + 1, end)
    return end if stop < 0 else stop


@lru_cache(maxsize=1024)
def text_pattern(role: str, kind: str, name: str, confidence: float, closes: bool) -> PatternConfig:
    """A pattern of one text.

    Args:
        role: Role of what stands under its marker.
        kind: tag, label or turn.
        name: Name of the pattern.
        confidence: In [0, 1].
        closes: Whether a marker of its own ends it.
    """
    turn_role = "tool" if role == "observation" else role
    return PatternConfig.model_construct(
        name=name, span_type="other" if role in OTHERS else role, kind=kind, open="", subtype=SUBTYPES[role],
        close="x" if closes else None, role=turn_role if kind == "turn" else None, confidence=confidence,
        styles=(), example="", counter_example="",
    )  # fmt: skip


@lru_cache(maxsize=64)
def _turn_end(name: str) -> PatternConfig:
    return PatternConfig.model_construct(
        name=name, span_type="other", kind="turn", open="", subtype=None, close=None, role=None, confidence=0.9,
        styles=(), example="", counter_example="",
    )  # fmt: skip


class ConventionMarkers:
    """Patterns, markers and hits of one convention.

    Args:
        convention: The convention.
        known: Roles of sure markers, by the byte where they begin.
        first_pattern: Index of its first pattern.
        first_marker: Number of its first marker.
        rules: Names of the rules that are switched on.
    """

    def __init__(
        self, convention: Convention, known: dict[int, Role], first_pattern: int, first_marker: int, rules: Set[str]
    ) -> None:
        self.convention, self.known, self.rules = convention, known, rules
        self.first_pattern, self.first_marker = first_pattern, first_marker
        self.patterns: list[PatternConfig] = []
        self.markers: list[Marker] = []
        roles = {role for role, _ in convention.roles.values()}
        self.turns = "assistant" in roles
        lines = any(form.kind in ("label", "prompt") for form in convention.roles)
        self.labels_too = lines and bool(roles & {"reasoning", "action"})
        """Whether thoughts or calls are labelled in the same way, so that no header encloses a turn."""
        self._opens: dict[tuple[Form, str], tuple[int, int]] = {}
        self._ends: dict[str, int] = {}

    def hits(self, blob: bytes, end: int, marks: Sequence[Mark]) -> list[Hit]:
        """The markers of the convention.

        Args:
            blob: Text in UTF-8.
            end: Byte where the text ends.
            marks: Its forms of the convention's family, by place.
        """
        closed = {mark.form for mark in marks if mark.closes}
        thoughts = self._comments_before_commands(blob, end, marks)
        found: list[Hit] = []
        for index, mark in enumerate(marks):
            if _is_comment(mark) and index not in thoughts:
                continue
            if mark.form in self.convention.roles:
                role, confidence = self.convention.roles[mark.form]
                found += self._of_mark(blob, end, mark, role, confidence, mark.form in closed)
            elif mark.closes and mark.form.kind == "token" and self.turns and not roles_of(mark.form.name):
                found.append((mark.start, mark.end, self._end(f"inferred_end:{mark.form.name}")))
        return found

    def _comments_before_commands(self, blob: bytes, end: int, marks: Sequence[Mark]) -> set[int]:
        """Indexes of the comments between which and a prompt with a command nothing but comments stands."""
        leading: set[int] = set()
        if "shell_comments" not in self.rules:
            return leading
        for index in range(len(marks) - 2, -1, -1):
            if not _is_comment(marks[index]):
                continue
            following = marks[index + 1]
            if blob[command_end(blob, marks[index].end, end) : following.start].strip():
                continue
            role, _ = self.convention.roles.get(following.form, ("other", 0.0))
            if index + 1 in leading if following.form.name == COMMENT else role == "action":
                leading.add(index)
        return leading

    def _is_turn(self, role: str, closed: bool) -> bool:
        """Whether forms of a role are headers of turns, and not labels or tags."""
        if not self.turns or self.labels_too:
            return self.turns and role == "assistant"
        return role in ("user", "assistant", "system") or (role == "observation" and not closed)

    def _of_mark(self, blob: bytes, end: int, mark: Mark, role: str, confidence: float, closed: bool) -> list[Hit]:
        """The hits of one mark: its own, and of a prompt the end of what it begins."""
        form = mark.form
        turn = self._is_turn(role, closed)
        if mark.closes:
            if turn:
                return [(mark.start, mark.end, self._end(f"inferred_end:{form.name}"))]
            numbers = self._opens.get((form, f"tag {role}"))
            return [(mark.start, mark.end, numbers[1])] if numbers else []
        if turn and not (closed and role != "assistant"):
            return [(mark.start, mark.end, self._open(form, role, "turn", confidence, False)[0])]
        if closed:
            return [(mark.start, mark.end, self._open(form, role, "tag", confidence, True)[0])]
        if role in ("action", "reasoning") and (stop := self._prompt_end(blob, end, mark)) is not None:
            named = self.known.get(mark.start, role) if "thoughts_behind_prompts" in self.rules else role
            opened, closer = self._open(form, named if named in AGENT else role, "tag", confidence, True)
            return [(mark.start, mark.end, opened), *([(stop, stop + 1, closer)] if stop < end else [])]
        return [(mark.start, mark.end, self._open(form, role, "label", confidence, False)[0])]

    def _prompt_end(self, blob: bytes, end: int, mark: Mark) -> int | None:
        """Where ends what a prompt begins; None where the mark is no prompt of a shell or a notebook."""
        if mark.form.kind != "prompt":
            return None
        if mark.form.name == CELL:
            return cell_end(blob, mark.end, end) if "notebook_cells" in self.rules else None
        if mark.form.name in SHELL or mark.form.name == COMMENT:
            return command_end(blob, mark.end, end) if "shell_prompts" in self.rules else None
        return None

    def _open(self, form: Form, role: str, kind: str, confidence: float, closes: bool) -> tuple[int, int]:
        """Numbers of the opening and the closing marker of a form."""
        key = (form, f"{kind} {role}")
        if key not in self._opens:
            pattern = text_pattern(role, kind, f"inferred:{form.family}:{form.name}", confidence, closes)
            index = self.first_pattern + len(self.patterns)
            self.patterns.append(pattern)
            keys: list[Key] = [("open", index)]
            keys += ["any_turn", "turn"] if kind == "turn" else [pattern.span_type]
            number = self._marker(Marker((index,), (), "", tuple(keys)))
            closer = self._marker(Marker((), (index,), "", (("close", index),))) if closes else -1
            self._opens[key] = (number, closer)
        return self._opens[key]

    def _end(self, name: str) -> int:
        """Number of the marker that ends turns."""
        if name not in self._ends:
            index = self.first_pattern + len(self.patterns)
            self.patterns.append(_turn_end(name))
            self._ends[name] = self._marker(Marker((index,), (), "", (("open", index), "any_turn", "turn", "turn_end")))
        return self._ends[name]

    def _marker(self, marker: Marker) -> int:
        self.markers.append(marker)
        return self.first_marker + len(self.markers) - 1


def _is_comment(mark: Mark) -> bool:
    return mark.form.name == COMMENT and mark.form.kind == "prompt"
