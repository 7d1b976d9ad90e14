"""The stages as functions for `Dataset.map`: batched, Arrow tables in and out, usable one by one and fused.

    raw.with_format("arrow").map(detect_spans, batched=True, fn_kwargs={"config": config}, remove_columns=...)
       .map(align_tokens, ...)

`process_records` is both in one, without Arrow between them; the pipeline runs that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.detected import FRAME, Detected
from deepcoder_hf.dataset.finish import finish_rows
from deepcoder_hf.dataset.raw import raw_row, table_of
from deepcoder_hf.errors import RecordError, SchemaError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.nulls import without_invented
from deepcoder_hf.rendering.clean import clean, normalize_across
from deepcoder_hf.rendering.plain import Piece, render_plain
from deepcoder_hf.spans.columns import from_tuples
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.resolve import SpanTuple, number_steps
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import cached_tokenizer
from deepcoder_hf.trajectory import from_json

MAX_EXCERPT = 10_000
"""Characters of a record that a reject keeps."""


def parse_records(batch: Mapping[str, Sequence[Any]], indices: Sequence[int], licence: str | None = None) -> pa.Table:
    """Records of any known format, a column a key -> raw rows.

    Args:
        batch: Columns, as `Dataset.map(batched=True)` gives them.
        indices: Number of each record; it becomes the line (from 1).
        licence: Licence to note where a record names none.

    Returns:
        Columns of `RAW_FEATURES`; a record that cannot be read has a `reject_reason`.
    """
    parser, names = TrajectoryParser(), list(batch)
    rows = [
        raw_row(without_nulls(dict(zip(names, values, strict=True))), "", index + 1, parser, licence)
        for values, index in zip(zip(*batch.values(), strict=True), indices, strict=True)
    ]
    return table_of(rows)


def without_nulls(value: Any) -> Any:
    """A record in memory without the nulls that Arrow invents where the elements of a list differ."""
    return without_invented(value)


def process_records(table: pa.Table, *, config: Config) -> pa.Table:
    """Raw rows -> SAD rows with their outcome: `detect_spans` and `align_tokens` in one.

    Args:
        table: Columns of `RAW_FEATURES`.
        config: The whole configuration; frozen, so it pickles and hashes.

    Returns:
        Columns of `SHARD_FEATURES`, in the order of the records: one row or more for a kept record, one row for a
        dropped or failed one (a failed one has no tokens).

    Raises:
        SchemaError: A column is missing.
        TokenizerError: The tokenizer cannot be used.
        AlignmentError: A trajectory is longer than tokens.max_length and tokens.overflow is `error`.
    """
    return finish_rows(_detect(table, config), config)


def detect_spans(table: pa.Table, *, config: Config) -> pa.Table:
    """Raw rows -> clean text with typed spans, in characters (columns of `Detected`)."""
    return _detect(table, config).to_table()


def align_tokens(table: pa.Table, *, config: Config) -> pa.Table:
    """Text with spans -> SAD rows with their outcome: tokens, masks, windows and filters."""
    return finish_rows(Detected.from_table(table), config)


def _detect(table: pa.Table, config: Config) -> Detected:
    missing = sorted({*FRAME, "trajectory"} - set(table.column_names))
    if missing:
        raise SchemaError(f"expected the columns of load_trajectories(...), missing: {', '.join(missing)}")
    frame = {name: table.column(name).to_pylist() for name in FRAME}
    stored = [text.as_py() if hasattr(text, "as_py") else text for text in _strings(table.column("trajectory"))]
    nfc = cached_tokenizer(config.tokens).nfc
    rendered = [_render(stored[n], frame, n) for n in range(len(stored))]
    texts: list[str] = []
    jobs: list[tuple[str, str | None]] = []
    plans: list[list[Piece]] = []
    originals: list[str | None] = []
    n_replaced: list[int] = []
    for pieces, _ in rendered:
        cleaned, count = [], 0
        for piece in pieces:
            text, replaced = clean(piece.text, nfc)
            count += replaced
            cleaned.append(text)
            if piece.kind is None:
                jobs.append((text, piece.role))
        alone = len(pieces) == 1 and pieces[0].role is None and pieces[0].kind is None
        originals.append(_storable(pieces[0].text) if alone and cleaned[0] != pieces[0].text else None)
        plans.append(
            [Piece(t, p.kind, p.subtype, p.role, p.call_follows) for t, p in zip(cleaned, pieces, strict=True)]
        )
        n_replaced.append(count)
    found = iter(SpanDetector(config.spans).detect_tuples([t for t, _ in jobs], [role for _, role in jobs]))
    spans: list[list[SpanTuple]] = []
    for plan in plans:
        text, row = _assemble(plan, found, nfc)
        texts.append(text)
        spans.append(row)
    excerpts = [s[:MAX_EXCERPT] if frame["reject_reason"][n] else None for n, s in enumerate(stored)]
    metadata = [facts for _, facts in rendered]
    return Detected(frame, excerpts, texts, originals, metadata, n_replaced, from_tuples(spans))


def _strings(column: pa.ChunkedArray) -> list[str]:
    """The JSON text of a `Json` column, or of a plain string column."""
    plain: list[str] = column.cast(pa.string()).to_pylist()
    return plain


def _storable(text: str) -> str:
    """UTF-8 cannot hold lone surrogates; they are written as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _render(stored: str, frame: dict[str, list[Any]], row: int) -> tuple[list[Piece], dict[str, Any]]:
    """Pieces and metadata of one record; a record that cannot be rendered gets its reject written into the frame."""
    if frame["reject_reason"][row]:
        return [], {}
    trajectory = from_json(stored, frame["source_format"][row])
    try:
        pieces = render_plain(trajectory)
        if not any(piece.text.strip() for piece in pieces):
            raise RecordError("the record holds no text; expected at least one step or message", "empty_record")
    except RecordError as error:
        frame["reject_reason"][row], frame["reject_message"][row] = error.reason, str(error)
        return [], {}
    return pieces, dict(trajectory.metadata)


def _assemble(plan: list[Piece], found: Iterable[list[SpanTuple]], nfc: bool) -> tuple[str, list[SpanTuple]]:
    """Join pieces and their spans to one text with spans that partition it."""
    if len(plan) == 1 and plan[0].kind is None:
        return plan[0].text, next(iter(found))
    spans: list[SpanTuple] = []
    position = 0
    for piece in plan:
        end = position + len(piece.text)
        if piece.kind is not None:
            spans.append((position, end, piece.kind, piece.subtype, 1.0, "", "structure", 0))
        else:
            for span in next(iter(found)):
                kind, subtype = span[2], span[3]
                if piece.call_follows and kind == TYPE_IDS["answer"]:
                    kind, subtype = TYPE_IDS["reasoning"], "preamble"
                spans.append((span[0] + position, span[1] + position, kind, subtype, *span[4:]))
        position = end
    text = "".join(piece.text for piece in plan)
    checked, _ = clean(text, nfc)
    if checked != text:  # a combining mark at a piece's start joined the character before it
        text, borders = normalize_across(text, [0, *(span[1] for span in spans)])
        moved = zip(borders, borders[1:], spans, strict=False)
        spans = [(start, end, *span[2:]) for start, end, span in moved if end > start]
    return text, number_steps(spans)
