"""The template layout: reasoning of past turns, switches, and templates that lack a place for something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rendered_rows import (
    CHAT,
    NO_TOOLS,
    SESSION,
    TOOL,
    call,
    facts,
    parts,
    row_of,
    rows_of,
    trained_text,
)

from deepcoder_hf.trajectory import Observation, Step, ToolCall

THOUGHTS = ("Thinking of one.", "Thinking of two.", "Thinking of three.")
DROPS = (
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content and (loop.last or keep is defined and keep %s) %}"
    "<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


# --- reasoning of past turns -----------------------------------------------------------------------------------------


def test_keep_puts_each_turn_in_as_the_template_writes_it_when_it_is_the_last(qwen3: Path) -> None:
    row = row_of(*CHAT, model=qwen3)
    assert facts(row)["rendering"]["reasoning"] == "spliced"
    turns = "".join(text for kind, sub, text in parts(row) if sub not in ("user", "header", "stop", "turn_end"))
    assert turns == "".join(
        f"<think>\n{thought}\n</think>\n\n{step.message}" for thought, step in zip(THOUGHTS, CHAT[1::2], strict=True)
    )
    assert trained_text(row) == turns.replace("First.", "First.<|im_end|>").replace(
        "Second.", "Second.<|im_end|>"
    ).replace("Third.", "Third.<|im_end|>")
    ledger = facts(row)["ledger"]["reasoning"]
    assert ledger["read"] == ledger["trained"] == sum(map(len, THOUGHTS))


def test_template_leaves_out_what_the_template_leaves_out_and_counts_it(qwen3: Path) -> None:
    row = row_of(*CHAT, model=qwen3, rendering={"reasoning": "template"})
    assert facts(row)["rendering"]["reasoning"] == "template"
    assert [thought in row["text"] for thought in THOUGHTS] == [False, False, True]
    ledger = facts(row)["ledger"]["reasoning"]
    assert ledger["read"] == sum(map(len, THOUGHTS))
    assert ledger["rendered"] == ledger["tokenised"] == ledger["trained"] == len(THOUGHTS[2])


def test_per_turn_gives_rows_that_together_train_each_turn_once_as_it_was_prompted(qwen3: Path) -> None:
    rows = rows_of(*CHAT, model=qwen3, rendering={"reasoning": "per_turn"})
    assert [(row["window"]["index"], row["window"]["n"]) for row in rows] == [(0, 3), (1, 3), (2, 3)]
    assert [row["outcome"]["first"] for row in rows] == [True, False, False]
    texts = [trained_text(row) for row in rows]
    for thought, step, text, row in zip(THOUGHTS, CHAT[1::2], texts, rows, strict=True):
        assert text == f"<think>\n{thought}\n</think>\n\n{step.message}<|im_end|>"
        assert row["text"].endswith(text + "\n")
        assert row["window"]["start_step"] > 0
    assert [[thought in row["text"] for thought in THOUGHTS] for row in rows] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    for kind in ("reasoning", "answer"):
        ledgers = [facts(row)["ledger"][kind] for row in rows]
        assert all(ledger["read"] == ledger["trained"] for ledger in ledgers)
    assert sum(facts(row)["ledger"]["reasoning"]["read"] for row in rows) == sum(map(len, THOUGHTS))


def test_per_turn_rows_hold_several_turns_where_the_template_keeps_them_whole(qwen3: Path) -> None:
    rows = rows_of(*SESSION, model=qwen3, tools=[TOOL], rendering={"reasoning": "per_turn"})
    texts = [trained_text(row) for row in rows]
    assert len(rows) == 2
    for words in ("There are two files.", "I read both.", "a.py", "b.py", "One is left.", "c.py", "It sets x."):
        assert [words in text for text in texts] == [True, False], words
    for words in ("I have seen it.", "It sets z."):
        assert [words in text for text in texts] == [False, True], words


def test_an_excluded_turn_is_in_no_per_turn_row_trained(qwen3: Path) -> None:
    steps = (*CHAT[:1], Step("agent", "First.", THOUGHTS[0], trained=False), *CHAT[2:])
    rows = rows_of(*steps, model=qwen3, rendering={"reasoning": "per_turn"})
    assert len(rows) == 2
    assert all(THOUGHTS[0] not in trained_text(row) for row in rows)
    assert all(thought in trained_text(row) for thought, row in zip(THOUGHTS[1:], rows, strict=True))


def test_the_switch_of_a_template_that_keeps_reasoning_is_used_before_anything_else(template: Any) -> None:
    text = DROPS.replace("keep is defined and keep %s", "preserve_thinking is defined and preserve_thinking")
    row = row_of(*CHAT, rendering=template(text))
    assert facts(row)["rendering"]["reasoning"] == "switch:preserve_thinking"
    assert all(f"<think>{thought}</think>" in trained_text(row) for thought in THOUGHTS)


def test_switches_of_the_settings_reach_the_template_and_the_metadata(template: Any) -> None:
    settings = {**template(DROPS.replace("keep %s", "keep")), "switches": {"keep": True}}
    row = row_of(*CHAT, rendering=settings)
    assert facts(row)["rendering"]["switches"] == {"keep": True}
    assert facts(row)["rendering"]["reasoning"] == "template"
    assert all(f"<think>{thought}</think>" in row["text"] for thought in THOUGHTS)


def test_where_the_template_keeps_everything_nothing_else_is_done() -> None:
    row = row_of(*CHAT)
    assert facts(row)["rendering"]["template"].startswith("chatml@")
    assert facts(row)["rendering"]["reasoning"] == "template"
    assert all(thought in trained_text(row) for thought in THOUGHTS)


# --- what a template has no place for --------------------------------------------------------------------------------


def test_a_record_that_the_template_refuses_is_a_reject_with_its_words(template: Any) -> None:
    refusing = template("{% for m in messages %}{% if 'secret' in m.content %}{{ raise_exception('No secrets here') }}"
                        "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}")  # fmt: skip
    (row,) = rows_of(Step("user", "q"), Step("agent", "a secret"), rendering=refusing)
    assert (row["outcome"]["status"], row["outcome"]["reason"]) == ("failed", "template_refused")
    assert "No secrets here" in row["outcome"]["message"]
    assert row["length"] == 0
    assert rows_of(Step("user", "q"), Step("agent", "a"), rendering=refusing)[0]["outcome"]["status"] == "kept"


def test_tools_calls_and_results_are_written_as_text_where_the_template_has_no_place(template: Any) -> None:
    row = row_of(*SESSION, tools=[TOOL], rendering=template(NO_TOOLS))
    assert facts(row)["rendering"]["calls"] == "in_text"
    assert f"<tools>\n{TOOL}\n</tools>" in row["text"]
    first = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'
    assert first in trained_text(row)
    assert ("action", "tool_call") in [part[:2] for part in parts(row) if first in part[2]]
    assert [text.count("tool_response>") for kind, _, text in parts(row) if kind == "observation"] == [2, 2, 2]
    assert "<think>\nThere are two files.\n</think>\n\n" in trained_text(row)


def test_code_without_a_tool_is_fenced_and_its_result_comes_from_the_user() -> None:
    code = ToolCall("", "print('```')", language="python")
    steps = (Step("user", "q"), Step("agent", "I run it.", None, (code,), (Observation("```"),)), Step("agent", "Ok."))
    row = row_of(*steps)
    assert ("action", "tool_call", "\n````python\nprint('```')\n````") in parts(row)
    assert ("observation", "observation", "<|im_start|>user\n```<|im_end|>\n") in parts(row)


def test_ids_are_written_anew_for_a_template_that_demands_nine_characters(template: Any) -> None:
    text = (
        "{% for m in messages %}{{ '[' + m.role + ']' }}{{ m.content }}{% for c in m.tool_calls or [] %}"
        "{% if c.id|length != 9 %}{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}"
        "{% endif %}{{ c.function.name }} {{ c.function.arguments }} #{{ c.id }}{% endfor %}"
        "{% if m.role == 'tool' %}#{{ m.tool_call_id }}{% endif %}</s>{% endfor %}"
    )
    row = row_of(*SESSION, tools=[TOOL], rendering=template(text))
    assert "call_1" not in row["text"]
    assert 'read_file {"path": "a.py"} #000000000' in row["text"]
    assert 'read_file {"path": "b.py"} #000000001' in row["text"]
    assert "[tool]x = 1#000000000</s>" in row["text"]
    assert "[tool]z = 3#000000002</s>" in row["text"]


def test_users_that_follow_each_other_are_joined_where_the_template_wants_turns_to_alternate(template: Any) -> None:
    text = (
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{{ '<' + m.role + '>' + m.content }}</s>{% endfor %}"
    )
    steps = (Step("system", "Be brief."), Step("user", "One?"), Step("user", "Two?"), Step("agent", "Both."))
    row = row_of(*steps, rendering=template(text))
    assert row["text"] == "<user>Be brief.\n\nOne?\n\nTwo?</s><assistant>Both.</s>"
    assert trained_text(row) == "Both.</s>"


def test_arguments_that_are_no_object_go_into_the_text_verbatim_where_the_template_takes_objects(template: Any) -> None:
    text = (
        "{% for m in messages %}{{ '<' + m.role + '>' + m.content }}{% for c in m.tool_calls or [] %}"
        "{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}){% endfor %}"
        "</s>{% endfor %}"
    )
    settings = template(text)
    asked = Step("user", "q")
    whole = row_of(asked, Step("agent", "", "", (call("a.py"),)), rendering=settings)
    assert "read_file(path=a.py)</s>" in whole["text"]
    broken = row_of(asked, Step("agent", "", "", (ToolCall("read_file", '{"path": '),)), rendering=settings)
    assert '{"name": "read_file", "arguments": {"path": }' in trained_text(broken)
