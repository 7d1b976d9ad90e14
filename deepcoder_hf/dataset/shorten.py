"""What happens to a trajectory that is longer than tokens.max_length: windows, one cut row, a drop, or an error."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import Detected
from deepcoder_hf.dataset.outcome import Verdict
from deepcoder_hf.errors import AlignmentError, RecordError
from deepcoder_hf.spans.columns import SpanColumns
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.typed import TypedTokens
from deepcoder_hf.tokens.window import plan_windows, token_characters, truncate

MAX_REPLANS = 8
"""How often windows are cut again with less room, when tokenising a cut text anew gave more tokens than it had."""


def shorten(
    verdict: Verdict, detected: Detected, tokens: TypedTokens, row: int, tokenizer: TrajectoryTokenizer, config: Config
) -> None:
    """Do with a trajectory that is too long what tokens.overflow asks for.

    Args:
        verdict: Gets the windows, or the reason why there are none.
        detected: The batch.
        tokens: Its tokens, of whole trajectories.
        row: Which record it is.
        tokenizer: The tokenizer.
        config: The whole configuration.

    Raises:
        AlignmentError: tokens.overflow is `error`.
    """
    length, limit = int(tokens.rows[row + 1] - tokens.rows[row]), config.tokens.max_length
    where = f"{detected.frame['source_path'][row]}:{detected.frame['line'][row]}"
    too_long = f"{length} tokens, more than tokens.max_length = {limit}"
    if config.tokens.overflow == "error":
        raise AlignmentError(f"{where}: {too_long}; set tokens.overflow to window, truncate or drop")
    if config.tokens.overflow == "drop":
        verdict.reject("dropped", "over_max_length", too_long)
        return
    first, last = int(detected.spans.rows[row]), int(detected.spans.rows[row + 1])
    spans = _row_spans(detected.spans, first, last)
    text = detected.texts[row]
    begin, end = tokens.encoded.rows[row], tokens.encoded.rows[row + 1]
    chars = token_characters(text, tokens.encoded.starts[begin:end] - tokens.encoded.text_starts[row])
    start_token = tokens.start_token[first:last] - len(tokenizer.prefix_ids)
    most = budget = limit - tokenizer.n_special
    for _ in range(MAX_REPLANS):
        if budget < 1:
            break
        try:
            if config.tokens.overflow == "truncate":
                windows = [truncate(text, spans, chars, budget)]
            else:
                windows = plan_windows(text, spans, start_token, chars, budget, most // 2)
        except RecordError as error:
            verdict.reject("failed", error.reason, str(error))
            return
        rows = tokenizer.encode([window.text for window in windows]).rows
        excess = int(np.diff(rows).max()) - most
        if excess <= 0:
            verdict.windows = windows
            return
        budget -= excess
    verdict.reject("failed", "cannot_window", f"{too_long}; no cut gave windows that fit")


def _row_spans(spans: SpanColumns, first: int, last: int) -> list[Any]:
    part = slice(first, last)
    return list(
        zip(
            spans.start_char[part].tolist(),
            spans.end_char[part].tolist(),
            spans.kinds[part].tolist(),
            spans.subtypes[part].to_pylist(),
            spans.confidence[part].tolist(),
            spans.patterns[part].to_pylist(),
            spans.origins[part].to_pylist(),
            spans.steps[part].tolist(),
            strict=True,
        )
    )
