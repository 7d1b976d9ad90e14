"""Attribution: what a chat template writes around the source's words belongs to the right span, or to nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rendered_rows import QWEN3, SESSION, TOOL, Row, call, facts, parts, row_of, rows_of, trained, trained_text

from deepcoder_hf.rendering.turns import CUT_OFF
from deepcoder_hf.trajectory import Observation, Step, ToolCall

REAL = ("qwen3", "deepseek_v3", "gemma3", "smollm2")
ENDS = {
    QWEN3: "<|im_end|>",
    "qwen3": "<|im_end|>",
    "deepseek_v3": "<｜end▁of▁sentence｜>",
    "gemma3": "<end_of_turn>",
    "smollm2": "<|im_end|>",
}
ASK = Step("user", "What is in a.py?")


@pytest.fixture(scope="module", params=[QWEN3, *REAL])
def model(request: pytest.FixtureRequest) -> str:
    """The bundled tokenizer, and real ones with their own templates."""
    if request.param == QWEN3:
        return QWEN3
    return str(request.getfixturevalue("shared_data") / "tokenizers" / request.param)


def end_of(model: str) -> str:
    return ENDS[model if model in ENDS else Path(model).name]


def last_turn(row: Row) -> list[tuple[str, str, str]]:
    """The parts from the header of the last turn of the agent."""
    found = parts(row)
    return found[max(n for n, part in enumerate(found) if part[1] == "header") :]


def test_the_spans_of_a_session_in_the_projects_own_layout_are_exactly_these() -> None:
    found = parts(row_of(*SESSION, tools=[TOOL]))
    assert found[:2] == [("other", "system", "<|im_start|>system\nBe brief."), ("other", "tools", found[1][2])]
    assert found[1][2].startswith("\n\n# Tools")
    assert TOOL[:-1] in found[1][2]
    assert found[1][2].endswith("<|im_end|>\n")
    assert found[2] == ("other", "user", "<|im_start|>user\nWhat is in a.py?<|im_end|>\n")
    assert found[3:] == [
        ("other", "header", "<|im_start|>assistant\n"),
        ("reasoning", "thought", "<think>\nThere are two files.\n</think>\n\n"),
        ("reasoning", "preamble", "I read both.\n"),
        ("action", "tool_call", '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>\n'),
        ("action", "tool_call", '<tool_call>\n{"name": "read_file", "arguments": {"path": "b.py"}}\n</tool_call>'),
        ("action", "stop", "<|im_end|>"),
        ("other", "turn_end", "\n"),
        ("observation", "observation", "<|im_start|>user\n<tool_response>\nx = 1\n</tool_response>\n"),
        ("observation", "observation", "<tool_response>\ny = '漢字 🙂'\n</tool_response><|im_end|>\n"),
        ("other", "header", "<|im_start|>assistant\n"),
        ("reasoning", "thought", "<think>\nOne is left.\n</think>\n\n"),
        ("action", "tool_call", '<tool_call>\n{"name": "read_file", "arguments": {"path": "c.py"}}\n</tool_call>'),
        ("action", "stop", "<|im_end|>"),
        ("other", "turn_end", "\n"),
        ("observation", "observation", "<|im_start|>user\n<tool_response>\nz = 3\n</tool_response><|im_end|>\n"),
        ("other", "header", "<|im_start|>assistant\n"),
        ("answer", "message", "It sets x."),
        ("answer", "stop", "<|im_end|>"),
        ("other", "turn_end", "\n"),
        ("other", "user", "<|im_start|>user\nAnd c.py?<|im_end|>\n"),
        ("other", "header", "<|im_start|>assistant\n"),
        ("reasoning", "thought", "<think>\nI have seen it.\n</think>\n\n"),
        ("answer", "message", "It sets z."),
        ("answer", "stop", "<|im_end|>"),
        ("other", "turn_end", "\n"),
    ]


def test_spans_partition_the_text_and_each_part_has_the_type_of_its_field(model: str) -> None:
    row = row_of(*SESSION, model=model, tools=[TOOL])
    found = parts(row)
    assert "".join(text for *_, text in found) == row["text"]
    assert all(origin == "template" for origin in (span["origin"] for span in row["spans"]))
    expected = [
        ("reasoning", "There are two files."), ("reasoning", "I read both."),
        ("action", '"a.py"'), ("action", '"b.py"'),
        ("observation", "x = 1"), ("observation", "y = '漢字 🙂'"), ("reasoning", "One is left."), ("action", '"c.py"'),
        ("observation", "z = 3"), ("answer", "It sets x."), ("reasoning", "I have seen it."), ("answer", "It sets z."),
    ]  # fmt: skip
    at = 0
    for kind, words in expected:
        while words not in found[at][2]:
            assert found[at][0] == "other" or found[at][1] == "stop", (words, found[at])
            at += 1
        assert found[at][0] == kind, (words, found[at])
        at += 1


def test_wrappers_belong_to_what_they_wrap(model: str) -> None:
    for kind, _, text in parts(row_of(*SESSION, model=model, tools=[TOOL])):
        for tag, owner in (('tool_call>\n{"name": "read', "action"), ("tool_response>", "observation")):
            assert tag not in text or kind == owner
        assert kind != "reasoning" or text.count("<think>") == text.count("</think>")
        assert kind != "observation" or text.count("<tool_response>") == text.count("</tool_response>") == 1


def test_each_turn_of_the_agent_is_header_parts_stop(model: str) -> None:
    row = row_of(*SESSION, model=model, tools=[TOOL])
    found = parts(row)
    headers = [n for n, part in enumerate(found) if part[1] == "header"]
    stops = [n for n, part in enumerate(found) if part[1] == "stop"]
    assert len(headers) == len(stops) == 4
    assert {found[n][2] for n in stops} == {end_of(model)}
    assert len({found[n][2] for n in headers}) == 1
    for header, stop in zip(headers, stops, strict=True):
        assert {kind for kind, *_ in found[header + 1 : stop]} <= {"reasoning", "action", "answer"}
        assert found[stop][0] == found[stop - 1][0]
    for n in range(len(found)):
        of_agent = any(header < n <= stop for header, stop in zip(headers, stops, strict=True))
        n_trained, n_tokens = trained(row, n)
        assert n_trained == (n_tokens if of_agent else 0), found[n]


def test_the_header_is_what_the_template_emits_to_prompt_the_agent(model: str) -> None:
    if model == QWEN3:
        header = "<|im_start|>assistant\n"
    else:
        transformers = pytest.importorskip("transformers")
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        messages = [{"role": "user", "content": "Hi"}]
        with_prompt, without = (
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            for prompt in (True, False)
        )
        header = with_prompt.removeprefix(without)
    assert {text for _, subtype, text in parts(row_of(*SESSION, model=model)) if subtype == "header"} == {header}


# --- empty think blocks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["none", "reasoning"])
def test_an_empty_think_block_that_the_template_puts_in_is_a_span_of_its_own(wanted: str, shared_data: Path) -> None:
    model = shared_data / "tokenizers" / "qwen3"
    row = row_of(ASK, Step("agent", "It sets x."), model=model, masks={"empty_think": wanted})
    assert last_turn(row) == [
        ("other", "header", "<|im_start|>assistant\n"),
        ("other", "empty_think", "<think>\n\n</think>\n\n"),
        ("answer", "message", "It sets x."),
        ("answer", "stop", "<|im_end|>"),
        ("other", "turn_end", "\n"),
    ]
    place = len(row["spans"]) - 4
    n_trained, n_tokens = trained(row, place)
    assert n_trained == (n_tokens if wanted == "reasoning" else 0)
    assert facts(row)["ledger"]["empty_think"] == 1
    span = row["spans"][place]
    part = slice(span["start_token"], span["end_token"])
    assert set(row["reasoning_mask"][part]) == {int(wanted == "reasoning")}
    assert set(row["action_mask"][part]) == {0}


def test_a_think_block_that_the_source_has_is_no_empty_one() -> None:
    row = row_of(ASK, Step("agent", "<think>\n\n</think>\n\nIt sets x."))
    assert [part[:2] for part in last_turn(row)][1:3] == [("reasoning", "think"), ("answer", "message")]
    assert "empty_think" not in facts(row)["ledger"]


# --- what must not be trained ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", CUT_OFF)
def test_the_stop_of_a_turn_that_was_cut_off_is_not_trained(reason: str, model: str) -> None:
    row = row_of(ASK, Step("agent", "It sets", finish_reason=reason), model=model)
    found = last_turn(row)
    assert ("other", "untrained", end_of(model)) in found
    assert "stop" not in [subtype for _, subtype, _ in found]
    assert trained_text(row) == "It sets"
    whole = row_of(ASK, Step("agent", "It sets", finish_reason="stop"), model=model)
    assert trained_text(whole) == "It sets" + end_of(model)


@pytest.mark.parametrize(
    "step",
    [
        Step("agent", "", tool_calls=(ToolCall("read_file", '{"path": "a'),), finish_reason="length"),
        Step("agent", 'I read.\n<tool_call>\n{"name": "read_file"', finish_reason="aborted"),
    ],
)
def test_a_call_that_was_cut_off_rejects_the_record(step: Step) -> None:
    (row,) = rows_of(ASK, step)
    assert (row["outcome"]["status"], row["outcome"]["reason"]) == ("failed", "unfinished_call")
    assert "cut off" in row["outcome"]["message"]
    assert row["length"] == 0


def test_a_call_that_is_whole_in_a_turn_that_was_cut_off_is_kept() -> None:
    row = row_of(ASK, Step("agent", None, "Hm.", (call("a.py"),), finish_reason="length"))
    assert trained_text(row).endswith("</tool_call>")


def test_nothing_is_trained_of_a_turn_that_the_source_excludes(model: str) -> None:
    excluded = replace(SESSION[2], trained=False)
    row = row_of(*SESSION[:2], excluded, *SESSION[3:], model=model, tools=[TOOL])
    text = trained_text(row)
    for words in ("There are two files.", "I read both.", "a.py", "b.py"):
        assert words in row["text"]
        assert words not in text
    assert text.count(end_of(model)) == 3
    found = parts(row)
    (first,) = (n for n, part in enumerate(found) if "I read both." in part[2])
    assert found[first][1] == "untrained"


@pytest.mark.parametrize(("kind", "subtype"), [("summary", "summary"), ("redacted", "untrained")])
def test_reasoning_that_is_not_the_models_own_is_not_trained(kind: Any, subtype: str, model: str) -> None:
    step = Step("agent", "It sets x.", "Summary of thoughts.", reasoning_kind=kind)
    row = row_of(ASK, step, model=model)
    assert "Summary of thoughts." in row["text"]
    assert ("reasoning", subtype) in [part[:2] for part in parts(row)]
    assert trained_text(row) == "It sets x." + end_of(model)
    with_it = row_of(ASK, step, model=model, masks={"summary": "reasoning"})
    assert ("Summary of thoughts." in trained_text(with_it)) == (kind == "summary")


def test_a_result_without_words_is_an_observation_too(model: str) -> None:
    step = Step("agent", "I read.", "Hm.", (call("a.py", 1),), (Observation("", "call_1"),))
    row = row_of(ASK, step, Step("agent", "Empty."), model=model, tools=[TOOL])
    kinds = {kind for kind, _, text in parts(row) if "tool_response" in text and "# Tools" not in text}
    assert kinds == {"observation"}
    assert "tool_response" not in trained_text(row)
    assert {s["step_id"] for s in row["spans"] if s["subtype"] == "header"} == {1, 2}
    at_the_end = parts(row_of(ASK, step, model=model, tools=[TOOL]))[-1]
    assert (at_the_end[0], at_the_end[2].count("tool_response")) == ("observation", 2)
