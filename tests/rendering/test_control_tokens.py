"""Control tokens in what the agent did not write: only characters, left as they are, or a reject."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered_rows import QWEN3, Row, call, facts, row_of, rows_of

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.dataset.validate import check_row
from deepcoder_hf.rendering.control_tokens import ControlTokens
from deepcoder_hf.tokens.tokenizer import cached_tokenizer
from deepcoder_hf.trajectory import Observation, Step

TOKENIZER = cached_tokenizer(TokensConfig(model_name=QWEN3, engine="reference"))
CONTROLS = TOKENIZER.control_tokens(special=True)
STRUCTURAL = (*CONTROLS, "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
"""Special tokens, and those of the others that the project's layout writes."""
NUMBERS = {TOKENIZER.backend.token_to_id(token) for token in STRUCTURAL}
quoting = st.lists(st.sampled_from([*STRUCTURAL, "a", " ", "\n", "🙂", "<|", "|>", "é"]), max_size=6).map("".join)


def session(system: str, user: str, result: str) -> tuple[Step, ...]:
    return (
        Step("system", f"Rules {system}"),
        Step("user", f"Task {user}"),
        Step("agent", "I read.", "Hm.", (call("a.py", 1),), (Observation(f"Got {result}", "call_1"),)),
        Step("agent", "Done."),
    )


def ids_between(row: Row, start_char: int, end_char: int) -> list[int]:
    """Ids of the tokens that lie in a stretch of the text, by their spans' places and the offsets of the row."""
    cuts = facts(row).get("escaped", [])
    encoded = TOKENIZER.encode([row["text"]], [cuts])
    assert encoded.ids.tolist() == row["input_ids"]
    first, last = (len(row["text"][:n].encode()) for n in (start_char, end_char))
    inside = (encoded.starts >= first) & (encoded.ends <= last)
    return encoded.ids[inside].tolist()


def decoded(row: Row) -> str:
    return str(TOKENIZER.backend.decode(row["input_ids"], skip_special_tokens=False))


@settings(max_examples=60, deadline=None)
@given(system=quoting, user=quoting, result=quoting)
def test_escaped_tokens_are_ordinary_characters_of_the_same_text(system: str, user: str, result: str) -> None:
    row = row_of(*session(system, user, result))
    assert decoded(row) == row["text"]
    assert check_row(row) == []
    for words in (f"Rules {system}", f"Task {user}", f"Got {result}"):
        start = row["text"].index(words)
        assert not set(ids_between(row, start, start + len(words))) & NUMBERS
    structure = [number for number in row["input_ids"] if number in NUMBERS]
    bare = row_of(*session("", "", ""))
    assert structure == [number for number in bare["input_ids"] if number in NUMBERS]
    cuts = facts(row).get("escaped", [])
    assert cuts == sorted(cuts)
    assert facts(row)["ledger"].get("escaped", 0) == len(cuts)


def test_the_same_session_escaped_trains_the_same_tokens() -> None:
    quoted, bare = (row_of(*session(*texts)) for texts in (("<|im_end|>", "<think>", "</tool_response>"), [""] * 3))
    trained = [[label for label in row["labels"] if label != -100] for row in (quoted, bare)]
    assert trained[0] == trained[1]


def test_kept_tokens_are_tokens() -> None:
    row = row_of(*session("", "", "<|im_end|>"), rendering={"control_tokens": "keep"})
    assert "escaped" not in facts(row)
    start = row["text"].index("Got <|im_end|>")
    assert TOKENIZER.backend.token_to_id("<|im_end|>") in ids_between(row, start, start + len("Got <|im_end|>"))
    assert check_row(row) == []


def test_fail_rejects_the_record_and_says_where() -> None:
    steps = session("", "<|im_start|>assistant", "")
    (row,) = rows_of(*steps, rendering={"control_tokens": "fail"})
    assert (row["outcome"]["status"], row["outcome"]["reason"]) == ("failed", "control_token")
    assert "'<|im_start|>' stands literally" in row["outcome"]["message"]
    assert rows_of(*session("", "", ""), rendering={"control_tokens": "fail"})[0]["outcome"]["status"] == "kept"


@pytest.mark.parametrize("policy", ["escape", "keep", "fail"])
def test_what_the_agent_writes_is_never_escaped(policy: str) -> None:
    row = row_of(
        Step("user", "q"), Step("agent", "It writes <tool_call> itself."), rendering={"control_tokens": policy}
    )
    assert "escaped" not in facts(row)
    assert row["input_ids"].count(TOKENIZER.backend.token_to_id("<tool_call>")) == 1


def test_definitions_of_tools_are_foreign_too() -> None:
    function = {"name": "end", "description": "Ends with <|im_end|>.", "parameters": {"type": "object"}}
    tool = json.dumps({"type": "function", "function": function})
    row = row_of(Step("user", "q"), Step("agent", "", "", (call("a.py"),)), tools=[tool])
    start = row["text"].index("Ends with <|im_end|>.")
    assert facts(row)["escaped"] == [start + len("Ends with ") + 1]


def test_the_plain_layout_escapes_special_tokens_and_keeps_others() -> None:
    row = row_of(*session("", "<|im_end|> <think>", ""), rendering={"template": "plain"})
    start = row["text"].index("<|im_end|>")
    assert facts(row)["escaped"] == [start + 1]


def test_a_flattened_record_is_encoded_as_it_is() -> None:
    row = row_of(
        Step("text", "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\na\n</think>\n\nb<|im_end|>")
    )
    assert "escaped" not in facts(row)
    assert decoded(row) == row["text"]
    assert row["input_ids"].count(TOKENIZER.backend.token_to_id("<|im_end|>")) == 2


def test_the_longest_of_tokens_that_begin_alike_is_found_once() -> None:
    controls = ControlTokens(["<a>", "<a><b>", "[x]"])
    assert sorted(controls.find("..<a><b>[x]<a>", 0, 14)) == [(2, "<a><b>"), (8, "[x]"), (11, "<a>")]
    assert list(controls.find("..<a>", 0, 4)) == []


def test_rows_with_escapes_are_the_same_with_any_engine() -> None:
    pytest.importorskip("fastokens")
    steps = session("<|im_end|>", "漢字 <think>", "🙂</tool_call>")
    slow, fast = (row_of(*steps, tokens={"engine": engine}) for engine in ("reference", "fast"))
    columns = ("input_ids", "labels", "token_types", "spans", "metadata")
    assert {name: slow[name] for name in columns} == {name: fast[name] for name in columns}


# --- validate --------------------------------------------------------------------------------------------------------


def with_escapes(row: Row, cuts: Any) -> Row:
    known = facts(row)
    known["escaped"] = cuts
    return {**row, "metadata": json.dumps(known)}


@pytest.mark.slow
def test_validate_makes_rows_with_escapes_again_and_refuses_wrong_places(tmp_path: Path) -> None:
    from datasets import Dataset

    from deepcoder_hf.dataset.features import SAD_FEATURES
    from deepcoder_hf.dataset.validate import validate_rows

    def problems(row: Row) -> list[str]:
        kept = {name: row[name] for name in SAD_FEATURES}
        errors = validate_rows(Dataset.from_list([kept], features=SAD_FEATURES))["validation_errors"]
        return [problem for error in errors for problem in error["problems"]]

    row = row_of(*session("<|im_end|>", "", "<think>"))
    cuts = facts(row)["escaped"]
    assert len(cuts) == 2
    assert problems(row) == []
    for wrong in (cuts[:1], [cuts[0] - 1, cuts[1]], []):
        assert problems(with_escapes(row, wrong))[0].startswith("input_ids: expected ")
    for wrong in (cuts[::-1], [0], [len(row["text"])], ["1"], [1.0], [True], {"a": 1}, None, [cuts[0], cuts[0]], "12"):
        assert problems(with_escapes(row, wrong))[0].startswith("metadata.escaped: expected ascending places"), wrong


# --- cuts in the engines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["reference", "fast"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_text_is_encoded_part_by_part_and_keeps_its_places(engine: str, data: st.DataObject) -> None:
    if engine == "fast":
        pytest.importorskip("fastokens")
    tokenizer = cached_tokenizer(TokensConfig(model_name=QWEN3, engine=engine))  # type: ignore[arg-type]
    texts = data.draw(st.lists(quoting, min_size=1, max_size=4))
    cuts = [sorted(data.draw(st.sets(st.integers(1, max(1, len(t) - 1))))) if len(t) > 1 else [] for t in texts]
    found = tokenizer.encode(texts, cuts)
    parts = [t[a:b] for t, c in zip(texts, cuts, strict=True) for a, b in zip([0, *c], [*c, len(t)], strict=True)]
    assert found.ids.tolist() == tokenizer.encode(parts).ids.tolist()
    sizes = [len(text.encode()) for text in texts]
    assert found.text_starts.tolist() == np.cumsum([0, *sizes]).tolist()
    assert found.rows.size == found.text_starts.size
    assert found.by_reference.tolist() == [engine == "reference"] * len(texts)
    whole = "".join(texts).encode()
    for row in range(len(texts)):
        part = slice(*found.rows[row : row + 2])
        pieces = [whole[a:b] for a, b in zip(found.starts[part], found.ends[part], strict=True)]
        assert all(found.text_starts[row] <= start < found.text_starts[row + 1] for start in found.starts[part])
        if engine == "fast":  # tokens that share a character overlap in the offsets of the reference
            assert b"".join(pieces) == texts[row].encode()
        borders = {int(found.text_starts[row]) + len(texts[row][:cut].encode()) for cut in cuts[row]}
        assert not any(
            a < cut < b for a, b in zip(found.starts[part], found.ends[part], strict=True) for cut in borders
        )
