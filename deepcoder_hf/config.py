"""The configuration as typed, frozen objects: one section a stage, in the order of the data flow.

Order of precedence: the defaults here, then YAML files from left to right, then `--set dotted.path=value`, then a
dedicated flag. `load_config` (deepcoder_hf/settings.py) reads the files; this module says what may stand in them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_MODEL = "Qwen/Qwen3-30B-A3B"
Ratio = Field(ge=0.0, le=1.0)


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, objects are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ReadersConfig(Section):
    """Limits of what is read; a record past a limit is a reject with the reason named here."""

    max_record_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Longest record in bytes of JSON or text; reason `record_too_large`."""
    max_depth: int = Field(default=200, ge=4, le=500)
    """Deepest nesting of JSON; reason `json_too_deep`."""
    max_integer_digits: int = Field(default=4300, ge=640)
    """Longest integer literal in JSON, in digits; reason `integer_too_long`."""
    max_file_bytes: int = Field(default=1 << 40, ge=1024)
    """Most bytes one file may decompress to; reason `file_too_large`."""
    max_compression_ratio: float = Field(default=200.0, ge=1.0)
    """Most bytes one compressed byte may expand to, once 64 MiB have come out; reason `compression_ratio`."""
    licence: str | None = None
    """Licence of the source, recorded in each row's metadata where the record names none."""


class RenderingConfig(Section):
    """How structured records become text."""

    layout: Literal["plain"] = "plain"
    """`plain`: the documented layout of rendering/plain.py."""


class PatternConfig(Section):
    """One detection pattern; the same shape as an entry of spans/patterns/*.yaml."""

    name: str = Field(min_length=1)
    """Unique name, recorded in the column `spans.pattern`."""
    span_type: Literal["reasoning", "action", "observation", "answer", "other"]
    """What the marked text is; `other` marks turns of system and user."""
    kind: Literal["tag", "label", "fence", "turn"]
    """tag: open .. close. label: at a line's start, up to the next marker. fence: a code fence. turn: a chat turn."""
    open: str = Field(min_length=1)
    """Regular expression of the opening marker; begins with a literal, no unbounded repeats."""
    close: str | None = None
    """Regular expression of the closing marker (tags and fences)."""
    subtype: str = ""
    """Subtype of the spans; the pattern's name where empty."""
    role: Literal["system", "user", "assistant", "tool"] | None = None
    """For kind turn: who speaks."""
    confidence: float = Ratio
    """Confidence of a span that this pattern opens and that ends properly."""
    styles: tuple[str, ...] = ()
    """Conventions that the pattern was written for."""
    example: str = Field(min_length=1)
    """Text in which the detector must find this pattern with this type."""
    counter_example: str = Field(min_length=1)
    """Text in which the detector must not find this pattern."""


class SpansConfig(Section):
    """Span detection in flattened text."""

    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """Spans below this confidence become OTHER (the seed's confidence_threshold)."""
    families: tuple[str, ...] | None = None
    """Names of the built-in patterns to use; null uses all. Turns of user, system and tool are always known.
    Naming some also switches the recognition of unknown conventions off."""
    patterns: tuple[PatternConfig, ...] = ()
    """Patterns of your own; one with a built-in name replaces it."""
    leave_out: tuple[str, ...] = ()
    """Conventions whose patterns and rules are switched off, to measure what the rest makes of their texts."""


class TokensConfig(Section):
    """Tokenizer, engine and length."""

    model_name: str = DEFAULT_MODEL
    """Hub name, local folder, or tokenizer.json file. Qwen3 names need no network."""
    engine: Literal["auto", "reference", "fast"] = "auto"
    """auto: fast where `fastokens` is installed and proves equal. Rows are the same either way."""
    add_special_tokens: bool = True
    """Let the tokenizer add the special tokens that it adds to a plain text (BOS and the like)."""
    append_eos: bool = False
    """Put the EOS token after the end of a trajectory (not of a window); trained where the last span is."""
    max_length: int = Field(default=32768, ge=16)
    """Longest row, in tokens, special tokens included."""
    overflow: Literal["window", "drop", "truncate", "error"] = "window"
    """What happens to a longer trajectory: several windows, a counted drop, a cut row, or an error that stops."""


class MasksConfig(Section):
    """Which span types are trained as what."""

    answer: Literal["action", "own", "none"] = "action"
    """Visible answers: trained as action (the paper's grouping), in labels only (`own`), or not at all."""
    preamble: Literal["reasoning", "action", "none"] = "reasoning"
    """Visible text before a call in the same turn."""
    straddle: Literal["first", "majority", "none"] = "first"
    """Who owns a token over a span border: the span of its first character, of most characters, or nobody."""


class FiltersConfig(Section):
    """Quality filters on whole trajectories; null turns one off. Ratios are of real tokens, by span type."""

    min_reasoning_ratio: float | None = Field(default=None, ge=0.0, le=1.0)
    """Least share of reasoning tokens."""
    min_action_ratio: float | None = Field(default=None, ge=0.0, le=1.0)
    """Least share of action tokens."""
    max_other_ratio: float | None = Field(default=None, ge=0.0, le=1.0)
    """Most share of tokens of type other."""
    min_confidence: float | None = Field(default=None, ge=0.0, le=1.0)
    """Least mean span confidence, weighted by tokens."""
    min_tokens: int | None = Field(default=None, ge=0)
    """Shortest trajectory in tokens."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest trajectory in tokens, before windows are cut."""
    min_reward: float | None = None
    """Least reward; a trajectory without a reward is dropped with the reason `no_reward`."""
    drop_duplicates: bool = False
    """Keep the first of trajectories with exactly the same text."""


class DatasetConfig(Section):
    """How the pipeline runs; nothing here changes a row."""

    cache_dir: str | None = None
    """Folder of the Arrow cache; null uses HF_DATASETS_CACHE."""
    shard_records: int = Field(default=2000, ge=1)
    """Records a shard: an interrupted run starts again after the last finished one."""
    shard_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    """Bytes of raw trajectories a shard, at most (one record at least)."""


class Config(Section):
    """The whole configuration; the sections mirror the stages."""

    readers: ReadersConfig = ReadersConfig()
    rendering: RenderingConfig = RenderingConfig()
    spans: SpansConfig = SpansConfig()
    tokens: TokensConfig = TokensConfig()
    masks: MasksConfig = MasksConfig()
    filters: FiltersConfig = FiltersConfig()
    dataset: DatasetConfig = DatasetConfig()
