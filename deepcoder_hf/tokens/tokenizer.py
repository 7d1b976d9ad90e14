"""TrajectoryTokenizer: a tokenizer by name, its identity, and the engine that runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import Config, MasksConfig, TokensConfig
from deepcoder_hf.errors import TokenizerError
from deepcoder_hf.spans.types import Span
from deepcoder_hf.tokens.engines import (
    Encoded,
    Engine,
    FastEngine,
    ReferenceEngine,
    encode_cut,
    is_byte_level,
    same_ids,
)
from deepcoder_hf.tokens.load import load_backend
from deepcoder_hf.tokens.types import ProcessedTrajectory

PROBE = (
    "def f(x):\n    return x  # two  spaces\n\n\n\tend\r\n",
    "中文，日本語のテキスト、한국어 텍스트. العربية עברית हिन्दी ไทย Ελληνικά Русский",
    "é Å ﬁ １２３ ½ ² ™ – — … ‘’ “” \u00a0\u2003\u200b\ufeff",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽 e\u0301 n\u0303 \u1112\u1161\u11ab \u0344",
    "<think>\n\n</think>\n\n<tool_call>\n{\"a\": 1}\n</tool_call><|im_end|>\n<|endoftext|>",
    "It's they'LL 'Re don\u2019t 1234567 0x1F 3.14e-10 \x00\x01\x7f\x85\u2028\u2029 "
    + "a" * 300 + "\n" * 40 + " " * 40,
    "",
)  # fmt: skip
"""Texts of every script and oddity on which a quick engine must equal the reference before it is used."""


class TrajectoryTokenizer:
    """A fast tokenizer with exact character alignment.

    Args:
        config: Model name, engine, special tokens and lengths, or a whole configuration; None for Qwen3.
        masks: What is trained, for `tokenize`; the pipeline has its own.

    Raises:
        TokenizerError: The tokenizer cannot be found, is slow, or the engine that was asked for does not fit it.
    """

    def __init__(self, config: TokensConfig | Config | None = None, masks: MasksConfig | None = None) -> None:
        whole = config if isinstance(config, Config) else Config()
        self.config = config if isinstance(config, TokensConfig) else whole.tokens
        self.masks = masks or whole.masks
        self.name = self.config.model_name
        self.backend, self.eos_token = load_backend(self.name)
        spec_json = self.backend.to_str()
        spec = json.loads(spec_json)
        self.digest = _digest(spec)
        self.nfc = _normalizes_nfc(spec.get("normalizer"))
        self.prefix_ids, self.suffix_ids = self._added_ids()
        self.eos_id = self._appended_eos()
        self.reference = ReferenceEngine(self.backend)
        self._checked = False
        self.engine: Engine = self._choose_engine(spec, spec_json)
        if self.config.source == "recorded":
            require_byte_level(self.name, spec)

    @property
    def identity(self) -> str:
        """Name and digest, as rows carry it: `Qwen/Qwen3-30B-A3B@0123456789abcdef`."""
        return f"{self.name}@{self.digest}"

    @property
    def engine_version(self) -> str:
        """Name and version of the library behind the engine, for the cache fingerprint."""
        library = "fastokens" if self.engine.name == "fast" else "tokenizers"
        return f"{library} {metadata.version(library)}"

    @property
    def n_special(self) -> int:
        """How many special tokens are put around a text, at most."""
        return len(self.prefix_ids) + len(self.suffix_ids) + (self.eos_id is not None)

    def encode(self, texts: Sequence[str], cuts: Sequence[Sequence[int]] | None = None) -> Encoded:
        """Encode clean texts (no lone surrogates, normalised where the tokenizer would), without special tokens.

        Args:
            texts: R texts.
            cuts: Characters of each text, ascending, before which it is cut: its parts are encoded apart, so that a
                control token that a cut divides is encoded as ordinary characters. None for none.
        """
        if cuts is None or not any(cuts):
            return self.engine.encode(texts)
        return encode_cut(self.engine, texts, cuts)

    def control_tokens(self, special: bool = False) -> tuple[str, ...]:
        """Every added token of two characters or more, or only those that are special; longest first."""
        added = self.backend.get_added_tokens_decoder().values()
        found = {token.content for token in added if len(token.content) > 1 and (token.special or not special)}
        return tuple(sorted(found, key=lambda t: (-len(t), t)))

    def tokenize(self, text: str, spans: Sequence[Span] | None = None, trajectory_id: str = "") -> ProcessedTrajectory:
        """Tokenise one text and mark what each token is and how it is trained.

        Args:
            text: A text; lone surrogates become U+FFFD, and it is normalised where the tokenizer does that.
            spans: Spans that partition the text as it is then (`normalize`); None detects them.
            trajectory_id: Id of the result.

        Returns:
            One row, however long: windows and filters belong to the pipeline.

        Raises:
            SpanError: The spans do not partition the normalised text.
        """
        from deepcoder_hf.tokens.single import tokenize_text

        return tokenize_text(self, text, spans, trajectory_id)

    def check_once(self, texts: Sequence[str], n_texts: int = 8) -> None:
        """Compare the engines on the first texts that are not empty, once in the life of the tokenizer."""
        sample = [text for text in texts[:n_texts] if text]
        if sample and not self._checked:
            self._checked = True
            self.check_on(sample)

    def check_on(self, texts: Sequence[str]) -> bool:
        """Compare the quick engine with the reference on texts; on a difference the reference takes over for good."""
        if self.engine is self.reference or same_ids(self.engine.encode(texts), self.reference.encode(texts)):
            return True
        if self.config.engine == "fast":
            raise TokenizerError(
                f"{self.name}: fastokens and tokenizers differ on these texts; use tokens.engine: auto"
            )
        self.engine = self.reference
        return False

    def _added_ids(self) -> tuple[list[int], list[int]]:
        prefix: list[int] = []
        suffix: list[int] = []
        if self.config.add_special_tokens:
            encoding = self.backend.encode("a", add_special_tokens=True)
            inner = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
            if inner:
                prefix, suffix = encoding.ids[: inner[0]], encoding.ids[inner[-1] + 1 :]
        return prefix, suffix

    def _appended_eos(self) -> int | None:
        """Id of the EOS token that is put after the end of a trajectory, instead of one that the tokenizer puts."""
        if not self.config.append_eos:
            return None
        eos = self.backend.token_to_id(self.eos_token) if self.eos_token else None
        if eos is None:
            raise TokenizerError(f"{self.name}: tokens.append_eos is set, but the tokenizer names no EOS token")
        if self.suffix_ids[-1:] == [eos]:
            self.suffix_ids = self.suffix_ids[:-1]
        return int(eos)

    def _choose_engine(self, spec: dict[str, Any], spec_json: str) -> Engine:
        wanted = self.config.engine
        if wanted == "reference":
            return self.reference
        problem = ""
        if not is_byte_level(spec):
            problem = "it is not a byte-level BPE with normaliser none or NFC"
        else:
            try:
                engine = FastEngine(spec_json, self.reference)
                texts = [self.normalize(text) for text in PROBE]
                if same_ids(engine.encode(texts), self.reference.encode(texts)):
                    return engine
                problem = "fastokens and tokenizers differ on the probe"
            except ImportError:
                problem = "fastokens is not installed; pip install 'deepcoder-hf[fast]'"
            except ValueError as error:
                problem = f"fastokens cannot load it ({error})"
        if wanted == "fast":
            raise TokenizerError(f"{self.name}: tokens.engine is fast, but {problem}; use tokens.engine: auto")
        return self.reference

    def normalize(self, text: str) -> str:
        """The text as the tokenizer would see it: NFC where it normalises so, else unchanged."""
        if not self.nfc or text.isascii():
            return text
        from unicodedata import is_normalized, normalize

        return text if is_normalized("NFC", text) else normalize("NFC", text)


def require_byte_level(name: str, spec: dict[str, Any]) -> None:
    """Make sure that recorded ids can be used with a tokenizer.

    Raises:
        TokenizerError: It is no byte-level BPE.
    """
    if not is_byte_level(spec):
        raise TokenizerError(
            f"{name}: recorded token ids need a byte-level BPE tokenizer with normaliser none or NFC, whose tokens are "
            "fixed bytes; use tokens.source: rendered"
        )


def _normalizes_nfc(normalizer: dict[str, Any] | None) -> bool:
    if normalizer is None:
        return False
    return bool(normalizer["type"] == "NFC")


def _digest(spec: dict[str, Any]) -> str:
    """Digest of what decides a text's ids, 16 hex digits: vocabulary, merges, normaliser, splitting, added tokens."""
    model = {key: value for key, value in spec["model"].items() if value not in (None, False, "", 0.0)}
    added = sorted(
        (t["id"], t["content"], t["normalized"], t["lstrip"], t["rstrip"], t["single_word"])
        for t in spec["added_tokens"]
    )
    facts = [model, spec.get("normalizer"), _without_offsets(spec.get("pre_tokenizer")), added]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _without_offsets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_offsets(item) for key, item in value.items() if key != "trim_offsets"}
    return [_without_offsets(item) for item in value] if isinstance(value, list) else value


def cached_tokenizer(config: TokensConfig) -> TrajectoryTokenizer:
    """The tokenizer of a configuration, loaded once a process: lengths and windows are no part of it."""
    return _tokenizer(config.model_copy(update={"max_length": 32768, "overflow": "window"}))


@lru_cache(maxsize=8)
def _tokenizer(config: TokensConfig) -> TrajectoryTokenizer:
    return TrajectoryTokenizer(config)


def with_added(
    encoded: Encoded,
    prefix: Sequence[int],
    suffix: Sequence[int],
    eos_id: int | None = None,
    ends: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Put special tokens around each text.

    Args:
        encoded: Tokens of R texts.
        prefix: Ids before each text.
        suffix: Ids after each text.
        eos_id: Id after the suffix, or None.
        ends: Which texts end their trajectory and get the EOS, bool [R]; None for all.

    Returns:
        ids, int32, and where each row's begin, int64 [R + 1].
    """
    n_texts = encoded.rows.size - 1
    n_eos = np.zeros(n_texts, np.int64)
    if eos_id is not None:
        n_eos[:] = 1 if ends is None else ends
    if not (len(prefix) + len(suffix) + n_eos.sum()):
        return encoded.ids, encoded.rows
    rows = encoded.rows + np.concatenate([[0], np.cumsum(len(prefix) + len(suffix) + n_eos)])
    ids = np.empty(int(rows[-1]), np.int32)
    inner = np.ones(ids.size, bool)
    for offset, token in enumerate(prefix):
        ids[rows[:-1] + offset], inner[rows[:-1] + offset] = token, False
    for offset, token in enumerate(reversed(suffix), start=1):
        ids[rows[1:] - n_eos - offset], inner[rows[1:] - n_eos - offset] = token, False
    last = rows[1:][n_eos == 1] - 1
    ids[last], inner[last] = -1 if eos_id is None else eos_id, False
    ids[inner] = encoded.ids
    return ids, rows
