"""One text that holds a whole trajectory or the agent's part of it, beside a task and a system field."""

from __future__ import annotations

import re

from deepcoder_hf.readers import fields
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step

TURN = re.compile(
    r"<\|im_start\|>"  # ChatML: <|im_start|>user
    r"|<\|start_header_id\|>"  # Llama 3: <|start_header_id|>user<|end_header_id|>
    r"|\[INST\]"  # Llama 2, Mistral: [INST] Sort it. [/INST]
    r"|<start_of_turn>"  # Gemma: <start_of_turn>user
    r"|<\|user\|>"  # GLM, Phi, Zephyr
    r"|<｜User｜>"  # DeepSeek
    r"|<\|start\|>"  # gpt-oss: <|start|>user<|message|>
    r"|^[ \t]*(?:User|USER|Human|HUMAN|Question|Task|System)[ \t]*:",  # labels: "Human: sort it"
    re.MULTILINE,
)
"""What begins a turn of somebody other than the agent."""


def steps_of(record: Record, text: str, used: list[str]) -> list[Step]:
    """Steps of a record whose trajectory is one text.

    A system field or a task that the text does not contain becomes a step before it. The text is the agent's own if
    such a step stands before it and it has no turns, task or system prompt of its own; else it is a whole trajectory
    (source `text`), since what its users say must not be trained.

    Args:
        record: The raw record.
        text: The text.
        used: Fields that are in the trajectory; those read here are added.
    """
    steps: list[Step] = []
    system = fields.first_text(record, fields.SYSTEM_FIELDS, used)
    task = fields.first_text(record, fields.TASK_FIELDS, used)
    if system is not None and system not in text:
        steps.append(Step("system", system))
    if task is not None and task not in text:
        names = ("input", "context") if "instruction" in used else ("context",)  # Alpaca, Dolly
        beside = [fields.first_text(record, (name,), used) for name in names]
        given = [part for part in beside if part is not None and part not in text]
        steps.append(Step("user", fields.joined((task, *given), "\n\n")))
    n_given = (system is not None) + (task is not None)
    held = [given for given in (system, task) if given is not None and given in text]
    own = bool(steps) and len(steps) == n_given and TURN.search(text) is None
    return [*steps, Step("agent" if own else "text", fields.Written(text, (text, *held)) if held else text)]
