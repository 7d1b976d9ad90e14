"""Conversations read from YAML, and the text that a style writes from one, with a gold span for each payload."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
LABELS: dict[str, tuple[str, str | None]] = {
    "system": ("other", "system"),
    "user": ("other", "user"),
    "answer": ("other", "message"),
    "reasoning": ("reasoning", None),
    "preamble": ("reasoning", "preamble"),
    "action": ("action", "tool_call"),
    "observation": ("observation", None),
}
"""Kind of a turn -> type and subtype of its gold span."""
FINISH = ("finish", "完成", "terminar", "ende", "終了")
"""Names of the action that ends an episode; styles of chats write its argument as the answer."""


@dataclass(frozen=True)
class Turn:
    """One thing that was said, done or seen; an action has a name and arguments, the others have a text."""

    kind: str
    text: str = ""
    name: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True)
class Conversation:
    """Turns in order, with the language that they are written in and what kind of work they show."""

    id: str
    lang: str
    kind: str
    turns: tuple[Turn, ...]


Style = Callable[["GoldText", list[Turn]], None]
Form = Callable[[Turn], str]


class GoldText:
    """A text that grows by concatenation and records where each payload lies in it."""

    def __init__(self) -> None:
        self.text = ""
        self.spans: list[dict[str, Any]] = []

    def raw(self, text: str) -> None:
        """Write markup that belongs to no span."""
        self.text += text

    def add(
        self, turn: Turn, before: str = "", after: str = "", shown: str | None = None, subtype: str | None = None
    ) -> None:
        """Write a turn between its markers; an empty payload leaves the markers and no span."""
        payload = (turn.text if shown is None else shown).strip()
        span_type, usual = LABELS[turn.kind]
        outer_start = len(self.text)
        start = outer_start + len(before)
        self.text += before + payload + after
        if payload:
            self.spans.append(
                {
                    "type": span_type,
                    "start": start,
                    "end": start + len(payload),
                    "outer_start": outer_start,
                    "outer_end": len(self.text),
                    "subtype": subtype or usual,
                }
            )


def read_conversations(folder: Path = FOLDER / "conversations") -> list[Conversation]:
    """Every conversation of the folder, in the order of the files and within them."""
    conversations = []
    for path in sorted(folder.glob("*.yaml")):
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            turns = numbered([turn_of(entry) for entry in item["turns"]])
            conversations.append(Conversation(item["id"], path.stem, item["kind"], tuple(turns)))
    return conversations


def turn_of(entry: dict[str, Any]) -> Turn:
    """The turn that one YAML item, a mapping of one key, describes."""
    ((kind, value),) = entry.items()
    if kind == "action":
        return Turn(kind, name=value["name"], args=value["args"])
    return Turn(kind, text=value.strip())


def numbered(turns: Iterable[Turn]) -> list[Turn]:
    """Number the actions, and give each observation the number and name of the action that it answers."""
    result: list[Turn] = []
    waiting: list[Turn] = []
    count = 0
    for turn in turns:
        if turn.kind == "action":
            count += 1
            turn = replace(turn, number=count)
            waiting.append(turn)
        elif turn.kind == "observation":
            action = waiting.pop(0)
            turn = replace(turn, number=action.number, name=action.name)
        result.append(turn)
    return result


def as_chat(turns: Iterable[Turn]) -> list[Turn]:
    """The turns with the finishing action as an answer, and without what the environment says after it."""
    result: list[Turn] = []
    for turn in turns:
        if turn.kind == "action" and turn.name in FINISH:
            result.append(Turn("answer", text=str(next(iter(turn.args.values())))))
        elif not (turn.kind == "observation" and turn.name in FINISH):
            result.append(turn)
    return result


def without_loose_reasoning(turns: list[Turn]) -> list[Turn]:
    """The turns without reasoning that no action follows: where it has no marker, it would look like an answer."""
    return [
        turn
        for turn, after in zip(turns, [*turns[1:], None], strict=True)
        if turn.kind not in ("reasoning", "preamble") or (after is not None and after.kind == "action")
    ]


def rounds(turns: Iterable[Turn]) -> list[list[Turn]]:
    """Turns grouped by who speaks: what the assistant says and does in one go is one list, each other turn its own."""
    result: list[list[Turn]] = []
    for turn in turns:
        spoken = turn.kind not in ("system", "user", "observation")
        if spoken and result and result[-1][0].kind not in ("system", "user", "observation"):
            result[-1].append(turn)
        else:
            result.append([turn])
    return result


def by_marks(text: GoldText, turns: Iterable[Turn], marks: Mapping[str, tuple[str, str]], form: Form) -> None:
    """Write each turn between the two marks of its kind; a kind without marks is left out."""
    for turn in turns:
        mark = marks.get(turn.kind, marks.get("reasoning") if turn.kind == "preamble" else None)
        if mark is not None:
            text.add(turn, *mark, shown=form(turn) if turn.kind == "action" else None)


def as_json(turn: Turn, arguments: str = "arguments") -> str:
    """{"name": "search", "arguments": {"query": "x"}}"""
    return json.dumps({"name": turn.name, arguments: turn.args}, ensure_ascii=False)


def arguments_json(turn: Turn) -> str:
    """{"query": "x"}"""
    return json.dumps(turn.args, ensure_ascii=False)


def as_call(turn: Turn) -> str:
    """search(query='x')"""
    return f"{turn.name}({', '.join(f'{key}={value!r}' for key, value in turn.args.items())})"


def as_brackets(turn: Turn) -> str:
    """search[x]"""
    return f"{turn.name}[{', '.join(plain(value) for value in turn.args.values())}]"


def as_words(turn: Turn) -> str:
    """take tomato 1 from countertop 1"""
    words = [plain(value) for value in turn.args.values()]
    joins = {"go": "to", "take": "from", "put": "in/on", "cool": "with"}
    if turn.name == "go":
        return f"go to {words[0]}"
    if turn.name in joins:
        return f"{turn.name} {words[0]} {joins[turn.name]} {words[1]}"
    return as_brackets(turn)


def as_code(turn: Turn) -> tuple[str, str]:
    """Language and source of an action as code: the code or command itself, or a call."""
    if turn.name == "bash":
        return "bash", turn.args["command"]
    if turn.name == "python":
        return "python", turn.args["code"]
    return "python", as_call(turn)


def as_shell(turn: Turn) -> str:
    """An action as it would be typed into a shell."""
    language, source = as_code(turn)
    return source if language == "bash" else f"python3 - <<'PY'\n{source}\nPY"


def plain(value: Any) -> str:
    """A string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
