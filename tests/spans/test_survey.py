"""The survey finds each kind of form, where it stands, and holds for any text."""

from __future__ import annotations

import pytest
from any_text import anything, as_blob, thorough
from hypothesis import given

from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.survey import MOST_FORMS, survey


def marks_of(text: str) -> list[Mark]:
    return survey(*as_blob(text))


def forms_of(text: str) -> set[Form]:
    return {mark.form for mark in marks_of(text)}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Thought 1: a\nb", Form("label", "X:", "thought")),
        ("Deed>> ls\n", Form("label", "X>", "deed")),
        ("**Plan:** a", Form("label", "**X:**", "plan")),
        ("## Reasoning\na", Form("label", "#X", "reasoning")),
        ("#### Reasoning\na", Form("label", "#X", "reasoning")),
        ("=== TOOL CALL ===\nls", Form("label", "=X=", "tool call")),
        ("[REASONING]\na", Form("label", "[X] ", "reasoning")),
        ("(thinking) a", Form("label", "(X) ", "thinking")),
        ("12:04 <bot> hi", Form("label", "<X> ", "bot")),
        ("----\nObservation\na", Form("label", "-/X", "observation")),
        ("a\n\nThought\nb", Form("label", "/X", "thought")),
        ("思考：a\n行动：b", Form("label", "X:", "行动")),
        ("Überlegung: a", Form("label", "X:", "überlegung")),
        ("🤔 a\n🔧 b", Form("prompt", "glyph", "🔧")),
        ("<muse>a</muse>", Form("tag", "<X>", "muse")),
        ('<step kind="thought">a</step>', Form("tag", "<X>", "step thought")),
        ("<|im_start|>assistant\na<|im_end|>", Form("token", "<|X|>", "im assistant")),
        ("$ ls\na", Form("prompt", "prompt", "$")),
        (">>> 1\n1", Form("prompt", "prompt", ">>>")),
        ("In [3]: x", Form("prompt", "prompt", "in[]")),
        ("kim@host:~/src$ ls", Form("prompt", "prompt", "X$")),
        ("-> ls\n<- a", Form("prompt", "glyph", "<-")),
        ("```bash\nls\n```\n", Form("fence", "fence", "```")),
        ('{"thought": "a"}', Form("json", '{"X"}', "thought")),
        ('{"role": "user", "content": "a"}', Form("json", '{"role"}', "user")),
    ],
)
def test_each_kind_of_form_is_found(text: str, form: Form) -> None:
    assert form in forms_of(text)


def test_lines_that_end_as_on_windows_give_the_same_forms() -> None:
    text = "Thought: a\n**Plan:** b\n<muse>c</muse>\n$ ls\n"
    assert forms_of(text.replace("\n", "\r\n")) == forms_of(text)


def test_a_mark_ends_before_the_words_that_it_marks() -> None:
    blob, start, end = as_blob("Q?\nThought: I look.\n<muse>a</muse>\n")
    rests = [blob[mark.end :].split(b"\n")[0].strip() for mark in survey(blob, start, end)]
    assert rests == [b"I look.", b"a</muse>", b""]


def test_code_in_a_fence_and_the_tags_of_pages_are_no_forms() -> None:
    assert {form.kind for form in forms_of("a\n```python\nThought: b\n<muse>\n```\nc")} == {"fence"}
    assert forms_of("<div><p>a</p></div>") == set()


def test_a_closing_tag_closes_the_form_that_its_opening_one_has() -> None:
    opening, closing = marks_of('<step kind="thought">a</step>')
    assert (opening.form, opening.closes) == (closing.form, False)
    assert closing.closes


def test_a_text_with_many_forms_keeps_those_that_recur() -> None:
    rare = "".join(f"Word{chr(97 + n // 26)}{chr(97 + n % 26)}: a\n" for n in range(3 * MOST_FORMS))
    forms = forms_of(rare + "Zorp: a\nBlick: b\n" * 3)
    assert len(forms) <= MOST_FORMS
    assert {Form("label", "X:", "zorp"), Form("label", "X:", "blick")} <= forms


@thorough
@given(anything)
def test_marks_of_any_text_are_sorted_and_inside_of_it(text: str) -> None:
    blob, start, end = as_blob(text)
    marks = survey(blob, start, end)
    assert marks == sorted(marks, key=lambda mark: (mark.start, -mark.end))
    assert all(start <= mark.start <= mark.end <= end for mark in marks)


@thorough
@given(anything, anything)
def test_what_stands_around_a_text_changes_none_of_its_marks(text: str, other: str) -> None:
    """Texts of a batch lie in one buffer."""
    blob, start, end = as_blob(text)
    before = as_blob(other)[0]
    shifted = survey(before + blob, start + len(before), end + len(before))
    assert [(m.start - len(before), m.end - len(before), *m[2:]) for m in shifted] == [
        tuple(m) for m in survey(blob + before, start, end)
    ]
