"""load_config: defaults < YAML files and recipes, left to right < `dotted.path=value`; all problems at once.

The shape of the first design, `trajectory_processing:`, is mapped onto the sections in one place, `from_seed`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from deepcoder_hf.config import Config
from deepcoder_hf.errors import ConfigError

Source = Config | Mapping[str, Any] | str | Path
SEED = "trajectory_processing"
SEED_KEYS = ("model_name", "max_length", "span_detection", "quality_filtering")
SEED_PATTERNS = {"thinking_patterns": "reasoning", "action_patterns": "action", "observation_patterns": "observation"}


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
        ConfigError: A file is missing or not YAML, or settings are unknown or out of range: every problem is named,
            with its path and the nearest valid name.
    """
    if isinstance(sources, Config) and not sets:
        return sources
    many = [] if sources is None else [sources] if isinstance(sources, Config | Mapping | str | Path) else list(sources)
    merged: dict[str, Any] = {}
    for source in many:
        _merge(merged, _read(source))
    for setting in sets:
        _merge(merged, _parse_set(setting))
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(e) for e in error.errors())) from None


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
        min_reasoning_ratio: Least share of reasoning tokens, in [0, 1].
        min_action_ratio: Least share of action tokens, in [0, 1].
        max_other_ratio: Most share of other tokens, in [0, 1].
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
    given = {name: {k: v for k, v in section.items() if v is not None} for name, section in values.items()}
    return load_config(given)


def _read(source: Source) -> dict[str, Any]:
    if isinstance(source, Config):
        return source.model_dump(mode="json")
    if isinstance(source, Mapping):
        return _from_yaml(dict(source), "configuration")
    path = Path(source)
    names = recipe_names()
    if isinstance(source, str) and source in names and not path.is_file():
        text = (resources.files("deepcoder_hf") / "recipes" / f"{source}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise ConfigError(
                f"config {str(source)!r}: {reason}; expected a YAML file or one of the recipes {', '.join(names)}"
            ) from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"config {str(source)!r}: not valid YAML: {problem}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"config {str(source)!r}: expected sections such as `tokens:`, got {type(content).__name__}")
    return _from_yaml(content, str(source))


def _from_yaml(content: dict[str, Any], name: str) -> dict[str, Any]:
    seed = content.pop(SEED, None) if SEED in content else None
    if seed is None:
        return content
    if not isinstance(seed, Mapping):
        raise ConfigError(f"{name}: {SEED}: expected settings, got {type(seed).__name__}")
    merged = from_seed(seed)
    _merge(merged, content)
    return merged


def from_seed(seed: Mapping[str, Any]) -> dict[str, Any]:
    """Map `trajectory_processing:` onto the sections.

    Args:
        seed: model_name, max_length, span_detection (thinking_patterns, action_patterns, observation_patterns: names
            of built-in patterns, or patterns of one's own; confidence_threshold) and quality_filtering.

    Raises:
        ConfigError: A key is unknown.
    """
    problems = [_unknown(SEED, key, SEED_KEYS) for key in seed if key not in SEED_KEYS]
    detection = seed.get("span_detection") or {}
    known = (*SEED_PATTERNS, "confidence_threshold")
    problems += [_unknown(f"{SEED}.span_detection", key, known) for key in detection if key not in known]
    if problems:
        raise ConfigError("\n".join(problems))
    tokens = {key: seed[key] for key in ("model_name", "max_length") if key in seed}
    spans: dict[str, Any] = {}
    if "confidence_threshold" in detection:
        spans["min_confidence"] = detection["confidence_threshold"]
    if any(name in detection for name in SEED_PATTERNS):
        spans |= _seed_patterns(detection)
    return {"tokens": tokens, "spans": spans, "filters": dict(seed.get("quality_filtering") or {})}


def _seed_patterns(detection: Mapping[str, Any]) -> dict[str, Any]:
    from deepcoder_hf.spans.library import builtin_patterns

    builtin = builtin_patterns()
    names = [p.name for p in builtin if p.span_type in ("other", "answer")]
    own: list[Any] = []
    problems = []
    for key, kind in SEED_PATTERNS.items():
        of_kind = [p.name for p in builtin if p.span_type == kind]
        for entry in detection.get(key, of_kind):
            if isinstance(entry, Mapping):
                own.append({"span_type": kind, **entry})
            elif entry in of_kind:
                names.append(entry)
            else:
                problems.append(_unknown(f"{SEED}.span_detection.{key}", str(entry), of_kind))
    if problems:
        raise ConfigError("\n".join(problems))
    return {"families": names, "patterns": own}


def _merge(base: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = dict(value) if isinstance(value, Mapping) else value


def _parse_set(setting: str) -> dict[str, Any]:
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {setting!r}: expected dotted.path=value, for example tokens.max_length=4096")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {setting!r}: the value is not valid YAML") from None
    for key in reversed(path.strip().split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def _explain(error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return _unknown(".".join(location[:-1]), location[-1], _fields_at(location[:-1]))
    return f"{'.'.join(location)}: {error['msg']}, got {error['input']!r}"


def _unknown(where: str, key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"{where + '.' if where else ''}{key}: no such setting; {hint}"


def _fields_at(location: Sequence[str]) -> list[str]:
    """Names of the settings of a section."""
    model: Any = Config
    for part in location:
        if part.isdigit() or not isinstance(model, type) or not issubclass(model, BaseModel):
            continue
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        inner = [a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
        model = inner[0] if inner else annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
