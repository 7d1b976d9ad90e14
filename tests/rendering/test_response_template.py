"""A tokenizer's response_template decides what its model's turns are made of, where it explains all of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.rendering.response_template import ResponseTemplate, response_template_of
from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.stages import process_records

pytest.importorskip("transformers.utils.chat_parsing", reason="transformers < 5.13 has no response templates")

SPEC: dict[str, Any] = {
    "start_anchor": "[BOT]",
    "defaults": {"role": "assistant"},
    "fields": {
        "thinking": {"open": "[MUSE]", "close": "[/MUSE]"},
        "tool_calls": {"open": "[RUN]", "close": "[/RUN]", "content": "json", "repeats": True},
        "content": {"close": "[END]"},
    },
}
"""A convention of nobody's, so that nothing built in can know it."""
MUSE, RUN = (
    "[MUSE]The failure names parse().[/MUSE]",
    '[RUN]{"name": "read_file", "arguments": {"path": "dates.py"}}[/RUN]',
)
TEMPLATE = response_template_of(SPEC)
assert TEMPLATE is not None


def parts(text: str, template: ResponseTemplate = TEMPLATE) -> list[tuple[str, str, str]] | None:
    """Type, subtype and text of each span; they are proven to partition the text."""
    spans = template.parse(text)
    if spans is None:
        return None
    assert "".join(text[span[0] : span[1]] for span in spans) == text
    assert {(span[4], span[5], span[6]) for span in spans} == {(1.0, "response_template", "template")}
    return [(str(TYPES[span[2]]), span[3], text[span[0] : span[1]]) for span in spans]


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder with a response template."""
    path = tmp_path_factory.mktemp("with_response_template")
    (path / "tokenizer.json").write_bytes(tiny_model.read_bytes())
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "response_template": SPEC}
    (path / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return path


def row_of(reply: str, model: Path) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Look at {MUSE}"}, {"role": "assistant", "content": reply}]
    table = table_of(raw_rows({"messages": messages}, "x.jsonl", 1, TrajectoryParser()))
    config = Config(tokens={"model_name": str(model), "engine": "reference"})  # type: ignore[arg-type]
    (row,) = process_records(table, config=config).to_pylist()
    return row  # type: ignore[no-any-return]


# --- what it explains ------------------------------------------------------------------------------------------------


def test_every_part_is_typed_with_its_markers() -> None:
    assert parts(f"\n{MUSE}\n\nI look.\n{RUN}\n{RUN}\n") == [
        ("reasoning", "think", f"\n{MUSE}\n\n"),
        ("reasoning", "preamble", "I look.\n"),
        ("action", "tool_call", f"{RUN}\n"),
        ("action", "tool_call", f"{RUN}\n"),
    ]
    assert parts(f"{MUSE}It is fixed.[END]\n") == [
        ("reasoning", "think", MUSE),
        ("answer", "message", "It is fixed.[END]\n"),
    ]
    assert parts(f"{RUN}[END]") == [("action", "tool_call", f"{RUN}[END]")]
    assert parts(f"{RUN} That was it.") == [("action", "tool_call", f"{RUN} "), ("answer", "message", "That was it.")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nothing is marked here.",
        "[MUSE]It never ends",
        "It began before.[/MUSE]So it is.",
        f"{MUSE}What of [/RUN] this?",
        "[RUN]{no json}[/RUN]",
        f"[BOT]{MUSE}Done.",
        "[/MUSE][MUSE]",
    ],
)
def test_what_it_does_not_explain_is_left_to_detection(text: str) -> None:
    assert parts(text) is None


def test_text_outside_of_all_fields_is_not_explained() -> None:
    fields = {name: field for name, field in SPEC["fields"].items() if name != "content"}
    strict = response_template_of({**SPEC, "fields": fields})
    assert strict is not None
    assert parts(f"{MUSE}\n{RUN}", strict) == [("reasoning", "think", f"{MUSE}\n"), ("action", "tool_call", RUN)]
    assert parts(f"{MUSE}And so on.{RUN}", strict) is None
    named = response_template_of({**SPEC, "fields": {**fields, "mood": {"open": "[MOOD]", "close": "[/MOOD]"}}})
    assert named is not None
    assert parts(f"{MUSE}[MOOD]good[/MOOD]", named) is None


def test_patterns_of_the_template_are_regular_expressions() -> None:
    harmony = response_template_of(
        {
            "start_anchor": "<|start|>assistant",
            "fields": {
                "thinking": {"open": "<|channel|>analysis<|message|>", "close": "<|end|>"},
                "tool_calls": {
                    "open_pattern": r"<\|channel\|>commentary to=functions\.(?P<name>\w+) [^\s]+<\|message\|>",
                    "close": ["<|call|>", "<|end|>"],
                    "content": "json",
                    "repeats": True,
                    "transform": {"function": {"name": "{name}", "arguments": "{content}"}},
                },
                "content": {"open": "<|channel|>final<|message|>", "close_pattern": r"<\|return\|>|$"},
            },
        }
    )
    assert harmony is not None
    call = '<|channel|>commentary to=functions.run <|constrain|>json<|message|>{"cmd": "ls"}<|call|>'
    assert parts(f"<|channel|>analysis<|message|>Look.<|end|>{call}", harmony) == [
        ("reasoning", "think", "<|channel|>analysis<|message|>Look.<|end|>"),
        ("action", "tool_call", call),
    ]
    assert parts("<|channel|>final<|message|>Both pass.", harmony) == [
        ("answer", "message", "<|channel|>final<|message|>Both pass.")
    ]


# --- the pipeline ----------------------------------------------------------------------------------------------------


def test_the_pipeline_uses_it_for_what_the_agent_wrote(folder: Path, tiny_model: Path) -> None:
    row = row_of(f"{MUSE}I look.{RUN}", folder)
    agent = [s for s in row["spans"] if s["pattern"] == "response_template"]
    assert [(s["span_type"], s["origin"]) for s in agent] == [
        ("reasoning", "template"), ("reasoning", "template"), ("action", "template"),
    ]  # fmt: skip
    quoted = row["text"].index(MUSE)
    (of_user,) = [s for s in row["spans"] if s["start_char"] <= quoted < s["end_char"]]
    assert (of_user["span_type"], of_user["subtype"]) == ("other", "user")
    assert sum(row["action_mask"]) > 0
    assert all(s["pattern"] != "response_template" for s in row_of(f"{MUSE}I look.{RUN}", tiny_model)["spans"])


def test_built_in_detection_goes_on_where_it_explains_nothing(folder: Path) -> None:
    row = row_of("<think>\nSo it is.\n</think>\n\nDone.", folder)
    assert {s["span_type"] for s in row["spans"]} >= {"reasoning", "answer"}
    assert all(s["pattern"] != "response_template" for s in row["spans"])


def test_a_template_that_transformers_refuses_is_not_used() -> None:
    assert response_template_of(None) is None
    refused: tuple[Any, ...] = ({}, 5, {"fields": {}}, {**SPEC, "version": 99}, {**SPEC, "start_anchor_pattern": "("})
    for wrong in refused:
        with pytest.warns(UserWarning, match="response_template is not used"):
            assert response_template_of(wrong) is None


# --- any text --------------------------------------------------------------------------------------------------------

marks = ["[MUSE]", "[/MUSE]", "[RUN]", "[/RUN]", "[END]", "[BOT]", "{}", "\n", " ", "so", "🦜", "[MU"]


@settings(max_examples=300, deadline=None)
@given(text=st.lists(st.sampled_from(marks), max_size=12).map("".join))
def test_what_it_takes_it_partitions_as_transformers_parses_it(text: str) -> None:
    from transformers.utils.chat_parsing import parse_response

    found = parts(text)
    if found is None:
        return
    parsed = parse_response(text, SPEC, prefix="")
    calls = [part for kind, _, part in found if kind == "action"]
    assert len(calls) == len(parsed.get("tool_calls", []))
    thoughts = [part for _, subtype, part in found if subtype == "think"]
    assert parsed.get("thinking", "") in (thoughts[-1] if thoughts else "")


def test_time_grows_with_the_text_only() -> None:
    began = time.perf_counter()
    assert parts("[MUSE]a[/MUSE]" * 20_000) is not None
    assert parts("[RUN]{}[/RUN]so " * 20_000) is not None
    assert parts("[MUSE]" * 100_000) is None
    assert parts("so [END] " * 50_000 + MUSE) is not None
    assert time.perf_counter() - began < 10
