"""Masks: disjoint, inside attention, labels where a token is trained, and every setting does what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.spans.columns import subtype_codes
from deepcoder_hf.spans.types import PREAMBLE, TYPE_IDS, TYPES
from deepcoder_hf.tokens.masks import TokenMasks, token_masks, training_of
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_tokens

MakeTokenizer = Callable[..., TrajectoryTokenizer]
Labelled = Sequence[tuple[str, str]]
"""Parts of a text with what each is: a span type, or `type/subtype`."""

ANSWERS = ("action", "own", "none")
PREAMBLES = ("reasoning", "action", "none")
KINDS = (
    *map(str, TYPES), "reasoning/preamble", "reasoning/untrained", "action/untrained", "reasoning/summary",
    "other/header", "other/header", "other/empty_think", "action/stop", "answer/stop", "reasoning/stop",
    "other/turn_end", "other/untrained",
)  # fmt: skip
text_part = st.sampled_from(
    ["Thought: I need\n", "Action: read", " path\n\n", "🙂", "é", "  ", "x", "Observation: 1\r\n", "\x00"]
)
rows_of_parts = st.lists(st.lists(st.tuples(text_part, st.sampled_from(KINDS)), max_size=6), max_size=4)
any_masks = st.builds(
    MasksConfig,
    answer=st.sampled_from(ANSWERS),
    preamble=st.sampled_from(PREAMBLES),
    reasoning=st.sampled_from(["reasoning", "none"]),
    action=st.sampled_from(["action", "none"]),
    stop=st.sampled_from(["trained", "none"]),
    turn_end=st.sampled_from(["trained", "none"]),
    empty_think=st.sampled_from(["reasoning", "none"]),
    summary=st.sampled_from(["reasoning", "none"]),
    straddle=st.sampled_from(["first", "majority", "none"]),
)


def span_type(kind: str) -> str:
    return kind.partition("/")[0]


def codes_of(kinds: Sequence[str]) -> np.ndarray:
    return subtype_codes(pa.array([kind.partition("/")[2] for kind in kinds], pa.string()))


def typed(tokenizer: TrajectoryTokenizer, rows: Sequence[Labelled], config: MasksConfig) -> TypedTokens:
    sizes = [[len(text) for text, _ in parts] for parts in rows]
    starts = [start for row in sizes for start in np.cumsum([0, *row[:-1]])[: len(row)]]
    ends = [end for row in sizes for end in np.cumsum(row)]
    flat = [kind for parts in rows for _, kind in parts]
    return type_tokens(
        ["".join(text for text, _ in parts) for parts in rows],
        np.cumsum([0, *map(len, rows)]),
        np.array(starts, np.int64),
        np.array(ends, np.int64),
        np.array([TYPE_IDS[span_type(kind)] for kind in flat], np.int8),
        codes_of(flat),
        np.full(len(flat), 0.5, np.float32),
        tokenizer,
        config,
    )


def trained_as(kinds: Sequence[str], config: MasksConfig) -> list[str]:
    """What the documentation of the settings says of the spans of one row: reasoning, action, own (labels) or none."""
    by_type = {"reasoning": config.reasoning, "action": config.action, "answer": config.answer}
    by_subtype = {
        "preamble": config.preamble,
        "summary": config.summary,
        "untrained": "none",
        "empty_think": config.empty_think,
        "": None,
    }
    turns: list[list[int]] = [[]]
    for place, kind in enumerate(kinds):
        if kind == "other/header":
            turns.append([])
        turns[-1].append(place)
    found = ["none"] * len(kinds)
    for turn in turns:
        closing = [place for place in turn if kinds[place].endswith(("/stop", "/turn_end"))]
        for place in set(turn) - set(closing):
            name, _, subtype = kinds[place].partition("/")
            found[place] = by_subtype.get(subtype) or by_type.get(name, "none")
        is_trained = any(found[place] != "none" for place in turn)
        for place in closing:
            name, _, subtype = kinds[place].partition("/")
            if is_trained and (config.stop if subtype == "stop" else config.turn_end) == "trained":
                own = by_type.get(name, "none")
                found[place] = "action" if own == "none" else own
    return found


@pytest.mark.parametrize("name", ["tiny_bpe", "tiny_wordpiece", "tiny_unigram"])
@settings(max_examples=80, deadline=None)
@given(rows=rows_of_parts, config=any_masks)
def test_masks_hold_together_for_any_spans_and_settings(
    name: str, rows: Sequence[Labelled], config: MasksConfig, tokenizer_of: MakeTokenizer
) -> None:
    found = typed(tokenizer_of(name), rows, config)
    masks = found.masks()
    columns = (masks.token_types, masks.reasoning_mask, masks.action_mask, masks.labels)
    assert {column.size for column in columns} == {found.input_ids.size}
    assert [column.dtype for column in columns] == [np.int8, np.int8, np.int8, np.int32]
    masked = masks.reasoning_mask + masks.action_mask
    assert set(masked.tolist()) <= {0, 1}
    labelled = masks.labels != -100
    assert np.array_equal(masks.labels[labelled], found.input_ids[labelled])
    assert labelled[masked == 1].all()
    own = labelled & (masked == 0)
    assert (masks.token_types[own] == TYPE_IDS["answer"]).all()
    assert config.answer == "own" or not own.any()
    assert not labelled[masks.token_types == TYPE_IDS["observation"]].any()
    other = labelled & (masks.token_types == TYPE_IDS["other"])
    assert config.turn_end == "trained" or config.empty_think == "reasoning" or not other.any()
    row_of = np.repeat(np.arange(len(rows)), np.diff(found.rows))
    assert found.n_trained.tolist() == np.bincount(row_of[labelled], minlength=len(rows)).tolist()
    assert found.n_by_type.sum(axis=1).tolist() == np.diff(found.rows).tolist()


@settings(max_examples=80, deadline=None)
@given(rows=rows_of_parts, config=any_masks)
def test_every_token_is_what_its_span_is_and_trained_as_the_settings_say(
    rows: Sequence[Labelled], config: MasksConfig, tokenizer_of: MakeTokenizer
) -> None:
    found = typed(tokenizer_of("tiny_wordpiece"), rows, config)
    training = [trained_as([kind for _, kind in parts], config) for parts in rows]
    flat = [(row, *pair) for row, parts in enumerate(rows) for pair in zip(parts, training[row], strict=True)]
    masks = found.masks()
    expected = [("other", "none")] * found.input_ids.size
    for (row, (_, kind), want), start, end in zip(flat, found.start_token, found.end_token, strict=True):
        first = int(found.rows[row])
        expected[first + start : first + end] = [(kind, want)] * int(end - start)
    for token, (kind, want) in enumerate(expected):
        assert masks.token_types[token] == TYPE_IDS[span_type(kind)]
        assert masks.reasoning_mask[token] == (want == "reasoning")
        assert masks.action_mask[token] == (want == "action")
        assert (masks.labels[token] != -100) == (want != "none")


@pytest.mark.parametrize(("answer", "preamble"), list(product(ANSWERS, PREAMBLES)))
def test_settings_decide_how_answers_and_preambles_are_trained(
    answer: str, preamble: str, tokenizer_of: MakeTokenizer
) -> None:
    parts = [
        ("a", "other"),
        ("b", "reasoning"),
        ("c", "reasoning/preamble"),
        ("d", "action"),
        ("e", "observation"),
        ("f", "answer"),
    ]
    config = MasksConfig(answer=answer, preamble=preamble)  # type: ignore[arg-type]
    found = typed(tokenizer_of("tiny_wordpiece", add_special_tokens=False), [[(f"{t} ", k) for t, k in parts]], config)
    assert found.input_ids.size == 6
    names = {(1, 0): "reasoning", (0, 1): "action", (0, 0): "none"}
    masked = [names[pair] for pair in zip(found.masks().reasoning_mask, found.masks().action_mask, strict=True)]
    assert masked == ["none", "reasoning", preamble, "action", "none", answer if answer == "action" else "none"]
    labelled = (found.masks().labels != -100).tolist()
    assert labelled == [False, True, preamble != "none", True, False, answer != "none"]
    assert found.masks().token_types.tolist() == [0, 1, 1, 2, 3, 4]
    assert found.n_by_type.tolist() == [[1, 2, 1, 1, 1]]


def test_only_reasoning_can_be_preamble() -> None:
    kinds = np.arange(len(TYPES), dtype=np.int8)
    for preamble in PREAMBLES:
        config = MasksConfig(preamble=preamble)  # type: ignore[arg-type]
        rows = np.array([0, kinds.size])
        with_flag = training_of(kinds, np.full(kinds.size, PREAMBLE, np.int8), rows, config)
        without = training_of(kinds, np.zeros(kinds.size, np.int8), rows, config)
        differs = np.flatnonzero(with_flag != without).tolist()
        assert differs == ([] if preamble == "reasoning" else [TYPE_IDS["reasoning"]])


TURNS = (
    "other/system", "other/header", "other/empty_think", "answer", "answer/stop", "other/turn_end", "other/user",
    "other/header", "reasoning", "reasoning/preamble", "action", "action/stop", "other/turn_end", "observation",
    "other/header", "reasoning/summary", "reasoning/stop", "other/turn_end",
    "other/header", "reasoning/untrained", "action/untrained", "other/untrained", "other/turn_end",
)  # fmt: skip
"""Four turns of an agent; the last two have nothing to train where the settings are the defaults."""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "...AA...RRAA..........."),
        ({"reasoning": "none"}, "...AA....RAA..........."),
        ({"action": "none"}, "...AA...RR.A..........."),
        ({"answer": "none"}, "........RRAA..........."),
        ({"answer": "own"}, "...ll...RRAA..........."),
        ({"preamble": "none", "reasoning": "none"}, "...AA.....AA..........."),
        ({"stop": "none"}, "...A....RRA............"),
        ({"turn_end": "trained"}, "...AAA..RRAAA.........."),
        ({"empty_think": "reasoning"}, "..RAA...RRAA..........."),
        ({"empty_think": "reasoning", "answer": "none"}, "..R.A...RRAA..........."),
        ({"summary": "reasoning"}, "...AA...RRAA...RR......"),
        ({"summary": "reasoning", "reasoning": "none", "turn_end": "trained"}, "...AAA...RAAA..RAA....."),
        ({"reasoning": "none", "preamble": "none", "action": "none", "answer": "none"}, "......................."),
    ],
)
def test_each_setting_changes_what_it_names_and_the_stop_follows_its_turn(
    changed: dict[str, str], expected: str
) -> None:
    kinds = np.array([TYPE_IDS[span_type(kind)] for kind in TURNS], np.int8)
    config = MasksConfig(**changed)  # type: ignore[arg-type]
    found = training_of(kinds, codes_of(TURNS), np.array([0, kinds.size]), config)
    assert "".join(".RAl"[n] for n in found) == expected


def test_a_turn_does_not_reach_over_the_beginning_of_a_row() -> None:
    """A window may begin inside a turn: the stop token there belongs to what the window itself trains."""
    kinds = np.array([TYPE_IDS[name] for name in ("action", "action", "other", "action")], np.int8)
    codes = codes_of(("", "/stop", "", "/stop"))
    whole = training_of(kinds, codes, np.array([0, 4]), MasksConfig())
    cut = training_of(kinds, codes, np.array([0, 2, 2, 4]), MasksConfig())
    assert whole.tolist() == [2, 2, 0, 2]
    assert cut.tolist() == [2, 2, 0, 0]


def test_tokens_between_spans_are_other_and_untrained() -> None:
    found: TokenMasks = token_masks(
        np.arange(10, 18, dtype=np.int32),
        np.array([1, 4, 4]),
        np.array([3, 4, 6]),
        np.array([1, 3, 2], np.int8),
        np.array([1, 0, 2], np.int8),
    )
    assert found.token_types.tolist() == [0, 1, 1, 0, 2, 2, 0, 0]
    assert found.reasoning_mask.tolist() == [0, 1, 1, 0, 0, 0, 0, 0]
    assert found.action_mask.tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    assert found.labels.tolist() == [-100, 11, 12, -100, 14, 15, -100, -100]


def test_no_span_and_no_token_give_empty_columns() -> None:
    none = np.zeros(0, np.int64)
    found = token_masks(np.zeros(0, np.int32), none, none, none.astype(np.int8), none.astype(np.int8))
    assert found.token_types.size == found.reasoning_mask.size == found.action_mask.size == found.labels.size == 0


def test_mean_confidence_is_weighed_by_tokens_and_zero_without_tokens(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_wordpiece")
    found = type_tokens(
        ["read read read path", ""],
        np.array([0, 2, 2]),
        np.array([0, 15]),
        np.array([15, 19]),
        np.array([1, 2], np.int8),
        np.zeros(2, np.int8),
        np.array([1.0, 0.5], np.float32),
        tokenizer,
        MasksConfig(),
    )
    first, second = (found.end_token - found.start_token).tolist()
    assert found.mean_confidence.tolist() == pytest.approx([(first + 0.5 * second) / (first + second), 0.0])
