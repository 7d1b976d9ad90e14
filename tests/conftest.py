"""What every test needs: no network, caches in a folder that goes away, and the real data where it is there."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_CACHE = tempfile.mkdtemp(prefix="deepcoder_hf_tests_")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
# datasets and huggingface_hub read these when they are imported, so they are set before any test module is.
os.environ["HF_DATASETS_CACHE"] = str(Path(_CACHE) / "datasets")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("DEEPCODER_HF_CACHE", str(Path(_CACHE) / "deepcoder_hf"))

import pytest  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"

LARGE = ("gemma3", "gptoss")
"""Tokenizers of 200,000 entries and more, which take seconds to load: their cases run in `make test-slow`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and not set(LARGE).isdisjoint(callspec.id.split("-")):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real trajectories, gold texts and tokenizers, which a user's clone does not have."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the project's shared data is not here: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json of byte-level BPE with NFC, loaded in milliseconds, for tests of what is around the tokens."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    corpus = ["Thought: I need to read the file.\nAction: read\nAction Input: path\nObservation: naïve 🙂\n"] * 20
    tokenizer.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>"])
    path = tmp_path_factory.mktemp("tiny_model") / "tokenizer.json"
    tokenizer.save(str(path))
    return path
