"""Traced texts: each operation gives what str gives, and each character has the mark of the one it came from."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.rendering.traced import Traced, concat, derived, runs_of, trace
from deepcoder_hf.rendering.traced_text import json_text, percent

TEXT = st.text(alphabet='abAB <>/"\\\n\r\t\u2028ßİΣéŉ{}%_-+🙂\ud83d\udc00', max_size=24) | st.text(max_size=12)
PART = st.sampled_from(["a", " ", "\n", "<", "ab", "A", "ß", "\t", "</", '"'])


def tagged(text: str, first: int = 0) -> Traced:
    """Each character has its position as its mark."""
    return Traced(text, tuple((index, index + 1, first + index) for index in range(len(text))))


def check(made: Any, plain: Any, source: str, first: int = 0) -> None:
    """Equal to what str gives, with runs that are sorted, inside the text, and of marks that went in."""
    if isinstance(plain, list | tuple):
        assert len(made) == len(plain)
        for one, other in zip(made, plain, strict=True):
            check(one, other, source, first)
        return
    assert made == plain
    assert str.__str__(made) == plain
    if not isinstance(plain, str):
        return
    runs = runs_of(made)
    assert all(start < end for start, end, _ in runs)
    assert all(one[1] <= other[0] for one, other in pairwise(runs))
    assert not runs or (runs[0][0] >= 0 and runs[-1][1] <= len(plain))
    for _, _, mark in runs:
        assert isinstance(mark, int)
        assert first <= mark < first + max(len(source), 1)


def origins(made: str) -> list[int]:
    return [mark for _, _, mark in runs_of(made)]  # type: ignore[misc]


SUBSTRINGS: dict[str, Callable[[str, str, int], Any]] = {
    "slice": lambda s, p, n: s[n:],
    "slice to": lambda s, p, n: s[:-n],
    "step": lambda s, p, n: s[:: n + 1],
    "backwards": lambda s, p, n: s[:: -n - 1],
    "from the end": lambda s, p, n: s[-n : -1 : n + 1],
    "strip": lambda s, p, n: s.strip(),
    "strip chars": lambda s, p, n: s.strip(p),
    "lstrip": lambda s, p, n: s.lstrip(p),
    "rstrip": lambda s, p, n: s.rstrip(),
    "split": lambda s, p, n: s.split(),
    "split n": lambda s, p, n: s.split(None, n),
    "split sep": lambda s, p, n: s.split(p),
    "split sep n": lambda s, p, n: s.split(p, n),
    "rsplit": lambda s, p, n: s.rsplit(None, n),
    "rsplit sep": lambda s, p, n: s.rsplit(p, n),
    "splitlines": lambda s, p, n: s.splitlines(),
    "splitlines ends": lambda s, p, n: s.splitlines(True),
    "partition": lambda s, p, n: s.partition(p),
    "rpartition": lambda s, p, n: s.rpartition(p),
    "removeprefix": lambda s, p, n: s.removeprefix(p),
    "removesuffix": lambda s, p, n: s.removesuffix(p),
    "list": lambda s, p, n: list(s),
    "reversed": lambda s, p, n: list(reversed(s)),
    "remove": lambda s, p, n: s.replace(p, ""),
}
"""Operations that only leave out or reorder characters."""
PER_CHARACTER: dict[str, Callable[[str, str, int], str]] = {
    "upper": lambda s, p, n: s.upper(),
    "casefold": lambda s, p, n: s.casefold(),
    "translate": lambda s, p, n: s.translate({97: "xyz", 60: None, 10: "\\n"}),
    "escape": lambda s, p, n: s.replace("<", "&lt;") if p else s,
    "ascii json": lambda s, p, n: json_text(s, ensure_ascii=True)[1:-1],
}
"""Operations that put something in place of each character, whatever stands around it -> that of one character."""


@given(TEXT, PART, st.integers(1, 4), st.sampled_from(sorted(SUBSTRINGS)))
@settings(max_examples=600, deadline=None)
def test_a_part_has_the_marks_of_its_characters(text: str, part: str, number: int, name: str) -> None:
    operation = SUBSTRINGS[name]
    made, plain = operation(tagged(text), part, number), operation(text, part, number)
    check(made, plain, text)
    for one in made if isinstance(made, list | tuple) else [made]:
        assert [text[mark] for mark in one.marks()] == list(one)


@given(TEXT, st.sampled_from(sorted(PER_CHARACTER)))
@settings(max_examples=400, deadline=None)
def test_what_stands_for_a_character_has_its_mark(text: str, name: str) -> None:
    operation = PER_CHARACTER[name]
    made, plain = operation(tagged(text), "x", 1), operation(text, "x", 1)
    check(made, plain, text)
    expected = [index for index, char in enumerate(text) for _ in operation(char, "x", 1)]
    assert (made.marks() if isinstance(made, Traced) else []) == expected


@given(TEXT, st.sampled_from(["lower", "title", "capitalize", "swapcase", "expandtabs"]))
@settings(max_examples=300, deadline=None)
def test_changing_case_and_tabs_keeps_the_order_and_every_character(text: str, method: str) -> None:
    made, plain = getattr(tagged(text), method)(), getattr(text, method)()
    check(made, plain, text)
    assert None not in made.marks()
    if method != "expandtabs":
        assert origins(made) == list(range(len(text)))
    for char, mark in zip(plain, made.marks(), strict=True):
        assert char.casefold() in text[mark].casefold() or char == " " or text[mark] in "İΣŉ"


@given(TEXT, TEXT, st.integers(0, 12), PART)
@settings(max_examples=300, deadline=None)
def test_joining_and_padding_keep_each_part_apart(one: str, other: str, width: int, separator: str) -> None:
    left, right = tagged(one), tagged(other, 1000)
    none: list[None] = [None] * len(separator)
    for made, plain, marks in (
        (left + right, one + other, left.marks() + right.marks()),
        (one + right, one + other, [None] * len(one) + right.marks()),
        (left + other, one + other, left.marks() + [None] * len(other)),
        (trace(separator, 7).join([left, other, right]), separator.join([one, other, other]),
         [*left.marks(), *([7] * len(separator)), *([None] * len(other)), *([7] * len(separator)), *right.marks()]),
        (left * 3, one * 3, left.marks() * 3),
        (left * -1, "", []),
        (concat([separator, left, separator]), separator + one + separator, none + left.marks() + none),
    ):  # fmt: skip
        assert made == plain
        assert (made.marks() if isinstance(made, Traced) else [None] * len(made)) == marks
    for method in ("center", "ljust", "rjust", "zfill"):
        made, plain = getattr(left, method)(width), getattr(one, method)(width)
        check(made, plain, one)
        assert origins(made) == origins(left)


@given(TEXT, PART, TEXT, st.integers(-1, 3))
@settings(max_examples=300, deadline=None)
def test_replacing_marks_what_is_put_in_as_what_was_there_or_as_its_own(
    text: str, old: str, new: str, count: int
) -> None:
    plain = text.replace(old, new, count)
    own = tagged(text).replace(old, trace(new, -1), count)
    as_before = tagged(text).replace(old, new, count)
    assert own == as_before == plain
    pieces = text.split(old, count)
    expected_own: list[int] = []
    expected: list[int] = []
    at = 0
    for index, piece in enumerate(pieces):
        if index:
            expected_own += [-1] * len(new)
            expected += [at] * len(new)
            at += len(old)
        expected_own += range(at, at + len(piece))
        expected += range(at, at + len(piece))
        at += len(piece)
    assert own.marks() == expected_own or (own == text and len(pieces) == 1)
    assert as_before.marks() == expected
    assert tagged(text).replace("", new, count) == text.replace("", new, count)
    assert [m for m in tagged(text).replace("", "·", count).marks() if m is not None] == list(range(len(text)))


@given(TEXT, TEXT, st.sampled_from(["%s|%s", "%-9s|%5.2s", "%r|%s", "100%% %s %r", "%s{}|%s"]))
@settings(max_examples=200, deadline=None)
def test_printf_keeps_the_marks_of_what_it_puts_in(one: str, other: str, template: str) -> None:
    values = (tagged(one), tagged(other, 1000))
    made = percent(template, values)
    assert made == template % (one, other)
    check(made, template % (one, other), "x" * 2000)
    if "r" not in template and "." not in template:
        assert origins(made) == origins(values[0]) + origins(values[1])


@pytest.mark.parametrize(
    ("template", "args", "fields"),
    [
        ("{} and {}", ("read_file", "main.py"), {}),
        ("{1}<{0!r}>{1:>9}", ("it's", "x"), {}),
        ("{name:*^12}|{name:.2}|{{literal}}", (), {"name": "bash"}),
        ("{0[path]}:{n:04d}", ({"path": "src/a.py"},), {"n": 7}),
        ("{:{}}", ("x", ">5"), {}),
        ("{!s:<4}|{}", (["a", 'b"'], 1.5), {}),
    ],
)
def test_format_gives_what_str_gives_with_marks(template: str, args: Any, fields: Any) -> None:
    def marked(value: Any) -> Any:
        if isinstance(value, str):
            return trace(value, value)
        if isinstance(value, dict):
            return {key: marked(item) for key, item in value.items()}
        return [marked(item) for item in value] if isinstance(value, list) else value

    made = Traced(template).format(*map(marked, args), **marked(fields))
    assert made == template.format(*args, **fields)
    for start, end, mark in runs_of(made):
        assert isinstance(mark, str)
        assert made[start:end].strip("'\"") in mark


def test_a_text_survives_pickling_and_stays_a_string() -> None:
    text = concat(["User: ", trace("fix the test", (3, "content"))])
    again = pickle.loads(pickle.dumps(text))
    assert (again, again.runs) == (text, ((6, 18, (3, "content")),))
    assert hash(text) == hash("User: fix the test")
    assert text in {"User: fix the test": 1}
    assert str(text) is text
    assert f"{text}" == text
    assert "test" in text


def test_what_cannot_be_followed_takes_the_first_mark() -> None:
    assert runs_of(derived("wrapped", "plain", trace("x", 4), trace("y", 5))) == ((0, 7, 4),)
    assert type(derived("wrapped", "plain", 3)) is str


def test_what_str_refuses_is_refused() -> None:
    text = trace("abc", 1)
    for wrong in (
        lambda: text[3], lambda: text["a"], lambda: text + 1, lambda: text.split(""), lambda: text.join([1]),
        lambda: text % (1, 2), lambda: trace("{}", 1).format(),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError)):
            wrong()


def test_a_megabyte_and_thousands_of_parts_cost_linear_time() -> None:
    def seconds(n: int) -> float:
        parts = [trace("x" * 50 + "\n", index) for index in range(n)]
        began = time.process_time()
        text = concat(parts)
        assert len(text.splitlines()) == n
        assert len(concat(text.split("\n"))) == 50 * n
        assert len(text.replace("\n", "\\n")) == 52 * n
        assert len(runs_of(json_text({"text": text}))) == n
        return time.process_time() - began

    seconds(1000)
    few, many = min(seconds(4000) for _ in range(3)), min(seconds(32_000) for _ in range(3))
    assert many < 8 * few * 2.5
