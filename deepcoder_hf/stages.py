"""The stages as functions for `Dataset.map`: batched, Arrow tables in and out, usable one by one and fused.

    raw.with_format("arrow").map(detect_spans, batched=True, fn_kwargs={"config": config}, remove_columns=...)
       .map(align_tokens, ...)

`process_records` is both in one, without Arrow between them; the pipeline runs that.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa

from deepcoder_hf.config import Config, ReadersConfig
from deepcoder_hf.dataset.detected import FRAME, Detected, Rendering
from deepcoder_hf.dataset.finish import finish_rows
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.dataset.recorded import RecordedRenderings
from deepcoder_hf.errors import RecordError, SchemaError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers.raw_record import EXCERPT_CHARS
from deepcoder_hf.readers.nulls import without_invented
from deepcoder_hf.rendering.clean import clean
from deepcoder_hf.rendering.layouts import Layouts
from deepcoder_hf.rendering.rendered import Rendered
from deepcoder_hf.rendering.response_template import ResponseTemplate, detect, response_template_of
from deepcoder_hf.rendering.turns import Turn, turns_of
from deepcoder_hf.rendering.units import Conversation, typed_conversation
from deepcoder_hf.spans.columns import from_tuples
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.resolve import SpanTuple
from deepcoder_hf.tokens.layouts import cached_layouts
from deepcoder_hf.tokens.load import chat_facts
from deepcoder_hf.tokens.recorded import RecordedRow, recorded_rows
from deepcoder_hf.tokens.tokenizer import cached_tokenizer
from deepcoder_hf.trajectory import from_json, n_characters


def parse_records(
    batch: Mapping[str, Sequence[Any]], indices: Sequence[int], readers: ReadersConfig | None = None
) -> pa.Table:
    """Records of any known format, a column a key -> raw rows.

    Args:
        batch: Columns, as `Dataset.map(batched=True)` gives them.
        indices: Number of each record; it becomes the line (from 1).
        readers: Limits of what is read, and the licence to note where a record names none.

    Returns:
        Columns of `RAW_FEATURES`; a record that cannot be read has a `reject_reason`.
    """
    parser, names = TrajectoryParser(readers), list(batch)
    rows = [
        row
        for values, index in zip(zip(*batch.values(), strict=True), indices, strict=True)
        for row in raw_rows(without_nulls(dict(zip(names, values, strict=True))), "", index + 1, parser)
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
    drafts = [_draft(stored[n], frame, n, nfc, config.tokens.source) for n in range(len(stored))]
    pieces = [
        piece for draft in drafts for turn in draft.turns for piece in (*turn.reasoning, *turn.content)
        if piece.kind is None
    ]  # fmt: skip
    find = partial(detect, detector=SpanDetector(config.spans), response=_response_template(config.tokens.model_name))
    found = iter(find([piece.text for piece in pieces], [piece.role for piece in pieces]))
    layouts = cached_layouts(config.rendering, config.tokens)
    by_ids = RecordedRenderings(cached_tokenizer(config.tokens), find) if any(d.recorded for d in drafts) else None
    batch = _Batch(frame)
    for row, draft in enumerate(drafts):
        rendered: list[Rendered] = []
        if draft.turns:
            try:
                conversation = typed_conversation(draft.turns, found)
                rendered = _rendered(layouts, conversation, draft)
                if by_ids is not None and draft.recorded:
                    rendered = by_ids.make(draft.recorded, rendered)
            except RecordError as error:
                rendered = []
                _reject(frame, row, error)
        if frame["reject_reason"][row]:
            draft.counts["rejected"] = draft.n_characters
        batch.add(row, rendered or [Rendered("", [], [], [])], draft, draft.excerpt or stored[row][:EXCERPT_CHARS], nfc)
    return batch.detected()


@dataclass(slots=True)
class _Draft:
    """One trajectory before detection."""

    turns: list[Turn] = field(default_factory=list)
    tools: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    original: str | None = None
    n_replaced: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    n_characters: int = 0
    """Characters of its texts; of the whole record where that could not be read."""
    excerpt: str = ""
    """The beginning of a record that could not be read."""
    recorded: list[RecordedRow] | None = None
    """What its recorded ids make, where tokens.source is `recorded` and it has them."""


class _Batch:
    """Collects the renderings of a batch; a trajectory may have several.

    Args:
        frame: The columns of `FRAME` of the raw rows.
    """

    def __init__(self, frame: dict[str, list[Any]]) -> None:
        self._frame = frame
        self._rows: list[int] = []
        self._texts: list[str] = []
        self._spans: list[list[SpanTuple]] = []
        self._excerpts: list[str | None] = []
        self._originals: list[str | None] = []
        self._metadata: list[dict[str, Any]] = []
        self._n_replaced: list[int] = []
        self._renderings: list[Rendering] = []

    def add(self, row: int, renderings: list[Rendered], draft: _Draft, excerpt: str, nfc: bool) -> None:
        """Add the renderings of one raw row."""
        for number, rendered in enumerate(renderings):
            # a mark may join the character before its field; recorded tokens are what they are
            if nfc and not rendered.ids and clean(rendered.text, nfc)[0] != rendered.text:
                rendered.normalize()
            facts = {**draft.metadata, **({"rendering": rendered.facts} if rendered.facts else {})}
            if rendered.cuts:
                facts["escaped"] = rendered.cuts
            if rendered.tokens:
                facts["tokens"] = rendered.tokens
            counts = {**rendered.counts, **(draft.counts if number == 0 else {}), "escaped": len(rendered.cuts)}
            self._rows.append(row)
            self._texts.append(rendered.text)
            self._spans.append(rendered.spans)
            self._excerpts.append(excerpt)
            self._originals.append(draft.original)
            self._metadata.append(facts)
            self._n_replaced.append(draft.n_replaced if number == 0 else 0)
            templated = rendered.facts.get("template", "plain") != "plain" or "completions" in rendered.tokens
            view, cuts, payload, read = (number, len(renderings)), rendered.cuts, rendered.payload, rendered.read
            self._renderings.append(Rendering(view, templated, cuts, payload, read, counts, rendered.ids))

    def detected(self) -> Detected:
        """The batch."""
        frame = {name: [values[row] for row in self._rows] for name, values in self._frame.items()}
        columns = from_tuples(self._spans)
        return Detected(
            frame, self._excerpts, self._texts, self._originals, self._metadata, self._n_replaced, columns,
            self._renderings,
        )  # fmt: skip


def _strings(column: pa.ChunkedArray) -> list[str]:
    """The JSON text of a `Json` column, or of a plain string column."""
    plain: list[str] = column.cast(pa.string()).to_pylist()
    return plain


def _storable(text: str) -> str:
    """UTF-8 cannot hold lone surrogates; they are written as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _draft(stored: str, frame: dict[str, list[Any]], row: int, nfc: bool, source: str) -> _Draft:
    """The turns of one record; a record that cannot be used gets its reject written into the frame."""
    draft = _Draft()
    if frame["reject_reason"][row]:
        raw = json.loads(stored)
        draft.excerpt, draft.n_characters = raw["excerpt"], raw["characters"]
        return draft
    trajectory = from_json(stored, frame["source_format"][row])

    def cleaned(text: str) -> str:
        made, count = clean(text, nfc)
        draft.n_replaced += count
        return made

    draft.metadata = dict(trajectory.metadata)
    draft.n_characters = n_characters(trajectory)
    draft.tools = tuple(cleaned(tool) for tool in trajectory.tools)
    try:
        draft.turns = turns_of(trajectory, cleaned, draft.counts)
    except RecordError as error:
        _reject(frame, row, error)
        return draft
    if source == "recorded":
        draft.recorded = recorded_rows(trajectory)
        if draft.recorded is None:
            draft.metadata["tokens"] = {"source": "rendered"}
            draft.counts["tokens_missing"] = 1
    if len(trajectory.steps) == 1 and trajectory.steps[0].source == "text":
        text = trajectory.steps[0].message or ""
        draft.original = _storable(text) if draft.turns[0].content[0].text != text else None
    return draft


def _rendered(layouts: Layouts, conversation: Conversation, draft: _Draft) -> list[Rendered]:
    """The renderings of a trajectory; none where no template takes it, but its tokens were recorded."""
    try:
        return layouts.render(conversation, draft.tools)
    except RecordError as error:
        if not draft.recorded or error.reason == "control_token":
            raise
        return []


@lru_cache(maxsize=4)
def _response_template(model_name: str) -> ResponseTemplate | None:
    return response_template_of(chat_facts(model_name).response_template)


def _reject(frame: dict[str, list[Any]], row: int, error: RecordError) -> None:
    frame["reject_reason"][row] = error.reason
    frame["reject_message"][row] = f"{frame['source_path'][row]}:{frame['line'][row]}: {error}"
