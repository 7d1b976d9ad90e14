"""Real trajectories as flat text, with the spans that their structure gives, in the shape of labelled texts.

What a source keeps apart (turns, calls, results) says what each stretch is; where it writes tags or labels into a turn,
those do. Stretches that the structure leaves open, such as the glue between two turns, are in no span.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Piece = tuple[str, int, int]
"""Span type, and where its payload begins and ends in a turn."""
Turn = tuple[str, str, list[Piece]]
"""Who speaks (system, user, assistant, tool), the text as the source has it, and what is in it."""

BARE, CHATML, LABELS = "bare", "chatml", "labels"
"""How turns are joined: by blank lines, with ChatML's control tokens, after `User:` and `Assistant:`."""
MOST_TEXTS = 60
"""Texts that are taken of one file, evenly: some hold hundreds of one kind."""


def whole(kind: str, text: str, begin: int = 0) -> list[Piece]:
    return [(kind, begin, len(text))]


def tagged(text: str, rules: list[tuple[str, str]]) -> list[Piece]:
    """Pieces that expressions mark; the group `payload`, or the whole match, is what they hold."""
    found: list[Piece] = []
    for kind, expression in rules:
        for match in re.finditer(expression, text, re.DOTALL | re.MULTILINE):
            found.append((kind, *match.span("payload" if "payload" in match.re.groupindex else 0)))
    return sorted(found, key=lambda piece: piece[1])


# --- one reader a source ---------------------------------------------------------------------------------------------

REACT = [
    ("reasoning", r"^Thought(?: \d+)?:(?P<payload>.*?)(?=^(?:Thought|Action|Observation|Answer)(?: \d+)?:|\Z)"),
    ("action", r"^Action(?: \d+)?:(?P<payload>.*?)(?=^(?:Thought|Action|Observation)(?: \d+)?:|\Z)"),
    ("observation", r"^Observation(?: \d+)?:(?P<payload>.*?)(?=^(?:Thought|Action|Observation)(?: \d+)?:|\Z)"),
]


def fireact(path: Path) -> Iterator[list[Turn]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        for record in json.loads(text):
            task, output = record["instruction"], record["output"]
            if "Action:" in output:
                yield [("user", task, whole("other", task)), ("assistant", output, tagged(output, REACT))]
        return
    for line in text.splitlines():
        messages = json.loads(line)["messages"]
        if any("Action:" in message["content"] for message in messages):
            yield [_fireact_turn(message["role"], message["content"]) for message in messages]


def _fireact_turn(role: str, text: str) -> Turn:
    if text.startswith("Observation:"):
        return "user", text, whole("observation", text, len("Observation:"))
    return role, text, tagged(text, REACT) if role == "assistant" else whole("other", text)


WEBDANCER = [
    ("reasoning", r"<think>(?P<payload>.*?)</think>"),
    ("action", r"<tool_call>(?P<payload>.*?)</tool_call>"),
    ("other", r"<answer>(?P<payload>.*?)</answer>"),
]


def webdancer(path: Path) -> Iterator[list[Turn]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        turns: list[Turn] = []
        for message in json.loads(line)["messages"]:
            role, text = message["role"], message["content"]
            if role == "assistant":
                pieces = tagged(text, WEBDANCER)
            else:
                result = tagged(text, [("observation", r"\A<tool_response>(?P<payload>.*)</tool_response>\s*\Z")])
                pieces = result or whole("other", text)
            turns.append((role, text, pieces))
        yield turns


CALL = r"<function=.*?</function>"
RESULT = re.compile(r"EXECUTION RESULT of \[[^\]]*\]:|OBSERVATION:")


def adp(path: Path) -> Iterator[list[Turn]]:
    """The two flat forms of the Agent Data Protocol: thoughts before a call, or in think tags before it."""
    for record in json.loads(path.read_text(encoding="utf-8")):
        turns: list[Turn] = []
        called = False
        for message in record["conversations"]:
            text = message["value"]
            if message["from"] in ("gpt", "function_call"):
                pieces = _adp_pieces(text)
                called = any(kind == "action" for kind, _, _ in pieces)
                turns.append(("assistant", text, pieces))
            elif called:
                label = RESULT.match(text)
                turns.append(("user", text, whole("observation", text, label.end() if label else 0)))
            else:  # a page that is shown with the task is nobody's words: it is left open
                turns.append(("user", text, [("other", 0, f"{text}\n[Current URL".index("\n[Current URL"))]))
        if any(kind == "action" for _, _, pieces in turns for kind, _, _ in pieces):
            yield turns


def _adp_pieces(text: str) -> list[Piece]:
    calls = tagged(text, [("action", CALL)])
    thoughts = tagged(text, [("reasoning", r"\A<think>(?P<payload>.*?)</think>")])
    if not calls:
        return thoughts or whole("other", text)
    return [*(thoughts or [("reasoning", 0, calls[0][1])]), *calls]


def agentlab(path: Path) -> Iterator[list[Turn]]:
    """A page and one JSON object that holds the call; its thought is an artefact of the conversion, so it is open."""
    for record in json.loads(path.read_text(encoding="utf-8")):
        turns: list[Turn] = []
        for message in record["conversations"]:
            role, text = message["role"], message["content"]
            value = r'"action": "(?P<payload>.*)"\}\s*\Z'
            turns.append(
                (role, text, tagged(text, [("action", value)]) if role == "assistant" else whole("other", text))
            )
        yield turns


def notebook(path: Path) -> Iterator[list[Turn]]:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        printed = "".join("".join(output.get("text", ())) for output in cell.get("outputs", ()))
        for episode in re.findall(r"^\d+ Claim: .*?Episode finished, reward = \d", printed, re.DOTALL | re.MULTILINE):
            task = episode.index("\n") + 1
            yield [("text", episode, [("other", 0, task), *tagged(episode, REACT)])]


MINT = [
    ("reasoning", r"<thought>(?P<payload>.*?)</thought>"),
    ("action", r"<execute>(?P<payload>.*?)</execute>"),
    ("other", r"<solution>(?P<payload>.*?)</solution>"),
    ("observation", r"^Observation:\n(?P<payload>.*?)(?=\n+Assistant:|\n+Expert feedback:|\Z)"),
    ("other", r"^Expert feedback:\n(?P<payload>.*?)(?=\n+Assistant:|\Z)"),
    ("other", r"\ATask:\n(?P<payload>.*?)(?=\n+Assistant:)"),
]


def mint(path: Path) -> Iterator[list[Turn]]:
    text = path.read_text(encoding="utf-8").rstrip()
    yield [("text", text, tagged(text, MINT))]


MESSAGE = re.compile(r"<\|start\|>(?P<header>.*?)<\|message\|>(?P<payload>.*?)<\|(?:end|call|return)\|>", re.DOTALL)


def harmony(path: Path) -> Iterator[list[Turn]]:
    text = path.read_text(encoding="utf-8")
    pieces = [(_harmony_type(m["header"]), *m.span("payload")) for m in MESSAGE.finditer(text)]
    yield [("text", text, pieces)]


def _harmony_type(header: str) -> str:
    if header.startswith("assistant"):
        return "action" if "to=" in header else "reasoning" if "analysis" in header else "other"
    return "observation" if header.startswith(("functions", "python", "browser")) else "other"


SOURCES: dict[str, tuple[Callable[[Path], Iterator[list[Turn]]], tuple[str, ...]]] = {
    "fireact": (fireact, (BARE, CHATML, LABELS)),
    "webdancer": (webdancer, (BARE, CHATML, LABELS)),
    "adp-sft-openhands": (adp, (BARE, CHATML, LABELS)),
    "adp-sft-sweagent": (adp, (BARE, CHATML, LABELS)),
    "adp-sft-agentlab": (agentlab, (BARE, CHATML, LABELS)),
    "react-notebooks": (notebook, (BARE,)),
    "mint-codeact": (mint, (BARE,)),
    "harmony": (harmony, (BARE,)),
}
"""How each source is read, and how its turns are joined; three are flat text already."""

# --- joining turns ---------------------------------------------------------------------------------------------------


def headers(layout: str, role: str) -> tuple[str, str]:
    """What stands before and after a turn."""
    if layout == CHATML:
        return f"<|im_start|>{role}\n", "<|im_end|>\n"
    if layout == LABELS:
        return f"{role.capitalize()}: ", "\n\n"
    return "", "\n\n"


def record(turns: list[Turn], layout: str, **fields: str) -> dict[str, Any]:
    """A labelled text: turns in a row; payload without the white space at its edges."""
    text = ""
    spans: list[dict[str, Any]] = []
    for role, content, pieces in turns:
        before, after = headers(layout, role) if role != "text" else ("", "")
        text += before
        for kind, begin, stop in pieces:
            payload = content[begin:stop]
            start = len(text) + begin + len(payload) - len(payload.lstrip())
            end = start + len(payload.strip())
            if end > start and (not spans or spans[-1]["end"] <= start):
                spans.append({"type": kind, "start": start, "end": end})
        text += content + after
    return {**fields, "text": text, "spans": spans}


def texts(folder: Path, source: str, layout: str) -> list[dict[str, Any]]:
    """The labelled texts of a source in one layout."""
    read, _ = SOURCES[source]
    records: list[dict[str, Any]] = []
    for path in sorted((folder / source).iterdir()):
        trajectories = list(read(path))
        step = max(1, len(trajectories) // MOST_TEXTS)
        for number, turns in enumerate(trajectories[::step]):
            name = f"{source}/{path.stem}/{number * step}#{layout}"
            records.append(record(turns, layout, id=name, source=source, style=layout, rendering="real"))
    return records
