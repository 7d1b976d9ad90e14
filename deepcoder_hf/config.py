"""The configuration as typed, frozen objects: one section a stage, in the order of the data flow.

Order of precedence: the defaults here, then YAML files from left to right, then `--set dotted.path=value`, then a
dedicated flag. `load_config` (deepcoder_hf/settings.py) reads the files; this module says what may stand in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    max_unread_ratio: float = Field(default=0.01, ge=0.0, le=1.0)
    """Most of a record's text that may stand in fields which its reader does not know; reason `unread_fields`."""
    ignore: tuple[str, ...] = ()
    """Paths of fields that may stay unread, such as `patch` (at any depth) or `info.*`; see readers/claims.py."""


class RenderingConfig(Section):
    """How structured records become text; flattened records stay as they are."""

    template: str = "auto"
    """auto: the tokenizer's own chat template, else `chatml` where it knows <|im_start|>, else `plain`; `tokenizer`:
    its own or an error; `chatml`: rendering/chatml.jinja; `plain`: rendering/plain.py; else the path of a template."""
    reasoning: Literal["keep", "template", "per_turn"] = "keep"
    """What becomes of reasoning that a chat template leaves out of past turns. keep: rendered all the same, by a switch
    of the template, else by writing each turn as the template does when it is the last, else per_turn; template: left
    out, and counted; per_turn: several rows, each turn trained where the template renders it whole."""
    control_tokens: Literal["escape", "keep", "fail"] = "escape"
    """Control tokens that stand literally in system, user or tool text: encoded as ordinary characters, left as they
    are, or the reject `control_token`."""
    switches: dict[str, str | bool | int | float] = {}
    """Variables for the chat template, such as `enable_thinking: false`."""

    def __hash__(self) -> int:
        """Like `==`: the order of the switches does not count."""
        return hash((self.template, self.reasoning, self.control_tokens, frozenset(self.switches.items())))


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
    source: Literal["rendered", "recorded"] = "rendered"
    """recorded: where every step to be trained carries the ids that the model was given and gave, rows are exactly
    these ids, trained inside completions only; differences from the rendering and trajectories without ids are counted.
    Needs a byte-level BPE tokenizer, the model's own."""
    add_special_tokens: bool = True
    """Let the tokenizer add the special tokens that it adds to a plain text (BOS and the like)."""
    append_eos: bool = False
    """Put the EOS token after the end of a trajectory (not of a window); trained where the last span is."""
    max_length: int = Field(default=32768, ge=16)
    """Longest row, in tokens, special tokens included."""
    overflow: Literal["window", "drop", "truncate", "error"] = "window"
    """What happens to a longer trajectory: several windows, a counted drop, a cut row, or an error that stops. Recorded
    ids that differ from the rendering are not cut into windows, which would be tokenised anew: they are dropped."""


PresetName = Literal["sad", "trl", "axolotl", "renderers"]
PRESETS: dict[str, dict[str, str]] = {
    "sad": {},
    "trl": {"turn_end": "trained", "empty_think": "reasoning", "summary": "reasoning"},
    "axolotl": {"summary": "reasoning"},
    "renderers": {"empty_think": "reasoning", "summary": "reasoning"},
}
"""What other tools train, as mask settings; measured on the Qwen3 tokenizer by benchmarks/compare_masks.py.

sad: the defaults of `MasksConfig`. trl: TRL 1.16, SFTTrainer with assistant_only_loss=True: its training template for
Qwen3 puts the whole turn but its header between the generation marks. axolotl: 0.19.0, type chat_template with its
defaults (roles_to_train assistant, train_on_eos turn): it finds a turn by rendering the conversation again with another
content there, so what the template writes both times is not trained. renderers: 0.1.12, build_training_sample of
Qwen3Renderer: what the model samples. All three train reasoning whoever wrote it, hence `summary`. None of them knows
two masks: a preset says which tokens are trained, and leaves as what (`answer`, `preamble`) at the defaults.
`straddle` is in no preset, each tool has a way of its own with tokens over span borders. Turns that the source marks as
not to be trained are trained in no preset (TRL reads no such mark; the others do where they are told its name)."""


class MasksConfig(Section):
    """Which span types are trained as what."""

    answer: Literal["action", "own", "none"] = "action"
    """Visible answers: trained as action (the paper's grouping), in labels only (`own`), or not at all."""
    preamble: Literal["reasoning", "action", "none"] = "reasoning"
    """Visible text before a call in the same turn."""
    reasoning: Literal["reasoning", "none"] = "reasoning"
    """Reasoning, with its tags."""
    action: Literal["action", "none"] = "action"
    """Calls, with what wraps them."""
    stop: Literal["trained", "none"] = "trained"
    """The token that ends an agent's turn: trained where anything of the turn is, or never."""
    turn_end: Literal["trained", "none"] = "none"
    """What the template writes between the stop token and the next turn (a newline): nobody's, or trained like it."""
    empty_think: Literal["reasoning", "none"] = "none"
    """Empty think blocks that the template puts into a turn without reasoning."""
    summary: Literal["reasoning", "none"] = "none"
    """Reasoning that the provider has summarised."""
    straddle: Literal["first", "majority", "none"] = "first"
    """Who owns a token over a span border: the span of its first character, of most characters, or nobody."""
    preset: PresetName | None = Field(default=None, exclude=True)
    """What another tool trains (`PRESETS`): fills in the settings above that are not given, and is then null again."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Put the settings of a preset beneath those that are given; a preset that is none is left to be reported."""
        name = given.get("preset") if isinstance(given, Mapping) else None
        if not isinstance(name, str) or name not in PRESETS:
            return given
        return {**PRESETS[name], **{key: value for key, value in given.items() if key != "preset"}}


def preset_of(masks: MasksConfig) -> str | None:
    """The preset that these settings are, whoever owns the tokens over span borders; None where they are none."""
    return next((name for name in PRESETS if with_preset(masks, name) == masks), None)


def with_preset(masks: MasksConfig, name: str) -> MasksConfig:
    """The settings of a preset, with the owner of tokens over span borders of other settings."""
    return MasksConfig.model_validate({"preset": name, "straddle": masks.straddle})


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
