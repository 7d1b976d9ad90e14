"""The pattern library: YAML entries -> checked, compiled markers, grouped by the first literal of their expression.

A pattern finds markers, never whole spans: a lazy `<think>.*?</think>` is quadratic on unclosed tags, while two literal
markers and a state machine (detector.py) are linear. One expression per first byte lets `re` jump with memchr.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import ValidationError

from deepcoder_hf.config import PatternConfig, SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.expressions import by_first_byte, by_literals, check_expression, either
from deepcoder_hf.spans.rules import RULES, enabled_rules

LINE = "\n"
LABEL = r"\n[ \t]{0,3}+(?:\*\*|#{1,4} )?+"
"""What may stand before a label: a line's start, indentation, bold, a Markdown heading."""

FENCES = (r"```[^\s`<][^\n`]{0,80}(?=\n)", r"```(?=[\s<])")
"""Fences of any language, and plain ones, which may also close, before a control token too: the machine knows them
without any pattern."""

WEAK = 0.8
"""A pattern below this confidence is weak: its words occur in prose, so it counts only where the context agrees."""

Fence = Literal["", "open", "plain"]
Key = str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Marker:
    """What a match of one expression can mean."""

    opens: tuple[int, ...]
    """Indexes of the patterns that the expression opens; the first that the context allows is taken."""
    closes: tuple[int, ...]
    """Indexes of the patterns that the expression closes."""
    fence: Fence
    """Whether it is a code fence: `open` names a language, `plain` may open or close."""
    keys: tuple[Key, ...]
    """Under what the machine looks it up: ("open", index), ("close", index), any_turn, turn (not weak),
    turn_end, fence, or a span type (no fence, not weak)."""


@dataclass(frozen=True, slots=True)
class Library:
    """Checked patterns and what the scanner needs to find their markers."""

    patterns: tuple[PatternConfig, ...]
    markers: tuple[Marker, ...]
    groups: tuple[tuple[re.Pattern[bytes], tuple[int, ...], bool], ...]
    """Expression, marker of each of its groups (1-based group number less one), and whether a newline precedes."""
    rules: frozenset[str]
    """Names of the rules that are switched on."""
    own: frozenset[int] = frozenset()
    """Markers of the user's own patterns: no other marker that overlaps one of them counts."""


def _marker_sources(pattern: PatternConfig) -> list[tuple[str, str, bool]]:
    """(expression, what must stand before it, opens) of each marker of a pattern."""
    body, at_line_start = check_expression(pattern, "open")
    anchor = LABEL if pattern.kind == "label" else LINE if at_line_start else ""
    sources = [(body, anchor, True)]
    if pattern.close and pattern.kind in ("label", "turn"):
        raise ConfigError(f"pattern {pattern.name!r}: close is for tags; a {pattern.kind} ends at the next marker")
    if pattern.kind == "tag" and pattern.close:
        body, at_line_start = check_expression(pattern, "close")
        sources.append((body, LINE if at_line_start else "", False))
    return sources


def compile_library(patterns: Sequence[PatternConfig], leave_out: Sequence[str] = (), n_own: int = 0) -> Library:
    """Compile patterns into one expression per first byte.

    Args:
        patterns: The patterns; of two that can match at one place the first wins.
        leave_out: Conventions whose rules are switched off.
        n_own: How many patterns, from the first, are the user's own; their markers are searched on their own, so that
            no built-in marker can take their place.

    Raises:
        ConfigError: Two patterns share a name, or an opening expression and a type; or an expression is refused.
    """
    found = _by_expression(patterns)
    for body in FENCES:
        found.setdefault((body, LINE), ([], []))
    markers: list[Marker] = []
    own: set[int] = set()
    grouped: dict[tuple[str, bytes, bool], list[tuple[str, int]]] = {}
    for number, ((body, anchor), (opened, closed)) in enumerate(found.items()):
        markers.append(_marker(body, opened, closed, patterns))
        if is_own := any(index < n_own for index in (*opened, *closed)):
            own.add(number)
        first = b"" if anchor else body.lstrip("\\").encode("utf-8", "surrogatepass")[:1]
        grouped.setdefault((anchor, first, is_own), []).append((body, number))
    groups = tuple(_alternation(anchor, members) for (anchor, _, _), members in grouped.items())
    return Library(tuple(patterns), tuple(markers), groups, enabled_rules(leave_out), frozenset(own))


def _by_expression(patterns: Sequence[PatternConfig]) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
    """Which patterns each (expression, what must stand before it) opens, and which it closes."""
    names: set[str] = set()
    found: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for index, pattern in enumerate(patterns):
        if pattern.name in names:
            raise ConfigError(f"pattern {pattern.name!r}: the name is used twice")
        names.add(pattern.name)
        for body, anchor, opens in _marker_sources(pattern):
            opened, closed = found.setdefault((body, anchor), ([], []))
            for other in opened if opens else ():
                if patterns[other].span_type == pattern.span_type:
                    raise ConfigError(
                        f"pattern {pattern.name!r}: open is the same as in {patterns[other].name!r}: {pattern.open!r}"
                    )
            (opened if opens else closed).append(index)
    return found


def _marker(body: str, opened: list[int], closed: list[int], patterns: Sequence[PatternConfig]) -> Marker:
    fence: Fence = ""
    if body in FENCES or any(patterns[index].kind == "fence" for index in opened):
        fence = "plain" if re.match(body, "```\n") else "open"
    keys: list[Key] = [("close", index) for index in closed]
    for index in opened:
        pattern = patterns[index]
        keys.append(("open", index))
        if pattern.kind == "turn":
            keys += ["any_turn"] if pattern.confidence < WEAK else ["any_turn", "turn"]
            keys += [] if pattern.role else ["turn_end"]
        elif pattern.kind != "fence" and pattern.confidence >= WEAK:
            keys.append(pattern.span_type)
    return Marker(tuple(opened), tuple(closed), fence, (*keys, "fence") if fence else tuple(keys))


def _alternation(anchor: str, members: list[tuple[str, int]]) -> tuple[re.Pattern[bytes], tuple[int, ...], bool]:
    """One expression for all markers that begin alike, and which marker each of its groups stands for."""
    # Specific before general: `<tool_calls>` before `<tool_call`, a fence of a named language before one of any.
    members.sort(key=lambda member: (member[0] in FENCES, _any_fence(member[0]), -len(member[0])))
    # An empty group at the end of each alternative tells which one matched, and leaves the quick reject on the first
    # literal alone, as a group around the alternative would not. The set of first bytes rejects most lines at once.
    bodies = [body for body, _ in members]
    if anchor:
        branching, order = by_first_byte(bodies)
        return re.compile(anchor.encode() + branching), tuple(members[n][1] for n in order), True
    source, order = by_literals(bodies) or (either(bodies), list(range(len(bodies))))
    return re.compile(source.encode("utf-8", "surrogatepass")), tuple(members[n][1] for n in order), False


def _any_fence(body: str) -> bool:
    return body.startswith("```[")


def parse_patterns(text: str, source: str) -> list[PatternConfig]:
    """Read a YAML list of patterns.

    Args:
        text: The YAML.
        source: What to name in errors.

    Raises:
        ConfigError: It is not a list of patterns; all problems are named.
    """
    try:
        entries = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {error}") from None
    if not isinstance(entries, list):
        raise ConfigError(f"{source}: expected a list of patterns, got {type(entries).__name__}")
    patterns, problems = [], []
    for number, entry in enumerate(entries):
        try:
            patterns.append(PatternConfig.model_validate(entry))
        except ValidationError as error:
            name = entry.get("name", number) if isinstance(entry, dict) else number
            problems += [f"{source}: {name}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    if problems:
        raise ConfigError("\n".join(problems))
    return patterns


@lru_cache(maxsize=1)
def builtin_patterns() -> tuple[PatternConfig, ...]:
    """The patterns that ship with the package, in the order of their files' names."""
    folder = resources.files("deepcoder_hf.spans") / "patterns"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return tuple(p for f in files for p in parse_patterns(f.read_text(encoding="utf-8"), f.name))


@lru_cache(maxsize=16)
def load_library(config: SpansConfig) -> Library:
    """The library that a configuration asks for: its own patterns, then the built-in ones that it does not replace.

    Raises:
        ConfigError: A family or convention is unknown, or a pattern is refused or does not find its example.
    """
    builtin = builtin_patterns()
    _check_names(config, builtin)
    if config.families is not None:
        builtin = tuple(p for p in builtin if p.name in config.families or p.span_type == "other")
    if config.patterns:
        _check_own(config.patterns)
    left_out = set(config.leave_out)
    own, builtin = (tuple(p for p in some if not left_out & set(p.styles)) for some in (config.patterns, builtin))
    return _with_own(own, builtin, config.leave_out)


def _with_own(own: Sequence[PatternConfig], builtin: Sequence[PatternConfig], leave_out: Sequence[str] = ()) -> Library:
    """The user's patterns, then the built-in ones that they do not replace."""
    names = {p.name for p in own}
    opens = {(p.kind, p.open) for p in own}
    kept = [p for p in builtin if p.name not in names and (p.kind, p.open) not in opens]
    return compile_library([*own, *kept], leave_out, len(own))


@lru_cache(maxsize=16)
def _check_own(patterns: tuple[PatternConfig, ...]) -> None:
    """Make sure that the user's patterns find their examples, beside all built-in ones, whatever is left out."""
    from deepcoder_hf.spans.examples import check_examples  # it holds the detector, which imports this module

    check_examples(patterns, _with_own(patterns, builtin_patterns()))


def _check_names(config: SpansConfig, builtin: Sequence[PatternConfig]) -> None:
    if unknown := sorted(set(config.families or ()) - {p.name for p in builtin}):
        raise ConfigError(f"spans.families: no built-in pattern is named {', '.join(unknown)}")
    known = {style for p in (*builtin, *config.patterns) for style in p.styles}
    known |= {style for rule in RULES.values() for style in rule.styles}
    if unknown := sorted(set(config.leave_out) - known):
        unwritten, written = ", ".join(unknown), ", ".join(sorted(known))
        raise ConfigError(f"spans.leave_out: no pattern or rule is written for {unwritten}; known: {written}")
