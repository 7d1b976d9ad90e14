"""safe_text and safe_json: nothing acts on the terminal, and JSON keeps its values."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from deepcoder_hf.view.safe import safe_json, safe_text

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
ANY = st.text(st.characters(codec=None) | st.sampled_from("\x1b\r\n\x07\x9b\u202e\ud800\x7f"))


@given(ANY)
def test_safe_text_holds_nothing_that_acts(text: str) -> None:
    assert ACTS.search(safe_text(text)) is None
    safe_text(text).encode()


@given(ANY)
def test_safe_text_keeps_every_other_character_in_its_place(text: str) -> None:
    plain = text.replace("\r\n", "\n")
    shown = safe_text(text)
    assert len(shown) == len(plain)
    assert all(a == b for a, b in zip(plain, shown, strict=True) if not ACTS.match(a))


def test_controls_are_shown_as_their_pictures() -> None:
    assert safe_text("\x1b[31m\x00\x7f\x9b\u202e\tx\r\ny\rz") == "␛[31m␀␡��\tx\ny␍z"


@given(st.recursive(ANY | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(ANY, inner)))
def test_safe_json_is_the_same_value_without_anything_that_acts(value: object) -> None:
    for indent in (None, 2):
        text = safe_json(value, indent)
        assert ACTS.search(text) is None
        assert json.loads(text) == value


def test_safe_json_leaves_other_scripts_readable() -> None:
    assert safe_json({"text": "日本語 é 🙂"}) == '{"text": "日本語 é 🙂"}'
