"""load_config: defaults < YAML files and recipes, left to right < `dotted.path=value`; all problems at once.

The shape of the first design, `trajectory_processing:`, is mapped onto the sections in one place, `_from_seed`. Each
source is checked by itself, so that a problem is named as it was written, and does not hide those of other sources.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from deepcoder_hf.config import Config, PatternConfig
from deepcoder_hf.errors import ConfigError

Source = Config | Mapping[str, Any] | str | Path
SEED = "trajectory_processing"
SEED_KEYS = ("model_name", "max_length", "span_detection", "quality_filtering")
SEED_PATTERNS = {"thinking_patterns": "reasoning", "action_patterns": "action", "observation_patterns": "observation"}


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says: a file, mapping or `--set`, or the part of it in the shape of the first design."""

    source: str
    """What to name in errors."""
    sections: dict[str, Any]
    """Settings by section; what is found to be wrong is taken out."""
    problems: list[str] = field(default_factory=list)
    """A line each, beginning with the path as it was written."""
    written: dict[tuple[Any, ...], str] = field(default_factory=dict)
    """Places in the sections -> the path under which they were written, where that is another."""

    def path(self, *place: Any) -> str:
        """The dotted path of a place as it was written."""
        for n in range(len(place), 0, -1):
            if place[:n] in self.written:
                return ".".join([self.written[place[:n]], *map(str, place[n:])])
        return ".".join(map(str, place))

    def take_out(self, section: Any, key: Any = None) -> None:
        """Leave out a setting, or a section that is none."""
        part = self.sections.get(section)
        if isinstance(part, dict) and key is not None:
            part.pop(key, None)
        else:
            self.sections.pop(section, None)


def recipe_names() -> list[str]:
    """Names that `--config` takes without a file: the recipes that ship with the package."""
    files = (resources.files("deepcoder_hf") / "recipes").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def load_config(sources: Source | Sequence[Source] | None = None, sets: Sequence[str] = ()) -> Config:
    """Build the configuration.

    Args:
        sources: Mappings, YAML files or recipe names; later ones win. None gives the defaults.
        sets: `dotted.path=value`, the value as YAML; they win over the sources.

    Raises:
        ConfigError: A file is missing or not YAML, settings are unknown, out of range or contradict each other, or a
            pattern is unknown or refused: every problem is a line with its path and the nearest valid name, after the
            name of its source where there are several. A wrong value is one even where a later source replaces it.
    """
    if isinstance(sources, Config) and not sets:
        return sources
    many = [] if sources is None else [sources] if isinstance(sources, Config | Mapping | str | Path) else list(sources)
    problems: list[str] = []
    layers: list[Layer] = []
    for read in (*(partial(_read, source) for source in many), *(partial(_parse_set, setting) for setting in sets)):
        try:
            layers += read()
        except ConfigError as error:
            problems.append(str(error))
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        _check(layer)
        for name, section in layer.sections.items():
            merged.setdefault(name, {}).update(section)
    config = Config.model_validate(merged)
    _check_together(config, layers)
    for layer in layers:
        problems += [f"{layer.source}: {problem}" if len(many) > 1 else problem for problem in layer.problems]
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def create_trajectory_processing_config(
    max_length: int | None = None,
    min_reasoning_ratio: float | None = None,
    min_action_ratio: float | None = None,
    max_other_ratio: float | None = None,
    confidence_threshold: float | None = None,
    model_name: str | None = None,
) -> Config:
    """The configuration from the settings of the first design; None leaves a default.

    Args:
        max_length: Longest row in tokens.
        min_reasoning_ratio, min_action_ratio, max_other_ratio: Least and most shares of tokens, in [0, 1].
        confidence_threshold: Spans below it become OTHER, in [0, 1].
        model_name: The tokenizer.

    Raises:
        ConfigError: A value is out of range.
    """
    values: dict[str, dict[str, Any]] = {
        "tokens": {"max_length": max_length, "model_name": model_name},
        "spans": {"min_confidence": confidence_threshold},
        "filters": {
            "min_reasoning_ratio": min_reasoning_ratio,
            "min_action_ratio": min_action_ratio,
            "max_other_ratio": max_other_ratio,
        },
    }
    return load_config({name: {k: v for k, v in part.items() if v is not None} for name, part in values.items()})


def _read(source: Source) -> list[Layer]:
    if isinstance(source, Config):
        return [Layer("configuration", source.model_dump(mode="json", exclude_unset=True))]
    if isinstance(source, Mapping):
        return _layers(source, "configuration")
    path, names = Path(source), recipe_names()
    recipe = isinstance(source, str) and source in names and not path.is_file()
    try:
        file = resources.files("deepcoder_hf") / "recipes" / f"{source}.yaml" if recipe else path
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        expected = f"expected a YAML file or one of the recipes {', '.join(names)}"
        raise ConfigError(f"config {str(source)!r}: {reason}; {expected}") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"config {str(source)!r}: not valid YAML: {problem}") from None
    if not isinstance(content, dict | None):
        raise ConfigError(f"config {str(source)!r}: expected sections such as `tokens:`, got {type(content).__name__}")
    return _layers(content or {}, str(source))


def _layers(content: Mapping[str, Any], source: str) -> list[Layer]:
    """The part in the shape of the first design, then the sections, which win over it."""
    plain = {k: v.model_dump(exclude_unset=True) if isinstance(v, BaseModel) else v for k, v in content.items()}
    seed = plain.pop(SEED, None)
    sections = {str(k): {str(n): s for n, s in v.items()} if isinstance(v, Mapping) else v for k, v in plain.items()}
    own = Layer(source, sections)
    return [own] if seed is None else [_from_seed(seed, source), own]


def _from_seed(seed: Any, source: str) -> Layer:
    """Map the block `trajectory_processing:` onto the sections; what it cannot hold is a problem of the layer.

    It holds model_name, max_length, span_detection (thinking_patterns, action_patterns, observation_patterns: names of
    built-in patterns, or patterns of one's own; confidence_threshold) and quality_filtering.
    """
    spans = f"{SEED}.span_detection"
    written: dict[tuple[Any, ...], str] = {("tokens",): SEED, ("spans",): spans}
    written |= {("spans", "min_confidence"): f"{spans}.confidence_threshold", ("filters",): f"{SEED}.quality_filtering"}
    layer = Layer(source, {}, [], written)
    block = _known(seed, SEED, SEED_KEYS, layer)
    detection = _known(block.get("span_detection"), spans, (*SEED_PATTERNS, "confidence_threshold"), layer)
    filters = _known(block.get("quality_filtering"), layer.path("filters"), _fields_at(["filters"]), layer)
    tokens = {key: block[key] for key in ("model_name", "max_length") if key in block}
    layer.sections.update(tokens=tokens, spans={}, filters=filters)
    if "confidence_threshold" in detection:
        layer.sections["spans"]["min_confidence"] = detection["confidence_threshold"]
    if any(name in detection for name in SEED_PATTERNS):
        layer.sections["spans"] |= _seed_patterns(detection, layer)
    return layer


def _known(block: Any, path: str, known: Sequence[str], layer: Layer) -> dict[str, Any]:
    """The known settings of a block of the first design; others are problems of the layer."""
    if block is not None and not isinstance(block, Mapping):
        layer.problems.append(f"{path}: expected settings, got {type(block).__name__}")
        return {}
    layer.problems.extend(_unknown(path, str(key), known) for key in block or {} if key not in known)
    return {key: value for key, value in (block or {}).items() if key in known}


def _seed_patterns(detection: Mapping[str, Any], layer: Layer) -> dict[str, Any]:
    from deepcoder_hf.spans.library import builtin_patterns

    names = [p.name for p in builtin_patterns() if p.span_type in ("other", "answer")]
    own: list[Any] = []
    for key, kind in SEED_PATTERNS.items():
        path = layer.path("spans", key)
        of_kind = [p.name for p in builtin_patterns() if p.span_type == kind]
        entries = detection.get(key, of_kind)
        if not isinstance(entries, list | tuple):
            layer.problems.append(f"{path}: expected a list of names or patterns, got {entries!r}")
            continue
        for number, entry in enumerate(entries):
            if isinstance(entry, Mapping):
                layer.written["spans", "patterns", len(own)] = f"{path}.{number}"
                own.append({"span_type": kind, **entry})
            elif entry in of_kind:
                names.append(entry)
            else:
                layer.problems.append(_unknown(path, str(entry), of_kind, "built-in pattern"))
    return {"families": names, "patterns": own}


def _check(layer: Layer) -> None:
    """Find the problems of a layer and take what is wrong out of it, so that the rest can be checked on."""
    try:
        spans = Config.model_validate(layer.sections).spans
    except ValidationError as error:
        for found in error.errors():
            layer.problems.append(_explain(found, layer))
            layer.take_out(*found["loc"][:2])
        spans = Config.model_validate(layer.sections).spans
    if not spans.families and not spans.patterns:
        return
    from deepcoder_hf.spans.library import builtin_patterns, compile_library

    known = [pattern.name for pattern in builtin_patterns()]
    if unknown := [name for name in spans.families or () if name not in known]:
        place = layer.path("spans", "families")
        layer.problems.extend(_unknown(place, name, known, "built-in pattern") for name in unknown)
        layer.sections["spans"]["families"] = [name for name in spans.families or () if name in known]
    for number, pattern in enumerate(spans.patterns):
        try:
            compile_library([pattern])
        except ConfigError as error:
            layer.problems.append(f"{layer.path('spans', 'patterns', number)}: {error}")
            layer.take_out("spans", "patterns")


def _check_together(config: Config, layers: Sequence[Layer]) -> None:
    """Find settings that contradict each other; the layer that was last to write one gets the problem."""

    def written(section: str, key: str) -> tuple[Layer, str]:
        layer = next(layer for layer in reversed(layers) if key in layer.sections.get(section, ()))
        return layer, layer.path(section, key)

    least, most = config.filters.min_tokens, config.filters.max_tokens
    if least is not None and most is not None and most < least:
        layer, path = written("filters", "max_tokens")
        other = written("filters", "min_tokens")[1]
        layer.problems.append(f"{path}: expected at least {other}, which is {least}, got {most}")
    if config.spans.patterns:
        from deepcoder_hf.spans.library import load_library

        try:
            load_library(config.spans)
        except ConfigError as error:
            layer, path = written("spans", "patterns")
            layer.problems.append(f"{path}: {error}")


def _parse_set(setting: str) -> list[Layer]:
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {setting!r}: expected dotted.path=value, for example tokens.max_length=4096")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {setting!r}: the value is not valid YAML") from None
    for key in reversed(path.strip().split(".")):
        value = {key: value}
    return _layers(value, "--set")


def _explain(error: Any, layer: Layer) -> str:
    place = error["loc"]
    if error["type"] == "extra_forbidden":
        return _unknown(layer.path(*place[:-1]), str(place[-1]), _fields_at(place[:-1]))
    return f"{layer.path(*place)}: {error['msg']}, got {error['input']!r}"


def _unknown(where: str, key: str, known: Sequence[str], what: str = "setting") -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    names = [*known[:12], "..."] if len(known) > 12 else known
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return f"{where + '.' if where else ''}{key}: no such {what}; {hint}"


def _fields_at(place: Sequence[Any]) -> list[str]:
    """Names of the settings of a section, or of a pattern: nothing else nests deeper."""
    if not place:
        return [*Config.model_fields, SEED]
    model: Any = PatternConfig if len(place) > 1 else Config.model_fields[place[0]].annotation
    return list(model.model_fields)
