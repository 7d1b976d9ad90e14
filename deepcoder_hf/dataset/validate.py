"""Prove processed rows again from what they hold: nothing is taken on trust from the run that wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import TokenizerError
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, with_added

PER_TOKEN = ("input_ids", "attention_mask", "token_types", "reasoning_mask", "action_mask", "labels")
MAX_ERRORS = 100
MAX_RATIO_ERROR = 1e-5
"""Largest difference of a ratio, which float32 holds to 6e-8."""
BATCH_ROWS = 64
Problem = dict[str, Any]


def validate_rows(dataset: Any, model_name: str | None = None) -> dict[str, Any]:
    """Check every row of a SAD dataset.

    Proven for each row: columns and types are right; per-token columns have `length` entries; masks are 0 or 1,
    disjoint and inside attention_mask; labels are the ids exactly where a mask is 1 (or on answer tokens that are
    trained apart); masks agree with token_types; window, row_weight and the ratios of quality are right; spans
    partition the text, their token ranges are in order and in range and agree with token_types; the
    tokenizer of the row is known by its digest, and tokenising the text gives the ids.

    Args:
        dataset: A `Dataset` with the columns of `SAD_FEATURES`.
        model_name: Tokenizer to use instead of the name in the rows; its digest must be the one in the rows.

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
    for number, row, problems in _checked(dataset, tokenizers):
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


def _checked(dataset: Any, tokenizers: _Tokenizers) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    number = 0
    for batch in dataset.with_format(None).iter(batch_size=BATCH_ROWS):
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        for row in rows:
            try:
                problems = check_row(row) or tokenizers.check(row)
            except (TypeError, KeyError, ValueError) as error:
                problems = [f"not a SAD row: {type(error).__name__}: {error}"]
            yield number, row, problems
            number += 1


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

    def check(self, row: Mapping[str, Any]) -> list[str]:
        """Problems of the row's tokenizer and ids."""
        facts = json.loads(row["metadata"])
        if not isinstance(facts, dict):
            return [f"metadata: expected a JSON object, got {type(facts).__name__}"]
        name, _, digest = str(facts.get("tokenizer", "")).rpartition("@")
        if not name:
            return ["metadata.tokenizer: expected name@digest"]
        added = {"before": 0, "after": 0} | facts.get("special_tokens", {})
        tokenizer = self._load(self._model_name or name, bool(added["before"] or added["after"]), "eos" in added)
        if isinstance(tokenizer, str):
            return [tokenizer]
        if tokenizer.digest != digest:
            return [f"tokenizer {tokenizer.name} has the digest {tokenizer.digest}, the row was made with {digest}"]
        if [len(tokenizer.prefix_ids), len(tokenizer.suffix_ids)] != [added["before"], added["after"]]:
            return [f"metadata.special_tokens: {tokenizer.name} puts {tokenizer.n_special} around a text, got {added}"]
        eos = tokenizer.eos_id if added.get("eos") else None
        encoded = tokenizer.reference.encode([row["text"]])
        ids, _ = with_added(encoded, tokenizer.prefix_ids, tokenizer.suffix_ids, eos)
        if ids.tolist() != list(row["input_ids"]):
            return ["input_ids differ from the tokens of the text"]
        return self._check_offsets(row, encoded, len(tokenizer.prefix_ids))

    @staticmethod
    def _check_offsets(row: Mapping[str, Any], encoded: Any, n_prefix: int) -> list[str]:
        """A span's first token must not begin before the token that holds its first character."""
        text = row["text"]
        last_byte = len(text.encode())
        starts = np.append(encoded.starts, last_byte)
        for number, span in enumerate(row["spans"]):
            if span["start_token"] == span["end_token"]:
                continue
            begin = len(text[: span["start_char"]].encode())
            end = len(text[: span["end_char"]].encode())
            first, last = span["start_token"] - n_prefix, min(span["end_token"] - n_prefix, encoded.ids.size)
            if first < 0 or (first < last and (encoded.ends[first] < begin or starts[last - 1] > end)):
                return [f"span {number}: its tokens lie outside of its characters"]
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
