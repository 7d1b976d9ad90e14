"""The configuration: recipes, files and settings in order, and every mistake named at once."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from deepcoder_hf import Config, create_trajectory_processing_config, load_config
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.fingerprint import digest
from deepcoder_hf.settings import recipe_names
from deepcoder_hf.spans.library import builtin_patterns

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def problems(source: Any, sets: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(source, sets)
    return str(caught.value).splitlines()


def test_no_source_gives_the_defaults() -> None:
    config = load_config()
    assert config == Config() == load_config({}) == load_config([])
    assert (config.tokens.model_name, config.tokens.max_length) == ("Qwen/Qwen3-30B-A3B", 32768)
    assert (config.masks.straddle, config.tokens.engine, config.tokens.overflow) == ("first", "auto", "window")
    assert all(value in (None, False) for _, value in config.filters)
    assert load_config(config) is config


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_by_its_name(name: str) -> None:
    assert isinstance(load_config(name), Config)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_example_configuration_loads(path: Path) -> None:
    assert load_config(path) == load_config(str(path))


def test_the_qwen3_recipe_turns_the_filters_on() -> None:
    filters = load_config("qwen3").filters
    assert (filters.min_reasoning_ratio, filters.min_action_ratio, filters.max_other_ratio) == (0.1, 0.05, 0.8)


def test_a_file_wins_over_a_recipe_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qwen3").write_text("tokens: {max_length: 77}")
    assert load_config("qwen3").tokens.max_length == 77


def test_later_sources_win_and_settings_win_over_sources(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("tokens: {max_length: 100, engine: reference}\nmasks: {answer: own}\n")
    two.write_text("tokens: {max_length: 200}\n")
    config = load_config(["qwen3", one, two], ["masks.answer=none", "filters.min_tokens=5", "filters.min_tokens=6"])
    assert (config.tokens.max_length, config.tokens.engine) == (200, "reference")
    assert config.masks.answer == "none"
    assert config.filters.min_tokens == 6
    assert config.filters.min_action_ratio == 0.05
    assert load_config([two, one]).tokens.max_length == 100
    assert load_config([config, {"masks": {"answer": "own"}}]).masks.answer == "own"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("tokens.max_length=4096", 4096),
        (" tokens.max_length =4096", 4096),
        ("tokens.append_eos=true", True),
        ("tokens.model_name=a/b=c", "a/b=c"),
        ("filters.min_reward=-0.5", -0.5),
        ("filters.min_reward=null", None),
        ("filters.min_reward=", None),
        ("spans.families=[think_tag, tool_call_tag]", ("think_tag", "tool_call_tag")),
    ],
)
def test_a_setting_is_a_dotted_path_and_a_yaml_value(setting: str, value: Any) -> None:
    section, name = setting.partition("=")[0].strip().split(".")
    assert getattr(getattr(load_config(None, [setting]), section), name) == value


@pytest.mark.parametrize("setting", ["tokens.max_length", "=4", "", " =1", "tokens.max_length=[1", "tokens.x: 1"])
def test_a_setting_of_another_shape_is_refused_with_an_example(setting: str) -> None:
    (problem,) = problems(None, (setting,))
    assert problem.startswith("--set ")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"tokens": {"max_lenght": 5}}, "tokens.max_lenght: no such setting; did you mean 'max_length'?"),
        ({"token": {}}, "token: no such setting; did you mean 'tokens'?"),
        ({"filters": {"min_reasoning": 0.1}}, "filters.min_reasoning: no such setting; did you mean"),
        ({"masks": {"zzz": 1}}, "masks.zzz: no such setting; known: answer, preamble, reasoning, action, "),
        ({"spans": {"patterns": [{"nmae": "x"}]}}, "spans.patterns.0.nmae: no such setting; did you mean 'name'?"),
        ({"trajectory_processing": {"max_len": 5}}, "trajectory_processing.max_len: no such setting; did you mean"),
        (
            {"trajectory_processing": {"span_detection": {"thinking_pattern": []}}},
            "trajectory_processing.span_detection.thinking_pattern: no such setting; did you mean 'thinking_patterns'?",
        ),
        (
            {"trajectory_processing": {"span_detection": {"action_patterns": ["tool_call_tga"]}}},
            "trajectory_processing.span_detection.action_patterns.tool_call_tga: no such built-in pattern; "
            "did you mean 'tool_call_tag'?",
        ),
        ({"tokens": {"max_length": 3}}, "tokens.max_length: "),
        ({"masks": {"answer": "both"}}, "masks.answer: "),
        ({"filters": {"min_action_ratio": 1.5}}, "filters.min_action_ratio: "),
        ({"filters": {"min_tokens": "many"}}, "filters.min_tokens: "),
        ({"trajectory_processing": 5}, "trajectory_processing: expected settings, got int"),
        ({"tokens": None}, "tokens: "),
        ({"tokens": [1]}, "tokens: "),
    ],
)
def test_a_wrong_setting_is_named_with_its_path_and_the_nearest_name(source: Any, expected: str) -> None:
    found = problems(source)
    assert any(problem.startswith(expected) for problem in found), found


def test_all_problems_are_named_at_once() -> None:
    source = {"tokens": {"max_lenght": 5, "engine": "slow"}, "maks": {}, "filters": {"min_tokens": -1}}
    found = problems(source, ("masks.straddle=last",))
    assert [problem.split(": ")[0] for problem in sorted(found)] == [
        "filters.min_tokens",
        "maks",
        "masks.straddle",
        "tokens.engine",
        "tokens.max_lenght",
    ]
    assert all("got" in problem or "did you mean" in problem for problem in found)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1\nb: {", "not valid YAML"),
        (b"- 1\n- 2\n", "expected sections such as `tokens:`, got list"),
        (b"text", "expected sections such as `tokens:`, got str"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: !!python/object/apply:os.system [id]", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    (problem,) = problems(path)
    assert "own.yaml" in problem
    assert expected in problem


def test_an_empty_file_changes_nothing_and_a_missing_one_names_the_recipes(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_config(tmp_path / "empty.yaml") == Config()
    (problem,) = problems("qwen4")
    assert "'qwen4'" in problem
    assert all(name in problem for name in recipe_names())


def test_the_shape_of_the_first_design_maps_onto_the_sections() -> None:
    config = load_config(
        {
            "trajectory_processing": {
                "model_name": "Qwen/Qwen3-8B",
                "max_length": 4096,
                "span_detection": {"confidence_threshold": 0.7},
                "quality_filtering": {"min_reasoning_ratio": 0.1, "min_action_ratio": 0.05, "max_other_ratio": 0.8},
            },
            "masks": {"answer": "own"},
        }
    )
    assert (config.tokens.model_name, config.tokens.max_length) == ("Qwen/Qwen3-8B", 4096)
    assert config.spans.min_confidence == 0.7
    assert config.spans.families is None
    assert (config.filters.min_reasoning_ratio, config.filters.max_other_ratio) == (0.1, 0.8)
    assert config.masks.answer == "own"


def test_patterns_of_the_first_design_are_names_or_patterns_of_ones_own() -> None:
    own = {
        "name": "musing",
        "kind": "label",
        "open": "Musing:",
        "confidence": 0.9,
        "example": "Musing: hm",
        "counter_example": "amusing",
    }
    detection = {"thinking_patterns": ["think_tag", own], "action_patterns": []}
    spans = load_config({"trajectory_processing": {"span_detection": detection}}).spans
    by_name = {pattern.name: pattern.span_type for pattern in builtin_patterns()}
    assert [(pattern.name, pattern.span_type) for pattern in spans.patterns] == [("musing", "reasoning")]
    assert spans.families is not None
    chosen = {name: by_name[name] for name in spans.families}
    assert [name for name, kind in chosen.items() if kind == "reasoning"] == ["think_tag"]
    assert "action" not in chosen.values()
    assert {name for name, kind in by_name.items() if kind == "observation"} <= set(chosen)


def test_the_seeds_function_builds_a_configuration() -> None:
    config = create_trajectory_processing_config(
        max_length=2048,
        min_reasoning_ratio=0.2,
        min_action_ratio=0.1,
        max_other_ratio=0.5,
        confidence_threshold=0.6,
        model_name="Qwen/Qwen3-0.6B",
    )
    assert (config.tokens.max_length, config.tokens.model_name) == (2048, "Qwen/Qwen3-0.6B")
    assert (config.filters.min_reasoning_ratio, config.filters.min_action_ratio) == (0.2, 0.1)
    assert (config.filters.max_other_ratio, config.spans.min_confidence) == (0.5, 0.6)
    assert create_trajectory_processing_config() == Config()
    with pytest.raises(ConfigError, match=r"filters\.min_reasoning_ratio: .*got 2"):
        create_trajectory_processing_config(min_reasoning_ratio=2)


def sections(model: type[BaseModel] = Config) -> list[type[BaseModel]]:
    inner = [field.annotation for field in model.model_fields.values()]
    return [
        model,
        *(m for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel) for m in sections(kind)),
    ]


@pytest.mark.parametrize("section", sections()[1:], ids=lambda section: section.__name__)
def test_every_setting_is_documented_and_frozen(section: type[BaseModel]) -> None:
    assert section.__doc__
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert re.search(r"[.)`]$", field.description), field.description
    with pytest.raises(ValidationError):
        setattr(section(), next(iter(section.model_fields)), 1)


def test_a_configuration_survives_pickling_json_and_hashing() -> None:
    config = load_config("qwen3", ["spans.families=[think_tag]"])
    assert pickle.loads(pickle.dumps(config)) == config
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert hash(config) == hash(load_config("qwen3", ["spans.families=[think_tag]"]))
    dumped = [c.model_dump(mode="json") for c in (config, load_config(config.model_dump(mode="json")))]
    assert digest(dumped[0]) == digest(dumped[1])
