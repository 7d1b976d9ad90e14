"""Filters: each keeps a row on its limit, drops the one beyond it with its reason, and is off by default."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import FiltersConfig
from deepcoder_hf.filters import FILTERS, any_active, drop_reason
from deepcoder_hf.filters.duplicates import Duplicates
from deepcoder_hf.filters.facts import Filter, RowFacts

FACTS = RowFacts(
    n_tokens=100, reasoning_ratio=0.5, action_ratio=0.25, other_ratio=0.125, mean_confidence=0.75, reward=0.5
)
EXTREME = RowFacts(n_tokens=0, reasoning_ratio=0, action_ratio=0, other_ratio=1, mean_confidence=0, reward=None)

CASES = [
    # setting, its limit, the fact, a kept value on the limit, a dropped one beyond it, the reason
    ("min_reasoning_ratio", 0.25, "reasoning_ratio", 0.25, 0.2499, "low_reasoning_ratio"),
    ("min_action_ratio", 0.25, "action_ratio", 0.25, 0.2499, "low_action_ratio"),
    ("max_other_ratio", 0.25, "other_ratio", 0.25, 0.2501, "high_other_ratio"),
    ("min_confidence", 0.5, "mean_confidence", 0.5, 0.4999, "low_confidence"),
    ("min_tokens", 50, "n_tokens", 50, 49, "too_short"),
    ("max_tokens", 150, "n_tokens", 150, 151, "too_long"),
    ("min_reward", 0.5, "reward", 0.5, 0.4999, "low_reward"),
    ("min_reward", 0.0, "reward", 0.0, -0.0001, "low_reward"),
    ("min_reward", -1.0, "reward", -1.0, None, "no_reward"),
]


@pytest.mark.parametrize(("setting", "limit", "fact", "kept", "dropped", "reason"), CASES)
def test_a_row_on_the_limit_is_kept_and_one_beyond_it_is_dropped(
    setting: str, limit: float, fact: str, kept: float, dropped: float | None, reason: str
) -> None:
    config = FiltersConfig.model_validate({setting: limit})
    assert drop_reason(replace(FACTS, **{fact: kept}), config) is None
    assert drop_reason(replace(FACTS, **{fact: dropped}), config) == reason


@pytest.mark.parametrize("check", FILTERS, ids=lambda check: check.__module__.rpartition(".")[2])
def test_every_filter_has_a_kept_and_a_dropped_row_in_the_table(check: Filter) -> None:
    """A new filter fails here until `CASES` has its rows."""
    reasons = set()
    for setting, limit, fact, kept, dropped, _ in CASES:
        config = FiltersConfig.model_validate({setting: limit})
        assert check(replace(FACTS, **{fact: kept}), config) is None
        reasons.add(check(replace(FACTS, **{fact: dropped}), config))
    reasons.discard(None)
    assert reasons
    assert check.__doc__ is not None
    assert all(f"`{reason}`" in check.__doc__ for reason in reasons)
    assert check.__doc__.count("`") == 2 * len(reasons)


@pytest.mark.parametrize("check", FILTERS)
@pytest.mark.parametrize("facts", [FACTS, EXTREME])
def test_every_filter_is_off_by_default(check: Filter, facts: RowFacts) -> None:
    assert check(facts, FiltersConfig()) is None


def test_every_setting_is_in_the_table_and_turns_filters_on() -> None:
    named = {setting for setting, *_ in CASES}
    assert named == set(FiltersConfig.model_fields) - {"drop_duplicates"}
    assert not any_active(FiltersConfig())
    assert not any_active(FiltersConfig(drop_duplicates=True))
    for setting, limit, *_ in CASES:
        assert any_active(FiltersConfig.model_validate({setting: limit}))


def test_a_limit_of_zero_is_on() -> None:
    assert any_active(FiltersConfig(min_reward=0.0))
    assert drop_reason(EXTREME, FiltersConfig(min_reward=0.0)) == "no_reward"
    assert drop_reason(replace(EXTREME, other_ratio=0.01), FiltersConfig(max_other_ratio=0.0)) == "high_other_ratio"


def test_the_first_filter_of_the_list_gives_the_reason() -> None:
    ordered = [
        ("min_reasoning_ratio", 1.0, "low_reasoning_ratio"),
        ("min_action_ratio", 1.0, "low_action_ratio"),
        ("max_other_ratio", 0.0, "high_other_ratio"),
        ("min_confidence", 1.0, "low_confidence"),
        ("min_tokens", 1000, "too_short"),
        ("min_reward", 9.0, "no_reward"),
    ]
    for (one, limit, reason), (other, other_limit, _) in pairwise(ordered):
        config = FiltersConfig.model_validate({one: limit, other: other_limit})
        assert drop_reason(EXTREME, config) == reason


rows = st.lists(st.tuples(st.integers(1, 3), st.integers(-2, 2), st.booleans()), max_size=8)
"""Trajectories: how many windows, the hash of the text, whether the other filters keep it."""


@settings(max_examples=100, deadline=None)
@given(trajectories=rows, cut=st.integers(0, 24))
def test_a_trajectory_repeats_if_one_with_its_text_was_kept_before_however_the_rows_come(
    trajectories: list[tuple[int, int, bool]], cut: int
) -> None:
    flat = [(keep, window == 0, text) for n_windows, text, keep in trajectories for window in range(n_windows)]
    duplicates = Duplicates()
    found = [
        answer
        for part in (flat[:cut], [], flat[cut:])
        for answer in duplicates.repeated([r[0] for r in part], [r[1] for r in part], [r[2] for r in part])
    ]
    seen: set[int] = set()
    expected = []
    for n_windows, text, keep in trajectories:
        expected += [keep and text in seen] * n_windows
        if keep:
            seen.add(text)
    assert found == expected


def test_the_first_of_equal_texts_is_kept_with_all_its_windows() -> None:
    first = [True, False, True, False, True]
    assert Duplicates().repeated([True] * 5, first, [1, 1, 1, 1, 2]) == [False, False, True, True, False]


def test_a_text_that_another_filter_dropped_is_not_remembered() -> None:
    assert Duplicates().repeated([False, True, True], [True] * 3, [1, 1, 1]) == [False, False, True]
