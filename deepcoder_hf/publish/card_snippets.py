"""How to load the dataset and train with it: the Python that stands on the card."""

from __future__ import annotations

from deepcoder_hf.publish.card_text import fenced

LOAD = """
from datasets import load_dataset

rows = load_dataset({source}, split={split})
print(rows)
print(rows[0]["text"][:500])
"""
STREAM = """
from datasets import load_dataset

stream = load_dataset({source}, split={split}, streaming=True)
row = next(iter(stream))
print(row["trajectory_id"], row["length"], sum(label != -100 for label in row["labels"]))
"""
TRAINER = """
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

model_name = {model}
rows = load_dataset({source}, split={split})
trainer = Trainer(
    model=AutoModelForCausalLM.from_pretrained(model_name),
    args=TrainingArguments("student", per_device_train_batch_size=1),
    train_dataset=rows.select_columns(["input_ids", "attention_mask", "labels"]),
    data_collator=DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(model_name), label_pad_token_id=-100),
)
trainer.train()
"""
TRL = """
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

rows = load_dataset({source}, split={split})
trainer = SFTTrainer(
    model={model},
    args=SFTConfig("student", max_length=None, per_device_train_batch_size=1),
    train_dataset=rows.select_columns(["input_ids", "attention_mask", "labels"]),
)
trainer.train()
"""
LOOP = """
import torch
from datasets import load_dataset
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM

PADDING = {{"input_ids": 0, "attention_mask": 0, "reasoning_mask": 0, "action_mask": 0, "labels": -100}}


def collate(rows):
    columns = {{name: [torch.tensor(row[name], dtype=torch.long) for row in rows] for name in PADDING}}
    return {{name: pad_sequence(columns[name], True, value) for name, value in PADDING.items()}}


rows = load_dataset({source}, split={split}).select_columns(list(PADDING))
model = AutoModelForCausalLM.from_pretrained({model})
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
for batch in torch.utils.data.DataLoader(rows, batch_size=1, shuffle=True, collate_fn=collate):
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    targets = batch["labels"][:, 1:]  # columns are not shifted: position t predicts token t + 1
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="none"
    ).view_as(targets)
    reasoning = (losses * batch["reasoning_mask"][:, 1:]).sum() / batch["reasoning_mask"].sum().clamp(min=1)
    action = (losses * batch["action_mask"][:, 1:]).sum() / batch["action_mask"].sum().clamp(min=1)
    (reasoning + action).backward()
    optimizer.step()
    optimizer.zero_grad()
"""
COLLATORS = """\
`labels` hold what is trained, so a collator must pad them, never build them. These build labels anew from `input_ids` \
and would train other tokens; do not use them:

- `transformers.DataCollatorForLanguageModeling`: trains every token, observations and headers too. (TRL 1.16 has a \
class of the same name that keeps `labels`; older releases of TRL are to be checked first.)
- completion-only collators (`DataCollatorForCompletionOnlyLM` of older TRL releases, and any that looks for a \
response template): of several turns they find some.
- `trl.experimental.utils.DataCollatorForChatML`, and any trainer that applies a chat template itself: it tokenises \
anew."""


def load_section(repo_id: str, config: str, split: str) -> str:
    """How to load."""
    values = _values(repo_id, config, split, "")
    return "\n\n".join(
        (
            fenced(LOAD.format(**values).strip(), "python"),
            "Without downloading it first:",
            fenced(STREAM.format(**values).strip(), "python"),
            "`revision=` takes a tag or commit, and `HF_HUB_OFFLINE=1` works after a first load. "
            "`deepcoder_hf.load_sad` gives typed access.",
        )
    )


def train_section(repo_id: str, config: str, split: str, model: str, longest: int) -> str:
    """How to train, and what must not be used.

    Args:
        repo_id: `owner/name`.
        config: Name of the config.
        split: A split of it.
        model: Name of the tokenizer's model.
        longest: Tokens of the longest row.
    """
    values = _values(repo_id, config, split, model)
    packing = (
        "Without `max_length=None` TRL cuts rows at 1,024 tokens. With `packing=True` set "
        f"`max_length={max(longest, 1)}` (the longest row) or more. TRL 1.16 takes `labels` as they are; "
        "`assistant_only_loss` and `completion_only_loss` are not needed."
    )
    blocks = (
        "The model must have this tokenizer: see below for its name and digest.",
        "With `transformers`:",
        fenced(TRAINER.format(**values).strip(), "python"),
        "With TRL:",
        fenced(TRL.format(**values).strip(), "python"),
        packing,
        "In a loop of your own, with a loss for reasoning and one for actions:",
        fenced(LOOP.format(**values).strip(), "python"),
        COLLATORS,
    )
    return "\n\n".join(blocks)


def _values(repo_id: str, config: str, split: str, model: str) -> dict[str, str]:
    source = repr(repo_id) if config == "default" else f"{repo_id!r}, {config!r}"
    values = {"source": source, "split": repr(split), "model": repr(model)}
    return {name: value.replace("'", '"') if '"' not in value else value for name, value in values.items()}
