"""The texts that trajectories hold, and what of a record is found among them: by identity, whole, or as a part.

A long text is found wherever it stands, for it stands nowhere by chance. A short one (`click`, `ls -la src`) may well
be said by somebody else, too, so it is looked for only in the steps that were made of the same message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepcoder_hf.readers.fields import KNOWN_METADATA, MAX_EXTRA, Written, verbatim
from deepcoder_hf.trajectory import Step, Trajectory

LONG = 40
"""A text of so many characters stands nowhere by chance; a shorter one in the metadata is a fact, not a text."""
DESCRIPTIONS = frozenset(
    (
        *("title", "name", "names", "topic", "subject", "domain", "description", "task", "tag", "tags", "source"),
        *("file", "path", "url", "repo", "repository", "dataset", "error", "author", "citation", "notice"),
        *("note", "notes", "comment", "comments"),
    )
)
"""Words of the keys under which the metadata may have a sentence: it says what the record is about."""
WRITTEN = frozenset(
    (
        *("thought", "thoughts", "thinking", "reasoning", "rationale", "reflection", "critique", "plan", "analysis"),
        *("code", "bash", "shell", "command", "cmd", "script", "action", "actions", "call", "calls", "patch", "diff"),
        *("response", "output", "completion", "reply", "message", "observation", "generation", "content", "text"),
        *("prediction", "solution", "explanation", "summary"),
    )
)
"""Words of the keys under which a model's own words stand: those are no facts, however short."""
ABOUT = frozenset(("id", "ids", "type", "kind", "format", "language", "model", "version", "space", "status", "effort"))
"""Last words of keys that are facts although a word of `WRITTEN` stands before: `action_type`, `reasoning_effort`."""
CODES = frozenset(("status_code", "exit_code", "error_code", "return_code", "language_code", "country_code"))
"""Further such keys."""
PART_LISTS = ("content", "parts", "tool_calls", "value", "output")
"""Lists inside a message; other lists hold messages of their own."""
_WORDS = re.compile(r"[A-Za-z][a-z]*|[A-Z]+")
_NUMBER = re.compile(r"[-+]?[\d.,eE%:]+")


def is_small(text: str) -> bool:
    """Whether a string is a value rather than a text: at most 40 characters, or one word of ASCII of any length."""
    return len(text) <= LONG or (text.isascii() and len(text.split(None, 1)) == 1)


def is_fact(key: str, text: str) -> bool:
    """Whether a string of the metadata is a small fact, not a text that belongs into a turn."""
    if _NUMBER.fullmatch(text):
        return True
    words = [word.lower() for word in _WORDS.findall(key)]
    if key not in CODES and not WRITTEN.isdisjoint(words) and words[-1] not in ABOUT and words[-1] not in DESCRIPTIONS:
        return False
    if key in KNOWN_METADATA or not DESCRIPTIONS.isdisjoint(words):
        return len(text) <= MAX_EXTRA
    return "\n" not in text and is_small(text) and len(text) <= MAX_EXTRA


class Taken:
    """The strings that trajectories hold.

    Attributes:
        objects: Identities of strings, and of objects that were written as JSON, which stand in steps, tools and ids.
        noted: Identities of small facts of the metadata.
    """

    def __init__(self, trajectories: Sequence[Trajectory]) -> None:
        self._steps = [_step_texts(step) for trajectory in trajectories for step in trajectory.steps]
        self._tools = [text for trajectory in trajectories for text in trajectory.tools]
        found = [text for texts in (*self._steps, self._tools) for text in texts]
        ids = [name for t in trajectories for name in (t.trajectory_id, t.group_id, t.parent_id) if name]
        facts = [text for t in trajectories for key, text in _keyed(t.metadata, "") if is_fact(key, text)]
        self.objects = {id(text) for text in (*found, *ids)}
        for text in found:
            if type(text) is Written:
                self.objects.update(_written_of(text))
        self.noted = {id(text) for text in facts}
        self._found, self._facts = found, {*ids, *facts}
        self._texts: set[str] | None = None
        self._joined: str | None = None
        self._owners: dict[int, set[int]] | None = None
        self._steps_of: dict[int, set[int]] = {}
        self._is_read: dict[int, bool] = {}

    def leaf_objects(self) -> Mapping[int, set[int]]:
        """The strings by identity, those inside objects that were written as JSON too, with the steps they are in."""
        if self._owners is None:
            self._owners = {key: set() for key in self.objects}
            for number, texts in enumerate((*self._steps, self._tools)):
                for leaf in (leaf for text in texts for leaf in _leaves(text)):
                    self._owners.setdefault(id(leaf), set()).add(number)
        return self._owners

    def is_noted(self, text: str) -> bool:
        """Whether a text is a small fact of the metadata, or an id of a trajectory."""
        return id(text) in self.noted or text in self._facts

    def is_whole(self, text: str) -> bool:
        """Whether a text is a whole text of a step or a tool."""
        if self._texts is None:
            self._texts = set(self._found)
        return text in self._texts

    def holds(self, text: str) -> bool:
        """Whether a text stands inside a text of a step or a tool, as it is or as JSON writes it."""
        if self._joined is None:
            self._joined = "\0".join(self._found)
        stripped = text.strip()
        if stripped in self._joined:
            return True
        return any(json.dumps(stripped, ensure_ascii=ascii)[1:-1] in self._joined for ascii in (False, True))

    def holds_run(self, pieces: Sequence[str], own: int, between: str) -> bool:
        """Whether one of several pieces stands in the trajectories joined with those after it, or before it."""
        start, end = own, own + 1
        while (start > 0 or end < len(pieces)) and len(between.join(pieces[start:end]).strip()) < LONG:
            start, end = (start, end + 1) if end < len(pieces) else (start - 1, end)
        run = between.join(pieces[start:end])
        return self.is_whole(run) or (len(run.strip()) >= LONG and self.holds(run))

    def says_again(self, text: str) -> bool:
        """Whether a text stands in the trajectories, or each of its lines that has letters or digits does."""
        if self.is_whole(text) or self.holds(text):
            return True
        lines = [line for line in text.splitlines() if any(character.isalnum() for character in line)]
        return len(lines) > 1 and all(self.holds(line) for line in lines)

    def holds_short(self, text: str, around: Sequence[Any]) -> bool:
        """Whether a short text is a text, a line, a quoted string or, if it is one word, a word of its own message.

        Args:
            text: The text.
            around: The objects of the record that it stands in, the innermost last. Its message is the innermost from
                which something was read.
        """
        if any(self._is_tool(item) for item in around[1:3]):  # listed twice, read once
            return True
        steps = next((found for item in reversed(around) if (found := self._made_of(item))), set())
        given = text.strip()
        word = re.compile(rf"(?<!\w){re.escape(given)}(?!\w)") if len(given.split(None, 1)) == 1 else None
        quoted = {json.dumps(words, ensure_ascii=ascii) for words in (text, given) for ascii in (False, True)}
        quoted.add(f"'{given}'")
        for place in steps:
            for said in self._steps[place] if place < len(self._steps) else self._tools:
                if (
                    given == said.strip()
                    or any(text in said for text in quoted)
                    or (word is not None and word.search(said))
                ):
                    return True
                if given in said and any(given == line.strip() for line in said.splitlines()):
                    return True
        return False

    def _is_tool(self, item: Any) -> bool:
        """Whether an object is the definition of a tool that was read."""
        if (known := self._is_read.get(id(item))) is None:
            try:
                known = isinstance(item, Mapping) and bool(self._tools) and verbatim(item) in self._tools
            except RecursionError:
                known = False
            self._is_read[id(item)] = known
        return known

    def _made_of(self, item: Any) -> set[int]:
        """The steps that were made of a message: what it holds, without the messages of a list in it."""
        if (known := self._steps_of.get(id(item))) is None:
            owners = self.leaf_objects()
            known = {place for leaf in _inside(item) for place in owners.get(id(leaf), ())}
            self._steps_of[id(item)] = known
        return known


def _inside(item: Any) -> Iterator[str]:
    """The strings of a message."""
    for key, value in item.items() if isinstance(item, Mapping) else ():
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _inside(value)
        elif isinstance(value, list) and key in PART_LISTS:
            for part in value:
                yield from [part] if isinstance(part, str) else _inside(part)


def _step_texts(step: Step) -> list[str]:
    found: list[str | None] = [step.message, step.reasoning_content, step.tool_call_id, step.name, step.finish_reason]
    for call in step.tool_calls:
        found += (call.function_name, call.arguments, call.tool_call_id, call.language)
    for result in step.observations:
        found += (result.content, result.tool_call_id, result.name)
    return [text for text in found if text]


def _written_of(text: Written) -> Iterator[int]:
    """Identities of what a text was written from or joined of."""
    if type(text.source) is not tuple:
        yield id(text.source)
        return
    for piece in text.source:
        yield id(piece)
        if type(piece) is Written:
            yield id(piece.source)


def _leaves(text: str) -> Iterator[str]:
    """A text, and the strings of the objects that it was written from."""
    yield text
    if type(text) is Written:
        for _, leaf in _keyed(text.source, ""):
            yield from [leaf] if leaf is text else _leaves(leaf)


def _keyed(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """The strings of a value with the key that each, or the list around it, stands at."""
    waiting = [(key, value)]  # not by recursion: arguments may be nested as deep as JSON can be read
    while waiting:
        name, item = waiting.pop()
        if isinstance(item, str):
            yield name, item
        elif isinstance(item, Mapping):
            waiting += [(str(inner), part) for inner, part in reversed(list(item.items()))]
        elif isinstance(item, list | tuple):
            waiting += [(name, part) for part in reversed(item)]
