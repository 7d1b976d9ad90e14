"""What tests of readers say again and again: a chat, a record read."""

from __future__ import annotations

from typing import Any

from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.trajectory import Step, Trajectory

PARSER = TrajectoryParser()
USER = {"role": "user", "content": "q"}
REPLY = {"role": "assistant", "content": "ok"}


def read(record: Any) -> Trajectory:
    return PARSER.parse(record)


def steps(record: Any) -> list[Step]:
    return list(read(record).steps)


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def agent(**fields: Any) -> dict[str, Any]:
    return chat({"role": "assistant", **fields})
