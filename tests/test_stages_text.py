"""Stages: text is stored as it was tokenised, whatever characters it holds."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_records import NFD, RECORDS, raw_table, rows_of

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.validate import check_row
from deepcoder_hf.rendering.clean import clean, normalize_across
from deepcoder_hf.rendering.rendered import Layout
from deepcoder_hf.rendering.units import Unit
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.stages import process_records


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    return Config(tokens={"model_name": str(tiny_model), "max_length": 160}, filters={"max_tokens": 1300})  # type: ignore[arg-type]


# --- text: surrogates and composed characters ------------------------------------------------------------------------


def test_lone_surrogates_become_replacement_characters_and_are_counted(config: Config) -> None:
    (row,) = rows_of({"text": "<think>a\ud800b\udfff</think>\n\nok 🙂"}, config)
    assert row["text"] == "<think>a\ufffdb\ufffd</think>\n\nok 🙂"
    assert row["original_text"] == "<think>a\\ud800b\\udfff</think>\n\nok 🙂"
    assert row["outcome"]["n_replaced"] == 2
    assert json.loads(row["metadata"])["replaced_surrogates"] == 2
    assert check_row(row) == []


def test_surrogates_of_all_messages_are_counted(config: Config) -> None:
    messages = [
        {"role": "user", "content": "\ud800\ud801"},
        {"role": "assistant", "content": "a\ud800", "reasoning": "b"},
    ]
    (row,) = rows_of({"messages": messages}, config)
    assert row["outcome"]["n_replaced"] == 3
    assert row["text"] == "User: \ufffd\ufffd\n\nThought: b\nAssistant: a\ufffd\n\n"
    assert row["original_text"] is None


@pytest.mark.parametrize("field", ["id", "group_id", "note", "licence", "k\ud800"])
def test_a_lone_surrogate_in_another_field_stops_nothing(field: str, config: Config) -> None:
    rows = process_records(raw_table([RECORDS[0], {**RECORDS[0], field: "a\ud800b"}]), config=config).to_pylist()
    assert [row["outcome"]["status"] for row in rows] == ["kept", "kept"]
    facts = json.loads(rows[1]["metadata"])
    places = {**facts, **facts.get("extra", {}), "id": rows[1]["trajectory_id"], "group_id": rows[1]["group_id"]}
    assert places[field] in ("a\ud800b", "a\\ud800b")


def test_decomposed_text_is_composed_and_its_original_is_kept(config: Config) -> None:
    text = f"<think>caf{NFD} {NFD}</think>\n\nna\u0131\u0308ve {NFD}"
    (row,) = rows_of({"text": text}, config)
    assert row["text"] == normalize("NFC", text) != text
    assert row["original_text"] == text
    assert check_row(row) == []
    assert [row["text"][s["start_char"] : s["end_char"]] for s in row["spans"]] == [
        "<think>café é</think>\n\n",
        normalize("NFC", f"na\u0131\u0308ve {NFD}"),
    ]


def test_composed_text_stores_no_original(config: Config) -> None:
    (row,) = rows_of({"text": "<think>café</think>\n\nok"}, config)
    assert row["original_text"] is None


def test_a_tokenizer_that_does_not_normalise_gets_the_text_unchanged(shared_data: Path) -> None:
    model = shared_data / "tokenizers" / "smollm2"
    text = f"<think>caf{NFD}</think>\n\nok"
    (row,) = rows_of({"text": text}, Config(tokens={"model_name": str(model)}))  # type: ignore[arg-type]
    assert row["text"] == text
    assert row["original_text"] is None


def test_a_combining_mark_that_joins_the_part_before_it_moves_the_border_behind_it() -> None:
    reasoning, action = TYPE_IDS["reasoning"], TYPE_IDS["action"]
    layout = Layout()
    for text, kind, by_agent in (("<a>", reasoning, True), ("\u0338", action, True), ("\u0338e", reasoning, False)):
        layout.put(text, Unit(text, kind, "", 1.0, "", "structure", 0, by_agent), is_payload=True)
    layout.put("\u0301x", Unit("\u0301x", action, "", 1.0, "", "structure", 0, True), is_payload=True)
    rendered = layout.rendered({})
    rendered.cuts = [3, 6]
    rendered.normalize()
    text = rendered.text
    assert text == normalize("NFC", "<a>\u0338\u0338e\u0301x")
    assert [(span[2], text[span[0] : span[1]]) for span in rendered.spans] == [
        (reasoning, "<a\u226f"),
        (reasoning, "\u0338é"),
        (action, "x"),
    ]
    assert [(kind, text[start:end]) for start, end, kind in rendered.payload] == [
        (reasoning, "<a\u226f"),
        (reasoning, "\u0338é"),
        (action, "x"),
    ]
    assert [text[start:end] for start, end in rendered.foreign] == ["\u0338é"]
    assert [text[:cut] for cut in rendered.cuts] == ["<a\u226f", "<a\u226f\u0338é"]


def test_a_combining_mark_at_the_start_of_a_message_stays_with_its_message(config: Config) -> None:
    messages = [
        {"role": "user", "content": "\u0338x"},
        {"role": "assistant", "content": "\u0301a", "reasoning_content": "\u0301"},
    ]
    (row,) = rows_of({"messages": messages}, config)
    assert is_normalized("NFC", row["text"])
    assert check_row(row) == []
    by_type = [(s["span_type"], row["text"][s["start_char"] : s["end_char"]]) for s in row["spans"]]
    assert [kind for kind, _ in by_type] == ["other", "reasoning", "answer"]
    assert "".join(text for _, text in by_type) == row["text"]


def test_a_combining_mark_after_a_detected_message_keeps_the_spans_together(config: Config) -> None:
    messages = [
        {"role": "user", "content": "\u0301" * 3},
        {"role": "assistant", "content": f"\u0301<think>{NFD}</think>\u0301 {NFD}"},
    ]
    (row,) = rows_of({"messages": messages}, config)
    assert is_normalized("NFC", row["text"])
    assert check_row(row) == []


decomposed = st.text(st.sampled_from("aeo\u0301\u0308\u0323\u1112\u1161\u11ab g"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(decomposed, min_size=1, max_size=6))
def test_normalising_across_borders_gives_the_normal_text_and_ascending_borders(parts: list[str]) -> None:
    text = "".join(parts)
    borders = [sum(map(len, parts[:n])) for n in range(len(parts) + 1)]
    whole, moved = normalize_across(text, borders)
    assert whole == normalize("NFC", text)
    assert moved[0] == 0
    assert moved[-1] == len(whole)
    assert len(moved) == len(borders)
    assert moved == sorted(moved)


def test_a_border_inside_a_composed_character_goes_behind_it() -> None:
    assert normalize_across("ae\u0301b", [0, 2, 3, 4]) == ("aéb", [0, 2, 2, 3])


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(), max_size=20), nfc=st.booleans())
def test_clean_text_is_storable_and_cleaning_it_again_changes_nothing(text: str, nfc: bool) -> None:
    once, n_replaced = clean(text, nfc)
    once.encode()
    assert n_replaced == sum("\ud800" <= char <= "\udfff" for char in text)
    assert clean(once, nfc) == (once, 0)
    assert not nfc or is_normalized("NFC", once)
    assert nfc or len(once) == len(text)
