"""Mask presets: they fill in what is not given, and train the tokens that the tools of their names train."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from chat_templates import ALWAYS_THINKS
from datasets import Dataset
from tokenizers import Tokenizer

from deepcoder_hf import TrajectoryProcessor, load_config
from deepcoder_hf.config import PRESETS, Config, MasksConfig, PresetName, preset_of, with_preset
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.tokens.bundled import qwen3_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import compare_masks as peers

ASKED = {"role": "user", "content": "Which tests are slow?"}
CALL = {"name": "bash", "arguments": '{"command": "pytest --durations=3"}'}
LOOKED = {
    "role": "assistant",
    "reasoning_content": "pytest can say that.",
    "content": "I measure.",
    "tool_calls": [{"id": "c1", "type": "function", "function": CALL}],
}
TIMES = {"role": "tool", "tool_call_id": "c1", "content": "4.02s call tests/test_sync.py::test_retry"}
SAID = {"role": "assistant", "content": "test_retry: it sleeps for 4 s."}
PAST = {"role": "assistant", "content": "Let me see.", "weight": 0}


# --- the setting -----------------------------------------------------------------------------------------------------


def test_the_names_are_those_of_the_setting() -> None:
    assert tuple(PRESETS) == tuple(name for part in get_args(PresetName) for name in get_args(part) or [part])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_same_from_python_a_mapping_a_file_and_the_command_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "masks.yaml"
    path.write_text(f"masks: {{preset: {name}}}\n")
    expected = MasksConfig(**PRESETS[name])  # type: ignore[arg-type]
    made = [
        MasksConfig(preset=name),  # type: ignore[arg-type]
        load_config({"masks": {"preset": name}}).masks,
        load_config(path).masks,
        load_config(None, [f"masks.preset={name}"]).masks,
        load_config({"masks": MasksConfig(preset=name)}).masks,  # type: ignore[arg-type]
    ]
    assert made == [expected] * 5
    assert [masks.preset for masks in made] == [None] * 5


@pytest.mark.parametrize(
    "sources", [[{"preset": "trl"}, {"turn_end": "none"}], [{"turn_end": "none"}, {"preset": "trl"}]]
)
def test_settings_that_are_given_win_over_a_preset_wherever_they_stand(sources: list[dict[str, str]]) -> None:
    masks = load_config([{"masks": source} for source in sources]).masks
    assert (masks.turn_end, masks.empty_think, masks.summary) == ("none", "reasoning", "reasoning")
    assert MasksConfig(preset="trl", turn_end="none") == masks
    assert preset_of(masks) == "renderers"


def test_a_preset_fills_in_what_a_configuration_leaves_at_its_defaults() -> None:
    given = Config(masks={"turn_end": "none"})  # type: ignore[arg-type]
    masks = load_config([given, {"masks": {"preset": "trl"}}]).masks
    assert masks == MasksConfig(preset="trl", turn_end="none")
    assert load_config([Config(), {"masks": {"preset": "trl"}}]).masks == MasksConfig(preset="trl")


def test_the_last_preset_counts_and_null_is_none() -> None:
    assert load_config([{"masks": {"preset": "trl"}}, {"masks": {"preset": "sad"}}]).masks == MasksConfig()
    assert load_config([{"masks": {"preset": "trl"}}, {"masks": {"preset": None}}]).masks == MasksConfig()


@pytest.mark.parametrize("wrong", ["trll", "TRL", "", 5, ["trl"], {"trl": 1}])
def test_a_preset_that_is_none_is_named_with_the_known_ones(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"masks\.preset: .*'sad', 'trl', 'axolotl' or 'renderers'"):
        load_config({"masks": {"preset": wrong, "answer": "own"}})


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_dumped_is_the_settings_themselves(name: str) -> None:
    masks = MasksConfig(preset=name, straddle="majority")  # type: ignore[arg-type]
    dumped = masks.model_dump()
    assert set(dumped) == set(MasksConfig.model_fields) - {"preset"}
    assert MasksConfig.model_validate(dumped) == masks == MasksConfig.model_validate_json(masks.model_dump_json())
    assert Config.model_validate(Config(masks=masks).model_dump()).masks == masks
    assert preset_of(masks) == name
    assert with_preset(masks, name) == masks
    assert preset_of(MasksConfig(**{**dumped, "answer": "none"})) is None


# --- the rows --------------------------------------------------------------------------------------------------------


def row_of(messages: list[dict[str, Any]], preset: str, template: str = "chatml", **tokens: Any) -> dict[str, Any]:
    """The one row of a conversation with the bundled Qwen3 tokenizer."""
    masks = {"preset": preset}
    processor = TrajectoryProcessor({"rendering": {"template": template}, "masks": masks, "tokens": tokens})
    rows = processor.process(Dataset.from_list([{"messages": messages}]))
    assert processor.validate_processed_trajectories(rows)["invalid_trajectories"] == 0
    (row,) = rows
    assert json.loads(row["metadata"])["masks"] == MasksConfig(preset=preset).model_dump()  # type: ignore[arg-type]
    return dict(row)


def trained_stretches(row: dict[str, Any]) -> list[str]:
    """The text of each run of trained tokens."""
    offsets = Tokenizer.from_file(str(qwen3_file())).encode(row["text"]).offsets
    flags = np.array([0, *(label != -100 for label in row["labels"]), 0])
    edges = np.flatnonzero(np.diff(flags)).tolist()
    return [row["text"][offsets[a][0] : offsets[b - 1][1]] for a, b in zip(edges[::2], edges[1::2], strict=True)]


TURN = (
    "<think>\npytest can say that.\n</think>\n\nI measure.\n<tool_call>\n"
    '{"name": "bash", "arguments": {"command": "pytest --durations=3"}}\n</tool_call><|im_end|>'
)
ANSWER = "test_retry: it sleeps for 4 s.<|im_end|>"


@pytest.mark.parametrize("name", PRESETS)
def test_chatml_trains_whole_turns_and_only_trl_the_newline_after_them(name: str) -> None:
    end = "\n" if name == "trl" else ""
    row = row_of([ASKED, PAST, ASKED, LOOKED, TIMES, SAID], name)
    assert trained_stretches(row) == [TURN + end, ANSWER + end]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sad", [ANSWER]),
        ("axolotl", [ANSWER]),
        ("renderers", [f"<think>\n\n</think>\n\n{ANSWER}"]),
        ("trl", [f"<think>\n\n</think>\n\n{ANSWER}\n"]),
    ],
)
def test_an_empty_think_block_is_trained_as_the_preset_says_and_never_in_an_untrained_turn(
    name: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "thinks.jinja").write_text(ALWAYS_THINKS)
    row = row_of([ASKED, PAST, ASKED, SAID], name, str(tmp_path / "thinks.jinja"))
    assert row["text"].count("<think>\n\n</think>\n\n") == 2
    assert trained_stretches(row) == expected


@pytest.mark.parametrize("name", PRESETS)
def test_the_report_finds_the_rows_of_every_preset_valid(name: str, tmp_path: Path) -> None:
    lines = [json.dumps({"messages": [ASKED, LOOKED, TIMES, SAID]}), json.dumps({"messages": [ASKED, SAID]})]
    (tmp_path / "runs.jsonl").write_text("\n".join(lines))
    (tmp_path / "thinks.jinja").write_text(ALWAYS_THINKS)
    config = {"masks": {"preset": name}, "rendering": {"template": str(tmp_path / "thinks.jinja")}}
    report = TrajectoryProcessor(config).process_files(tmp_path / "runs.jsonl", tmp_path / "rows")
    assert report["format_validation"] == {"checked": 2, "valid": 2, "rate": 1.0}


# --- the tools -------------------------------------------------------------------------------------------------------

UNTRAINED_CALL = (
    "<think>\nThe failure should say which assertion broke.\n</think>\n\nI run the test first.\n<tool_call>\n"
    '{"name": "bash", "arguments": {"command": "pytest -q tests/test_export.py"}}\n</tool_call><|im_end|>\n'
)
UNTRAINED_ANSWER = "<think>\n\n</think>\n\nThe folder out/ is missing: nothing creates it any more.<|im_end|>\n"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("trl", "weight 0"): UNTRAINED_CALL,
    ("trl", "weight 0 without reasoning"): UNTRAINED_ANSWER,
    ("axolotl", "reasoning, calls, results"): "<think>\n",
    ("axolotl", "several questions"): "<think>\n",
    ("axolotl", "weight 0 without reasoning"): "<think>\n",
    ("axolotl", "summary"): "<think>\n",
}
"""Where tool and preset differ, and in which text. TRL trains turns of weight 0. axolotl compares the last turn with
one without reasoning, for which Qwen3's template writes an empty think block: the tag that begins both is left out."""


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Warnings of other tools are theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def installed(name: str) -> None:
    needed = {"trl": ("torch", "trl.trainer.sft_trainer"), "axolotl": ("axolotl.prompt_strategies.chat_template",)}
    for module in needed.get(name, ("renderers.qwen3",)):
        try:
            importlib.import_module(module)
        except ImportError as error:
            pytest.skip(f"{name} cannot be imported ({error})")


def differences(name: str, source: Path, template: str | None = None) -> dict[tuple[str, str], str]:
    """By conversation: the text of the tokens that the tool trains and our rows do not, or the other way round."""
    found, rows = peers.measure(name, source, template)
    tokenizer, _ = peers.load_tokenizer(source, name)
    texts: dict[tuple[str, str], str] = {}
    for case, (ids, flags), row in zip(peers.cases(), found, rows, strict=True):
        assert list(ids) == row["input_ids"], f"{name}, {case}: other tokens"
        ours = [label != -100 for label in row["labels"]]
        if differ := [token for token, a, b in zip(ids, flags, ours, strict=True) if a != b]:
            texts[name, case] = tokenizer.decode(differ)
    return texts


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", peers.PEERS)
def test_a_preset_trains_exactly_the_tokens_of_its_tool(name: str, shared_data: Path) -> None:
    installed(name)
    expected = {key: text for key, text in EXCEPTIONS.items() if key[0] == name}
    assert differences(name, shared_data / "tokenizers" / "qwen3") == expected


@pytest.mark.usefixtures("quiet")
def test_axolotl_and_its_preset_agree_everywhere_on_a_template_without_empty_think_blocks(shared_data: Path) -> None:
    installed("axolotl")
    template = (resources.files("deepcoder_hf") / "rendering" / "chatml.jinja").read_text(encoding="utf-8")
    assert differences("axolotl", shared_data / "tokenizers" / "qwen3", template) == {}


def test_a_tool_that_trains_other_tokens_is_seen(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with the tools can fail: one that trains every token differs in every conversation."""

    def everything(tokenizer: Any, conversations: Any) -> Any:
        made = [tokenizer.apply_chat_template(c.messages, tools=c.tools, return_dict=True) for c in conversations]
        return [(row["input_ids"], [True] * len(row["input_ids"])) for row in made]

    monkeypatch.setitem(peers.PEERS, "sad", everything)
    assert len(differences("sad", shared_data / "tokenizers" / "qwen3")) == len(peers.cases())
