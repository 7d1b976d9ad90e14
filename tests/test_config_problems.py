"""Problems of a configuration: all at once, over every source, each as the user wrote it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from deepcoder_hf import Config, load_config
from deepcoder_hf.errors import ConfigError

OWN = {
    "name": "musing",
    "span_type": "reasoning",
    "kind": "label",
    "open": "Musing:",
    "confidence": 0.9,
    "example": "Musing: hm",
    "counter_example": "amusing",
}
WITHOUT_TYPE = {key: value for key, value in OWN.items() if key != "span_type"}


def problems(source: Any, sets: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(source, sets)
    return str(caught.value).splitlines()


def begin(found: list[str], *expected: str) -> bool:
    return len(found) == len(expected) and all(map(str.startswith, found, expected))


def seed(**block: Any) -> dict[str, Any]:
    return {"trajectory_processing": block}


def test_an_unknown_key_of_the_first_design_hides_no_other_problem() -> None:
    source = {**seed(max_len=5, quality_filtering={"min_tokens": -1}), "tokens": {"engin": "auto"}, "maks": {}}
    found = problems(source, ("masks.answer=both", "masks", "filters.min_tokens=[1"))
    assert begin(
        found,
        "--set 'masks': expected dotted.path=value",
        "--set 'filters.min_tokens=[1': the value is not valid YAML",
        "trajectory_processing.max_len: no such setting; did you mean 'max_length'?",
        "trajectory_processing.quality_filtering.min_tokens: ",
        "tokens.engin: no such setting; did you mean 'engine'?",
        "maks: no such setting; did you mean 'masks'?",
        "masks.answer: ",
    ), found


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"max_length": 3}, "max_length: Input should be"),
        ({"model_name": 3}, "model_name: Input should be"),
        ({"span_detection": {"confidence_threshold": 2}}, "span_detection.confidence_threshold: Input should be"),
        ({"span_detection": 5}, "span_detection: expected settings, got int"),
        ({"span_detection": {"action_patterns": "react"}}, "span_detection.action_patterns: expected a list"),
        ({"span_detection": {"action_patterns": None}}, "span_detection.action_patterns: expected a list"),
        ({"quality_filtering": [1]}, "quality_filtering: expected settings, got list"),
        ({"quality_filtering": {"max_other_ratio": 2}}, "quality_filtering.max_other_ratio: Input should be"),
        (
            {"quality_filtering": {"min_reasoning": 0.1}},
            "quality_filtering.min_reasoning: no such setting; did you mean 'min_reasoning_ratio'?",
        ),
        (
            {"span_detection": {"action_patterns": ["tool_call_tag", {**WITHOUT_TYPE, "nmae": "x"}]}},
            "span_detection.action_patterns.1.nmae: no such setting; did you mean 'name'?",
        ),
        (
            {"span_detection": {"thinking_patterns": [{**WITHOUT_TYPE, "open": "a.*"}]}},
            "span_detection.thinking_patterns.0: pattern 'musing': open repeats without a bound",
        ),
        (
            {"span_detection": {"thinking_patterns": [WITHOUT_TYPE, WITHOUT_TYPE]}},
            "span_detection.patterns: pattern 'musing': the name is used twice",
        ),
        (
            {"quality_filtering": {"min_tokens": 9, "max_tokens": 8}},
            "quality_filtering.max_tokens: expected at least trajectory_processing.quality_filtering.min_tokens",
        ),
    ],
)
def test_a_problem_in_the_first_designs_block_is_named_as_it_was_written(block: Any, expected: str) -> None:
    found = problems(seed(**block))
    assert begin(found, f"trajectory_processing.{expected}"), found


def test_a_section_beside_the_first_designs_block_keeps_its_own_path() -> None:
    found = problems({**seed(max_length=3), "tokens": {"max_length": 4}, "trajectory_procesing": {}})
    assert begin(
        found,
        "trajectory_processing.max_length: ",
        "tokens.max_length: ",
        "trajectory_procesing: no such setting; did you mean 'trajectory_processing'?",
    ), found


def test_problems_of_several_sources_begin_with_their_names(tmp_path: Path) -> None:
    one, two, broken = (tmp_path / name for name in ("one.yaml", "two.yaml", "broken.yaml"))
    one.write_text("trajectory_processing: {max_len: 5}\nfilters: {min_tokens: many}\n")
    two.write_text("tokens: {engine: slow}\n")
    broken.write_text("tokens: [\n")
    found = problems([one, "qwen4", broken, "qwen3", str(two)], ("tokens.max_lenght=5",))
    assert begin(
        found,
        "config 'qwen4': No such file or directory",
        f"config {str(broken)!r}: not valid YAML",
        f"{one}: trajectory_processing.max_len: no such setting",
        f"{one}: filters.min_tokens: ",
        f"{two}: tokens.engine: ",
        "--set: tokens.max_lenght: no such setting; did you mean 'max_length'?",
    ), found


def test_a_wrong_value_is_a_problem_even_where_a_later_source_replaces_it() -> None:
    assert begin(problems({"tokens": {"max_length": 3}}, ("tokens.max_length=4096",)), "tokens.max_length: ")


def test_unknown_families_are_named_with_the_nearest_built_in_pattern() -> None:
    found = problems({"spans": {"families": ["think_tga", "tool_call_tag", "acton_label"]}, "masks": {"answer": "x"}})
    assert begin(
        found,
        "masks.answer: ",
        "spans.families.think_tga: no such built-in pattern; did you mean 'think_tag'?",
        "spans.families.acton_label: no such built-in pattern; did you mean 'action_label'?",
    ), found
    assert begin(problems(None, ("spans.families=[think_tga]",)), "spans.families.think_tga: ")
    (far,) = problems({"spans": {"families": ["qqq"]}})
    assert far.startswith("spans.families.qqq: no such built-in pattern; known: ")
    assert len(far) < 400


def test_every_refused_pattern_of_ones_own_is_named() -> None:
    patterns = [{**OWN, "open": "a.*"}, OWN, {**OWN, "name": "broken", "open": "Musing("}]
    found = problems({"spans": {"patterns": patterns, "families": ["think_tga"]}})
    assert begin(
        found,
        "spans.families.think_tga: ",
        "spans.patterns.0: pattern 'musing': open repeats without a bound",
        "spans.patterns.2: pattern 'broken': open ",
    ), found
    assert load_config({"spans": {"patterns": [OWN]}}).spans.patterns[0].name == "musing"


def test_patterns_of_ones_own_that_clash_are_named() -> None:
    found = problems({"spans": {"patterns": [OWN, {**OWN, "name": "other"}]}, "tokens": {"max_length": 3}})
    assert begin(found, "tokens.max_length: ", "spans.patterns: pattern 'other': open is the same as in 'musing'"), (
        found
    )


def test_limits_that_exclude_every_trajectory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("filters: {min_tokens: 500, min_reward: high}")
    found = problems([tmp_path / "own.yaml", "react"], ("filters.max_tokens=100",))
    assert begin(
        found,
        f"{tmp_path / 'own.yaml'}: filters.min_reward: ",
        "--set: filters.max_tokens: expected at least filters.min_tokens, which is 500, got 100",
    ), found
    assert load_config({"filters": {"min_tokens": 5, "max_tokens": 5}}).filters.max_tokens == 5


@pytest.mark.parametrize("source", [{1: 2}, {"tokens": {1: 2}}, {"spans": {"patterns": [{1: 2}]}}, {None: {}}])
def test_a_key_that_is_no_name_is_a_problem(source: Any) -> None:
    assert problems(source)


def test_a_setting_may_be_one_of_the_first_designs_block() -> None:
    sets = ["trajectory_processing.max_length=77", "trajectory_processing.quality_filtering.min_tokens=5"]
    config = load_config("qwen3", sets)
    assert (config.tokens.max_length, config.filters.min_tokens, config.filters.min_action_ratio) == (77, 5, 0.05)
    assert begin(problems(None, ("trajectory_processing.max_len=77",)), "trajectory_processing.max_len: no such")


def test_a_mapping_is_left_as_it_was_and_may_hold_sections() -> None:
    source = {**seed(max_len=5), "tokens": {"max_lenght": 5, "max_length": 77}, "maks": {}}
    before = copy.deepcopy(source)
    problems(source)
    assert source == before
    config = Config.model_validate({"tokens": {"max_length": 77}})
    assert load_config({"tokens": config.tokens}, ["tokens.append_eos=true"]).tokens.max_length == 77
