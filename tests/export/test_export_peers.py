"""Other tools take what is written for them: the atif package, `datasets`, and TRL's dataset preparation."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from exported import golden, sad_row, trajectories
from hypothesis import given, settings

from deepcoder_hf.dataset.builder import quiet
from deepcoder_hf.errors import RecordError
from deepcoder_hf.export import exporter
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.sink import JsonlSink, ParquetSink
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

CALLS = (
    ToolCall("read_file", '{"path": "src/app.py", "lines": [1, 20]}', "c1"),
    ToolCall("grep", '{"pattern": "TODO", "flags": null}', "c2"),
)
TOOLS = (
    '{"type": "function", "function": {"name": "read_file", "parameters": {"properties": {"path": {"enum": ["a"]}}}}}',
    '{"type": "function", "function": {"name": "grep", "description": "Search", "parameters": {"required": ["x"]}}}',
)
RUNS = [
    Trajectory(
        (
            Step("system", "You fix bugs."),
            Step("user", "What is left to do in app.py?"),
            Step(
                "agent",
                "Both at once.",
                "Look first.",
                CALLS,
                (Observation("1\n2", "c1"), Observation("3: # TODO", "c2")),
            ),
            Step("agent", "One TODO in line 3."),
        ),
        "messages",
        "run-1",
        "app",
        {},
        TOOLS,
    ),
    Trajectory(
        (Step("user", "ls"), Step("agent", None, None, (ToolCall("bash", "ls -la", "c1"),)), Step("tool", "app.py")),
        "messages",
        "run-2",
        "app",
        {},
        TOOLS[1:],
    ),
]


def write(path: Path, name: str, items: list[Any]) -> list[dict[str, Any]]:
    """Write items in a format; the records as they were exported."""
    module, losses = exporter(name), Losses()
    records = [module.export(item, losses) for item in items]
    sink = ParquetSink(path, module, losses) if path.suffix == ".parquet" else JsonlSink(path)
    for record in records:
        sink.write([record], "")
    sink.close()
    return records


def load(path: Path, cache: Path) -> Any:
    from datasets import load_dataset

    kind = "parquet" if path.suffix == ".parquet" else "json"
    with quiet():
        return load_dataset(kind, data_files=str(path), split="train", cache_dir=str(cache))


# --- atif ------------------------------------------------------------------------------------------------------------


def check_atif(trajectory: Trajectory) -> None:
    atif = pytest.importorskip("atif", reason="the package atif is not installed")
    document = exporter("atif").export(trajectory, Losses())
    read = atif.Trajectory.model_validate(document)
    assert read.schema_version == "ATIF-v1.8"
    assert read.to_json_dict() == document


@settings(max_examples=100, deadline=None)
@given(trajectories())
def test_the_atif_package_takes_every_document_and_gives_it_back(trajectory: Trajectory) -> None:
    check_atif(trajectory)


def test_the_atif_package_takes_the_golden_samples() -> None:
    n_checked = 0
    for trajectory in golden():
        if any(step.source == "agent" for step in trajectory.steps):
            check_atif(trajectory)
            n_checked += 1
    assert n_checked >= 5


# --- datasets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_datasets_loads_messages_and_tools_without_a_null_of_its_own(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"trl.{suffix}"
    records = write(path, "trl", RUNS)
    rows = load(path, tmp_path / "cache")
    for row, record in zip(rows, records, strict=True):
        assert row["messages"] == record["messages"]
        assert row["tools"] == record["tools"]
    assert '"flags": null' in json.dumps(rows[0]["messages"])  # one that the model wrote stays


def test_session_rows_have_the_columns_of_agent_traces(tmp_path: Path) -> None:
    from datasets.packaged_modules.json.json import AGENT_TRACES_FEATURES, has_agent_traces_markers

    path = tmp_path / "sessions.jsonl"
    records = write(path, "session-traces", RUNS)
    assert all(set(record) <= set(AGENT_TRACES_FEATURES) for record in records)
    rows = load(path, tmp_path / "cache")
    assert not has_agent_traces_markers(rows.features)  # else `datasets` would convert the file with another package
    assert [row["messages"] for row in rows] == [record["messages"] for record in records]
    assert (rows[0]["num_user_messages"], rows[0]["num_tool_calls"]) == (1, 2)


@pytest.mark.parametrize("name", ["trl-tokenized", "axolotl", "verl"])
def test_rows_in_parquet_are_the_rows(name: str, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    records = write(path, name, [sad_row(tiny_model), sad_row(tiny_model, name="again")])
    assert list(load(path, tmp_path / "cache")) == records


def test_half_a_character_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    run = Trajectory((Step("user", "a\ud800b"), Step("agent", "ok")), "messages")
    for suffix in ("jsonl", "parquet"):
        write(tmp_path / f"x.{suffix}", "trl", [run])
    assert json.loads((tmp_path / "x.jsonl").read_text())["messages"][0]["content"] == "a\ud800b"
    assert load(tmp_path / "x.parquet", tmp_path / "cache")[0]["messages"][0]["content"] == "a\\ud800b"


# --- TRL -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sft_trainer_prepares_both_forms(tiny_model: Path, tmp_path: Path) -> None:
    """TRL takes pre-tokenised rows as they are, and renders every argument of the conversational form."""
    pytest.importorskip("trl", reason="TRL is not installed (extra `bench`)")
    rows = [sad_row(tiny_model), sad_row(tiny_model, name="again")]
    write(tmp_path / "rows.parquet", "trl-tokenized", rows)
    prepared = prepare(tmp_path / "rows.parquet", tiny_model, tmp_path)
    assert [list(row) for row in prepared["input_ids"]] == [row["input_ids"] for row in rows]
    assert [list(row) for row in prepared["labels"]] == [row["labels"] for row in rows]
    write(tmp_path / "chat.jsonl", "trl", RUNS)
    text = prepare(tmp_path / "chat.jsonl", tiny_model, tmp_path, decode=True)[0]
    assert '{"path": "src/app.py", "lines": [1, 20]}' in text
    assert '{"pattern": "TODO", "flags": null}' in text
    assert "None" not in text


def prepare(path: Path, model: Path, folder: Path, decode: bool = False) -> Any:
    """A file as SFTTrainer prepares it, with a model of a few thousand weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
        from trl import SFTConfig, SFTTrainer

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model), eos_token="</think>", pad_token="</think>")
        tokenizer.chat_template = (
            "{% for m in messages %}{{ m.role }}: {{ m.content }}{% for c in m.tool_calls or [] %}"
            "{{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}\n{% endfor %}"
        )
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
        settings = SFTConfig(output_dir=str(folder), max_length=None, report_to=[], use_cpu=True, bf16=False)
        trainer = SFTTrainer(
            LlamaForCausalLM(config), settings, train_dataset=load(path, folder / "cache"), processing_class=tokenizer
        )
        prepared = trainer.train_dataset
        return [tokenizer.decode(ids) for ids in prepared["input_ids"]] if decode else prepared


def test_a_result_that_answers_nothing_is_named() -> None:
    with pytest.raises(RecordError, match="answers no call"):
        exporter("openai").export(Trajectory((Step("tool", "r"), Step("agent", "a")), "messages"), Losses())
