"""Tokenizers by name: bundled, a file, a folder, or the Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from deepcoder_hf.errors import TokenizerError
from deepcoder_hf.tokens.bundled import EOS_TOKEN, QWEN3_NAMES, qwen3_file


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """What a tokenizer says about conversations."""

    template: str | None = None
    """Its chat template (Jinja), where it has one."""
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    """Its named special tokens (`bos_token`, `eos_token`, ...), which templates use."""
    response_template: Any = None
    """How the text of a turn is taken apart (transformers >= 5.13), where it says so."""


def chat_facts(name: str) -> ChatFacts:
    """The chat template and the special tokens of a tokenizer, named as for `load_backend`.

    Raises:
        TokenizerError: Nothing is there.
    """
    path = Path(name).expanduser()
    if name in QWEN3_NAMES and not path.exists():
        return ChatFacts(special_tokens={"eos_token": EOS_TOKEN})
    if path.is_file():
        return _facts_beside(path)
    tokenizer = _from_transformers(name, path)
    special = {key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        template = None
    return ChatFacts(template, special, getattr(tokenizer, "response_template", None))


def _facts_beside(path: Path) -> ChatFacts:
    """From the tokenizer_config.json and the chat_template.jinja beside a tokenizer.json."""
    try:
        config = json.loads((path.parent / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    if not isinstance(config, dict):
        config = {}
    named = {key: value.get("content") if isinstance(value, dict) else value for key, value in config.items()}
    special = {key: value for key, value in named.items() if key.endswith("_token") and isinstance(value, str)}
    beside = path.parent / "chat_template.jinja"
    template = beside.read_text(encoding="utf-8") if beside.is_file() else config.get("chat_template")
    return ChatFacts(template if isinstance(template, str) else None, special, config.get("response_template"))


def load_backend(name: str) -> tuple[Tokenizer, str | None]:
    """Load the `tokenizers` object behind a name.

    Args:
        name: A bundled Qwen3 name, a tokenizer.json, a folder with one, or a Hub name (in this order).

    Returns:
        The tokenizer without truncation and padding, and its EOS token where one is known.

    Raises:
        TokenizerError: Nothing is there, or it is slow and has no offsets.
    """
    path = Path(name).expanduser()
    eos: str | None
    if name in QWEN3_NAMES and not path.exists():
        backend, eos = Tokenizer.from_file(str(qwen3_file())), EOS_TOKEN
    elif path.is_file():
        backend, eos = _from_file(path), _eos_beside(path)
    else:
        tokenizer = _from_transformers(name, path)
        backend, eos = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()), tokenizer.eos_token
    backend.no_truncation()
    backend.no_padding()
    return backend, eos


def _from_file(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise TokenizerError(f"{path}: expected a tokenizer.json of `tokenizers`: {error}") from None


def _eos_beside(path: Path) -> str | None:
    """The EOS token that the tokenizer_config.json beside a tokenizer.json names, if there is one."""
    try:
        eos = json.loads((path.parent / "tokenizer_config.json").read_text(encoding="utf-8")).get("eos_token")
    except (OSError, ValueError, AttributeError):
        return None
    eos = eos.get("content") if isinstance(eos, dict) else eos
    return eos if isinstance(eos, str) else None


@lru_cache(maxsize=2)
def _from_transformers(name: str, path: Path) -> Any:
    """The tokenizer as `transformers` loads it."""
    looks_local = name.startswith((".", "/", "~")) or name.endswith(".json") or path.parent.name in os.listdir()
    if path.is_dir() and not any((path / file).exists() for file in ("tokenizer.json", "tokenizer_config.json")):
        raise TokenizerError(f"tokenizer {name!r}: expected a tokenizer.json in this folder, got none")
    if not path.is_dir() and (name.count("/") != 1 or looks_local):
        raise TokenizerError(
            f"tokenizer {name!r}: no such file or folder; expected a folder with tokenizer.json, a tokenizer.json, "
            "or a Hub name such as Qwen/Qwen3-0.6B"
        )
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path) if path.is_dir() else name, trust_remote_code=False)
    except Exception as error:  # a dozen types: OSError, ValueError, HTTP and JSON errors
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TokenizerError(
            f"tokenizer {name!r} cannot be loaded: {first} Check the name and the network, or name a local folder."
        ) from None
    if not getattr(tokenizer, "is_fast", False):
        raise TokenizerError(
            f"tokenizer {name!r} is slow ({type(tokenizer).__name__}): it gives no character offsets; expected one "
            "with a tokenizer.json (AutoTokenizer.from_pretrained(...).is_fast)"
        )
    return tokenizer
