"""What the audit must know of a tokenizer: the bytes of every token, its special tokens, and its chat template."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from deepcoder_hf.tokens.bundled import QWEN3_NAMES
from deepcoder_hf.tokens.load import load_backend

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_PADS = ("<|endoftext|>", "<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a tokenizer as bytes.

    Args:
        name: Name that the user gave.
        backend: The `tokenizers` object.
        flat: The bytes of all tokens, one after the other, uint8.
        starts: Where each token's bytes begin in `flat`, int64 [V + 1]; an id without a token has no bytes.
        known: Whether an id has a token, bool [V].
        is_space: Whether a token is white space only, bool [V].
        added: Added tokens: text -> id.
        eos: Id of the end-of-text token, -1 if not known.
        pad: Id of the padding token, -1 if not known.
        bos: Id of the token that begins a text, -1 if not known.
        chat_template: Jinja source, or None.
        config: tokenizer_config.json, or an empty object.
    """

    name: str
    backend: Tokenizer
    flat: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    is_space: npt.NDArray[np.bool_]
    added: dict[str, int]
    eos: int
    pad: int
    bos: int
    chat_template: str | None
    config: dict[str, Any]

    @property
    def size(self) -> int:
        """Ids from 0 below this one may have a token."""
        return int(self.known.size)

    def decode(self, ids: npt.NDArray[Any]) -> tuple[bytes, npt.NDArray[np.int64]]:
        """The bytes of tokens, and where each token's bytes begin, int64 [T + 1]; ids must be in range."""
        begin = self.starts[ids]
        lengths = self.starts[ids + 1] - begin
        starts = np.zeros(ids.size + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        index = np.repeat(begin - starts[:-1], lengths)
        index += np.arange(starts[-1])
        return self.flat[index].tobytes(), starts


def load_vocabulary(name: str) -> Vocabulary:
    """Load a tokenizer for the audit.

    Args:
        name: As for `load_backend`: a bundled Qwen3 name, a tokenizer.json, a folder with one, or a Hub name.

    Raises:
        TokenizerError: It cannot be loaded.
    """
    backend, eos = load_backend(name)
    config, template = _beside(name)
    texts, added = _token_bytes(backend)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])

    def token_id(*names: Any) -> int:
        return next((added[text] for text in map(_content, names) if text in added), -1)

    return Vocabulary(
        name=name,
        backend=backend,
        flat=np.frombuffer(b"".join(texts), np.uint8),
        starts=starts,
        known=lengths > 0,
        is_space=np.fromiter((bool(text) and not text.strip() for text in texts), bool, len(texts)),
        added=added,
        eos=token_id(config.get("eos_token"), eos),
        pad=token_id(config.get("pad_token"), *_PADS),
        bos=token_id(config.get("bos_token")),
        chat_template=template,
        config=config,
    )


def _beside(name: str) -> tuple[dict[str, Any], str | None]:
    """tokenizer_config.json and the chat template of a tokenizer, from its folder or the Hub's local cache."""
    folder = Path(name).expanduser()
    if name in QWEN3_NAMES and not folder.exists():
        return {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}, None
    config: dict[str, Any] = {}
    if path := _file_of(name, folder, "tokenizer_config.json"):
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
            config = loaded if isinstance(loaded, dict) else {}
        except (OSError, ValueError):
            config = {}
    template = config.get("chat_template")
    if isinstance(template, list):  # several named templates
        named = {part.get("name"): part.get("template") for part in template if isinstance(part, dict)}
        template = named.get("default")
    if path := _file_of(name, folder, "chat_template.jinja"):
        template = path.read_text(encoding="utf-8", errors="replace")
    return config, template if isinstance(template, str) else None


def _file_of(name: str, folder: Path, file: str) -> Path | None:
    if folder.exists():
        path = (folder if folder.is_dir() else folder.parent) / file
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, file)
    return Path(cached) if isinstance(cached, str) else None


def _content(token: Any) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _token_bytes(backend: Tokenizer) -> tuple[list[bytes], dict[str, int]]:
    """The bytes of each id, and the added tokens."""
    decoder = backend.get_added_tokens_decoder()
    added = {token.content: number for number, token in decoder.items()}
    special = {token.content for token in decoder.values() if token.special}
    vocabulary = backend.get_vocab(with_added_tokens=True)
    spec = json.loads(backend.decoder.__getstate__()) if backend.decoder is not None else {}
    spell = _spelling(json.dumps(spec, ensure_ascii=False), getattr(backend.model, "__class__", type(None)).__name__)
    texts = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for text, number in vocabulary.items():
        # In SentencePiece vocabularies runs of spaces are added tokens too, written with the sign for a space.
        literal = text in special or (text in added and text.strip("▁"))
        texts[number] = text.encode("utf-8", "replace") if literal else spell(text)
    return texts, added


def _spelling(decoder: str, model: str) -> Any:
    """How the vocabulary of a tokenizer writes bytes, seen from its decoder."""
    if "ByteLevel" in decoder:
        kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        shifted = [byte for byte in range(256) if byte not in kept]
        table = {chr(byte): byte for byte in kept} | {chr(256 + n): byte for n, byte in enumerate(shifted)}

        def spell(text: str) -> bytes:
            try:
                return bytes(map(table.__getitem__, text))
            except KeyError:
                return text.encode("utf-8", "replace")

        return spell
    if "WordPiece" in decoder or model == "WordPiece":
        return lambda text: (text[2:] if text.startswith("##") else " " + text).encode("utf-8", "replace")
    has_bytes = "ByteFallback" in decoder

    def spell_piece(text: str) -> bytes:
        if has_bytes and (match := _BYTE_TOKEN.fullmatch(text)):
            return bytes([int(match[1], 16)])
        return text.replace("▁", " ").encode("utf-8", "replace")

    return spell_piece
