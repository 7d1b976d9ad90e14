"""Turns of real model families are found with their real tokenizers, proven on their chat templates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chat_rows import audit, backend, found, row

from deepcoder_hf.audit.grammar import Role, role_named
from deepcoder_hf.audit.probe import ASSUMED, DERIVED, PROVEN, UNKNOWN, grammar_of
from deepcoder_hf.audit.vocabulary import load_vocabulary

FAMILIES = {
    "qwen3": ("chatml", PROVEN),
    "smollm2": ("chatml", PROVEN),
    "deepseek_v3": ("deepseek", PROVEN),
    "gemma3": ("gemma", PROVEN),
    "gptoss": ("harmony", ASSUMED),
}
ROWS: dict[str, tuple[str | tuple[str, int], ...]] = {
    "smollm2": (
        "<|im_start|>user\nList the files.<|im_end|>\n<|im_start|>assistant\n",
        ("<think>\nI call ls.\n</think>\n<tool_call>\nls\n</tool_call><|im_end|>", 1),
        "\n<|im_start|>user\n<tool_response>\na.py\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
        ("<think>\nOne file.\n</think>\nThere is a.py.<|im_end|>", 1),
        "\n",
    ),
    "deepseek_v3": (
        "<｜begin▁of▁sentence｜>You help.<｜User｜>List the files.<｜Assistant｜>",
        (
            "<think>\nI call ls.\n</think>\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>ls\n"
            "```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
            1,
        ),
        "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>a.py<｜tool▁output▁end｜><｜tool▁outputs▁end｜>",
        ("There is a.py.<｜end▁of▁sentence｜>", 1),
    ),
    "gemma3": (
        "<bos><start_of_turn>user\nList the  files.<end_of_turn>\n<start_of_turn>model\n",
        ("<think>\nI call ls.\n</think>\n<tool_call>\nls\n</tool_call><end_of_turn>", 1),
        "\n<start_of_turn>user\n<tool_response>\na.py\n</tool_response><end_of_turn>\n<start_of_turn>model\n",
        ("There is a.py.<end_of_turn>", 1),
        "\n",
    ),
    "gptoss": (
        "<|start|>system<|message|>You help.<|end|><|start|>user<|message|>List the files.<|end|><|start|>assistant",
        (
            "<|channel|>analysis<|message|>I call ls.<|end|><|start|>assistant<|channel|>commentary to=functions.ls "
            "<|constrain|>json<|message|>{}<|call|>",
            1,
        ),
        "<|start|>functions.ls to=assistant<|channel|>commentary<|message|>a.py<|end|><|start|>assistant",
        (
            "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>final<|message|>a.py.<|return|>",
            1,
        ),
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def tokenizers(shared_data: Path) -> Path:
    return shared_data / "tokenizers"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_family_is_recognised_and_the_source_is_said(name: str, tokenizers: Path) -> None:
    grammar = grammar_of(load_vocabulary(str(tokenizers / name)))
    assert (grammar.name, grammar.source) == FAMILIES[name]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_family_is_clean_and_every_kind_of_token_is_found(
    name: str, tokenizers: Path, tmp_path: Path
) -> None:
    model = str(tokenizers / name)
    report = audit(tmp_path, row(*ROWS[name], tokenizer=model), tokenizer=model)
    assert not [finding for finding in report["findings"] if finding["code"] != "dropped_reasoning"]
    assert {"header", "user", "observation", "reasoning", "call", "text", "stop"} <= set(report["classes"])
    whole = audit(tmp_path, row(("".join(p if isinstance(p, str) else p[0] for p in ROWS[name]), 1), tokenizer=model),
                  tokenizer=model)  # fmt: skip
    codes = set(found(whole))
    assert {"trained_observation", "trained_user", "trained_header"} <= codes
    assert "a.py" in found(whole)["trained_observation"]["examples"][0]["marked"]


@pytest.mark.parametrize("name", FAMILIES)
def test_token_bytes_are_the_text_exactly(name: str, tokenizers: Path) -> None:
    import numpy as np

    vocabulary = load_vocabulary(str(tokenizers / name))
    text = "def f(x):\n\n    return  'naïve 🙂'\t# 価格 <think> {\"a\": null}\r\n"
    ids = np.array(backend(str(tokenizers / name)).encode(text, add_special_tokens=False).ids)
    blob, starts = vocabulary.decode(ids)
    assert blob.decode() == text
    assert starts[-1] == len(blob)


def family_of(folder: Path, template: str, *tokens: str) -> Any:
    """The grammar of a tokenizer with these added tokens and this template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(
        models.BPE(vocab={c: n for n, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": tokens[-1]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return grammar_of(load_vocabulary(str(folder)))


def test_a_family_that_is_not_known_is_derived_from_its_template(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}[=={{ m['role'][0] }}==]{{ m['content'] }}[==/==]{% endfor %}"
        "{% if add_generation_prompt %}[==a==]{% endif %}"
    )
    grammar = family_of(tmp_path, template, "[==s==]", "[==u==]", "[==a==]", "[==/==]")
    assert grammar.source == DERIVED
    assert grammar.stops == ("[==/==]",)
    assert set(grammar.openers) == {("[==s==]", Role.SYSTEM), ("[==u==]", Role.USER), ("[==a==]", Role.ASSISTANT)}


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{% broken", "{{ messages[9].content.x.y }}", ""])
def test_a_template_that_fails_leaves_the_table(template: str, tmp_path: Path) -> None:
    assert family_of(tmp_path, template, "<|im_start|>", "<|im_end|>").source == ASSUMED


def test_a_tokenizer_without_control_tokens_says_so(tmp_path: Path, tiny_model: Path) -> None:
    shutil.copy(tiny_model, tmp_path / "tokenizer.json")
    assert grammar_of(load_vocabulary(str(tmp_path / "tokenizer.json"))).source == UNKNOWN


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("assistant", Role.ASSISTANT),
        ("model", Role.ASSISTANT),
        ("assistant to=functions.x<|channel|>commentary", Role.ASSISTANT),
        ("functions.search to=assistant", Role.TOOL),
        ("ipython", Role.TOOL),
        ("developer", Role.SYSTEM),
        ("CHATBOT", Role.ASSISTANT),
        ("poem", Role.UNKNOWN),
        ("", Role.UNKNOWN),
    ],
)
def test_names_of_roles(name: str, role: Role) -> None:
    assert role_named(name) is role
