"""The second reader's formats that are text with labels and tags: FireAct, ReAct notebooks, WebDancer, MINT."""

from __future__ import annotations

import re
from typing import Any

from stretches import Trajectory, stretch

LABEL = re.compile(r"^(Thought|Action|Observation)(?: \d+)?:", re.MULTILINE)
KINDS = {"Thought": "reasoning", "Action": "action", "Observation": "observation"}
TURN = re.compile(r"^(Task|Assistant|Observation|Expert feedback):\n", re.MULTILINE)
TAG = re.compile(r"<(thought|execute|solution|think|tool_call|answer)>(.*?)</\1>", re.DOTALL)
TAGS = {"thought": "reasoning", "think": "reasoning", "execute": "action", "tool_call": "action"}


def labelled(text: str, role: str) -> Trajectory:
    """A text with labels at the start of lines; only an agent's labels say what the agent did."""
    marks = list(LABEL.finditer(text))
    if role != "assistant" or not marks:
        mark = LABEL.match(text)
        kind = "observation" if mark and mark[1] == "Observation" else "user"
        return stretch("said" if role == "assistant" else kind, text[mark.end() :] if mark else text)
    found = stretch("said", text[: marks[0].start()])
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        found += stretch(KINDS[mark[1]], text[mark.end() : after.start() if after else len(text)])
    return found


def tagged(text: str) -> Trajectory:
    """An agent's text with tags."""
    found: Trajectory = []
    end = 0
    for tag in TAG.finditer(text):
        found += stretch("said", text[end : tag.start()]) + stretch(TAGS.get(tag[1], "said"), tag[2])
        end = tag.end()
    return found + stretch("said", text[end:])


def notebook(record: dict[str, Any]) -> list[Trajectory]:
    """What the cells of a notebook printed: an episode up to each line of dashes, its first line the question."""
    found = []
    for cell in record["cells"]:
        printed = "".join("".join(output.get("text", [])) for output in cell.get("outputs", []))
        if not LABEL.search(printed):
            continue
        for episode in re.split(r"(?<=^-----------\n)", printed, flags=re.MULTILINE):
            first = LABEL.search(episode)
            if first:
                found.append(
                    stretch("user", episode[: first.start()]) + labelled(episode[first.start() :], "assistant")
                )
    return found


def webdancer(record: dict[str, Any]) -> list[Trajectory]:
    """WebDancer: an agent of tags; the user's turns carry what the tools gave."""
    found: Trajectory = []
    for message in record["messages"]:
        role, text = message["role"], message["content"]
        if role == "assistant":
            found += tagged(text)
        else:
            found += stretch("observation" if text.lstrip().startswith("<tool_response>") else role, text)
    return [found]


def mint(text: str) -> list[Trajectory]:
    """A whole session of MINT as text."""
    found: Trajectory = []
    marks = list(TURN.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        turn = text[mark.end() : after.start() if after else len(text)]
        kind = "observation" if mark[1] == "Observation" else "user"
        found += tagged(turn) if mark[1] == "Assistant" else stretch(kind, turn)
    return [found]
