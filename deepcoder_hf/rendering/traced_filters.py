"""Jinja's filters, so that the marks of texts go through them.

Filters that hand on their items or use methods of the text need nothing. Those below are written anew where jinja joins
texts by itself; every other filter that makes a text is wrapped: its result takes the first mark of what went in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from jinja2.filters import make_attrgetter
from jinja2.utils import pass_environment
from markupsafe import soft_str

from deepcoder_hf.rendering.traced import Traced, concat, derived, runs_of
from deepcoder_hf.rendering.traced_jinja import TracedEnvironment
from deepcoder_hf.rendering.traced_markup import escape, markup
from deepcoder_hf.rendering.traced_text import json_text, strings_of

_WORD_BEGINNING = re.compile(r"([-\s({\[<]+)")
"""Where jinja's `title` begins a word."""
_MAX_ARGUMENT = 1_000_000
_BOUNDED = ("batch", "center", "round", "slice", "wordwrap")
"""Filters that make as much as a number says."""
_WRAPPED = ("center", "filesizeformat", "pprint", "striptags", "truncate", "urlencode", "urlize", "wordwrap", "xmlattr")


def install(environment: TracedEnvironment) -> None:
    """Replace and wrap the filters of an environment."""
    filters = environment.filters
    title = filters["title"]
    lipsum: Callable[..., Any] = environment.globals["lipsum"]  # type: ignore[assignment]
    for name in (*_BOUNDED, *_WRAPPED):
        filters[name] = _wrapped(filters[name], environment, name in _BOUNDED)
    filters |= {
        "join": _join,
        "replace": _replace,
        "indent": _indent,
        "tojson": _tojson,
        "string": _string,
        "format": _format,
        "sum": _sum,
        "title": lambda value: _title(value, title),
        "safe": markup,
        "e": escape,
        "escape": escape,
        "forceescape": lambda value: escape(str(value.__html__() if hasattr(value, "__html__") else value)),
    }

    def bounded_lipsum(n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> Any:
        environment.budget.charge(n * max * 100)
        return lipsum(n, html, min, max)

    environment.globals["lipsum"] = bounded_lipsum


def _wrapped(function: Callable[..., Any], environment: TracedEnvironment, bounded: bool) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        given = (*args[1:], *options.values())
        if bounded and any(isinstance(value, int) and abs(value) > _MAX_ARGUMENT for value in given):
            environment.budget.charge(max(abs(value) for value in given if isinstance(value, int)) * 1000)
        made = function(*args, **options)
        if not isinstance(made, str) or isinstance(made, Traced):
            return made
        whole = derived(str.__str__(made), *strings_of([*args, *options.values()]))
        return markup(whole) if hasattr(made, "__html__") else whole

    return run


@pass_environment
def _join(environment: TracedEnvironment, value: Iterable[Any], d: Any = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = map(make_attrgetter(environment, attribute), value)
    texts = [environment.text(item) for item in value]
    separator = environment.text(d)
    environment.budget.charge(len(separator) * len(texts) + sum(map(len, texts)))
    return Traced.join(Traced(separator, runs_of(separator)), texts)


@pass_environment
def _replace(environment: TracedEnvironment, s: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = environment.text(s), environment.text(old), environment.text(new)
    environment.budget.charge(len(text) + (text.count(old) if old else len(text) + 1) * len(new))
    count = -1 if count is None else count
    if type(text) is str and type(new) is str:
        return text.replace(old, new, count)
    return Traced(text, runs_of(text)).replace(old, new, count)


@pass_environment
def _indent(
    environment: TracedEnvironment, s: Any, width: int | str = 4, first: bool = False, blank: bool = False
) -> str:
    if isinstance(width, int):
        environment.budget.charge(max(width, 0))
    indention = width if isinstance(width, str) else " " * width
    s += "\n"
    lines = Traced.splitlines(Traced(str.__str__(s), runs_of(s)))
    environment.budget.charge(len(s) + len(lines) * (len(indention) + 1))
    parts: list[str] = [indention] if first else []
    for index, line in enumerate(lines):
        if index:
            parts += ("\n", indention) if blank or line else ("\n",)
        parts.append(line)
    made = concat(parts)
    return markup(made) if hasattr(s, "__html__") else made


@pass_environment
def _tojson(
    environment: TracedEnvironment,
    x: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    if isinstance(indent, int):
        environment.budget.charge(max(indent, 0) * 1000)
    return json_text(x, ensure_ascii, indent, separators, sort_keys, environment.budget.container)


@pass_environment
def _string(environment: TracedEnvironment, value: Any) -> str:
    return value if isinstance(value, str) else environment.text(value)


@pass_environment
def _format(environment: TracedEnvironment, value: Any, *args: Any, **fields: Any) -> Any:
    if args and fields:
        raise TypeError("can't handle positional and keyword arguments at the same time")
    return environment.call_binop(None, "%", soft_str(value), fields or args)  # type: ignore[arg-type]


@pass_environment
def _sum(environment: TracedEnvironment, iterable: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
    if attribute is not None:
        iterable = map(make_attrgetter(environment, attribute), iterable)
    made = start
    for item in iterable:
        environment.step()
        if isinstance(made, str):
            raise TypeError("sum() can't sum strings [use ''.join(seq) instead]")
        made = environment.total((made, item))
    return made


def _title(value: Any, plain: Callable[[Any], str]) -> str:
    """Words begin with a capital; the marks of a text whose length changes are those of its parts."""
    text = soft_str(value)
    whole = plain(value)
    if not runs_of(text):
        return whole
    parts, at = [], 0
    for found in (*_WORD_BEGINNING.finditer(text), None):
        for end in (found.start(), found.end()) if found else (len(text),):
            word = text[at:end]
            parts += [word[:1].upper(), word[1:].lower()]
            at = end
    made = concat(parts)
    return made if made == whole else derived(whole, text)
