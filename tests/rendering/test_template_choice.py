"""Which template renders a record, and that its rows are what `apply_chat_template` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from rendered_rows import CHAT, NO_TOOLS, QWEN3, SESSION, TOOL, facts, row_of, rows_of, save_chat_tokenizer

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.dataset.validate import validate_rows
from deepcoder_hf.errors import ConfigError, TemplateError
from deepcoder_hf.trajectory import Step


def test_the_template_is_chosen_by_the_settings_and_the_tokenizer(qwen3: Path, tiny_model: Path, template: Any) -> None:
    step = (Step("user", "q"), Step("agent", "a", "b"))
    assert facts(row_of(*step))["rendering"]["template"].startswith("chatml@")
    assert facts(row_of(*step, model=qwen3))["rendering"]["template"].startswith("tokenizer@")
    assert facts(row_of(*step, model=tiny_model))["rendering"]["template"] == "plain"
    assert facts(row_of(*step, rendering={"template": "plain"}))["rendering"]["template"] == "plain"
    assert facts(row_of(*step, model=qwen3, rendering={"template": "chatml"}))["rendering"]["template"][:7] == "chatml@"
    own = row_of(*step, rendering=template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"))
    assert facts(own)["rendering"]["template"].startswith("chat.jinja@")
    assert own["text"].startswith("user: q\n")


def test_a_template_that_is_not_there_or_not_valid_stops_the_run(tiny_model: Path, template: Any) -> None:
    step = (Step("user", "q"), Step("agent", "a", "b"))
    with pytest.raises(ConfigError, match="tokenizer has no chat template"):
        rows_of(*step, model=tiny_model, rendering={"template": "tokenizer"})
    with pytest.raises(ConfigError, match=r"or the path of a Jinja template, got 'nowhere.jinja'"):
        rows_of(*step, rendering={"template": "nowhere.jinja"})
    with pytest.raises(TemplateError):
        rows_of(*step, rendering=template("{% for m in messages %}"))


def test_a_flattened_record_stays_as_it_is(qwen3: Path) -> None:
    text = "Question: q\nThought: I look.\nAction: look[x]\nObservation: y"
    row = row_of(Step("text", text), model=qwen3)
    assert row["text"] == text
    assert facts(row)["rendering"]["template"] == "plain"


# --- as transformers does it -----------------------------------------------------------------------------------------


def messages(row_steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    """The steps as anybody would write them for `apply_chat_template`."""
    found: list[dict[str, Any]] = []
    for step in row_steps:
        if step.source != "agent":
            found.append({"role": step.source, "content": step.message})
            continue
        calls = [
            {"type": "function", "id": c.tool_call_id, "function": {"name": c.function_name, "arguments": c.arguments}}
            for c in step.tool_calls
        ]
        message: dict[str, Any] = {"role": "assistant", "content": step.message or ""}
        if step.reasoning_content:
            message["reasoning_content"] = step.reasoning_content
        found.append({**message, "tool_calls": calls} if calls else message)
        found += [{"role": "tool", "content": r.content, "tool_call_id": r.tool_call_id} for r in step.observations]
    return found


PLAIN_CHAT = tuple(step if step.source != "agent" else Step("agent", step.message) for step in CHAT)


@pytest.mark.parametrize(
    ("name", "steps"),
    [("qwen3", SESSION), ("qwen3", CHAT), ("gemma3", PLAIN_CHAT), ("deepseek_v3", PLAIN_CHAT), ("smollm2", PLAIN_CHAT)],
)
def test_input_ids_are_those_of_apply_chat_template(name: str, steps: tuple[Step, ...], shared_data: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = shared_data / "tokenizers" / name
    tools = [TOOL] if steps is SESSION else []
    row = row_of(*steps, model=folder, tools=tools, rendering={"reasoning": "template"})
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    given = {"tools": [json.loads(tool) for tool in tools] or None, "return_dict": False}
    assert row["input_ids"] == tokenizer.apply_chat_template(messages(steps), tokenize=True, **given)
    assert row["text"] == tokenizer.apply_chat_template(messages(steps), tokenize=False, **given)


def test_special_tokens_are_not_doubled_where_the_template_writes_them(tmp_path: Path) -> None:
    model = save_chat_tokenizer(tmp_path / "model", NO_TOOLS)
    chat = row_of(Step("user", "q"), Step("agent", "a"), model=model)
    assert chat["text"] == "<s>[INST]q[/INST]a</s>"
    assert chat["input_ids"].count(0) == 1
    assert "special_tokens" not in facts(chat)
    flat = row_of(Step("text", "Thought: x\nAction: y[z]\nObservation: w"), model=model)
    assert (flat["input_ids"].count(0), flat["input_ids"][0]) == (1, 0)
    assert facts(flat)["special_tokens"] == {"before": 1, "after": 0}
    ended = row_of(Step("user", "q"), Step("agent", "a"), model=model, tokens={"append_eos": True})
    assert ended["input_ids"] == chat["input_ids"]
    made = [{name: row[name] for name in SAD_FEATURES} for row in (chat, flat, ended)]
    assert validate_rows(Dataset.from_list(made, features=SAD_FEATURES))["validation_errors"] == []


def test_the_bundled_tokenizer_is_the_real_one(qwen3: Path) -> None:
    one, other = (row_of(*CHAT, model=model, rendering={"template": "chatml"}) for model in (QWEN3, qwen3))
    columns = ("input_ids", "labels", "token_types", "spans")
    assert {name: one[name] for name in columns} == {name: other[name] for name in columns}
