"""What the Arrow cache is keyed by: the input's content, every setting that changes rows, the code, and the tokenizer.

`datasets` cannot see an edit in an imported module (measured), so the digest of the package's own sources is part of
every key: an upgraded package never serves rows of an older one.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from deepcoder_hf.config import Config, ReadersConfig

STAGE_SOURCES = (
    "readers",
    "rendering",
    "spans",
    "tokens",
    "filters",
    "dataset",
    "config.py",
    "stages.py",
    "trajectory.py",
)
"""Folders and files of the package whose change may change rows."""


def digest(value: Any) -> str:
    """SHA-256 of a value that JSON can hold, 16 hex digits; equal in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of the package's stage sources and pattern files, 16 hex digits."""
    sha = hashlib.sha256()
    root = resources.files("deepcoder_hf")
    for name in STAGE_SOURCES:
        _add(sha, root / name)
    return sha.hexdigest()[:16]


def _add(sha: Any, node: Traversable) -> None:
    if node.is_dir():
        for child in sorted(node.iterdir(), key=lambda n: n.name):
            _add(sha, child)
    elif node.name.endswith((".py", ".yaml", ".jinja")):
        sha.update(node.name.encode() + b"\0" + node.read_bytes())


def parsed_fingerprint(records_fingerprint: str, readers: ReadersConfig) -> str:
    """Fingerprint of the raw rows that readers make of records in memory; `datasets` would not see changed readers."""
    return digest([records_fingerprint, readers.model_dump(mode="json"), code_digest()])


def rows_fingerprint(raw_fingerprint: str, config: Config) -> str:
    """Fingerprint of the SAD rows that a configuration makes of raw rows; how the pipeline runs is not in it.

    Args:
        raw_fingerprint: Fingerprint of the raw dataset.
        config: The whole configuration.

    Raises:
        TokenizerError: The tokenizer cannot be loaded.
    """
    from deepcoder_hf.tokens.layouts import cached_layouts
    from deepcoder_hf.tokens.load import chat_facts
    from deepcoder_hf.tokens.tokenizer import cached_tokenizer

    chat = chat_facts(config.tokens.model_name)
    tokenizer = cached_tokenizer(config.tokens)
    settings = config.model_dump(mode="json", exclude={"dataset", "readers"})
    settings["filters"]["drop_duplicates"] = None  # applied after the cache
    added = [tokenizer.prefix_ids, tokenizer.suffix_ids, tokenizer.eos_id]
    return digest(
        [
            raw_fingerprint,
            settings,
            code_digest(),
            tokenizer.digest,
            added,
            tokenizer.engine.name,
            tokenizer.engine_version,
            [cached_layouts(config.rendering, config.tokens).digest, chat.response_template],
        ]
    )
