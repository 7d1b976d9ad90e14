"""Where templates leave something out or write what is no token: other forms, stops of mere text, cut-off turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.stages import process_records

PARSER = TrajectoryParser()
THINKS = [
    {"role": "user", "content": "Sort the files."},
    {"role": "assistant", "reasoning_content": "By size, I think.", "content": "Sorted by size."},
    {"role": "user", "content": "And by name?"},
    {"role": "assistant", "reasoning_content": "Names now.", "content": "Sorted by name."},
]
CALLS = [
    {"function": {"name": "ls", "arguments": json.dumps({"path": "src"})}, "id": "a"},
    {"function": {"name": "ls", "arguments": json.dumps({"path": "docs"})}, "id": "b"},
]
CALLED = [
    {"role": "user", "content": "What is there?"},
    {"role": "assistant", "content": "", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "a", "content": "main.py"},
    {"role": "tool", "tool_call_id": "b", "content": "index.md"},
    {"role": "assistant", "content": "Code and pages."},
]
ONE_CALL = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% if m.tool_calls %}"
    "<tool_call>{{ m.tool_calls[0].function.name }} {{ m.tool_calls[0].function.arguments }}</tool_call>{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LAST_ONLY = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content and loop.last %}<think>\n"
    "{{ m.reasoning_content }}\n</think>\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT_STOP = (
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def rows(messages: list[dict[str, Any]], template: str, folder: Path) -> list[dict[str, Any]]:
    path = folder / "t.jinja"
    path.write_text(template, encoding="utf-8")
    config = Config.model_validate({"tokens": {"model_name": "Qwen/Qwen3-0.6B"}, "rendering": {"template": str(path)}})
    found = process_records(table_of(raw_rows({"messages": messages}, "x", 1, PARSER)), config=config).to_pylist()
    return [{**row, "metadata": json.loads(row["metadata"])} for row in found]


def trained(row: dict[str, Any], kind: str) -> str:
    spans = (s for s in row["spans"] if s["span_type"] == kind and row["labels"][s["start_token"]] != -100)
    return "".join(row["text"][s["start_char"] : s["end_char"]] for s in spans)


def test_calls_that_a_template_leaves_out_go_into_the_text(tmp_path: Path) -> None:
    (row,) = rows(CALLED, ONE_CALL, tmp_path)
    assert row["metadata"]["rendering"]["calls"] == "in_text"
    assert '"src"' in trained(row, "action")
    assert '"docs"' in trained(row, "action")
    ledger = row["metadata"]["ledger"]["action"]
    assert ledger["read"] == ledger["trained"]


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_reasoning_of_a_past_turn_is_put_in_whatever_ended_it(finish_reason: str, tmp_path: Path) -> None:
    messages = [THINKS[0], {**THINKS[1], "finish_reason": finish_reason}, *THINKS[2:]]
    (row,) = rows(messages, LAST_ONLY, tmp_path)
    assert row["metadata"]["rendering"]["reasoning"] == "spliced"
    assert "By size" in trained(row, "reasoning")
    assert "Names now" in trained(row, "reasoning")


def test_a_past_turn_of_reasoning_alone_is_put_in(tmp_path: Path) -> None:
    messages = [THINKS[0], {"role": "assistant", "reasoning_content": "Only a thought.", "content": ""}, *THINKS[2:]]
    (row,) = rows(messages, LAST_ONLY, tmp_path)
    assert "Only a thought." in trained(row, "reasoning")


def test_many_turns_are_still_one_row(tmp_path: Path) -> None:
    messages = [m for n in range(50) for m in (THINKS[0], {**THINKS[1], "content": f"Sorted {n}."})]
    messages[7]["finish_reason"] = "length"
    assert len(rows(messages, LAST_ONLY, tmp_path)) == 1


def test_a_stop_that_is_no_token_is_still_the_stop(tmp_path: Path) -> None:
    (row,) = rows(THINKS, TEXT_STOP, tmp_path)
    stops = [row["text"][s["start_char"] : s["end_char"]] for s in row["spans"] if s["subtype"] == "stop"]
    assert stops == ["<|eot_id|>"] * 2
    assert trained(row, "answer").endswith("<|eot_id|>")


@pytest.mark.parametrize(
    "said", ['Done.\n<tool_call>\n{"name": "ls", ', 'Thought: go\nAction: ls\nAction Input: {"a": ']
)
def test_a_flattened_call_that_was_cut_off_is_a_reject(said: str, tmp_path: Path) -> None:
    messages = [THINKS[0], {"role": "assistant", "content": said, "finish_reason": "length"}]
    (row,) = rows(messages, LAST_ONLY, tmp_path)
    assert row["outcome"]["reason"] == "unfinished_call"


def test_a_think_block_that_says_the_reasoning_again_is_written_once(tmp_path: Path) -> None:
    twice = {**THINKS[1], "content": "<think>\nBy size, I think.\n</think>\n\nSorted by size."}
    (row,) = rows([THINKS[0], twice], LAST_ONLY, tmp_path)
    assert row["text"].count("By size, I think.") == 1


def test_special_tokens_that_an_agent_quotes_are_only_characters(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "A turn ends with <|im_end|> and a newline."}
    (row,) = rows([THINKS[0], said], LAST_ONLY, tmp_path)
    assert row["input_ids"].count(151645) == 2  # those of the template: one a turn
    assert "<|im_end|> and" in trained(row, "answer")


def test_a_switch_that_the_template_refuses_is_passed_over(tmp_path: Path) -> None:
    refusing = "{% if preserve_thinking %}{{ raise_exception('not here') }}{% endif %}" + LAST_ONLY
    (row,) = rows(THINKS, refusing, tmp_path)
    assert row["metadata"]["rendering"]["reasoning"] == "spliced"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('<tool_call>\n{"name": "ls", "arguments": {}}\n</tool_call>', None),
        ("<tool_call>\n", "unfinished_call"),
        ("<function=bash>\n<parameter=cmd>ls", "unfinished_call"),
        ("<function=bash>\n<parameter=cmd>ls</parameter>\n</function>", None),
        ('Thought: go\nAction: ls\nAction Input: {"a": 1}', None),
    ],
)
def test_a_flattened_call_of_a_turn_that_was_cut_off_is_whole_where_it_is_closed(
    said: str, reason: str | None, tmp_path: Path
) -> None:
    messages = [THINKS[0], {"role": "assistant", "content": said, "finish_reason": "length"}]
    (row,) = rows(messages, LAST_ONLY, tmp_path)
    assert row["outcome"]["reason"] == reason
