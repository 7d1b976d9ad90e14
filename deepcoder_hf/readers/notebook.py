"""Jupyter notebook: `cells` and `nbformat`, with the log of an agent in the outputs of a cell.

Outputs are flattened text, read as it was printed. A cell that ran many episodes is cut at the lines that part them;
each episode is a trajectory. Colours of a terminal are taken out only where they hide a label that begins a line, which
`terminal_escapes_removed` in the metadata tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

_ESCAPE = r"(?:\x1b\[[0-9;]*m)*"  # colours: "\x1b[32;1mThought: I should search"
THOUGHT = re.compile(rf"^[ \t]*{_ESCAPE}(?:Thought|Reasoning|<think>|Thinking)\b", re.MULTILINE)
ACTION = re.compile(rf"^[ \t]*{_ESCAPE}(?:Action|Observation|Final Answer|Code|<tool_call>|Tool)\b", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HIDDEN = re.compile(
    r"^[ \t]*(?:\x1b\[[0-9;]*m)+(?:Thought|Reasoning|Action|Observation|Final Answer|Tool|Code)\b", re.MULTILINE
)
BORDER = re.compile(
    rf"^[ \t]*{_ESCAPE}[-=*#]{{5,}}{_ESCAPE}[ \t]*(?:\r?\n|\Z)"  # "-----------" after an episode
    rf"|^[ \t]*{_ESCAPE}> Finished chain\.{_ESCAPE}[ \t]*(?:\r?\n|\Z)",  # LangChain
    re.MULTILINE,
)
IGNORED = {
    "cells[].source": "the code and the prose of the notebook",
    "cells[].outputs[].data": "what a cell shows beside its text",
    "cells[].outputs[].metadata": "structure, not text",
    "cells[].outputs[].output_type": "structure, not text",
    "cells[].outputs[].name": "structure, not text",
    "cells[].outputs[].traceback": "an error of the notebook's own code",
    "cells[].outputs[].evalue": "an error of the notebook's own code",
    "cells[].outputs[].ename": "an error of the notebook's own code",
    "cells[].cell_type": "structure, not text",
    "cells[].metadata": "structure, not text",
    "cells[].attachments": "images of the prose",
    "metadata.*": "kernel and language of the notebook",
}


def matches(record: Record) -> bool:
    """A list of cells and the number of the notebook format."""
    return isinstance(record.get("cells"), list) and "nbformat" in record


def read(record: Record) -> list[Trajectory]:
    """Read one record.

    Raises:
        RecordError: No output holds thoughts and actions of an agent (`no_assistant_turn`).
    """
    found: list[Trajectory] = []
    cells = turns.objects_of(record["cells"])
    for number, cell in enumerate(cells):
        for output in _outputs(cell):
            found += [_trajectory(record, _piece(text, output), number) for text in _episodes(output)]
    if not found:
        raise RecordError(
            f"expected outputs with an agent's thoughts and actions, got {len(cells)} cells without; "
            "run the notebook and save it with its outputs",
            "no_assistant_turn",
        )
    return found


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Outputs of cells in which no agent speaks, and lines that are read without their colours."""
    found: list[tuple[Any, str]] = []
    for cell in turns.objects_of(record["cells"]):
        texts = list(_outputs(cell))
        if not texts:
            found.append((cell.get("outputs"), "output without an agent's text"))
        elif any(HIDDEN.search(text) for text in texts):
            lines = [output.get("text") for output in turns.objects_of(cell.get("outputs"))]
            listed = [line for given in lines for line in (given if isinstance(given, list) else [given])]
            coloured = [line for line in listed if isinstance(line, str) and COLOUR.search(line)]
            found.append((coloured, "a line that is read without the colours of the terminal"))
    return found


def _trajectory(record: Record, text: str, cell: int) -> Trajectory:
    facts: dict[str, Any] = {"cell": cell}
    if HIDDEN.search(text):
        plain, facts["terminal_escapes_removed"] = COLOUR.subn("", text)
        text = _piece(plain, text)
    return Trajectory(
        steps=(Step("text", text),),
        source_format="notebook",
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=facts,
    )


def _outputs(cell: Mapping[str, Any]) -> Iterator[str]:
    """The texts that a cell printed; a stream that was saved in several outputs is one text."""
    texts: list[str] = []
    before: Any = None
    for output in turns.objects_of(cell.get("outputs")):
        data = turns.object_of(output.get("data"))
        stream = output.get("name") if output.get("output_type") == "stream" else None
        text = _text(output.get("text") if output.get("text") is not None else data.get("text/plain"))
        if not text:
            continue
        if texts and stream is not None and stream == before:
            texts[-1] = fields.joined((texts[-1], text))
        else:
            texts.append(text)
        before = stream
    return (text for text in texts if _is_agents(text))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return fields.joined(line for line in value if isinstance(line, str)) if isinstance(value, list) else ""


def _piece(text: str, output: str) -> str:
    """A piece of an output, which knows the lines that it was joined of."""
    return fields.Written(text, output.source) if isinstance(output, fields.Written) else text


def _is_agents(text: str) -> bool:
    return THOUGHT.search(text) is not None and ACTION.search(text) is not None


def _episodes(text: str) -> list[str]:
    """The pieces of an output between lines that part episodes; a piece without an agent's text joins its neighbour."""
    ends = [match.end() for match in BORDER.finditer(text)]
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]
    episodes: list[str] = []
    for piece in pieces:
        if episodes and not (_is_agents(piece) and _is_agents(episodes[-1])):
            episodes[-1] += piece
        else:
            episodes.append(piece)
    return episodes
