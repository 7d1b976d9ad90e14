"""Make the per-token columns of rows again from text, spans, tokenizer and mask settings, and compare exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcoder_hf.config import MasksConfig, TokensConfig
from deepcoder_hf.errors import RecordError, TokenizerError
from deepcoder_hf.spans.columns import subtype_codes
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.recorded import vocabulary_of
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer, cached_tokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_tokens

COMPARED = ("input_ids", "token_types", "reasoning_mask", "action_mask", "labels")
MAX_CONFIDENCE_ERROR = 1e-5
"""Largest difference of the mean confidence, which float32 holds to 6e-8."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Maker:
    """What a row was made with."""

    tokenizer: TrajectoryTokenizer
    masks: MasksConfig
    with_eos: bool
    cuts: Sequence[int]
    """Characters before which the text was cut: escaped control tokens."""
    recorded: bool
    """Whether the ids are recorded ones: they are proven to decode to the text, not to be what the tokenizer gives."""


class Recomputation:
    """Tokenises and types texts again, with the tokenizers and mask settings that the rows name.

    Args:
        model_name: Tokenizer to use instead of the name in the rows; its digest must be the one in the rows.
    """

    def __init__(self, model_name: str | None) -> None:
        self._model_name = model_name
        self._tokenizers: dict[tuple[str, bool, bool], TrajectoryTokenizer | str] = {}
        self._masks: dict[str, MasksConfig | str] = {}

    def check(self, rows: Sequence[Row]) -> list[list[str]]:
        """Problems of each row; rows of one tokenizer and setting are typed together.

        Args:
            rows: Rows that hold together by themselves: columns of `length` entries, spans that partition the text.
        """
        found = [self._find(row) for row in rows]
        problems = [answer if isinstance(answer, list) else [] for answer in found]
        groups: dict[tuple[int, int], list[int]] = {}
        for number, answer in enumerate(found):
            if isinstance(answer, _Maker):
                groups.setdefault((id(answer.tokenizer), id(answer.masks)), []).append(number)
        for numbers in groups.values():
            makers = [answer for answer in (found[n] for n in numbers) if isinstance(answer, _Maker)]
            for number, answers in zip(numbers, _compare([rows[n] for n in numbers], makers), strict=True):
                problems[number] = answers
        return problems

    def _find(self, row: Row) -> _Maker | list[str]:
        """What a row was made with, or what is wrong with its account of that."""
        try:
            facts = json.loads(row["metadata"])
            added = {"before": 0, "after": 0} | facts.get("special_tokens", {})
            name, _, digest = str(facts.get("tokenizer", "")).rpartition("@")
        except (TypeError, ValueError, AttributeError):
            return [f"metadata: expected a JSON object with tokenizer and special_tokens, got {row['metadata']!r:.80}"]
        if not name:
            return ["metadata.tokenizer: expected name@digest"]
        masks = self._settings(facts.get("masks"))
        if isinstance(masks, str):
            return [masks]
        tokenizer = self._load(self._model_name or name, bool(added["before"] or added["after"]), "eos" in added)
        if isinstance(tokenizer, str):
            return [tokenizer]
        if tokenizer.digest != digest:
            return [f"tokenizer {tokenizer.name} has the digest {tokenizer.digest}, the row was made with {digest}"]
        if [len(tokenizer.prefix_ids), len(tokenizer.suffix_ids)] != [added["before"], added["after"]]:
            return [f"metadata.special_tokens: {tokenizer.name} puts {tokenizer.n_special} around a text, got {added}"]
        cuts = facts.get("escaped", [])
        if not _are_places(cuts, len(row["text"])):
            return [f"metadata.escaped: expected ascending places in the text, got {cuts!r:.80}"]
        tokens = facts.get("tokens", {})
        problem = _recorded_problem(tokens, row, tokenizer)
        if problem:
            return [problem]
        return _Maker(tokenizer, masks, bool(added.get("eos")), cuts, _differs(tokens))

    def _settings(self, facts: Any) -> MasksConfig | str:
        """The mask settings of a row; one object for equal ones."""
        key = repr(facts)
        if key not in self._masks:
            expected = ", ".join(MasksConfig.model_fields)
            problem = f"metadata.masks: expected the mask settings ({expected}), got {facts!r:.80}"
            try:
                masks = MasksConfig.model_validate(facts)
                self._masks[key] = masks if masks.model_dump() == facts else problem
            except ValueError:
                self._masks[key] = f"{problem}; a row of an older version must be processed again"
        return self._masks[key]

    def _load(self, name: str, special: bool, append_eos: bool) -> TrajectoryTokenizer | str:
        key = name, special, append_eos
        if key not in self._tokenizers:
            config = TokensConfig(
                model_name=name, engine="reference", add_special_tokens=special, append_eos=append_eos
            )
            try:
                self._tokenizers[key] = cached_tokenizer(config)
            except TokenizerError as error:
                self._tokenizers[key] = f"{error}; name the tokenizer with --model (model_name=...)"
        return self._tokenizers[key]


def _differs(tokens: Any) -> bool:
    """Whether a row says that its ids are recorded ones that the tokenizer does not give."""
    return isinstance(tokens, dict) and tokens.get("source") == "recorded" and tokens.get("equal") is not True


def _recorded_problem(tokens: Any, row: Row, tokenizer: TrajectoryTokenizer) -> str:
    """What is wrong with recorded ids: not the text's, or trained outside of the completions."""
    if not isinstance(tokens, dict) or tokens.get("source") not in (None, "recorded", "rendered"):
        return f"metadata.tokens: expected an object with source recorded or rendered, got {tokens!r:.80}"
    if _differs(tokens):
        try:
            text = vocabulary_of(tokenizer).decode(np.asarray(row["input_ids"]).tolist())
        except (RecordError, TokenizerError) as error:
            return f"input_ids: {error}"
        if text != row["text"]:
            return "input_ids: the recorded tokens do not decode to the text"
    outside = np.asarray(row["labels"]) != -100
    places = tokens.get("completions")
    if places is not None:
        try:
            for first, last in places:
                outside[first:last] = False
        except (TypeError, ValueError):
            return f"metadata.tokens.completions: expected ranges of tokens, got {places!r:.80}"
        if outside.any():
            return f"labels: token {int(np.flatnonzero(outside)[0])} is trained outside of the recorded completions"
    return ""


def _are_places(values: Any, n_chars: int) -> bool:
    """Whether a value is an ascending list of places inside a text."""
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        return False
    return all(a < b for a, b in pairwise([0, *values, n_chars])) or not values


def _compare(rows: Sequence[Row], makers: Sequence[_Maker]) -> list[list[str]]:
    """Problems of each row of one tokenizer and one setting."""
    try:
        typed = _typed(rows, makers)
        masks = typed.masks()
    except (ValueError, IndexError) as error:
        if len(rows) == 1:
            return [[f"cannot be made again: {type(error).__name__}: {error}"]]
        return [_compare([row], [maker])[0] for row, maker in zip(rows, makers, strict=True)]
    columns = {"input_ids": typed.input_ids} | {name: getattr(masks, name) for name in COMPARED[1:]}
    return [list(_differences(row, typed, columns, number)) for number, row in enumerate(rows)]


def _typed(rows: Sequence[Row], makers: Sequence[_Maker]) -> TypedTokens:
    spans = [span for row in rows for span in row["spans"]]
    counts = np.array([len(row["spans"]) for row in rows], np.int64)
    return type_tokens(
        [row["text"] for row in rows],
        np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        np.array([span["start_char"] for span in spans], np.int64),
        np.array([span["end_char"] for span in spans], np.int64),
        np.array([TYPE_IDS[span["span_type"]] for span in spans], np.int8),
        subtype_codes(pa.array([span["subtype"] for span in spans], pa.string())),
        np.array([span["confidence"] for span in spans], np.float32),
        makers[0].tokenizer,
        makers[0].masks,
        np.array([maker.with_eos for maker in makers], bool),
        [maker.cuts for maker in makers],
        [
            np.asarray(row["input_ids"]).tolist() if maker.recorded else ()
            for row, maker in zip(rows, makers, strict=True)
        ],
    )


def _differences(row: Row, typed: TypedTokens, columns: Mapping[str, npt.NDArray[Any]], number: int) -> Iterator[str]:
    first, last = typed.rows[number : number + 2].tolist()
    if row["length"] != last - first:
        yield f"input_ids: expected {last - first} tokens of the text, got {row['length']}"
        return
    for name, values in columns.items():
        expected, given = values[first:last], np.asarray(row[name])
        if not np.array_equal(expected, given):
            token = int(np.flatnonzero(expected != given)[0])
            yield f"{name}: expected {expected[token]} at token {token}, got {given[token]}"
    part = slice(*typed.span_rows[number : number + 2])
    ranges = zip(typed.start_token[part].tolist(), typed.end_token[part].tolist(), strict=True)
    for place, (span, (start, end)) in enumerate(zip(row["spans"], ranges, strict=True)):
        if (span["start_token"], span["end_token"]) != (start, end):
            yield f"span {place}: expected tokens {start}-{end}, got {span['start_token']}-{span['end_token']}"
            break
    given_mean, mean = row["quality"]["mean_confidence"], float(typed.mean_confidence[number])
    if not abs(given_mean - mean) < MAX_CONFIDENCE_ERROR:
        yield f"quality.mean_confidence: expected {mean:.6f}, got {given_mean}"
