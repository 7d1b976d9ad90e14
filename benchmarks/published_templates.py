"""Every chat template that TRL ships, on conversations of each kind: is the text that of apply_chat_template, and does
each character know where it came from?

    python benchmarks/published_templates.py [--templates DIR] [--list]

A cell counts templates: identical with complete provenance; refused by the template itself (apply_chat_template raises
too); different (which must be none: exit code 1). Provenance is checked without looking at how it was made:
transformers renders the conversation again with the letters of every field exchanged for private-use characters, one
for each field, and the characters of the text that change must be those marked with that field and no others. Besides,
each marked character must be the one of its field or its escape sequence. Fields whose letters decide about the
structure of the text cannot be exchanged; they are counted as read only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from template_conversations import Conversation, cases

from deepcoder_hf.rendering.chat_template import ChatTemplate, TemplateRefused
from deepcoder_hf.rendering.traced import Traced, trace

NOW = datetime(2025, 3, 14, 15, 9)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
TAG = re.compile(r"<[^<>]*>|\[/?[A-Z_]+\]")
PER_CHARACTER = 50_000
"""Fields up to this size mark each character; longer ones have one mark."""
ANYWHERE = frozenset(" .,;!?()-_/'")
"""What is exchanged besides letters and digits, inside a field."""


@dataclass
class Fields:
    """The strings of a conversation that came from its source, numbered."""

    texts: list[str] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)
    """Fields that are keys of arguments: read only, because their order may matter."""

    def number(self, text: str, is_key: bool = False) -> int:
        """Number a text."""
        self.texts.append(text)
        if is_key:
            self.keys.add(len(self.texts) - 1)
        return len(self.texts) - 1


def visit(conversation: Conversation, change: Callable[[str, bool], str]) -> Conversation:
    """A copy with each string that came from the source changed; roles, types and ids stay."""

    def deep(value: Any) -> Any:
        if isinstance(value, str):
            return change(value, False)
        if isinstance(value, dict):
            return {change(key, True): deep(item) for key, item in value.items()}
        return [deep(item) for item in value] if isinstance(value, list) else value

    def one_call(given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "function": {key: deep(value) for key, value in given["function"].items()}}

    messages = []
    for message in conversation["messages"]:
        copy = {key: deep(message[key]) for key in ("content", "reasoning_content") if key in message}
        if message.get("tool_calls"):
            copy["tool_calls"] = [one_call(given) for given in message["tool_calls"]]
        messages.append(message | copy)
    return {"messages": messages, "tools": conversation["tools"]}


def marked(conversation: Conversation) -> tuple[Conversation, Fields]:
    """The conversation traced: the marks are (field, position), or (field, 0) for all of it where it is long."""
    fields = Fields()

    def change(text: str, is_key: bool) -> str:
        number = fields.number(text, is_key)
        if len(text) > PER_CHARACTER:
            return trace(text, (number, 0))
        return Traced(text, tuple((index, index + 1, (number, index)) for index in range(len(text))))

    return visit(conversation, change), fields


@lru_cache(maxsize=256)
def exchangeable(text: str) -> list[bool]:
    """For each character, whether another could stand there without the template taking the text for another thing."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    found = [char.isalnum() or (char in ANYWHERE and start < at < end - 1) for at, char in enumerate(text)]
    for tag in TAG.finditer(text):
        found[tag.start() : tag.end()] = [False] * (tag.end() - tag.start())
    return found


def exchanged(conversation: Conversation, fields: Fields, only: int | None = None) -> Conversation:
    numbers = iter(range(len(fields.texts)))

    def change(text: str, is_key: bool) -> str:
        number = next(numbers)
        if is_key or only not in (None, number):
            return text
        return "".join(
            chr(0xE100 + number) if yes else char for char, yes in zip(text, exchangeable(text), strict=True)
        )

    return visit(conversation, change)


def wrong_marks(template: ChatTemplate, conversation: Conversation, text: Traced, fields: Fields) -> tuple[str, int]:
    """What is wrong about the marks of a rendering, empty if nothing is; and how many fields could only be read."""
    plain = str.__str__(text)
    if wrong := unlike_source(plain, text, fields):
        return wrong, 0
    numbers: list[int | None] = [None]
    if len(template.plain(**exchanged(conversation, fields), now=NOW)) != len(plain):
        numbers = [number for number in range(len(fields.texts)) if number not in fields.keys]
    n_read = 0
    allowed = [exchangeable(source) for source in fields.texts]
    for only in numbers:
        try:
            other = template.plain(**exchanged(conversation, fields, only), now=NOW)
        except TemplateRefused:
            other = ""
        if len(other) != len(plain):
            n_read += 1
            continue
        expected = "".join(expected_parts(text, fields, allowed, only))
        if other != expected:
            at = next(at for at, (one, two) in enumerate(zip(other, expected, strict=False)) if one != two)
            return f"exchanged, {other[at : at + 30]!r} came where {expected[at : at + 30]!r} is marked", n_read
    return "", n_read


def expected_parts(text: Traced, fields: Fields, allowed: list[list[bool]], only: int | None) -> Iterator[str]:
    """The text as it must be once the fields are exchanged, if its marks are right."""
    plain, done = str.__str__(text), 0
    for start, end, mark in text.runs:
        number, index = mark  # type: ignore[misc]
        yield plain[done:start]
        done, shown, source = end, plain[start:end], fields.texts[number]
        if number in fields.keys or only not in (None, number):
            yield shown
        elif len(source) > PER_CHARACTER:
            first = source.find(shown)
            can = allowed[number][first : first + len(shown)]
            yield "".join(chr(0xE100 + number) if yes else char for char, yes in zip(shown, can, strict=True))
        else:
            yield chr(0xE100 + number) if allowed[number][index] else shown
    yield plain[done:]


def unlike_source(plain: str, text: Traced, fields: Fields) -> str:
    """A marked character that is neither the one of its field nor part of its escape."""
    for start, end, mark in text.runs:
        number, index = mark  # type: ignore[misc]
        source = fields.texts[number]
        shown = plain[start:end]
        if len(source) > PER_CHARACTER:
            if shown not in source:
                return f"{shown[:60]!r} is not in its field"
        elif shown not in escapes(source[index]):
            return f"{shown!r} is marked as {source[index]!r} of {source[:60]!r}"
    return ""


def escapes(char: str) -> tuple[str, ...]:
    """What a template may write for a character: as JSON, as Python's repr, quoted, in upper case."""
    return char, json.dumps(char, ensure_ascii=False)[1:-1], repr(char)[1:-1], f"\\{char}", char.upper()


def judge(template: ChatTemplate, conversation: Conversation) -> tuple[str, str, int]:
    """identical, refused or different; why; and how many fields could only be read."""
    traced, fields = marked(conversation)
    try:
        expected: str | None = template.plain(**conversation, now=NOW)
    except TemplateRefused as refusal:
        expected, why = None, str(refusal)
    try:
        text = template.render(**traced, now=NOW)
    except TemplateRefused as refusal:
        return ("refused", why, 0) if expected is None else ("different", f"only render refuses: {refusal}", 0)
    if expected is None:
        return "different", f"only plain refuses: {why}", 0
    if text != expected:
        return "different", "the texts differ", 0
    wrong, n_read = wrong_marks(template, conversation, text, fields)
    return ("different", wrong, n_read) if wrong else ("identical", "", n_read)


def find_templates(given: Path | None) -> list[Path]:
    """The templates of a folder, or of the installed TRL."""
    folder = given
    if folder is None:
        found = importlib.util.find_spec("trl")
        if found is None or found.origin is None:
            sys.exit("TRL is not installed: `make bench` installs it, or name a folder of .jinja files by --templates")
        folder = Path(found.origin).parent / "chat_templates"
    templates = sorted(folder.glob("*.jinja"))
    return templates or sys.exit(f"no .jinja file in {folder}")  # type: ignore[return-value]


def judged(templates: list[Path]) -> Iterator[tuple[str, str, str, str, int]]:
    """(template, case, verdict, why, fields read only) of each."""
    for path in templates:
        template = ChatTemplate(path.read_text(encoding="utf-8"), SPECIAL)
        for name, conversation in cases().items():
            yield path.stem, name, *judge(template, conversation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=Path, help="folder of .jinja files; default: those of the installed TRL")
    parser.add_argument("--list", action="store_true", help="also print each refusal, with the template's words")
    given = parser.parse_args()
    templates = find_templates(given.templates)
    counts: Counter[tuple[str, str]] = Counter()
    n_read: Counter[str] = Counter()
    for stem, case, verdict, why, read in judged(templates):
        counts[case, verdict] += 1
        n_read[case] += read
        if verdict == "different" or (given.list and why):
            print(f"{stem:34} {case:20} {verdict}: {why}", file=sys.stderr)
    print(f"{len(templates)} templates     identical  refused  different  fields read only")
    for case in (*cases(), "all"):
        row = [sum(n for (c, v), n in counts.items() if v == verdict and case in (c, "all")) for verdict in VERDICTS]
        print(f"{case:20} {row[0]:9} {row[1]:8} {row[2]:10} {n_read.total() if case == 'all' else n_read[case]:17}")
    sys.exit(1 if any(verdict == "different" for _, verdict in counts) else 0)


VERDICTS = ("identical", "refused", "different")

if __name__ == "__main__":
    main()
