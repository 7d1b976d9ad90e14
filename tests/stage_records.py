"""Records of every outcome, and the rows that the stages make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.stages import process_records

NFD = "e\u0301"
LONG = [{"thought": f"I need file {n}", "action": "read", "observation": "path " * n} for n in range(14)]
RECORDS: list[dict[str, Any]] = [
    {"text": "Thought: look\nAction: read[x]\nObservation: naïve 🙂\nThought: done\nAction: finish[1]"},
    {"text": f"<think>caf{NFD} \ud800</think>\n\nok"},
    {"text": "no markup at all"},
    {"text": "  "},
    {
        "messages": [
            {"role": "user", "content": "hi <think>no</think>"},
            {"role": "assistant", "content": "<think>a</think>b"},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": NFD, "reasoning_content": "\u0301x"},
        ]
    },
    {"messages": []},
    {"messages": [{"role": "user", "content": "hi"}]},
    {"id": "long", "task": "Go.", "steps": LONG, "reward": 0.5},
    {"task": "Go." * 40, "steps": LONG},
    {"task": "Go.", "steps": [{"observation": "nothing of the agent"}]},
    {"content": [{"type": "thinking", "thinking": "漢字"}, {"type": "tool_use", "name": "f", "input": {"a": None}}]},
    {"content": [{"type": "image"}]},
    {"unknown": 1},
]
"""Records of every kind of outcome: kept, cut into windows, dropped, failed while reading and while rendering."""

mixed = st.lists(st.sampled_from(RECORDS), min_size=1, max_size=8)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def raw_table(records: Sequence[dict[str, Any]]) -> pa.Table:
    parser = TrajectoryParser()
    rows = [row for line, record in enumerate(records, 1) for row in raw_rows(record, "in.jsonl", line, parser)]
    return table_of(rows)


def rows_of(record: dict[str, Any], config: Config) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = process_records(raw_table([record]), config=config).to_pylist()
    return rows
