"""The examples of a user's own patterns are tried when they are loaded, by every way in which they can be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from deepcoder_hf import load_config
from deepcoder_hf.cli.main import main
from deepcoder_hf.config import SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.detector import SpanDetector

GOOD: dict[str, Any] = {
    "name": "musing",
    "span_type": "reasoning",
    "kind": "tag",
    "open": "<muse>",
    "close": "</muse>",
    "confidence": 0.9,
    "example": "<muse>Seven is prime.</muse>\nYes.",
    "counter_example": "Write <muse> first.",
}
BAD_EXAMPLE = {"example": "I muse: seven is prime."}
BAD_COUNTER_EXAMPLE = {"counter_example": "<muse>Six is not.</muse>"}
NOT_FOUND = ("'musing'", "expected reasoning", "example", "found ", "'I muse: seven is prime.'", "open ('<muse>')")
WRONGLY_FOUND = ("'musing'", "counter_example", "found reasoning '<muse>Six is not.</muse>'", "stricter")
CASES = [(BAD_EXAMPLE, NOT_FOUND), (BAD_COUNTER_EXAMPLE, WRONGLY_FOUND)]
IDS = ["example", "counter_example"]


def config_of(tmp_path: Path, *patterns: dict[str, Any]) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"spans": {"patterns": list(patterns)}}), encoding="utf-8")
    return path


def spans_of(**fields: Any) -> SpansConfig:
    return SpansConfig.model_validate({"patterns": [{**GOOD, **fields}]})


def test_a_pattern_that_finds_its_example_is_taken(tmp_path: Path) -> None:
    for config in (SpansConfig.model_validate({"patterns": [GOOD]}), load_config(config_of(tmp_path, GOOD)).spans):
        found = SpanDetector(config).detect("<muse>a</muse>\nb")
        assert (found[0].pattern, found[0].span_type.value) == ("musing", "reasoning")


@pytest.mark.parametrize(("fields", "words"), CASES, ids=IDS)
def test_the_detector_refuses_a_wrong_example(fields: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        SpanDetector(spans_of(**fields))
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(("fields", "words"), CASES, ids=IDS)
def test_a_configuration_file_with_a_wrong_example_is_refused(
    fields: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config_of(tmp_path, {**GOOD, **fields}))
    assert [word for word in (*words, "spans.patterns") if word not in str(caught.value)] == []


@pytest.mark.parametrize(("fields", "words"), CASES, ids=IDS)
def test_process_stops_at_a_wrong_example_before_it_reads(
    fields: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "<muse>a</muse>"}\n', encoding="utf-8")
    config = config_of(tmp_path, {**GOOD, **fields})
    arguments = ["process", "-i", str(source), "-o", str(tmp_path / "out"), "--config", str(config)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert [word for word in words if word not in " ".join(result.output.split())] == []
    assert not (tmp_path / "out").exists()


def test_all_wrong_examples_are_named_at_once() -> None:
    second = {**GOOD, **BAD_COUNTER_EXAMPLE, "name": "second", "open": "<muse2?>", "close": "</muse2>"}
    second["example"] = "nothing"
    with pytest.raises(ConfigError) as caught:
        SpanDetector(SpansConfig.model_validate({"patterns": [{**GOOD, **BAD_EXAMPLE}, second]}))
    assert "'musing'" in str(caught.value)
    assert "'second'" in str(caught.value)


def test_a_label_of_the_wrong_type_is_named_with_what_was_found() -> None:
    label = {"kind": "label", "open": "Musing:", "close": None, "confidence": 0.7}
    pattern = {**GOOD, **label, "example": "Musing: prime?"}
    with pytest.raises(ConfigError, match="also needs context"):
        SpanDetector(SpansConfig.model_validate({"patterns": [pattern]}))


def test_examples_are_tried_beside_all_built_in_patterns_even_if_few_are_used() -> None:
    pattern = {**GOOD, "example": "Question: Is 7 prime?\n<muse>I look.</muse>\nAction: is_prime[7]\nObservation: yes"}
    config = SpansConfig.model_validate({"patterns": [pattern], "families": ["think_tag"]})
    assert len(SpanDetector(config).library.patterns) < 100
