"""Prove processed rows again from what they hold: nothing is taken on trust from the run that wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import TokenizerError
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.engines import Encoded, character_bytes, each_text
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, with_added

PER_TOKEN = ("input_ids", "attention_mask", "token_types", "reasoning_mask", "action_mask", "labels")
MAX_ERRORS = 100
MAX_RATIO_ERROR = 1e-5
"""Largest difference of a ratio, which float32 holds to 6e-8."""
BATCH_ROWS = 64
Problem = dict[str, Any]


def validate_rows(
    dataset: Any, model_name: str | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Check every row of a SAD dataset.

    Proven for each row: columns and types are right; per-token columns have `length` entries; masks are 0 or 1,
    disjoint and inside attention_mask; labels are the ids exactly where a mask is 1 (or on answer tokens that are
    trained apart); masks agree with token_types; window, row_weight and the ratios of quality are right; spans
    partition the text, their token ranges are in order and in range and agree with token_types; the
    tokenizer of the row is known by its digest, and tokenising the text gives the ids.

    Args:
        dataset: A `Dataset` with the columns of `SAD_FEATURES`.
        model_name: Tokenizer to use instead of the name in the rows; its digest must be the one in the rows.
        progress: Called with (rows, tokens) after each batch.

    Returns:
        total_checked, valid_trajectories, invalid_trajectories (rows), and validation_errors: row number, id and
        problems of the first 100 invalid rows.
    """
    missing = sorted(set(SAD_FEATURES) - set(dataset.column_names))
    if missing:
        problem = f"expected the columns of a SAD dataset, missing: {', '.join(missing)}"
        errors: list[Problem] = [{"row": None, "trajectory_id": None, "problems": [problem]}]
        return _result(len(dataset), 0, errors)
    wrong_types = [
        f"column {name}: expected {SAD_FEATURES[name]}, got {dataset.features[name]}"
        for name in SAD_FEATURES
        if dataset.features[name] != SAD_FEATURES[name]
    ]
    tokenizers = _Tokenizers(model_name)
    n_valid, errors = 0, []
    for number, row, problems in _checked(dataset, tokenizers, progress or (lambda rows, tokens: None)):
        problems = [*wrong_types, *problems]
        if not problems:
            n_valid += 1
        elif len(errors) < MAX_ERRORS:
            errors.append({"row": number, "trajectory_id": row["trajectory_id"], "problems": problems[:5]})
    return _result(len(dataset), n_valid, errors)


def _result(n_rows: int, n_valid: int, errors: list[Problem]) -> dict[str, Any]:
    return {
        "total_checked": n_rows,
        "valid_trajectories": n_valid,
        "invalid_trajectories": n_rows - n_valid,
        "validation_errors": errors,
    }


def _checked(
    dataset: Any, tokenizers: _Tokenizers, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    number = 0
    for table in dataset.with_format("arrow").iter(batch_size=BATCH_ROWS):
        columns = {name: _values(table.column(name).combine_chunks()) for name in table.column_names}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        problems = [_guarded(check_row, row) for row in rows]
        sound = [row for row, found in zip(rows, problems, strict=True) if not found]
        of_tokens = iter(tokenizers.check(sound))
        for row, found in zip(rows, problems, strict=True):
            yield number, row, found or next(of_tokens)
            number += 1
        progress(len(rows), sum(len(row["input_ids"]) for row in sound))


def _guarded(check: Callable[..., list[str]], *arguments: Any) -> list[str]:
    """The problems that a check finds; what it cannot even look at is a problem too."""
    try:
        return check(*arguments)
    except (TypeError, KeyError, ValueError) as error:
        return [f"not a SAD row: {type(error).__name__}: {error}"]


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; lists of whole numbers as NumPy arrays, without a Python object a token."""
    is_numbers = pa.types.is_list(column.type) and pa.types.is_integer(column.type.value_type)
    if not is_numbers or column.null_count or column.flatten().null_count:
        return list(column.to_pylist())
    offsets = column.offsets.to_numpy()
    return np.split(column.values.to_numpy()[offsets[0] : offsets[-1]], offsets[1:-1] - offsets[0])


def check_row(row: Mapping[str, Any]) -> list[str]:
    """Everything that can be proven without the tokenizer; returns the problems, in words."""
    absent = [name for name in SAD_FEATURES if row[name] is None and name != "original_text"]
    if absent:
        return [f"{', '.join(absent)}: null"]
    columns = {name: np.array(row[name], np.int64) for name in PER_TOKEN}
    wrong = [
        f"{name}: {a.size} entries, length is {row['length']}" for name, a in columns.items() if a.size != row["length"]
    ]
    return wrong or [*_check_masks(columns), *_check_spans(row, columns), *_check_facts(row, columns)]


def _check_masks(columns: dict[str, Any]) -> Iterator[str]:
    reasoning, action, types = columns["reasoning_mask"], columns["action_mask"], columns["token_types"]
    for name in ("attention_mask", "reasoning_mask", "action_mask"):
        if not np.isin(columns[name], (0, 1)).all():
            yield f"{name}: expected 0 and 1 only"
    if not np.isin(types, list(TYPE_IDS.values())).all():
        yield f"token_types: expected {min(TYPE_IDS.values())}..{max(TYPE_IDS.values())}"
    if (reasoning & action).any():
        yield f"masks overlap at token {int(np.flatnonzero(reasoning & action)[0])}"
    masked = (reasoning | action) == 1
    if (masked & (columns["attention_mask"] == 0)).any():
        yield "a mask is 1 where attention_mask is 0"
    labelled = columns["labels"] != -100
    if (labelled & (columns["labels"] != columns["input_ids"])).any():
        yield "labels differ from input_ids where they are not -100"
    if (masked & ~labelled).any() or (labelled & ~masked & (types != TYPE_IDS["answer"])).any():
        yield "labels do not agree with the masks"
    if (labelled & np.isin(types, (TYPE_IDS["other"], TYPE_IDS["observation"]))).any():
        yield "an observation or other token is trained"
    if ((reasoning == 1) & (types != TYPE_IDS["reasoning"])).any():
        yield "reasoning_mask is 1 on a token of another type"


def _check_spans(row: Mapping[str, Any], columns: dict[str, Any]) -> Iterator[str]:
    char = token = 0
    expected = np.zeros(row["length"], np.int64)
    for number, span in enumerate(row["spans"]):
        if span["start_char"] != char or span["end_char"] <= char:
            yield f"span {number}: starts at character {span['start_char']}, expected {char}: spans do not partition"
            return
        if not token <= span["start_token"] <= span["end_token"] <= row["length"]:
            yield f"span {number}: tokens {span['start_token']}-{span['end_token']} are out of order or range"
            return
        if not 0.0 <= span["confidence"] <= 1.0 or span["span_type"] not in TYPE_IDS:
            yield f"span {number}: type {span['span_type']!r} or confidence {span['confidence']} is not known"
            return
        char, token = span["end_char"], span["end_token"]
        expected[span["start_token"] : span["end_token"]] = TYPE_IDS[span["span_type"]]
    if char != len(row["text"]):
        yield f"spans end at character {char} of {len(row['text'])}"
    if not np.array_equal(expected, columns["token_types"]):
        yield f"token_types differ from the spans at token {int(np.flatnonzero(expected != columns['token_types'])[0])}"


def _check_facts(row: Mapping[str, Any], columns: dict[str, Any]) -> Iterator[str]:
    window, quality, weight = row["window"], row["quality"], row["row_weight"]
    if not (0 <= window["index"] < window["n"] and window["start_step"] >= 0):
        yield f"window: expected index in 0..n-1 and start_step from 0, got {window}"
    for name, kind in TYPE_IDS.items():
        share = float((columns["token_types"] == kind).sum()) / max(row["length"], 1)
        if not abs(quality[name] - share) < MAX_RATIO_ERROR:
            yield f"quality.{name}: expected {share:.6f}, the share of these tokens, got {quality[name]}"
    if not 0.0 <= quality["mean_confidence"] <= 1.0:
        yield f"quality.mean_confidence: expected 0..1, got {quality['mean_confidence']}"
    if not 0.0 <= weight < float("inf"):
        yield f"row_weight: expected a finite number from 0, got {weight}"


class _Tokenizers:
    """Tokenises texts again, with the tokenizers that the rows name."""

    def __init__(self, model_name: str | None) -> None:
        self._model_name = model_name
        self._loaded: dict[tuple[str, bool, bool], TrajectoryTokenizer | str] = {}

    def check(self, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """Problems of the rows' tokenizers and ids; rows of one tokenizer are encoded together."""
        found = [self._find(row) for row in rows]
        problems = [answer if isinstance(answer, list) else [] for answer in found]
        for tokenizer in {id(t): t for t in found if isinstance(t, TrajectoryTokenizer)}.values():
            numbers = [number for number, answer in enumerate(found) if answer is tokenizer]
            encoded = tokenizer.reference.encode([rows[number]["text"] for number in numbers])
            for number, part in zip(numbers, each_text(encoded), strict=True):
                problems[number] = _guarded(self._check_ids, rows[number], part, tokenizer)
        return problems

    def _find(self, row: Mapping[str, Any]) -> TrajectoryTokenizer | list[str]:
        """The tokenizer that a row names, or what is wrong with it."""
        try:
            facts = json.loads(row["metadata"])
            added = {"before": 0, "after": 0} | facts.get("special_tokens", {})
            name, _, digest = str(facts.get("tokenizer", "")).rpartition("@")
        except (TypeError, ValueError, AttributeError):
            return [f"metadata: expected a JSON object with tokenizer and special_tokens, got {row['metadata']!r:.80}"]
        if not name:
            return ["metadata.tokenizer: expected name@digest"]
        tokenizer = self._load(self._model_name or name, bool(added["before"] or added["after"]), "eos" in added)
        if isinstance(tokenizer, str):
            return [tokenizer]
        if tokenizer.digest != digest:
            return [f"tokenizer {tokenizer.name} has the digest {tokenizer.digest}, the row was made with {digest}"]
        if [len(tokenizer.prefix_ids), len(tokenizer.suffix_ids)] != [added["before"], added["after"]]:
            return [f"metadata.special_tokens: {tokenizer.name} puts {tokenizer.n_special} around a text, got {added}"]
        return tokenizer

    def _check_ids(self, row: Mapping[str, Any], encoded: Encoded, tokenizer: TrajectoryTokenizer) -> list[str]:
        with_eos = json.loads(row["metadata"]).get("special_tokens", {}).get("eos")
        eos = tokenizer.eos_id if with_eos else None
        ids, _ = with_added(encoded, tokenizer.prefix_ids, tokenizer.suffix_ids, eos)
        if not np.array_equal(ids, row["input_ids"]):
            return ["input_ids differ from the tokens of the text"]
        return self._check_offsets(row, encoded, len(tokenizer.prefix_ids))

    @staticmethod
    def _check_offsets(row: Mapping[str, Any], encoded: Encoded, n_prefix: int) -> list[str]:
        """A span's first token must not begin before the token that holds its first character."""
        if not row["spans"]:
            return []
        edges = np.array([[s["start_char"], s["end_char"], s["start_token"], s["end_token"]] for s in row["spans"]])
        to_byte = character_bytes(row["text"])
        begin, end = (edges[:, :2] if to_byte is None else to_byte[edges[:, :2]]).T
        first, last = edges[:, 2] - n_prefix, np.minimum(edges[:, 3] - n_prefix, encoded.ids.size)
        held = first < last
        outside = first[held] < 0
        inside = np.maximum(first[held], 0)
        outside |= (encoded.ends[inside] < begin[held]) | (encoded.starts[last[held] - 1] > end[held])
        if outside.any():
            return [f"span {int(np.flatnonzero(held)[outside][0])}: its tokens lie outside of its characters"]
        return []

    def _load(self, name: str, special: bool, append_eos: bool) -> TrajectoryTokenizer | str:
        key = name, special, append_eos
        if key not in self._loaded:
            config = TokensConfig(
                model_name=name, engine="reference", add_special_tokens=special, append_eos=append_eos
            )
            try:
                self._loaded[key] = TrajectoryTokenizer(config)
            except TokenizerError as error:
                self._loaded[key] = str(error)
        return self._loaded[key]
