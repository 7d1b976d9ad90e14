"""What tests of readers say again and again: a chat, a record read."""

from __future__ import annotations

from typing import Any

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.trajectory import Observation, Step, Trajectory

PARSER = TrajectoryParser()
LENIENT = TrajectoryParser(ReadersConfig(max_unread_ratio=1.0))
"""Takes records that are read in part only, to see what is named as unread."""
USER = {"role": "user", "content": "q"}
REPLY = {"role": "assistant", "content": "ok"}


def read(record: Any) -> Trajectory:
    return PARSER.parse(record)


def read_all(record: Any) -> list[Trajectory]:
    return PARSER.parse_all(record)


def seen(*texts: str) -> tuple[Observation, ...]:
    return tuple(Observation(text) for text in texts)


def steps(record: Any) -> list[Step]:
    return list(read(record).steps)


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def agent(**fields: Any) -> dict[str, Any]:
    return chat({"role": "assistant", **fields})
