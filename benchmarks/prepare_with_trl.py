"""Prepare conversations as TRL's SFTTrainer does, and save what it would train: run with an interpreter that has trl.

    python prepare_with_trl.py CONVERSATIONS.jsonl TOKENIZER_FOLDER OUT qwen3.jinja '{"assistant_only_loss": true}'

The template is one of those in the trl package.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def tiny_model(n_tokens: int) -> Any:
    """A Qwen3 of a few thousand weights: the trainer wants a model before it prepares anything."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=n_tokens,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
    )
    return Qwen3ForCausalLM(config)


def main(conversations: str, tokenizer_folder: str, out: str, template: str, settings: str) -> None:
    """Prepare and save."""
    import trl
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = [json.loads(line) for line in Path(conversations).read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / template).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            report_to="none",
            use_cpu=True,
            bf16=False,
            **{"max_length": None, **json.loads(settings)},
        )
        trainer = SFTTrainer(
            model=tiny_model(len(tokenizer)),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        trainer.train_dataset.save_to_disk(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
