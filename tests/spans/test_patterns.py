"""Each pattern of the library finds its example, leaves its counter-example alone, and bad patterns are refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from deepcoder_hf.config import PatternConfig, SpansConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.library import WEAK, builtin_patterns, compile_library, load_library, parse_patterns

DETECTOR = SpanDetector()
PATTERNS = {pattern.name: pattern for pattern in builtin_patterns()}


def own(**fields: Any) -> PatternConfig:
    base = {
        "name": "own",
        "span_type": "reasoning",
        "kind": "tag",
        "open": "<muse>",
        "close": "</muse>",
        "confidence": 0.9,
        "example": "<muse>a</muse>",
        "counter_example": "a",
    }
    return PatternConfig.model_validate({**base, **fields})


@pytest.mark.parametrize("name", PATTERNS)
def test_the_example_is_found_with_the_type_of_the_pattern(name: str) -> None:
    """The survey of a text may read a weak marker itself: its name and what stands around it tell more."""
    pattern = PATTERNS[name]
    spans = DETECTOR.detect(pattern.example)
    found = [span for span in spans if span.pattern == name]
    if not found and pattern.confidence < WEAK:
        found = [s for s in spans if s.pattern.startswith("inferred") and s.span_type.value == pattern.span_type]
    assert found, spans
    assert {span.span_type.value for span in found} == {pattern.span_type}


@pytest.mark.parametrize("name", PATTERNS)
def test_the_counter_example_is_not_found(name: str) -> None:
    assert name not in {span.pattern for span in DETECTOR.detect(PATTERNS[name].counter_example)}


def test_the_library_covers_each_type_broadly() -> None:
    counts = Counter(pattern.span_type for pattern in PATTERNS.values())
    assert len(PATTERNS) >= 60
    assert counts["reasoning"] >= 20
    assert counts["action"] >= 20
    assert counts["observation"] >= 8
    assert counts["answer"] >= 5
    assert sum(pattern.kind == "turn" for pattern in PATTERNS.values()) >= 20


def test_every_pattern_names_the_styles_it_is_for() -> None:
    assert [name for name, pattern in PATTERNS.items() if not pattern.styles] == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"open": "<muse("}, "is not a regular expression"),
        ({"open": "<(muse)>"}, "captures a group"),
        ({"open": "<(?P<a>muse)>"}, "captures a group"),
        ({"open": "(?i)<muse>"}, "sets flags"),
        ({"open": "<muse.*>"}, "repeats without a bound"),
        ({"open": "<muse.+?>"}, "repeats without a bound"),
        ({"open": "<muse(?:a|b{2,})>"}, "repeats without a bound"),
        ({"open": "<muse(?=a*)>"}, "repeats without a bound"),
        ({"open": "<muse(?>a*)>"}, "repeats without a bound"),
        ({"open": "<(?:a{0,5}){0,5}>"}, "repeats a repeat"),
        ({"open": "<a{0,400}>"}, "can match more than"),
        ({"open": "(?:muse)?"}, "can match the empty text"),
        ({"open": "(?=<muse>)"}, "can match the empty text"),
        ({"open": "[<]muse|[(]muse"}, "does not begin with a literal"),
        ({"open": r"\bmuse"}, "does not begin with a literal"),
        ({"open": "<[^>]{1,9}>"}, "can run over the end of a line"),
        ({"open": r"<muse\W>"}, "can run over the end of a line"),
        ({"open": "<muse[^>]>"}, "can run over the end of a line"),
        ({"open": "<[é]>"}, "outside of ASCII in"),
        ({"open": "<é{0,3}>"}, "repeats a character outside of ASCII"),
        ({"close": "</muse.*>"}, "repeats without a bound"),
        ({"close": ".muse"}, "does not begin with a literal"),
        ({"kind": "label", "open": "Muse:", "close": "</muse>"}, "close is for tags"),
    ],
)
def test_an_expression_that_cannot_be_searched_in_linear_time_is_refused(fields: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SpanDetector(SpansConfig(patterns=(own(**fields),)))
    message = str(caught.value)
    assert problem in message
    assert "'own'" in message
    assert "open" in message or "close" in message


@pytest.mark.parametrize(
    ("expression", "opener"),
    [
        ("<muse>", "<muse>"),
        ("^[Mm]use:", "Muse:"),
        ("<muse(?: \\d{1,3})?>", "<muse 12>"),
        ("<▁muse▁>", "<▁muse▁>"),
        ("<[^>\\n]{1,9}>", "<any>"),
        ("<(?:é|ü)>", "<ü>"),
        ("<muse\\S>", "<muse!>"),
    ],
)
def test_a_bounded_expression_is_taken(expression: str, opener: str) -> None:
    pattern = own(open=expression, example=f"{opener}a</muse>")
    assert SpanDetector(SpansConfig(patterns=(pattern,))).library.patterns[0].open == expression


def test_two_patterns_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="used twice"):
        compile_library([own(), own(open="<other>")])


def test_two_patterns_of_one_type_and_expression_are_refused() -> None:
    with pytest.raises(ConfigError, match="same as in 'own'"):
        compile_library([own(), own(name="again")])


def test_a_pattern_of_the_users_own_is_found() -> None:
    spans = SpanDetector(SpansConfig(patterns=(own(),))).detect("<muse>a</muse>b")
    assert (spans[0].pattern, spans[0].span_type.value) == ("own", "reasoning")


def test_a_pattern_with_a_built_in_name_replaces_it() -> None:
    detector = SpanDetector(SpansConfig(patterns=(own(name="think_tag"),)))
    assert "think_tag" in {span.pattern for span in detector.detect("<muse>a</muse>b")}
    assert "think_tag" not in {span.pattern for span in detector.detect("<think>a</think>b")}


def test_a_pattern_with_a_built_in_expression_replaces_it() -> None:
    changes = {"open": "<think>", "close": "</think>", "example": "<think>a</think>b"}
    detector = SpanDetector(SpansConfig(patterns=(own(**changes),)))
    assert detector.detect("<think>a</think>b")[0].pattern == "own"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"kind": "label", "open": "Action", "close": None, "example": "Action x"}, "Thought: a\nAction: search[x]"),
        ({"open": "call>", "close": None, "example": "call>x"}, "<tool_call>x</tool_call>"),
        ({"kind": "label", "open": "think>", "close": None, "example": "think> a"}, "  **think> a\n</think>b"),
    ],
    ids=["shorter at one place", "begins later", "begins alike"],
)
def test_a_pattern_of_the_users_own_wins_over_a_built_in_one_that_overlaps_it(
    fields: dict[str, Any], text: str
) -> None:
    detector = SpanDetector(SpansConfig(patterns=(own(**fields),)))
    assert "own" in {span.pattern for span in detector.detect(text)}


def test_a_pattern_of_the_users_own_is_left_out_with_its_style() -> None:
    config = SpansConfig(patterns=(own(styles=("muse",)),), leave_out=("muse",))
    assert {span.pattern for span in SpanDetector(config).detect("<muse>a</muse>b")} == {"no_marker"}


def test_only_the_named_families_are_used() -> None:
    detector = SpanDetector(SpansConfig(families=("think_tag",)))
    marked = [p.name for p in detector.library.patterns if p.span_type != "other"]
    assert marked == ["think_tag"]
    assert not {span.pattern for span in detector.detect("Thought: a\nAction: b")} & set(PATTERNS)


def test_turns_of_others_are_known_whatever_families_are_named() -> None:
    """Without them a recipe for one convention would train what the user says next."""
    detector = SpanDetector(SpansConfig(families=("think_tag",)))
    text = "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\nC<|im_end|>\n"
    assert [text[s.start_char : s.end_char] for s in detector.detect(text) if s.span_type == "answer"] == [
        "B<|im_end|>\n"
    ]


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ConfigError, match="no built-in pattern is named nonsense"):
        load_library(SpansConfig(families=("think_tag", "nonsense")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a: 1}", "expected a list of patterns, got dict"),
        ("[a: [", "not valid YAML"),
        ("- name: x\n  kind: nonsense", "x.kind"),
        ("- 3", "mine.yaml: 0"),
    ],
)
def test_a_file_that_is_no_list_of_patterns_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_patterns(text, "mine.yaml")
    assert problem in str(caught.value)
    assert "mine.yaml" in str(caught.value)
