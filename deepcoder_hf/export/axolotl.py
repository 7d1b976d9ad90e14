"""axolotl, `type: input_output`: `segments` of text with a label (true = trained); from a SAD dataset.

axolotl tokenises each segment alone, without special tokens, and joins the ids. Segments are therefore cut at the edges
of tokens, not of spans, and special tokens around the text are segments of their own. With the tokenizer that the row
names (or --model) each row is tokenised the way axolotl does it; rows that come out with other ids or other labels are
counted as `other_tokens`. Set `train_on_inputs: false`.

Not held: which trained tokens are reasoning and which action, weights of rows and tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from tokenizers import Tokenizer

from deepcoder_hf.errors import RecordError
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.sad_rows import Row, Tokens, ids_of, tokens_of
from deepcoder_hf.tokens.load import load_backend

INPUT = "rows"
SUFFIXES = ("jsonl", "parquet")
Segment = tuple[bool, str]


def export(row: Row, losses: Losses) -> dict[str, Any]:
    """One row of a SAD dataset as segments.

    Raises:
        RecordError: It is damaged, trains nothing, or says no tokenizer.
        TokenizerError: Its tokenizer cannot be loaded.
    """
    tokens = tokens_of(row, losses)
    text, spans = row.get("text"), row.get("spans")
    if not isinstance(text, str) or not isinstance(spans, list) or not spans:
        raise RecordError("expected a text and its spans; see deepcoder-hf validate", "bad_row")
    backend = _backend(_tokenizer_name(row))
    ways = [_by_tokens(text, tokens, backend), _by_spans(text, spans, tokens, backend)]
    wanted = (tokens.input_ids, tokens.trained)
    segments = next((way for way in ways if way and _as_axolotl(way, backend) == wanted), None)
    if segments is None:
        losses.add("other_tokens")
        segments = ways[0] or ways[1]
    return {"segments": [{"label": label, "text": piece} for label, piece in segments], **ids_of(row)}


@lru_cache(maxsize=4)
def _backend(name: str) -> Tokenizer:
    return load_backend(name)[0]


def _tokenizer_name(row: Row) -> str:
    try:
        name = str(json.loads(row["metadata"])["tokenizer"]).rpartition("@")[0]
    except (KeyError, TypeError, ValueError):
        name = ""
    if not name:
        raise RecordError("metadata.tokenizer: expected name@digest; name the tokenizer with --model", "bad_row")
    return name


def _by_tokens(text: str, tokens: Tokens, backend: Tokenizer) -> list[Segment]:
    """Segments cut at the edges of tokens; none where the text gives other tokens than the row has."""
    encoding = backend.encode(text, add_special_tokens=False)
    before = _place(encoding.ids, tokens.input_ids)
    if before is None:
        return []
    after = before + len(encoding.ids)
    starts = [start for start, _ in encoding.offsets]
    labels = tokens.trained[before:after]
    cuts = [n for n in range(1, len(labels)) if labels[n] != labels[n - 1]]
    edges = [0, *(starts[n] for n in cuts), len(text)]
    kinds = [bool(labels[n]) for n in [0, *cuts]] if labels else []
    inner = [(kind, text[edges[n] : edges[n + 1]]) for n, kind in enumerate(kinds)]
    return _joined([*_special(tokens, 0, before, backend), *inner, *_special(tokens, after, None, backend)])


def _by_spans(text: str, spans: Sequence[Any], tokens: Tokens, backend: Tokenizer) -> list[Segment]:
    """Segments cut at the edges of spans; a span is trained if any of its tokens is."""
    try:
        inner = [
            (any(tokens.trained[span["start_token"] : span["end_token"]]), text[span["start_char"] : span["end_char"]])
            for span in spans
        ]
        first, last = spans[0]["start_token"], spans[-1]["end_token"]
        return _joined([*_special(tokens, 0, first, backend), *inner, *_special(tokens, last, None, backend)])
    except (KeyError, TypeError) as error:
        raise RecordError(f"spans: {error!r:.80}; see deepcoder-hf validate", "bad_row") from None


def _place(inner: Sequence[int], ids: Sequence[int]) -> int | None:
    """Where the tokens of the text begin among those of the row; special tokens stand around them."""
    n_around = len(ids) - len(inner)
    return next((n for n in range(n_around + 1) if list(ids[n : n + len(inner)]) == list(inner)), None)


def _special(tokens: Tokens, start: int, end: int | None, backend: Tokenizer) -> list[Segment]:
    ids, trained = tokens.input_ids[start:end], tokens.trained[start:end]
    return [(bool(label), backend.id_to_token(number) or "") for number, label in zip(ids, trained, strict=True)]


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """Neighbours of one label as one segment."""
    groups = groupby((segment for segment in segments if segment[1]), key=lambda segment: segment[0])
    return [(label, "".join(text for _, text in group)) for label, group in groups]


def _as_axolotl(segments: Sequence[Segment], backend: Tokenizer) -> tuple[list[int], list[int]]:
    """Ids and labels (1 = trained) as axolotl makes them of segments."""
    ids: list[int] = []
    trained: list[int] = []
    for label, text in segments:
        found = backend.encode(text, add_special_tokens=False).ids
        ids += found
        trained += [int(label)] * len(found)
    return ids, trained
