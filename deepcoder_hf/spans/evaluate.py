"""evaluate_spans: the span detector on labelled text, as a whole or with a convention left out.

The detector gets the text alone. Where it raises, the record counts as failed and scores as if nothing had been found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deepcoder_hf.config import Config, SpansConfig
from deepcoder_hf.errors import ConfigError, RecordError
from deepcoder_hf.spans.calibration import SpanOutcomes, join_outcomes
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.gold import GoldRecord, gold_records
from deepcoder_hf.spans.leave_out import chosen_styles, n_left_out, without_style
from deepcoder_hf.spans.scores import N_TYPES, RecordScore, SpanScores
from deepcoder_hf.spans.types import TYPE_IDS, Span

BATCH_CHARS = 1_000_000
"""Characters that the detector is given at a time."""


class Detects(Protocol):
    """What can be scored: `SpanDetector`, or a detector of another kind."""

    def detect_batch(self, texts: Sequence[str]) -> Sequence[Sequence[Span]]:
        """Spans of each text; what they do not cover counts as other."""


def evaluate_spans(
    records: Iterable[Mapping[str, Any] | GoldRecord],
    config: SpansConfig | Config | None = None,
    *,
    leave_out: str | Sequence[str] = (),
    detector: Detects | None = None,
    progress: Callable[[int], None] | None = None,
) -> SpanScores:
    """Score span detection on labelled texts.

    Args:
        records: `{id, text, spans: [{type, start, end}]}`, start and end of a span's payload in characters, without
            its tags and labels; and where known `style`, `source`, `lang` and `rendering`.
        config: Patterns and thresholds, or a whole configuration; None for the built-in ones.
        leave_out: Conventions (`style`), or `all` of those in the records: each in turn is left out, and scored on its
            own records; the others are not scored.
        detector: Another detector than `SpanDetector(config)`; it goes with neither config nor leave_out.
        progress: Called with the number of records each time that so many more are scored.

    Raises:
        RecordError: A record is wrong, or there is none.
        ConfigError: A pattern cannot be used, or nothing is known of a convention to leave out.

    Example:
        >>> spans = [{"type": "action", "start": 23, "end": 25}]
        >>> evaluate_spans([{"id": "1", "text": "Thought: Look.\\nAction: ls", "spans": spans}]).macro.action
        1.0
    """
    gold = gold_records(list(records))
    if not gold:
        raise RecordError("expected at least one labelled record, got none", "bad_gold")
    section = config.spans if isinstance(config, Config) else config or SpansConfig()
    done = progress or (lambda n: None)
    if detector is not None and (config is not None or leave_out):
        raise ConfigError("expected a detector, or config and leave_out for the detector of the package, got both")
    if not leave_out:
        return _scores(*_run(gold, detector or SpanDetector(section), done), gold)
    styles = chosen_styles(leave_out, {record.style for record in gold}, section)
    scored: dict[int, tuple[RecordScore, SpanOutcomes]] = {}
    disabled: dict[str, int] = {}
    seconds = 0.0
    for style in styles:
        disabled[style] = n_left_out(section, style)
        numbers = [number for number, record in enumerate(gold) if record.style == style]
        part, cpu_s = _run([gold[number] for number in numbers], SpanDetector(without_style(section, style)), done)
        scored.update(zip(numbers, part, strict=True))
        seconds += cpu_s
    chosen = sorted(scored)
    return _scores([scored[number] for number in chosen], seconds, [gold[number] for number in chosen], disabled)


def _scores(
    scored: Sequence[tuple[RecordScore, SpanOutcomes]],
    cpu_s: float,
    gold: Sequence[GoldRecord],
    left_out: Mapping[str, int] | None = None,
) -> SpanScores:
    n_bytes = sum(len(record.text.encode("utf-8", "surrogatepass")) for record in gold)
    outcomes = join_outcomes([part for _, part in scored])
    return SpanScores(tuple(score for score, _ in scored), outcomes, n_bytes, cpu_s, left_out or {})


def _run(
    gold: Sequence[GoldRecord], detector: Detects, progress: Callable[[int], None]
) -> tuple[list[tuple[RecordScore, SpanOutcomes]], float]:
    """Detect in batches and score; the seconds are those of detection."""
    scored: list[tuple[RecordScore, SpanOutcomes]] = []
    seconds = 0.0
    for batch in _batches(gold):
        started = time.process_time()
        found = _detect([record.text for record in batch], detector)
        seconds += time.process_time() - started
        scored += [_score(record, *part) for record, part in zip(batch, found, strict=True)]
        progress(len(batch))
    return scored, seconds


def _batches(gold: Sequence[GoldRecord]) -> Iterator[list[GoldRecord]]:
    batch: list[GoldRecord] = []
    n_chars = 0
    for record in gold:
        batch.append(record)
        n_chars += len(record.text)
        if n_chars >= BATCH_CHARS:
            yield batch
            batch, n_chars = [], 0
    if batch:
        yield batch


def _detect(texts: Sequence[str], detector: Detects) -> list[tuple[Sequence[Span], str]]:
    """Spans and error of each text; where a batch fails its texts go one by one, so that only the bad one has none."""
    try:
        return [(spans, "") for spans in detector.detect_batch(texts)]
    except Exception as error:  # whatever it is, it is a fault of the detector, counted and shown
        if len(texts) == 1:
            return [((), f"{type(error).__name__}: {error}")]
    return [found for text in texts for found in _detect([text], detector)]


def _score(record: GoldRecord, spans: Sequence[Span], error: str) -> tuple[RecordScore, SpanOutcomes]:
    gold = np.full(len(record.text), -1, np.int8)
    for payload in record.spans:
        gold[payload.start_char : payload.end_char] = payload.type_id
    kinds = np.array([TYPE_IDS[span.span_type] % N_TYPES for span in spans], np.int8)
    found = np.zeros(len(record.text), np.int8)
    for span, kind in zip(spans, kinds, strict=True):
        if kind:
            found[span.start_char : span.end_char] = kind
    labelled = gold >= 0
    cells = np.bincount(gold[labelled].astype(np.int64) * N_TYPES + found[labelled], minlength=N_TYPES**2)
    outcomes = _outcomes(spans, kinds, labelled, gold == found)
    return RecordScore(record, tuple(spans), cells.reshape(N_TYPES, N_TYPES), error), outcomes


def _outcomes(
    spans: Sequence[Span], kinds: npt.NDArray[np.int8], labelled: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> SpanOutcomes:
    """Which spans hold payload, and how much of it is right; labelled and right have an entry a character."""
    edges = np.array([(span.start_char, span.end_char) for span in spans], np.int64).reshape(-1, 2)
    n_payload, n_right = (
        np.diff(np.concatenate([[0], np.cumsum(marks)])[edges], axis=1)[:, 0] for marks in (labelled, right)
    )
    holds = n_payload > 0
    return SpanOutcomes(
        confidence=np.array([span.confidence for span in spans], np.float64)[holds],
        n_payload=n_payload[holds],
        n_right=n_right[holds],
        type_id=kinds[holds],
        from_pattern=np.array([span.origin == "pattern" for span in spans], np.bool_)[holds],
        pattern=np.array([span.pattern for span in spans], object)[holds],
    )
