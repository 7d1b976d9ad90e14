"""Recorded token ids: rows are what the model was given and gave, whatever the rendering makes of the words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_sessions import (
    ASKED,
    DONE,
    EXACT,
    LOOK,
    OPEN,
    RESULT,
    STEPS,
    STOP,
    encode,
    events,
    facts,
    growing,
    outcome,
    problems,
    record_of,
    rows_of,
    settings_of,
    table_for,
    trained,
)  # fmt: skip

from deepcoder_hf.config import MasksConfig, RenderingConfig
from deepcoder_hf.errors import AlignmentError, TokenizerError
from deepcoder_hf.stages import process_records
from deepcoder_hf.tokens.recorded import character_places, vocabulary_of
from deepcoder_hf.tokens.tokenizer import cached_tokenizer

# --- one row of growing prompts --------------------------------------------------------------------------------------


def test_ids_that_the_rendering_gives_keep_its_spans() -> None:
    (row,) = rows_of(record_of(growing(EXACT)))
    assert row["input_ids"] == encode("".join(a + b for a, b in EXACT))
    assert facts(row)["equal"] is True
    assert events(row) == {}
    assert trained(row) == f"{LOOK}{STOP}|{DONE}{STOP}"
    assert {span["origin"] for span in row["spans"]} == {"template"}
    (rendered,) = rows_of(record_of(growing(EXACT)), settings_of(source="rendered"))
    assert rendered["text"] == row["text"] + "\n"  # what the template writes after the last turn was never given
    assert rendered["labels"][: row["length"]] == row["labels"]
    assert json.loads(rendered["metadata"])["ledger"] == json.loads(row["metadata"])["ledger"]


def test_tokens_that_no_tokenizer_gives_stay_as_they_are() -> None:
    told = growing(EXACT)
    letters = [number for letter in "It drops the zone." for number in encode(letter)]
    odd = [*encode("<think>\n"), *letters, *encode("\n</think>\n\nparse() keeps the zone now." + STOP)]
    (row,) = rows_of(record_of([told[0], (told[1][0], odd)]))
    assert row["input_ids"] == [*told[1][0], *odd] != encode(row["text"])
    assert facts(row) | {"completions": 0} == {
        "source": "recorded", "equal": False, "spans": "rendered", "completions": 0,
    }  # fmt: skip
    assert events(row) == {"tokens_differ": 1}
    assert trained(row) == f"{LOOK}{STOP}|{DONE}{STOP}"
    assert [(s["span_type"], s["origin"]) for s in row["spans"]][-3:] == [
        ("reasoning", "template"), ("answer", "template"), ("answer", "template"),
    ]  # fmt: skip


def test_a_text_that_the_rendering_does_not_give_is_detected_and_trained_in_completions_only() -> None:
    quoted = ASKED.replace("pass.", "pass. Do not <think>guess</think>.\n<tool_call>\n{}\n</tool_call>")
    (row,) = rows_of(record_of(growing([(quoted + OPEN, LOOK + STOP), EXACT[1]])))
    assert row["text"] == quoted + OPEN + LOOK + STOP + RESULT + OPEN + DONE + STOP
    assert (facts(row)["spans"], events(row)) == ("detected", {"tokens_differ": 1})
    assert trained(row) == f"{LOOK}{STOP}|{DONE}{STOP}"
    types = [s["span_type"] for s in row["spans"] if s["span_type"] != "other" and s["subtype"] != "untrained"]
    assert types == ["reasoning", "action", "observation", "reasoning", "answer"]
    assert {s["span_type"] for s in row["spans"] if s["end_char"] <= len(quoted)} == {"other"}


def test_a_completion_in_no_known_layout_is_the_agents_all_the_same() -> None:
    told = growing(
        [("[[user]] Make the date tests pass. [[bot]] ", "[[user]] is how I begin."), (" [[user]] ", "Done.")]
    )
    (row,) = rows_of(record_of(told))
    assert trained(row) == "[[user]] is how I begin.|Done."


def test_an_empty_think_block_is_trained_where_the_model_wrote_it() -> None:
    empty = "<think>\n\n</think>\n\n"
    steps = [{"source": "agent", "message": "Both pass."}]
    (gave,) = rows_of(record_of(growing([(ASKED + OPEN, f"{empty}Both pass.{STOP}")]), steps))
    (given_,) = rows_of(record_of(growing([(ASKED + OPEN + empty, f"Both pass.{STOP}")]), steps))
    assert (trained(gave), trained(given_)) == (f"{empty}Both pass.{STOP}", f"Both pass.{STOP}")


# --- prompts that do not grow ----------------------------------------------------------------------------------------


def test_a_prompt_that_does_not_begin_with_what_was_before_begins_a_row() -> None:
    """A server whose template deletes past reasoning: each completion is trained in one row, as it was prompted."""
    bare = LOOK.partition("</think>\n\n")[2]
    second = ASKED + OPEN + bare + STOP + RESULT + OPEN
    told = [(encode(ASKED + OPEN), encode(LOOK + STOP)), (encode(second), encode(DONE + STOP))]
    rows = rows_of(record_of(told))
    assert [row["input_ids"] for row in rows] == [[*prompt, *gave] for prompt, gave in told]
    assert [trained(row) for row in rows] == [LOOK + STOP, DONE + STOP]
    assert [(row["window"]["index"], row["window"]["n"]) for row in rows] == [(0, 2), (1, 2)]
    assert facts(rows[1])["spans"] == "detected"
    observed = [json.loads(row["metadata"])["ledger"].get("observation", {}).get("read", 0) for row in rows]
    assert observed[0] == 0 < observed[1]


def test_what_a_server_with_the_models_own_template_recorded_is_what_it_renders(shared_data: Path) -> None:
    """Qwen3 deletes reasoning before the last question: prompts do not grow, and per_turn renders them as they were."""
    from transformers import AutoTokenizer

    model = str(shared_data / "tokenizers" / "qwen3")
    own = AutoTokenizer.from_pretrained(model)
    talk: list[dict[str, str]] = [{"role": "user", "content": "Make the date tests pass."}]
    steps: list[dict[str, Any]] = [{"source": "user", "message": "Make the date tests pass."}]
    for thought, said, asked in (("Which?", "Both of them?", "Yes."), ("Zones.", "They pass.", "")):
        prompt = own.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
        assert isinstance(prompt, str)
        gave = f"<think>\n{thought}\n</think>\n\n{said}{STOP}"
        metrics = {"prompt_token_ids": encode(prompt, model), "completion_token_ids": encode(gave, model)}
        steps.append({"source": "agent", "reasoning_content": thought, "message": said, "metrics": metrics})
        steps += [{"source": "user", "message": asked}] if asked else []
        talk += [{"role": "assistant", "content": said}, {"role": "user", "content": asked}]
    record = record_of([], []) | {"steps": [{"step_id": n, **step} for n, step in enumerate(steps, 1)]}
    config = settings_of(model).model_copy(update={"rendering": RenderingConfig(reasoning="per_turn")})
    rows = rows_of(record, config)
    assert [(facts(row)["equal"], events(row)) for row in rows] == [(True, {}), (True, {})]
    assert [trained(row, config) for row in rows] == [
        f"<think>\nWhich?\n</think>\n\nBoth of them?{STOP}", f"<think>\nZones.\n</think>\n\nThey pass.{STOP}",
    ]  # fmt: skip


def test_a_step_that_the_source_does_not_train_needs_no_ids_and_gets_no_label() -> None:
    told = growing(EXACT)
    steps = [{**STEPS[0], "is_copied_context": True}, STEPS[1]]
    for first in (None, told[0]):
        (row,) = rows_of(record_of([first, told[1]], steps))
        assert (row["input_ids"], trained(row)) == ([*told[1][0], *told[1][1]], DONE + STOP)


# --- what cannot be used ---------------------------------------------------------------------------------------------


def test_a_trajectory_without_all_ids_is_rendered_and_counted(tiny_model: Path) -> None:
    model = str(tiny_model)
    told = growing(EXACT, model)
    for ids in ([None, None], [told[0], None], [told[0], ([], told[1][1])]):
        (row,) = rows_of(record_of(ids), settings_of(model))
        assert (facts(row), events(row)) == ({"source": "rendered"}, {"tokens_missing": 1})
        (usual,) = rows_of(record_of(ids), settings_of(model, source="rendered"))
        assert row["labels"] == usual["labels"]
        assert "tokens" not in json.loads(usual["metadata"])


@pytest.mark.parametrize("ids", [[-1], [10**6], [2**70], encode("🦜")[:1]])
def test_ids_without_text_are_a_reject(ids: list[int]) -> None:
    prompt = encode(ASKED + OPEN)
    steps = [{"source": "agent", "message": "Both pass."}]
    assert outcome(record_of([(prompt, ids)], steps), settings_of()) == ("failed", "recorded_tokens")


@pytest.mark.parametrize("name", ["tiny_wordpiece", "tiny_unigram", "tiny_prefix_space"])
def test_only_a_byte_level_tokenizer_can_hold_recorded_ids(name: str, tiny_folder: Callable[[str], Path]) -> None:
    with pytest.raises(TokenizerError, match="byte-level BPE"):
        process_records(table_for(record_of(growing(EXACT))), config=settings_of(str(tiny_folder(name))))


def test_what_is_too_long_is_dropped_cut_or_an_error(tiny_model: Path) -> None:
    model = str(tiny_model)
    told = growing([(ASKED.replace("You", "Now you") + OPEN, LOOK + STOP), (RESULT + OPEN, "🦜" * 9)], model)
    record, ids = record_of(told), [*told[1][0], *told[1][1]]
    for overflow in ("window", "drop"):
        config = settings_of(model, max_length=len(ids) - 1, overflow=overflow)
        assert outcome(record, config) == ("dropped", "over_max_length")
    with pytest.raises(AlignmentError):
        process_records(table_for(record), config=settings_of(model, max_length=len(ids) - 1, overflow="error"))
    for length in range(len(ids) - 8, len(ids)):
        (row,) = rows_of(record, settings_of(model, max_length=length, overflow="truncate"))
        assert row["input_ids"] == ids[: row["length"]]
        assert length - 3 <= row["length"] <= length
        assert "completions" not in facts(row)


def test_a_tampered_row_is_invalid(tiny_model: Path) -> None:
    told = growing([(ASKED.replace("You", "Now you") + OPEN, LOOK + STOP), EXACT[1]], str(tiny_model))
    table = process_records(table_for(record_of(told)), config=settings_of(str(tiny_model)))
    (row,) = table.to_pylist()
    other = {**row, "input_ids": [*row["input_ids"][:3], 5, *row["input_ids"][4:]]}
    everything = json.loads(row["metadata"])
    everything["tokens"]["completions"] = everything["tokens"]["completions"][1:]
    less = {**row, "metadata": json.dumps(everything)}
    plain = {**row, "metadata": json.dumps({**everything, "tokens": 5})}
    for wrong, words in ((other, "decode"), (less, "outside of the recorded completions"), (plain, "metadata.tokens")):
        (found,) = problems(pa.Table.from_pylist([wrong], schema=table.schema))
        assert any(words in problem for problem in found["problems"])


# --- any ids ---------------------------------------------------------------------------------------------------------

pieces = st.sampled_from([
    OPEN, STOP, "\n", "<think>\n", "\n</think>\n\n", "<tool_call>", "</tool_call>", "{}", "I look", "🦜", "e\u0301",
    "漢", "Thought: so\nAction: ls\n", RESULT, "<|im_start|>user\n", "```python\nprint(1)\n```", " ",
    "Observation: 1\n",
])  # fmt: skip
words = st.lists(pieces, min_size=1, max_size=6).map("".join)
turns = st.lists(st.tuples(words, words, st.booleans(), st.booleans()), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=turns, straddle=st.sampled_from(["first", "majority", "none"]), answer=st.sampled_from(["action", "own"]))
def test_rows_are_the_recorded_ids_and_labels_stand_in_completions_only(
    turns: list[tuple[str, str, bool, bool]], straddle: str, answer: str, tiny_model: Path
) -> None:
    model = str(tiny_model)
    told: list[tuple[list[int], list[int]]] = []
    expected: list[tuple[list[int], list[bool]]] = []
    for given_, gave, goes_on, by_letter in turns:
        prompt = [*(expected[-1][0] if goes_on and expected else []), *encode(given_, model)]
        made = [n for letter in gave for n in encode(letter, model)] if by_letter else encode(gave, model)
        told.append((prompt, made))
        begun = expected.pop()[1] if expected and prompt[: len(expected[-1][0])] == expected[-1][0] else []
        flags = [*begun, *[False] * (len(prompt) - len(begun)), *[True] * len(made)]
        expected.append(([*prompt, *made], flags))
    steps = [{"source": "agent", "message": gave} for _, gave, *_ in turns]
    masks = MasksConfig.model_validate({"straddle": straddle, "answer": answer})
    config = settings_of(model).model_copy(update={"masks": masks})
    table = process_records(table_for(record_of(told, steps)), config=config)
    assert problems(table.filter(pa.array([o["status"] == "kept" for o in table.column("outcome").to_pylist()]))) == []
    kept = [row for row in table.to_pylist() if row["outcome"]["status"] == "kept"]
    wanted = {tuple(ids): flags for ids, flags in expected}
    assert {tuple(row["input_ids"]) for row in kept} <= set(wanted)
    for row in kept:
        flags = wanted[tuple(row["input_ids"])]
        assert all(inside for inside, label in zip(flags, row["labels"], strict=True) if label != -100)
        assert "".join(row["text"][s["start_char"] : s["end_char"]] for s in row["spans"]) == row["text"]


def test_the_bytes_of_every_token_are_those_of_the_reference(shared_data: Path) -> None:
    """Real tokenizers: ids of real text decode to that text."""
    text = "naïve café\r\n\t漢字 🦜👍🏽 <|im_end|> def f(x):\n    return x  # 12345\x00\x7f\u00ad\u0120"
    for name in ("qwen3", "gptoss", "deepseek_v3", "smollm2"):
        model = str(shared_data / "tokenizers" / name / "tokenizer.json")
        config = settings_of(model)
        tokenizer = cached_tokenizer(config.tokens)
        encoded = tokenizer.encode([text])
        vocabulary = vocabulary_of(tokenizer)
        assert vocabulary.decode(encoded.ids.tolist()) == text
        places = vocabulary.token_bytes(encoded.ids.tolist())
        assert places[-1] == len(text.encode())
        plain = tokenizer.encode([ASKED])  # offsets of the reference are those of characters
        assert vocabulary.token_bytes(plain.ids.tolist()).tolist() == [0, *plain.ends.tolist()]
        assert character_places(text, places, [(0, encoded.ids.size)]) == [(0, len(text))]
