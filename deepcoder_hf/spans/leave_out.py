"""Leaving a convention out: the detector without the patterns and rules that were written for it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from deepcoder_hf.config import SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.library import builtin_patterns, load_library
from deepcoder_hf.spans.rules import RULES

ALL = "all"
"""Asks for each convention of the labelled texts, in turn."""


def known_styles(config: SpansConfig) -> set[str]:
    """Conventions that a built-in pattern, a rule, or a pattern of the configuration names."""
    of_patterns = {style for pattern in (*builtin_patterns(), *config.patterns) for style in pattern.styles}
    return of_patterns | {style for rule in RULES.values() for style in rule.styles}


def without_style(config: SpansConfig, style: str) -> SpansConfig:
    """The configuration without what was written for a convention, patterns of its own included.

    Args:
        config: The detector's section.
        style: The convention; one that nothing names changes nothing.
    """
    names = [style] if style in known_styles(config) else []
    return config.model_copy(update={"leave_out": tuple(dict.fromkeys([*config.leave_out, *names]))})


def n_left_out(config: SpansConfig, style: str) -> int:
    """How many patterns and rules `without_style` switches off; 0 where nothing names the convention."""
    all_of_it, rest = load_library(config), load_library(without_style(config, style))
    return len(all_of_it.patterns) + len(all_of_it.rules) - len(rest.patterns) - len(rest.rules)


def chosen_styles(asked: str | Sequence[str], present: Collection[str], config: SpansConfig) -> list[str]:
    """The conventions to leave out, each once.

    Args:
        asked: `all`, or names.
        present: Conventions of the labelled texts.
        config: The detector's section.

    Raises:
        ConfigError: A name is in neither, or no labelled text is written in it.
    """
    names = [asked] if isinstance(asked, str) else list(asked)
    if ALL in names:
        return sorted(present)
    for name in names:
        if name in present:
            continue
        styles = ", ".join(sorted(present))
        if name in known_styles(config):
            raise ConfigError(f"leave out {name!r}: no record is of this style; styles of the records: {styles}")
        near = difflib.get_close_matches(name, sorted({*present, *known_styles(config), ALL}), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"styles of the records: {styles}"
        raise ConfigError(f"leave out {name!r}: no record is of this style, and no pattern or rule names it; {hint}")
    return list(dict.fromkeys(names))
