"""Tokenizers for the tests: real ones of the shared data, and tiny ones that are trained here."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer

REAL = ("qwen3", "gptoss", "deepseek_v3", "gemma3", "smollm2")
TINY = ("tiny_bpe", "tiny_nfc", "tiny_wordpiece", "tiny_unigram")
CORPUS = [
    "Thought: I need to look at the file first.\nAction: read_file\nAction Input: {\"path\": \"src/main.py\"}\n",
    "Observation: def f(x):\n    return x + 1\r\n\nFinal Answer: it adds one, e.g. f(1) == 2.\n",
    "<think>\nLet me see 12345 and 3.14\n</think>\n\n<tool_call>\n{}\n</tool_call>\n",
    "日本語のテキスト 中文 العربية naïve café Ωμέγα 🙂🙃🙂🙃 👩‍👩‍👧‍👦 👍🏽",
] * 20  # fmt: skip

MakeTokenizer = Callable[..., TrajectoryTokenizer]


def byte_bpe(normalizer: normalizers.Normalizer | None = None, add_prefix_space: bool = False) -> Tokenizer:
    """Byte-level BPE of 400 tokens: emoji and CJK are split into bytes, some tokens join bytes of two characters."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>"])
    return tokenizer


def wordpiece() -> Tokenizer:
    """WordPiece in lower case with [CLS] and [SEP]: no token for whitespace, [UNK] for whole words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    numbers = [(token, tokenizer.token_to_id(token)) for token in special[1:]]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=numbers)
    return tokenizer


def unigram() -> Tokenizer:
    """Unigram with Metaspace, whose first token begins with a space that the text does not have."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def with_lstrip() -> Tokenizer:
    """Byte-level BPE with an added token that swallows the whitespace before it."""
    tokenizer = byte_bpe()
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


BUILDERS: dict[str, Callable[[], Tokenizer]] = {
    "tiny_bpe": byte_bpe,
    "tiny_nfc": lambda: byte_bpe(normalizers.NFC()),
    "tiny_wordpiece": wordpiece,
    "tiny_unigram": unigram,
    "tiny_prefix_space": lambda: byte_bpe(add_prefix_space=True),
    "tiny_lstrip": with_lstrip,
}


def save(folder: Path, tokenizer: Tokenizer, eos: str | None = None) -> Path:
    """Write a folder that `AutoTokenizer` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **({} if eos is None else {"eos_token": eos})}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny tokenizer by name."""
    root = tmp_path_factory.mktemp("tokenizers")
    eos = {"tiny_bpe": "<eos>", "tiny_nfc": "<eos>", "tiny_wordpiece": "[SEP]", "tiny_unigram": "</s>"}

    @cache
    def folder(name: str) -> Path:
        return save(root / name, BUILDERS[name](), eos.get(name))

    return folder


@pytest.fixture(scope="session")
def tokenizer_of(tiny_folder: Callable[[str], Path], request: pytest.FixtureRequest) -> MakeTokenizer:
    """A tokenizer by name, loaded once; the real ones need the shared data."""

    @cache
    def load(name: str, **settings: object) -> TrajectoryTokenizer:
        real = name in REAL
        path = request.getfixturevalue("shared_data") / "tokenizers" / name if real else tiny_folder(name)
        return TrajectoryTokenizer(TokensConfig(model_name=str(path), **settings))

    return load
