"""Steps rendered by a chat template, as the rows that the stages make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import table_of
from deepcoder_hf.stages import process_records
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory, to_json

QWEN3 = "Qwen/Qwen3-30B-A3B"
"""The bundled tokenizer, which has no chat template: the project's own is used."""
Row = dict[str, Any]
TOOL = json.dumps(
    {
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Reads a file.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        },
    }
)


def call(path: str, number: int = 0) -> ToolCall:
    return ToolCall("read_file", json.dumps({"path": path}), f"call_{number}")


SESSION = (
    Step("system", "Be brief."),
    Step("user", "What is in a.py?"),
    Step(
        "agent", "I read both.", "There are two files.", (call("a.py", 1), call("b.py", 2)),
        (Observation("x = 1", "call_1"), Observation("y = '漢字 🙂'", "call_2")),
    ),
    Step("agent", None, "One is left.", (call("c.py", 3),), (Observation("z = 3", "call_3"),)),
    Step("agent", "It sets x."),
    Step("user", "And c.py?"),
    Step("agent", "It sets z.", "I have seen it."),
)  # fmt: skip
"""A session with reasoning in past turns, two calls at once, and a turn without reasoning."""

CHAT = (
    Step("user", "One?"), Step("agent", "First.", "Thinking of one."),
    Step("user", "Two?"), Step("agent", "Second.", "Thinking of two."),
    Step("user", "Three?"), Step("agent", "Third.", "Thinking of three."),
)  # fmt: skip
NO_TOOLS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}[/INST]{{ m.content }}{{ eos_token }}"
    "{% else %}[INST]{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}[/INST]{% endif %}"
)
"""A template without a place for tools and reasoning; one assistant's turn is `[/INST]..</s>`."""


def rows_of(
    *steps: Step, model: str | Path = QWEN3, tools: Sequence[str] = (), metadata: Any = None, **sections: Any
) -> list[Row]:
    trajectory = Trajectory(steps, "messages", tools=tuple(tools), metadata=metadata or {})
    raw = table_of([("id", "id", "messages", "in.jsonl", 1, 0, to_json(trajectory), None, None)])
    tokens = {"model_name": str(model), "engine": "reference", **sections.pop("tokens", {})}
    return process_records(raw, config=Config(tokens=tokens, **sections)).to_pylist()


def row_of(*steps: Step, model: str | Path = QWEN3, **more: Any) -> Row:
    (row,) = rows_of(*steps, model=model, **more)
    assert row["outcome"]["status"] == "kept", row["outcome"]
    return row


def parts(row: Row) -> list[tuple[str, str, str]]:
    """Type, subtype and text of each span."""
    return [(s["span_type"], s["subtype"], row["text"][s["start_char"] : s["end_char"]]) for s in row["spans"]]


def trained(row: Row, place: int) -> tuple[int, int]:
    """How many tokens of a span are trained, and how many it has."""
    span = row["spans"][place]
    labels = row["labels"][span["start_token"] : span["end_token"]]
    return sum(label != -100 for label in labels), len(labels)


def trained_text(row: Row) -> str:
    """The text of the spans whose tokens are trained; a span is trained as a whole or not at all."""
    found = []
    for place, (_, _, text) in enumerate(parts(row)):
        n_trained, n_tokens = trained(row, place)
        assert n_trained in (0, n_tokens)
        found += [text] * (n_trained > 0)
    return "".join(found)


def facts(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["metadata"])
    return found


def save_chat_tokenizer(folder: Path, template: str) -> Path:
    """A byte-level BPE tokenizer that puts <s> before a text, with a chat template and control tokens of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", "[INST]", "[/INST]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["Read the file.\n"] * 20, trainer)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "chat_template": template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder
