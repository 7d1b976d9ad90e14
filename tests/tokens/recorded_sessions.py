"""Sessions with recorded token ids, and the proven rows that the stages make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from datasets import Dataset
from datasets.table import InMemoryTable

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.features import sad_schema
from deepcoder_hf.dataset.ledger import EVENTS, FIELDS
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.dataset.validate import validate_rows
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.stages import align_tokens, detect_spans, process_records
from deepcoder_hf.tokens.tokenizer import cached_tokenizer

QWEN = "Qwen/Qwen3-30B-A3B"
Turn = tuple[str, str]
"""What the model was given since its last turn, and what it gave."""
ASKED = (
    "<|im_start|>system\nYou repair Python packages.<|im_end|>\n<|im_start|>user\nMake the date tests pass.<|im_end|>\n"
)
OPEN, STOP = "<|im_start|>assistant\n", "<|im_end|>"
CALL = '<tool_call>\n{"name": "read_file", "arguments": {"path": "dates.py"}}\n</tool_call>'
LOOK = f"<think>\nThe failure names parse().\n</think>\n\n{CALL}"
RESULT = "\n<|im_start|>user\n<tool_response>\ndef parse(text): ...\n</tool_response><|im_end|>\n"
DONE = "<think>\nIt drops the zone.\n</think>\n\nparse() keeps the zone now."
STEPS: list[dict[str, Any]] = [
    {
        "source": "agent",
        "reasoning_content": "The failure names parse().",
        "tool_calls": [{"tool_call_id": "a", "function_name": "read_file", "arguments": {"path": "dates.py"}}],
        "observation": {"results": [{"source_call_id": "a", "content": "def parse(text): ..."}]},
    },
    {"source": "agent", "reasoning_content": "It drops the zone.", "message": "parse() keeps the zone now."},
]
EXACT: list[Turn] = [(ASKED + OPEN, LOOK + STOP), (RESULT + OPEN, DONE + STOP)]
"""The same words, as the project's ChatML template renders them."""


def settings_of(model: str = QWEN, **tokens: Any) -> Config:
    given = {"model_name": model, "source": "recorded", "engine": "reference", **tokens}
    return Config(tokens=given, rendering={"template": "chatml"})  # type: ignore[arg-type]


def encode(text: str, model: str = QWEN) -> list[int]:
    ids: list[int] = cached_tokenizer(settings_of(model).tokens).encode([text]).ids.tolist()
    return ids


def record_of(ids: Sequence[tuple[list[int], list[int]] | None], steps: Sequence[dict[str, Any]] = STEPS) -> Any:
    """An ATIF record whose agent steps carry prompts and completions."""
    told: list[dict[str, Any]] = [
        {"source": "system", "message": "You repair Python packages."},
        {"source": "user", "message": "Make the date tests pass."},
    ]
    for step, known in zip(steps, ids, strict=True):
        metrics = {} if known is None else {"prompt_token_ids": known[0], "completion_token_ids": known[1]}
        told.append({**step, "metrics": metrics})
    numbered = [{"step_id": n, **step} for n, step in enumerate(told, 1)]
    agent = {"name": "terminal-agent", "version": "2.1", "model_name": "coder"}
    return {"schema_version": "ATIF-v1.4", "session_id": "run-17", "agent": agent, "steps": numbered}


def growing(turns: Sequence[Turn], model: str = QWEN) -> list[tuple[list[int], list[int]]]:
    """Prompts that each begin with all that was before."""
    told, ids = [], list[int]()
    for given_, gave in turns:
        told.append(([*ids, *encode(given_, model)], encode(gave, model)))
        ids = [*told[-1][0], *told[-1][1]]
    return told


def table_for(*records: Any) -> pa.Table:
    parser = TrajectoryParser()
    return table_of([row for n, record in enumerate(records, 1) for row in raw_rows(record, "x.jsonl", n, parser)])


def rows_of(record: Any, config: Config | None = None) -> list[dict[str, Any]]:
    """The kept rows of a record; they are proven valid, and the same in two stages as in one."""
    table, config = table_for(record), config or settings_of()
    made = process_records(table, config=config)
    assert align_tokens(detect_spans(table, config=config), config=config).equals(made)
    rows: list[dict[str, Any]] = [row for row in made.to_pylist() if row["outcome"]["status"] == "kept"]
    kept = made.filter(pa.array([o["status"] == "kept" for o in made.column("outcome").to_pylist()]))
    assert problems(kept) == []
    return rows


def problems(table: pa.Table) -> list[Any]:
    dataset = Dataset(InMemoryTable(table.select(sad_schema().names).cast(sad_schema())))
    found: list[Any] = validate_rows(dataset)["validation_errors"]
    return found


def facts(row: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(row["metadata"])["tokens"]
    return told


def events(row: dict[str, Any]) -> dict[str, int]:
    counts = dict(zip(FIELDS, row["outcome"]["ledger"], strict=True))
    return {name: counts[name] for name in EVENTS if counts[name]}


def outcome(record: Any, config: Config) -> tuple[str, str | None]:
    (made,) = process_records(table_for(record), config=config).to_pylist()
    return made["outcome"]["status"], made["outcome"]["reason"]


def trained(row: dict[str, Any], config: Config | None = None) -> str:
    """What is trained of a row, as text; places between are marked."""
    backend = cached_tokenizer((config or settings_of()).tokens).backend
    parts: list[list[int]] = [[]]
    for label in row["labels"]:
        if label != -100:
            parts[-1].append(label)
        elif parts[-1]:
            parts.append([])
    return "|".join(backend.decode(part, skip_special_tokens=False) for part in parts if part)
