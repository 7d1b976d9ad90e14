"""Which tokens TRL, axolotl and renderers train on the same conversations, beside the mask presets named after them.

    python benchmarks/compare_masks.py ../shared/data/tokenizers/qwen3

The folder (or Hub name) is a Qwen3 tokenizer with its chat template. A tool that cannot be imported is left out, and so
its column says only what the preset declares.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Trained = list[tuple[list[int], list[bool]]]
"""Of each conversation: its tokens, and which of them are trained."""
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "bash",
            "description": "Run a command in the repository.",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
        },
    }
]


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation for the tools, and the record of it for us."""

    messages: list[Message]
    tools: list[dict[str, Any]] | None
    record: dict[str, Any]


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _agent(content: str, reasoning: str | None = None, *commands: str, **more: Any) -> Message:
    message: Message = {"role": "assistant", "content": content}
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    calls = [{"name": "bash", "arguments": json.dumps({"command": command})} for command in commands]
    if calls:
        numbered = enumerate(calls, start=1)
        message["tool_calls"] = [{"type": "function", "id": f"call_{n}", "function": call} for n, call in numbered]
    return message | more


def _result(content: str, number: int = 1) -> Message:
    return {"role": "tool", "content": content, "tool_call_id": f"call_{number}", "name": "bash"}


SYSTEM = {"role": "system", "content": "You fix failing tests. Change as little as you can."}
ASKED = _user("tests/test_export.py fails since this morning. Why?")
LOOKED = _agent(
    "I run the test first.", "The failure should say which assertion broke.", "pytest -q tests/test_export.py"
)
FAILED = _result("E   FileNotFoundError: [Errno 2] No such file or directory: 'out/é.csv'\n1 failed in 0.31s")
SEARCHED = _agent(
    "", "Either the folder is gone or the name is.\n\nI check both.", "ls out", "git log --oneline -3 -- out"
)
LISTED, LOGGED = _result("ls: cannot access 'out': No such file or directory"), _result("4be1d70 Ignore out/", 2)
SAID = _agent(
    "Commit 4be1d70 removed out/ from the repository; the test expects it.\n\nCreate it in a fixture.",
    "The commit explains it: the folder is no longer checked in.",
)
SAID_BARE = _agent("The folder out/ is missing: nothing creates it any more.")


def cases() -> dict[str, Case]:
    """The conversations, by what is special about them."""
    made = {
        "reasoning, calls, results": [SYSTEM, ASKED, LOOKED, FAILED, SEARCHED, LISTED, LOGGED, SAID],
        "no reasoning at the end": [ASKED, LOOKED, FAILED, SAID_BARE],
        "several questions": [SYSTEM, ASKED, LOOKED, FAILED, SAID, _user("Do that."), SEARCHED, LISTED, LOGGED, SAID],
        "plain chat": [ASKED, SAID_BARE, _user("Since when?"), _agent("Since commit 4be1d70.")],
        "weight 0": [ASKED, {**LOOKED, "weight": 0}, FAILED, SEARCHED, LISTED, LOGGED, SAID_BARE],
        "weight 0 without reasoning": [ASKED, {**SAID_BARE, "weight": 0}, _user("Since when?"), SAID],
    }
    found = {name: Case(messages, TOOLS, {"messages": messages, "tools": TOOLS}) for name, messages in made.items()}
    found["summary"] = Case([ASKED, SAID], None, _summarised())
    return found


def _summarised() -> dict[str, Any]:
    """`ASKED` and `SAID` as the Responses API has them, the reasoning summarised by the provider."""
    thought = {"type": "summary_text", "text": SAID["reasoning_content"]}
    answer = {"type": "output_text", "text": SAID["content"]}
    output = [
        {"type": "reasoning", "summary": [thought]},
        {"type": "message", "role": "assistant", "content": [answer]},
    ]
    return {"input": [{"type": "message", **ASKED}], "output": output}


def trl(tokenizer: Any, conversations: Sequence[Case]) -> Trained:
    """TRL: SFTTrainer with assistant_only_loss, its dataset preparation. It reads no weight of a message."""
    from datasets import Dataset
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from trl import SFTConfig, SFTTrainer

    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), **small, **heads))
    rows = [{"messages": case.messages, "tools": case.tools and json.dumps(case.tools)} for case in conversations]
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(folder, assistant_only_loss=True, max_length=None, report_to=[], use_cpu=True, bf16=False)
        trainer = SFTTrainer(model, settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        return [(row["input_ids"], [label != -100 for label in row["labels"]]) for row in trainer.train_dataset]


def axolotl(tokenizer: Any, conversations: Sequence[Case]) -> Trained:
    """axolotl: a dataset of type chat_template with its defaults, and the weight of a message named to it."""
    from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy

    prompter = ChatTemplatePrompter(tokenizer, tokenizer.chat_template, message_field_training="weight")
    defaults: dict[str, Any] = {"roles_to_train": ["assistant"], "train_on_eos": "turn"}
    strategy = ChatTemplateStrategy(prompter, tokenizer, train_on_inputs=False, sequence_len=8192, **defaults)
    copies = [{"messages": json.loads(json.dumps(case.messages)), "tools": case.tools} for case in conversations]
    made = [strategy.tokenize_prompt(copy) for copy in copies]  # it changes the arguments of calls in place
    return [(row["input_ids"], [label != -100 for label in row["labels"]]) for row in made]


def renderers(tokenizer: Any, conversations: Sequence[Case]) -> Trained:
    """renderers: build_training_sample of the renderer of Qwen3, and the weights of the messages handed to it."""
    from renderers.base import build_training_sample
    from renderers.qwen3 import Qwen3Renderer

    renderer = Qwen3Renderer(tokenizer)
    found = []
    for case in conversations:
        weights: list[bool | int] = [message.get("weight", 1) for message in case.messages]
        tools: Any = case.tools
        sample = build_training_sample(renderer, case.messages, tools=tools, message_loss_mask=weights)
        found.append((sample.token_ids, list(sample.loss_mask)))
    return found


PEERS: dict[str, Callable[[Any, Sequence[Case]], Trained]] = {
    "trl": trl,
    "axolotl": axolotl,
    "renderers": renderers,
}


def load_tokenizer(source: str | Path, peer: str) -> tuple[Any, str]:
    """The tokenizer that a tool gets, and the template that it renders with in the end.

    TRL knows the published template of Qwen3 by its text and puts its own training template in its place.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(source))
    if peer != "trl":
        return tokenizer, tokenizer.chat_template
    from trl.chat_template_utils import get_training_chat_template, qwen3_chat_template

    tokenizer.chat_template = qwen3_chat_template
    return tokenizer, str(get_training_chat_template(tokenizer))


def our_rows(source: str | Path, template: str, preset: str, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our rows of the records, rendered with a template, under a preset."""
    from datasets import load_from_disk

    from deepcoder_hf import TrajectoryProcessor

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "template.jinja").write_text(template, encoding="utf-8")
        lines = [json.dumps({"id": f"case-{n}", **record}) + "\n" for n, record in enumerate(records)]
        (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")
        rendering = {"template": str(folder / "template.jinja"), "reasoning": "template"}
        sections = {"tokens": {"model_name": str(source)}, "rendering": rendering, "masks": {"preset": preset}}
        TrajectoryProcessor(sections).process_files(folder / "records.jsonl", folder / "rows")
        return [dict(row) for row in load_from_disk(str(folder / "rows"))]


def measure(peer: str, source: str | Path, template: str | None = None) -> tuple[Trained, list[dict[str, Any]]]:
    """What a tool trains of each conversation, and our rows of them under the preset of its name.

    Args:
        peer: A name of `PEERS`.
        source: Folder or Hub name of a Qwen3 tokenizer with its chat template.
        template: A chat template instead of the tokenizer's; for a tool that takes any.

    Raises:
        ImportError: The tool is not installed.
    """
    tokenizer, rendered_with = load_tokenizer(source, peer)
    if template is not None:
        rendered_with = tokenizer.chat_template = template
    found = PEERS[peer](tokenizer, list(cases().values()))
    return found, our_rows(source, rendered_with, peer, [case.record for case in cases().values()])


def classes_of(spans: Sequence[dict[str, Any]]) -> list[str]:
    """The class of tokens that each span belongs to; what ends a turn of weight 0 belongs to that turn."""
    found: list[str] = []
    weighs_nothing = False
    for span in spans:
        subtype = str(span["subtype"])
        weighs_nothing = subtype == "untrained" or (weighs_nothing and subtype != "header")
        name = subtype if subtype in CLASSES else "system, user" if span["span_type"] == "other" else span["span_type"]
        found.append("untrained" if weighs_nothing and subtype in ("stop", "turn_end") else str(name))
    return found


CLASSES = {
    "header": "header of an agent's turn",
    "reasoning": "reasoning, its tags with it",
    "summary": "reasoning summarised by the provider",
    "empty_think": "empty think block",
    "preamble": "text before a call",
    "action": "call, its wrapper with it",
    "answer": "answer",
    "stop": "stop token",
    "turn_end": "newline after the stop token",
    "untrained": "turn of weight 0",
    "observation": "result",
    "system, user": "system, user",
}


def tally(rows: Sequence[dict[str, Any]], trained: Sequence[Sequence[bool]]) -> dict[str, list[int]]:
    """Trained tokens, and all tokens, of each class."""
    counts = {name: [0, 0] for name in CLASSES}
    for row, flags in zip(rows, trained, strict=True):
        for name, span in zip(classes_of(row["spans"]), row["spans"], strict=True):
            part = flags[span["start_token"] : span["end_token"]]
            count = counts[name]
            count[0], count[1] = count[0] + sum(part), count[1] + len(part)
    return counts


def share(count: Sequence[int]) -> str:
    """How much of a class is trained."""
    n_trained, n_tokens = count
    if n_trained in (0, n_tokens):
        return "-" if not n_tokens else "yes" if n_trained else "no"
    return f"{n_trained}/{n_tokens}"


def main(source: str) -> None:
    """Print the table: what is measured, and in brackets what the preset declares where that is not the same."""
    columns: dict[str, dict[str, str]] = {}
    for peer in PEERS:
        try:
            with warnings.catch_warnings(), redirect_stdout(sys.stderr):
                warnings.simplefilter("ignore")
                found, rows = measure(peer, source)
        except ImportError as error:
            print(f"{peer}: not measured ({error})", file=sys.stderr)
            continue
        if [list(ids) for ids, _ in found] != [list(row["input_ids"]) for row in rows]:
            raise SystemExit(f"{peer} has other tokens than our rows: nothing can be compared")
        measured = tally(rows, [flags for _, flags in found])
        declared = tally(rows, [[label != -100 for label in row["labels"]] for row in rows])
        columns[peer] = {
            name: share(measured[name]) + (f" (preset: {share(declared[name])})" * (measured[name] != declared[name]))
            for name in CLASSES
        }
    _, template = load_tokenizer(source, "sad")
    rows = our_rows(source, template, "sad", [case.record for case in cases().values()])
    ours = tally(rows, [[label != -100 for label in row["labels"]] for row in rows])
    columns = {"sad": {name: share(ours[name]) for name in CLASSES}, **columns}
    print(f"| tokens | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, words in CLASSES.items():
        print(f"| {words} | {' | '.join(column[name] for column in columns.values())} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "Qwen/Qwen3-30B-A3B")
