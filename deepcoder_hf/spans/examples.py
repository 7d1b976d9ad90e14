"""The examples of the user's own patterns: each must be found, and each counter-example left alone."""

from __future__ import annotations

from collections.abc import Sequence

from deepcoder_hf.config import PatternConfig, SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.library import WEAK, Library
from deepcoder_hf.spans.types import Span

MAX_SHOWN = 40
"""Most characters of a span's text in a message."""


class _Unchecked(SpanDetector):
    """A detector with a library that is not offered to anybody yet."""

    def __init__(self, library: Library) -> None:
        super().__init__(SpansConfig())
        self.library = library


def check_examples(patterns: Sequence[PatternConfig], library: Library) -> None:
    """Make sure that patterns do what their authors say.

    Args:
        patterns: The user's own patterns.
        library: They and the built-in ones.

    Raises:
        ConfigError: An example is not found with its type, or a counter-example is; all problems are named.
    """
    detector = _Unchecked(library)
    problems: list[str] = []
    for pattern in patterns:
        found = detector.detect(pattern.example)
        if not any(s.pattern == pattern.name and s.span_type.value == pattern.span_type for s in found):
            problems.append(_not_found(pattern, found))
        found = detector.detect(pattern.counter_example)
        if any(s.pattern == pattern.name for s in found):
            problems.append(_wrongly_found(pattern, found))
    if problems:
        raise ConfigError("\n".join(problems))


def _not_found(pattern: PatternConfig, found: Sequence[Span]) -> str:
    advice = f"change the example, or open ({pattern.open!r}) so that it matches there"
    if pattern.kind == "tag":
        advice += "; a tag begins its line, and is closed where it has a close"
    elif pattern.kind == "fence":
        advice += "; a fence is an action only where a result follows it"
    if pattern.confidence < WEAK:
        advice += f"; a confidence below {WEAK} also needs context: show a whole step in the example"
    return (
        f"pattern {pattern.name!r}: expected {pattern.span_type} by this pattern in its example, "
        f"found {_shown(pattern.example, found)}; {advice}"
    )


def _wrongly_found(pattern: PatternConfig, found: Sequence[Span]) -> str:
    return (
        f"pattern {pattern.name!r}: expected nothing by this pattern in its counter_example, "
        f"found {_shown(pattern.counter_example, found)}; make open ({pattern.open!r}) stricter, lower the confidence "
        f"below {WEAK} so that context must agree, or change the counter_example"
    )


def _shown(text: str, found: Sequence[Span]) -> str:
    parts = []
    for span in found:
        part = text[span.start_char : span.end_char].strip()
        shown = part if len(part) <= MAX_SHOWN else part[: MAX_SHOWN - 3] + "..."
        parts.append(f"{span.span_type.value} {shown!r} (by {span.pattern})")
    return ", ".join(parts) or "nothing"
