"""SpanDetector: flattened text -> typed spans that partition it. scan.py finds markers; a state machine pairs them.

Rules of the field that the machine keeps: only an initial or line-initial think tag opens reasoning, tags inside a line
stay text; a tool opener ends unclosed reasoning; markup inside closed reasoning stays reasoning; an orphan
closing tag closes reasoning from the turn's start; a code fence is an action only where a result, or the world's voice,
follows it or where labelled reasoning ends with it; text of system and user is never reasoning or action, whatever it
quotes. Whole texts (no role) also get markers of their own conventions (infer.py), unless `families` names patterns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from deepcoder_hf.config import Config, SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.infer import infer
from deepcoder_hf.spans.library import Library, load_library
from deepcoder_hf.spans.machine import Machine
from deepcoder_hf.spans.resolve import SpanTuple, finish
from deepcoder_hf.spans.scan import character_starts, find_hits, join
from deepcoder_hf.spans.types import TYPES, Span

Role = str | None
"""Who wrote the text: "assistant", "user", "tool", "system", or None where the text holds a whole trajectory."""


class SpanDetector:
    """Find reasoning, action, observation and answer spans in flattened trajectory text.

    Args:
        config: Patterns and thresholds, or a whole configuration; None for the built-in ones.

    Raises:
        ConfigError: A pattern cannot be used.

    Example:
        >>> spans = SpanDetector().detect("<think>Add them.</think>The sum is 5.")
        >>> [(s.span_type.value, s.start_char, s.end_char) for s in spans]
        [('reasoning', 0, 24), ('answer', 24, 37)]
    """

    def __init__(self, config: SpansConfig | Config | None = None) -> None:
        if not isinstance(config, (SpansConfig, Config, type(None))):
            raise ConfigError(
                f"SpanDetector: expected a SpansConfig, a Config or None, got {type(config).__name__}; "
                "load_config(...) reads recipes and YAML files"
            )
        self.config = config.spans if isinstance(config, Config) else config or SpansConfig()
        self.library: Library = load_library(self.config)
        self._own = frozenset(pattern.name for pattern in self.config.patterns)

    def detect(self, text: str, role: Role = None) -> list[Span]:
        """Partition one text.

        Args:
            text: Any text, also with lone surrogates.
            role: Who wrote it, where that is known from the structure of the source.

        Returns:
            Spans in order, in characters of `text`, without gap or overlap; none for the empty text.

        Raises:
            TypeError: It is no text.
        """
        return self.detect_batch([text], [role])[0]

    def detect_batch(self, texts: Sequence[str], roles: Sequence[Role] | None = None) -> list[list[Span]]:
        """Partition many texts; the result equals `detect` on each of them."""
        rows = self.detect_tuples(texts, roles or [None] * len(texts))
        return [
            [Span(start, end, TYPES[kind], subtype, conf, pattern, origin, step)  # type: ignore[arg-type]
             for start, end, kind, subtype, conf, pattern, origin, step in row]
            for row in rows
        ]  # fmt: skip

    def detect_tuples(self, texts: Sequence[str], roles: Sequence[Role]) -> list[list[SpanTuple]]:
        """The same as plain tuples, which the pipeline turns into Arrow columns without making objects."""
        if wrong := [text for text in texts if not isinstance(text, str)]:
            raise TypeError(f"span detection: expected texts, got {type(wrong[0]).__name__}: {wrong[0]!r:.60}")
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        blob, starts = join(encoded)
        hits = find_hits(blob, self.library)
        rows: list[list[SpanTuple]] = []
        at = 0
        for text, data, start, role in zip(texts, encoded, starts, roles, strict=True):
            end = start + len(data)
            stop = bisect_left(hits, (end,), at)
            markers, library = hits[at:stop], self.library
            if role is None and start < end and self.config.families is None:
                markers, library = infer(blob, start, end, markers, library)
            segments = Machine(blob, markers, start, end, role, library).run()
            characters = None if text.isascii() else character_starts(data)
            rows.append(finish(segments, start, end, characters, self.config.min_confidence, self._own))
            at = stop
        return rows
