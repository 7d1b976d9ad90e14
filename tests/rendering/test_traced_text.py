"""JSON and Python's repr of traced values: the text is the standard library's, and every string keeps its mark."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.rendering.traced import concat, runs_of, trace
from deepcoder_hf.rendering.traced_text import json_text, repr_text, text_of

TEXT = st.text(alphabet='abAB <>/"\\\n\r\t\u2028ßİΣéŉ{}%_-+🙂\ud83d\udc00', max_size=24) | st.text(max_size=12)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.integers() | st.none(), inner, max_size=4),
    max_leaves=12,
)


def mark_all(value: Any, strings: list[str]) -> Any:
    """Every string, keys too, with its number."""
    if isinstance(value, str):
        strings.append(value)
        return trace(value, len(strings) - 1)
    if isinstance(value, dict):
        return {mark_all(key, strings): mark_all(item, strings) for key, item in value.items()}
    return [mark_all(item, strings) for item in value] if isinstance(value, list) else value


@given(VALUE, st.booleans(), st.sampled_from([None, 2, "\t"]), st.sampled_from([None, (",", ":")]))
@settings(max_examples=400, deadline=None)
def test_json_is_that_of_the_standard_library_and_each_string_keeps_its_mark(
    value: Any, ascii_only: bool, indent: Any, separators: Any
) -> None:
    strings: list[str] = []
    made = json_text(mark_all(value, strings), ascii_only, indent, separators)
    assert made == json.dumps(value, ensure_ascii=ascii_only, indent=indent, separators=separators)
    found = {mark: made[start:end] for start, end, mark in runs_of(made)}
    plain = {index: json.dumps(text, ensure_ascii=ascii_only)[1:-1] for index, text in enumerate(strings) if text}
    assert {mark: str.__str__(text) for mark, text in found.items()} == plain


def test_json_of_sorted_keys_and_of_quotes_as_separators_is_right() -> None:
    value = {"path": trace('a "b"\n', 1), "cmd": trace("ls", 2)}
    made = json_text(value, sort_keys=True)
    assert made == json.dumps(value, sort_keys=True)
    assert [(made[start:end], mark) for start, end, mark in runs_of(made)] == [("ls", 2), ('a \\"b\\"\\n', 1)]
    odd = json_text(value, separators=('"', '"'))
    assert odd == json.dumps(value, separators=('"', '"'))
    assert {mark for _, _, mark in runs_of(odd)} == {1}


@given(VALUE)
@settings(max_examples=200, deadline=None)
def test_printing_a_container_is_pythons_repr_with_marks(value: Any) -> None:
    strings: list[str] = []
    marked = mark_all(value, strings)
    assert text_of(marked) == str(value)
    assert repr_text((marked,)) == repr((value,))
    made = repr_text([marked])
    assert {mark: str.__str__(made[start:end]) for start, end, mark in runs_of(made)} == {
        index: repr(text)[1:-1] for index, text in enumerate(strings) if text
    }


@given(TEXT, st.integers(0, 24))
@settings(deadline=None)
def test_an_escape_stays_with_its_character_within_a_text(text: str, at: int) -> None:
    halves = concat([trace(text[:at], 1), trace(text[at:], 2)])
    made = json_text([halves])
    assert made == json.dumps([text], ensure_ascii=False)
    expected = [json.dumps(half, ensure_ascii=False)[1:-1] for half in (text[:at], text[at:])]
    assert [str.__str__(made[start:end]) for start, end, _ in runs_of(made)] == [half for half in expected if half]
    shown = repr_text(halves)
    assert shown == repr(text)
    assert "".join(shown[start:end] for start, end, _ in runs_of(shown)) == repr(text)[1:-1]
