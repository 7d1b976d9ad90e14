"""Rows with findings -> the same rows without: strings replaced, tokens, spans, masks and quality derived again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from deepcoder_hf.config import MasksConfig, TokensConfig
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.rows import RowFrame, sad_table
from deepcoder_hf.errors import PublishError, TokenizerError
from deepcoder_hf.publish.redact_names import Edit, Names, moved, redacted
from deepcoder_hf.spans.columns import from_tuples
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer
from deepcoder_hf.tokens.typed import type_spans

Row = dict[str, Any]


class RowMaker:
    """Makes rows again.

    Args:
        names: The placeholders of the bundle.
        counts: Counts the replacements by kind.
    """

    def __init__(self, names: Names, counts: Counter[str]) -> None:
        self._names, self._counts = names, counts

    def make(self, table: pa.Table) -> pa.Table:
        """Rows with the columns of the table.

        Raises:
            TokenizerError: A tokenizer cannot be loaded, or is another than the row says.
            PublishError: A row's metadata does not say how it was made.
        """
        return pa.concat_tables([self._row(row, table) for row in table.to_pylist()])

    def _row(self, row: Row, table: pa.Table) -> pa.Table:
        facts = _facts(row)
        tokenizer = _tokenizer(facts)
        counts: Counter[str] = Counter()
        text, passes = redacted(row["text"], self._names, counts)
        spans, cuts = _moved_spans(row["spans"], passes), list(facts.get("escaped", []))
        for edits in passes:
            cuts = [n for n in moved([cut for cut in cuts if not _is_inside(cut, edits)], edits) if n]
        metadata = self._metadata(row, cuts, counts)
        columns = from_tuples([spans])
        ends = np.array([bool(facts.get("special_tokens", {}).get("eos"))], bool)
        masks = MasksConfig.model_validate(facts["masks"])
        tokens = type_spans([text], columns, tokenizer, masks, ends, [cuts])
        original = row["original_text"]
        frame = RowFrame(
            [self._plain(row["trajectory_id"], counts)],
            [self._plain(row["group_id"], counts)],
            [(row["window"]["index"], row["window"]["n"], row["window"]["start_step"])],
            [text],
            [None if original is None else self._plain(original, counts)],
            [metadata],
        )
        made = sad_table(frame, columns, tokens)
        self._counts.update(counts)
        return self._with_others(made, row, table)

    def _with_others(self, made: pa.Table, row: Row, table: pa.Table) -> pa.Table:
        """The row with its own weight and the user's own columns."""
        columns = {}
        for field in table.schema:
            if field.name in SAD_FEATURES and field.name != "row_weight":
                columns[field.name] = made.column(field.name).cast(field.type)
            else:
                value = _each_string(row[field.name], lambda text: self._plain(text, Counter()))
                columns[field.name] = pa.chunked_array([pa.array([value], field.type)])
        return pa.table(columns)

    def _plain(self, text: str, counts: Counter[str]) -> str:
        return redacted(text, self._names, counts)[0]

    def _metadata(self, row: Row, cuts: list[int], counts: Counter[str]) -> str:
        """The row's facts without findings, with the new places of cuts and what was replaced."""
        facts = json.loads(row["metadata"])
        facts.pop("escaped", None)
        if cuts:
            facts["escaped"] = cuts
        if "tokens" in facts:  # recorded ids are gone with what they said
            facts["tokens"] = {"source": "rendered"}
        written = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
        made = self._plain(written, counts)
        try:
            facts = json.loads(made)
        except ValueError:  # a finding reached beyond its string: each string by itself
            facts = _each_string(facts, lambda text: self._plain(text, counts))
        facts["redacted"] = dict(sorted(counts.items()))
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace").decode()


def _facts(row: Row) -> Mapping[str, Any]:
    try:
        facts: Mapping[str, Any] = json.loads(row["metadata"])
        facts["tokenizer"].rpartition("@")
        MasksConfig.model_validate(facts["masks"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PublishError(
            f"row {row['trajectory_id']!r:.60}: its metadata does not say how it was made ({type(error).__name__}), so "
            "it cannot be made again without what was found in it; process it again or drop it"
        ) from None
    return facts


def _tokenizer(facts: Mapping[str, Any]) -> TrajectoryTokenizer:
    name, _, digest = facts["tokenizer"].rpartition("@")
    added = {"before": 0, "after": 0} | facts.get("special_tokens", {})
    special = bool(added["before"] or added["after"])
    config = TokensConfig(model_name=name, engine="reference", add_special_tokens=special, append_eos="eos" in added)
    tokenizer = cached_tokenizer(config)
    if tokenizer.digest != digest:
        raise TokenizerError(f"tokenizer {name}: expected the digest {digest} that the row was made with, got "
                             f"{tokenizer.digest}; put that tokenizer in its place")  # fmt: skip
    return tokenizer


def _is_inside(place: int, edits: list[Edit]) -> bool:
    return any(edit.start < place < edit.end for edit in edits)


def _moved_spans(spans: list[Row], passes: list[list[Edit]]) -> list[Any]:
    """The spans where they stand after the edits; one that was inside of a finding is gone."""
    borders = [span["start_char"] for span in spans] + [spans[-1]["end_char"]] if spans else []
    for edits in passes:
        borders = moved(borders, edits)
    return [
        (
            start, end, TYPE_IDS[span["span_type"]], span["subtype"], span["confidence"], span["pattern"],
            span["origin"], span["step_id"],
        )
        for span, (start, end) in zip(spans, pairwise(borders), strict=True)
        if end > start
    ]  # fmt: skip


def _each_string(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_each_string(key, change): _each_string(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_each_string(one, change) for one in value]
    return value
