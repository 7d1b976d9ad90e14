"""Redaction: nothing is found afterwards, changed rows prove valid, the others are the same to the last bit."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("detect_secrets", reason="the extra publish is not installed")
pytest.importorskip("kingfisher_sdk", reason="the extra publish is not installed")

from deepcoder_hf.dataset.validate import validate_rows
from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.redact import redact
from deepcoder_hf.publish.redact_names import Edit, apply_edits, moved
from deepcoder_hf.publish.scan import scan
from tests.pipeline_runs import processor, react

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import secret_scan as benchmark

sys.path.pop(0)

SECRET = benchmark.KINDS["groq"][1](random.Random(5))
LEAK = (
    "Thought: I use the key {secret} of jane.roe@corp-mail.io.\nAction: bash[export GROQ_API_KEY={secret}]\n"
    "Observation: ok, /home/jroe/x <think>\nThought: Done.\nAction: finish[{n}]"
)


def leaking(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"leak-{n}", "text": LEAK.format(secret=SECRET, n=n)} for n in numbers]


@pytest.fixture(scope="module")
def bundle(tiny_model: Path) -> Bundle:
    made = processor(tiny_model)
    train = made.process(Dataset.from_list([*react(1), *leaking(2, 3), *react(4)]))
    return Bundle({"train": train, "test": made.process(Dataset.from_list(leaking(9)))}, {"input": "/home/jroe/in"})


def test_nothing_is_found_afterwards_and_every_row_is_proven(bundle: Bundle) -> None:
    assert {finding.kind for finding in scan(bundle).findings} == {"secret", "personal"}
    clean, counts = redact(bundle)
    assert scan(clean).findings == []
    for rows in clean.splits.values():
        assert validate_rows(rows)["validation_errors"] == []
    assert counts["rows"] == 3
    assert counts["SECRET"] >= 6
    assert counts["EMAIL"] >= 3
    assert clean.report["input"] == "/home/<USER_1>/in"


def test_the_same_value_has_the_same_placeholder_in_all_rows_and_splits(bundle: Bundle) -> None:
    clean, _ = redact(bundle)
    for text in (*clean.splits["train"]["text"][1:3], *clean.splits["test"]["text"]):
        assert text.count("<SECRET_1>") == 2
        assert text.count("<EMAIL_1>") == 1
        assert "/home/<USER_1>/x" in text
    assert json.loads(clean.splits["test"][0]["metadata"])["redacted"]["EMAIL"] == 1


def test_rows_without_findings_stay_as_they_are(bundle: Bundle) -> None:
    clean, _ = redact(bundle)
    for number in (0, 3):
        assert clean.splits["train"][number] == bundle.splits["train"][number]
    assert clean.splits["train"].features == bundle.splits["train"].features


def test_a_bundle_without_findings_is_returned_itself(bundle: Bundle) -> None:
    only = Bundle({"train": bundle.splits["train"].select([0, 3])})
    assert redact(only) == (only, {})


def test_teacher_columns_are_dropped_and_the_users_own_stay(bundle: Bundle) -> None:
    train = bundle.splits["train"]
    lengths = train["length"]
    more = train.add_column("teacher_logprobs", [[0.0] * n for n in lengths]).add_column(
        "note", ["a", SECRET, "c", "d"]
    )
    clean, counts = redact(Bundle({"train": more}))
    assert "teacher_logprobs" not in clean.splits["train"].column_names
    assert clean.splits["train"]["note"][:] == ["a", "<SECRET_1>", "c", "d"]
    assert counts["columns"] == 1


def test_a_secret_is_replaced_where_nothing_beside_it_gives_it_away(tiny_model: Path) -> None:
    password = "quiet" + "7Fjord" + "Lamp"
    texts = [f'Thought: a\nAction: x[DB_PASSWORD="{password}"]\nObservation: b',
             f"Thought: I type {password} again\nAction: y[1]\nObservation: c"]  # fmt: skip
    rows = processor(tiny_model).process(Dataset.from_list([{"id": str(n), "text": t} for n, t in enumerate(texts)]))
    clean, counts = redact(Bundle({"train": rows}))
    assert all("<SECRET_1>" in text and password not in text for text in clean.splits["train"]["text"])
    assert counts["rows"] == 2


def test_allowed_values_stay(bundle: Bundle) -> None:
    allow = [finding.digest for finding in scan(bundle).of("personal")]
    clean, counts = redact(bundle, allow)
    assert "jane.roe@corp-mail.io" in clean.splits["test"][0]["text"]
    assert "EMAIL" not in counts
    assert scan(clean, allow=allow).findings == []


def test_the_weight_of_a_row_stays(bundle: Bundle) -> None:
    rows = bundle.splits["test"].to_list()
    rows[0]["row_weight"] = 0.5
    weighted = Dataset.from_list(rows, features=bundle.splits["test"].features)
    assert redact(Bundle({"test": weighted}))[0].splits["test"][0]["row_weight"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", benchmark.KINDS)
def test_every_planted_kind_is_gone(kind: str, tiny_model: Path) -> None:
    planted = [(secret, text) for known, _, secret, text in benchmark.planted(3) if known == kind]
    records = [{"id": str(n), "text": text} for n, (_, text) in enumerate(planted)]
    clean, _ = redact(Bundle({"train": processor(tiny_model).process(Dataset.from_list(records))}))
    assert scan(clean).findings == []
    assert validate_rows(clean.splits["train"])["invalid_trajectories"] == 0
    for (secret, _), text in zip(planted, clean.splits["train"]["text"], strict=True):
        core = max(secret.split("\n"), key=len)
        core = core.partition("://")[2].partition(":")[2].partition("@")[0] if "@" in core else core
        assert core[-12:] not in text


@given(
    st.text(min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=8), st.lists(st.integers(0, 40), max_size=6)
)
def test_places_move_with_their_text(text: str, cuts: list[int], places: list[int]) -> None:
    borders = sorted({cut for cut in cuts if cut <= len(text)})
    edits = [Edit(a, b, "<SECRET_1>") for a, b in zip(borders[::2], borders[1::2], strict=False)]
    made = apply_edits(text, edits)
    at = sorted({place for place in places if place <= len(text)} | {0, len(text)})
    now = moved(at, edits)
    assert now == sorted(now)
    assert now[0] == 0
    assert now[-1] == len(made)
    for place, new in zip(at, now, strict=True):
        if not any(edit.start < place < edit.end for edit in edits):
            assert made[new:] == apply_edits(text[place:], [
                Edit(e.start - place, e.end - place, e.placeholder) for e in edits if e.start >= place
            ])  # fmt: skip
