"""Keys of JSON steps are marks around their values; nothing else is."""

from __future__ import annotations

import json

from any_text import anything, as_blob, thorough
from hypothesis import given
from hypothesis import strategies as st

from deepcoder_hf.spans.forms import Form
from deepcoder_hf.spans.json_forms import json_marks

words = st.text(max_size=8)
values = st.recursive(words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))


def values_of(text: str) -> list[tuple[str, str]]:
    """Name of each form, and what stands between its opening and its closing mark."""
    blob, start, end = as_blob(text)
    marks = list(json_marks(blob, start, end))
    pairs = list(zip(marks[::2], marks[1::2], strict=True))
    assert all(first.form == second.form and not first.closes and second.closes for first, second in pairs)
    return [
        (first.form.name, blob[first.end : second.start].decode("utf-8", "surrogatepass")) for first, second in pairs
    ]


def test_known_keys_of_the_outermost_object_mark_their_values() -> None:
    text = '{"thought": "I look.", "n": 3, "action": {"name": "ls", "thought": "inner"}}'
    assert values_of(text) == [("thought", '"I look."'), ("action", '{"name": "ls", "thought": "inner"}')]


def test_an_object_with_a_role_is_one_turn() -> None:
    blob, start, end = as_blob('{"role": "assistant", "content": "Hello."}\n{"from": "human", "value": "Hi."}')
    forms = [mark.form for mark in json_marks(blob, start, end) if not mark.closes]
    assert forms == [Form("json", '{"role"}', "assistant"), Form("json", '{"role"}', "human")]


def test_objects_within_a_line_and_those_that_never_end_are_none() -> None:
    assert values_of('I saw {"thought": "a"}.') == []
    assert values_of('{"thought": "a", "action": "b"') == []
    assert values_of('{"price": 3, "colour": "red"}') == []


def test_quotes_and_brackets_in_strings_end_nothing() -> None:
    assert values_of('{"thought": "a \\"}] b", "action": "ls"}') == [("thought", '"a \\"}] b"'), ("action", '"ls"')]


@thorough
@given(values, values, st.sampled_from([None, 2]), st.booleans())
def test_the_marks_enclose_what_json_reads(
    thought: object, action: object, indent: int | None, ascii_only: bool
) -> None:
    step = {"thought": thought, "score": 0.5, "done": False, "action": action}
    found = values_of(json.dumps(step, indent=indent, ensure_ascii=ascii_only))
    assert [(name, json.loads(value)) for name, value in found] == [("thought", thought), ("action", action)]


@thorough
@given(anything)
def test_marks_of_any_text_are_in_order_and_inside_of_it(text: str) -> None:
    blob, start, end = as_blob(text)
    edges = [edge for mark in json_marks(blob, start, end) for edge in (mark.start, mark.end)]
    assert edges == sorted(edges)
    assert all(start <= edge <= end for edge in edges)
