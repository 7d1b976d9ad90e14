"""The code on the card does what it says: each block runs, loads the rows and trains a tiny model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset

from deepcoder_hf.publish.bundle import Bundle, CardFacts
from deepcoder_hf.publish.card import make_card
from tests.pipeline_runs import processor, react, write_jsonl

BLOCKS = ("load", "stream", "trainer", "trl", "loop")


@pytest.fixture(scope="module")
def blocks(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    pytest.importorskip("torch", reason="training needs torch: pip install torch")
    pytest.importorskip("trl", reason="the card shows TRL's trainer: pip install trl")
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("card_training")
    report = processor(tiny_model).process_files(write_jsonl(folder / "in.jsonl", react(1, 2)), folder / "rows")
    rows = Dataset.load_from_disk(str(folder / "rows"))
    card = make_card(
        Bundle({"train": rows}, report),
        CardFacts("own/er", "mit", configs={"default": {"train": "data/train-*.parquet"}}),
        None,
    )
    (folder / "sad" / "data").mkdir(parents=True)
    rows.to_parquet(str(folder / "sad" / "data" / "train-0.parquet"))
    (folder / "sad" / "README.md").write_bytes(card["README.md"])
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1}
    LlamaForCausalLM(LlamaConfig(vocab_size=400, **sizes, **heads)).save_pretrained(folder / "model")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tiny_model), pad_token="!", eos_token="!")
    tokenizer.save_pretrained(folder / "model")
    found = re.findall(r"```python\n(.*?)\n```", card["README.md"].decode(), flags=re.DOTALL)
    places = {"own/er": str(folder / "sad"), "path/to/model": str(folder / "model")}
    return [
        re.sub("own/er|path/to/model", lambda match: places[match[0]], block).replace(
            'SFTConfig("student",', 'SFTConfig("student", bf16=False, use_cpu=True,'
        )
        for block in found
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_of_the_card_runs(blocks: list[str], name: str, tmp_path: Path) -> None:
    assert len(blocks) == len(BLOCKS)
    code = blocks[BLOCKS.index(name)] + "\nprint('done', flush=True)\n"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert "done" in run.stdout, run.stderr[-2_000:]
